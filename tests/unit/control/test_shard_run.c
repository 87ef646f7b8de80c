/* test_shard_run.c - runs in the leader's memory: what waits for what, through random graphs and
 * outcomes, their replay and their checkpoints. Records are applied as the journal does it. */
#include "common/defs.h"
#include "control/runs_impl.h"

#include "common/json.h"
#include "control/change_impl.h"
#include "control/shard_emit.h"
#include "control/shard_run.h"
#include "control/task_impl.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t noon = 1795348800000;       /* 2026-11-22T12:00:00Z */

enum { RECORDS_MAX = 4096 };

struct bench {
	struct clock *clock;
	struct shard *shard;
	struct arena *arena;
	struct err err;
	struct value *records[RECORDS_MAX];
	size_t count;
	uint64_t seed;
};

static struct bench *bench_new(uint64_t seed)
{
	struct bench *bench = calloc(1, sizeof *bench);
	cr_assert_eq(crypto_start(&bench->err), 0);
	cr_assert_eq(clock_new_simulated(noon, &bench->clock, &bench->err), 0);
	cr_assert_eq(shard_new(bench->clock, &bench->shard, &bench->err), 0);
	cr_assert_eq(arena_new(1024 * MIB, &bench->arena, &bench->err), 0);
	bench->seed = seed;
	return bench;
}

static void bench_end(struct bench *bench)
{
	shard_free(bench->shard);
	clock_free(bench->clock);
	arena_free(bench->arena);
	free(bench);
}

static uint64_t dice(struct bench *bench, uint64_t sides)
{
	bench->seed = bench->seed * 6364136223846793005u + 1442695040888963407u;
	return (bench->seed >> 33) % sides;
}

static struct value *json(struct bench *bench, const char *text)
{
	struct value *value = NULL;
	char *copy = arena_strdup(bench->arena, text);
	for (char *at = copy; *at; at++)
		if (*at == '\'')
			*at = '"';
	cr_assert_eq(json_parse(bench->arena, copy, strlen(copy), &value, &bench->err), 0, "%s",
	             bench->err.text);
	return value;
}

static void apply(struct bench *bench, const struct value *record)
{
	struct value *copy = value_copy(bench->arena, record);
	cr_assert_lt(bench->count, RECORDS_MAX);
	bench->records[bench->count++] = copy;
	shard_record(bench->shard, copy);
	cr_assert(shard_sound(bench->shard));
}

static void commit(struct bench *bench, struct change *change)
{
	for (size_t i = 0; i < value_len(change->records); i++)
		apply(bench, value_at(change->records, i));
	change_free(change);
}

/* --- asking --- */

static int try_start(struct bench *bench, const char *tasks, const char *key, uint8_t hash,
                     bool commits, const char **ret_id)
{
	uint8_t random[10], digest[DIGEST_BYTES] = { hash };
	char id[ID_LEN + 1];
	struct graph graph;
	const char *existing = NULL;
	struct change *change = NULL;
	cr_assert_eq(graph_read(bench->arena, json(bench, tasks), "tasks", &graph, &bench->err), 0,
	             "%s", bench->err.text);
	random_bytes(random, sizeof random);
	id_make(noon, random, id);
	const struct run_submission submission = {
		.id = id, .tenant = "acme", .domain = "ops", .principal = "acme/alice",
		.graph = &graph, .name = "nightly", .key = key, .body_hash = digest,
		.now_ms = clock_unix_ms(bench->clock),
	};
	cr_assert_eq(change_new(&change, &bench->err), 0);
	int rc = shard_submit_run(bench->shard, &submission, change, bench->arena, &existing,
	                          &bench->err);
	*ret_id = arena_strdup(bench->arena, existing ? existing : id);
	if (rc == 0 && !existing && commits) {
		commit(bench, change);
		return rc;
	}
	if (rc == 0 && !existing)
		shard_withdraw_run(bench->shard, id);
	change_free(change);
	return rc;
}

static const char *start(struct bench *bench, const char *tasks)
{
	const char *id = NULL;
	cr_assert_eq(try_start(bench, tasks, NULL, 0, true, &id), 0, "%s", bench->err.text);
	return id;
}

