/* shard_record.c - what each durable record does to the leader's memory: one function a type.
 * Live and in replay alike; applying the same records in the same order gives the same state. */
#include "common/defs.h"
#include "control/runs_impl.h"

#include "common/pack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALSO_ARENA_MAX = 1024 * 1024 };

typedef int apply_fn(struct shard *shard, const struct value *record, struct err *err);

static int damaged(struct err *err)
{
	return err_set(err, E_CORRUPT, "a record of the journal lacks a member that its type has");
}

/* --- transitions --- */

struct transition {
	enum task_event event;
	int64_t at_ms;
	int attempt;                 /* the one it is about; 0: none */
	int code;
};

/* from: the task's state, or the one it was in when an attempt ended: see assigned(). */
static int become(struct shard *shard, struct task *task, enum task_state from,
                  const struct transition *transition, struct err *err)
{
	enum task_state next;
	TRY(task_apply(from, transition->event, &next, err));
	const struct trail_step step = {
		.at_ms = transition->at_ms, .attempt = transition->attempt,
		.code = (int16_t)transition->code, .event = (uint8_t)transition->event,
		.state = (uint8_t)next,
	};
	/* What every task begins with is not kept: control/trail.h. */
	if (from != STATE_ACCEPTED || trail_last(&task->trail))
		TRY(trail_add(&task->trail, &step, err));
	if (task->state == STATE_RUNNING)
		task_stop(shard, task);
	task->account->blocked -= task->state == STATE_BLOCKED;
	task->account->blocked += next == STATE_BLOCKED;
	task->state = next;
	return 0;
}

int task_become(struct shard *shard, struct task *task, enum task_event event, int64_t at_ms,
                struct err *err)
{
	const struct transition transition = { .event = event, .at_ms = at_ms };
	return become(shard, task, task->state, &transition, err);
}

static int64_t mono_of(const struct shard *shard, int64_t unix_ms)
{
	int64_t wait_ms = unix_ms - clock_unix_ms(shard->clock);
	return wait_ms > 0 ? clock_mono_ms(shard->clock) + wait_ms : 0;
}

/* Its record is durable: others see it from now on. */
int task_enter(struct shard *shard, struct task *task, int64_t at_ms, struct err *err)
{
	enum task_event event = run_blocks(task) ? EVENT_BLOCKED : EVENT_DURABLE;
	TRY(task_become(shard, task, event, at_ms, err));
	TRY(expiry_add(shard, task, err));
	task->durable = true;
	if (task->state == STATE_QUEUED)
		task_wait_in_line(shard, task, false);
	task_moved(shard, task);
	return run_follow(shard, task, at_ms, err);
}

/* --- accepted --- */

static const char *const also_members[] = { "placement", "interval", "schedule",
	                                    "backfill",  "purpose",  "reader" };

/* Also: a map in arena; NULL: it has none of these. */
static int read_also(const struct value *record, struct arena *arena, struct value **ret_also,
                     struct err *err)
{
	struct value *also = value_map(arena);
	for (size_t i = 0; i < ARRAY_LEN(also_members); i++) {
		const struct value *member = value_get(record, also_members[i]);
		if (member)
			value_set(also, also_members[i], value_copy(arena, member));
	}
	TRY(value_check(also, err));
	*ret_also = also;
	return 0;
}

static int make_with_also(struct shard *shard, const struct value *record, struct new_task *made,
                          struct task **ret_task, struct err *err)
{
	AUTO(arena) *arena = NULL;
	struct value *also = NULL;
	TRY(arena_new(ALSO_ARENA_MAX, &arena, err));
	TRY(read_also(record, arena, &also, err));
	if (value_get(record, "placement"))
		TRY(placement_read(value_get(record, "placement"), &made->placement, err));
	made->also = also;
	return task_make(shard, made, ret_task, err);
}

static int make(struct shard *shard, const struct value *record, struct new_task *made,
                struct task **ret_task, struct err *err)
{
	placement_default(&made->placement);
	for (size_t i = 0; i < ARRAY_LEN(also_members); i++)
		if (value_get(record, also_members[i]))
			return make_with_also(shard, record, made, ret_task, err);
	return task_make(shard, made, ret_task, err);
}

