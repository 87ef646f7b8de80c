/* workers.c - the list of workers and what each was given. */
#include "common/defs.h"
#include "control/workers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct worker *workers_find(const struct workers *workers, const char *name)
{
	struct worker *worker = workers->first;
	while (worker && strcmp(worker->name, name) != 0)
		worker = worker->next;
	return worker;
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
	worker->next = workers->first;
	workers->first = worker;
	workers->count++;
	*ret_worker = worker;
	return 0;
}

static void given_free(struct given *given)
{
	buf_release(&given->grant);
	free(given);
}

void workers_remove(struct workers *workers, struct worker *worker)
{
	struct worker **at = &workers->first;
	while (*at != worker)
		at = &(*at)->next;
	*at = worker->next;
	workers->count--;
	if (worker->call)
		link_drop(worker->call);
	while (worker->given)
		worker_take_back(worker, worker->given);
	buf_release(&worker->answer);
	free(worker);
}

void workers_clear(struct workers *workers)
{
	while (workers->first)
		workers_remove(workers, workers->first);
}

int worker_give(struct worker *worker, const char *task, const struct token *token,
                struct given **ret_given, struct err *err)
{
	struct given *given = calloc(1, sizeof *given);
	if (!given)
		return err_set(err, E_NOMEM, "no memory for an attempt");
	snprintf(given->task, sizeof given->task, "%s", task);
	given->token = *token;
	buf_init(&given->grant, GRANT_BYTES_MAX);
	given->next = worker->given;
	worker->given = given;
	*ret_given = given;
	return 0;
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
	for (struct worker *worker = workers->first; worker; worker = worker->next)
		for (struct given *given = worker->given; given; given = given->next)
			if (strcmp(given->task, task) == 0) {
				*ret_worker = worker;
				return given;
			}
	return NULL;
}

void worker_take_back(struct worker *worker, struct given *given)
{
	struct given **at = &worker->given;
	while (*at != given)
		at = &(*at)->next;
	*at = given->next;
	given_free(given);
}

/* One that does not fit is asked for again by the report's repetition. */
void worker_ack(struct worker *worker, const struct token *token)
{
	worker->prompt = true;
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
	worker->prompt = true;
}
