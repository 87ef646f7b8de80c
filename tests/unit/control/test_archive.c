/* test_archive.c - ended tasks leave memory for the history: each is in one of the two, always. */
#include "common/defs.h"
#include "control/archive.h"

#include "common/json.h"
#include "control/home.h"
#include "control/plan.h"
#include "control/settle.h"
#include "control/shard_archive.h"
#include "tests/support/desk.h"

#include <criterion/criterion.h>
#include <string.h>

#define MINUTE_MS INT64_C(60000)
static const struct leave_rules rules = { 3, MINUTE_MS, 60 * MINUTE_MS, 600 * MINUTE_MS };

static void story(struct desk *desk)
{
	desk_story(desk);
	desk_put(desk, KIND_TENANT, NULL, NULL, "acme", "{}");
}

static int settle_one(struct desk *desk, const struct report *report, bool *ret_ignored)
{
	struct settle_item item = { .kind = SETTLE_REPORT, .worker = "w1", .report = report };
	struct settle_item *items[] = { &item };
	size_t count = 0;
	int rc = settle(&desk->part, items, 1, &count, &desk->err);
	if (ret_ignored)
		*ret_ignored = item.ignored;
	return rc;
}

static struct report ended(const struct work *work, int code)
{
	return (struct report){
		.task = work->id, .token = work->token,
		.outcome = code ? OUTCOME_FAILED : OUTCOME_SUCCEEDED, .code = code,
		.text = code ? "it did not work" : NULL,
		.usage = { .cpu_ms = 1500, .bytes_read = 10, .bytes_written = 20, .rows = 3 },
	};
}

/* A probe that has ended; its id. */
static const char *probe(struct desk *desk, int code)
{
	const char *id = desk_submit(desk, "acme", TASK_PROBE, "{}");
	struct work work = desk_pick(desk);
	cr_assert_str_eq(work.id, id);
	struct report report = ended(&work, code);
	cr_assert_eq(settle_one(desk, &report, NULL), 0, "%s", desk->err.text);
	return id;
}

static size_t look(struct desk *desk)
{
	size_t submitted = 0;
	cr_assert_eq(archive_look(&desk->part, &rules, &submitted, &desk->err), 0, "%s",
	             desk->err.text);
	return submitted;
}

static struct grant *grant_of(struct desk *desk, const struct work *work)
{
	struct grant *grant = NULL;
	cr_assert_eq(plan_grant(&desk->control, desk->arena, work, "w1", &grant, &desk->err), 0,
	             "%s", desk->err.text);
	return grant;
}

/* What a worker would report of an archive task. */
static struct report archived(struct desk *desk, const struct grant *grant, struct output *output,
                              struct table_file *file)
{
	struct value *rows = NULL;
	const char *text = value_get_str(grant->work, "rows");
	cr_assert_eq(json_parse(desk->arena, text, strlen(text), &rows, &desk->err), 0);
	*file = (struct table_file){
		.path = arena_printf(desk->arena, "%s/data-0.parquet", grant->output_prefix),
		.rows = (int64_t)value_len(rows), .bytes = 100, .plain_bytes = 90,
	};
	*output = (struct output){
		.uid = grant->outputs[0].uid, .files = file, .file_count = 1,
		.schema = grant->outputs[0].schema, .base_snapshot = grant->outputs[0].snapshot,
		.replace = strcmp(value_get_str(grant->work, "mode"), "replace") == 0,
	};
	return (struct report){
		.task = grant->task, .token = grant->token, .outcome = OUTCOME_SUCCEEDED,
		.usage = { .cpu_ms = 99, .bytes_written = 100, .rows = file->rows },
		.outputs = output, .output_count = 1,
	};
}

static int64_t history_rows(struct desk *desk)
{
	struct snapshot *snapshot = NULL;
	return home_history(&desk->control, desk->arena, "acme", &snapshot) ? snapshot->rows : 0;
}

