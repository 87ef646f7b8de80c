/* v_can.c - freehold can-i, who-can and access: who may do what, and why. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "api/percent.h"

#include <stdio.h>
#include <string.h>

enum { LIST_MOST = 100000 };

/* How a parameter is written: client_list encodes a whole path itself. */
typedef void add_fn(struct buf *out, const char *text);

static void add_plain(struct buf *out, const char *text)
{
	buf_puts(out, text);
}

/* "?action=A&resource=R", with what options add. */
static int question(struct cli *cli, const char *path, add_fn *add, const char **ret_path,
                    struct err *err)
{
	static const char *const options[][2] = {
		{"as", "principal"}, {"purpose", "purpose"}, {"address", "address"}};
	AUTO_BUF out;
	const char *at = NULL;
	buf_init(&out, 64 * 1024);
	TRY(cli_time(cli, "at", &at, err));
	buf_puts(&out, path);
	buf_puts(&out, cli_word(cli, 1) ? "?action=" : "?");
	if (cli_word(cli, 1)) {
		add(&out, cli_word(cli, 0));
		buf_puts(&out, "&resource=");
		add(&out, cli_word(cli, 1));
	}
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		const char *value = cli_option(cli, options[i][0]);
		if (!value)
			continue;
		buf_printf(&out, "&%s=", options[i][1]);
		add(&out, value);
	}
	if (at)
		buf_printf(&out, "&at=%s", at);
	TRY(buf_check(&out, err));
	*ret_path = arena_strndup(cli->arena, (const char *)out.data, out.len);
	return *ret_path ? 0 : err_set(err, E_NOMEM, "no memory for a question");
}

/* --- told --- */

/* "consumer in trips by group analysts (rolebinding/readers)" */
static const char *origin_text(struct cli *cli, const struct value *role)
{
	const char *domain = value_get_str(role, "domain"), *group = value_get_str(role, "group");
	return arena_printf(cli->arena, "%s%s%s%s%s (%s)", value_get_str(role, "role"),
	                    domain ? " in " : "", domain ? domain : "", group ? " by group " : "",
	                    group ? group : "", value_get_str(role, "from"));
}

static const char *why(struct cli *cli, const struct value *answer)
{
	const struct value *roles = value_get(answer, "roles");
	const char *rule = value_get_str(answer, "rule"), *text = rule ? rule : "";
	/* a role that decides is told with where it comes from, not twice */
	for (size_t i = 0; rule && i < value_len(roles); i++)
		if (strcmp(rule, value_get_str(value_at(roles, i), "role")) == 0)
			text = "";
	for (size_t i = 0; rule && text && i < value_len(roles); i++)
		text = arena_printf(cli->arena, "%s%s%s", text, *text ? "; " : "",
		                    origin_text(cli, value_at(roles, i)));
	return rule ? text : NULL;
}

static const char *columns(struct cli *cli, const struct value *data)
{
	const struct value *masks = value_get(data, "masks"), *hidden = value_get(data, "hidden");
	const char *text = "", *name = NULL;
	for (size_t i = 0; text && i < value_len(masks); i++) {
		const char *mask = value_as_str(value_member(masks, i, &name));
		text = arena_printf(cli->arena, "%s%s%s: %s", text, *text ? ", " : "", name, mask);
	}
	for (size_t i = 0; text && i < value_len(hidden); i++)
		text = arena_printf(cli->arena, "%s%s%s: hidden", text, *text ? ", " : "",
		                    value_as_str(value_at(hidden, i)));
	return text;
}

static void print_data(struct cli *cli, const struct value *data)
{
	const char *rows = value_get_str(data, "rows"), *said = columns(cli, data);
	const char *reason = value_get_str(data, "reason");
	if (rows)
		printf("rows: %s%s\n", strcmp(rows, "all") ? "where " : "", rows);
	if (said && *said)
		printf("columns: %s\n", said);
	if (reason)
		printf("data: %s\n", reason);
}

static int can_i(struct cli *cli, struct err *err)
{
	const char *tenant = NULL, *path = "/v1/can-i";
	struct value *answer = NULL;
	if (cli_option(cli, "as")) {
		TRY(cli_tenant(cli, &tenant, err));
		path = client_path(cli, "/v1/tenants/%s/can", tenant);
	}
	TRY(question(cli, path, percent_encode, &path, err));
	TRY(client_call(cli, &(struct call){.method = "GET", .path = path}, &answer, err));
	bool allowed = value_get_bool(answer, "allowed", false);
	cli->exit_code = allowed ? EXIT_OK : EXIT_DENIED;
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, answer, err);
	const char *reason = why(cli, answer), *failure = value_get_str(answer, "failure");
	printf("%s: %s may %s%s %s\n", allowed ? "yes" : "no", value_get_str(answer, "principal"),
	       allowed ? "" : "not ", value_get_str(answer, "action"),
	       value_get_str(answer, "resource"));
	printf("because: %s\n", reason ? reason : "-");
	if (failure)
		printf("skipped: %s\n", failure);
	print_data(cli, value_get(answer, "data"));
	return 0;
}

static const char *who_of(const struct value *item)
{
	const char *who = value_get_str(item, "principal");
	return who ? who : value_get_str(item, "login");
}

/* What is kept from this one, if anything is: lines of their own, since they are long. */
static void print_kept(struct cli *cli, const struct value *item)
{
	const struct value *data = value_get(item, "data");
	const char *rows = value_get_str(data, "rows"), *said = columns(cli, data);
	const char *reason = value_get_str(data, "reason");
	bool some = rows && strcmp(rows, "all") != 0;
	if (!data || (!some && !reason && said && !*said))
		return;
	printf("\n%s, %s:\n", who_of(item), value_get_str(item, "action"));
	if (rows)
		printf("  rows: %s%s\n", some ? "where " : "", rows);
	if (said && *said)
		printf("  columns: %s\n", said);
	if (reason)
		printf("  nothing: %s\n", reason);
}

