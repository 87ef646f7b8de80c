/* shard_expiry.c - tasks that end at a time whatever they do: a binary heap by that time. It
 * follows from their accepted records, so a new leader finds the same ones. */
#include "common/defs.h"
#include "control/shard_impl.h"

#include <stdio.h>
#include <stdlib.h>

enum { HEAP_FIRST = 64 };

static void put(struct shard *shard, size_t i, struct task *task)
{
	shard->expiries[i] = task;
	task->expiry_place = (uint32_t)i + 1;
}

static void sift_up(struct shard *shard, size_t i, struct task *task)
{
	for (; i > 0; i = (i - 1) / 2) {
		struct task *above = shard->expiries[(i - 1) / 2];
		if (above->expires_ms <= task->expires_ms)
			break;
		put(shard, i, above);
	}
	put(shard, i, task);
}

static void sift_down(struct shard *shard, size_t i, struct task *task)
{
	for (;;) {
		size_t below = 2 * i + 1;
		if (below + 1 < shard->expiry_len &&
		    shard->expiries[below + 1]->expires_ms < shard->expiries[below]->expires_ms)
			below++;
		if (below >= shard->expiry_len ||
		    task->expires_ms <= shard->expiries[below]->expires_ms)
			break;
		put(shard, i, shard->expiries[below]);
		i = below;
	}
	put(shard, i, task);
}

int expiry_add(struct shard *shard, struct task *task, struct err *err)
{
	if (!task->expires_ms || task->expiry_place)
		return 0;
	if (shard->expiry_len == shard->expiry_cap) {
		size_t cap = shard->expiry_cap ? shard->expiry_cap * 2 : HEAP_FIRST;
		struct task **heap = realloc(shard->expiries, cap * sizeof *heap);
		if (!heap)
			return err_set(err, E_NOMEM, "no memory for a task's expiry");
		shard->expiries = heap;
		shard->expiry_cap = cap;
	}
	sift_up(shard, shard->expiry_len++, task);
	return 0;
}

void expiry_remove(struct shard *shard, struct task *task)
{
	if (!task->expiry_place)
		return;
	size_t i = task->expiry_place - 1;
	struct task *last = shard->expiries[--shard->expiry_len];
	task->expiry_place = 0;
	if (last == task)
		return;
	sift_up(shard, i, last);
	sift_down(shard, last->expiry_place - 1, last);
}

bool shard_take_expired(struct shard *shard, char id[ID_LEN + 1])
{
	struct task *running = NULL;
	shard_lock(shard);
	int64_t now_ms = clock_unix_ms(shard->clock);
	while (!running && shard->expiry_len > 0 && shard->expiries[0]->expires_ms <= now_ms) {
		struct task *task = shard->expiries[0];
		expiry_remove(shard, task);
		if (task->cancel)
			continue;
		task->cancel = task->expired = true;
		if (task->state == STATE_RUNNING)
			running = task;
		else
			task_wait_in_line(shard, task, false);
		task_moved(shard, task);
	}
	if (running)
		snprintf(id, ID_LEN + 1, "%s", running->id);
	shard_unlock(shard);
	return running != NULL;
}

int64_t shard_next_expiry(struct shard *shard)
{
	shard_lock(shard);
	int64_t next = shard->expiry_len > 0 ? shard->expiries[0]->expires_ms : INT64_MAX;
	shard_unlock(shard);
	return next;
}
