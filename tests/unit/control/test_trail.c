/* test_trail.c - a task's last transitions. */
#include "common/defs.h"
#include "control/trail.h"

#include <criterion/criterion.h>
#include <string.h>

static void walk(struct trail *trail, int attempts)
{
	struct err err;
	for (int i = 1; i <= attempts; i++) {
		struct trail_step ran = { 1000 * i, i, 0, EVENT_ASSIGNED, STATE_RUNNING };
		struct trail_step broke = { 1000 * i + 500, i, E_IO, EVENT_RETRY, STATE_QUEUED };
		cr_assert_eq(trail_add(trail, &ran, &err), 0);
		cr_assert_eq(trail_add(trail, &broke, &err), 0);
	}
}

static const char *reason_at(const struct value *list, size_t i)
{
	return value_get_str(value_at(list, i), "reason");
}

Test(trail, tells_each_transition_with_its_reason)
{
	struct trail trail = { 0 };
	struct arena *arena = NULL;
	struct err err;
	cr_assert_eq(arena_new(MIB, &arena, &err), 0);
	walk(&trail, 1);
	struct value *list = trail_value(arena, &trail, 500, false, NULL);
	cr_assert_eq(value_len(list), 3);
	cr_assert_str_eq(value_get_str(value_at(list, 0), "state"), "queued");
	cr_assert_str_eq(value_get_str(value_at(list, 0), "at"), "1970-01-01T00:00:00.500Z");
	cr_assert_str_eq(reason_at(list, 1), "attempt 1 was handed to a worker");
	cr_assert_str_eq(reason_at(list, 2),
	                 "attempt 1 failed with IO (transient) and is followed by another");
	list = trail_value(arena, &trail, 500, true, "because");
	cr_assert_str_eq(value_get_str(value_at(list, 0), "state"), "blocked");
	cr_assert_str_eq(reason_at(list, 2), "because");
	trail_release(&trail);
	arena_free(arena);
}

Test(trail, keeps_the_newest_within_its_bound)
{
	struct trail trail = { 0 };
	struct arena *arena = NULL;
	struct err err;
	cr_assert_eq(arena_new(MIB, &arena, &err), 0);
	cr_assert_null(trail_last(&trail));
	walk(&trail, 100);
	cr_assert_eq(trail.len, TRAIL_MAX);
	cr_assert_eq(trail_last(&trail)->attempt, 100);
	cr_assert_eq(value_len(trail_value(arena, &trail, 500, false, NULL)), TRAIL_MAX,
	             "how it began is no longer told");
	trail_release(&trail);
	arena_free(arena);
}

Test(trail, is_the_same_after_a_snapshot_and_refuses_a_damaged_one)
{
	struct trail trail = { 0 }, back = { 0 };
	struct arena *arena = NULL;
	struct err err;
	cr_assert_eq(arena_new(MIB, &arena, &err), 0);
	for (int attempts = 3; attempts <= 30; attempts += 27) {
		walk(&trail, attempts);
		struct value *list = trail_emit(arena, &trail);
		cr_assert_eq(trail_restore(&back, list, &err), 0, "%s", err.text);
		cr_assert(value_equal(trail_emit(arena, &back), list));
		cr_assert_eq(back.cut, attempts > 3);
	}
	struct value *bad = value_list(arena), *step = value_list(arena);
	for (int i = 0; i < 5; i++)
		value_add(step, i == 2 ? value_str(arena, "IO") : value_int(arena, 99));
	value_add(bad, value_bool(arena, false));
	value_add(bad, step);
	cr_assert_eq(trail_restore(&back, bad, &err), E_CORRUPT);
	cr_assert_eq(back.len, 0);
	trail_release(&trail);
	trail_release(&back);
	arena_free(arena);
}

Test(trail, every_event_has_a_reason)
{
	struct arena *arena = NULL;
	struct err err;
	cr_assert_eq(arena_new(MIB, &arena, &err), 0);
	for (int event = 0; event <= EVENT_REPLAYED; event++) {
		struct trail_step step = { .event = (uint8_t)event, .attempt = 2, .code = E_INPUT };
		cr_assert_neq(strcmp(trail_reason(arena, &step), "unknown"), 0, "event %d", event);
	}
	arena_free(arena);
}
