/* test_settle.c - from a report to what is true: all of it once, or nothing. */
#include "common/defs.h"
#include "control/settle.h"

#include "common/json.h"
#include "common/store_mem.h"
#include "control/plan.h"
#include "control/shard_impl.h"
#include "control/snapshots.h"
#include "tests/support/desk.h"

#include <criterion/criterion.h>
#include <string.h>

static struct settle_item item_of(const struct report *report)
{
	return (struct settle_item){ .kind = SETTLE_REPORT, .worker = "w1", .report = report };
}

static int settle_one(struct desk *desk, struct settle_item *item)
{
	struct settle_item *items[] = { item };
	size_t count = 0;
	return settle(&desk->part, items, 1, &count, &desk->err);
}

static struct report ended(const struct work *work, enum outcome outcome)
{
	return (struct report){
		.task = work->id, .token = work->token, .outcome = outcome,
		.usage = { .cpu_ms = 1500, .bytes_read = 10, .bytes_written = 20, .rows = 3,
		           .memory_peak_bytes = 4096, .wall_ms = 77 },
	};
}

/* A succeeded ingest of 3 rows in one sealed file of 100 bytes. */
static struct report loaded(struct desk *desk, const struct work *work, struct output *output,
                            struct table_file *file)
{
	const char *uid = desk_uid(desk, KIND_DATASET, "acme", "ops", "raw");
	char prefix[GRANT_PREFIX_MAX];
	grant_prefix("acme", "ops", work->token, prefix);
	*file = (struct table_file){
		.path = arena_printf(desk->arena, "%s/0.parquet", prefix), .rows = 3, .bytes = 100,
		.plain_bytes = 90,
	};
	*output = (struct output){
		.uid = uid, .files = file, .file_count = 1, .rejected_rows = 2,
		.schema = desk_json(desk, "[{'name':'airport','type':'string'}]"),
	};
	struct report report = ended(work, OUTCOME_SUCCEEDED);
	report.outputs = output;
	report.output_count = 1;
	return report;
}

static int64_t rows_now(struct desk *desk)
{
	struct dataset_at at = { "acme", "ops", "raw" };
	struct snapshot *snapshot = NULL;
	int64_t revision = 0;
	cr_assert_eq(snapshots_current(desk->control.catalog, desk->arena, &at, &snapshot, NULL,
	                               &revision, &desk->err), 0);
	return snapshot ? snapshot->rows : 0;
}

Test(settle, result_snapshot_usage_and_audit_become_true_together)
{
	struct desk *desk = desk_new(false);
	struct output output;
	struct table_file file;
	desk_story(desk);
	const char *id = desk_submit(desk, "acme", TASK_INGEST, "{'source':'raw'}");
	struct work work = desk_pick(desk);
	struct report report = loaded(desk, &work, &output, &file);
	struct settle_item item = item_of(&report);
	cr_assert_eq(settle_one(desk, &item), 0, "%s", desk->err.text);
	cr_assert_not(item.ignored);
	for (int replayed = 0; replayed < 2; replayed++) {
		struct value *task = desk_task(desk, "acme", id);
		cr_assert_str_eq(value_get_str(task, "state"), "succeeded");
		const struct value *out = value_at(value_get(task, "outputs"), 0);
		cr_assert_str_eq(value_get_str(out, "dataset"), "ops.raw");
		cr_assert_eq(value_get_int(out, "rows", 0), 3);
		cr_assert_eq(value_get_int(out, "rejectedRows", 0), 2);
		cr_assert_eq(rows_now(desk), 3);
		cr_assert_eq(desk_used(desk, "acme", "cpuMs"), 1500);
		cr_assert_eq(desk_used(desk, "acme", "bytesStored"), 100);
		cr_assert_eq(desk_used(desk, "acme", "tasks"), 1);
		cr_assert_eq(desk_reserved(desk, "acme", "cpuMs"), 0);
		cr_assert_eq(desk_events(desk, "acme", "task:outcome", "succeeded"), 1);
		desk_lead(desk);
	}
	desk_end(desk);
}

