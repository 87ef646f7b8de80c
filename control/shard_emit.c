/* shard_emit.c - see shard_emit.h. In this order: idempotency keys, what was spent, runs, tasks by
 * acceptance, the order in which they ended, audit events and their trees, meters, ledgers. All
 * but the ledgers' and runs' records are read by shard_restore.c. Nothing here takes a lock or asks
 * a clock: it may be the one thread of a forked child. */
#include "common/defs.h"
#include "control/shard_emit.h"

#include "common/pack.h"
#include "control/runs_impl.h"
#include "control/shard_archive.h"

#include <string.h>

enum { RECORD_ARENA_MAX = 32 * 1024 * 1024, ENDED_LIST_MAX = 1000 };

struct emitting {
	const struct shard *shard;
	struct arena *arena;         /* of one record */
	emit_fn *emit;
	void *context;
	int64_t unix_ms, mono_ms;    /* when it was held */
};

/* The arena is empty again after each. */
static int emit_one(struct emitting *emitting, struct value *record, struct err *err)
{
	TRY(value_check(record, err));
	TRY(emitting->emit(emitting->context, record, err));
	arena_reset(emitting->arena);
	return 0;
}

static int emit_same(void *context, const struct value *record, struct err *err)
{
	const struct emitting *emitting = context;
	return emitting->emit(emitting->context, record, err);
}

/* --- keys --- */

static int emit_key(struct emitting *emitting, const struct idem *idem, struct err *err)
{
	struct arena *arena = emitting->arena;
	const char *slash = strchr(idem->key, '/');
	struct value *record = record_new(arena, RECORD_KEY, idem->at_ms);
	REQUIRE(slash);
	TRY(value_check(record, err));
	value_set(record, "tenant", value_strn(arena, idem->key, (size_t)(slash - idem->key)));
	value_set_str(record, "key", slash + 1);
	value_set_bin(record, "key_hash", idem->hash, DIGEST_BYTES);
	value_set_str(record, "id", idem->id);
	return emit_one(emitting, record, err);
}

static int emit_keys(struct emitting *emitting, struct err *err)
{
	for (const struct idem *at = emitting->shard->idem_oldest; at; at = at->newer)
		if (at->durable && !at->withdrawn)
			TRY(emit_key(emitting, at, err));
	return 0;
}

/* --- what was spent --- */

static int emit_tallies(struct emitting *emitting, const struct account *account, struct err *err)
{
	struct quota_tally tally;
	for (size_t i = 0; quota_tally(account->quota, i, &tally); i++) {
		if (amounts_zero(&tally.amounts))
			continue;
		struct value *record = record_new(emitting->arena, RECORD_TALLY,
		                                  emitting->unix_ms);
		TRY(value_check(record, err));
		value_set_str(record, "tenant", account->name);
		value_set_str(record, "domain", tally.domain);
		value_set_str(record, "window", tally.window);
		value_set_int(record, "number", tally.number);
		value_set(record, "amounts", amounts_value(emitting->arena, &tally.amounts));
		TRY(emit_one(emitting, record, err));
	}
	return 0;
}

/* --- runs and tasks --- */

static int emit_runs(struct emitting *emitting, const struct account *account, struct err *err)
{
	const struct run *run = account->newest_run;
	while (run && run->older)
		run = run->older;
	for (; run; run = run->newer)
		if (run->durable)
			TRY(emit_one(emitting, run_record(emitting->arena, run), err));
	return 0;
}

static int set_packed(struct value *map, const char *name, struct arena *arena,
                      const struct buf *packed, struct err *err)
{
	struct value *value = NULL;
	if (packed->len == 0)
		return 0;
	TRY(pack_read(arena, packed->data, packed->len, &value, err));
	value_set(map, name, value);
	return 0;
}

