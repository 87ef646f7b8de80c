/* test_json.c - JSON in and out. */
#include "common/defs.h"
#include "common/json.h"
#include "tests/support/alloc.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static struct arena *arena;

static void set_up(void)
{
	struct err err;
	cr_assert_eq(arena_new(8 * MIB, &arena, &err), 0);
}

static void tear_down(void)
{
	arena_free(arena);
}

TestSuite(json, .init = set_up, .fini = tear_down);

static struct value *parse(const char *text)
{
	struct value *value = NULL;
	struct err err = { 0 };
	int rc = json_parse(arena, text, strlen(text), &value, &err);
	cr_assert_eq(rc, 0, "%s: %s", text, err.text);
	return value;
}

static void refuse(const char *text, size_t len, int code, const char *part)
{
	struct value *value = NULL;
	struct err err = { 0 };
	cr_expect_eq(json_parse(arena, text, len, &value, &err), code, "%.40s", text);
	cr_expect_null(value);
	cr_expect_not_null(strstr(err.text, part), "%.40s gave: %s", text, err.text);
}

static void refuse_text(const char *text, const char *part)
{
	refuse(text, strlen(text), E_INVALID, part);
}

static void prints(const struct value *value, const char *expected)
{
	struct err err;
	AUTO_BUF out;
	buf_init(&out, MIB);
	json_print(value, &out);
	cr_assert_eq(buf_check(&out, &err), 0);
	cr_expect_str_eq((char *)out.data, expected);
}

Test(json, prints_what_it_parsed)
{
	static const char *const texts[] = {
		"null", "true", "false", "0", "-1", "9223372036854775807", "-9223372036854775808",
		"1.5", "0.1", "1e+300", "2.0", "-0.0", "1e-07", "\"\"", "\"a\\\"b\\\\c\\n\\t\\r\"",
		"\"\\u0001\"", "\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x99\x82\"",
		"[]", "{}", "[1,[2,{}]]",
		"{\"b\":1,\"a\":{\"c\":[null,true]}}",
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		prints(parse(texts[i]), texts[i]);
}

Test(json, reads_escapes_and_surrogate_pairs)
{
	cr_expect_str_eq(value_as_str(parse("\"\\u00e9\\ud83d\\ude42\\/\"")),
	                 "\xc3\xa9\xf0\x9f\x99\x82/");
}

Test(json, prints_reals_so_that_they_read_back_the_same)
{
	static const double reals[] = { 0.1, 1.0 / 3, 5e-324, 1.7976931348623157e308, 123456789.125,
	                                1e15, 1e16, 1e17, 1e22, 2.2250738585072014e-308 };
	for (size_t i = 0; i < ARRAY_LEN(reals); i++) {
		AUTO_BUF out;
		struct value *back = NULL;
		struct err err;
		buf_init(&out, 100);
		json_print(value_real(arena, reals[i]), &out);
		cr_assert_eq(json_parse(arena, (char *)out.data, out.len, &back, &err), 0);
		cr_expect_eq(value_kind(back), VALUE_REAL);
		cr_expect_eq(value_as_real(back, 0), reals[i]);
	}
	prints(value_real(arena, NAN), "null");
	prints(value_real(arena, -INFINITY), "null");
}

Test(json, prints_bytes_as_base64_and_absence_as_null)
{
	prints(value_bin(arena, "\x00\xff\x10", 3), "\"AP8Q\"");
	prints(NULL, "null");
}

Test(json, replaces_bytes_that_are_not_utf8)
{
	prints(value_strn(arena, "a\xff\"\xc3\xa9\xe2\x82", 7),
	       "\"a\xef\xbf\xbd\\\"\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\"");
	prints(value_strn(arena, "a\0b", 3), "\"a\\u0000b\"");
}

Test(json, prints_pretty_with_two_spaces_a_level)
{
	struct err err;
	AUTO_BUF out;
	buf_init(&out, 1000);
	json_print_pretty(parse("{\"a\":[1,{\"b\":[]}],\"c\":{}}"), &out);
	cr_assert_eq(buf_check(&out, &err), 0);
	cr_expect_str_eq((char *)out.data, "{\n  \"a\": [\n    1,\n    {\n      \"b\": []\n    }\n"
	                 "  ],\n  \"c\": {}\n}");
}

Test(json, refuses_what_rfc_8259_and_the_header_refuse)
{
	refuse_text("", "ends too early");
	refuse_text("[1,]", "syntax");
	refuse_text("{\"a\":1,\"a\":2}", "twice");
	refuse_text("[1] [2]", "after the end");
	refuse_text("[1", "ends too early");
	refuse_text("\"\xff\"", "UTF-8");
	refuse_text("\"\\u0000\"", "NUL");
	refuse_text("{\"a\\u0000\":1}", "NUL");
	refuse("[1,\0 2]", 7, E_INVALID, "line 1");
	refuse_text("9223372036854775808", "64 bits");
	refuse_text("1e999", "64 bits");
	refuse_text("NaN", "syntax");
	refuse_text("01", "line 1");
}

Test(json, names_line_and_column_but_never_the_text)
{
	refuse_text("{\"a\": 1,\n  \"b\": hunter2}", "line 2, column");
	struct value *value = NULL;
	struct err err;
	const char *text = "{\"secret\": hunter2, \"secret\": 1}";
	cr_assert_eq(json_parse(arena, text, strlen(text), &value, &err), E_INVALID);
	cr_expect_null(strstr(err.text, "hunter2"));
}

Test(json, accepts_the_deepest_nesting_and_refuses_one_more)
{
	char text[2 * VALUE_DEPTH_MAX + 3] = "";
	for (int i = 0; i < VALUE_DEPTH_MAX; i++) {
		text[i] = '[';
		text[2 * VALUE_DEPTH_MAX - 1 - i] = ']';
	}
	prints(parse(text), text);
	char deeper[sizeof text + 2] = "[";
	strcat(strcat(deeper, text), "]");
	refuse_text(deeper, "32 levels");
}

Test(json, refuses_a_document_larger_than_its_arena)
{
	struct arena *small = NULL;
	struct value *value = NULL;
	struct err err;
	cr_assert_eq(arena_new(300, &small, &err), 0);
	const char *text = "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]";
	cr_expect_eq(json_parse(small, text, strlen(text), &value, &err), E_NOMEM);
	cr_expect_null(value);
	arena_free(small);
}

Test(json, survives_each_failed_allocation)
{
	const char *text = "{\"a\":[1,2.5,\"text\",null,true],\"b\":{\"c\":\"d\"}}";
	long n = 0;
	for (bool fired = true; fired; n++) {
		struct arena *tried = NULL;
		struct value *value = NULL;
		struct err err;
		cr_assert_eq(arena_new(MIB, &tried, &err), 0);
		AUTO_BUF out;
		buf_init(&out, MIB);
		alloc_fail_after(n);
		int rc = json_parse(tried, text, strlen(text), &value, &err);
		if (rc == 0)
			json_print(value, &out);
		fired = alloc_fired();
		alloc_fail_after(-1);
		if (rc < 0)
			cr_expect_eq(rc, E_NOMEM);
		cr_expect_eq(fired, rc < 0 || out.failed);
		arena_free(tried);
	}
	cr_expect_geq(n, 3);
}