static int again(struct bench *bench, const char *task, const char *run, bool commits)
{
	struct change *change = NULL;
	const struct again asked = {
		.tenant = "acme", .domain = "ops", .principal = "acme/alice", .task = task,
		.run = run, .now_ms = clock_unix_ms(bench->clock),
	};
	cr_assert_eq(change_new(&change, &bench->err), 0);
	int rc = shard_again(bench->shard, &asked, change, &bench->err);
	if (rc == 0 && commits) {
		commit(bench, change);
		return 0;
	}
	if (rc == 0)
		shard_again_withdraw(bench->shard, &asked);
	change_free(change);
	return rc;
}

static struct value *run_of(struct bench *bench, const char *id)
{
	return shard_run(bench->shard, bench->arena, "acme", "ops", id);
}

static const char *run_is(struct bench *bench, const char *id)
{
	return value_get_str(run_of(bench, id), "state");
}

static const struct value *task_of(struct bench *bench, const char *run, const char *name)
{
	const struct value *tasks = value_get(run_of(bench, run), "tasks");
	for (size_t i = 0; i < value_len(tasks); i++)
		if (strcmp(value_get_str(value_at(tasks, i), "name"), name) == 0)
			return value_at(tasks, i);
	cr_assert_fail("the run has no task %s", name);
	return NULL;
}

static const char *is(struct bench *bench, const char *run, const char *name)
{
	return value_get_str(task_of(bench, run, name), "state");
}

/* As settlement says it; an attempt that ran has the next number. */
static void outcome(struct bench *bench, const char *id, const char *state, const char *code)
{
	const struct task *task = task_find(bench->shard, id);
	struct value *record = record_new(bench->arena, RECORD_OUTCOME,
	                                  clock_unix_ms(bench->clock));
	bool ran = strcmp(state, "cancelled") != 0;
	value_set_str(record, "id", id);
	value_set_str(record, "state", state);
	value_set_int(record, "attempt", task->attempts + ran);
	value_set_str(record, "code", code);
	value_set_str(record, "text", code ? "it broke" : NULL);
	if (ran)
		value_set_int(record, "started", clock_unix_ms(bench->clock) - 5);
	apply(bench, record);
}

static void ends(struct bench *bench, const char *run, const char *name, const char *state)
{
	const char *id = value_get_str(task_of(bench, run, name), "id");
	cr_assert_str_eq(is(bench, run, name), "queued", "%s cannot run", name);
	bool failed = strcmp(state, "failed") == 0 || strcmp(state, "dead") == 0;
	outcome(bench, id, state, failed ? "IO" : NULL);
}

static void ask_end(struct bench *bench, const char *member, const char *id)
{
	struct value *record = record_new(bench->arena, RECORD_CANCEL, clock_unix_ms(bench->clock));
	value_set_str(record, member, id);
	apply(bench, record);
}

static int64_t reserved(struct bench *bench, const char *dim)
{
	return value_get_int(value_get(shard_usage(bench->shard, bench->arena, "acme"), "reserved"),
	                     dim, 0);
}

#define TASK_OF(name, deps) "{'name':'" name "','type':'probe','dependsOn':[" deps "]}"
static const char diamond[] = "[" TASK_OF("extract", "") ","
	TASK_OF("left", "{'task':'extract'}") "," TASK_OF("right", "{'task':'extract'}") ","
	TASK_OF("load", "{'task':'left'},{'task':'right'}") ","
	TASK_OF("alarm", "{'task':'load','on':'failure'}") ","
	TASK_OF("tidy", "{'task':'load','on':'always'}") "]";

/* --- examples --- */

Test(shard_run, fans_out_and_in_and_skips_what_is_not_wanted)
{
	struct bench *bench = bench_new(1);
	const char *run = start(bench, diamond);
	cr_assert_str_eq(run_is(bench, run), "queued");
	cr_assert_str_eq(is(bench, run, "extract"), "queued");
	cr_assert_str_eq(is(bench, run, "left"), "blocked");
	cr_assert_str_eq(value_get_str(task_of(bench, run, "load"), "reason"),
	                 "waits for left, right");
	ends(bench, run, "extract", "succeeded");
	cr_assert_str_eq(run_is(bench, run), "running");
	ends(bench, run, "left", "succeeded");
	cr_assert_str_eq(is(bench, run, "load"), "blocked");
	ends(bench, run, "right", "succeeded");
	ends(bench, run, "load", "succeeded");
	cr_assert_str_eq(is(bench, run, "alarm"), "cancelled");
	cr_assert_str_eq(value_get_str(task_of(bench, run, "alarm"), "reason"),
	                 "load succeeded, and it wanted a failure");
	ends(bench, run, "tidy", "succeeded");
	cr_assert_str_eq(run_is(bench, run), "succeeded", "what was skipped is no failure");
	cr_assert_eq(reserved(bench, "tasks"), 0);
	cr_assert_eq(reserved(bench, "queuedTasks"), 0);
	bench_end(bench);
}

