/* v_explain.c - freehold explain: why a task waits, with the numbers. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "common/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A figure of a reason, whatever its kind. */
static void figure(struct table *table, const struct value *value)
{
	switch (value_kind(value)) {
	case VALUE_INT: table_number(table, value_as_int(value, 0)); return;
	case VALUE_REAL: table_cellf(table, "%.2f", value_as_real(value, 0)); return;
	default: table_cell(table, value_as_str(value));
	}
}

void explain_print(struct cli *cli, const struct value *explained)
{
	static const char *const titles[] = { "RULE", "WHOSE", "NEED", "HAVE", "LIMIT", "DETAIL",
		                              NULL };
	const struct value *reasons = value_get(explained, "reasons");
	const char *summary = value_get_str(explained, "summary");
	int64_t position = value_get_int(explained, "position", 0);
	int64_t seconds = value_get_int(explained, "estimateSeconds", -1);
	struct table *table = table_new(cli, titles);
	for (size_t i = 0; i < value_len(reasons); i++) {
		const struct value *reason = value_at(reasons, i);
		table_cell(table, value_get_str(reason, "rule"));
		table_cell(table, value_get_str(reason, "whose"));
		figure(table, value_get(reason, "need"));
		figure(table, value_get(reason, "have"));
		figure(table, value_get(reason, "limit"));
		table_cell(table, value_get_str(reason, "detail"));
	}
	printf("%s\n", summary ? summary : "nothing is said of it");
	if (position > 0)
		printf("place in line: %" PRId64 "\n", position);
	if (seconds >= 0)
		printf("estimate: %" PRId64 " s\n", seconds);
	if (value_len(reasons) > 0) {
		printf("\n");
		table_print(table);
	}
}

static int explain(struct cli *cli, struct err *err)
{
	const char *tenant = NULL, *domain = NULL;
	const char *what = cli_word(cli, 0), *id = cli_word(cli, 1);
	struct value *explained = NULL;
	if (strcmp(what, "task") != 0)
		return err_set(err, E_INVALID, "%s: only a task can be explained: freehold explain "
		               "task ID", what);
	if (!id_valid(id))
		return err_set(err, E_INVALID, "%s: no task id; see `freehold tasks`", id);
	TRY(cli_tenant(cli, &tenant, err));
	TRY(cli_domain(cli, &domain, err));
	struct call call = {
		.method = "GET",
		.path = client_path(cli, "/v1/tenants/%s/domains/%s/tasks/%s/explain", tenant,
	                            domain, id),
	};
	TRY(client_call(cli, &call, &explained, err));
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, explained, err);
	explain_print(cli, explained);
	return 0;
}

const struct verb verb_explain = {
	.name = "explain",
	.words = "task ID",
	.words_min = 2,
	.words_max = 2,
	.summary = "Why a task waits: each reason with its numbers, its place, an estimate",
	.run = explain,
	.example = "freehold explain task 01j9...",
};
