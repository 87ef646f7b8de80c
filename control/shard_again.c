/* shard_again.c - what has ended without success starts anew under its id, with all its attempts
 * before it: one task, or those of a run. Quota is taken when it is asked, given back when the
 * record does not become durable. While that is on its way a task stands in no line. */
#include "common/defs.h"
#include "control/runs_impl.h"

#include <string.h>

static bool may(const struct task *task)
{
	enum task_state next;
	return task_apply(task->state, EVENT_REPLAYED, &next, NULL) == 0;
}

static const struct run *run_of(const struct task *task)
{
	return task->node ? task->node->run : NULL;
}

/* --- asking --- */

static int find_one(struct shard *shard, const struct again *again, struct task **ret_task,
                    struct err *err)
{
	enum task_state next;
	struct task *task = task_find(shard, again->task);
	if (!task || !task->durable || strcmp(task->account->name, again->tenant) != 0 ||
	    strcmp(task->domain, again->domain) != 0)
		return err_set(err, E_NOT_FOUND, "the domain %s has no such task, or it lies in "
		               "the history already; submit it again", again->domain);
	if (task->node)
		return err_set(err, E_CONFLICT, "it is the task %s of the run %s; resume that run "
		               "to start anew what failed in it", task->node->name,
		               task->node->run->id);
	if (task_info[task->type].platform)
		return err_set(err, E_DENIED, "it is the platform's own, which starts another when "
		               "one is needed");
	if (task->hold.open && task_state_final(task->state))
		return err_set(err, E_CONFLICT, "it is being started anew already");
	if (task_apply(task->state, EVENT_REPLAYED, &next, err) < 0)
		return err_set(err, E_CONFLICT, "the task is %s; only one that has failed, is dead "
		               "or was cancelled can be started anew",
		               task_state_name(task->state));
	*ret_task = task;
	return 0;
}

static int find_run(const struct shard *shard, const struct again *again, struct run **ret_run,
                    struct err *err)
{
	struct run *run = run_find(shard, again->run);
	if (!run || !run->durable || strcmp(run->account->name, again->tenant) != 0 ||
	    strcmp(run->domain, again->domain) != 0)
		return err_set(err, E_NOT_FOUND, "the domain %s has no such run", again->domain);
	if (run->open > 0)
		return err_set(err, E_CONFLICT, "the run is %s; it can be resumed when it has "
		               "ended", run_state(run));
	if (strcmp(run_state(run), "succeeded") == 0)
		return err_set(err, E_CONFLICT, "the run succeeded; there is nothing to resume");
	if (run->kept < run->count)
		return err_set(err, E_CONFLICT, "%u of the run's %u tasks lie in the history "
		               "already; start a new run", run->count - run->kept, run->count);
	*ret_run = run;
	return 0;
}

struct picked {
	struct task *tasks[GRAPH_TASKS_MAX];
	size_t count;
	struct amounts sum;
};

static int pick_all(struct shard *shard, const struct again *again, struct picked *picked,
                    struct err *err)
{
	struct run *run = NULL;
	picked->count = 0;
	memset(&picked->sum, 0, sizeof picked->sum);
	if (again->task) {
		TRY(find_one(shard, again, &picked->tasks[0], err));
		picked->count = 1;
	} else {
		TRY(find_run(shard, again, &run, err));
	}
	for (uint32_t i = 0; run && i < run->count; i++) {
		struct task *task = run->nodes[i].task;
		if (task->hold.open)
			return err_set(err, E_CONFLICT, "the run is being resumed already");
		if (may(task))
			picked->tasks[picked->count++] = task;
	}
	for (size_t i = 0; i < picked->count; i++)
		if (task_leaves(picked->tasks[i]))
			return err_set(err, E_CONFLICT, "the task %s is on its way into the "
			               "history and cannot be started anew; submit it again",
			               picked->tasks[i]->id);
	for (size_t i = 0; i < picked->count; i++)
		amounts_add(&picked->sum, &picked->tasks[i]->reserve);
	return 0;
}

static int add_record(const struct again *again, const struct picked *picked,
                      struct change *change, struct err *err)
{
	struct arena *arena = change_arena(change);
	struct value *record = record_new(arena, RECORD_REPLAY, again->now_ms);
	struct value *tasks = value_list(arena);
	TRY(value_check(record, err));
	value_set_str(record, "tenant", again->tenant);
	value_set_str(record, "principal", again->principal);
	value_set_str(record, "run", again->run);
	for (size_t i = 0; tasks && i < picked->count; i++)
		value_add_str(tasks, picked->tasks[i]->id);
	value_set(record, "tasks", tasks);
	return change_record(change, record, err);
}

