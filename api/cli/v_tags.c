/* v_tags.c - freehold tags: what a dataset's data is, where that comes from, and decisions to lift
 * what it inherits. freehold lineage: what it is made of, and what is made of it. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include <stdio.h>
#include <string.h>

enum { NAME_MOST = 64, COLUMN_MOST = 129, FROM_BYTES = 64 * 1024 };

/* "NAME", "DOMAIN.NAME", and with a column "NAME.COLUMN", "DOMAIN.NAME.COLUMN". */
struct target {
	char domain[NAME_MOST], name[NAME_MOST], column[COLUMN_MOST];
};

static int no_target(const char *word, struct err *err)
{
	return err_set(err, E_INVALID, "%.200s: must be DATASET, DOMAIN.DATASET or "
	               "DOMAIN.DATASET.COLUMN; or give --column", word);
}

/* One part into its place; false: it is empty, or too long. */
static bool take_part(const char *from, size_t len, char *to, size_t room)
{
	if (len == 0 || len >= room)
		return false;
	memcpy(to, from, len);
	to[len] = 0;
	return true;
}

static int take_target(struct cli *cli, const char *word, struct target *ret_target,
                       struct err *err)
{
	struct target target = {.column = ""};
	const char *dot = strchr(word, '.'), *column = cli_option(cli, "column"), *domain = word;
	if (!dot)
		TRY(cli_domain(cli, &domain, err));
	const char *name = dot ? dot + 1 : word, *more = dot ? strchr(name, '.') : NULL;
	size_t domain_len = dot ? (size_t)(dot - word) : strlen(domain);
	size_t name_len = more ? (size_t)(more - name) : strlen(name);
	if (more && column)
		return no_target(word, err);
	if (more)
		column = more + 1;
	bool good = take_part(domain, domain_len, target.domain, sizeof target.domain) &&
	            take_part(name, name_len, target.name, sizeof target.name);
	if (column)
		good &= take_part(column, strlen(column), target.column, sizeof target.column);
	if (!good)
		return no_target(word, err);
	*ret_target = target;
	return 0;
}

static const char *path_of(struct cli *cli, const char *tenant, const struct target *target,
                           const char *rest)
{
	return client_path(cli, "/v1/tenants/%s/domains/%s/datasets/%s/%s", tenant, target->domain,
	                   target->name, rest);
}

static const char *joined(struct cli *cli, const struct value *list)
{
	AUTO_BUF text;
	buf_init(&text, FROM_BYTES);
	for (size_t i = 0; i < value_len(list); i++)
		buf_printf(&text, "%s%s", i ? ", " : "", value_as_str(value_at(list, i)));
	buf_putc(&text, 0);
	const char *copy = NULL;
	if (buf_check(&text, NULL) == 0)
		copy = arena_strdup(cli->arena, (const char *)text.data);
	return copy ? copy : "(many)";
}

/* --- tags --- */

static void add_tags(struct cli *cli, struct table *table, const char *column,
                     const struct value *tags)
{
	for (size_t i = 0; i < value_len(tags); i++) {
		const struct value *tag = value_at(tags, i);
		table_cell(table, column);
		table_cell(table, value_get_str(tag, "tag"));
		table_cell(table, value_get_str(tag, "how"));
		table_cell(table, joined(cli, value_get(tag, "from")));
	}
}

static void show_lifts(struct cli *cli, const struct value *lifts)
{
	static const char *const titles[] = {"LIFTED", "COLUMN", "STATE", "BY",
	                                     "AT",     "REASON", NULL};
	struct table *table = table_new(cli, titles);
	if (value_len(lifts) == 0)
		return;
	for (size_t i = 0; i < value_len(lifts); i++) {
		const struct value *lift = value_at(lifts, i);
		const char *column = value_get_str(lift, "column");
		table_cell(table, value_get_str(lift, "tag"));
		table_cell(table, column ? column : "-");
		table_cell(table, value_get_str(lift, "state"));
		table_cell(table, value_get_str(lift, "by"));
		table_cell(table, value_get_str(lift, "at"));
		table_cell(table, value_get_str(lift, "reason"));
	}
	printf("\n");
	table_print(table);
}

static int show_tags(struct cli *cli, const struct value *answer, struct err *err)
{
	static const char *const titles[] = {"COLUMN", "TAG", "HOW", "FROM", NULL};
	const struct value *columns = value_get(answer, "columns");
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, answer, err);
	struct table *table = table_new(cli, titles);
	add_tags(cli, table, "-", value_get(answer, "tags"));
	for (size_t i = 0; i < value_len(columns); i++) {
		const struct value *column = value_at(columns, i);
		add_tags(cli, table, value_get_str(column, "name"), value_get(column, "tags"));
	}
	add_tags(cli, table, "(others)", value_get(answer, "rest"));
	table_print(table);
	show_lifts(cli, value_get(answer, "lifts"));
	return 0;
}

