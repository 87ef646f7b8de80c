/* A shard that is made from another's records is the same: it reads the same, emits the same bytes,
 * and goes on the same. */
#include "common/defs.h"
#include "control/shard_emit.h"

#include "common/crypto.h"
#include "common/json.h"
#include "common/pack.h"
#include "control/runs_impl.h"
#include "control/shard_audit.h"
#include "control/shard_tenant.h"
#include "tests/support/one_thread.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { STEPS = 600, TASKS_MAX = 4000, RUN_TASKS = 4 };

static const int64_t noon = 1795348800000;       /* 2026-11-22T12:00:00Z */
static const char *const tenants[] = { "acme", "globex", "initech" };
static const char *const domains[] = { "sales", "ops" };

struct pair {
	struct clock *clock;
	struct shard *a, *b;
	struct arena *arena;
	uint64_t seed, ids;
	const char *tasks[TASKS_MAX];
	const char *owners[TASKS_MAX];
	int attempts[TASKS_MAX];
	size_t count;
	struct err err;
};

static uint64_t dice(struct pair *pair, uint64_t sides)
{
	pair->seed = pair->seed * 6364136223846793005u + 1442695040888963407u;
	return (pair->seed >> 33) % sides;
}

static const char *next_id(struct pair *pair)
{
	uint8_t random[10] = { 0 };
	char id[ID_LEN + 1];
	uint64_t n = ++pair->ids;
	for (int i = 9; n; i--, n >>= 8)
		random[i] = (uint8_t)n;
	id_make(clock_unix_ms(pair->clock), random, id);
	return arena_strdup(pair->arena, id);
}

/* --- what happens, to one or to both --- */

static void happens(struct pair *pair, const struct value *record)
{
	shard_record(pair->a, record);
	if (pair->b)
		shard_record(pair->b, record);
}

static struct value *record_of(struct pair *pair, enum record_type type, const char *tenant)
{
	struct value *record = record_new(pair->arena, type, clock_unix_ms(pair->clock));
	value_set_str(record, "tenant", tenant);
	return record;
}

static void audit(struct pair *pair, const char *tenant, const char *action)
{
	struct value *record = record_of(pair, RECORD_AUDIT, tenant);
	value_set_str(record, "actor", "acme/alice");
	value_set_str(record, "action", action);
	value_set_str(record, "resource", "r");
	value_set_str(record, "result", "allowed");
	happens(pair, record);
}

static struct value *accepted(struct pair *pair, const char *tenant, const char *id)
{
	struct value *record = record_of(pair, RECORD_ACCEPTED, tenant);
	struct value *spec = value_map(pair->arena), *reserve = value_map(pair->arena);
	struct limits limits;
	limits_default(&limits);
	limits.attempts_max = 1 + (int)dice(pair, 4);
	value_set_int(spec, "n", (int64_t)dice(pair, 1000));
	value_set_int(reserve, "tasks", 1);
	value_set_int(reserve, "cpuMs", 1000);
	value_set_str(record, "id", id);
	value_set_str(record, "domain", domains[dice(pair, 2)]);
	value_set_str(record, "principal", "acme/alice");
	value_set_str(record, "type", "probe");
	value_set(record, "spec", spec);
	value_set(record, "limits", record_limits(pair->arena, &limits));
	value_set(record, "reserve", reserve);
	return record;
}

static void know(struct pair *pair, const char *tenant, const char *id)
{
	cr_assert_lt(pair->count, (size_t)TASKS_MAX);
	pair->owners[pair->count] = tenant;
	pair->tasks[pair->count++] = id;
}