Test(shard_run, a_failure_cascades_and_its_branch_runs)
{
	struct bench *bench = bench_new(1);
	const char *run = start(bench, diamond);
	ends(bench, run, "extract", "dead");
	cr_assert_str_eq(is(bench, run, "left"), "cancelled");
	cr_assert_str_eq(value_get_str(task_of(bench, run, "left"), "reason"),
	                 "extract is dead, and it wanted a success");
	cr_assert_str_eq(is(bench, run, "load"), "cancelled");
	cr_assert_str_eq(is(bench, run, "alarm"), "cancelled", "load never failed");
	cr_assert_str_eq(value_get_str(task_of(bench, run, "alarm"), "reason"),
	                 "load was cancelled, and it wanted a failure");
	cr_assert_str_eq(is(bench, run, "tidy"), "queued", "it wants to run always");
	ends(bench, run, "tidy", "succeeded");
	cr_assert_str_eq(run_is(bench, run), "failed");
	cr_assert_eq(value_get_int(value_get(run_of(bench, run), "counts"), "cancelled", 0), 4);
	bench_end(bench);
}

Test(shard_run, an_ended_run_resumes_from_its_failure)
{
	struct bench *bench = bench_new(1);
	const char *run = start(bench, diamond);
	cr_assert_eq(again(bench, NULL, run, true), E_CONFLICT);
	cr_assert(strstr(bench->err.text, "it can be resumed when it has ended"));
	ends(bench, run, "extract", "succeeded");
	ends(bench, run, "left", "succeeded");
	ends(bench, run, "right", "failed");
	ends(bench, run, "tidy", "succeeded");
	cr_assert_str_eq(run_is(bench, run), "failed");
	cr_assert_eq(reserved(bench, "tasks"), 0);
	cr_assert_eq(again(bench, NULL, run, false), 0);
	cr_assert_eq(reserved(bench, "tasks"), 0, "what was withdrawn holds nothing");
	cr_assert_eq(again(bench, NULL, run, true), 0, "%s", bench->err.text);
	cr_assert_eq(reserved(bench, "tasks"), 3);
	cr_assert_str_eq(is(bench, run, "left"), "succeeded", "what succeeded stays");
	cr_assert_str_eq(is(bench, run, "right"), "queued");
	cr_assert_str_eq(is(bench, run, "load"), "blocked");
	cr_assert_str_eq(is(bench, run, "alarm"), "blocked");
	cr_assert_eq(value_get_int(task_of(bench, run, "right"), "attempt", -1), 0);
	ends(bench, run, "right", "succeeded");
	ends(bench, run, "load", "succeeded");
	cr_assert_str_eq(run_is(bench, run), "succeeded");
	cr_assert_eq(again(bench, NULL, run, true), E_CONFLICT);
	cr_assert_str_eq(bench->err.text, "the run succeeded; there is nothing to resume");
	bench_end(bench);
}

Test(shard_run, cancelling_it_ends_all_that_has_not)
{
	struct bench *bench = bench_new(1);
	const char *run = start(bench, diamond);
	char id[ID_LEN + 1];
	ends(bench, run, "extract", "succeeded");
	ask_end(bench, "run", run);
	cr_assert(value_get_bool(run_of(bench, run), "cancelRequested", false));
	int count = 0;
	for (; shard_take_cancelled(bench->shard, true, id); count++)
		outcome(bench, id, "cancelled", NULL);
	cr_assert_eq(count, 5);
	cr_assert_str_eq(run_is(bench, run), "cancelled");
	cr_assert_eq(reserved(bench, "tasks"), 0);
	cr_assert_eq(again(bench, NULL, run, true), 0, "%s", bench->err.text);
	cr_assert_str_eq(is(bench, run, "left"), "queued");
	cr_assert_str_eq(is(bench, run, "tidy"), "blocked");
	bench_end(bench);
}

