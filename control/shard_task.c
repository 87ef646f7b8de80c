/* shard_task.c - one task in the leader's memory: where it stands, what it holds, its version.
 * Invariants: hold.amounts == task_holds(task) while it is unfinished, and closed afterwards; until
 * then the scheduler has it: held back, waiting or running. */
#include "common/defs.h"
#include "control/runs_impl.h"

#include "common/pack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SPEC_MAX = 256 * 1024, OUTPUTS_MAX = 64 * 1024, ALSO_MAX = 16 * 1024, TEXT_MAX = 512 };

struct task *task_find(const struct shard *shard, const char *id)
{
	struct hash_node *node = hashmap_find(&shard->tasks, id);
	return node ? HASH_OWNER(node, struct task, by_id) : NULL;
}

struct amounts task_holds(const struct task *task)
{
	struct amounts holds = task->reserve;
	if (task_info[task->type].platform)
		return holds;
	holds.v[task->state == STATE_RUNNING ? DIM_RUNNING : DIM_QUEUED] += 1;
	return holds;
}

static void task_release(struct shard *shard, struct task *task)
{
	names_put(&shard->names, task->domain);
	names_put(&shard->names, task->principal);
	names_put(&shard->names, task->worker);
	free(task->used);
	buf_release(&task->spec);
	buf_release(&task->outputs);
	buf_release(&task->also);
	trail_release(&task->trail);
	free(task->text);
	free(task);
}

/* What stays for long takes no more than it needs; that it cannot be made less is no failure. */
static void trim(struct buf *buf)
{
	uint8_t *data = buf->len > 0 ? realloc(buf->data, buf->len) : NULL;
	if (!data)
		return;
	buf->data = data;
	buf->cap = buf->len;
}

static struct task *task_fill(struct shard *shard, const struct new_task *made)
{
	struct task *task = calloc(1, sizeof *task);
	if (!task)
		return NULL;
	buf_init(&task->spec, SPEC_MAX);
	buf_init(&task->outputs, OUTPUTS_MAX);
	buf_init(&task->also, ALSO_MAX);
	snprintf(task->id, sizeof task->id, "%s", made->id);
	task->domain = names_get(&shard->names, made->domain);
	task->principal = names_get(&shard->names, made->principal);
	if (!task->domain || !task->principal) {
		task_release(shard, task);
		return NULL;
	}
	task->type = made->type;
	task->limits = made->limits;
	task->reserve = made->reserve;
	task->accepted_ms = made->at_ms;
	task->expires_ms = made->placement.expires_ms ?
		made->at_ms + made->placement.expires_ms : 0;
	task->progress.percent = -1;
	return task;
}

/* What it reads, as far as its spec says: a worker that has read it holds it. */
const char *task_near(const struct task *task, const struct value *spec,
                      char out[NEAR_TEXT_MAX])
{
	static const char *const members[] = { "source", "transformation", "featureView" };
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		const char *name = value_get_str(spec, members[i]);
		if (!name)
			continue;
		snprintf(out, NEAR_TEXT_MAX, "%s/%s/%s", task->account->name, task->domain, name);
		return out;
	}
	return NULL;
}

void task_spec(enum task_type type, const struct limits *limits, const struct placement *placement,
               struct label labels[LABELS_MAX], struct sched_spec *ret_spec)
{
	size_t count = 0;
	for (; count < LABELS_MAX && count < value_len(placement->selector); count++)
		labels[count].value = value_as_str(value_member(placement->selector, count,
		                                                &labels[count].key));
	*ret_spec = (struct sched_spec){
		.pool = placement->pool, .selector = labels, .selector_count = count,
		.demand = { { (int64_t)limits->threads * 1000, (int64_t)limits->memory_bytes, 1 } },
		.serves = type == TASK_MATERIALIZE, .priority = placement->priority,
		.key = placement->key, .key_most = placement->key_most,
	};
}

/* The scheduler has it from now on, held back. */
static int enqueue(struct shard *shard, struct task *task, const struct placement *placement,
                   const struct value *spec, struct err *err)
{
	struct label labels[LABELS_MAX];
	struct sched_spec asked;
	char near[NEAR_TEXT_MAX];
	int64_t ago_ms = clock_unix_ms(shard->clock) - task->accepted_ms;
	task_spec(task->type, &task->limits, placement, labels, &asked);
	asked.tenant = task->account->name;
	asked.domain = task->domain;
	asked.near = task_near(task, spec, near);
	asked.since_ms = clock_mono_ms(shard->clock) - ago_ms;
	return sched_add(shard->sched, &task->entry, &asked, SCHED_HELD, err);
}

/* One that had ended and starts anew: what it asked for is in its packed texts. */
static int enqueue_again(struct shard *shard, struct task *task, struct err *err)
{
	AUTO(arena) *arena = NULL;
	struct value *also = NULL, *spec = NULL;
	struct placement placement;
	placement_default(&placement);
	TRY(arena_new(2 * SPEC_MAX, &arena, err));
	if (task->also.len > 0)
		TRY(pack_read(arena, task->also.data, task->also.len, &also, err));
	TRY(pack_read(arena, task->spec.data, task->spec.len, &spec, err));
	if (value_get(also, "placement"))
		TRY(placement_read(value_get(also, "placement"), &placement, err));
	return enqueue(shard, task, &placement, spec, err);
}

