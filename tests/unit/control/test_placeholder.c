/* test_placeholder.c - see control/placeholder.h. */
#include "common/defs.h"
#include "control/placeholder.h"

#include "common/clock.h"

#include <criterion/criterion.h>
#include <string.h>

static const char *fill(struct arena *arena, const char *path)
{
	int64_t from_ms = 0, to_ms = 0;
	const char *filled = NULL;
	struct err err = {0};
	cr_assert_eq(time_parse("2024-02-29T23:04:05Z", &from_ms, NULL), 0);
	cr_assert_eq(time_parse("2024-12-31T00:00:00Z", &to_ms, NULL), 0);
	cr_assert_eq(placeholder_check(path, &err), 0, "%s: %s", path, err.text);
	cr_assert_eq(placeholder_fill(arena, path, &from_ms, &to_ms, &filled, &err), 0, "%s",
	             err.text);
	return filled;
}

Test(placeholder, becomes_the_interval_in_utc)
{
	AUTO(arena) *arena = NULL;
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	cr_expect_str_eq(fill(arena, "raw/{interval_start:%Y-%m-%d}/{interval_start:%H%M%S}.csv"),
	                 "raw/2024-02-29/230405.csv");
	cr_expect_str_eq(fill(arena, "{interval_end:day_%j}"), "day_366");
	cr_expect_str_eq(fill(arena, "{other}/{/a}b"), "{other}/{/a}b");
	cr_expect_str_eq(fill(arena, ""), "");
}

Test(placeholder, says_where_it_is_wrong)
{
	static const struct {
		const char *path, *at;
	} rows[] = {
		{"a/{interval_start:%Y", "character 21"},  {"{interval_start:%y}", "character 17"},
		{"{interval_start:%", "character 17"},     {"{interval_begin:%Y}", "character 1"},
		{"x{interval_end}", "character 2"},        {"{interval_start:..}", "character 17"},
		{"{interval_start:/etc}", "character 17"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = {0};
		cr_expect_eq(placeholder_check(rows[i].path, &err), E_INVALID, "%s", rows[i].path);
		cr_expect_not_null(strstr(err.text, rows[i].at), "%s: %s", rows[i].path, err.text);
	}
}

Test(placeholder, wants_an_interval)
{
	AUTO(arena) *arena = NULL;
	const char *filled = NULL;
	struct err err = {0};
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	cr_expect_eq(placeholder_fill(arena, "plain.csv", NULL, NULL, &filled, &err), 0);
	cr_expect_str_eq(filled, "plain.csv");
	cr_expect_eq(placeholder_fill(arena, "{interval_start:%Y}", NULL, NULL, &filled, &err),
	             E_INVALID);
	cr_expect_not_null(strstr(err.text, "schedule"), "%s", err.text);
}
