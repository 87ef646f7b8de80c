/* test_outflow.c - a writer and a reader that never wait for each other. */
#include "common/defs.h"
#include "api/outflow.h"

#include "tests/support/alloc.h"

#include <criterion/criterion.h>
#include <string.h>

static int parked, woken;

static void park(void *context)
{
	(void)context;
	parked++;
}

static void wake(void *context)
{
	(void)context;
	woken++;
}

static struct outflow *make(size_t most)
{
	const struct outflow_reader reader = { park, wake, NULL };
	struct outflow *outflow = NULL;
	struct err err = { 0 };
	parked = woken = 0;
	cr_assert_eq(outflow_new(most, &reader, &outflow, &err), 0, "%s", err.text);
	return outflow;
}

Test(outflow, gives_what_was_put_in_order_and_in_pieces)
{
	char out[8] = "";
	struct outflow *outflow = make(100);
	cr_expect(outflow_put(outflow, "abc", 3));
	cr_expect(outflow_put(outflow, "def", 3));
	cr_expect_eq(outflow_take(outflow, out, 4), 4);
	cr_expect(memcmp(out, "abcd", 4) == 0);
	cr_expect_eq(outflow_take(outflow, out, 4), 2);
	cr_expect(memcmp(out, "ef", 2) == 0);
	outflow_end(outflow);
	cr_expect_eq(outflow_take(outflow, out, 4), OUTFLOW_OVER);
	outflow_leave(outflow);
}

Test(outflow, a_reader_without_bytes_is_parked_and_woken_once_by_the_next)
{
	char out[8];
	struct outflow *outflow = make(100);
	cr_expect_eq(outflow_take(outflow, out, 4), 0);
	cr_expect_eq(parked, 1);
	cr_expect(outflow_put(outflow, "a", 1));
	cr_expect(outflow_put(outflow, "b", 1));
	cr_expect_eq(woken, 1);
	cr_expect_eq(outflow_take(outflow, out, 4), 2);
	cr_expect_eq(outflow_take(outflow, out, 4), 0);
	outflow_end(outflow);
	cr_expect_eq(woken, 2, "the end wakes, too");
	outflow_leave(outflow);
}

Test(outflow, a_reader_that_lags_behind_the_bound_is_dropped_and_woken)
{
	char out[8];
	struct outflow *outflow = make(4);
	cr_expect(outflow_put(outflow, "abcd", 4));
	cr_expect_not(outflow_put(outflow, "e", 1));
	cr_expect_not(outflow_put(outflow, "", 0), "for good");
	cr_expect_eq(outflow_take(outflow, out, 4), OUTFLOW_BROKEN);
	outflow_leave(outflow);
	outflow_end(outflow);
}

Test(outflow, dropping_wakes_a_parked_reader)
{
	char out[8];
	struct outflow *outflow = make(4);
	cr_expect_eq(outflow_take(outflow, out, 4), 0);
	outflow_drop(outflow);
	cr_expect_eq(woken, 1);
	cr_expect_eq(outflow_take(outflow, out, 4), OUTFLOW_BROKEN);
	outflow_end(outflow);
	outflow_leave(outflow);
}

Test(outflow, a_writer_learns_that_its_reader_has_left)
{
	char out[8];
	struct outflow *outflow = make(4);
	cr_expect_eq(outflow_take(outflow, out, 4), 0);
	outflow_leave(outflow);
	cr_expect_not(outflow_put(outflow, "a", 1));
	cr_expect_eq(woken, 0, "nobody is there to be woken");
	outflow_end(outflow);
}

Test(outflow, without_memory_none_is_made_or_its_reader_is_dropped)
{
	const struct outflow_reader reader = { park, wake, NULL };
	struct outflow *outflow = NULL;
	struct err err = { 0 };
	alloc_fail_after(0);
	cr_expect_eq(outflow_new(4, &reader, &outflow, &err), E_NOMEM);
	alloc_fail_after(-1);
	outflow = make(4);
	alloc_fail_after(0);
	cr_expect_not(outflow_put(outflow, "a", 1));
	alloc_fail_after(-1);
	outflow_leave(outflow);
	outflow_end(outflow);
}