static void submit(struct pair *pair, const char *tenant)
{
	const char *id = next_id(pair);
	struct value *record = accepted(pair, tenant, id);
	if (dice(pair, 3) == 0) {
		uint8_t hash[DIGEST_BYTES] = { (uint8_t)dice(pair, 256) };
		value_set_str(record, "key", arena_printf(pair->arena, "sales/%d",
		                                          (int)pair->count));
		value_set_bin(record, "key_hash", hash, sizeof hash);
	}
	if (dice(pair, 4) == 0) {
		struct value *placement = value_map(pair->arena);
		value_set_str(placement, "priority", "high");
		value_set(record, "placement", placement);
	}
	happens(pair, record);
	know(pair, tenant, id);
}

/* Each waits for those before it. */
static void submit_run(struct pair *pair, const char *tenant)
{
	struct value *run = record_of(pair, RECORD_RUN, tenant), *list = value_list(pair->arena);
	const char *run_id = next_id(pair), *ids[RUN_TASKS];
	for (int i = 0; i < RUN_TASKS; i++) {
		struct value *task = value_map(pair->arena), *deps = value_list(pair->arena);
		ids[i] = next_id(pair);
		for (int j = 0; j < i; j++) {
			struct value *dep = value_list(pair->arena);
			value_add(dep, value_int(pair->arena, j));
			value_add(dep, value_int(pair->arena, i == 3 ? ON_ALWAYS : ON_SUCCESS));
			value_add(deps, dep);
		}
		value_set_str(task, "name", arena_printf(pair->arena, "t%d", i));
		value_set_str(task, "id", ids[i]);
		value_set(task, "deps", deps);
		value_add(list, task);
	}
	value_set_str(run, "id", run_id);
	value_set_str(run, "domain", "sales");
	value_set_str(run, "principal", "acme/alice");
	value_set(run, "tasks", list);
	happens(pair, run);
	for (int i = 0; i < RUN_TASKS; i++) {
		struct value *record = accepted(pair, tenant, ids[i]);
		value_set_str(record, "run", run_id);
		value_set_int(record, "node", i);
		happens(pair, record);
		know(pair, tenant, ids[i]);
	}
}

static void bill(struct pair *pair, size_t i)
{
	struct value *record = record_of(pair, RECORD_USAGE, pair->owners[i]);
	struct value *amounts = value_map(pair->arena);
	value_set_int(amounts, "cpuMs", (int64_t)dice(pair, 5000));
	value_set_int(amounts, "bytesStored", (int64_t)dice(pair, 5000));
	value_set_str(record, "id", arena_printf(pair->arena, "%s/%d", pair->tasks[i],
	                                         pair->attempts[i]));
	value_set_str(record, "domain", "sales");
	value_set_str(record, "source", "task");
	value_set(record, "amounts", amounts);
	value_set_int(record, "cost", (int64_t)dice(pair, 100));
	happens(pair, record);
}

static struct value *about(struct pair *pair, enum record_type type, size_t i)
{
	struct value *record = record_of(pair, type, pair->owners[i]);
	value_set_str(record, "id", pair->tasks[i]);
	value_set_str(record, "domain", "sales");
	return record;
}

/* Only what may end does: in a run, one whose turn it is. */
static bool may_end(struct pair *pair, size_t i)
{
	shard_lock(pair->a);
	const struct task *task = task_find(pair->a, pair->tasks[i]);
	bool may = task && task->state == STATE_QUEUED;
	shard_unlock(pair->a);
	return may;
}

static void attempt(struct pair *pair, size_t i)
{
	struct value *record = about(pair, RECORD_ATTEMPT, i);
	value_set_int(record, "attempt", ++pair->attempts[i]);
	value_set_str(record, "code", "DEAD_WORKER");
	value_set_str(record, "text", "its worker is gone");
	value_set_int(record, "started", clock_unix_ms(pair->clock) - 10);
	value_set_int(record, "epoch", 5);
	value_set_int(record, "counter", (int64_t)dice(pair, 1000));
	bill(pair, i);
	happens(pair, record);
}

