/* test_shard.c - the leader's memory: admission, fairness, billing, and its replay. */
#include "common/defs.h"
#include "control/shard_impl.h"

#include "common/crypto.h"
#include "common/json.h"
#include "common/store_mem.h"
#include "control/record.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t noon = 1795348800000;       /* 2026-11-22T12:00:00Z */

/* A shard behind a real journal over the store in memory, in simulated time. */
struct bench {
	struct clock *clock;
	struct store *store;
	struct journal *journal;
	struct shard *shard;
	struct arena *arena;
	struct err err;
	uint8_t key[KEY_BYTES];
	uint64_t ids, seed;
	int64_t counter, epoch;
};

static void on_record(void *context, const struct value *record)
{
	shard_record(((struct bench *)context)->shard, record);
}

static int64_t put_leader(struct bench *bench)
{
	struct store_txn *txn = NULL;
	int64_t revision = 0;
	cr_assert_eq(store_txn_new(&txn, &bench->err), 0);
	cr_assert_eq(store_txn_put(txn, "leader/0", "me", 2, &bench->err), 0);
	cr_assert_eq(store_commit(bench->store, txn, &revision, &bench->err), 0);
	store_txn_free(txn);
	return revision;
}

static struct bench *bench_new(void)
{
	struct bench *bench = calloc(1, sizeof *bench);
	struct err *err = &bench->err;
	cr_assert_eq(crypto_start(err), 0);
	cr_assert_eq(clock_new_simulated(noon, &bench->clock, err), 0);
	cr_assert_eq(store_mem_new(bench->clock, &bench->store, err), 0);
	cr_assert_eq(shard_new(bench->clock, &bench->shard, err), 0);
	cr_assert_eq(arena_new(256 * MIB, &bench->arena, err), 0);
	struct journal_conf conf = {
		.store = bench->store, .clock = bench->clock, .state_key = bench->key,
		.leader_key = "leader/0", .prefix = "journal/0/", .ops = { .record = on_record,
		.context = bench },
	};
	cr_assert_eq(journal_new(&conf, &bench->journal, err), 0);
	bench->epoch = put_leader(bench);
	cr_assert_eq(journal_lead(bench->journal, bench->epoch, err), 0, "%s", err->text);
	bench->seed = 12345;
	return bench;
}

static void bench_end(struct bench *bench)
{
	journal_free(bench->journal);
	shard_free(bench->shard);
	store_free(bench->store);
	clock_free(bench->clock);
	arena_free(bench->arena);
	free(bench);
}

static uint64_t dice(struct bench *bench, uint64_t sides)
{
	bench->seed = bench->seed * 6364136223846793005u + 1442695040888963407u;
	return (bench->seed >> 33) % sides;
}

static const char *next_id(struct bench *bench)
{
	uint8_t random[10] = { 0 };
	char id[ID_LEN + 1];
	uint64_t n = ++bench->ids;
	for (int i = 9; n; i--, n >>= 8)
		random[i] = (uint8_t)n;
	id_make(noon, random, id);
	return arena_strdup(bench->arena, id);
}

static void set_quota(struct bench *bench, const char *tenant, const char *field, int64_t most)
{
	struct value *spec = value_map(bench->arena);
	value_set_int(spec, field, most);
	cr_assert_eq(shard_quota(bench->shard, tenant, "default", spec, &bench->err), 0);
}

struct ask {
	const char *tenant, *domain, *key;
	uint8_t hash;
	enum task_type type;
};

static int submit_ask(struct bench *bench, const struct ask *ask, bool commits, const char **ret_id,
                      const char **ret_existing)
{
	struct task_request request = { .type = ask->type, .spec = value_map(bench->arena) };
	uint8_t hash[DIGEST_BYTES] = { ask->hash };
	limits_default(&request.limits);
	struct submission submission = {
		.id = next_id(bench), .tenant = ask->tenant, .domain = ask->domain,
		.principal = "acme/alice", .request = &request, .key = ask->key, .body_hash = hash,
		.now_ms = clock_unix_ms(bench->clock),
	};
	struct change *change = NULL;
	cr_assert_eq(change_new(&change, &bench->err), 0);
	int rc = shard_submit(bench->shard, &submission, change, bench->arena, ret_existing,
	                      &bench->err);
	if (rc == 0 && !*ret_existing) {
		if (commits)
			rc = journal_commit(bench->journal, change, &bench->err);
		if (!commits || rc < 0)
			shard_withdraw(bench->shard, submission.id);
	}
	change_free(change);
	*ret_id = submission.id;
	return rc;
}