Test(shard_run, all_of_it_reserves_or_none)
{
	struct bench *bench = bench_new(1);
	const char *run = NULL;
	struct value *spec = json(bench, "{'tasks':5}");
	cr_assert_eq(shard_quota(bench->shard, "acme", "default", spec, &bench->err), 0);
	cr_assert_eq(try_start(bench, diamond, NULL, 0, true, &run), E_QUOTA);
	cr_assert(strstr(bench->err.text, "asked 6 is over the limit 5"), "%s", bench->err.text);
	cr_assert_eq(reserved(bench, "tasks"), 0);
	spec = json(bench, "{'tasks':6}");
	cr_assert_eq(shard_quota(bench->shard, "acme", "default", spec, &bench->err), 0);
	cr_assert_eq(try_start(bench, diamond, NULL, 0, false, &run), 0, "%s", bench->err.text);
	cr_assert_eq(reserved(bench, "tasks"), 0, "a withdrawn run holds nothing");
	cr_assert_null(run_of(bench, run));
	run = start(bench, diamond);
	cr_assert_eq(reserved(bench, "tasks"), 6);
	ends(bench, run, "extract", "failed");
	ends(bench, run, "tidy", "succeeded");
	start(bench, "[" TASK_OF("one", "") "," TASK_OF("two", "") "]");
	cr_assert_eq(again(bench, NULL, run, true), E_QUOTA, "resuming takes quota too");
	cr_assert_eq(reserved(bench, "tasks"), 2);
	bench_end(bench);
}

Test(shard_run, a_repeated_idempotency_key_gives_the_first_run)
{
	struct bench *bench = bench_new(1);
	const char *first = NULL, *second = NULL;
	cr_assert_eq(try_start(bench, diamond, "k", 1, true, &first), 0);
	cr_assert_eq(try_start(bench, diamond, "k", 1, true, &second), 0);
	cr_assert_str_eq(first, second);
	cr_assert_eq(reserved(bench, "tasks"), 6);
	cr_assert_eq(try_start(bench, diamond, "k", 2, true, &second), E_CONFLICT);
	cr_assert(strstr(bench->err.text, "with another body"), "%s", bench->err.text);
	cr_assert_eq(try_start(bench, diamond, "other", 3, false, &second), 0);
	cr_assert_eq(try_start(bench, diamond, "other", 4, true, &second), 0,
	             "a withdrawn key can be used again: %s", bench->err.text);
	bench_end(bench);
}

Test(shard_run, others_see_nothing_of_it)
{
	struct bench *bench = bench_new(1);
	const char *run = start(bench, diamond);
	struct value *list = NULL;
	bool more = false;
	cr_assert_null(shard_run(bench->shard, bench->arena, "globex", "ops", run));
	cr_assert_null(shard_run(bench->shard, bench->arena, "acme", "dev", run));
	const struct again asked = { .tenant = "globex", .domain = "ops", .run = run };
	struct change *change = NULL;
	cr_assert_eq(change_new(&change, &bench->err), 0);
	cr_assert_eq(shard_again(bench->shard, &asked, change, &bench->err), E_NOT_FOUND);
	change_free(change);
	cr_assert_eq(shard_runs(bench->shard, bench->arena, "globex", "ops", NULL, run, 10, &list,
	                        &more, &bench->err), E_INVALID);
	bench_end(bench);
}

Test(shard_run, runs_are_listed_newest_first_in_pages)
{
	struct bench *bench = bench_new(1);
	const char *ids[5];
	struct value *list = NULL;
	bool more = false;
	for (int i = 0; i < 5; i++)
		ids[i] = start(bench, "[" TASK_OF("one", "") "]");
	ends(bench, ids[1], "one", "failed");
	cr_assert_eq(shard_runs(bench->shard, bench->arena, "acme", "ops", NULL, NULL, 2, &list,
	                        &more, &bench->err), 0);
	cr_assert(more);
	cr_assert_str_eq(value_get_str(value_at(list, 0), "id"), ids[4]);
	cr_assert_null(value_get(value_at(list, 0), "tasks"));
	cr_assert_eq(shard_runs(bench->shard, bench->arena, "acme", "ops", NULL, ids[3], 10, &list,
	                        &more, &bench->err), 0);
	cr_assert_eq(value_len(list), 3);
	cr_assert_not(more);
	cr_assert_eq(shard_runs(bench->shard, bench->arena, "acme", "ops", "failed", NULL, 10,
	                        &list, &more, &bench->err), 0);
	cr_assert_eq(value_len(list), 1);
	bench_end(bench);
}

