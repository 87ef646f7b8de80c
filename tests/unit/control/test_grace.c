/* test_grace.c - what is read without a lock is not freed under its reader. */
#include "common/defs.h"
#include "control/grace.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { READERS = 3, CHANGES = 300, ALIVE = 4711 };

struct thing { int state; };

struct world {
	struct grace grace;
	_Atomic(struct thing *) shown;
	atomic_bool end;
	atomic_int reads, dead;
};

static struct thing *thing_new(void)
{
	struct thing *thing = calloc(1, sizeof *thing);
	cr_assert_not_null(thing);
	thing->state = ALIVE;
	return thing;
}

static void *read_on(void *context)
{
	struct world *world = context;
	while (!atomic_load(&world->end)) {
		struct section section = grace_enter(&world->grace);
		const struct thing *thing = atomic_load(&world->shown);
		if (thing->state != ALIVE)
			atomic_fetch_add(&world->dead, 1);
		grace_leave(section);
		atomic_fetch_add(&world->reads, 1);
	}
	return NULL;
}

Test(grace, ends_before_what_a_reader_sees_is_freed)
{
	struct world *world = calloc(1, sizeof *world);
	pthread_t threads[READERS];
	cr_assert_not_null(world);
	grace_init(&world->grace);
	atomic_init(&world->shown, thing_new());
	for (size_t i = 0; i < READERS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, read_on, world), 0);
	for (int i = 0; i < CHANGES; i++) {
		struct thing *old = atomic_exchange(&world->shown, thing_new());
		grace_wait(&world->grace);
		old->state = 0;
		free(old);
	}
	atomic_store(&world->end, true);
	for (size_t i = 0; i < READERS; i++)
		pthread_join(threads[i], NULL);
	cr_expect_eq(atomic_load(&world->dead), 0);
	free(atomic_load(&world->shown));
	grace_release(&world->grace);
	free(world);
}

static void *wait_once(void *context)
{
	struct world *world = context;
	grace_wait(&world->grace);
	atomic_store(&world->end, true);
	return NULL;
}

Test(grace, is_not_over_while_a_section_lasts)
{
	struct world *world = calloc(1, sizeof *world);
	pthread_t thread;
	cr_assert_not_null(world);
	grace_init(&world->grace);
	struct section section = grace_enter(&world->grace);
	cr_assert_eq(pthread_create(&thread, NULL, wait_once, world), 0);
	for (int i = 0; i < 1000; i++) {
		struct section other = grace_enter(&world->grace);
		grace_leave(other);
		cr_assert_not(atomic_load(&world->end));
	}
	grace_leave(section);
	pthread_join(thread, NULL);
	cr_expect(atomic_load(&world->end));
	grace_release(&world->grace);
	free(world);
}
