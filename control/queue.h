/* queue.h - a bounded queue between threads; the items are their owners' structs, which begin
 * with a queue_item. Waits on the injected clock. */
#ifndef QUEUE_H
#define QUEUE_H

#include "common/clock.h"

struct queue_item { struct queue_item *next; };

struct queue;
MUST_USE int queue_new(struct clock *clock, size_t items_max, struct queue **ret_queue,
                       struct err *err);
void queue_free(struct queue *queue);                  /* must be empty */
DEFINE_AUTO(queue)
/* False: full or closed; the item stays the caller's. */
MUST_USE bool queue_push(struct queue *queue, struct queue_item *item);
/* The same for what must not be refused: beyond the bound too. False: closed. */
MUST_USE bool queue_push_always(struct queue *queue, struct queue_item *item);
/* The oldest item; NULL: none by the deadline, or somebody woke the taker. */
struct queue_item *queue_take(struct queue *queue, int64_t deadline_mono_ms);
void queue_wake(struct queue *queue);                  /* the next queue_take that waits returns */
void queue_close(struct queue *queue);                 /* nothing more comes in; takers return */
bool queue_closed(struct queue *queue);

#endif
