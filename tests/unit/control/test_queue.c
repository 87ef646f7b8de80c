/* test_queue.c - first in, first out, bounded, and nobody waits for ever. */
#include "common/defs.h"
#include "control/queue.h"

#include <criterion/criterion.h>

static struct queue *queue_of(struct clock *clock, size_t most)
{
	struct queue *queue = NULL;
	struct err err;
	cr_assert_eq(queue_new(clock, most, &queue, &err), 0);
	return queue;
}

Test(queue, gives_back_in_order_and_refuses_what_does_not_fit)
{
	struct queue *queue = queue_of(clock_system(), 2);
	struct queue_item items[3];
	cr_assert(queue_push(queue, &items[0]));
	cr_assert(queue_push(queue, &items[1]));
	cr_assert_not(queue_push(queue, &items[2]));
	cr_assert(queue_push_always(queue, &items[2]));
	for (int i = 0; i < 3; i++)
		cr_assert_eq(queue_take(queue, 0), &items[i]);
	cr_assert_null(queue_take(queue, 0));
	queue_free(queue);
}

Test(queue, a_wake_or_the_deadline_ends_the_wait)
{
	struct queue *queue = queue_of(clock_system(), 2);
	int64_t start_ms = clock_mono_ms(clock_system());
	cr_assert_null(queue_take(queue, start_ms + 20));
	cr_assert_geq(clock_mono_ms(clock_system()), start_ms + 20);
	queue_wake(queue);
	cr_assert_null(queue_take(queue, INT64_MAX), "a wake before the wait is not lost");
	queue_free(queue);
}

Test(queue, takes_nothing_in_when_closed_but_gives_out_what_it_has)
{
	struct queue *queue = queue_of(clock_system(), 2);
	struct queue_item item, late;
	cr_assert(queue_push(queue, &item));
	queue_close(queue);
	cr_assert(queue_closed(queue));
	cr_assert_not(queue_push(queue, &late));
	cr_assert_not(queue_push_always(queue, &late));
	cr_assert_eq(queue_take(queue, INT64_MAX), &item);
	cr_assert_null(queue_take(queue, INT64_MAX));
	queue_free(queue);
}
