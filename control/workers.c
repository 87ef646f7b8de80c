/* workers.c - the workers and what each was given. Invariants: heap[i]->due_at == i and no worker
 * is due before its parent in the heap; a worker is in at most one line; who is in the list of
 * those to be answered says so (prompt_queued). */
#include "common/defs.h"
#include "control/workers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAP_FIRST = 64 };

/* --- who there is --- */

struct worker *workers_find(const struct workers *workers, const char *name)
{
	struct hash_node *node = hashmap_find(&workers->by_name, name);
	return node ? HASH_OWNER(node, struct worker, by_name) : NULL;
}

static void heap_put(struct workers *workers, size_t at, struct worker *worker)
{
	workers->heap[at] = worker;
	worker->due_at = at;
}

static void heap_up(struct workers *workers, size_t at)
{
	struct worker *worker = workers->heap[at];
	while (at > 0 && workers->heap[(at - 1) / 2]->due_ms > worker->due_ms) {
		heap_put(workers, at, workers->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	heap_put(workers, at, worker);
}

static void heap_down(struct workers *workers, size_t at, size_t count)
{
	struct worker *worker = workers->heap[at];
	for (size_t child; (child = 2 * at + 1) < count; at = child) {
		if (child + 1 < count &&
		    workers->heap[child + 1]->due_ms < workers->heap[child]->due_ms)
			child++;
		if (workers->heap[child]->due_ms >= worker->due_ms)
			break;
		heap_put(workers, at, workers->heap[child]);
	}
	heap_put(workers, at, worker);
}

static bool heap_room(struct workers *workers)
{
	if (workers->count < workers->heap_cap)
		return true;
	size_t cap = workers->heap_cap ? workers->heap_cap * 2 : HEAP_FIRST;
	struct worker **heap = realloc(workers->heap, cap * sizeof *heap);
	if (!heap)
		return false;
	workers->heap = heap;
	workers->heap_cap = cap;
	return true;
}

static int enlist(struct workers *workers, struct worker *worker, struct err *err)
{
	if (!heap_room(workers) ||
	    !hashmap_add(&workers->by_name, &worker->by_name, worker->name))
		return err_set(err, E_NOMEM, "no memory for a worker");
	worker->all = workers;
	worker->next = workers->first;
	if (workers->first)
		workers->first->prev = worker;
	workers->first = worker;
	worker->due_ms = INT64_MAX;
	heap_put(workers, workers->count++, worker);
	return 0;
}

int workers_add(struct workers *workers, const char *name, struct worker **ret_worker,
                struct err *err)
{
	if (workers->count >= WORKERS_MOST)
		return err_set(err, E_BUSY, "%d workers poll this leader, which is the most it "
		               "serves", WORKERS_MOST);
	struct worker *worker = calloc(1, sizeof *worker);
	if (!worker)
		return err_set(err, E_NOMEM, "no memory for a worker");
	snprintf(worker->name, sizeof worker->name, "%s", name);
	buf_init(&worker->answer, LINK_MESSAGE_MAX);
	int rc = enlist(workers, worker, err);
	if (rc < 0)
		free(worker);
	else
		*ret_worker = worker;
	return rc;
}

static void given_free(struct given *given)
{
	buf_release(&given->grant);
	free(given);
}

static void line_leave(struct worker *worker)
{
	struct worker_lineup *line = &worker->all->lines[worker->line];
	if (worker->line == LINE_NONE)
		return;
	*(worker->line_prev ? &worker->line_prev->line_next : &line->first) = worker->line_next;
	*(worker->line_next ? &worker->line_next->line_prev : &line->last) = worker->line_prev;
	worker->line_next = worker->line_prev = NULL;
	worker->line = LINE_NONE;
}

static void prompt_leave(struct worker *worker)
{
	struct worker **at = &worker->all->prompt_first, *before = NULL;
	if (!worker->prompt_queued)
		return;
	for (; *at != worker; at = &before->prompt_next)
		before = *at;
	*at = worker->prompt_next;
	if (worker->all->prompt_last == worker)
		worker->all->prompt_last = before;
	worker->prompt_queued = false;
}

void workers_remove(struct workers *workers, struct worker *worker)
{
	while (worker->given)
		worker_take_back(worker, worker->given);
	workers->slots -= (size_t)worker->self.slots;
	line_leave(worker);
	prompt_leave(worker);
	worker_set_due(worker, INT64_MAX);
	size_t at = worker->due_at;
	workers->count--;
	if (at < workers->count) {
		heap_put(workers, at, workers->heap[workers->count]);
		heap_up(workers, at);
		heap_down(workers, workers->heap[at]->due_at, workers->count);
	}
	hashmap_remove(&workers->by_name, &worker->by_name);
	*(worker->prev ? &worker->prev->next : &workers->first) = worker->next;
	if (worker->next)
		worker->next->prev = worker->prev;
	if (worker->call)
		link_drop(worker->call);
	grant_seal_free(worker->seal);
	node_proof_release(&worker->proof);
	buf_release(&worker->answer);
	free(worker);
}

void workers_clear(struct workers *workers)
{
	while (workers->first)
		workers_remove(workers, workers->first);
	hashmap_release(&workers->by_name);
	hashmap_release(&workers->by_task);
	free(workers->heap);
	workers->heap = NULL;
	workers->heap_cap = 0;
}

/* --- when and who next --- */

void worker_set_due(struct worker *worker, int64_t due_ms)
{
	int64_t before = worker->due_ms;
	worker->due_ms = due_ms;
	if (due_ms < before)
		heap_up(worker->all, worker->due_at);
	if (due_ms > before)
		heap_down(worker->all, worker->due_at, worker->all->count);
}

struct worker *workers_soonest(const struct workers *workers)
{
	return workers->count > 0 ? workers->heap[0] : NULL;
}

void worker_prompt(struct worker *worker)
{
	struct workers *workers = worker->all;
	worker->prompt = true;
	if (!worker->call || worker->prompt_queued)
		return;
	worker->prompt_queued = true;
	worker->prompt_next = NULL;
	*(workers->prompt_last ? &workers->prompt_last->prompt_next : &workers->prompt_first) =
		worker;
	workers->prompt_last = worker;
}

struct worker *workers_take_prompt(struct workers *workers)
{
	for (struct worker *worker; (worker = workers->prompt_first);) {
		workers->prompt_first = worker->prompt_next;
		if (!workers->prompt_first)
			workers->prompt_last = NULL;
		worker->prompt_queued = false;
		if (worker->prompt && worker->call)
			return worker;
	}
	return NULL;
}

static void line_join(struct worker *worker, enum worker_line which)
{
	struct worker_lineup *line = &worker->all->lines[which];
	line_leave(worker);
	worker->line = which;
	worker->line_prev = line->last;
	*(line->last ? &line->last->line_next : &line->first) = worker;
	line->last = worker;
}

void worker_set_able(struct worker *worker, bool able)
{
	if (able)
		line_join(worker, LINE_FRESH);
	else
		line_leave(worker);
}

void worker_set_tried(struct worker *worker)
{
	line_join(worker, LINE_TRIED);
}

void workers_stir(struct workers *workers)
{
	for (struct worker *worker; (worker = workers->lines[LINE_TRIED].first);)
		line_join(worker, LINE_FRESH);
}

struct worker *workers_fresh(const struct workers *workers)
{
	return workers->lines[LINE_FRESH].first;
}

void worker_set_self(struct worker *worker, const struct worker_self *self)
{
	worker->all->slots += (size_t)self->slots - (size_t)worker->self.slots;
	worker->self = *self;
}

/* --- what it has --- */

int worker_give(struct worker *worker, const char *task, const struct token *token,
                struct given **ret_given, struct err *err)
{
	struct given *given = calloc(1, sizeof *given);
	if (given)
		snprintf(given->task, sizeof given->task, "%s", task);
	if (!given || !hashmap_add(&worker->all->by_task, &given->by_task, given->task)) {
		free(given);
		return err_set(err, E_NOMEM, "no memory for an attempt");
	}
	given->worker = worker;
	given->token = *token;
	buf_init(&given->grant, GRANT_BYTES_MAX);
	given->next = worker->given;
	worker->given = given;
	worker->given_count++;
	worker->all->running++;
	*ret_given = given;
	return 0;
}

bool given_ready(const struct given *given)
{
	return given->sent_seq == 0 && given->grant.len > 0 && given->noting == 0;
}

static bool same(const struct token *a, const struct token *b)
{
	return a->epoch == b->epoch && a->counter == b->counter;
}

struct given *worker_given(const struct worker *worker, const struct token *token)
{
	struct given *given = worker->given;
	while (given && !same(&given->token, token))
		given = given->next;
	return given;
}

struct given *workers_given(const struct workers *workers, const char *task,
                            struct worker **ret_worker)
{
	struct hash_node *node = hashmap_find(&workers->by_task, task);
	struct given *given = node ? HASH_OWNER(node, struct given, by_task) : NULL;
	if (given)
		*ret_worker = given->worker;
	return given;
}

void worker_take_back(struct worker *worker, struct given *given)
{
	struct given **at = &worker->given;
	while (*at != given)
		at = &(*at)->next;
	*at = given->next;
	hashmap_remove(&worker->all->by_task, &given->by_task);
	worker->given_count--;
	worker->all->running--;
	given_free(given);
}

/* --- what it is to be told --- */

/* One that does not fit is asked for again by the report's repetition. */
void worker_ack(struct worker *worker, const struct token *token)
{
	worker_prompt(worker);
	for (size_t i = 0; i < worker->ack_count; i++)
		if (same(&worker->acks[i], token))
			return;
	if (worker->ack_count < ACKS_MAX)
		worker->acks[worker->ack_count++] = *token;
}

bool worker_end_zombie(struct worker *worker, const struct token *token)
{
	if (worker->cancel_count < CANCELS_MAX)
		worker->cancels[worker->cancel_count++] = *token;
	size_t kept = worker->told_count < CANCELS_MAX ? worker->told_count : CANCELS_MAX;
	for (size_t i = 0; i < kept; i++)
		if (same(&worker->told[i], token))
			return false;
	worker->told[worker->told_count++ % CANCELS_MAX] = *token;
	return true;
}

/* When there is no room the oldest goes: its grants expire by themselves within a minute. */
void worker_drop_access(struct worker *worker, const char *tenant)
{
	size_t at = 0;
	while (at < worker->drop_count && strcmp(worker->drops[at].tenant, tenant) != 0)
		at++;
	if (at == DROPS_MAX) {
		memmove(worker->drops, worker->drops + 1,
		        (DROPS_MAX - 1) * sizeof worker->drops[0]);
		worker->drop_count--;
		at--;
	}
	if (at == worker->drop_count)
		worker->drop_count++;
	snprintf(worker->drops[at].tenant, sizeof worker->drops[at].tenant, "%s", tenant);
	worker->drops[at].said = 0;
	worker_prompt(worker);
}

static struct erase *erase_find(struct worker *worker, const char *uid)
{
	for (size_t i = 0; i < worker->erase_count; i++)
		if (strcmp(worker->erases[i].uid, uid) == 0)
			return &worker->erases[i];
	return NULL;
}

void worker_erase(struct worker *worker, const struct erase *erase)
{
	if (!erase_find(worker, erase->uid) && worker->erase_count < ERASES_MAX)
		worker->erases[worker->erase_count++] = *erase;
	worker_prompt(worker);
}

void worker_erased(struct worker *worker, const char *uid)
{
	struct erase *at = erase_find(worker, uid);
	if (at)
		*at = worker->erases[--worker->erase_count];
}