static size_t in_memory(struct desk *desk)
{
	struct shard_counts counts;
	shard_counts(desk->part.shard, &counts);
	return counts.tasks;
}

Test(archive, ended_tasks_are_in_memory_until_the_history_has_them)
{
	struct desk *desk = desk_new(false);
	struct output output;
	struct table_file file;
	const char *ids[3];
	story(desk);
	for (int i = 0; i < 3; i++)
		ids[i] = probe(desk, i == 2 ? E_INPUT : 0);
	cr_assert_eq(look(desk), 0, "a minute has not passed");
	clock_advance(desk->clock, 2 * MINUTE_MS);
	cr_assert_eq(look(desk), 1);
	cr_assert_eq(look(desk), 0, "one is under way");
	cr_assert(shard_leaves(desk->part.shard, "acme", ids[0]));
	cr_assert_not(shard_leaves(desk->part.shard, "acme", "01hzzzzzzzzzzzzzzzzzzzzzzz"));
	struct work work = desk_pick(desk);
	cr_assert_eq(work.type, TASK_ARCHIVE);
	cr_assert_str_eq(work.domain, "freehold");
	struct grant *grant = grant_of(desk, &work);
	cr_assert_str_eq(value_get_str(grant->work, "mode"), "append");
	for (int i = 0; i < 3; i++)
		cr_assert_not_null(desk_task(desk, "acme", ids[i]));
	struct report report = archived(desk, grant, &output, &file);
	cr_assert_eq(file.rows, 3);
	cr_assert_eq(settle_one(desk, &report, NULL), 0, "%s", desk->err.text);
	for (int replayed = 0; replayed < 2; replayed++) {
		for (int i = 0; i < 3; i++)
			cr_assert_null(desk_task(desk, "acme", ids[i]));
		cr_assert_eq(in_memory(desk), 0);
		cr_assert_eq(history_rows(desk), 3);
		cr_assert_eq(desk_used(desk, "acme", "tasks"), 3);
		cr_assert_eq(desk_used(desk, "acme", "cpuMs"), 4500);
		cr_assert_eq(desk_used(desk, "acme", "bytesStored"), 0, "nobody asked for it");
		cr_assert_eq(desk_reserved(desk, "acme", "queuedTasks"), 0);
		desk_lead(desk);
	}
	desk_end(desk);
}

Test(archive, a_row_has_what_the_api_shows)
{
	struct desk *desk = desk_new(false);
	story(desk);
	const char *id = NULL;
	for (int i = 0; i < 3; i++)
		id = probe(desk, i == 2 ? E_INPUT : 0);
	clock_advance(desk->clock, 2 * MINUTE_MS);
	cr_assert_eq(look(desk), 1);
	struct work work = desk_pick(desk);
	const char *text = value_get_str(grant_of(desk, &work)->work, "rows");
	struct value *rows = NULL, *document = NULL;
	cr_assert_eq(json_parse(desk->arena, text, strlen(text), &rows, &desk->err), 0);
	const struct value *row = value_at(rows, 2);
	for (size_t i = 0; home_columns[i].name; i++) {
		const struct value *cell = value_at(row, i);
		if (strcmp(home_columns[i].name, "id") == 0)
			cr_expect_str_eq(value_as_str(cell), id);
		if (strcmp(home_columns[i].name, "state") == 0)
			cr_expect_str_eq(value_as_str(cell), "failed");
		if (strcmp(home_columns[i].name, "code") == 0)
			cr_expect_str_eq(value_as_str(cell), "INPUT");
		if (strcmp(home_columns[i].name, "cpu_ms") == 0)
			cr_expect_eq(value_as_int(cell, 0), 1500);
		if (strcmp(home_columns[i].name, "run") == 0)
			cr_expect_eq(value_kind(cell), VALUE_NULL);
		if (strcmp(home_columns[i].name, "document") == 0)
			cr_assert_eq(json_parse(desk->arena, value_as_str(cell),
			                        strlen(value_as_str(cell)), &document, NULL), 0);
	}
	cr_assert(value_equal(document, desk_task(desk, "acme", id)));
	desk_end(desk);
}