int task_make(struct shard *shard, const struct new_task *made, struct task **ret_task,
              struct err *err)
{
	struct account *account = NULL;
	TRY(account_get(shard, made->tenant, &account, err));
	struct task *task = task_fill(shard, made);
	if (!task)
		return err_set(err, E_NOMEM, "no memory for a task");
	struct amounts holds = task_holds(task);
	int rc = pack_write(made->spec, &task->spec, err);
	if (rc == 0 && made->also)
		rc = pack_write(made->also, &task->also, err);
	trim(&task->spec);
	trim(&task->also);
	if (rc == 0)
		rc = quota_take(account->quota, task->domain, &holds, &task->hold, err);
	task->account = account;
	if (rc == 0)
		rc = enqueue(shard, task, &made->placement, made->spec, err);
	if (rc == 0 && !hashmap_add(&shard->tasks, &task->by_id, task->id))
		rc = err_set(err, E_NOMEM, "no memory for a task");
	if (rc < 0) {
		sched_remove(shard->sched, &task->entry);
		quota_release(account->quota, &task->hold);
		task_release(shard, task);
		return rc;
	}
	task->older = account->newest;
	if (account->newest)
		account->newest->newer = task;
	account->newest = task;
	if (task->type == TASK_ARCHIVE)
		account->archive = task;
	if (task->type == TASK_AUDIT)
		account->storing = task;
	*ret_task = task;
	return 0;
}

void task_drop(struct shard *shard, struct task *task)
{
	struct account *account = task->account;
	if (task->state == STATE_RUNNING)
		task_stop(shard, task);
	if (account->archive == task)
		account->archive = NULL;
	if (account->storing == task)
		account->storing = NULL;
	if (task->state == STATE_BLOCKED)
		account->blocked--;
	task_leave(shard, task);
	expiry_remove(shard, task);
	quota_release(account->quota, &task->hold);
	hashmap_remove(&shard->tasks, &task->by_id);
	if (task->newer)
		task->newer->older = task->older;
	else
		account->newest = task->older;
	if (task->older)
		task->older->newer = task->newer;
	run_forget(shard, task);
	task_release(shard, task);
}

/* --- lines --- */

void line_append(struct line *line, struct task *task)
{
	REQUIRE(!task->line);
	task->line = line;
	task->next = NULL;
	task->prev = line->last;
	*(line->last ? &line->last->next : &line->first) = task;
	line->last = task;
	line->len++;
}

void line_prepend(struct line *line, struct task *task)
{
	REQUIRE(!task->line);
	task->line = line;
	task->prev = NULL;
	task->next = line->first;
	*(line->first ? &line->first->prev : &line->last) = task;
	line->first = task;
	line->len++;
}

void line_remove(struct task *task)
{
	struct line *line = task->line;
	if (!line)
		return;
	*(task->prev ? &task->prev->next : &line->first) = task->next;
	*(task->next ? &task->next->prev : &line->last) = task->prev;
	line->len--;
	task->line = NULL;
	task->next = task->prev = NULL;
}

static void count_waiting(struct shard *shard, struct task *task, bool waits)
{
	if (task->waits == waits)
		return;
	task->waits = waits;
	task->account->waiting += waits ? (size_t)1 : (size_t)-1;
	shard->waiting += waits ? (size_t)1 : (size_t)-1;
}

void task_wait_in_line(struct shard *shard, struct task *task, bool first)
{
	struct err err;
	line_remove(task);
	count_waiting(shard, task, !task->cancel);
	if (!task->entry.queue && enqueue_again(shard, task, &err) < 0) {
		shard->sound = false;
		return;
	}
	bool held = task->cancel || task->inherited || shard->replaying;
	if (task->cancel)
		line_append(&shard->cancelled, task);
	else if (task->inherited)
		line_append(&shard->inherited, task);
	sched_due(shard->sched, &task->entry, held ? SCHED_HELD : task->due_mono_ms, first);
}

void task_leave(struct shard *shard, struct task *task)
{
	line_remove(task);
	count_waiting(shard, task, false);
	sched_remove(shard->sched, &task->entry);
}

/* --- running --- */

static void rehold(struct task *task)
{
	struct amounts holds = task_holds(task);
	quota_rehold(task->account->quota, &task->hold, &holds);
}

void task_start(struct shard *shard, struct task *task, const struct token *token,
                const char *worker)
{
	line_remove(task);
	count_waiting(shard, task, false);
	task->state = STATE_RUNNING;
	task->token = *token;
	task->inherited = false;
	task->started_ms = clock_unix_ms(shard->clock);
	names_put(&shard->names, task->worker);
	task->worker = worker ? names_get(&shard->names, worker) : NULL;
	memset(&task->progress, 0, sizeof task->progress);
	task->progress.percent = -1;
	task->phase[0] = '\0';
	task->account->running++;
	shard->running++;
	rehold(task);
}

void task_stop(struct shard *shard, struct task *task)
{
	REQUIRE(task->state == STATE_RUNNING);
	task->state = STATE_QUEUED;
	task->preempted = false;
	task->account->running--;
	shard->running--;
	sched_again(shard->sched, &task->entry, SCHED_HELD, false);
	rehold(task);
	sched_kick(shard->sched, task->account->name);
}

void task_moved(struct shard *shard, struct task *task)
{
	task->version++;
	if (task->node)
		task->node->run->version++;
	task->shown_mono_ms = clock_mono_ms(shard->clock);
	pthread_cond_broadcast(&shard->changed);
	shard_note(shard, task);
}

struct amounts *task_used(struct task *task)
{
	if (!task->used)
		task->used = calloc(1, sizeof *task->used);
	return task->used;
}

int task_set_text(struct task *task, const char *text, struct err *err)
{
	char *copy = text ? strndup(text, TEXT_MAX) : NULL;
	if (text && !copy)
		return err_set(err, E_NOMEM, "no memory for a task's text");
	free(task->text);
	task->text = copy;
	return 0;
}
