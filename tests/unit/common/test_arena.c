/* test_arena.c - request memory. */
#include "common/defs.h"
#include "common/arena.h"
#include "tests/support/alloc.h"

#include <criterion/criterion.h>
#include <string.h>

Test(arena, gives_zeroed_aligned_memory_that_does_not_overlap)
{
	AUTO(arena) *arena = NULL;
	struct err err;
	cr_assert_eq(arena_new(MIB, &arena, &err), 0);
	for (int round = 0; round < 2; round++) {
		unsigned char *last = NULL;
		for (size_t len = 1; len < 3000; len += 37) {
			unsigned char *at = arena_alloc(arena, len);
			cr_assert_not_null(at);
			cr_expect_eq((uintptr_t)at % 16, 0);
			for (size_t i = 0; i < len; i++)
				cr_assert_eq(at[i], 0);
			memset(at, 0xee, len);
			cr_assert(!last || last[0] == 0xee);
			last = at;
		}
		arena_reset(arena);
		cr_expect_eq(arena_used(arena), 0);
	}
}

Test(arena, stops_at_its_maximum)
{
	AUTO(arena) *arena = NULL;
	struct err err;
	cr_assert_eq(arena_new(100000, &arena, &err), 0);
	size_t got = 0;
	while (arena_alloc(arena, 1000))
		got += 1000;
	cr_expect_gt(got, 80000);
	cr_expect_leq(got, 100000);
	cr_expect_leq(arena_used(arena), 100800);
	cr_expect_null(arena_alloc(arena, 100001));
	cr_expect_null(arena_alloc(arena, SIZE_MAX));
	arena_reset(arena);
	cr_expect_not_null(arena_alloc(arena, 50000));
}

Test(arena, tells_whether_its_bound_was_the_reason)
{
	struct arena *arena = NULL;
	cr_assert_eq(arena_new(64 * KIB, &arena, NULL), 0);
	cr_assert(arena_has_room(arena, 64 * KIB));
	cr_assert_not_null(arena_alloc(arena, 60 * KIB));
	cr_assert_null(arena_alloc(arena, 8 * KIB));
	cr_assert_not(arena_has_room(arena, 8 * KIB));
	arena_free(arena);
}

Test(arena, copies_and_formats_text)
{
	AUTO(arena) *arena = NULL;
	struct err err;
	cr_assert_eq(arena_new(KIB, &arena, &err), 0);
	cr_expect_str_eq(arena_strdup(arena, "text"), "text");
	cr_expect_str_eq(arena_strndup(arena, "text", 2), "te");
	cr_expect_str_eq(arena_printf(arena, "%s-%d", "a", 7), "a-7");
	char wide[2000];
	memset(wide, 'x', sizeof wide - 1);
	wide[sizeof wide - 1] = 0;
	cr_expect_null(arena_strdup(arena, wide));
	cr_expect_null(arena_printf(arena, "%s", wide));
}

Test(arena, reports_each_failed_allocation)
{
	struct arena *arena = NULL;
	struct err err;
	alloc_fail_after(0);
	cr_expect_eq(arena_new(MIB, &arena, &err), E_NOMEM);
	cr_expect_null(arena);
	alloc_fail_after(1);
	cr_assert_eq(arena_new(MIB, &arena, &err), 0);
	cr_expect_null(arena_alloc(arena, 1));
	cr_expect_not_null(arena_alloc(arena, 1));
	alloc_fail_after(0);
	cr_expect_null(arena_alloc(arena, 20000));
	cr_expect_not_null(arena_alloc(arena, 20000));
	alloc_fail_after(-1);
	arena_free(arena);
	arena_free(NULL);
}