Test(settle, an_outcome_and_its_audit_event_are_one_commit)
{
	struct desk *desk = desk_new(false);
	struct output output;
	struct table_file file;
	struct journal_stats before, after;
	desk_story(desk);
	const char *id = desk_submit(desk, "acme", TASK_INGEST, "{'source':'raw'}");
	struct work work = desk_pick(desk);
	struct report report = loaded(desk, &work, &output, &file);
	struct settle_item item = item_of(&report);
	store_mem_fail(desk->control.store, 1, E_UNAVAILABLE);   /* it cannot be written */
	cr_assert_lt(settle_one(desk, &item), 0);
	cr_expect_str_eq(desk_state(desk, "acme", id), "running", "no event, no outcome");
	cr_expect_eq(desk_events(desk, "acme", "task:outcome", "succeeded"), 0);
	store_mem_fail(desk->control.store, 0, 0);
	journal_stats(desk->part.journal, &before);
	cr_assert_eq(settle_one(desk, &item), 0, "%s", desk->err.text);
	journal_stats(desk->part.journal, &after);
	cr_expect_eq(after.commits, before.commits + 1);
	cr_expect_eq(after.changes, before.changes + 1);
	cr_expect_str_eq(desk_state(desk, "acme", id), "succeeded");
	cr_expect_eq(desk_events(desk, "acme", "task:outcome", "succeeded"), 1);
	desk_end(desk);
}

Test(settle, a_report_that_comes_twice_changes_nothing)
{
	struct desk *desk = desk_new(false);
	struct output output;
	struct table_file file;
	desk_story(desk);
	desk_submit(desk, "acme", TASK_INGEST, "{'source':'raw'}");
	struct work work = desk_pick(desk);
	struct report report = loaded(desk, &work, &output, &file);
	struct settle_item item = item_of(&report), again = item_of(&report);
	struct settle_item *both[] = { &item, &again };
	size_t count = 0;
	cr_assert_eq(settle(&desk->part, both, 2, &count, &desk->err), 0);
	cr_assert_eq(count, 1, "one task's reports do not share a change");
	cr_assert_eq(settle_one(desk, &again), 0);
	cr_assert(again.ignored);
	cr_assert_eq(rows_now(desk), 3);
	cr_assert_eq(desk_used(desk, "acme", "cpuMs"), 1500);
	desk_end(desk);
}

Test(settle, a_zombies_report_changes_nothing)
{
	struct desk *desk = desk_new(false);
	struct output output;
	struct table_file file;
	desk_story(desk);
	const char *id = desk_submit(desk, "acme", TASK_INGEST, "{'source':'raw'}");
	struct work zombie = desk_pick(desk);
	struct report lost = ended(&zombie, OUTCOME_FAILED);
	lost.code = E_DEAD_WORKER;
	lost.text = "its worker died";
	lost.usage = (struct usage){ 0 };
	struct settle_item item = item_of(&lost);
	cr_assert_eq(settle_one(desk, &item), 0);
	cr_assert_str_eq(desk_state(desk, "acme", id), "queued");
	clock_advance(desk->clock, 60000);
	struct work second = desk_pick(desk);
	cr_assert_eq(second.attempt, 2);
	struct report late = loaded(desk, &zombie, &output, &file);
	struct settle_item late_item = item_of(&late);
	cr_assert_eq(settle_one(desk, &late_item), 0);
	cr_assert(late_item.ignored);
	cr_assert_eq(rows_now(desk), 0);
	cr_assert_str_eq(desk_state(desk, "acme", id), "running");
	struct report good = loaded(desk, &second, &output, &file);
	struct settle_item good_item = item_of(&good);
	cr_assert_eq(settle_one(desk, &good_item), 0);
	cr_assert_eq(rows_now(desk), 3);
	cr_assert_eq(desk_used(desk, "acme", "cpuMs"), 1500, "only what was measured is billed");
	cr_assert_eq(desk_used(desk, "acme", "tasks"), 1);
	desk_end(desk);
}

Test(settle, attempts_are_billed_and_their_number_is_bounded)
{
	struct desk *desk = desk_new(false);
	const char *id = desk_submit(desk, "acme", TASK_PROBE, "{}");
	for (int attempt = 1; attempt <= 3; attempt++) {
		struct work work = desk_pick(desk);
		struct report report = ended(&work, OUTCOME_FAILED);
		report.code = E_IO;
		report.text = "the disk broke";
		struct settle_item item = item_of(&report);
		cr_assert_eq(settle_one(desk, &item), 0);
		clock_advance(desk->clock, 60000);
	}
	struct value *task = desk_task(desk, "acme", id);
	cr_assert_str_eq(value_get_str(task, "state"), "dead");
	cr_assert_str_eq(value_get_str(value_get(task, "error"), "code"), "IO");
	cr_assert_str_eq(value_get_str(task, "reason"),
	                 "attempt 3 failed with IO (transient) and was its last");
	cr_assert_eq(value_len(value_get(task, "transitions")), 7);
	cr_assert_eq(desk_used(desk, "acme", "cpuMs"), 4500);
	cr_assert_eq(desk_used(desk, "acme", "tasks"), 1);
	desk_end(desk);
}

