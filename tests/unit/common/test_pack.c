/* test_pack.c - msgpack in and out, and what it refuses. */
#include "common/defs.h"
#include "common/json.h"
#include "common/pack.h"
#include "tests/support/alloc.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static struct arena *arena;

static void set_up(void)
{
	struct err err;
	cr_assert_eq(arena_new(32 * MIB, &arena, &err), 0);
}

static void tear_down(void)
{
	arena_free(arena);
}

TestSuite(pack, .init = set_up, .fini = tear_down);

/* The text form of a value, packed: "a3616263" would be the string abc. */
static void packs(const struct value *value, const char *bytes, size_t len)
{
	struct err err = { 0 };
	AUTO_BUF out;
	buf_init(&out, MIB);
	cr_assert_eq(pack_write(value, &out, &err), 0, "%s", err.text);
	cr_expect_eq(out.len, len);
	cr_expect_arr_eq(out.data, bytes, len);
	struct value *back = NULL;
	cr_assert_eq(pack_read(arena, out.data, out.len, &back, &err), 0, "%s", err.text);
	cr_expect(value_equal(value, back));
}
#define PACKS(value, bytes) packs(value, bytes, sizeof bytes - 1)

static void refuses(const char *bytes, size_t len, const char *part)
{
	struct value *value = NULL;
	struct err err = { 0 };
	cr_expect_eq(pack_read(arena, bytes, len, &value, &err), E_INVALID, "%s", part);
	cr_expect_null(value);
	cr_expect_not_null(strstr(err.text, part), "%s", err.text);
}
#define REFUSES(bytes, part) refuses(bytes, sizeof bytes - 1, part)

Test(pack, writes_the_shortest_integer_forms)
{
	PACKS(value_int(arena, 0), "\x00");
	PACKS(value_int(arena, 127), "\x7f");
	PACKS(value_int(arena, 128), "\xcc\x80");
	PACKS(value_int(arena, 256), "\xcd\x01\x00");
	PACKS(value_int(arena, 65536), "\xce\x00\x01\x00\x00");
	PACKS(value_int(arena, INT64_MAX), "\xcf\x7f\xff\xff\xff\xff\xff\xff\xff");
	PACKS(value_int(arena, -32), "\xe0");
	PACKS(value_int(arena, -33), "\xd0\xdf");
	PACKS(value_int(arena, -129), "\xd1\xff\x7f");
	PACKS(value_int(arena, -32769), "\xd2\xff\xff\x7f\xff");
	PACKS(value_int(arena, INT64_MIN), "\xd3\x80\x00\x00\x00\x00\x00\x00\x00");
}

Test(pack, writes_the_other_kinds_as_the_specification_does)
{
	PACKS(NULL, "\xc0");
	PACKS(value_bool(arena, false), "\xc2");
	PACKS(value_bool(arena, true), "\xc3");
	PACKS(value_real(arena, 1.5), "\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00");
	PACKS(value_real(arena, -NAN), "\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00");
	PACKS(value_str(arena, ""), "\xa0");
	PACKS(value_str(arena, "abc"), "\xa3" "abc");
	PACKS(value_bin(arena, "\0\xff", 2), "\xc4\x02\x00\xff");
	PACKS(value_list(arena), "\x90");
	PACKS(value_map(arena), "\x80");
}

Test(pack, writes_equal_maps_as_equal_bytes)
{
	struct value *map = value_map(arena);
	value_set_int(map, "b", 1);
	value_set_int(map, "a", 2);
	value_set_int(map, "\xc3\xa9", 3);
	value_set_int(map, "ab", 4);
	PACKS(map, "\x84\xa1" "a\x02\xa2" "ab\x04\xa1" "b\x01\xa2\xc3\xa9\x03");
}

Test(pack, sorts_maps_of_every_size)
{
	for (int count = 15; count < 70000; count = count * 3 + 1) {
		struct value *up = value_map(arena), *down = value_map(arena);
		char name[16];
		for (int i = 0; i < count; i++) {
			snprintf(name, sizeof name, "n%06d", i);
			value_set_int(up, name, i);
			snprintf(name, sizeof name, "n%06d", count - 1 - i);
			value_set_int(down, name, count - 1 - i);
		}
		struct err err;
		AUTO_BUF a;
		AUTO_BUF b;
		buf_init(&a, 8 * MIB);
		buf_init(&b, 8 * MIB);
		cr_assert_eq(pack_write(up, &a, &err), 0);
		cr_assert_eq(pack_write(down, &b, &err), 0);
		cr_assert_eq(a.len, b.len);
		cr_expect_eq(memcmp(a.data, b.data, a.len), 0);
		struct value *back = NULL;
		cr_assert_eq(pack_read(arena, b.data, b.len, &back, &err), 0);
		cr_expect(value_equal(up, back));
		arena_reset(arena);
	}
}

