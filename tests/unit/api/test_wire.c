/* A table of members reads what it wrote, and refuses all it does not allow, naming the path. */
#include "common/defs.h"
#include "api/wire.h"

#include "common/json.h"
#include "tests/support/alloc.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum color { RED, GREEN };
static const char *const colors[] = { "red", "green", NULL };

struct point {
	int64_t x;
	int y;
};
struct box {
	int64_t wide;
	int small;
	uint32_t count;
	uint64_t big;
	bool on;
	enum color color;
	const char *text, *note, *name;
	const uint8_t *fixed, *bytes;
	size_t bytes_len;
	const struct value *list, *map, *any;
	struct point corner;
	const struct point *points;
	size_t point_count;
	const char *const *words;
	size_t word_count;
	int64_t twice;
};

/* Written as half, read as double. */
static struct value *write_half(struct arena *arena, const void *member)
{
	int64_t n = *(const int64_t *)member;
	return n ? value_int(arena, n / 2) : NULL;
}

static int read_half(struct arena *arena, const struct value *value, void *ret_member,
                     struct err *err)
{
	(void)arena;
	if (value_as_int(value, 0) > 100)
		return err_set(err, E_INVALID, "is over 100");
	*(int64_t *)ret_member = value_as_int(value, 0) * 2;
	return 0;
}

static const struct wire_hook half = { write_half, read_half };
static const struct wire_member point_members[] = {
	W_INT(struct point, x, "x", -10, 10), W_INT32(struct point, y, "y", -10, 10), W_END
};
static const struct wire point_wire = { "point", sizeof(struct point), true, point_members };
static const struct wire_member members[] = {
	W_INT(struct box, wide, "wide", -5, INT64_MAX),
	W_INT32(struct box, small, "small", 0, 9),
	W_UINT32(struct box, count, "count", 0, UINT32_MAX),
	W_UINT64(struct box, big, "big", 0, INT64_MAX),
	W_BOOL(struct box, on, "on"),
	W_ENUM(struct box, color, "color", colors),
	W_TEXT(struct box, text, "text", 1, 4),
	W_TEXT_OPT(struct box, note, "note", 0, 8),
	W_NAME(struct box, name, "name"),
	W_FIXED(struct box, fixed, "fixed", 3),
	W_BIN(struct box, bytes, bytes_len, "bytes", 0, 5),
	W_VALUE(struct box, list, "list", WIRE_LIST_OF, 0, 2),
	W_VALUE(struct box, map, "map", WIRE_MAP_OF, 1, 2),
	W_VALUE_OPT(struct box, any, "any", WIRE_ANY, 0, 0),
	W_STRUCT(struct box, corner, "corner", &point_wire),
	W_STRUCTS(struct box, points, point_count, "points", 0, 2, &point_wire),
	W_TEXTS(struct box, words, word_count, "words", 0, 3),
	W_HOOK(struct box, twice, "half", &half),
	W_END
};
static const struct wire box_wire = { "box", sizeof(struct box), true, members };
static const struct wire open_wire = { "box", sizeof(struct box), false, members };

static struct arena *arena;
static struct box sample;
static const struct point sample_points[] = { { 1, 2 }, { -3, 4 } };
static const char *const sample_words[] = { "to", "be" };

static void setup(void)
{
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	struct value *map = value_map(arena);
	value_set_int(map, "k", 1);
	sample = (struct box) {
		-5, 9, UINT32_MAX, INT64_MAX, true, GREEN, "four", NULL, "a-name",
		(const uint8_t *)"abc", (const uint8_t *)"\0\1", 2, value_list(arena), map, NULL,
		{ 10, -10 }, sample_points, 2, sample_words, 2, 14,
	};
}

static void teardown(void)
{
	arena_free(arena);
}
TestSuite(wire, .init = setup, .fini = teardown);

static struct value *written(void)
{
	struct value *map = NULL;
	struct err err = { 0 };
	cr_assert_eq(wire_value(arena, &box_wire, &sample, &map, &err), 0, "%s", err.text);
	return map;
}