static const char *submit(struct bench *bench, const char *tenant, const char *domain)
{
	const char *id = NULL, *existing = NULL;
	struct ask ask = { tenant, domain, NULL, 0, TASK_PROBE };
	cr_assert_eq(submit_ask(bench, &ask, true, &id, &existing), 0, "%s", bench->err.text);
	return id;
}

static void commit_record(struct bench *bench, struct value *record)
{
	struct change *change = NULL;
	cr_assert_eq(change_new(&change, &bench->err), 0);
	struct value *copy = value_copy(change_arena(change), record);
	cr_assert_eq(change_record(change, copy, &bench->err), 0);
	cr_assert_eq(journal_commit(bench->journal, change, &bench->err), 0, "%s", bench->err.text);
	change_free(change);
}

static struct value *about(struct bench *bench, enum record_type type, const struct work *work)
{
	struct value *record = record_new(bench->arena, type, clock_unix_ms(bench->clock));
	value_set_str(record, "id", work->id);
	value_set_str(record, "tenant", work->tenant);
	value_set_str(record, "domain", work->domain);
	value_set_int(record, "attempt", work->attempt);
	return record;
}

static void bill(struct bench *bench, const struct work *work, int64_t cpu_ms)
{
	struct value *record = about(bench, RECORD_USAGE, work);
	struct amounts amounts = { { 0 } };
	amounts.v[DIM_CPU_MS] = cpu_ms;
	value_set_str(record, "id", arena_printf(bench->arena, "%s/%d", work->id, work->attempt));
	value_set(record, "amounts", amounts_value(bench->arena, &amounts));
	value_set_int(record, "cost", cpu_ms * 2);
	value_set_str(record, "source", "task");
	commit_record(bench, record);
}

static void end(struct bench *bench, const struct work *work, enum task_state state)
{
	struct value *record = about(bench, RECORD_OUTCOME, work);
	value_set_str(record, "state", task_state_name(state));
	commit_record(bench, record);
}

static void fail_attempt(struct bench *bench, const struct work *work)
{
	struct value *record = about(bench, RECORD_ATTEMPT, work);
	value_set_str(record, "code", "DEAD_WORKER");
	value_set_str(record, "text", "the worker died");
	value_set_int(record, "epoch", work->token.epoch);
	value_set_int(record, "counter", work->token.counter);
	commit_record(bench, record);
}

static bool pick(struct bench *bench, struct work *ret_work)
{
	struct pick ask = {
		.worker = "w1", .token = { bench->epoch, ++bench->counter },
		.memory_bytes = UINT64_MAX, .inherited = true,
		.replay = shard_replays(bench->shard),
	};
	const struct sched_worker worker = {
		.name = "w1", .total = { { 1000000, (int64_t)1 << 50, 1000 } }, .serves = true,
	};
	cr_assert_eq(shard_worker_set(bench->shard, &worker, &bench->err), 0);
	int rc = shard_pick(bench->shard, &ask, bench->arena, ret_work, &bench->err);
	cr_assert_geq(rc, 0, "%s", bench->err.text);
	return rc == 1;
}

static const char *state_of(struct bench *bench, const char *tenant, const char *id)
{
	const char *state = value_get_str(shard_task(bench->shard, bench->arena, tenant, NULL, id),
	                                  "state");
	return state ? state : "none";
}

static int64_t reserved(struct bench *bench, const char *tenant, const char *dim)
{
	return value_get_int(value_get(shard_usage(bench->shard, bench->arena, tenant), "reserved"),
	                     dim, 0);
}

static int64_t used(struct bench *bench, const char *tenant, const char *dim)
{
	return value_get_int(value_get(shard_usage(bench->shard, bench->arena, tenant), "total"),
	                     dim, 0);
}

static void replay(struct bench *bench)
{
	cr_assert_eq(journal_lead(bench->journal, 0, &bench->err), 0);
	shard_clear(bench->shard);
	cr_assert_eq(journal_lead(bench->journal, bench->epoch, &bench->err), 0, "%s",
	             bench->err.text);
	shard_ready(bench->shard);
}