static void fail_with(struct desk *desk, int code)
{
	struct work work = desk_pick(desk);
	struct report report = ended(&work, OUTCOME_FAILED);
	report.code = code;
	report.text = "it broke";
	struct settle_item item = item_of(&report);
	cr_assert_eq(settle_one(desk, &item), 0);
	clock_advance(desk->clock, 60000);
}

Test(settle, what_outgrew_its_limits_is_tried_once_more_and_has_failed_then)
{
	struct desk *desk = desk_new(false);
	const char *id = desk_submit(desk, "acme", TASK_PROBE, "{}");
	fail_with(desk, E_RESOURCES);
	cr_assert_str_eq(desk_state(desk, "acme", id), "queued");
	fail_with(desk, E_RESOURCES);
	cr_assert_str_eq(desk_state(desk, "acme", id), "failed");
	id = desk_submit(desk, "acme", TASK_PROBE, "{}");
	for (int i = 0; i < 3; i++)
		fail_with(desk, E_INTERNAL);
	cr_assert_str_eq(desk_state(desk, "acme", id), "dead", "a bug is");
	desk_end(desk);
}

static const char *transitions_of(struct desk *desk, const char *id)
{
	AUTO_BUF out;
	buf_init(&out, 64 * KIB);
	json_print(value_get(desk_task(desk, "acme", id), "transitions"), &out);
	cr_assert_eq(buf_check(&out, &desk->err), 0);
	return arena_strdup(desk->arena, (char *)out.data);
}

Test(settle, a_replay_tells_the_same_transitions)
{
	struct desk *desk = desk_new(false);
	const char *id = desk_submit(desk, "acme", TASK_PROBE, "{}");
	clock_advance(desk->clock, 500);
	fail_with(desk, E_IO);
	fail_with(desk, E_INPUT);
	const char *told = transitions_of(desk, id);
	desk_lead(desk);
	cr_assert_str_eq(transitions_of(desk, id), told);
	cr_assert(strstr(told, "attempt 1 failed with IO (transient) and is followed by another"),
	          "%s", told);
	desk_end(desk);
}

Test(settle, an_attempt_that_gave_its_place_counts_against_nothing)
{
	struct desk *desk = desk_new(false);
	const char *id = desk_submit(desk, "acme", TASK_PROBE, "{}");
	for (int i = 0; i < 5; i++) {
		struct work work = desk_pick(desk);
		cr_assert_eq(work.attempt, i + 1, "each is billed by its own number");
		task_find(desk->part.shard, id)->preempted = true;
		struct report report = ended(&work, OUTCOME_CANCELLED);
		struct settle_item item = item_of(&report);
		cr_assert_eq(settle_one(desk, &item), 0);
		cr_assert_str_eq(desk_state(desk, "acme", id), "queued");
	}
	cr_assert_eq(value_get_int(desk_task(desk, "acme", id), "attempt", -1), 0);
	cr_assert_eq(desk_used(desk, "acme", "cpuMs"), 7500, "what they used is billed");
	desk_lead(desk);
	cr_assert_eq(value_get_int(desk_task(desk, "acme", id), "attempt", -1), 0);
	for (int i = 0; i < 3; i++)
		fail_with(desk, E_IO);
	cr_assert_str_eq(desk_state(desk, "acme", id), "dead");
	desk_end(desk);
}

Test(settle, an_error_of_the_data_is_not_retried)
{
	struct desk *desk = desk_new(false);
	const char *id = desk_submit(desk, "acme", TASK_PROBE, "{}");
	struct work work = desk_pick(desk);
	struct report report = ended(&work, OUTCOME_FAILED);
	report.code = E_INPUT;
	report.text = "column 3 is no number";
	struct settle_item item = item_of(&report);
	cr_assert_eq(settle_one(desk, &item), 0);
	cr_assert_str_eq(desk_state(desk, "acme", id), "failed");
	desk_end(desk);
}

Test(settle, a_dataset_made_anew_while_the_attempt_ran_gets_nothing_of_it)
{
	struct desk *desk = desk_new(false);
	struct output output;
	struct table_file file;
	desk_story(desk);
	const char *id = desk_submit(desk, "acme", TASK_INGEST, "{'source':'raw'}");
	struct work work = desk_pick(desk);
	struct report report = loaded(desk, &work, &output, &file);
	desk_delete(desk, KIND_DATASET, "acme", "ops", "raw");
	desk_put(desk, KIND_DATASET, "acme", "ops", "raw", "{}");
	struct settle_item item = item_of(&report);
	cr_assert_eq(settle_one(desk, &item), 0, "%s", desk->err.text);
	cr_assert_eq(rows_now(desk), 0);
	cr_assert_str_eq(desk_state(desk, "acme", id), "queued", "it is tried again");
	desk_end(desk);
}