/* The members of its accepted record. */
static int set_accepted(struct value *record, struct arena *arena, const struct task *task,
                        struct err *err)
{
	struct value *also = NULL;
	const char *name = NULL;
	value_set_str(record, "id", task->id);
	value_set_str(record, "tenant", task->account->name);
	value_set_str(record, "domain", task->domain);
	value_set_str(record, "principal", task->principal);
	value_set_str(record, "type", task_info[task->type].name);
	TRY(set_packed(record, "spec", arena, &task->spec, err));
	value_set(record, "limits", record_limits(arena, &task->limits));
	value_set(record, "reserve", amounts_value(arena, &task->reserve));
	if (task->also.len)
		TRY(pack_read(arena, task->also.data, task->also.len, &also, err));
	for (size_t i = 0; i < value_len(also); i++) {
		struct value *member = (struct value *)value_member(also, i, &name);
		value_set(record, name, member);
	}
	if (task->node) {
		value_set_str(record, "run", task->node->run->id);
		value_set_int(record, "node", task->node - task->node->run->nodes);
	}
	return 0;
}

static void set_number(struct value *map, const char *name, int64_t number)
{
	if (number)
		value_set_int(map, name, number);
}

static void set_true(struct value *map, const char *name, bool flag)
{
	if (flag)
		value_set_bool(map, name, true);
}

/* That it runs is not durable: until its attempt ends it waits, for whoever leads next. */
static enum task_state durable_state(const struct task *task)
{
	return task->state == STATE_RUNNING ? STATE_QUEUED : task->state;
}

static int64_t due_unix_ms(const struct emitting *emitting, const struct task *task)
{
	int64_t wait_ms = task->due_mono_ms - emitting->mono_ms;
	return wait_ms > 0 ? emitting->unix_ms + wait_ms : 0;
}

static void set_attempts(struct value *was, struct arena *arena, const struct task *task)
{
	set_number(was, "attempts", task->attempts);
	set_number(was, "forgiven", task->forgiven);
	set_number(was, "billed", task->billed);
	set_number(was, "deadEpoch", task->dead.epoch);
	set_number(was, "deadCounter", task->dead.counter);
	set_number(was, "peak", task->memory_peak_bytes);
	set_number(was, "wall", task->wall_ms);
	if (task->attempts > 0)
		set_number(was, "started", task->started_ms);
	if (task->used)
		value_set(was, "used", amounts_value(arena, task->used));
	if (task->code)
		value_set_str(was, "code", err_name(task->code));
	value_set_str(was, "text", task->text);
}

/* What happened to it since it was accepted. */
static int was_value(const struct emitting *emitting, const struct task *task,
                     struct value **ret_was, struct err *err)
{
	struct arena *arena = emitting->arena;
	struct value *was = value_map(arena);
	TRY(value_check(was, err));
	value_set_str(was, "state", task_state_name(durable_state(task)));
	set_attempts(was, arena, task);
	set_true(was, "cancel", task->cancel);
	set_true(was, "expired", task->expired);
	set_number(was, "due", due_unix_ms(emitting, task));
	set_number(was, "ended", task->ended_ms);
	set_number(was, "expires", task->expires_ms);
	set_number(was, "version", task->version);
	if (task->trail.len)
		value_set(was, "trail", trail_emit(arena, &task->trail));
	TRY(set_packed(was, "outputs", arena, &task->outputs, err));
	*ret_was = was;
	return value_check(was, err);
}

static int emit_task(struct emitting *emitting, const struct task *task, struct err *err)
{
	struct value *record = record_new(emitting->arena, RECORD_TASK, task->accepted_ms);
	struct value *was = NULL;
	TRY(value_check(record, err));
	TRY(set_accepted(record, emitting->arena, task, err));
	TRY(was_value(emitting, task, &was, err));
	value_set(record, "was", was);
	return emit_one(emitting, record, err);
}

static int emit_tasks(struct emitting *emitting, const struct account *account, struct err *err)
{
	const struct task *task = account->newest;
	while (task && task->older)
		task = task->older;
	for (; task; task = task->newer)
		if (task->durable && !task_is_question(task->type))
			TRY(emit_task(emitting, task, err));
	return 0;
}

