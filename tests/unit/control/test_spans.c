/* Which keys are in the store, in a few numbers. */
#include "common/defs.h"
#include "control/spans.h"

#include <criterion/criterion.h>

static void add(struct spans *spans, int64_t epoch, uint64_t first, uint64_t last)
{
	struct err err = { 0 };
	for (uint64_t seq = first; seq <= last; seq++)
		cr_assert_eq(spans_add(spans, &(struct position){ epoch, seq }, &err), 0);
}

static void is(const struct spans *spans, size_t i, int64_t epoch, uint64_t first, uint64_t last)
{
	cr_assert_lt(i, spans->count);
	cr_assert_eq(spans->at[i].epoch, epoch);
	cr_assert_eq(spans->at[i].first, first);
	cr_assert_eq(spans->at[i].last, last);
}

Test(spans, many_keys_of_one_epoch_are_one_span)
{
	struct spans spans = { 0 };
	add(&spans, 3, 0, 999);
	for (int64_t epoch = 4; epoch < 40; epoch++)
		add(&spans, epoch, 0, 2);
	cr_assert_eq(spans.count, 37);
	is(&spans, 0, 3, 0, 999);
	is(&spans, 36, 39, 0, 2);
	spans_release(&spans);
}

Test(spans, what_is_trimmed_is_gone_and_the_rest_stays)
{
	struct spans spans = { 0 };
	add(&spans, 3, 5, 9);
	add(&spans, 4, 0, 9);
	add(&spans, 6, 0, 1);
	spans_trim(&spans, &(struct position){ 2, 99 });
	is(&spans, 0, 3, 5, 9);
	spans_trim(&spans, &(struct position){ 4, 3 });
	cr_assert_eq(spans.count, 2);
	is(&spans, 0, 4, 4, 9);
	spans_trim(&spans, &(struct position){ 4, 9 });
	is(&spans, 0, 6, 0, 1);
	spans_trim(&spans, &(struct position){ 7, 0 });
	cr_assert_eq(spans.count, 0);
	add(&spans, 7, 1, 1);
	is(&spans, 0, 7, 1, 1);
	spans_release(&spans);
}

Test(spans, a_copy_ends_at_its_position)
{
	struct spans spans = { 0 }, copy = { 0 };
	struct err err = { 0 };
	add(&spans, 3, 0, 9);
	add(&spans, 4, 0, 9);
	add(&spans, 5, 0, 9);
	cr_assert_eq(spans_copy(&spans, &(struct position){ 4, 6 }, &copy, &err), 0);
	cr_assert_eq(copy.count, 2);
	is(&copy, 0, 3, 0, 9);
	is(&copy, 1, 4, 0, 6);
	spans_release(&copy);
	spans_release(&spans);
}