Test(archive, few_leave_after_an_hour_and_dead_ones_stay_longer)
{
	struct desk *desk = desk_new(false);
	struct output output;
	struct table_file file;
	story(desk);
	probe(desk, 0);
	const char *id = desk_submit(desk, "acme", TASK_PROBE, "{}");
	for (int attempt = 0; attempt < 3; attempt++) {
		struct work work = desk_pick(desk);
		struct report report = ended(&work, E_IO);
		cr_assert_eq(settle_one(desk, &report, NULL), 0);
		clock_advance(desk->clock, MINUTE_MS);
	}
	cr_assert_str_eq(desk_state(desk, "acme", id), "dead");
	cr_assert_eq(look(desk), 0);
	clock_advance(desk->clock, 60 * MINUTE_MS);
	cr_assert_eq(look(desk), 1);
	struct work work = desk_pick(desk);
	struct report report = archived(desk, grant_of(desk, &work), &output, &file);
	cr_assert_eq(file.rows, 1);
	cr_assert_eq(settle_one(desk, &report, NULL), 0);
	cr_assert_str_eq(desk_state(desk, "acme", id), "dead");
	clock_advance(desk->clock, 600 * MINUTE_MS);
	cr_assert_eq(look(desk), 1);
	desk_end(desk);
}

Test(archive, a_lost_attempt_and_a_new_leader_lose_and_repeat_nothing)
{
	struct desk *desk = desk_new(false);
	struct output output[3];
	struct table_file file[3];
	const char *ids[3];
	bool ignored = false;
	story(desk);
	for (int i = 0; i < 3; i++)
		ids[i] = probe(desk, 0);
	clock_advance(desk->clock, 2 * MINUTE_MS);
	cr_assert_eq(look(desk), 1);
	struct work first = desk_pick(desk);
	struct report zombie = archived(desk, grant_of(desk, &first), &output[0], &file[0]);
	struct report lost = ended(&first, E_DEAD_WORKER);
	cr_assert_eq(settle_one(desk, &lost, NULL), 0);
	desk_lead(desk);
	for (int i = 0; i < 3; i++)
		cr_assert_not_null(desk_task(desk, "acme", ids[i]));
	cr_assert_eq(look(desk), 0, "the archive task was accepted before");
	clock_advance(desk->clock, MINUTE_MS);
	struct work second = desk_pick(desk);
	struct report report = archived(desk, grant_of(desk, &second), &output[1], &file[1]);
	cr_assert_eq(settle_one(desk, &zombie, &ignored), 0);
	cr_assert(ignored);
	cr_assert_eq(history_rows(desk), 0);
	cr_assert_eq(settle_one(desk, &report, NULL), 0, "%s", desk->err.text);
	cr_assert_eq(settle_one(desk, &report, &ignored), 0);
	cr_assert(ignored);
	cr_assert_eq(history_rows(desk), 3);
	cr_assert_eq(in_memory(desk), 0);
	desk_end(desk);
}

Test(archive, a_batch_that_fails_is_halved_and_waits)
{
	struct desk *desk = desk_new(false);
	story(desk);
	for (int i = 0; i < 4; i++)
		probe(desk, 0);
	clock_advance(desk->clock, 2 * MINUTE_MS);
	cr_assert_eq(look(desk), 1);
	struct work work = desk_pick(desk);
	struct report report = ended(&work, E_INPUT);
	cr_assert_eq(settle_one(desk, &report, NULL), 0);
	cr_assert_eq(look(desk), 0);
	cr_assert_eq(in_memory(desk), 5, "nothing has left, and the failure is told");
	clock_advance(desk->clock, 2 * MINUTE_MS);
	cr_assert_eq(look(desk), 1);
	desk_end(desk);
}

