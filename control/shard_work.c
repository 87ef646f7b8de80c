/* shard_work.c - which task goes next and which attempt is the current one. Fair: a tenant with
 * fewer running tasks goes first; within a tenant, first come, first served, past what cannot go
 * now. */
#include "common/defs.h"
#include "control/shard_impl.h"

#include "common/pack.h"

#include <stdio.h>
#include <string.h>

enum { LOOK_AHEAD_MAX = 64, PROGRESS_EVERY_MS = 250, UNASSIGNED_MAX = 8 };

static bool token_equal(const struct token *a, const struct token *b)
{
	return a->epoch == b->epoch && a->counter == b->counter;
}

static bool token_newer(const struct token *a, const struct token *b)
{
	return a->epoch != b->epoch ? a->epoch > b->epoch : a->counter > b->counter;
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
		.worker = arena_strdup(arena, task->worker), .type = task->type, .spec = spec,
		.limits = task->limits, .state = task->state, .attempt = task->attempts + 1,
		.token = task->token, .cancel = task->cancel, .accepted_ms = task->accepted_ms,
		.started_ms = task->started_ms, .expired = task->expired,
		.preempted = task->preempted, .forgiven = task->forgiven,
	};
	if (!work.id || !work.domain || !work.tenant || !work.principal || !work.worker)
		return err_set(err, E_NOMEM, "no memory for a task's copy");
	*ret_work = work;
	return 0;
}

static bool may_take(const struct pick *pick, const struct task *task, int64_t mono_ms)
{
	return task->due_mono_ms <= mono_ms && (pick->inherited || !task->inherited) &&
		(pick->serves || task->type != TASK_MATERIALIZE) &&
		task->limits.memory_bytes <= pick->memory_bytes;
}

static bool may_run(const struct shard *shard, const struct task *task)
{
	struct amounts asked = { { 0 } };
	struct err err;
	asked.v[DIM_RUNNING] = 1;
	return quota_check(task->account->quota, task->domain, &asked, clock_unix_ms(shard->clock),
	                   &err) == 0;
}

static struct task *first_of(const struct shard *shard, const struct account *account,
                             const struct pick *pick)
{
	int64_t mono_ms = clock_mono_ms(shard->clock);
	struct task *task = account->waiting.first;
	for (int i = 0; task && i < LOOK_AHEAD_MAX; i++, task = task->next)
		if (may_take(pick, task, mono_ms) && may_run(shard, task))
			return task;
	return NULL;
}

/* Ids sort by time. */
static bool goes_before(const struct task *a, const struct task *b)
{
	if (a->account->running != b->account->running)
		return a->account->running < b->account->running;
	return strcmp(a->id, b->id) < 0;
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

int shard_pick(struct shard *shard, const struct pick *pick, struct arena *arena,
               struct work *ret_work, struct err *err)
{
	struct task *best = NULL;
	int rc = 0;
	shard_lock(shard);
	bool ready = is_ready(shard, pick->replay);
	for (const struct account *at = shard->account_list; ready && at; at = at->next) {
		struct task *task = at->waiting.first ? first_of(shard, at, pick) : NULL;
		if (task && (!best || goes_before(task, best)))
			best = task;
	}
	if (best)
		rc = task_copy(best, arena, ret_work, err);
	if (best && rc == 0) {
		task_start(shard, best, &pick->token, pick->worker);
		task_moved(shard, best);
		ret_work->state = STATE_RUNNING;
		ret_work->token = pick->token;
		rc = 1;
	}
	shard_unlock(shard);
	return rc;
}

int64_t shard_next_due(struct shard *shard)
{
	int64_t next = INT64_MAX;
	shard_lock(shard);
	int64_t mono_ms = clock_mono_ms(shard->clock);
	for (const struct account *at = shard->account_list; at; at = at->next) {
		const struct task *task = at->waiting.first;
		for (int i = 0; task && i < LOOK_AHEAD_MAX; i++, task = task->next)
			if (task->due_mono_ms > mono_ms && task->due_mono_ms < next)
				next = task->due_mono_ms;
	}
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

bool shard_unassign(struct shard *shard, const char *id, const struct token *token)
{
	shard_lock(shard);
	struct task *task = current(shard, id, token);
	bool again = !task || ++task->unassigned < UNASSIGNED_MAX;
	if (task && again) {
		task_stop(shard, task);
		task_wait_in_line(shard, task, true);
		task_moved(shard, task);
	}
	shard_unlock(shard);
	return again;
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
	*ret_counts = (struct shard_counts){ .tasks = shard->tasks.len, .running = shard->running };
	for (const struct account *at = shard->account_list; at; at = at->next)
		ret_counts->waiting += at->waiting.len;
	shard_unlock(shard);
}
