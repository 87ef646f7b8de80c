/* v_audit.c - freehold audit: who did what, searched, exported as lines, and the reports that
 * auditors ask for. Copies of the log and proofs: logverbs.c. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "api/cli/logverbs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_DEFAULT = 50, SHOWN_MOST = 100000 };

/* --- paths --- */

static bool is_plain(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		strchr("-._~/:", c);
}

/* name=value, encoded; nothing where value is NULL. */
static void put_query(struct buf *path, const char *name, const char *value)
{
	if (!value)
		return;
	bool first = !memchr(path->data, '?', path->len);
	buf_printf(path, "%c%s=", first ? '?' : '&', name);
	for (; *value; value++)
		if (is_plain(*value))
			buf_putc(path, *value);
		else
			buf_printf(path, "%%%02X", (unsigned char)*value);
}

static int path_of(struct cli *cli, struct buf *path, const char **ret_path, struct err *err)
{
	TRY(buf_check(path, err));
	*ret_path = arena_strdup(cli->arena, (char *)path->data);
	return *ret_path ? 0 : err_set(err, E_NOMEM, "no memory for a path");
}

static int put_times(struct cli *cli, struct buf *path, struct err *err)
{
	const char *from = NULL, *to = NULL;
	TRY(cli_time(cli, "since", &from, err));
	TRY(cli_time(cli, "until", &to, err));
	put_query(path, "from", from);
	put_query(path, "to", to);
	return 0;
}

static int limit_of(struct cli *cli, size_t *ret_limit, struct err *err)
{
	const char *text = cli_option(cli, "limit");
	long long limit = text ? strtoll(text, NULL, 10) : SHOWN_DEFAULT;
	if (limit < 1 || limit > SHOWN_MOST)
		return err_set(err, E_INVALID, "--limit is a whole number from 1 to %d",
		               SHOWN_MOST);
	*ret_limit = (size_t)limit;
	return 0;
}

/* --- search --- */

static void print_events(struct cli *cli, const char *tenant, const struct value *items)
{
	static const char *const titles[] = {"SEQ",    "TIME", "ACTOR",    "ACTION",
	                                     "RESULT", "WHY",  "RESOURCE", NULL};
	struct table *table = table_new(cli, titles);
	for (size_t i = 0; i < value_len(items); i++) {
		const struct value *event = value_at(items, i);
		const char *code = value_get_str(event, "code");
		table_cellf(table, "%" PRId64, value_get_int(event, "seq", 0));
		table_cell(table, value_get_str(event, "time"));
		table_cell(table, value_get_str(event, "actor"));
		table_cell(table, value_get_str(event, "action"));
		table_cell(table, value_get_str(event, "result"));
		table_cell(table, code ? code : value_get_str(event, "rule"));
		table_cell(table, value_get_str(event, "resource"));
	}
	table_print(table);
	if (value_len(items) == 0)
		fprintf(stderr, "No event is like that; actors, actions, results and resources are "
		        "compared with what events have, such as %s/ada, dataset:read, denied and "
		        "/v1/tenants/%s/domains/sales\n", tenant, tenant);
}

static int search(struct cli *cli, const char *tenant, struct err *err)
{
	static const char *const filters[] = {"actor", "action",  "result", "resource",
	                                      "class", "purpose", "request", "task"};
	AUTO_BUF path;
	const char *text = NULL;
	struct value *items = NULL;
	size_t limit = 0;
	buf_init(&path, 8 * KIB);
	TRY(limit_of(cli, &limit, err));
	buf_printf(&path, "/v1/tenants/%s/audit", tenant);
	for (size_t i = 0; i < ARRAY_LEN(filters); i++)
		put_query(&path, filters[i], cli_option(cli, filters[i]));
	TRY(put_times(cli, &path, err));
	TRY(path_of(cli, &path, &text, err));
	TRY(client_list(cli, text, limit, &items, err));
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, items, err);
	print_events(cli, tenant, items);
	return 0;
}

/* --- export --- */