Test(shard, a_task_is_seen_only_when_it_is_durable)
{
	struct bench *bench = bench_new();
	const char *id = NULL, *existing = NULL;
	struct ask ask = { "acme", "ops", NULL, 0, TASK_PROBE };
	struct work work;
	store_mem_fail(bench->store, 1, E_UNAVAILABLE);
	cr_assert_eq(submit_ask(bench, &ask, true, &id, &existing), E_UNAVAILABLE);
	store_mem_fail(bench->store, 0, 0);
	cr_assert_str_eq(state_of(bench, "acme", id), "none");
	cr_assert_not(pick(bench, &work));
	cr_assert_eq(reserved(bench, "acme", "tasks"), 0, "a refused task holds nothing");
	id = submit(bench, "acme", "ops");
	cr_assert_str_eq(state_of(bench, "acme", id), "queued");
	cr_assert_eq(reserved(bench, "acme", "tasks"), 1);
	cr_assert_str_eq(state_of(bench, "globex", id), "none", "another tenant's");
	cr_assert_null(shard_task(bench->shard, bench->arena, "acme", "dev", id));
	bench_end(bench);
}

Test(shard, what_never_reached_its_worker_waits_again_and_never_runs_nowhere)
{
	struct bench *bench = bench_new();
	const char *id = submit(bench, "acme", "ops");
	struct work work;
	int times = 0;
	while (pick(bench, &work) && shard_unassign(bench->shard, work.id, &work.token))
		cr_assert_lt(++times, 100, "it is bounded");
	cr_assert_gt(times, 0);
	cr_expect_str_eq(state_of(bench, "acme", id), "running", "to be counted as lost");
	for (int i = 0; i < 3; i++) {
		shard_put_back(bench->shard, work.id, &work.token);
		cr_assert_str_eq(state_of(bench, "acme", id), "queued");
		cr_assert(pick(bench, &work));
	}
	struct token other = { work.token.epoch, work.token.counter + 1 };
	shard_put_back(bench->shard, work.id, &other);
	cr_expect_str_eq(state_of(bench, "acme", id), "running", "another's attempt");
	bench_end(bench);
}

Test(shard, a_repeated_idempotency_key_gives_the_first_task)
{
	struct bench *bench = bench_new();
	const char *first = NULL, *id = NULL, *existing = NULL;
	struct ask ask = { "acme", "ops", "k1", 1, TASK_PROBE };
	cr_assert_eq(submit_ask(bench, &ask, true, &first, &existing), 0);
	cr_assert_null(existing);
	replay(bench);
	cr_assert_eq(submit_ask(bench, &ask, true, &id, &existing), 0);
	cr_assert_str_eq(existing, first);
	ask.hash = 2;
	cr_assert_eq(submit_ask(bench, &ask, true, &id, &existing), E_CONFLICT);
	cr_assert(strstr(bench->err.text, "another body"), "%s", bench->err.text);
	ask.tenant = "globex";
	cr_assert_eq(submit_ask(bench, &ask, true, &id, &existing), 0, "keys are the tenant's own");
	cr_assert_null(existing);
	clock_advance(bench->clock, 25 * 3600 * 1000);
	ask.tenant = "acme";
	cr_assert_eq(submit_ask(bench, &ask, true, &id, &existing), 0);
	cr_assert_null(existing, "a day later it is a new request");
	cr_assert_eq(reserved(bench, "acme", "tasks"), 2);
	bench_end(bench);
}

Test(shard, a_withdrawn_key_can_be_used_again)
{
	struct bench *bench = bench_new();
	const char *id = NULL, *existing = NULL;
	struct ask ask = { "acme", "ops", "k1", 1, TASK_PROBE };
	cr_assert_eq(submit_ask(bench, &ask, false, &id, &existing), 0);
	cr_assert_eq(submit_ask(bench, &ask, true, &id, &existing), 0, "%s", bench->err.text);
	cr_assert_null(existing);
	cr_assert_str_eq(state_of(bench, "acme", id), "queued");
	bench_end(bench);
}