/* What it will hold as one that waits. */
static struct amounts to_hold(const struct task *task)
{
	struct amounts holds = task->reserve;
	holds.v[DIM_QUEUED] += 1;
	return holds;
}

static void give_back(struct shard *shard, struct task *task)
{
	quota_release(task->account->quota, &task->hold);
	if (!task->line)
		line_append(&shard->finished, task);
}

static int take(struct shard *shard, const struct picked *picked, struct err *err)
{
	for (size_t i = 0; i < picked->count; i++) {
		struct task *task = picked->tasks[i];
		struct amounts holds = to_hold(task);
		int rc = quota_take(task->account->quota, task->domain, &holds, &task->hold, err);
		for (size_t j = 0; rc < 0 && j < i; j++)
			give_back(shard, picked->tasks[j]);
		TRY(rc);
		line_remove(task);
	}
	return 0;
}

static int start_anew(struct shard *shard, const struct again *again, struct change *change,
                      struct err *err)
{
	struct picked picked;
	const struct submission asked = {
		.tenant = again->tenant, .domain = again->domain, .now_ms = again->now_ms,
	};
	if (!shard->sound || shard->replaying)
		return err_set(err, E_UNAVAILABLE, "the leader is reading its journal again; try "
		               "again in a second");
	TRY(pick_all(shard, again, &picked, err));
	TRY(admit_quota(shard, &asked, &picked.sum, picked.count, err));
	TRY(add_record(again, &picked, change, err));
	if (picked.count > 0)
		TRY(interval_again(shard, picked.tasks[0], run_of(picked.tasks[0]), false, err));
	int rc = take(shard, &picked, err);
	if (rc < 0)
		book_withdraw(shard->book, again->run ? again->run : again->task);
	return rc;
}

int shard_again(struct shard *shard, const struct again *again, struct change *change,
                struct err *err)
{
	shard_lock(shard);
	int rc = start_anew(shard, again, change, err);
	shard_unlock(shard);
	return rc;
}

/* Those that hold something although they have ended. */
static void withdraw(struct shard *shard, struct task *task)
{
	if (task && task->hold.open && task_state_final(task->state))
		give_back(shard, task);
}

void shard_again_withdraw(struct shard *shard, const struct again *again)
{
	shard_lock(shard);
	struct run *run = again->run ? run_find(shard, again->run) : NULL;
	if (again->task)
		withdraw(shard, task_find(shard, again->task));
	for (uint32_t i = 0; run && i < run->count; i++)
		withdraw(shard, run->nodes[i].task);
	book_withdraw(shard->book, again->run ? again->run : again->task);
	shard_unlock(shard);
}

/* --- its record --- */

static int reset(struct shard *shard, struct task *task, int64_t at_ms, struct err *err)
{
	struct amounts holds = to_hold(task);
	TRY(task_become(shard, task, EVENT_REPLAYED, at_ms, err));
	line_remove(task);
	if (!task->hold.open)
		TRY(quota_take(task->account->quota, task->domain, &holds, &task->hold, err));
	task->cancel = task->expired = false;
	task->forgiven = task->attempts;
	task->unassigned = 0;
	task->code = 0;
	task->due_mono_ms = 0;
	task->started_ms = task->ended_ms = 0;
	if (task->expires_ms)
		task->expires_ms += at_ms - task->accepted_ms;
	buf_clear(&task->outputs);
	return task_set_text(task, NULL, err);
}

static void reopen(struct task *task)
{
	if (!task->node)
		return;
	struct run *run = task->node->run;
	task->node->skipped = false;
	run->open++;
	run->cancel = false;
	run->ended_ms = 0;
}

/* All of them begin before any is looked at, so that their order does not matter. */
int apply_replay(struct shard *shard, const struct value *record, struct err *err)
{
	const struct value *ids = value_get(record, "tasks");
	struct task *tasks[GRAPH_TASKS_MAX];
	int64_t at_ms = value_get_int(record, "at", 0);
	size_t count = 0;
	for (size_t i = 0; i < value_len(ids) && count < GRAPH_TASKS_MAX; i++) {
		const char *id = value_as_str(value_at(ids, i));
		struct task *task = id ? task_find(shard, id) : NULL;
		if (!task || !may(task))
			continue;
		TRY(reset(shard, task, at_ms, err));
		reopen(task);
		tasks[count++] = task;
	}
	if (count > 0 && interval_again(shard, tasks[0], run_of(tasks[0]), true, err) == E_NOMEM)
		return E_NOMEM;
	for (size_t i = 0; i < count; i++)
		TRY(task_enter(shard, tasks[i], at_ms, err));
	return 0;
}