static int decide(struct cli *cli, const char *tenant, bool lifts, struct err *err)
{
	struct target target;
	struct value *answer = NULL, *body = value_map(cli->arena);
	const char *word = cli_word(cli, 1), *tag = cli_word(cli, 2);
	const char *reason = cli_option(cli, "reason");
	if (!word || !tag)
		return err_set(err, E_INVALID, "%s needs DATASET[.COLUMN] and TAG",
		               cli_word(cli, 0));
	if (lifts && !reason)
		return err_set(err, E_INVALID, "--reason: is missing; who asks later wants to know "
		               "why the tag was lifted");
	TRY(take_target(cli, word, &target, err));
	value_set_str(body, "tag", tag);
	value_set_str(body, "column", *target.column ? target.column : NULL);
	value_set_str(body, "reason", lifts ? reason : NULL);
	const char *rest = lifts ? "tags/lift" : "tags/unlift";
	struct call call = {
		.method = "POST", .path = path_of(cli, tenant, &target, rest), .body = body};
	TRY(client_call(cli, &call, &answer, err));
	return show_tags(cli, answer, err);
}

static int tags(struct cli *cli, struct err *err)
{
	struct target target;
	struct value *answer = NULL;
	const char *tenant = NULL, *what = cli_word(cli, 0);
	TRY(cli_tenant(cli, &tenant, err));
	if (strcmp(what, "lift") == 0 || strcmp(what, "unlift") == 0)
		return decide(cli, tenant, what[0] == 'l', err);
	if (cli_word(cli, 1))
		return err_set(err, E_INVALID, "%.80s: must be lift or unlift, or a dataset alone",
		               what);
	TRY(take_target(cli, what, &target, err));
	struct call call = {.method = "GET", .path = path_of(cli, tenant, &target, "tags")};
	TRY(client_call(cli, &call, &answer, err));
	return show_tags(cli, answer, err);
}

static const struct option_row tags_options[] = {
	{"reason", "TEXT", "why the tag is lifted"},
	{"column", "NAME", "of the dataset; instead of DATASET.COLUMN"},
	{NULL, NULL, NULL}};

const struct verb verb_tags = {
	.name = "tags",
	.words = "DATASET | lift|unlift DOMAIN.DATASET[.COLUMN] TAG",
	.words_min = 1,
	.words_max = 3,
	.summary = "Tags of a dataset and its columns, where they come from; lift what it inherits",
	.options = tags_options,
	.run = tags,
	.example = "freehold tags lift people.by_city.n pii --reason \"counts of over 100\"",
};

/* --- lineage --- */

static void show_steps(const char *title, const struct value *steps)
{
	if (value_len(steps) == 0)
		return;
	printf("%s\n", title);
	for (size_t i = 0; i < value_len(steps); i++) {
		const struct value *step = value_at(steps, i);
		const char *name = value_get_str(step, "dataset");
		const char *view = value_get_str(step, "view");
		const char *by = value_get_str(step, "by");
		int64_t depth = value_get_int(step, "depth", 1);
		int64_t snapshot = value_get_int(step, "snapshot", 0);
		printf("%*s%s%s", (int)(2 * depth), "", view ? "view " : "",
		       name ? name : view ? view : "(not for you to see)");
		if (snapshot)
			printf(" @%lld", (long long)snapshot);
		if (by)
			printf(" (%s)", by);
		printf("%s\n", value_get_bool(step, "again", false) ? " (see above)" : "");
	}
}

static void show_columns(struct cli *cli, const struct value *answer)
{
	static const char *const titles[] = {"COLUMN", "MADE OF", NULL};
	const struct value *columns = value_get(answer, "columns");
	struct table *table = table_new(cli, titles);
	for (size_t i = 0; i < value_len(columns); i++) {
		const struct value *column = value_at(columns, i);
		table_cell(table, value_get_str(column, "name"));
		table_cell(table, joined(cli, value_get(column, "from")));
	}
	if (value_len(value_get(answer, "influence"))) {
		table_cell(table, "(which rows)");
		table_cell(table, joined(cli, value_get(answer, "influence")));
	}
	printf("\n");
	if (value_get(answer, "exact") && !value_get_bool(answer, "exact", true))
		printf("Each column is taken to be made of everything that was read.\n");
	else
		table_print(table);
}

static int lineage(struct cli *cli, struct err *err)
{
	struct target target;
	struct value *answer = NULL;
	const char *tenant = NULL;
	TRY(cli_tenant(cli, &tenant, err));
	TRY(take_target(cli, cli_word(cli, 0), &target, err));
	if (*target.column)
		return no_target(cli_word(cli, 0), err);
	struct call call = {.method = "GET", .path = path_of(cli, tenant, &target, "lineage")};
	TRY(client_call(cli, &call, &answer, err));
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, answer, err);
	const char *by = value_get_str(answer, "by");
	printf("%s%s%s%s\n", value_get_str(answer, "dataset"), by ? " (" : "", by ? by : "",
	       by ? ")" : "");
	show_steps("made of", value_get(answer, "up"));
	show_steps("goes into", value_get(answer, "down"));
	if (cli_switch(cli, "columns") && by)
		show_columns(cli, answer);
	return 0;
}

static const struct option_row lineage_options[] = {
	{"columns", NULL, "also what each column is made of"},
	{NULL, NULL, NULL}};

const struct verb verb_lineage = {
	.name = "lineage",
	.words = "DATASET",
	.words_min = 1,
	.words_max = 1,
	.summary = "What a dataset is made of, and what is made of it",
	.options = lineage_options,
	.run = lineage,
	.example = "freehold lineage people.by_city --columns",
};