Test(shard, over_quota_is_refused_and_what_was_measured_counts)
{
	struct bench *bench = bench_new();
	const char *id = NULL, *existing = NULL;
	struct ask ask = { "globex", "ops", NULL, 0, TASK_PROBE };
	struct work work;
	set_quota(bench, "globex", "cpuSeconds", 4);
	submit(bench, "globex", "ops");
	cr_assert(pick(bench, &work));
	bill(bench, &work, 3200);
	bill(bench, &work, 3200);
	end(bench, &work, STATE_SUCCEEDED);
	cr_assert_eq(used(bench, "globex", "cpuMs"), 3200, "an attempt is billed once");
	cr_assert_eq(reserved(bench, "globex", "cpuMs"), 0);
	cr_assert_eq(submit_ask(bench, &ask, true, &id, &existing), E_QUOTA);
	cr_assert(strstr(bench->err.text, "cpuSeconds used 3.2 + reserved 0 + asked 1 is over the "
	                 "limit 4"),
	          "%s", bench->err.text);
	replay(bench);
	cr_assert_eq(submit_ask(bench, &ask, true, &id, &existing), E_QUOTA);
	cr_assert_eq(used(bench, "globex", "costMicros"), 6400);
	clock_advance(bench->clock, 12 * 3600 * 1000);
	cr_assert_eq(submit_ask(bench, &ask, true, &id, &existing), 0, "%s", bench->err.text);
	bench_end(bench);
}

Test(shard, the_tenant_with_fewer_running_tasks_goes_first)
{
	struct bench *bench = bench_new();
	struct work work;
	const char *turns[6] = { "acme", "globex", "acme", "globex", "acme", "acme" };
	for (int i = 0; i < 4; i++)
		submit(bench, "acme", "ops");
	for (int i = 0; i < 2; i++)
		submit(bench, "globex", "ops");
	for (int i = 0; i < 6; i++) {
		cr_assert(pick(bench, &work));
		cr_assert_str_eq(work.tenant, turns[i], "turn %d", i);
	}
	cr_assert_not(pick(bench, &work));
	bench_end(bench);
}

Test(shard, tasks_over_the_running_limit_wait_and_say_why)
{
	struct bench *bench = bench_new();
	struct work work;
	set_quota(bench, "acme", "concurrentTasks", 1);
	submit(bench, "acme", "ops");
	const char *second = submit(bench, "acme", "ops");
	cr_assert(pick(bench, &work));
	cr_assert_not(pick(bench, &(struct work){ 0 }));
	const char *reason = value_get_str(shard_task(bench->shard, bench->arena, "acme", "ops",
	                                              second),
	                                   "reason");
	cr_assert(reason && strstr(reason, "concurrentTasks used 0 + reserved 1 + asked 1 is over"),
	          "%s", reason);
	end(bench, &work, STATE_SUCCEEDED);
	cr_assert(pick(bench, &work));
	cr_assert_str_eq(work.id, second);
	bench_end(bench);
}

Test(shard, a_failed_attempt_waits_before_the_next)
{
	struct bench *bench = bench_new();
	struct work work;
	submit(bench, "acme", "ops");
	cr_assert(pick(bench, &work));
	fail_attempt(bench, &work);
	cr_assert_eq(shard_match(bench->shard, bench->arena, work.id, &work.token, NULL,
	                         &bench->err), 0,
	             "its token is void");
	cr_assert_not(pick(bench, &work));
	cr_assert_lt(shard_next_due(bench->shard), INT64_MAX);
	clock_advance(bench->clock, 200);
	cr_assert(pick(bench, &work));
	cr_assert_eq(work.attempt, 2);
	bench_end(bench);
}

Test(shard, a_running_attempt_is_adopted_after_a_replay_but_no_dead_one)
{
	struct bench *bench = bench_new();
	struct work one, two;
	bool cancel = false;
	submit(bench, "acme", "ops");
	submit(bench, "acme", "ops");
	cr_assert(pick(bench, &one) && pick(bench, &two));
	fail_attempt(bench, &two);
	replay(bench);
	cr_assert_not(shard_adopt(bench->shard, 1, two.id, &two.token, "w1", &cancel));
	cr_assert(shard_adopt(bench->shard, 1, one.id, &one.token, "w1", &cancel));
	cr_assert_not(shard_adopt(bench->shard, 1, one.id, &one.token, "w1", &cancel), "only once");
	cr_assert_eq(shard_match(bench->shard, bench->arena, one.id, &one.token, NULL,
	                         &bench->err), 1);
	end(bench, &one, STATE_SUCCEEDED);
	cr_assert_str_eq(state_of(bench, "acme", one.id), "succeeded");
	bench_end(bench);
}

