/* test_stretches.c - see control/stretches.h. The oracle is an array with a state for each instant.
 */
#include "common/defs.h"
#include "control/stretches.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { LENGTH = 200 };

static void set(struct stretches *set, int64_t from, int64_t to, enum stretch_state state)
{
	const struct stretch one = {from, to, 1, state};
	cr_assert_eq(stretches_reserve(set, 1, NULL), 0);
	stretches_set(set, &one);
}

static void check(const struct stretches *set, const enum stretch_state *state)
{
	size_t item = 0;
	for (int at = 0; at < LENGTH; at++) {
		while (item < set->len && set->items[item].to_ms <= at)
			item++;
		bool in = item < set->len && set->items[item].from_ms <= at;
		cr_assert_eq(in ? set->items[item].state : STRETCH_MISSING, state[at], "at %d", at);
		cr_assert_eq(stretches_at(set, at), item);
	}
	for (size_t i = 0; i < set->len; i++) {
		const struct stretch *one = &set->items[i];
		cr_assert_lt(one->from_ms, one->to_ms);
		cr_assert_gt(one->count, 0);
		if (i && one[-1].to_ms == one->from_ms)
			cr_assert_neq(one[-1].state, one->state, "two that meet were not merged");
		if (i)
			cr_assert_leq(one[-1].to_ms, one->from_ms);
	}
}

static void check_hole(const struct stretches *set, const enum stretch_state *state, int from,
                       int to)
{
	int64_t hole_from = -1, hole_to = -1;
	int first = from;
	while (first < to && state[first] != STRETCH_MISSING)
		first++;
	bool found = stretches_hole(set->items, set->len, from, to, &hole_from, &hole_to);
	cr_assert_eq(found, first < to);
	if (!found)
		return;
	int end = first;
	while (end < to && state[end] == STRETCH_MISSING)
		end++;
	cr_assert_eq(hole_from, first);
	cr_assert_eq(hole_to, end);
}

Test(stretches, are_as_an_array_of_states_would_be)
{
	srand(7);
	for (int round = 0; round < 200; round++) {
		enum stretch_state state[LENGTH] = {STRETCH_MISSING};
		struct stretches all = {.items = NULL};
		for (int i = 0; i < 60; i++) {
			int from = rand() % LENGTH, to = from + rand() % (LENGTH - from) / 4 + 1;
			enum stretch_state now =
				(enum stretch_state)(rand() % STRETCH_STATE_COUNT_);
			set(&all, from, to, now);
			for (int at = from; at < to; at++)
				state[at] = now;
			check(&all, state);
			check_hole(&all, state, rand() % 100, 100 + rand() % 100);
		}
		stretches_release(&all);
	}
}

Test(stretches, count_what_was_merged_and_share_what_was_cut)
{
	struct stretches all = {.items = NULL};
	for (int hour = 0; hour < 24; hour++)
		set(&all, hour * 10, hour * 10 + 10, STRETCH_DONE);
	cr_assert_eq(all.len, 1);
	cr_expect_eq(all.items[0].count, 24);
	set(&all, 50, 60, STRETCH_FAILED);
	cr_assert_eq(all.len, 3);
	cr_expect_eq(all.items[0].count, 5);
	cr_expect_eq(all.items[2].count, 18);
	set(&all, 50, 60, STRETCH_DONE);
	cr_assert_eq(all.len, 1);
	cr_expect_eq(all.items[0].count, 24);
	stretches_release(&all);
}

Test(stretches, forget_the_oldest_beyond_their_bound)
{
	struct stretches all = {.items = NULL};
	for (int64_t i = 0; i < STRETCHES_MAX; i++)
		set(&all, i * 2, i * 2 + 1, STRETCH_DONE);
	cr_expect_not(all.floored);
	set(&all, STRETCHES_MAX * 2, STRETCHES_MAX * 2 + 1, STRETCH_DONE);
	cr_expect_eq(all.len, STRETCHES_MAX);
	cr_expect(all.floored);
	cr_expect_eq(all.floor_ms, 1);
	stretches_release(&all);
}
