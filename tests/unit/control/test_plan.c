/* test_plan.c - from a task to its grant, and what a report may publish. */
#include "common/defs.h"
#include "control/plan.h"

#include "control/publish.h"
#include "tests/support/desk.h"

#include <criterion/criterion.h>
#include <string.h>

static int plan(struct desk *desk, struct grant **ret_grant, struct work *ret_work)
{
	*ret_work = desk_pick(desk);
	return plan_grant(&desk->control, desk->arena, ret_work, "w1", ret_grant, &desk->err);
}

/* As if an attempt had written that many rows. */
static void load(struct desk *desk, enum task_type type, const char *spec, int64_t rows)
{
	desk_submit(desk, "acme", type, spec);
	struct work work = desk_pick(desk);
	struct plan_output output;
	struct published published;
	struct change *change = NULL;
	cr_assert_eq(plan_output(&desk->control, desk->arena, &work, &output, &desk->err), 0);
	char prefix[GRANT_PREFIX_MAX];
	grant_prefix("acme", "ops", work.token, prefix);
	struct table_file file = {
		.path = arena_printf(desk->arena, "%s/0.parquet", prefix),
		.rows = rows, .bytes = rows * 10, .plain_bytes = rows * 9,
	};
	struct output written = {
		.uid = output.uid, .replace = output.replace, .files = &file, .file_count = 1,
		.schema = desk_json(desk, "[{'name':'airport','type':'string'}]"),
	};
	struct report report = {
		.task = work.id, .token = work.token, .outputs = &written, .output_count = 1
	};
	cr_assert_eq(change_new(&change, &desk->err), 0);
	cr_assert_eq(publish(&desk->control, desk->arena, change, &work, &report, &published,
	                     &desk->err), 0, "%s", desk->err.text);
	cr_assert_eq(journal_commit(desk->part.journal, change, &desk->err), 0);
	change_free(change);
}

Test(plan, an_ingest_gets_the_source_and_its_dataset)
{
	struct desk *desk = desk_new(false);
	struct grant *grant = NULL;
	struct work work;
	desk_story(desk);
	const char *id = desk_submit(desk, "acme", TASK_INGEST, "{'source':'raw'}");
	cr_assert_eq(plan(desk, &grant, &work), 0, "%s", desk->err.text);
	cr_assert_str_eq(grant->task, id);
	cr_assert_str_eq(value_get_str(grant->work, "path"), "raw.csv");
	cr_assert_str_eq(value_get_str(grant->work, "mode"), "append");
	cr_assert_eq(value_get_int(grant->work, "rejectLimit", 0), 5);
	cr_assert_null(value_get(grant->work, "dataset"));
	cr_assert_eq(fields_check(grant_work_fields(TASK_INGEST), grant->work, "work", &desk->err),
	             0, "%s", desk->err.text);
	cr_assert_eq(grant->input_count, 0);
	cr_assert_eq(grant->output_count, 1);
	const struct grant_table *output = &grant->outputs[0];
	cr_assert_str_eq(output->uid, desk_uid(desk, KIND_DATASET, "acme", "ops", "raw"));
	cr_assert_eq(output->snapshot, 0);
	cr_assert_eq(value_len(output->schema), 3);
	cr_assert_null(value_get(value_at(output->schema, 0), "description"));
	uint8_t none[KEY_BYTES] = { 0 };
	cr_assert_neq(memcmp(output->key, none, KEY_BYTES), 0, "the dataset's key is opened");
	desk_end(desk);
}

Test(plan, a_transform_reads_the_current_snapshot_and_replaces)
{
	struct desk *desk = desk_new(false);
	struct grant *grant = NULL;
	struct work work;
	desk_story(desk);
	load(desk, TASK_INGEST, "{'source':'raw'}", 7);
	load(desk, TASK_INGEST, "{'source':'raw'}", 5);
	desk_submit(desk, "acme", TASK_TRANSFORM, "{'transformation':'hourly'}");
	cr_assert_eq(plan(desk, &grant, &work), 0, "%s", desk->err.text);
	cr_assert_eq(grant->input_count, 1);
	cr_assert_eq(grant->inputs[0].snapshot, 2);
	cr_assert_eq(grant->inputs[0].file_count, 2, "an append keeps the files before");
	cr_assert_eq(grant->inputs[0].files[0].rows + grant->inputs[0].files[1].rows, 12);
	cr_assert_str_eq(grant->outputs[0].name, "hourly");
	cr_assert_eq(fields_check(grant_work_fields(TASK_TRANSFORM), grant->work, "work",
	                          &desk->err),
	             0);
	desk_end(desk);
}

