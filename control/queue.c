/* queue.c - first in, first out, under one mutex. Invariant: len counts the items between first and
 * last. */
#include "common/defs.h"
#include "control/queue.h"

#include <stdlib.h>

struct queue {
	struct clock *clock;
	size_t items_max;
	pthread_mutex_t mutex;       /* guards what follows */
	pthread_cond_t some;
	struct queue_item *first, **last;
	size_t len;
	bool woken, closed;
};

int queue_new(struct clock *clock, size_t items_max, struct queue **ret_queue, struct err *err)
{
	struct queue *queue = calloc(1, sizeof *queue);
	if (!queue)
		return err_set(err, E_NOMEM, "no memory for a queue");
	queue->clock = clock;
	queue->items_max = items_max;
	queue->last = &queue->first;
	pthread_mutex_init(&queue->mutex, NULL);
	clock_cond_init(&queue->some);
	*ret_queue = queue;
	return 0;
}

void queue_free(struct queue *queue)
{
	if (!queue)
		return;
	REQUIRE(!queue->first);
	pthread_cond_destroy(&queue->some);
	pthread_mutex_destroy(&queue->mutex);
	free(queue);
}

static bool push(struct queue *queue, struct queue_item *item, size_t items_max)
{
	pthread_mutex_lock(&queue->mutex);
	bool fits = !queue->closed && queue->len < items_max;
	if (fits) {
		item->next = NULL;
		*queue->last = item;
		queue->last = &item->next;
		queue->len++;
		pthread_cond_signal(&queue->some);
	}
	pthread_mutex_unlock(&queue->mutex);
	return fits;
}

bool queue_push(struct queue *queue, struct queue_item *item)
{
	return push(queue, item, queue->items_max);
}

bool queue_push_always(struct queue *queue, struct queue_item *item)
{
	return push(queue, item, SIZE_MAX);
}

struct queue_item *queue_take(struct queue *queue, int64_t deadline_mono_ms)
{
	pthread_mutex_lock(&queue->mutex);
	while (!queue->first && !queue->woken && !queue->closed)
		if (!clock_wait(queue->clock, &queue->some, &queue->mutex, deadline_mono_ms))
			break;
	struct queue_item *item = queue->first;
	if (item) {
		queue->first = item->next;
		queue->len--;
	} else {
		queue->woken = false;
	}
	if (!queue->first)
		queue->last = &queue->first;
	pthread_mutex_unlock(&queue->mutex);
	return item;
}

void queue_wake(struct queue *queue)
{
	pthread_mutex_lock(&queue->mutex);
	queue->woken = true;
	pthread_cond_broadcast(&queue->some);
	pthread_mutex_unlock(&queue->mutex);
}

void queue_close(struct queue *queue)
{
	pthread_mutex_lock(&queue->mutex);
	queue->closed = true;
	pthread_cond_broadcast(&queue->some);
	pthread_mutex_unlock(&queue->mutex);
}

bool queue_closed(struct queue *queue)
{
	pthread_mutex_lock(&queue->mutex);
	bool closed = queue->closed;
	pthread_mutex_unlock(&queue->mutex);
	return closed;
}