static void print_items(struct cli *cli, const struct value *items)
{
	static const char *const titles[] = {"WHO", "TYPE", "ACTION", "WHY", NULL};
	struct table *table = table_new(cli, titles);
	for (size_t i = 0; i < value_len(items); i++) {
		const struct value *item = value_at(items, i);
		bool login = !value_get_str(item, "principal");
		table_cell(table, who_of(item));
		table_cell(table, login ? "login" : value_get_str(item, "type"));
		table_cell(table, value_get_str(item, "action"));
		table_cell(table, why(cli, item));
	}
	table_print(table);
	for (size_t i = 0; i < value_len(items); i++)
		print_kept(cli, value_at(items, i));
}

static int who_can(struct cli *cli, struct err *err)
{
	const char *tenant = NULL, *path = NULL;
	struct value *items = NULL;
	TRY(cli_tenant(cli, &tenant, err));
	path = arena_printf(cli->arena, "/v1/tenants/%s/who-can", tenant);
	TRY(question(cli, path ? path : "", add_plain, &path, err));
	TRY(client_list(cli, path, LIST_MOST, &items, err));
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, items, err);
	print_items(cli, items);
	return 0;
}

/* --- a dataset --- */

static void print_offers(struct cli *cli, const struct value *offers)
{
	static const char *const titles[] = {"OFFER", "TO", "PURPOSE", "STATE", "EXPIRES", NULL};
	struct table *table = table_new(cli, titles);
	for (size_t i = 0; i < value_len(offers); i++) {
		const struct value *offer = value_at(offers, i);
		const char *domain = value_get_str(offer, "domain");
		const char *tenant = value_get_str(offer, "tenant");
		table_cell(table, value_get_str(offer, "offer"));
		table_cellf(table, "%s/%s", tenant ? tenant : ".", domain ? domain : "*");
		table_cell(table, value_get_str(offer, "purpose"));
		table_cell(table, value_get_str(offer, "state"));
		table_cell(table, value_get_str(offer, "expiresAt"));
	}
	if (value_len(offers) > 0) {
		printf("\noffered to others:\n");
		table_print(table);
	}
}

/* All pages as one report. */
static int collect(struct cli *cli, const char *path, struct value **ret_report, struct err *err)
{
	struct value *all = value_list(cli->arena), *report = NULL;
	const char *join = strchr(path, '?') ? "&" : "?", *more = "";
	while (more && value_len(all) < LIST_MOST) {
		const char *page = arena_printf(cli->arena, "%s%s%s%s", path, *more ? join : "",
		                                *more ? "continue=" : "", more);
		struct value *got = NULL;
		TRY(client_call(cli, &(struct call){.method = "GET", .path = page}, &got, err));
		const struct value *items = value_get(got, "items");
		for (size_t i = 0; i < value_len(items); i++)
			value_add(all, value_copy(cli->arena, value_at(items, i)));
		more = value_get_str(got, "continue");
		report = report ? report : got;
	}
	value_set(report, "items", all);
	value_remove(report, "continue");
	*ret_report = report;
	return value_check(report, err);
}

static int access_of(struct cli *cli, struct err *err)
{
	const char *tenant = NULL, *domain = NULL, *name = cli_word(cli, 0), *path = NULL;
	const char *dot = strchr(name, '.');
	struct value *report = NULL;
	TRY(cli_tenant(cli, &tenant, err));
	if (dot)
		domain = arena_strndup(cli->arena, name, (size_t)(dot - name));
	else
		TRY(cli_domain(cli, &domain, err));
	path = client_path(cli, "/v1/tenants/%s/domains/%s/datasets/%s/access", tenant,
	                   domain ? domain : "", dot ? dot + 1 : name);
	TRY(question(cli, path, percent_encode, &path, err));
	TRY(collect(cli, path, &report, err));
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, report, err);
	print_items(cli, value_get(report, "items"));
	print_offers(cli, value_get(report, "offers"));
	return 0;
}

static const struct option_row can_options[] = {
	{"as", "PRINCIPAL", "about somebody else; for who may access:read there"},
	{"purpose", "PURPOSE", "as if it were said what for"},
	{"at", "TIME", "as if it were then"},
	{"address", "ADDRESS", "as if it came from there"},
	{NULL, NULL, NULL}};

const struct verb verb_can_i = {
	.name = "can-i",
	.words = "ACTION RESOURCE",
	.words_min = 2,
	.words_max = 2,
	.summary = "May I do that, and why: roles, policies, rows and columns; exit code 4: no",
	.options = can_options,
	.run = can_i,
	.example = "freehold can-i dataset:read trips.rides --as carl --purpose billing",
};

const struct verb verb_who_can = {
	.name = "who-can",
	.words = "ACTION RESOURCE",
	.words_min = 2,
	.words_max = 2,
	.summary = "Who may do that, and by which roles, groups, bindings and policies",
	.options = can_options + 1,
	.run = who_can,
	.example = "freehold who-can dataset:read trips.rides",
};

const struct verb verb_access = {
	.name = "access",
	.words = "DATASET",
	.words_min = 1,
	.words_max = 1,
	.summary =
		"Who may read, write and end a dataset, why, what they see, to whom it is offered",
	.options = can_options + 1,
	.run = access_of,
	.example = "freehold access trips.rides -o json",
};
