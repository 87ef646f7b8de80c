/* test_value.c - the document tree. */
#include "common/defs.h"
#include "common/value.h"
#include "tests/support/alloc.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static struct arena *arena;

static void set_up(void)
{
	struct err err;
	cr_assert_eq(arena_new(64 * MIB, &arena, &err), 0);
}

static void tear_down(void)
{
	arena_free(arena);
}

TestSuite(value, .init = set_up, .fini = tear_down);

Test(value, keeps_members_in_the_order_they_were_set)
{
	struct value *map = value_map(arena);
	value_set_int(map, "z", 1);
	value_set_int(map, "a", 2);
	value_set_int(map, "z", 3);
	const char *name = NULL;
	cr_expect_eq(value_as_int(value_member(map, 0, &name), 0), 3);
	cr_expect_str_eq(name, "z");
	cr_expect_eq(value_as_int(value_member(map, 1, &name), 0), 2);
	cr_expect_str_eq(name, "a");
	cr_expect_null(value_member(map, 2, &name));
	cr_expect_eq(value_len(map), 2);
}

Test(value, finds_each_member_on_both_sides_of_the_index_threshold)
{
	struct value *map = value_map(arena);
	char name[16];
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof name, "m%d", i);
		value_set_int(map, name, i);
		for (int j = 0; j <= i; j++) {
			snprintf(name, sizeof name, "m%d", j);
			cr_assert_eq(value_get_int(map, name, -1), j);
		}
		snprintf(name, sizeof name, "m%d", i + 1);
		cr_assert_null(value_get(map, name));
	}
}

Test(value, stays_fast_with_a_hundred_thousand_members)
{
	enum { COUNT = 100000 };
	struct value *map = value_map(arena);
	char name[16];
	for (int i = 0; i < COUNT; i++) {
		snprintf(name, sizeof name, "member%d", i);
		value_set_int(map, name, i);
	}
	cr_assert_eq(value_check(map, NULL), 0);
	for (int i = 0; i < COUNT; i++) {
		snprintf(name, sizeof name, "member%d", i);
		cr_assert_eq(value_get_int(map, name, -1), i);
	}
}

Test(value, forgets_removed_members_and_keeps_the_others)
{
	for (int count = 3; count < 60; count += 28) {
		struct value *map = value_map(arena);
		char name[16];
		for (int i = 0; i < count; i++) {
			snprintf(name, sizeof name, "m%d", i);
			value_set_int(map, name, i);
		}
		value_remove(map, "m1");
		value_remove(map, "absent");
		cr_expect_eq(value_len(map), (size_t)count - 1);
		cr_expect_null(value_get(map, "m1"));
		cr_expect_eq(value_get_int(map, "m2", -1), 2);
		value_set_int(map, "m1", 7);
		cr_expect_eq(value_get_int(map, "m1", -1), 7);
		cr_expect_eq(value_len(map), (size_t)count);
	}
}

Test(value, answers_fallbacks_for_what_is_absent_or_of_another_kind)
{
	struct value *map = value_map(arena);
	value_set_str(map, "text", "1");
	value_set_str(map, "none", NULL);
	size_t len = 99;
	cr_expect_eq(value_get_int(map, "text", -5), -5);
	cr_expect(value_get_bool(map, "text", true));
	cr_expect_eq(value_get_real(map, "text", 2.5), 2.5);
	cr_expect_null(value_get_bin(value_get(map, "text"), "x", &len));
	cr_expect_eq(len, 99);
	cr_expect_null(value_get(map, "none"));
	cr_expect_null(value_get_str(value_get(value_get(map, "no"), "such"), "path"));
	cr_expect_null(value_at(NULL, 0));
	cr_expect_eq(value_kind(NULL), VALUE_NULL);
	cr_expect_eq(value_len(NULL), 0);
	cr_expect_null(value_get_mut(map, NULL));
}

Test(value, converts_integers_to_reals_only_that_way)
{
	cr_expect_eq(value_as_real(value_int(arena, 3), 0), 3.0);
	cr_expect_eq(value_as_int(value_real(arena, 3.0), -1), -1);
}

