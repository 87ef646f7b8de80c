/* v_usage.c - freehold usage and freehold audit: what it cost, and who did what. */
#include "common/defs.h"
#include "api/cli/cli.h"
#include "api/cli/logverbs.h"

#include <stdio.h>
#include <string.h>

static void usage_row(struct cli *cli, struct table *table, const char *tenant, const char *domain,
                      const struct value *amounts)
{
	table_cell(table, tenant);
	table_cell(table, domain);
	table_number(table, value_get_int(amounts, "tasks", 0));
	table_cellf(table, "%.3f", (double)value_get_int(amounts, "cpuMs", 0) / 1000);
	table_cell(table, human_bytes(cli, value_get_int(amounts, "bytesRead", 0)));
	table_cell(table, human_bytes(cli, value_get_int(amounts, "bytesWritten", 0)));
	table_cell(table, human_bytes(cli, value_get_int(amounts, "bytesStored", 0)));
	table_number(table, value_get_int(amounts, "rows", 0));
	table_number(table, value_get_int(amounts, "onlineReads", 0));
	table_number(table, value_get_int(amounts, "queries", 0));
	table_cell(table, human_micros(cli, value_get_int(amounts, "costMicros", 0)));
}

static void usage_rows(struct cli *cli, struct table *table, const struct value *usage)
{
	const char *tenant = value_get_str(usage, "tenant");
	const struct value *domains = value_get(usage, "domains");
	for (size_t i = 0; i < value_len(domains); i++)
		usage_row(cli, table, tenant, value_get_str(value_at(domains, i), "domain"),
		          value_at(domains, i));
	usage_row(cli, table, tenant, "(all)", value_get(usage, "total"));
}

static int usage(struct cli *cli, struct err *err)
{
	static const char *const titles[] = {"TENANT",       "DOMAIN",  "TASKS",  "CPU S",
	                                     "READ",         "WRITTEN", "STORED", "ROWS",
	                                     "ONLINE READS", "QUERIES", "COST",   NULL};
	const char *tenant = NULL;
	struct value *answer = NULL;
	bool all = cli_switch(cli, "all");
	if (!all)
		TRY(cli_tenant(cli, &tenant, err));
	struct call call = {
		.method = "GET",
		.path = all ? "/v1/usage" : client_path(cli, "/v1/tenants/%s/usage", tenant),
	};
	TRY(client_call(cli, &call, &answer, err));
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, answer, err);
	struct table *table = table_new(cli, titles);
	const struct value *items = value_get(answer, "items");
	for (size_t i = 0; i < value_len(items); i++)
		usage_rows(cli, table, value_at(items, i));
	if (!items)
		usage_rows(cli, table, answer);
	table_print(table);
	return 0;
}

static const char *audit_path(struct cli *cli, const char *tenant)
{
	static const char *const filters[] = {"actor", "action", "result"};
	const char *path = client_path(cli, "/v1/tenants/%s/audit", tenant);
	const char *join = "?";
	for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
		const char *value = cli_option(cli, filters[i]);
		if (!value)
			continue;
		path = arena_printf(cli->arena, "%s%s%s=%s", path, join, filters[i], value);
		join = "&";
	}
	return path ? path : "/";
}

static int audit(struct cli *cli, struct err *err)
{
	static const char *const titles[] = {"TIME",     "ACTOR", "ACTION", "RESULT",
	                                     "RESOURCE", "WHY",   NULL};
	const char *tenant = NULL;
	struct value *items = NULL;
	if (logverbs_asked(cli))
		return logverbs_run(cli, err);
	if (cli_word(cli, 0))
		return err_set(err, E_INVALID, "audit: there is key, verify, prove and export "
		               "--tiles, not %s; see `freehold audit --help`", cli_word(cli, 0));
	TRY(profile_load(cli, err));
	TRY(cli_tenant(cli, &tenant, err));
	TRY(client_list(cli, audit_path(cli, tenant), 50, &items, err));
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, items, err);
	struct table *table = table_new(cli, titles);
	for (size_t i = 0; i < value_len(items); i++) {
		const struct value *event = value_at(items, i);
		const char *code = value_get_str(event, "code");
		table_cell(table, value_get_str(event, "time"));
		table_cell(table, value_get_str(event, "actor"));
		table_cell(table, value_get_str(event, "action"));
		table_cell(table, value_get_str(event, "result"));
		table_cell(table, value_get_str(event, "resource"));
		table_cell(table, code ? code : value_get_str(event, "rule"));
	}
	table_print(table);
	return 0;
}

static const struct option_row usage_options[] = {{"all", NULL, "every tenant (the operator's)"},
                                                  {NULL, NULL, NULL}};

const struct verb verb_usage = {
	.name = "usage",
	.words = "",
	.summary = "What was used and what it cost, by domain",
	.options = usage_options,
	.run = usage,
	.example = "freehold usage --tenant acme",
};

static const struct option_row audit_options[] = {
	{"actor", "TENANT/NAME", "only this one's"},
	{"action", "ACTION", "only this action, such as dataset:write"},
	{"result", "RESULT", "only allowed, denied, refused, succeeded, failed or cancelled"},
	{"tiles", "DIR", "export: bring the copy of the log in that folder up to date"},
	{"public-key", "FILE", "verify, prove: what `freehold audit key` printed"},
	{"since", "FILE", "verify: a checkpoint that was kept; the log must go on from it"},
	{"out", "FILE", "prove: where the proof goes; default EVENT.tlog-proof, - for here"},
	{NULL, NULL, NULL}};

const struct verb verb_audit = {
	.name = "audit",
	.words = "[key | verify DIR|URL | prove EVENT | export --tiles DIR]",
	.words_max = 2,
	.summary = "Who did what and who was refused, newest first; copies and proofs of the log",
	.options = audit_options,
	.offline = true,             /* verify is; the others load the profile themselves */
	.run = audit,
	.example = "freehold audit --result denied",
};