static void outcome(struct pair *pair, size_t i)
{
	static const char *const states[] = { "succeeded", "failed", "dead", "cancelled" };
	const char *state = states[dice(pair, 4)];
	struct value *record = about(pair, RECORD_OUTCOME, i);
	value_set_int(record, "attempt", ++pair->attempts[i]);
	value_set_str(record, "state", state);
	value_set_int(record, "started", clock_unix_ms(pair->clock) - 10);
	if (strcmp(state, "succeeded") == 0) {
		struct value *outputs = value_list(pair->arena), *output = value_map(pair->arena);
		value_set_str(output, "dataset", "d");
		value_add(outputs, output);
		value_set(record, "outputs", outputs);
	} else {
		value_set_str(record, "code", "INPUT");
		value_set_str(record, "text", "column a is no number");
	}
	bill(pair, i);
	happens(pair, record);
}

static void meter(struct pair *pair)
{
	struct value *record = record_new(pair->arena, RECORD_METER, clock_unix_ms(pair->clock));
	value_set_str(record, "worker", dice(pair, 2) ? "w1" : "w2");
	value_set_int(record, "incarnation", 3);
	value_set_int(record, "seq", (int64_t)pair->count);
	happens(pair, record);
}

static void act_on_one(struct pair *pair, size_t i)
{
	switch (dice(pair, 4)) {
	case 0:
		if (may_end(pair, i))
			attempt(pair, i);
		break;
	case 1:
		happens(pair, about(pair, RECORD_CANCEL, i));
		break;
	default:
		if (may_end(pair, i))
			outcome(pair, i);
	}
}

static void step(struct pair *pair)
{
	const char *tenant = tenants[dice(pair, 3)];
	clock_advance(pair->clock, (int64_t)dice(pair, 50));
	switch (dice(pair, 8)) {
	case 0: case 1: submit(pair, tenant); break;
	case 2: submit_run(pair, tenant); break;
	case 3: audit(pair, tenant, "task.submit"); break;
	case 4: meter(pair); break;
	default:
		if (pair->count)
			act_on_one(pair, (size_t)dice(pair, pair->count));
	}
}

/* --- the same --- */

static int into_b(void *context, const struct value *record, struct err *err)
{
	struct pair *pair = context;
	AUTO(arena) *arena = NULL;
	AUTO_BUF packed;
	struct value *copy = NULL;
	buf_init(&packed, 4 * MIB);
	TRY(pack_write(record, &packed, err));
	TRY(arena_new(16 * MIB, &arena, err));
	TRY(pack_read(arena, packed.data, packed.len, &copy, err));
	cr_assert_neq(record_type(copy), RECORD_UNKNOWN);
	shard_record(pair->b, copy);
	return 0;
}

static int into_buf(void *context, const struct value *record, struct err *err)
{
	return pack_write(record, context, err);
}

static void emit(struct pair *pair, struct shard *shard, emit_fn *fn, void *context)
{
	cr_assert_eq(shard_hold(shard, &pair->err), 0, "%s", pair->err.text);
	cr_assert_eq(shard_emit(shard, fn, context, &pair->err), 0, "%s", pair->err.text);
	shard_let_go(shard);
}

static void make_b(struct pair *pair)
{
	shard_free(MOVE(pair->b));
	cr_assert_eq(shard_new(pair->clock, &pair->b, &pair->err), 0);
	shard_clear(pair->b);
	emit(pair, pair->a, into_b, pair);
	cr_assert(shard_sound(pair->b), "a record of the checkpoint was not applied");
	shard_ready(pair->b);
}

static const char *text_of(struct pair *pair, const struct value *value)
{
	AUTO_BUF out;
	buf_init(&out, 64 * MIB);
	json_print(value, &out);
	cr_assert_eq(buf_check(&out, &pair->err), 0);
	return arena_strndup(pair->arena, (const char *)out.data, out.len);
}

static void same_text(struct pair *pair, const struct value *a, const struct value *b)
{
	cr_assert_str_eq(text_of(pair, a), text_of(pair, b));
}