enum { FILES_AT_ONCE = 250, FILES_MOST = 256 };
struct growth { int64_t rows, snapshots; };

/* A task ends and is archived in so many files; with how many the history ends. */
static size_t archive_in(struct desk *desk, struct growth *growth, size_t count)
{
	struct output output;
	struct table_file files[FILES_AT_ONCE];
	struct snapshot *snapshot = NULL;
	probe(desk, 0);
	clock_advance(desk->clock, 61 * MINUTE_MS);
	cr_assert_eq(look(desk), 1);
	struct work work = desk_pick(desk);
	struct grant *grant = grant_of(desk, &work);
	struct report report = archived(desk, grant, &output, &files[0]);
	for (size_t i = 1; i < count; i++) {
		files[i] = files[0];
		files[i].path = arena_printf(desk->arena, "%s/data-%zu.parquet",
		                             grant->output_prefix, i);
	}
	output.file_count = count;
	if (grant->input_count == 1)
		files[0].rows += growth->rows;
	cr_assert_eq(settle_one(desk, &report, NULL), 0, "%s", desk->err.text);
	cr_assert(home_history(&desk->control, desk->arena, "acme", &snapshot));
	cr_assert_eq(snapshot->rows, growth->rows += (int64_t)count);
	cr_assert_eq(snapshot->id, ++growth->snapshots);
	return snapshot->file_count;
}

Test(archive, many_files_become_one)
{
	struct desk *desk = desk_new(false);
	struct growth growth = { 0 };
	story(desk);
	cr_assert_eq(archive_in(desk, &growth, FILES_AT_ONCE), FILES_AT_ONCE);
	for (size_t files = FILES_AT_ONCE + 1; files <= FILES_MOST; files++)
		cr_assert_eq(archive_in(desk, &growth, 1), files);
	cr_assert_eq(archive_in(desk, &growth, 1), 1, "all and the new row in one");
	cr_assert_eq(archive_in(desk, &growth, 1), 2);
	desk_end(desk);
}

Test(archive, a_question_is_answered_without_a_record)
{
	struct desk *desk = desk_new(false);
	struct journal_stats before, after;
	struct value *answer = NULL;
	story(desk);
	journal_stats(desk->part.journal, &before);
	struct value *spec = desk_json(desk, "{'limit':1}");
	struct platform_task made = { "01hzzzzzzzzzzzzzzzzzzzzzz1", "acme", TASK_HISTORY, spec, 1 };
	cr_assert_eq(shard_question(desk->part.shard, &made, &desk->err), 0, "%s", desk->err.text);
	cr_assert_eq(desk_reserved(desk, "acme", "queuedTasks"), 0);
	struct work work = desk_pick(desk);
	cr_assert_eq(work.type, TASK_HISTORY);
	struct report report = ended(&work, 0);
	report.result = desk_json(desk, "{'rows':[],'more':false}");
	cr_assert_eq(settle_one(desk, &report, NULL), 0);
	cr_assert_eq(shard_question_wait(desk->part.shard, made.id, 0, desk->arena, &answer,
	                                 &desk->err), 0, "%s", desk->err.text);
	cr_assert(value_equal(answer, report.result));
	cr_assert_eq(in_memory(desk), 0);
	/* Late, and asked by nobody any more. */
	cr_assert_eq(settle_one(desk, &report, NULL), 0);
	journal_stats(desk->part.journal, &after);
	cr_assert_eq(after.commits, before.commits);
	desk_end(desk);
}

