/* grace.c - see grace.h. */
#include "common/defs.h"
#include "control/grace.h"

#include <sched.h>

void grace_init(struct grace *grace)
{
	atomic_init(&grace->parity, 0);
	for (size_t i = 0; i < GRACE_STRIPES; i++)
		for (size_t j = 0; j < 2; j++)
			atomic_init(&grace->stripes[i].inside[j], 0);
	pthread_mutex_init(&grace->waiting, NULL);
}

void grace_release(struct grace *grace)
{
	pthread_mutex_destroy(&grace->waiting);
}

/* By thread, so that few share a line. */
static size_t stripe_of(void)
{
	uint64_t self = (uint64_t)(uintptr_t)pthread_self();
	return (size_t)((self >> 12) * 0x9e3779b97f4a7c15u >> 60) % GRACE_STRIPES;
}

struct section grace_enter(struct grace *grace)
{
	unsigned parity = atomic_load(&grace->parity) & 1;
	struct section section = { &grace->stripes[stripe_of()].inside[parity] };
	atomic_fetch_add(section.inside, 1);
	return section;
}

void grace_leave(struct section section)
{
	atomic_fetch_sub(section.inside, 1);
}

/* Nobody new comes into the old parity, but for who read it just before. */
static void turn(struct grace *grace)
{
	unsigned old = atomic_fetch_add(&grace->parity, 1) & 1;
	for (size_t i = 0; i < GRACE_STRIPES; i++)
		while (atomic_load(&grace->stripes[i].inside[old]) != 0)
			sched_yield();
}

/* Twice: who had read a parity and stood still may have come into it after it was waited for. */
void grace_wait(struct grace *grace)
{
	pthread_mutex_lock(&grace->waiting);
	turn(grace);
	turn(grace);
	pthread_mutex_unlock(&grace->waiting);
}
