/* shard_restore.c - the records that only a checkpoint holds (control/shard_emit.c): a state as it
 * was, without what led to it. Nothing follows from them: what did is in the checkpoint as well. */
#include "common/defs.h"
#include "control/runs_impl.h"

#include "common/pack.h"

static int damaged(struct err *err)
{
	return err_set(err, E_CORRUPT, "a record of the checkpoint lacks a member that its type "
	               "has");
}

int restore_key(struct shard *shard, const struct value *record, struct err *err)
{
	if (!value_get_str(record, "tenant") || !value_get_str(record, "id"))
		return damaged(err);
	return idem_restore(shard, record, err);
}

int restore_tally(struct shard *shard, const struct value *record, struct err *err)
{
	const char *tenant = value_get_str(record, "tenant");
	struct account *account = NULL;
	struct quota_tally tally = {
		.domain = value_get_str(record, "domain"),
		.window = value_get_str(record, "window"),
		.number = value_get_int(record, "number", 0),
	};
	if (!tenant || !tally.domain || !tally.window)
		return damaged(err);
	amounts_read(value_get(record, "amounts"), &tally.amounts);
	TRY(account_get(shard, tenant, &account, err));
	return quota_tally_restore(account->quota, &tally, err);
}

/* --- a task --- */

static int read_attempts(struct task *task, const struct value *was, struct err *err)
{
	const char *code = value_get_str(was, "code");
	task->attempts = (int)value_get_int(was, "attempts", 0);
	task->forgiven = (int)value_get_int(was, "forgiven", 0);
	task->billed = (int)value_get_int(was, "billed", 0);
	task->dead.epoch = value_get_int(was, "deadEpoch", 0);
	task->dead.counter = value_get_int(was, "deadCounter", 0);
	task->memory_peak_bytes = value_get_int(was, "peak", 0);
	task->wall_ms = value_get_int(was, "wall", 0);
	task->started_ms = value_get_int(was, "started", 0);
	task->code = code ? err_by_name(code) : 0;
	struct amounts *used = value_get(was, "used") ? task_used(task) : NULL;
	if (value_get(was, "used") && !used)
		return err_set(err, E_NOMEM, "no memory for what a task used");
	if (used)
		amounts_read(value_get(was, "used"), used);
	return 0;
}

static int read_was(const struct shard *shard, struct task *task, const struct value *was,
                    struct err *err)
{
	int64_t due_ms = value_get_int(was, "due", 0);
	int64_t wait_ms = due_ms - clock_unix_ms(shard->clock);
	TRY(read_attempts(task, was, err));
	task->cancel = value_get_bool(was, "cancel", false);
	task->expired = value_get_bool(was, "expired", false);
	task->due_mono_ms = wait_ms > 0 ? clock_mono_ms(shard->clock) + wait_ms : 0;
	task->ended_ms = value_get_int(was, "ended", 0);
	task->expires_ms = value_get_int(was, "expires", task->expires_ms);
	TRY(task_set_text(task, value_get_str(was, "text"), err));
	if (value_get(was, "trail"))
		TRY(trail_restore(&task->trail, value_get(was, "trail"), err));
	if (!value_get(was, "outputs"))
		return 0;
	TRY(pack_write(value_get(was, "outputs"), &task->outputs, err));
	return buf_check(&task->outputs, err);
}

/* The run has ended with its last. */
static void count_ended(struct run *run)
{
	if (--run->open > 0)
		return;
	for (uint32_t i = 0; i < run->count; i++) {
		const struct task *task = run->nodes[i].task;
		if (task && task->ended_ms > run->ended_ms)
			run->ended_ms = task->ended_ms;
	}
}

static int stand(struct shard *shard, struct task *task, enum task_state state, struct err *err)
{
	task->durable = true;
	task->state = state;
	if (task_state_final(state)) {       /* its place is in a record of those that ended */
		quota_release(task->account->quota, &task->hold);
		task_leave(shard, task);
		if (task->node)
			count_ended(task->node->run);
		return 0;
	}
	TRY(expiry_add(shard, task, err));
	task->account->blocked += state == STATE_BLOCKED;
	if (state == STATE_QUEUED || task->cancel)
		task_wait_in_line(shard, task, false);
	return 0;
}

int restore_task(struct shard *shard, const struct value *record, struct err *err)
{
	const struct value *was = value_get(record, "was");
	int state = task_state_by_name(value_get_str(was, "state"));
	struct task *task = NULL;
	if (state < 0 || state == STATE_RUNNING)
		return damaged(err);
	TRY(task_from_record(shard, record, &task, err));
	TRY(read_was(shard, task, was, err));
	TRY(stand(shard, task, (enum task_state)state, err));
	struct run *run = task->node ? task->node->run : NULL;
	int64_t run_version = run ? run->version : 0;
	task_moved(shard, task);
	task->version = value_get_int(was, "version", task->version);
	if (run)
		run->version = run_version;
	return 0;
}

int restore_ended(struct shard *shard, const struct value *record, struct err *err)
{
	const struct value *ids = value_get(record, "ids");
	for (size_t i = 0; i < value_len(ids); i++) {
		const char *id = value_as_str(value_at(ids, i));
		struct task *task = id ? task_find(shard, id) : NULL;
		if (!task || !task_state_final(task->state) || task->line)
			return damaged(err);
		line_append(&shard->finished, task);
	}
	return 0;
}