static void expect_refusal(const struct value *map, const char *text)
{
	struct box box;
	struct err err = { 0 };
	cr_expect_eq(wire_read(arena, &box_wire, map, &box, &err), E_INVALID, "%s", text);
	cr_expect_eq(err.code, E_INVALID);
	cr_expect_not_null(strstr(err.text, text), "\"%s\" is not in: %s", text, err.text);
}

/* The sample with one member replaced by JSON. */
static void refuse(const char *name, const char *json, const char *text)
{
	struct value *map = written(), *value = NULL;
	cr_assert_eq(json_parse(arena, json, strlen(json), &value, NULL), 0, "%s", json);
	value_set(map, name, value);
	expect_refusal(map, text);
}

Test(wire, reads_what_it_wrote)
{
	struct box box;
	struct err err = { 0 };
	memset(&box, 0xff, sizeof box);
	cr_assert_eq(wire_read(arena, &box_wire, written(), &box, &err), 0, "%s", err.text);
	cr_expect(box.wide == -5 && box.small == 9 && box.count == UINT32_MAX);
	cr_expect(box.big == INT64_MAX && box.on && box.color == GREEN && box.twice == 14);
	cr_expect_str_eq(box.text, "four");
	cr_expect_null(box.note);
	cr_expect_null(box.any);
	cr_expect_str_eq(box.name, "a-name");
	cr_expect_arr_eq(box.fixed, "abc", 3);
	cr_assert_eq(box.bytes_len, 2);
	cr_expect_arr_eq(box.bytes, "\0\1", 2);
	cr_expect(value_equal(box.list, sample.list) && value_equal(box.map, sample.map));
	cr_expect(box.corner.x == 10 && box.corner.y == -10);
	cr_assert_eq(box.point_count, 2);
	cr_expect(box.points[1].x == -3 && box.points[1].y == 4);
	cr_assert_eq(box.word_count, 2);
	cr_expect_str_eq(box.words[1], "be");
}

Test(wire, refuses_each_member_that_is_missing_but_the_optional_ones)
{
	for (const struct wire_member *member = members; member->name; member++) {
		struct value *map = written();
		struct box box;
		char text[64];
		value_remove(map, member->name);
		snprintf(text, sizeof text, "box: %s is missing", member->name);
		if (member->optional)
			cr_expect_eq(wire_read(arena, &box_wire, map, &box, NULL), 0, "%s",
			             member->name);
		else
			expect_refusal(map, text);
	}
}

Test(wire, refuses_each_member_of_another_type)
{
	for (const struct wire_member *member = members; member->name; member++) {
		struct value *map = written();
		struct box box;
		if (member->kind == WIRE_ANY || member->kind == WIRE_HOOK)
			continue;
		value_set(map, member->name, value_real(arena, 1.5));
		cr_expect_eq(wire_read(arena, &box_wire, map, &box, NULL), E_INVALID, "%s",
		             member->name);
		value_set(map, member->name, value_null(arena));
		cr_expect_eq(wire_read(arena, &box_wire, map, &box, NULL), E_INVALID, "%s",
		             member->name);
	}
}

Test(wire, refuses_numbers_out_of_bounds_with_the_bounds)
{
	refuse("wide", "-6", "box: wide must be an integer from -5 to 9223372036854775807");
	refuse("small", "10", "small must be an integer from 0 to 9");
	refuse("count", "4294967296", "count must be an integer from 0 to 4294967295");
	refuse("count", "-1", "count must be");
	refuse("big", "-1", "big must be");
}

