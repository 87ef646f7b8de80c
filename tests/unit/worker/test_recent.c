/* test_recent.c - what a worker has lately had in its hands. */
#include "common/defs.h"
#include "worker/recent.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static size_t list(struct recent *recent, struct arena *arena, const char *const **ret_names)
{
	struct err err = { 0 };
	size_t count = 0;
	cr_assert_eq(recent_list(recent, arena, ret_names, &count, &err), 0, "%s", err.text);
	return count;
}

Test(recent, the_newest_come_first_and_each_once)
{
	struct recent recent;
	const char *const *names = NULL;
	AUTO(arena) *arena = NULL;
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	recent_init(&recent);
	recent_add(&recent, "a");
	recent_add(&recent, "b");
	recent_add(&recent, "a");
	cr_assert_eq(list(&recent, arena, &names), 2);
	cr_expect_str_eq(names[0], "a");
	cr_expect_str_eq(names[1], "b");
	recent_release(&recent);
}

Test(recent, the_oldest_makes_room_and_what_is_too_long_is_left_out)
{
	struct recent recent;
	const char *const *names = NULL;
	char name[RECENT_NAME_LEN + 2];
	AUTO(arena) *arena = NULL;
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	recent_init(&recent);
	for (int i = 0; i < RECENT_MAX + 3; i++) {
		snprintf(name, sizeof name, "u%d", i);
		recent_add(&recent, name);
	}
	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = 0;
	recent_add(&recent, name);
	cr_assert_eq(list(&recent, arena, &names), RECENT_MAX);
	cr_expect_str_eq(names[0], "u66");
	cr_expect_str_eq(names[RECENT_MAX - 1], "u3");
	recent_release(&recent);
}