/* ret_run NULL: it is in none. */
static int place_in_run(const struct shard *shard, const struct value *record, int64_t node,
                        struct run **ret_run, struct err *err)
{
	const char *id = value_get_str(record, "run");
	struct run *run = id ? run_find(shard, id) : NULL;
	if (id && (!run || node < 0 || node >= run->count || run->nodes[node].task))
		return damaged(err);
	*ret_run = run;
	return 0;
}

int task_from_record(struct shard *shard, const struct value *record, struct task **ret_task,
                     struct err *err)
{
	struct new_task made = {
		.id = value_get_str(record, "id"), .tenant = value_get_str(record, "tenant"),
		.domain = value_get_str(record, "domain"),
		.principal = value_get_str(record, "principal"),
		.type = task_by_name(value_get_str(record, "type")),
		.spec = value_get(record, "spec"), .at_ms = value_get_int(record, "at", 0),
	};
	struct task *task = NULL;
	struct run *run = NULL;
	int64_t node = value_get_int(record, "node", -1);
	if (!made.id || !made.tenant || !made.domain || !made.principal || made.type == TASK_NONE)
		return damaged(err);
	TRY(place_in_run(shard, record, node, &run, err));
	record_limits_read(value_get(record, "limits"), &made.limits);
	amounts_read(value_get(record, "reserve"), &made.reserve);
	TRY(make(shard, record, &made, &task, err));
	task->due_mono_ms = mono_of(shard, made.placement.not_before_ms);
	if (run)
		run_attach(run, (uint32_t)node, task);
	*ret_task = task;
	return 0;
}

static int apply_accepted(struct shard *shard, const struct value *record, struct err *err)
{
	const char *id = value_get_str(record, "id");
	struct task *task = id ? task_find(shard, id) : NULL;
	if (task && task->durable)
		return 0;
	if (!task) {
		TRY(idem_restore(shard, record, err));
		TRY(task_from_record(shard, record, &task, err));
	}
	if (task->idem)
		task->idem->durable = true;
	task->idem = NULL;
	return task_enter(shard, task, task->accepted_ms, err);
}

/* Before those of its tasks, in the same change. */
static int apply_run(struct shard *shard, const struct value *record, struct err *err)
{
	const char *id = value_get_str(record, "id");
	struct run *run = id ? run_find(shard, id) : NULL;
	if (!run) {
		TRY(idem_restore(shard, record, err));
		TRY(run_make(shard, record, &run, err));
	}
	if (run->idem)
		run->idem->durable = true;
	run->idem = NULL;
	run->durable = true;
	return 0;
}

/* NULL: gone, or ended already; the record then changes nothing. */
static struct task *unfinished(const struct shard *shard, const struct value *record)
{
	const char *id = value_get_str(record, "id");
	struct task *task = id ? task_find(shard, id) : NULL;
	return task && task->durable && !task_state_final(task->state) ? task : NULL;
}

/* --- attempts --- */

static uint64_t seed_of(const struct task *task)
{
	uint64_t seed = 0;
	memcpy(&seed, task->id + ID_LEN - sizeof seed, sizeof seed);
	return seed;
}

/* That an attempt was assigned is in no record of its own: it follows from how it ended, live and
 * in a replay alike. */
static int assigned(struct task *task, const struct value *record, struct err *err)
{
	const struct trail_step step = {
		.event = EVENT_ASSIGNED, .state = STATE_RUNNING, .attempt = task->attempts,
		.at_ms = value_get_int(record, "started", value_get_int(record, "at", 0)),
	};
	task->started_ms = step.at_ms;
	return trail_add(&task->trail, &step, err);
}

static int attempt_ended(struct task *task, const struct value *record, struct err *err)
{
	const char *code = value_get_str(record, "code");
	const struct value *usage = value_get(record, "usage");
	TRY(task_set_text(task, value_get_str(record, "text"), err));
	task->code = code ? err_by_name(code) : 0;
	task->attempts = (int)value_get_int(record, "attempt", task->attempts);
	task->memory_peak_bytes = value_get_int(usage, "memoryPeakBytes", 0);
	task->wall_ms = value_get_int(usage, "wallMs", 0);
	return 0;
}