Test(shard, a_cancelled_waiting_task_is_named_once_and_never_picked)
{
	struct bench *bench = bench_new();
	struct work work;
	char id[ID_LEN + 1];
	const char *task = submit(bench, "acme", "ops");
	struct value *record = record_new(bench->arena, RECORD_CANCEL, noon);
	value_set_str(record, "id", task);
	commit_record(bench, record);
	cr_assert_not(pick(bench, &work));
	cr_assert(shard_take_cancelled(bench->shard, true, id));
	cr_assert_str_eq(id, task);
	cr_assert_not(shard_take_cancelled(bench->shard, true, id));
	cr_assert_eq(shard_find(bench->shard, bench->arena, "acme", task, &work, &bench->err), 1);
	end(bench, &work, STATE_CANCELLED);
	cr_assert_str_eq(state_of(bench, "acme", task), "cancelled");
	cr_assert_eq(reserved(bench, "acme", "tasks"), 0);
	bench_end(bench);
}

Test(shard, audit_pages_are_newest_first_and_only_the_tenants)
{
	struct bench *bench = bench_new();
	struct value *list = NULL;
	bool more = false;
	for (int i = 0; i < 200; i++) {
		struct value *record = record_new(bench->arena, RECORD_AUDIT, noon + i);
		value_set_str(record, "tenant", i % 2 ? "acme" : "globex");
		value_set_str(record, "actor", i % 4 == 1 ? "acme/alice" : "acme/bob");
		value_set_str(record, "action", "task:run");
		value_set_str(record, "result", "allowed");
		commit_record(bench, record);
	}
	struct audit_query query = { .tenant = "acme", .actor = "acme/alice", .limit = 20 };
	cr_assert_eq(shard_audit(bench->shard, bench->arena, &query, &list, &more, &bench->err), 0);
	cr_assert_eq(value_len(list), 20);
	cr_assert(more);
	cr_assert_eq(value_get_int(value_at(list, 0), "at", 0), noon + 197);
	query.before_seq = value_get_int(value_at(list, 19), "seq", 0);
	query.limit = 100;
	cr_assert_eq(shard_audit(bench->shard, bench->arena, &query, &list, &more, &bench->err), 0);
	cr_assert_eq(value_len(list), 30);
	cr_assert_not(more);
	bench_end(bench);
}

Test(shard, reads_of_a_worker_are_counted_once)
{
	struct bench *bench = bench_new();
	cr_assert(shard_meter_is_new(bench->shard, "w1", 1));
	struct value *record = record_new(bench->arena, RECORD_METER, noon);
	value_set_str(record, "worker", "w1");
	value_set_int(record, "incarnation", 5);
	value_set_int(record, "seq", 3);
	commit_record(bench, record);
	replay(bench);
	cr_assert_not(shard_meter_is_new(bench->shard, "w1", 3));
	cr_assert_not(shard_meter_is_new(bench->shard, "w1", 1), "a restart made it new");
	cr_assert(shard_meter_is_new(bench->shard, "w1", 4));
	cr_assert(shard_meter_is_new(bench->shard, "w2", 1));
	bench_end(bench);
}

/* --- random histories --- */

enum { OPEN_MAX = 64 };

struct history {
	struct bench *bench;
	struct work running[OPEN_MAX];
	size_t count;
};

static void step_submit(struct history *history)
{
	static const char *const tenants[] = { "acme", "globex", "initech" };
	static const char *const domains[] = { "ops", "dev" };
	struct bench *bench = history->bench;
	const char *id = NULL, *existing = NULL;
	struct ask ask = {
		tenants[dice(bench, 3)], domains[dice(bench, 2)], NULL, 0,
			(enum task_type)dice(bench, 4)
	};
	if (dice(bench, 3) == 0)
		ask.key = arena_printf(bench->arena, "k%d", (int)dice(bench, 20));
	int rc = submit_ask(bench, &ask, dice(bench, 6) != 0, &id, &existing);
	cr_assert(rc == 0 || rc == E_QUOTA, "%s", bench->err.text);
}

static void step_end(struct history *history)
{
	struct bench *bench = history->bench;
	size_t i = dice(bench, history->count);
	struct work work = history->running[i];
	history->running[i] = history->running[--history->count];
	uint64_t way = dice(bench, 6);
	if (way == 0) {
		cr_assert(shard_unassign(bench->shard, work.id, &work.token));
		return;
	}
	if (way > 1)
		bill(bench, &work, (int64_t)dice(bench, 100));
	if (way == 2 && work.attempt < 3)
		fail_attempt(bench, &work);
	else
		end(bench, &work, STATE_SUCCEEDED + (enum task_state)dice(bench, 3));
}