Test(shard_run, a_single_dead_task_starts_anew_with_all_its_attempts)
{
	struct bench *bench = bench_new(1);
	struct value *record = json(bench,
		"{'t':'accepted','at':1,'id':'01m81j18g0000000000000000z','tenant':'acme',"
		"'domain':'ops','principal':'acme/a','type':'probe','spec':{},"
		"'limits':{'attempts':1},'reserve':{'tasks':1}}");
	const char *id = "01m81j18g0000000000000000z";
	apply(bench, record);
	cr_assert_eq(again(bench, id, NULL, true), E_CONFLICT);
	cr_assert(strstr(bench->err.text, "the task is queued"), "%s", bench->err.text);
	outcome(bench, id, "dead", "IO");
	cr_assert_eq(again(bench, id, NULL, false), 0);
	cr_assert_eq(again(bench, id, NULL, true), 0, "%s", bench->err.text);
	struct value *task = shard_task(bench->shard, bench->arena, "acme", "ops", id);
	cr_assert_str_eq(value_get_str(task, "state"), "queued");
	cr_assert_eq(value_get_int(task, "attempt", -1), 0);
	cr_assert_null(value_get(task, "error"));
	outcome(bench, id, "succeeded", NULL);
	cr_assert_eq(again(bench, id, NULL, true), E_CONFLICT);
	cr_assert(strstr(bench->err.text, "only one that has failed"), "%s", bench->err.text);
	const char *run = start(bench, "[" TASK_OF("one", "") "]");
	ends(bench, run, "one", "failed");
	cr_assert_eq(again(bench, value_get_str(task_of(bench, run, "one"), "id"), NULL, true),
	             E_CONFLICT);
	cr_assert(strstr(bench->err.text, "resume that run"), "%s", bench->err.text);
	bench_end(bench);
}

Test(shard_run, a_chain_of_a_thousand_falls_at_once)
{
	struct bench *bench = bench_new(1);
	struct buf text;
	buf_init(&text, MIB);
	buf_puts(&text, "[" TASK_OF("t0", ""));
	for (int i = 1; i < GRAPH_TASKS_MAX; i++)
		buf_printf(&text, ",{'name':'t%d','type':'probe','dependsOn':[{'task':'t%d'}]}", i,
		           i - 1);
	buf_puts(&text, "]");
	const char *run = start(bench, arena_strndup(bench->arena, (char *)text.data, text.len));
	ends(bench, run, "t0", "failed");
	cr_assert_str_eq(run_is(bench, run), "failed");
	cr_assert_str_eq(is(bench, run, "t999"), "cancelled");
	cr_assert_eq(reserved(bench, "tasks"), 0);
	buf_release(&text);
	bench_end(bench);
}

/* --- random graphs and outcomes --- */

enum { SIZE_MAX_ = 12, STEPS_MAX = 150 };

static const char *random_graph(struct bench *bench)
{
	static const char *const on[] = { "success", "failure", "always" };
	struct buf text;
	buf_init(&text, MIB);
	size_t count = 2 + dice(bench, SIZE_MAX_ - 1);
	for (size_t i = 0; i < count; i++) {
		buf_printf(&text, "%c{'name':'t%zu','type':'probe',%s'dependsOn':[",
		           i ? ',' : '[', i, dice(bench, 4) ? "" :
		           "'placement':{'expires':'24h','priority':'high'},");
		const char *between = "";
		for (size_t j = 0; j < i; j++) {
			if (dice(bench, 3))
				continue;
			buf_printf(&text, "%s{'task':'t%zu','on':'%s'}", between, j,
			           on[dice(bench, 4) % 3]);
			between = ",";
		}
		buf_puts(&text, "]}");
	}
	buf_puts(&text, "]");
	const char *copy = arena_strndup(bench->arena, (char *)text.data, text.len);
	buf_release(&text);
	return copy;
}