Test(pack, reads_long_forms_of_what_has_a_shorter_one)
{
	struct value *value = NULL;
	struct err err;
	cr_assert_eq(pack_read(arena, "\xca\x3f\xc0\x00\x00", 5, &value, &err), 0);
	cr_expect_eq(value_as_real(value, 0), 1.5);
	cr_assert_eq(pack_read(arena, "\xd3\xff\xff\xff\xff\xff\xff\xff\xff", 9, &value, &err), 0);
	cr_expect_eq(value_as_int(value, 0), -1);
	cr_assert_eq(pack_read(arena, "\xdb\0\0\0\1x", 6, &value, &err), 0);
	cr_expect_str_eq(value_as_str(value), "x");
	cr_assert_eq(pack_read(arena, "\xdd\0\0\0\2\1\2", 7, &value, &err), 0);
	cr_expect_eq(value_len(value), 2);
	cr_assert_eq(pack_read(arena, "\xdf\0\0\0\1\xa0\xc6\0\0\0\0", 11, &value, &err), 0);
	cr_expect_eq(value_kind(value_get(value, "")), VALUE_BIN);
}

Test(pack, refuses_what_the_header_refuses)
{
	REFUSES("", "in the middle");
	REFUSES("\x01\x02", "1 bytes follow");
	REFUSES("\xc1", "no value begins");
	REFUSES("\xa3" "ab", "in the middle");
	REFUSES("\xcf\x80\x00\x00\x00\x00\x00\x00\x00", "2^63");
	REFUSES("\xd4\x01\x00", "extension");
	REFUSES("\xc7\x00\x01", "extension");
	REFUSES("\xc9\xff\xff\xff\xff\x01", "extension");
	REFUSES("\x81\x01\x02", "key that is no text");
	REFUSES("\x81\xc4\x01" "a\x02", "key that is no text");
	REFUSES("\x82\xa1" "a\x01\xa1" "a\x02", "twice");
	REFUSES("\x81\xa2" "a\0\x01", "NUL");
	REFUSES("\xa1\xff", "UTF-8");
}

Test(pack, spends_nothing_on_a_length_that_is_only_declared)
{
	size_t before = arena_used(arena);
	REFUSES("\xdd\xff\xff\xff\xff", "in the middle");
	REFUSES("\xdf\xff\xff\xff\xff", "in the middle");
	REFUSES("\xdb\xff\xff\xff\xff", "in the middle");
	REFUSES("\xc6\xff\xff\xff\xff", "in the middle");
	cr_expect_leq(arena_used(arena) - before, 256);
}

Test(pack, accepts_the_deepest_nesting_and_refuses_one_more)
{
	char bytes[VALUE_DEPTH_MAX + 1];
	memset(bytes, 0x91, sizeof bytes);
	bytes[VALUE_DEPTH_MAX] = 0x01;
	struct value *value = NULL;
	struct err err;
	cr_assert_eq(pack_read(arena, bytes, sizeof bytes, &value, &err), 0, "%s", err.text);
	packs(value, bytes, sizeof bytes);
	struct value *deeper = value_list(arena);
	value_add(deeper, value);
	AUTO_BUF out;
	buf_init(&out, 1000);
	cr_expect_eq(pack_write(deeper, &out, &err), E_INVALID);
	cr_expect_eq(out.len, 0);
	bytes[VALUE_DEPTH_MAX] = (char)0x90;
	refuses(bytes, sizeof bytes, "32 levels");
}

Test(pack, refuses_to_write_text_that_it_would_not_read)
{
	struct err err;
	AUTO_BUF out;
	buf_init(&out, 1000);
	cr_assert_eq(buf_puts(&out, "kept"), 0);
	struct value *list = value_list(arena);
	value_add_str(list, "fine");
	value_add(list, value_strn(arena, "a\0b", 3));
	cr_expect_eq(pack_write(list, &out, &err), E_INVALID);
	cr_expect_eq(out.len, 4);
	cr_expect_eq(pack_write(value_str(arena, "\xff"), &out, &err), E_INVALID);
}

Test(pack, survives_each_failed_allocation)
{
	struct value *map = value_map(arena);
	char name[8];
	for (int i = 100; i > 0; i--) {
		snprintf(name, sizeof name, "n%d", i);
		value_set_str(map, name, "text of a hundred members, so that blocks fill up and "
		              "more than one allocation is needed to read it all back again");
	}
	long n = 0;
	for (bool fired = true; fired; n++) {
		struct arena *tried = NULL;
		struct value *value = NULL;
		struct err err;
		cr_assert_eq(arena_new(MIB, &tried, &err), 0);
		AUTO_BUF out;
		buf_init(&out, MIB);
		alloc_fail_after(n);
		int rc = pack_write(map, &out, &err);
		if (rc == 0)
			rc = pack_read(tried, out.data, out.len, &value, &err);
		fired = alloc_fired();
		alloc_fail_after(-1);
		cr_expect_eq(fired, rc < 0);
		cr_expect_eq(rc == 0, value_equal(map, value));
		arena_free(tried);
	}
	cr_expect_geq(n, 5);
}