Test(wire, refuses_text_bytes_and_lists_out_of_bounds)
{
	refuse("text", "\"\"", "text must have 1 to 4 bytes, it has 0");
	refuse("text", "\"fiver\"", "text must have 1 to 4 bytes, it has 5");
	refuse("name", "\"No Name\"", "name");
	refuse("color", "\"blue\"", "color must be one of the names");
	refuse("list", "[1,2,3]", "list must have 0 to 2 members, it has 3");
	refuse("map", "{}", "map must have 1 to 2 members, it has 0");
	refuse("words", "[\"a\",\"b\",\"c\",\"d\"]", "words must have 0 to 3 items, it has 4");
	refuse("words", "[\"a\",\"\"]", "words[1] must be text of 1 to 512 bytes");
	refuse("points", "[{\"x\":1,\"y\":1},{\"x\":1,\"y\":1},{\"x\":1,\"y\":1}]",
	       "points must have 0 to 2 items, it has 3");
	struct value *map = written();
	value_set_bin(map, "fixed", "ab", 2);
	expect_refusal(map, "fixed must have 3 to 3 bytes, it has 2");
	value_set_bin(map, "fixed", "abc", 3);
	value_set_bin(map, "bytes", "123456", 6);
	expect_refusal(map, "bytes must have 0 to 5 bytes, it has 6");
}

Test(wire, names_the_path_of_what_is_wrong_inside)
{
	refuse("points", "[{\"x\":1,\"y\":1},{\"x\":11,\"y\":1}]", "box: points[1]: x must be");
	refuse("corner", "{\"x\":1}", "box: corner: y is missing");
	refuse("corner", "[]", "box: corner: must be a map");
	refuse("half", "101", "box: half: is over 100");
}

Test(wire, a_strict_table_refuses_unknown_members_and_an_open_one_takes_them)
{
	struct box box;
	struct value *map = written();
	value_set_int(map, "later", 1);
	expect_refusal(map, "unknown name \"later\"");
	cr_expect_eq(wire_read(arena, &open_wire, map, &box, NULL), 0);
	refuse("corner", "{\"x\":1,\"y\":1,\"z\":1}", "corner: a member with the unknown name");
}

Test(wire, refuses_what_is_no_map)
{
	struct box box;
	cr_expect_eq(wire_read(arena, &box_wire, NULL, &box, NULL), E_INVALID);
	cr_expect_eq(wire_read(arena, &box_wire, value_list(arena), &box, NULL), E_INVALID);
}

Test(wire, a_required_member_that_is_null_is_not_written)
{
	struct value *map = NULL;
	struct err err = { 0 };
	sample.text = NULL;
	cr_expect_eq(wire_value(arena, &box_wire, &sample, &map, &err), E_NOMEM);
	cr_expect_not_null(strstr(err.text, "box"), "%s", err.text);
	sample.text = "a";
	sample.color = (enum color)2;
	cr_expect_eq(wire_value(arena, &box_wire, &sample, &map, NULL), E_NOMEM);
	cr_expect_null(map);
}

Test(wire, an_arena_that_is_too_small_is_said_and_leaves_the_output_alone)
{
	struct value *map = written();
	bool fits = false;
	for (size_t bytes = 64; !fits && bytes < 65536; bytes += 64) {
		AUTO(arena) *small = NULL;
		struct value *out = NULL;
		struct box box;
		cr_assert_eq(arena_new(bytes, &small, NULL), 0);
		int rc = wire_value(small, &box_wire, &sample, &out, NULL);
		fits = rc == 0;
		cr_assert(rc == E_NOMEM ? !out : rc == 0, "%zu bytes: %d", bytes, rc);
		arena_reset(small);
		rc = wire_read(small, &box_wire, map, &box, NULL);
		cr_assert(rc == 0 || rc == E_NOMEM, "%zu bytes: %d", bytes, rc);
	}
	cr_expect(fits);
}

Test(wire, each_allocation_may_fail)
{
	for (long n = 0;; n++) {
		AUTO(arena) *small = NULL;
		struct value *map = NULL;
		struct box box;
		cr_assert_eq(arena_new(MIB, &small, NULL), 0);
		alloc_fail_after(n);
		int rc = wire_value(small, &box_wire, &sample, &map, NULL);
		if (rc == 0)
			rc = wire_read(small, &box_wire, map, &box, NULL);
		bool fired = alloc_fired();
		alloc_fail_after(-1);
		cr_assert_eq(rc, fired ? E_NOMEM : 0, "allocation %ld: %d", n, rc);
		if (!fired)
			break;
	}
}