Test(value, holds_text_with_its_length_and_a_closing_nul)
{
	struct value *text = value_strn(arena, "abcdef", 3);
	size_t len = 0;
	cr_expect_str_eq(value_as_str(text), "abc");
	cr_expect_arr_eq(value_as_bin(text, &len), "abc", 4);
	cr_expect_eq(len, 3);
	cr_expect_null(value_as_str(value_bin(arena, "abc", 3)));
	cr_expect_eq(value_len(value_bin(arena, NULL, 0)), 0);
}

Test(value, copies_deeply_so_that_the_source_may_change)
{
	struct value *map = value_map(arena), *inner = value_list(arena);
	value_add_str(inner, "one");
	value_set(map, "list", inner);
	value_set_real(map, "real", 0.5);
	value_set_bin(map, "bin", "\0\1", 2);
	value_set(map, "null", value_null(arena));
	struct value *copy = value_copy(arena, map);
	cr_assert(value_equal(map, copy));
	value_add_str(inner, "two");
	cr_expect_not(value_equal(map, copy));
	cr_expect_eq(value_len(value_get(copy, "list")), 1);
}

Test(value, compares_maps_without_their_order)
{
	struct value *a = value_map(arena), *b = value_map(arena);
	value_set_int(a, "x", 1);
	value_set_int(a, "y", 2);
	value_set_int(b, "y", 2);
	cr_expect_not(value_equal(a, b));
	value_set_int(b, "x", 1);
	cr_expect(value_equal(a, b));
	value_set_int(b, "x", 2);
	cr_expect_not(value_equal(a, b));
	cr_expect_not(value_equal(value_int(arena, 1), value_real(arena, 1)));
	cr_expect(value_equal(value_real(arena, NAN), value_real(arena, -NAN)));
	cr_expect_not(value_equal(value_real(arena, 0.0), value_real(arena, -0.0)));
	cr_expect_not(value_equal(value_str(arena, "a"), value_bin(arena, "a", 1)));
	cr_expect(value_equal(NULL, value_null(arena)));
}

Test(value, reports_a_failed_setter_however_deep_it_lies)
{
	struct err err;
	struct value *map = value_map(arena), *list = value_list(arena), *inner = value_map(arena);
	value_set(map, "list", list);
	value_add(list, inner);
	cr_expect_eq(value_check(map, &err), 0);
	value_set(inner, "lost", NULL);
	cr_expect_eq(value_check(map, &err), E_NOMEM);
	cr_expect_eq(value_check(NULL, &err), E_NOMEM);
}

Test(value, fails_whole_when_the_arena_is_full)
{
	struct arena *small = NULL;
	struct err err;
	cr_assert_eq(arena_new(2000, &small, &err), 0);
	struct value *list = value_list(small);
	for (int i = 0; i < 100; i++)
		value_add_str(list, "some text of some length");
	cr_expect_eq(value_check(list, &err), E_NOMEM);
	cr_expect_eq(err.code, E_NOMEM);
	cr_expect_null(value_copy(small, list));
	arena_free(small);
}

static struct value *build(struct arena *into)
{
	struct value *map = value_map(into);
	char name[16];
	for (int i = 0; i < 600; i++) {
		snprintf(name, sizeof name, "name%d", i);
		value_set_str(map, name, "forty-one characters of text in a member");
	}
	struct value *list = value_list(into);
	for (int i = 0; i < 300; i++)
		value_add(list, value_int(into, i));
	value_set(map, "list", list);
	return map;
}

Test(value, reports_each_failed_allocation)
{
	long n = 0;
	for (;; n++) {
		struct arena *tried = NULL;
		struct err err;
		cr_assert_eq(arena_new(MIB, &tried, &err), 0);
		alloc_fail_after(n);
		struct value *map = build(tried);
		bool fired = alloc_fired();
		alloc_fail_after(-1);
		cr_assert_eq(value_check(map, &err), fired ? E_NOMEM : 0);
		arena_free(tried);
		if (!fired)
			break;
	}
	cr_expect_gt(n, 5);
}

Test(value, names_every_kind)
{
	cr_expect_str_eq(value_kind_name(VALUE_STR), "a string");
	for (int kind = VALUE_NULL; kind <= VALUE_MAP; kind++)
		cr_expect_str_neq(value_kind_name((enum value_kind)kind), "unknown");
}
