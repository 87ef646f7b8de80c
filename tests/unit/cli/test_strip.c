/* test_strip.c - see api/cli/strip.h. */
#include "common/defs.h"
#include "api/cli/strip.h"

#include <criterion/criterion.h>
#include <string.h>

static struct value *intervals(struct arena *arena, int count)
{
	static const char *const states[] = {"done", "running", "failed", "missing"};
	struct value *list = value_list(arena);
	for (int i = 0; i < count; i++) {
		struct value *map = value_map(arena);
		value_set_str(map, "from", "2026-01-31T08:00:00.000Z");
		value_set_str(map, "state", states[i % 4]);
		value_add(list, map);
	}
	return list;
}

Test(strip, shows_one_character_an_interval)
{
	AUTO(arena) *arena = NULL;
	AUTO_BUF out;
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	buf_init(&out, MIB);
	strip_draw(intervals(arena, 6), false, &out);
	cr_assert_eq(buf_check(&out, NULL), 0);
	cr_expect_str_eq((char *)out.data, "2026-01-31 08:00  #>x.#>\n");
}

Test(strip, breaks_lines_and_shows_nothing_of_nothing)
{
	AUTO(arena) *arena = NULL;
	AUTO_BUF out;
	int lines = 0;
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	buf_init(&out, MIB);
	strip_draw(intervals(arena, STRIP_WIDTH + 1), false, &out);
	cr_assert_eq(buf_check(&out, NULL), 0);
	for (const char *at = (char *)out.data; *at; at++)
		lines += *at == '\n';
	cr_expect_eq(lines, 2);
	buf_clear(&out);
	strip_draw(value_list(arena), true, &out);
	cr_expect_eq(out.len, 0);
}