static void same_lists(struct pair *pair, const char *tenant)
{
	struct value *lists[2] = { NULL }, *events[2] = { NULL }, *runs[2] = { NULL };
	const struct audit_query query = { .tenant = tenant, .limit = 1000 };
	const struct task_filter all = { .states = 0 };
	struct shard *shards[2] = { pair->a, pair->b };
	struct err *err = &pair->err;
	bool more = false;
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(shard_list(shards[i], pair->arena, tenant, &all, 1000, &lists[i],
		                        &more, err), 0, "%s", err->text);
		cr_assert_eq(shard_audit(shards[i], pair->arena, &query, &events[i], &more, err),
		             0);
		cr_assert_eq(shard_runs(shards[i], pair->arena, tenant, NULL, NULL, NULL, 1000,
		                        &runs[i], &more, err), 0);
	}
	same_text(pair, lists[0], lists[1]);
	same_text(pair, events[0], events[1]);
	same_text(pair, runs[0], runs[1]);
}

static void same_tree(struct pair *pair, const char *tenant)
{
	struct audit_tree a, b;
	shard_audit_tree(pair->a, tenant, &a);
	shard_audit_tree(pair->b, tenant, &b);
	cr_assert_eq(memcmp(&a.range.size, &b.range.size, sizeof a.range.size), 0);
	cr_assert_eq(a.from, 1);
	cr_assert_eq(b.from, 1);
	uint8_t one[MERKLE_BYTES], two[MERKLE_BYTES];
	merkle_root(&a.range, one);
	merkle_root(&b.range, two);
	cr_assert_arr_eq(one, two, MERKLE_BYTES);
}

static void is_the_same(struct pair *pair)
{
	AUTO_BUF a, b;
	buf_init(&a, 64 * MIB);
	buf_init(&b, 64 * MIB);
	for (size_t i = 0; i < ARRAY_LEN(tenants); i++) {
		same_lists(pair, tenants[i]);
		same_text(pair, shard_usage(pair->a, pair->arena, tenants[i]),
		          shard_usage(pair->b, pair->arena, tenants[i]));
		same_tree(pair, tenants[i]);
	}
	emit(pair, pair->a, into_buf, &a);
	emit(pair, pair->b, into_buf, &b);
	/* The order of tenants is no part of a state. */
	cr_assert_eq(a.len, b.len, "%zu bytes, and %zu", a.len, b.len);
}

static void play(uint64_t seed)
{
	struct pair pair = { .seed = seed };
	cr_assert_eq(crypto_start(&pair.err), 0);
	cr_assert_eq(clock_new_simulated(noon, &pair.clock, &pair.err), 0);
	cr_assert_eq(arena_new(1024 * MIB, &pair.arena, &pair.err), 0);
	cr_assert_eq(shard_new(pair.clock, &pair.a, &pair.err), 0);
	shard_clear(pair.a);                 /* both are read from a journal, as it were */
	for (int i = 0; i < STEPS; i++)
		step(&pair);
	shard_ready(pair.a);
	make_b(&pair);
	is_the_same(&pair);
	for (int i = 0; i < STEPS / 4; i++)          /* both go on */
		step(&pair);
	is_the_same(&pair);
	cr_assert(shard_sound(pair.a));
	cr_assert(shard_sound(pair.b));
	shard_free(pair.a);
	shard_free(pair.b);
	arena_free(pair.arena);
	clock_free(pair.clock);
}

Test(shard_emit, a_shard_made_from_its_records_is_the_same_and_goes_on_the_same)
{
	ONE_THREAD();
	for (uint64_t seed = 1; seed <= 8; seed++)
		play(seed);
}