Test(archive, a_question_that_fails_or_is_not_answered_in_time_says_so)
{
	struct desk *desk = desk_new(false);
	struct value *answer = NULL;
	story(desk);
	struct value *spec = desk_json(desk, "{'limit':1}");
	struct platform_task made = { "01hzzzzzzzzzzzzzzzzzzzzzz1", "acme", TASK_HISTORY, spec, 1 };
	cr_assert_eq(shard_question(desk->part.shard, &made, &desk->err), 0);
	cr_assert_eq(shard_question_wait(desk->part.shard, made.id, 0, desk->arena, &answer,
	                                 &desk->err), E_UNAVAILABLE);
	cr_assert_eq(in_memory(desk), 0);
	cr_assert_eq(shard_question(desk->part.shard, &made, &desk->err), 0);
	struct work work = desk_pick(desk);
	struct report report = ended(&work, E_DEAD_WORKER);
	cr_assert_eq(settle_one(desk, &report, NULL), 0);
	cr_assert_eq(shard_question_wait(desk->part.shard, made.id, 0, desk->arena, &answer,
	                                 &desk->err), E_UNAVAILABLE);
	cr_assert(strstr(desk->err.text, "it did not work"), "%s", desk->err.text);
	cr_assert_eq(shard_question(desk->part.shard, &made, &desk->err), 0);
	desk_lead(desk);
	cr_assert_eq(shard_question_wait(desk->part.shard, made.id, 0, desk->arena, &answer,
	                                 &desk->err), E_UNAVAILABLE);
	desk_end(desk);
}

Test(archive, ended_tasks_go_with_a_deleted_tenant)
{
	struct desk *desk = desk_new(false);
	story(desk);
	for (int i = 0; i < 3; i++)
		probe(desk, 0);
	desk_delete(desk, KIND_TENANT, NULL, NULL, "acme");
	clock_advance(desk->clock, 2 * MINUTE_MS);
	const char *waits = desk_submit(desk, "acme", TASK_PROBE, "{}");
	for (int replayed = 0; replayed < 2; replayed++) {
		cr_assert_eq(look(desk), 0);
		cr_assert_eq(in_memory(desk), 1);
		cr_assert_str_eq(desk_state(desk, "acme", waits), "queued");
		desk_lead(desk);
	}
	desk_end(desk);
}

Test(archive, rules_that_contradict_each_other_are_refused_by_their_settings)
{
	static const struct { struct leave_rules rules; const char *says; } wrong[] = {
		{ { 0, MINUTE_MS, MINUTE_MS, 0 }, "--history-batch is from 1 to 1000" },
		{ { ARCHIVE_ROWS_MAX + 1, 0, 0, 0 }, "--history-batch" },
		{ { 10, -1000, 0, 0 }, "--history-after-s" },
		{ { 10, 0, 0, -1000 }, "--history-dead-after-s" },
		{ { 10, MINUTE_MS, 59000, 0 }, "--history-within-s is 59, less than "
		                               "--history-after-s, 60" },
	};
	struct desk *desk = desk_new(false);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		const struct archive_conf conf = { .rules = wrong[i].rules };
		struct archive *archive = NULL;
		cr_assert_eq(archive_new(&desk->part, &conf, &archive, &desk->err), E_INVALID);
		cr_expect_not_null(strstr(desk->err.text, wrong[i].says), "%s", desk->err.text);
		cr_assert_null(archive);
	}
	desk_end(desk);
}

Test(archive, a_setting_says_how_long_an_ended_task_stays)
{
	struct desk *desk = desk_new(false);
	const struct archive_conf conf = { .rules = { 5, 7000, 9000, 9000 } };
	const struct archive_conf none = { .look_ms = 0 };
	cr_assert_eq(archive_new(&desk->part, &conf, &desk->part.archive, &desk->err), 0);
	cr_expect_eq(archive_young_ms(&desk->part), 7000);
	archive_free(MOVE(desk->part.archive));
	cr_assert_eq(archive_new(&desk->part, &none, &desk->part.archive, &desk->err), 0);
	cr_expect_eq(archive_young_ms(&desk->part), MINUTE_MS);
	archive_free(MOVE(desk->part.archive));
	desk_end(desk);
}