static int apply_attempt(struct shard *shard, const struct value *record, struct err *err)
{
	struct task *task = unfinished(shard, record);
	if (!task)
		return 0;
	bool is_free = value_get_bool(record, "free", false);
	TRY(attempt_ended(task, record, err));
	const struct transition transition = {
		.event = is_free ? EVENT_PREEMPTED : EVENT_RETRY,
		.at_ms = value_get_int(record, "at", 0), .attempt = task->attempts,
		.code = task->code,
	};
	task->forgiven += is_free;
	task->unassigned = 0;
	task->dead.epoch = value_get_int(record, "epoch", 0);
	task->dead.counter = value_get_int(record, "counter", 0);
	TRY(assigned(task, record, err));
	TRY(become(shard, task, STATE_RUNNING, &transition, err));
	int64_t delay_ms = is_free ? 0 :
		task_delay_ms(&task->limits, task->code, task->attempts - task->forgiven + 1,
		              seed_of(task));
	task->due_mono_ms = clock_mono_ms(shard->clock) + delay_ms;
	task_wait_in_line(shard, task, is_free);
	task_moved(shard, task);
	return 0;
}

/* --- outcomes --- */

static enum task_event event_of(const char *state)
{
	switch (task_state_by_name(state)) {
	case STATE_SUCCEEDED: return EVENT_SUCCEEDED;
	case STATE_CANCELLED: return EVENT_CANCELLED;
	case STATE_DEAD: return EVENT_EXHAUSTED;
	default: return EVENT_FAILED;
	}
}

static int keep_outputs(struct task *task, const struct value *outputs, struct err *err)
{
	buf_clear(&task->outputs);
	if (!outputs)
		return 0;
	TRY(pack_write(outputs, &task->outputs, err));
	return buf_check(&task->outputs, err);
}

/* It holds nothing any more, and stands among those that have ended. */
int task_retire(struct shard *shard, struct task *task, int64_t at_ms, struct err *err)
{
	task->ended_ms = at_ms;
	expiry_remove(shard, task);
	quota_release(task->account->quota, &task->hold);
	task_leave(shard, task);
	line_append(&shard->finished, task);
	interval_ended(shard, task->id, task->state == STATE_SUCCEEDED, at_ms);
	task_moved(shard, task);
	return run_follow(shard, task, at_ms, err);
}

static int apply_outcome(struct shard *shard, const struct value *record, struct err *err)
{
	struct task *task = unfinished(shard, record);
	if (!task)
		return 0;
	int attempts = task->attempts;
	TRY(attempt_ended(task, record, err));
	const struct transition transition = {
		.event = event_of(value_get_str(record, "state")),
		.at_ms = value_get_int(record, "at", 0), .attempt = task->attempts,
		.code = task->code,
	};
	bool ran = task->attempts > attempts;        /* as the record says, live and in a replay */
	TRY(keep_outputs(task, value_get(record, "outputs"), err));
	if (ran)
		TRY(assigned(task, record, err));
	TRY(become(shard, task, ran ? STATE_RUNNING : task->state, &transition, err));
	TRY(task_retire(shard, task, transition.at_ms, err));
	if (task->type == TASK_AUDIT)
		return audit_stored(shard, task, err);
	return task->type == TASK_ARCHIVE ? archive_ended(shard, task, err) : 0;
}

void task_cancel(struct shard *shard, struct task *task)
{
	if (!task || !task->durable || task_state_final(task->state) || task->cancel)
		return;
	task->cancel = true;
	if (task->state != STATE_RUNNING)
		task_wait_in_line(shard, task, false);
	task_moved(shard, task);
}

/* Of a task, or of all of a run's. */
static int apply_cancel(struct shard *shard, const struct value *record, struct err *err)
{
	const char *id = value_get_str(record, "id"), *run_id = value_get_str(record, "run");
	struct run *run = run_id ? run_find(shard, run_id) : NULL;
	(void)err;
	if (id)
		task_cancel(shard, task_find(shard, id));
	if (!run || run->ended_ms)
		return 0;
	run->cancel = true;
	for (uint32_t i = 0; i < run->count; i++)
		task_cancel(shard, run->nodes[i].task);
	return 0;
}

