/* test_crew.c - the handlers' queue. */
#include "common/defs.h"
#include "api/crew.h"

#include <criterion/criterion.h>
#include <semaphore.h>

struct shift {
	sem_t entered, gate;
	int done;                    /* atomic */
};

static void begin(struct shift *shift)
{
	*shift = (struct shift){ .done = 0 };
	sem_init(&shift->entered, 0, 0);
	sem_init(&shift->gate, 0, 0);
}

static void count(void *context, void *item)
{
	struct shift *shift = context;
	__atomic_add_fetch(&shift->done, *(int *)item, __ATOMIC_SEQ_CST);
}

static void wait_at_gate(void *context, void *item)
{
	struct shift *shift = context;
	sem_post(&shift->entered);
	sem_wait(&shift->gate);
	count(context, item);
}

Test(crew, does_all_that_was_pushed_before_it_is_freed)
{
	struct err err;
	struct crew *crew = NULL;
	struct shift shift;
	int one = 1, pushed = 0;
	begin(&shift);
	cr_assert_eq(crew_new(3, 1000, count, &shift, &crew, &err), 0);
	for (int i = 0; i < 1000; i++)
		pushed += crew_push(crew, &one);
	crew_free(crew);
	cr_expect_eq(pushed, 1000);
	cr_expect_eq(shift.done, 1000);
}

Test(crew, refuses_more_than_its_queue_holds)
{
	struct err err;
	struct crew *crew = NULL;
	struct shift shift;
	int one = 1;
	begin(&shift);
	cr_assert_eq(crew_new(1, 2, wait_at_gate, &shift, &crew, &err), 0);
	cr_assert(crew_push(crew, &one));
	sem_wait(&shift.entered);
	cr_expect(crew_push(crew, &one));
	cr_expect(crew_push(crew, &one));
	cr_expect_not(crew_push(crew, &one));
	for (int i = 0; i < 3; i++)
		sem_post(&shift.gate);
	crew_free(crew);
	cr_expect_eq(shift.done, 3);
}

Test(crew, accepts_that_there_is_none_to_free)
{
	crew_free(NULL);
}