/* Tasks leave in the order in which they ended. */
static int emit_ended(struct emitting *emitting, struct err *err)
{
	const struct task *task = emitting->shard->finished.first;
	while (task) {
		struct value *record = record_new(emitting->arena, RECORD_ENDED,
		                                  emitting->unix_ms);
		struct value *ids = value_list(emitting->arena);
		TRY(value_check(record, err));
		for (int i = 0; ids && task && i < ENDED_LIST_MAX; i++, task = task->next)
			value_add_str(ids, task->id);
		value_set(record, "ids", ids);
		TRY(emit_one(emitting, record, err));
	}
	return 0;
}

/* --- audit, meters --- */

static int emit_events(struct emitting *emitting, const struct account *account, struct err *err)
{
	const struct audit_ring *ring = &account->audit;
	for (size_t i = 0; i < ring->len; i++) {
		const struct audit_entry *entry = &ring->entries[(ring->first + i) % ring->cap];
		struct value *record = NULL;
		TRY(pack_read(emitting->arena, entry->packed, entry->len, &record, err));
		value_set_str(record, "t", "audit");
		TRY(emit_one(emitting, record, err));
	}
	return 0;
}

static int emit_log_record(void *context, struct value *record, struct err *err)
{
	return emit_one(context, record, err);
}

static int emit_tree(struct emitting *emitting, const struct account *account, struct err *err)
{
	return log_emit(emitting->arena, account->name, &account->audit, emitting->unix_ms,
	                emit_log_record, emitting, err);
}

static int emit_meters(struct emitting *emitting, struct err *err)
{
	for (size_t i = 0; i < emitting->shard->meter_count; i++) {
		const struct meter *meter = &emitting->shard->meters[i];
		struct value *record = record_new(emitting->arena, RECORD_METER,
		                                  emitting->unix_ms);
		TRY(value_check(record, err));
		value_set_str(record, "worker", meter->worker);
		value_set_int(record, "incarnation", meter->incarnation);
		value_set_int(record, "seq", meter->seq);
		TRY(emit_one(emitting, record, err));
	}
	return 0;
}

typedef int emit_account_fn(struct emitting *emitting, const struct account *account,
                            struct err *err);

static int each_account(struct emitting *emitting, emit_account_fn *emit, struct err *err)
{
	for (const struct account *at = emitting->shard->account_list; at; at = at->next)
		TRY(emit(emitting, at, err));
	return 0;
}

int shard_emit(struct shard *shard, emit_fn *emit, void *context, struct err *err)
{
	AUTO(arena) *arena = NULL;
	TRY(arena_new(RECORD_ARENA_MAX, &arena, err));
	struct emitting emitting = {
		.shard = shard, .arena = arena, .emit = emit, .context = context,
		.unix_ms = shard->held_unix_ms, .mono_ms = shard->held_mono_ms,
	};
	TRY(emit_keys(&emitting, err));
	TRY(each_account(&emitting, emit_tallies, err));
	TRY(each_account(&emitting, emit_runs, err));
	TRY(each_account(&emitting, emit_tasks, err));
	TRY(emit_ended(&emitting, err));
	TRY(each_account(&emitting, emit_events, err));
	TRY(each_account(&emitting, emit_tree, err));
	TRY(emit_meters(&emitting, err));
	return book_emit(shard->book, emit_same, &emitting, err);
}

int shard_hold(struct shard *shard, struct err *err)
{
	shard_lock(shard);
	if (!shard->sound || shard->replaying) {
		shard_unlock(shard);
		return err_set(err, E_UNAVAILABLE, "the state is being read from the journal");
	}
	shard->held_unix_ms = clock_unix_ms(shard->clock);
	shard->held_mono_ms = clock_mono_ms(shard->clock);
	return 0;
}

void shard_let_go(struct shard *shard)
{
	shard_unlock(shard);
}
