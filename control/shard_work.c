/* shard_work.c - which task goes next, as the scheduler says (control/sched.h), and which
 * attempt is the current one. */
#include "common/defs.h"
#include "control/runs_impl.h"
#include "control/shard_impl.h"

#include "common/pack.h"

#include <stdio.h>
#include <string.h>

enum { RELEASE_MAX = 10000, PROGRESS_EVERY_MS = 250, UNASSIGNED_MAX = 8 };

static bool token_equal(const struct token *a, const struct token *b)
{
	return a->epoch == b->epoch && a->counter == b->counter;
}

static bool token_newer(const struct token *a, const struct token *b)
{
	return a->epoch != b->epoch ? a->epoch > b->epoch : a->counter > b->counter;
}

/* Its own, or its run's. */
static const struct value *copy_one(const struct task *task, struct arena *arena,
                                    const struct value *also, const char *name)
{
	const struct value *one = value_get(also, name);
	if (!one && task->node)
		one = value_get(task->node->run->also, name);
	return one ? value_copy(arena, one) : NULL;
}

static int copy_also(const struct task *task, struct arena *arena, struct work *work,
                     struct err *err)
{
	struct value *also = NULL;
	if (task->also.len > 0)
		TRY(pack_read(arena, task->also.data, task->also.len, &also, err));
	const struct value *purpose = copy_one(task, arena, also, "purpose");
	work->interval = copy_one(task, arena, also, "interval");
	work->reader = copy_one(task, arena, also, "reader");
	work->purpose = value_as_str(purpose);
	if (work->interval)
		TRY(value_check(work->interval, err));
	if (purpose)
		TRY(value_check(purpose, err));
	return work->reader ? value_check(work->reader, err) : 0;
}

static int task_copy(const struct task *task, struct arena *arena, struct work *ret_work,
                     struct err *err)
{
	struct value *spec = NULL;
	TRY(pack_read(arena, task->spec.data, task->spec.len, &spec, err));
	struct work work = {
		.id = arena_strdup(arena, task->id), .domain = arena_strdup(arena, task->domain),
		.tenant = arena_strdup(arena, task->account->name),
		.principal = arena_strdup(arena, task->principal),
		.worker = arena_strdup(arena, task->worker ? task->worker : ""),
		.type = task->type, .spec = spec,
		.limits = task->limits, .state = task->state, .attempt = task->attempts + 1,
		.token = task->token, .cancel = task->cancel, .accepted_ms = task->accepted_ms,
		.started_ms = task->started_ms, .expired = task->expired,
		.preempted = task->preempted, .forgiven = task->forgiven,
	};
	if (!work.id || !work.domain || !work.tenant || !work.principal || !work.worker)
		return err_set(err, E_NOMEM, "no memory for a task's copy");
	TRY(copy_also(task, arena, &work, err));
	*ret_work = work;
	return 0;
}

uint64_t shard_replays(struct shard *shard)
{
	shard_lock(shard);
	uint64_t replays = shard->replays;
	shard_unlock(shard);
	return replays;
}

static bool is_ready(const struct shard *shard, uint64_t replay)
{
	return shard->sound && !shard->replaying && shard->replays == replay;
}

/* Nobody has named them within the time that was left for it: they may go. So many at a time,
 * that the lock is not held for long. */
static void release_inherited(struct shard *shard)
{
	for (int i = 0; i < RELEASE_MAX && shard->inherited.first; i++) {
		struct task *task = shard->inherited.first;
		task->inherited = false;
		task_wait_in_line(shard, task, false);
	}
}

/* It was not to be, after all: before all others of its priority again. */
static void put_back(struct shard *shard, struct task *task)
{
	sched_again(shard->sched, &task->entry, task->due_mono_ms, true);
}

static int take(struct shard *shard, const struct pick *pick, struct task *task,
                struct arena *arena, struct work *ret_work, struct err *err)
{
	char near_text[NEAR_TEXT_MAX];
	int rc = 0;
	if (task->limits.memory_bytes <= pick->memory_bytes)
		rc = task_copy(task, arena, ret_work, err);
	if (rc < 0 || task->limits.memory_bytes > pick->memory_bytes) {
		put_back(shard, task);
		return rc;
	}
	task_start(shard, task, &pick->token, pick->worker);
	task_moved(shard, task);
	ret_work->state = STATE_RUNNING;
	ret_work->token = pick->token;
	ret_work->worker = pick->worker;
	const char *near = task_near(task, ret_work->spec, near_text);
	if (near)                            /* the next on it goes there too, where it may */
		sched_near(shard->sched, pick->worker, near);
	return 1;
}

int shard_pick(struct shard *shard, const struct pick *pick, struct arena *arena,
               struct work *ret_work, struct err *err)
{
	int rc = 0;
	shard_lock(shard);
	bool ready = is_ready(shard, pick->replay);
	if (ready && pick->inherited)
		release_inherited(shard);
	struct sched_entry *entry = ready ? sched_pick(shard->sched, pick->worker,
		clock_mono_ms(shard->clock)) : NULL;
	if (entry)
		rc = take(shard, pick, HEAP_OWNER(entry, struct task, entry), arena, ret_work, err);
	shard_unlock(shard);
	return rc;
}

int64_t shard_next_due(struct shard *shard)
{
	shard_lock(shard);
	int64_t next = sched_next_ms(shard->sched);
	shard_unlock(shard);
	return next;
}