struct exporting {
	int64_t lines;               /* that were written out whole */
	bool cut;                    /* the last one has no end yet */
	bool failed;
};

static bool on_lines(void *context, const char *data, size_t len)
{
	struct exporting *exporting = context;
	for (size_t i = 0; i < len; i++)
		exporting->lines += data[i] == '\n';
	exporting->cut = len ? data[len - 1] != '\n' : exporting->cut;
	exporting->failed = fwrite(data, 1, len, stdout) != len;
	return !exporting->failed;
}

/* A page: from after *since on; *since is then the last event that was written. */
static int export_page(struct cli *cli, const char *tenant, int64_t from, int64_t *since,
                       struct err *err)
{
	AUTO_BUF path;
	char number[24];
	const char *text = NULL;
	struct exporting exporting = {0};
	buf_init(&path, 8 * KIB);
	snprintf(number, sizeof number, "%" PRId64, *since);
	buf_printf(&path, "/v1/tenants/%s/audit/export", tenant);
	put_query(&path, "since", number);
	put_query(&path, "format", cli_option(cli, "format"));
	TRY(path_of(cli, &path, &text, err));
	TRY(client_download(cli, text, on_lines, &exporting, err));
	if (exporting.failed)
		return err_set(err, E_IO, "standard output cannot be written");
	int64_t first = *since + 1 > from ? *since + 1 : from;
	if (exporting.lines)
		*since = first + exporting.lines - 1;
	if (exporting.cut || !exporting.lines)
		return err_set(err, E_UNAVAILABLE,
		               "the answer was cut off; go on with --since %" PRId64, *since);
	return 0;
}

/* What was there when it began: each page is an event itself. */
static int export(struct cli *cli, const char *tenant, struct err *err)
{
	struct value *log = NULL;
	const char *text = cli_option(cli, "since");
	char *end = NULL;
	int64_t since = text ? strtoll(text, &end, 10) : 0;
	if (since < 0 || (text && (!*text || *end)))
		return err_set(err, E_INVALID,
		               "--since: the number of the last event that you have, not a time");
	const struct call call = {.method = "GET",
	                          .path = client_path(cli, "/v1/tenants/%s/audit/log", tenant)};
	TRY(client_call(cli, &call, &log, err));
	int64_t from = value_get_int(log, "from", 1);
	int64_t last = from + value_get_int(log, "size", 0) - 1;
	while (since < last)
		TRY(export_page(cli, tenant, from, &since, err));
	if (fflush(stdout) != 0)
		return err_set(err, E_IO, "standard output cannot be written");
	fprintf(stderr, "up to event %" PRId64 "; later ones: --since %" PRId64 "\n", since, since);
	return 0;
}

/* --- reports --- */

/* The columns that any row has something in, in this order. */
static size_t titles_of(const struct value *items, const char *titles[], const char *names[])
{
	static const struct { const char *name, *title; } columns[] = {
		{"time", "TIME"},         {"first", "FIRST"},       {"last", "LAST"},
		{"count", "COUNT"},       {"actor", "ACTOR"},       {"action", "ACTION"},
		{"result", "RESULT"},     {"purpose", "PURPOSE"},
		{"code", "CODE"},         {"rule", "WHY"},          {"address", "FROM"},
		{"approvedBy", "APPROVED BY"}, {"resource", "RESOURCE"},
	};
	size_t count = 0;
	for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
		bool any = false;
		for (size_t j = 0; !any && j < value_len(items); j++)
			any = value_get(value_at(items, j), columns[i].name) != NULL;
		if (!any)
			continue;
		titles[count] = columns[i].title;
		names[count++] = columns[i].name;
	}
	titles[count] = NULL;
	return count;
}

static void print_rows(struct cli *cli, const struct value *items)
{
	const char *titles[16], *names[16];
	size_t columns = titles_of(items, titles, names);
	struct table *table = columns ? table_new(cli, titles) : NULL;
	for (size_t i = 0; table && i < value_len(items); i++)
		for (size_t j = 0; j < columns; j++) {
			const struct value *cell = value_get(value_at(items, i), names[j]);
			if (value_kind(cell) == VALUE_INT)
				table_number(table, value_as_int(cell, 0));
			else
				table_cell(table, value_as_str(cell));
		}
	if (table)
		table_print(table);
	else
		printf("Nothing.\n");
}

