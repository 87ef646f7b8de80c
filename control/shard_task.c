/* shard_task.c - one task in the leader's memory: the line it stands in, what it holds, its
 * version. Invariant: hold.amounts == task_holds(task) while it is unfinished; closed
 * afterwards. */
#include "common/defs.h"
#include "control/shard_impl.h"

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

static void task_release(struct task *task)
{
	buf_release(&task->spec);
	buf_release(&task->outputs);
	buf_release(&task->also);
	trail_release(&task->trail);
	free(task->text);
	free(task);
}

static struct task *task_fill(const struct new_task *made)
{
	struct task *task = calloc(1, sizeof *task);
	if (!task)
		return NULL;
	buf_init(&task->spec, SPEC_MAX);
	buf_init(&task->outputs, OUTPUTS_MAX);
	buf_init(&task->also, ALSO_MAX);
	snprintf(task->id, sizeof task->id, "%s", made->id);
	snprintf(task->domain, sizeof task->domain, "%s", made->domain);
	snprintf(task->principal, sizeof task->principal, "%s", made->principal);
	task->type = made->type;
	task->limits = made->limits;
	task->reserve = made->reserve;
	task->accepted_ms = made->at_ms;
	task->expires_ms = made->placement.expires_ms ?
		made->at_ms + made->placement.expires_ms : 0;
	task->progress.percent = -1;
	return task;
}

int task_make(struct shard *shard, const struct new_task *made, struct task **ret_task,
              struct err *err)
{
	struct account *account = NULL;
	TRY(account_get(shard, made->tenant, &account, err));
	struct task *task = task_fill(made);
	if (!task)
		return err_set(err, E_NOMEM, "no memory for a task");
	struct amounts holds = task_holds(task);
	int rc = pack_write(made->spec, &task->spec, err);
	if (rc == 0 && made->also)
		rc = pack_write(made->also, &task->also, err);
	if (rc == 0)
		rc = quota_take(account->quota, task->domain, &holds, &task->hold, err);
	if (rc == 0 && !hashmap_add(&shard->tasks, &task->by_id, task->id)) {
		quota_release(account->quota, &task->hold);
		rc = err_set(err, E_NOMEM, "no memory for a task");
	}
	if (rc < 0) {
		task_release(task);
		return rc;
	}
	task->account = account;
	task->older = account->newest;
	if (account->newest)
		account->newest->newer = task;
	account->newest = task;
	if (task->type == TASK_ARCHIVE)
		account->archive = task;
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
	line_remove(task);
	expiry_remove(shard, task);
	quota_release(account->quota, &task->hold);
	hashmap_remove(&shard->tasks, &task->by_id);
	if (task->newer)
		task->newer->older = task->older;
	else
		account->newest = task->older;
	if (task->older)
		task->older->newer = task->newer;
	task_release(task);
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

void task_wait_in_line(struct shard *shard, struct task *task, bool first)
{
	line_remove(task);
	if (task->cancel)
		line_append(&shard->cancelled, task);
	else if (first)
		line_prepend(&task->account->waiting, task);
	else
		line_append(&task->account->waiting, task);
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
	task->state = STATE_RUNNING;
	task->token = *token;
	task->inherited = false;
	task->started_ms = clock_unix_ms(shard->clock);
	snprintf(task->worker, sizeof task->worker, "%s", worker ? worker : "");
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
	rehold(task);
}

void task_moved(struct shard *shard, struct task *task)
{
	task->version++;
	task->shown_mono_ms = clock_mono_ms(shard->clock);
	pthread_cond_broadcast(&shard->changed);
	shard_note(shard, task);
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