Test(settle, what_queries_took_is_counted_by_dimension_and_none_it_does_not_know)
{
	struct desk *desk = desk_new(false);
	struct reads reads[] = {
		{ "acme", "ops", 3, "queries" }, { "acme", "ops", 70, "cpuMs" },
		{ "acme", "ops", 4096, "bytesRead" }, { "acme", "ops", 9, "costMicros" },
		{ "acme", "ops", 9, "wishes" },
	};
	struct settle_item item = {
		.kind = SETTLE_READS, .worker = "w1", .incarnation = 7, .meter_seq = 1,
		.reads = reads, .reads_count = ARRAY_LEN(reads),
	};
	cr_assert_eq(settle_one(desk, &item), 0);
	cr_expect_eq(desk_used(desk, "acme", "queries"), 3);
	cr_expect_eq(desk_used(desk, "acme", "cpuMs"), 70);
	cr_expect_eq(desk_used(desk, "acme", "bytesRead"), 4096);
	cr_expect_eq(desk_used(desk, "acme", "onlineReads"), 0);
	desk_end(desk);
}

Test(settle, reads_are_counted_once_however_often_they_come)
{
	struct desk *desk = desk_new(false);
	struct reads reads[] = { { "acme", "ops", 40, NULL }, { "globex", "dev", 2, NULL } };
	struct settle_item item = {
		.kind = SETTLE_READS, .worker = "w1", .incarnation = 7, .meter_seq = 1,
		.reads = reads, .reads_count = 2,
	};
	cr_assert_eq(settle_one(desk, &item), 0);
	cr_assert_eq(settle_one(desk, &item), 0);
	cr_assert(item.ignored);
	desk_lead(desk);
	cr_assert_eq(settle_one(desk, &item), 0);
	cr_assert_eq(desk_used(desk, "acme", "onlineReads"), 40);
	cr_assert_eq(desk_used(desk, "globex", "onlineReads"), 2);
	item.meter_seq = 2;
	cr_assert_eq(settle_one(desk, &item), 0);
	cr_assert_eq(desk_used(desk, "acme", "onlineReads"), 80);
	desk_end(desk);
}

Test(settle, a_deposed_leader_settles_nothing)
{
	struct desk *desk = desk_new(false);
	struct output output;
	struct table_file file;
	desk_story(desk);
	const char *id = desk_submit(desk, "acme", TASK_INGEST, "{'source':'raw'}");
	struct work work = desk_pick(desk);
	struct report report = loaded(desk, &work, &output, &file);
	struct settle_item item = item_of(&report);
	desk_depose(desk);
	cr_assert_eq(settle_one(desk, &item), E_NOT_LEADER);
	cr_assert_eq(rows_now(desk), 0);
	cr_assert_str_eq(desk_state(desk, "acme", id), "running");
	desk_lead(desk);
	bool cancel = false;
	cr_assert(shard_adopt(desk->part.shard, shard_replays(desk->part.shard), id,
	                      &work.token, "w1", &cancel));
	cr_assert_eq(settle_one(desk, &item), 0);
	cr_assert_eq(rows_now(desk), 3);
	desk_end(desk);
}

Test(settle, any_store_call_may_fail_once_and_the_report_counts_once)
{
	static const int codes[] = { E_UNAVAILABLE, E_UNKNOWN_OUTCOME, E_PRECONDITION };
	for (uint64_t call = 1; call <= 4; call++)
		for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
			struct desk *desk = desk_new(false);
			struct output output;
			struct table_file file;
			bool cancel = false;
			desk_story(desk);
			const char *id = desk_submit(desk, "acme", TASK_INGEST, "{'source':'raw'}");
			struct work work = desk_pick(desk);
			struct report report = loaded(desk, &work, &output, &file);
			struct settle_item item = item_of(&report);
			store_mem_fail(desk->control.store, call, codes[i]);
			for (int again = 0; settle_one(desk, &item) < 0; again++) {
				cr_assert_lt(again, 5, "%s", desk->err.text);
				if (journal_epoch(desk->part.journal))
					continue;
				desk_lead(desk);
				if (!shard_adopt(desk->part.shard,
				                 shard_replays(desk->part.shard),
				                 id, &work.token, "w1", &cancel))
					cr_assert_str_eq(desk_state(desk, "acme", id), "succeeded");
			}
			store_mem_fail(desk->control.store, 0, 0);
			desk_lead(desk);
			cr_assert_str_eq(desk_state(desk, "acme", id), "succeeded");
			cr_assert_eq(desk_used(desk, "acme", "cpuMs"), 1500);
			cr_assert_eq(rows_now(desk), 3);
			desk_end(desk);
		}
}