static const char *state_text(struct shard *shard, struct arena *arena)
{
	struct value *runs = NULL;
	bool more = false;
	struct err err;
	struct buf text;
	buf_init(&text, 64 * MIB);
	cr_assert_eq(shard_runs(shard, arena, "acme", NULL, NULL, NULL, 100, &runs, &more, &err),
	             0);
	for (size_t i = 0; i < value_len(runs); i++) {
		const char *id = value_get_str(value_at(runs, i), "id");
		struct value *run = shard_run(shard, arena, "acme", NULL, id);
		const struct value *tasks = value_get(run, "tasks");
		value_remove(run, "version");
		for (size_t j = 0; j < value_len(tasks); j++)    /* what a queued one waits for */
			value_remove((struct value *)value_at(tasks, j), "reason");
		json_print(run, &text);
		for (size_t j = 0; j < value_len(tasks); j++) {
			struct value *task = shard_task(shard, arena, "acme", NULL,
				value_get_str(value_at(tasks, j), "id"));
			value_remove(task, "version");
			value_remove(task, "reason");
			json_print(task, &text);
			buf_puts(&text, "\n");
		}
	}
	json_print(shard_usage(shard, arena, "acme"), &text);
	cr_assert_eq(buf_check(&text, &err), 0);
	const char *copy = arena_strndup(arena, (char *)text.data, text.len);
	buf_release(&text);
	return copy;
}

static int keep_record(void *context, const struct value *record, struct err *err)
{
	(void)err;
	shard_record(context, record);
	return 0;
}

/* The same records give the same state, and so does a checkpoint of it. */
static void check_replay(struct bench *bench, const char *live)
{
	struct shard *second = NULL, *third = NULL;
	struct arena *arena = NULL;
	cr_assert_eq(arena_new(256 * MIB, &arena, &bench->err), 0);
	cr_assert_eq(shard_new(bench->clock, &second, &bench->err), 0);
	cr_assert_eq(shard_new(bench->clock, &third, &bench->err), 0);
	shard_clear(second);
	shard_clear(third);
	for (size_t i = 0; i < bench->count; i++)
		shard_record(second, bench->records[i]);
	shard_ready(second);
	cr_assert(shard_sound(second));
	cr_assert_str_eq(state_text(second, arena), live, "replayed, after %zu records",
	                 bench->count);
	cr_assert_eq(shard_hold(bench->shard, &bench->err), 0);
	cr_assert_eq(shard_emit(bench->shard, keep_record, third, &bench->err), 0);
	shard_let_go(bench->shard);
	shard_ready(third);
	cr_assert(shard_sound(third));
	cr_assert_str_eq(state_text(third, arena), live, "from a checkpoint, after %zu records",
	                 bench->count);
	shard_free(second);
	shard_free(third);
	arena_free(arena);
}

static bool satisfied(const struct value *run, const struct value *dep)
{
	const struct value *tasks = value_get(run, "tasks");
	const char *on = value_get_str(dep, "on");
	for (size_t i = 0; i < value_len(tasks); i++) {
		const struct value *task = value_at(tasks, i);
		if (strcmp(value_get_str(task, "name"), value_get_str(dep, "task")) != 0)
			continue;
		const char *state = value_get_str(task, "state");
		if (!task_state_final((enum task_state)task_state_by_name(state)))
			return false;
		if (strcmp(on, "success") == 0)
			return strcmp(state, "succeeded") == 0;
		if (strcmp(on, "failure") == 0)
			return strcmp(state, "failed") == 0 || strcmp(state, "dead") == 0;
		return true;
	}
	return false;
}

static bool may_run(const struct value *run, const struct value *task)
{
	const struct value *deps = value_get(task, "dependsOn");
	bool all = true;
	for (size_t i = 0; i < value_len(deps); i++)
		all &= satisfied(run, value_at(deps, i));
	return all;
}

/* Queued: its conditions hold. Skipped: one did not. Blocked: one may still. */
static void check_conditions(struct bench *bench, const struct value *run)
{
	const struct value *tasks = value_get(run, "tasks");
	for (size_t i = 0; i < value_len(tasks); i++) {
		const struct value *task = value_at(tasks, i);
		const char *state = value_get_str(task, "state");
		if (task_find(bench->shard, value_get_str(task, "id"))->cancel)
			continue;                    /* it waits for its own outcome */
		if (strcmp(state, "queued") == 0)
			cr_assert(may_run(run, task), "%s runs too early",
			          value_get_str(task, "name"));
		if (strcmp(state, "blocked") == 0)
			cr_assert_not(may_run(run, task), "%s waits for nothing",
			              value_get_str(task, "name"));
		if (value_get_bool(task, "skipped", false))
			cr_assert_not(may_run(run, task), "%s was skipped for nothing",
			              value_get_str(task, "name"));
	}
}

