/* v_usage.c - freehold usage: what was used and what it cost. */
#include "common/defs.h"
#include "api/cli/cli.h"

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