static void step(struct history *history)
{
	struct bench *bench = history->bench;
	uint64_t way = dice(bench, 10);
	if (way < 4)
		step_submit(history);
	else if (way < 7 && history->count < OPEN_MAX)
		history->count += pick(bench, &history->running[history->count]);
	else if (way == 7 && history->count) {
		struct value *record = record_new(bench->arena, RECORD_CANCEL, noon);
		value_set_str(record, "id", history->running[dice(bench, history->count)].id);
		commit_record(bench, record);
	} else if (history->count)
		step_end(history);
	clock_advance(bench->clock, (int64_t)dice(bench, 500));
}

/* What is the same live and replayed: all but what only the leader's memory knows. */
static const char *state_text(struct bench *bench)
{
	static const char *const tenants[] = { "acme", "globex", "initech" };
	static const char *const hidden[] = {
		"startedAt", "reason", "worker", "progress", "version", "attempt"
	};
	struct buf text;
	buf_init(&text, 64 * MIB);
	for (size_t i = 0; i < ARRAY_LEN(tenants); i++) {
		struct value *list = NULL;
		bool more = false;
		cr_assert_eq(shard_list(bench->shard, bench->arena, tenants[i],
		                        &(struct task_filter){ .domain = NULL }, 1000,
		                        &list, &more, &bench->err), 0);
		cr_assert_not(more);
		for (size_t j = 0; j < value_len(list); j++) {
			struct value *task = value_copy(bench->arena, value_at(list, j));
			for (size_t k = 0; k < ARRAY_LEN(hidden); k++)
				value_remove(task, hidden[k]);
			const char *state = value_get_str(task, "state");
			if (strcmp(state, "running") == 0 || strcmp(state, "queued") == 0) {
				value_set_str(task, "state", "queued");
				value_remove(task, "transitions");
			}
			json_print(task, &text);
			buf_putc(&text, '\n');
		}
		struct value *usage = value_copy(bench->arena, shard_usage(bench->shard,
		                                                           bench->arena,
		                                                           tenants[i]));
		struct value *held = value_get_mut(usage, "reserved");
		int64_t open = value_get_int(held, "queuedTasks", 0) +
			value_get_int(held, "runningTasks", 0);
		value_remove(held, "queuedTasks");
		value_remove(held, "runningTasks");
		value_set_int(held, "open", open);
		value_remove(usage, "domains");
		json_print(usage, &text);
		buf_putc(&text, '\n');
	}
	cr_assert_eq(buf_check(&text, &bench->err), 0);
	const char *copy = arena_strdup(bench->arena, (char *)text.data);
	buf_release(&text);
	return copy;
}

Test(shard, replaying_the_journal_gives_the_live_state_of_any_history)
{
	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct bench *bench = bench_new();
		struct history history = { .bench = bench };
		bench->seed = seed * 7919;
		set_quota(bench, "initech", "tasks", 40);
		for (int i = 0; i < 600; i++)
			step(&history);
		const char *live = state_text(bench);
		shard_ready(bench->shard);           /* asserts reservations == unfinished tasks */
		replay(bench);
		cr_assert_str_eq(state_text(bench), live, "seed %d", (int)seed);
		bench_end(bench);
	}
}

struct waiter { struct bench *bench; const char *id; };

static void *wait_for_move(void *context)
{
	struct waiter *waiter = context;
	shard_wait(waiter->bench->shard, waiter->id, 2, INT64_MAX);
	return NULL;
}

Test(shard, a_waiter_wakes_when_its_task_ends)
{
	struct bench *bench = bench_new();
	struct work work;
	pthread_t thread;
	const char *id = submit(bench, "acme", "ops");
	cr_assert(pick(bench, &work));
	struct waiter waiter = { bench, id };
	cr_assert_eq(pthread_create(&thread, NULL, wait_for_move, &waiter), 0);
	end(bench, &work, STATE_SUCCEEDED);
	pthread_join(thread, NULL);
	shard_wait(bench->shard, id, 99, INT64_MAX);     /* an ended task is waited for no longer */
	bench_end(bench);
}