bool shard_adopt(struct shard *shard, uint64_t replay, const char *id, const struct token *token,
                 const char *worker, bool *ret_cancel)
{
	shard_lock(shard);
	struct task *task = is_ready(shard, replay) ? task_find(shard, id) : NULL;
	bool adopted = task && task->durable && task->inherited && task->state == STATE_QUEUED &&
		token_newer(token, &task->dead);
	if (adopted) {
		sched_adopt(shard->sched, &task->entry, worker, clock_mono_ms(shard->clock));
		task_start(shard, task, token, worker);
		task_moved(shard, task);
		*ret_cancel = task->cancel;
	}
	shard_unlock(shard);
	return adopted;
}

static struct task *current(const struct shard *shard, const char *id, const struct token *token)
{
	struct task *task = task_find(shard, id);
	return task && task->state == STATE_RUNNING && token_equal(&task->token, token) ?
		task : NULL;
}

static void wait_again(struct shard *shard, struct task *task)
{
	task_stop(shard, task);
	task_wait_in_line(shard, task, true);
	task_moved(shard, task);
}

bool shard_unassign(struct shard *shard, const char *id, const struct token *token)
{
	shard_lock(shard);
	struct task *task = current(shard, id, token);
	bool again = !task || ++task->unassigned < UNASSIGNED_MAX;
	if (task && again)
		wait_again(shard, task);
	shard_unlock(shard);
	return again;
}

void shard_put_back(struct shard *shard, const char *id, const struct token *token)
{
	shard_lock(shard);
	struct task *task = current(shard, id, token);
	if (task)
		wait_again(shard, task);
	shard_unlock(shard);
}

void shard_progress(struct shard *shard, const char *id, const struct token *token,
                    const struct progress *progress)
{
	shard_lock(shard);
	struct task *task = current(shard, id, token);
	if (task) {
		bool phase_moved = strncmp(task->phase, progress->phase ? progress->phase : "",
		                           sizeof task->phase - 1) != 0;
		task->progress = *progress;
		task->progress.phase = NULL;
		snprintf(task->phase, sizeof task->phase, "%s", progress->phase ?
		         progress->phase : "");
		if (phase_moved ||
		    clock_mono_ms(shard->clock) >= task->shown_mono_ms + PROGRESS_EVERY_MS)
			task_moved(shard, task);
	}
	shard_unlock(shard);
}

int shard_match(struct shard *shard, struct arena *arena, const char *id, const struct token *token,
                struct work *ret_work, struct err *err)
{
	shard_lock(shard);
	const struct task *task = current(shard, id, token);
	int rc = task && ret_work ? task_copy(task, arena, ret_work, err) : 0;
	shard_unlock(shard);
	return rc < 0 ? rc : task != NULL;
}

int shard_find(struct shard *shard, struct arena *arena, const char *tenant, const char *id,
               struct work *ret_work, struct err *err)
{
	shard_lock(shard);
	const struct task *task = task_find(shard, id);
	if (task && (!task->durable || (tenant && strcmp(task->account->name, tenant) != 0)))
		task = NULL;
	int rc = task ? task_copy(task, arena, ret_work, err) : 0;
	shard_unlock(shard);
	return rc < 0 ? rc : task != NULL;
}

static size_t count_running(const struct account *account)
{
	size_t count = 0;
	for (const struct task *task = account ? account->newest : NULL; task; task = task->older)
		count += task->state == STATE_RUNNING;
	return count;
}

static int copy_running(const struct account *account, struct arena *arena,
                        struct work **ret_works, size_t *ret_count, struct err *err)
{
	size_t count = 0;
	struct work *works = arena_alloc(arena, (count_running(account) + 1) * sizeof *works);
	if (!works)
		return err_set(err, E_NOMEM, "no memory for a tenant's running tasks");
	for (const struct task *task = account ? account->newest : NULL; task; task = task->older)
		if (task->state == STATE_RUNNING)
			TRY(task_copy(task, arena, &works[count++], err));
	*ret_works = works;
	*ret_count = count;
	return 0;
}

int shard_running(struct shard *shard, const char *tenant, struct arena *arena,
                  struct work **ret_works, size_t *ret_count, struct err *err)
{
	shard_lock(shard);
	int rc = copy_running(account_find(shard, tenant), arena, ret_works, ret_count, err);
	shard_unlock(shard);
	return rc < 0 ? rc : 0;
}

static bool says(const struct task *task, const char *member, const char *text)
{
	AUTO(arena) *arena = NULL;
	struct value *spec = NULL;
	if (arena_new(MIB, &arena, NULL) < 0 ||
	    pack_read(arena, task->spec.data, task->spec.len, &spec, NULL) < 0)
		return false;
	const char *said = value_get_str(spec, member);
	return said && strcmp(said, text) == 0;
}

bool shard_succeeded(struct shard *shard, const char *tenant, enum task_type type,
                     const struct token *since, const char *member, const char *text)
{
	bool found = false;
	shard_lock(shard);
	const struct account *account = account_find(shard, tenant);
	const struct task *task = account ? account->newest : NULL;
	for (; task && !found; task = task->older)
		found = task->type == type && task->state == STATE_SUCCEEDED &&
			token_newer(&task->token, since) && says(task, member, text);
	shard_unlock(shard);
	return found;
}

/* It then stands in no line: only its outcome is still to come. */
bool shard_take_cancelled(struct shard *shard, bool inherited, char id[ID_LEN + 1])
{
	shard_lock(shard);
	struct task *task = shard->cancelled.first;
	while (task && task->inherited && !inherited)
		task = task->next;
	if (task) {
		line_remove(task);
		snprintf(id, ID_LEN + 1, "%s", task->id);
	}
	shard_unlock(shard);
	return task != NULL;
}

void shard_counts(struct shard *shard, struct shard_counts *ret_counts)
{
	shard_lock(shard);
	*ret_counts = (struct shard_counts){
		.tasks = shard->tasks.len, .running = shard->running, .waiting = shard->waiting,
	};
	shard_unlock(shard);
}