static void retry(struct bench *bench, const char *id)
{
	const struct task *task = task_find(bench->shard, id);
	struct value *record = record_new(bench->arena, RECORD_ATTEMPT,
	                                  clock_unix_ms(bench->clock));
	value_set_str(record, "id", id);
	value_set_int(record, "attempt", task->attempts + 1);
	value_set_str(record, "code", "IO");
	value_set_str(record, "text", "it broke");
	value_set_int(record, "started", clock_unix_ms(bench->clock) - 5);
	apply(bench, record);
}

static void step_task(struct bench *bench, const struct value *task)
{
	static const char *const ways[] = { "succeeded", "succeeded", "failed", "dead" };
	const char *id = value_get_str(task, "id"), *state = value_get_str(task, "state");
	if (task_find(bench->shard, id)->cancel)
		return;
	uint64_t way = dice(bench, 8);
	if (way == 7)
		ask_end(bench, "id", id);
	else if (strcmp(state, "queued") == 0 && way == 6)
		retry(bench, id);
	else if (strcmp(state, "queued") == 0)
		outcome(bench, id, ways[way % 4], way % 4 > 1 ? "IO" : NULL);
}

static void step(struct bench *bench, const char *run_id)
{
	const struct value *run = run_of(bench, run_id), *tasks = value_get(run, "tasks");
	const struct value *task = value_at(tasks, dice(bench, value_len(tasks)));
	char id[ID_LEN + 1];
	if (value_get(run, "endedAt") && strcmp(value_get_str(run, "state"), "succeeded") != 0)
		cr_assert_eq(again(bench, NULL, run_id, dice(bench, 2)), 0, "%s", bench->err.text);
	else if (dice(bench, 40) == 0)
		ask_end(bench, "run", run_id);
	else if (dice(bench, 3) == 0 && shard_take_cancelled(bench->shard, true, id))
		outcome(bench, id, "cancelled", NULL);
	else if (!task_state_final((enum task_state)task_state_by_name(
			value_get_str(task, "state"))))
		step_task(bench, task);
	clock_advance(bench->clock, (int64_t)dice(bench, 50));
}

/* Without further trouble every task comes to its end. */
static void finish_all(struct bench *bench, const char *run_id)
{
	char id[ID_LEN + 1];
	for (int round = 0; !value_get(run_of(bench, run_id), "endedAt"); round++) {
		const struct value *tasks = value_get(run_of(bench, run_id), "tasks");
		cr_assert_lt(round, 2 * SIZE_MAX_, "the run does not end");
		while (shard_take_cancelled(bench->shard, true, id))
			outcome(bench, id, "cancelled", NULL);
		for (size_t i = 0; i < value_len(tasks); i++) {
			const char *task = value_get_str(value_at(tasks, i), "id");
			if (task_find(bench->shard, task)->state == STATE_QUEUED)
				outcome(bench, task, "succeeded", NULL);
		}
	}
}

Test(shard_run, any_graph_and_history_ends_keeps_conditions_and_replays_the_same)
{
	for (uint64_t seed = 1; seed <= 25; seed++) {
		struct bench *bench = bench_new(seed * 104729);
		const char *run = start(bench, random_graph(bench));
		bool cancelled = false, resumed = false;
		for (int i = 0; i < STEPS_MAX; i++) {
			size_t before = bench->count;
			step(bench, run);
			for (size_t j = before; j < bench->count; j++)
				resumed |= record_type(bench->records[j]) == RECORD_REPLAY;
			cancelled |= value_get_bool(run_of(bench, run), "cancelRequested", false);
			if (!resumed && !cancelled)
				check_conditions(bench, run_of(bench, run));
			if (bench->count > before && dice(bench, 4) == 0)
				check_replay(bench, state_text(bench->shard, bench->arena));
		}
		finish_all(bench, run);
		check_replay(bench, state_text(bench->shard, bench->arena));
		cr_assert_eq(reserved(bench, "tasks"), 0, "seed %d", (int)seed);
		bench_end(bench);
	}
}
