/* test_fault_store.c - every call of the store fails once during a journey, as one that did not
 * happen and as one whose answer was lost; each time clients that insist get their way and
 * everything adds up. */
#include "common/defs.h"
#include "tests/support/play.h"

#include "common/store_mem.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { CALLS_LEAST = 35, CALLS_MOST = 1000 };

/* Whether the n-th call was made, and so failed. */
static bool fail_once(uint64_t n, int code)
{
	struct scene scene;
	scene_open(&scene);
	store_mem_fail(scene.stage->plane->store, n, code);
	const char *broken = play(&scene);
	bool fired = scene.stage->store_calls >= n;
	cr_assert_null(broken, "call %d of the store fails as %s: %s", (int)n, err_name(code),
	               broken);
	scene_close(&scene);
	return fired;
}

static void fail_each(int code, uint64_t first, uint64_t step)
{
	uint64_t n = first;
	while (fail_once(n, code))
		cr_assert_lt(n += step, (uint64_t)CALLS_MOST, "the journey never ends");
	cr_assert_gt(n, (uint64_t)CALLS_LEAST, "the journey makes hardly a call");
}

Test(fault_store, odd_calls_that_do_not_happen_cost_nothing)
{
	fail_each(E_UNAVAILABLE, 1, 2);
}

Test(fault_store, even_calls_that_do_not_happen_cost_nothing)
{
	fail_each(E_UNAVAILABLE, 2, 2);
}

Test(fault_store, odd_calls_whose_answer_is_lost_happen_once)
{
	fail_each(E_UNKNOWN_OUTCOME, 1, 2);
}

Test(fault_store, even_calls_whose_answer_is_lost_happen_once)
{
	fail_each(E_UNKNOWN_OUTCOME, 2, 2);
}