Test(plan, a_materialize_reads_the_dataset_and_writes_the_view)
{
	struct desk *desk = desk_new(false);
	struct grant *grant = NULL;
	struct work work;
	desk_story(desk);
	load(desk, TASK_INGEST, "{'source':'raw'}", 7);
	desk_submit(desk, "acme", TASK_MATERIALIZE, "{'featureView':'delays'}");
	cr_assert_eq(plan(desk, &grant, &work), 0, "%s", desk->err.text);
	cr_assert_eq(fields_check(grant_work_fields(TASK_MATERIALIZE), grant->work, "work",
	                          &desk->err), 0, "%s", desk->err.text);
	cr_assert_str_eq(value_get_str(grant->work, "joinKey"), "airport");
	cr_assert_str_eq(value_get_str(grant->work, "keyType"), "string");
	cr_assert_str_eq(grant->inputs[0].name, "raw");
	cr_assert_str_eq(grant->outputs[0].uid, desk_uid(desk, KIND_FEATUREVIEW, "acme", "ops",
	                                                 "delays"));
	desk_end(desk);
}

Test(plan, what_is_missing_is_named)
{
	struct desk *desk = desk_new(false);
	struct grant *grant = NULL;
	struct work work;
	desk_story(desk);
	desk_submit(desk, "acme", TASK_TRANSFORM, "{'transformation':'hourly'}");
	cr_assert_eq(plan(desk, &grant, &work), E_INPUT);
	cr_assert(strstr(desk->err.text, "ops.raw has no data yet"), "%s", desk->err.text);
	desk_delete(desk, KIND_DATASET, "acme", "ops", "raw");
	desk_submit(desk, "acme", TASK_INGEST, "{'source':'raw'}");
	cr_assert_eq(plan(desk, &grant, &work), E_NOT_FOUND);
	cr_assert(strstr(desk->err.text, "dataset ops.raw does not exist"), "%s", desk->err.text);
	desk_end(desk);
}

Test(plan, a_report_publishes_only_files_of_its_own_attempt)
{
	struct desk *desk = desk_new(false);
	struct published published;
	struct change *change = NULL;
	desk_story(desk);
	desk_submit(desk, "acme", TASK_INGEST, "{'source':'raw'}");
	struct work work = desk_pick(desk);
	const char *uid = desk_uid(desk, KIND_DATASET, "acme", "ops", "raw");
	char prefix[GRANT_PREFIX_MAX];
	grant_prefix("acme", "ops", work.token, prefix);
	const char *paths[] = {
		"globex/x/1-1/0.parquet", arena_printf(desk->arena, "%s0.parquet", prefix),
		arena_printf(desk->arena, "%s/../../0.parquet", prefix),
	};
	cr_assert_eq(change_new(&change, &desk->err), 0);
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		struct table_file file = { .path = paths[i], .rows = 1, .bytes = 1 };
		struct output output = { .uid = uid, .files = &file, .file_count = 1,
		                         .schema = value_list(desk->arena) };
		struct report report = { work.id, work.token, .outputs = &output,
		.output_count = 1 };
		cr_assert_eq(publish(&desk->control, desk->arena, change, &work, &report,
		                     &published, &desk->err), E_INVALID, "%s", paths[i]);
	}
	change_free(change);
	desk_end(desk);
}

Test(plan, an_ingest_over_http_carries_the_tenants_hosts_as_they_are_now)
{
	struct desk *desk = desk_new(false);
	struct grant *grant = NULL;
	struct work work;
	desk_story(desk);
	desk_put(desk, KIND_SOURCE, "acme", "ops", "web", "{'connector':'http','url':"
	         "'https://data.example.com/a.csv?key=1','dataset':'raw','format':'csv'}");
	desk_submit(desk, "acme", TASK_INGEST, "{'source':'web'}");
	cr_assert_eq(plan(desk, &grant, &work), 0, "%s", desk->err.text);
	cr_assert_null(value_get(grant->work, "egress"), "by default nothing may be called");
	desk_put(desk, KIND_TENANT, "acme", NULL, "acme", "{'egress':[{'host':"
	         "'data.example.com','network':'10.0.0.0/8'}]}");
	cr_assert_eq(plan_grant(&desk->control, desk->arena, &work, "w1", &grant, &desk->err), 0);
	cr_assert_str_eq(value_get_str(grant->work, "path"),
	                 "https://data.example.com/a.csv?key=1");
	const struct value *entry = value_at(value_get(grant->work, "egress"), 0);
	cr_assert_str_eq(value_get_str(entry, "host"), "data.example.com");
	cr_assert_eq(fields_check(grant_work_fields(TASK_INGEST), grant->work, "work", &desk->err),
	             0, "%s", desk->err.text);
	desk_end(desk);
}