Test(shard_emit, a_shard_that_is_being_replayed_is_not_held)
{
	struct err err = { 0 };
	AUTO(shard) *shard = NULL;
	cr_assert_eq(shard_new(clock_system(), &shard, &err), 0);
	shard_clear(shard);
	cr_assert_eq(shard_hold(shard, &err), E_UNAVAILABLE);
	shard_ready(shard);
	cr_assert_eq(shard_hold(shard, &err), 0);
	shard_let_go(shard);
}

Test(shard_emit, a_log_of_a_checkpoint_without_a_tree_gets_one_that_begins_with_its_next_event)
{
	struct pair pair = { .seed = 1 };
	struct audit_tree tree;
	cr_assert_eq(crypto_start(&pair.err), 0);
	cr_assert_eq(clock_new_simulated(noon, &pair.clock, &pair.err), 0);
	cr_assert_eq(arena_new(64 * MIB, &pair.arena, &pair.err), 0);
	cr_assert_eq(shard_new(pair.clock, &pair.a, &pair.err), 0);
	shard_clear(pair.a);
	struct value *old = record_of(&pair, RECORD_AUDIT, "acme");
	value_set_int(old, "seq", 7);
	happens(&pair, old);
	shard_audit_tree(pair.a, "acme", &tree);
	cr_assert_eq(tree.range.size, 0);
	cr_assert_eq(tree.from, 8);
	audit(&pair, "acme", "task:run");
	shard_audit_tree(pair.a, "acme", &tree);
	cr_assert_eq(tree.range.size, 1);
	cr_assert_eq(tree.from, 8);
	happens(&pair, record_of(&pair, RECORD_ERASED, "acme"));
	shard_audit_tree(pair.a, "acme", &tree);
	cr_assert_eq(tree.range.size, 0);
	cr_assert(shard_sound(pair.a));
	shard_free(pair.a);
	arena_free(pair.arena);
	clock_free(pair.clock);
}

/* Newest first. */
static int64_t seq_at(struct pair *pair, const char *tenant, int64_t before)
{
	const struct audit_query query = { .tenant = tenant, .limit = 1, .before_seq = before };
	struct value *events = NULL;
	bool more = false;
	cr_assert_eq(shard_audit(pair->a, pair->arena, &query, &events, &more, &pair->err), 0);
	return value_get_int(value_at(events, 0), "seq", 0);
}

Test(shard_emit, audit_events_are_bounded_over_all_tenants_and_who_has_most_gives_up_its_oldest)
{
	ONE_THREAD();
	enum { OF_MOST = 95000, OF_OTHERS = 70000, OTHERS = 3 };
	static const char *const others[OTHERS] = { "globex", "initech", "umbrella" };
	struct pair pair = { .seed = 1 };
	cr_assert_eq(clock_new_simulated(noon, &pair.clock, &pair.err), 0);
	cr_assert_eq(arena_new(64 * MIB, &pair.arena, &pair.err), 0);
	cr_assert_eq(shard_new(pair.clock, &pair.a, &pair.err), 0);
	for (int i = 0; i < OF_MOST; i++, arena_reset(pair.arena))
		audit(&pair, "acme", "task.submit");
	for (int i = 0; i < OF_OTHERS * OTHERS; i++, arena_reset(pair.arena))
		audit(&pair, others[i % OTHERS], "task.submit");
	cr_assert_leq(pair.a->audit_len, (size_t)AUDIT_ALL_MAX);
	cr_assert_gt(pair.a->audit_len, (size_t)AUDIT_ALL_MAX * 9 / 10);
	cr_assert_eq(seq_at(&pair, "acme", 0), OF_MOST, "the newest is kept");
	cr_assert_eq(seq_at(&pair, "acme", 2), 0, "the oldest is not");
	cr_assert_eq(seq_at(&pair, "globex", 2), 1, "others keep theirs");
	shard_clear(pair.a);
	cr_assert_eq(pair.a->audit_len, 0);
	shard_free(pair.a);
	arena_free(pair.arena);
	clock_free(pair.clock);
}
