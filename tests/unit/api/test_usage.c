/* usage.h: a record reads back as it was, and what is no amount is none. */
#include "common/defs.h"
#include "api/usage.h"

#include <criterion/criterion.h>
#include <string.h>

static struct arena *arena;
static void setup(void)
{
	cr_assert_eq(arena_new(65536, &arena, NULL), 0);
}
static void teardown(void)
{
	arena_free(arena);
}
TestSuite(usage, .init = setup, .fini = teardown);

Test(usage, reads_what_it_wrote)
{
	struct usage usage = { 1, 2, 3, 4, INT64_MAX, 6 }, back;
	struct value *map = usage_value(arena, &usage);
	cr_assert_eq(value_check(map, NULL), 0);
	memset(&back, 0xff, sizeof back);
	usage_read(map, &back);
	cr_expect_arr_eq(&back, &usage, sizeof usage);
}

Test(usage, keeps_the_names_that_bills_are_made_of)
{
	struct usage usage = { 1, 2, 3, 4, 5, 6 };
	const struct value *map = usage_value(arena, &usage);
	cr_expect_eq(value_len(map), 6);
	cr_expect_eq(value_get_int(map, "cpuMs", -1), 1);
	cr_expect_eq(value_get_int(map, "memoryPeakBytes", -1), 2);
	cr_expect_eq(value_get_int(map, "bytesRead", -1), 3);
	cr_expect_eq(value_get_int(map, "bytesWritten", -1), 4);
	cr_expect_eq(value_get_int(map, "rows", -1), 5);
	cr_expect_eq(value_get_int(map, "wallMs", -1), 6);
}

Test(usage, what_is_negative_absent_or_no_number_counts_as_nothing)
{
	struct usage usage;
	struct value *map = value_map(arena);
	memset(&usage, 0xff, sizeof usage);
	value_set_int(map, "cpuMs", -1);
	value_set_int(map, "bytesRead", INT64_MIN);
	value_set_str(map, "rows", "7");
	value_set_int(map, "wallMs", 9);
	usage_read(map, &usage);
	struct usage expected = { .wall_ms = 9 };
	cr_expect_arr_eq(&usage, &expected, sizeof usage);
	memset(&usage, 0xff, sizeof usage);
	usage_read(NULL, &usage);
	expected.wall_ms = 0;
	cr_expect_arr_eq(&usage, &expected, sizeof usage);
}

Test(usage, a_full_arena_gives_no_half_record)
{
	struct usage usage = { 1, 2, 3, 4, 5, 6 };
	bool fits = false;
	for (size_t bytes = 16; !fits && bytes < 8192; bytes += 16) {
		AUTO(arena) *small = NULL;
		cr_assert_eq(arena_new(bytes, &small, NULL), 0);
		const struct value *map = usage_value(small, &usage);
		fits = value_check(map, NULL) == 0;
		cr_assert(!fits || value_len(map) == 6, "%zu bytes", bytes);
	}
	cr_expect(fits);
}
