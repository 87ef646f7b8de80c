/* test_lineage.c - what SETTLE keeps of what a dataset is made of. */
#include "common/defs.h"
#include "control/lineage.h"

#include "control/settle.h"
#include "tests/support/desk.h"

#include <criterion/criterion.h>
#include <string.h>

/* A transformation that ends, with what its worker says of columns; NULL: an older worker. */
static void transform(struct desk *desk, const char *lineage)
{
	char prefix[GRANT_PREFIX_MAX];
	desk_submit(desk, "acme", TASK_TRANSFORM, "{'transformation':'hourly'}");
	struct work work = desk_pick(desk);
	grant_prefix("acme", "ops", work.token, prefix);
	struct table_file file = { .path = arena_printf(desk->arena, "%s/0.parquet", prefix),
		                   .rows = 3, .bytes = 100, .plain_bytes = 90 };
	const struct value *current = NULL;
	struct snapshot *snapshot = NULL;
	int64_t revision = 0;
	const struct dataset_at at = { "acme", "ops", "hourly" };
	cr_assert_eq(snapshots_current(desk->control.catalog, desk->arena, &at, &snapshot, &current,
	                               &revision, NULL), 0);
	struct output output = {
		.uid = desk_uid(desk, KIND_DATASET, "acme", "ops", "hourly"), .replace = true,
		.files = &file, .file_count = 1, .base_snapshot = snapshot ? snapshot->id : 0,
		.schema = desk_json(desk, "[{'name':'airport','type':'string'}]"),
		.lineage = lineage ? desk_json(desk, lineage) : NULL,
	};
	struct report report = { .task = work.id, .token = work.token,
		                 .outcome = OUTCOME_SUCCEEDED, .outputs = &output,
		                 .output_count = 1 };
	struct settle_item item = { .kind = SETTLE_REPORT, .worker = "w1", .report = &report };
	struct settle_item *items[] = { &item };
	size_t count = 0;
	cr_assert_eq(settle(&desk->part, items, 1, &count, &desk->err), 0, "%s", desk->err.text);
}

static const struct value *kept(struct desk *desk)
{
	const struct dataset_at at = { "acme", "ops", "hourly" };
	const struct value *lineage = NULL;
	cr_assert_eq(lineage_get(&desk->control, desk->arena, &at,
	                         desk_uid(desk, KIND_DATASET, "acme", "ops", "hourly"), &lineage,
	                         NULL), 0);
	return lineage;
}

static const char *said(struct desk *desk, const char *columns)
{
	return arena_printf(desk->arena, "{'sql':'abc','from':[{'domain':'ops','name':'raw','uid':"
	                    "'%s','snapshot':7}],'exact':true,'inputs':[0],%s,'influence':[]}",
	                    desk_uid(desk, KIND_DATASET, "acme", "ops", "raw"), columns);
}

Test(lineage, is_kept_with_the_snapshot_and_as_long_as_it_is_that_dataset)
{
	struct desk *desk = desk_new(false);
	desk_story(desk);
	cr_expect_null(kept(desk));
	transform(desk, said(desk, "'columns':{'airport':[[0,'airport']]}"));
	for (int replayed = 0; replayed < 2; replayed++) {
		const struct value *lineage = kept(desk);
		cr_assert_not_null(lineage);
		const struct value *input = value_at(value_get(lineage, "inputs"), 0);
		cr_expect(value_get_bool(lineage, "exact", false));
		cr_expect_str_eq(value_get_str(lineage, "sql"), "abc");
		cr_expect_str_eq(value_get_str(lineage, "by"), "ops.hourly");
		cr_expect_str_eq(value_get_str(input, "name"), "raw");
		cr_expect_eq(value_get_int(input, "snapshot", 0), 7);
		desk_lead(desk);
	}
	const struct dataset_at at = { "acme", "ops", "hourly" };
	const struct value *lineage = NULL;
	cr_assert_eq(lineage_get(&desk->control, desk->arena, &at, "another", &lineage, NULL), 0);
	cr_expect_null(lineage);
	desk_end(desk);
}

Test(lineage, that_is_not_whole_or_not_told_is_everything_of_every_input)
{
	static const char *const wrong[] = {
		"'columns':{}",                          /* not of every column */
		"'columns':{'airport':[[1,'airport']]}", /* an input that is none */
		"'columns':{'airport':[['airport']]}",
		"'columns':{'airport':[[0,5]]}",
		"'columns':{'other':[[0,'airport']]}",
		NULL,
	};
	struct desk *desk = desk_new(false);
	desk_story(desk);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		transform(desk, wrong[i] ? said(desk, wrong[i]) : NULL);
		const struct value *lineage = kept(desk);
		cr_assert_not_null(lineage, "%zu", i);
		cr_expect_not(value_get_bool(lineage, "exact", true), "%zu", i);
		cr_expect_eq(value_len(value_get(lineage, "inputs")), 1, "%zu", i);
		cr_expect(lineage_reads(value_at(value_get(lineage, "inputs"), 0)));
	}
	desk_end(desk);
}

Test(lineage, of_an_input_that_is_another_now_is_not_published)
{
	struct desk *desk = desk_new(false);
	desk_story(desk);
	transform(desk, "{'sql':'abc','from':[{'domain':'ops','name':'raw','uid':'other'}],"
	                "'exact':true,'inputs':[0],'columns':{'airport':[]},'influence':[]}");
	cr_expect_null(kept(desk));
	desk_end(desk);
}