static int report(struct cli *cli, const char *tenant, struct err *err)
{
	AUTO_BUF path;
	struct value *made = NULL;
	struct call call = {.method = "GET"};
	const char *name = cli_word(cli, 1);
	buf_init(&path, 8 * KIB);
	if (!name)
		return err_set(err, E_INVALID, "audit report: which one? touched, purpose, "
		               "policies, denials, keys or erasures");
	buf_printf(&path, "/v1/tenants/%s/audit/reports/", tenant);
	for (const char *at = name; *at; at++)
		buf_putc(&path, is_plain(*at) && *at != '/' ? *at : '-');
	put_query(&path, "principal", cli_option(cli, "principal"));
	put_query(&path, "purpose", cli_option(cli, "purpose"));
	TRY(put_times(cli, &path, err));
	TRY(path_of(cli, &path, &call.path, err));
	TRY(client_call(cli, &call, &made, err));
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, made, err);
	print_rows(cli, value_get(made, "items"));
	if (!value_get_bool(made, "complete", true))
		fprintf(stderr, "Whole from %s on; ask for the time before that next (--until).\n",
		        value_get_str(made, "heldFrom"));
	if (value_get_bool(made, "truncated", false))
		fprintf(stderr, "There is more than is shown; ask for less time.\n");
	return 0;
}

/* --- the verb --- */

static int audit(struct cli *cli, struct err *err)
{
	const char *tenant = NULL, *word = cli_word(cli, 0);
	if (logverbs_asked(cli))
		return logverbs_run(cli, err);
	bool exports = word && strcmp(word, "export") == 0;
	bool reports = word && strcmp(word, "report") == 0;
	if (word && !exports && !reports)
		return err_set(err, E_INVALID, "audit: there is export, report, key, verify and "
		               "prove, not %s; see `freehold audit --help`", word);
	TRY(profile_load(cli, err));
	TRY(cli_tenant(cli, &tenant, err));
	if (exports)
		return export(cli, tenant, err);
	return reports ? report(cli, tenant, err) : search(cli, tenant, err);
}

static const struct option_row audit_options[] = {
	{"actor", "TENANT/NAME", "only this one's"},
	{"action", "ACTION", "only this action, such as dataset:write"},
	{"result", "RESULT", "only allowed, denied, refused, succeeded, failed ..."},
	{"resource", "PATH", "only of this path and what lies below it"},
	{"class", "NUMBER", "only of this OCSF class, such as 6005"},
	{"purpose", "PURPOSE", "only for this purpose; report purpose: which"},
	{"request", "ID", "only of this request"},
	{"task", "ID", "only of this task"},
	{"principal", "TENANT/NAME", "report: what this one did, or others for it"},
	{"since", "TIME", "from then on; export: after the event of that number; verify: a "
	                  "checkpoint's file, which the log must go on from"},
	{"until", "TIME", "before then"},
	{"limit", "NUMBER", "how many events at most; default 50"},
	{"format", "FORMAT", "export: ocsf (default) or cloudevents"},
	{"tiles", "DIR", "export: bring the copy of the log in that folder up to date"},
	{"public-key", "FILE", "verify, prove: what `freehold audit key` printed"},
	{"out", "FILE", "prove: where the proof goes; default EVENT.tlog-proof, - for here"},
	{NULL, NULL, NULL}};

const struct verb verb_audit = {
	.name = "audit",
	.words = "[report NAME | export [--tiles DIR] | key | verify DIR|URL | prove EVENT]",
	.words_max = 2,
	.summary = "Who did what and who was refused, newest first; exports, reports, proofs",
	.options = audit_options,
	.offline = true,             /* verify is; the others load the profile themselves */
	.run = audit,
	.example = "freehold audit --result denied --since 24h",
};