/* "TASK/ATTEMPT": false when that attempt is counted already. */
static bool first_bill(struct shard *shard, const char *id, const struct amounts *amounts)
{
	char task_id[ID_LEN + 1];
	const char *slash = strchr(id, '/');
	snprintf(task_id, sizeof task_id, "%.*s", slash ? (int)(slash - id) : 0, id);
	struct task *task = task_find(shard, task_id);
	int attempt = slash ? atoi(slash + 1) : 0;
	if (!task)
		return true;
	if (attempt <= task->billed)
		return false;
	task->billed = attempt;
	struct amounts *used = task_used(task);
	if (used)
		amounts_add(used, amounts);
	else
		shard->sound = false;
	return true;
}

static int apply_usage(struct shard *shard, const struct value *record, struct err *err)
{
	const char *id = value_get_str(record, "id"), *tenant = value_get_str(record, "tenant");
	const char *domain = value_get_str(record, "domain");
	const char *source = value_get_str(record, "source");
	struct account *account = NULL;
	struct amounts amounts;
	if (!id || !tenant || !domain || !source)
		return damaged(err);
	amounts_read(value_get(record, "amounts"), &amounts);
	amounts.v[DIM_COST_MICROS] = value_get_int(record, "cost", 0);
	TRY(account_get(shard, tenant, &account, err));
	if (strcmp(source, "task") == 0 && !first_bill(shard, id, &amounts))
		return 0;
	return quota_charge(account->quota, domain, &amounts, value_get_int(record, "at", 0), err);
}

static int apply_audit(struct shard *shard, const struct value *record, struct err *err)
{
	const char *tenant = value_get_str(record, "tenant");
	struct account *account = NULL;
	if (!tenant)
		return damaged(err);
	TRY(account_get(shard, tenant, &account, err));
	return audit_append(shard, account, record, err);
}

static int apply_meter(struct shard *shard, const struct value *record, struct err *err)
{
	const char *worker = value_get_str(record, "worker");
	size_t i = 0;
	if (!worker)
		return damaged(err);
	while (i < shard->meter_count && strcmp(shard->meters[i].worker, worker) != 0)
		i++;
	if (i == shard->meter_count) {
		if (i == WORKERS_MAX)
			return err_set(err, E_TOO_LARGE, "over %d workers have reported reads",
			               WORKERS_MAX);
		struct meter *meters = realloc(shard->meters, (i + 1) * sizeof *meters);
		if (!meters)
			return err_set(err, E_NOMEM, "no memory for a worker's meter");
		shard->meters = meters;
		shard->meter_count++;
		snprintf(meters[i].worker, sizeof meters[i].worker, "%s", worker);
	}
	shard->meters[i].incarnation = value_get_int(record, "incarnation", 0);
	shard->meters[i].seq = value_get_int(record, "seq", 0);
	return 0;
}

static int apply_interval(struct shard *shard, const struct value *record, struct err *err)
{
	return book_apply(shard->book, record, err);
}

static int apply_unknown(struct shard *shard, const struct value *record, struct err *err)
{
	(void)shard, (void)record, (void)err;
	return 0;
}

static apply_fn *const apply_by_type[] = {
	[RECORD_UNKNOWN] = apply_unknown, [RECORD_ACCEPTED] = apply_accepted,
	[RECORD_ATTEMPT] = apply_attempt, [RECORD_OUTCOME] = apply_outcome,
	[RECORD_CANCEL] = apply_cancel, [RECORD_USAGE] = apply_usage,
	[RECORD_AUDIT] = apply_audit, [RECORD_METER] = apply_meter,
	[RECORD_INTERVAL] = apply_interval, [RECORD_RUN] = apply_run,
	[RECORD_REPLAY] = apply_replay, [RECORD_TASK] = restore_task,
	[RECORD_ENDED] = restore_ended, [RECORD_KEY] = restore_key,
	[RECORD_TALLY] = restore_tally, [RECORD_GONE] = apply_gone,
	[RECORD_LOG] = log_restore, [RECORD_STOP] = apply_stop,
	[RECORD_ERASED] = apply_erased, [RECORD_HEAD] = log_apply_head,
	[RECORD_NODES] = log_restore_nodes,
};

int record_apply(struct shard *shard, const struct value *record, struct err *err)
{
	return apply_by_type[record_type(record)](shard, record, err);
}
