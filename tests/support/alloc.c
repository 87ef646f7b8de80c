/* alloc.c - the wrappers of malloc, calloc and realloc. `left` counts down; the allocation that
 * takes it from 0 to -1 fails, and being below 0 is being off. */
#include "common/defs.h"
#include "tests/support/alloc.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static atomic_long left = -1;
static atomic_long count;
static atomic_bool fired;
static _Thread_local int spared;

void alloc_fail_after(long n)
{
	atomic_store(&fired, false);
	atomic_store(&left, n);
}

bool alloc_fired(void)
{
	return atomic_load(&fired);
}

long alloc_count(void)
{
	return atomic_load(&count);
}

void alloc_spare(void)
{
	spared++;
}

void alloc_unspare(void)
{
	spared--;
}

static bool must_fail(void)
{
	if (spared > 0)
		return false;
	atomic_fetch_add(&count, 1);
	long now = atomic_load(&left);
	while (now >= 0 && !atomic_compare_exchange_weak(&left, &now, now - 1))
		;
	if (now != 0)
		return false;
	atomic_store(&fired, true);
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return must_fail() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t members, size_t size)
{
	return must_fail() ? NULL : __real_calloc(members, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return must_fail() ? NULL : __real_realloc(old, size);
}
