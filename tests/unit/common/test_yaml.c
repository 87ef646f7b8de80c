/* test_yaml.c - the core schema, and YAML's refused corners. */
#include "common/defs.h"
#include "common/json.h"
#include "common/yaml.h"
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

TestSuite(yaml, .init = set_up, .fini = tear_down);

/* The documents of the text, as JSON. */
static void reads(const char *text, const char *json)
{
	struct value *list = NULL;
	struct err err = { 0 };
	AUTO_BUF out;
	buf_init(&out, MIB);
	int rc = yaml_parse(arena, text, strlen(text), &list, &err);
	cr_assert_eq(rc, 0, "%s: %s", text, err.text);
	json_print(list, &out);
	cr_assert_eq(buf_check(&out, &err), 0);
	cr_expect_str_eq((char *)out.data, json);
}

static void refuses(const char *text, const char *part)
{
	struct value *list = NULL;
	struct err err = { 0 };
	cr_expect_eq(yaml_parse(arena, text, strlen(text), &list, &err), E_INVALID, "%s", text);
	cr_expect_null(list);
	cr_expect_not_null(strstr(err.text, part), "%s gave: %s", text, err.text);
}

Test(yaml, reads_plain_scalars_by_the_core_schema)
{
	reads("[null, Null, ~, true, FALSE]", "[[null,null,null,true,false]]");
	reads("[0, -12, +7, 007, 0o17, 0xfF]", "[[0,-12,7,7,15,255]]");
	reads("[1.5, .5, 1., -1e3, 1.5E+2]", "[[1.5,0.5,1.0,-1000.0,150.0]]");
	reads("[no, yes, on, 2001-01-01, 1_000, 0b1, 0o8, 0x, 1e, ., -, +]",
	      "[[\"no\",\"yes\",\"on\",\"2001-01-01\",\"1_000\",\"0b1\",\"0o8\",\"0x\",\"1e\","
	      "\".\",\"-\",\"+\"]]");
	reads("['1', \"true\", '~']", "[[\"1\",\"true\",\"~\"]]");
	struct value *list = NULL;
	struct err err;
	cr_assert_eq(yaml_parse(arena, "[.inf, -.INF, .NaN]", 19, &list, &err), 0);
	const struct value *reals = value_at(list, 0);
	cr_expect_eq(value_as_real(value_at(reals, 0), 0), INFINITY);
	cr_expect_eq(value_as_real(value_at(reals, 1), 0), -INFINITY);
	cr_expect(isnan(value_as_real(value_at(reals, 2), 0)));
}

Test(yaml, reads_every_document_but_empty_ones)
{
	reads("", "[]");
	reads("# only a comment\n", "[]");
	reads("---\n---\na: 1\n---\n# none\n---\n- x\n...\n", "[{\"a\":1},[\"x\"]]");
	reads("a:\nb: |\n  one\n  two\n", "[{\"a\":null,\"b\":\"one\\ntwo\\n\"}]");
	reads("%YAML 1.2\n---\n\"\"\n", "[\"\"]");
	reads("\xef\xbb\xbf" "a: \xc3\xa9\n", "[{\"a\":\"\xc3\xa9\"}]");
}

Test(yaml, refuses_what_makes_yaml_a_weapon)
{
	refuses("a: &x 1\nb: *x\n", "line 1, column 4: an anchor");
	refuses("a: *x\n", "line 1, column 4: an alias");
	refuses("a: !!str 1\n", "a tag");
	refuses("!local {}\n", "a tag");
	refuses("a: 1\nb: 2\na: 3\n", "line 3, column 1: a key that the map has");
	refuses("1: a\n", "a key that is no text");
	refuses("? [a]\n: b\n", "a key that is no text");
	refuses("~: a\n", "a key that is no text");
	refuses("\"a\\0b\"", "NUL");
	refuses("9223372036854775808", "64 bits");
	refuses("0x8000000000000000", "64 bits");
	refuses("1e999", "64 bits");
	refuses("a: b: c\n", "line 1, column");
	refuses("a: [1\n", "YAML line");
	refuses("\xff\xfe" "a", "YAML line");
	refuses("- \xff\n", "YAML line");
	refuses("\ta: 1\n", "YAML line 1");
}

Test(yaml, names_no_value_in_an_error)
{
	struct value *list = NULL;
	struct err err;
	const char *text = "password: hunter2: x\n";
	cr_assert_eq(yaml_parse(arena, text, strlen(text), &list, &err), E_INVALID);
	cr_expect_null(strstr(err.text, "hunter2"));
}

Test(yaml, accepts_the_deepest_nesting_and_refuses_one_more)
{
	char text[2 * VALUE_DEPTH_MAX + 3] = "";
	for (int i = 0; i < VALUE_DEPTH_MAX; i++) {
		text[i] = '[';
		text[2 * VALUE_DEPTH_MAX - 1 - i] = ']';
	}
	struct value *list = NULL;
	struct err err;
	cr_assert_eq(yaml_parse(arena, text, strlen(text), &list, &err), 0, "%s", err.text);
	char deeper[sizeof text + 2] = "[";
	strcat(strcat(deeper, text), "]");
	refuses(deeper, "32 levels");
}

static void prints(const char *json, const char *yaml)
{
	struct value *value = NULL, *list = NULL;
	struct err err = { 0 };
	AUTO_BUF out;
	buf_init(&out, MIB);
	cr_assert_eq(json_parse(arena, json, strlen(json), &value, &err), 0, "%s", err.text);
	cr_assert_eq(yaml_print(value, &out, &err), 0, "%s", err.text);
	if (yaml)
		cr_expect_str_eq((char *)out.data, yaml);
	cr_assert_eq(yaml_parse(arena, (char *)out.data, out.len, &list, &err), 0, "%s", err.text);
	cr_expect(value_equal(value_at(list, 0), value), "%s", (char *)out.data);
}

Test(yaml, prints_block_style_that_reads_back_the_same)
{
	prints("{\"kind\":\"Dataset\",\"spec\":{\"list\":[1,{\"a\":null}],"
	       "\"empty\":{},\"none\":[]}}",
	       "kind: Dataset\nspec:\n  list:\n  - 1\n  - a: null\n  empty: {}\n  none: []\n");
	prints("{\"a\":\"1\",\"b\":\"true\",\"c\":\"~\",\"d\":\"\",\"e\":\"no\",\"f\":\"0x1f\"}",
	       "a: \"1\"\nb: \"true\"\nc: \"~\"\nd: \"\"\ne: \"no\"\nf: \"0x1f\"\n");
	prints("{\"text\":\"permit (\\n  principal\\n);\\n\",\"1\":2.0,\"true\":1e+300}",
	       "text: |\n  permit (\n    principal\n  );\n\"1\": 2.0\n\"true\": 1e+300\n");
	static const char *const odd[] = {
		"[\" a\",\"a \",\"a: b\",\"#x\",\"- x\",\"a #b\",\"&x\",\"*x\",\"!x\","
		"\"%x\",\"@x\",\"`x\"]",
		"[\"\\n\",\"\\na\",\"a\\n\\n\",\"a\\n\\n\\nb\",\" a\\nb\",\"a \\nb\","
		"\"a\\n b\\n\",\"\\ta\\n\"]",
		"[\"\\u0001\",\"\\u007f\",\"\\u0085\",\"\\u2028x\\n\",\"\\ufeff\","
		"\"\\r\\n\",\"\\ud83d\\ude42\"]",
		"[\"---\",\"...\",\"--- a\",\"'\",\"\\\"\",\"|\",\">\",\"?\","
		"\":\",\"? a\",\"a:\",\"[a\",\"{\"]",
		"{\"a b\":1,\" \":2,\"\":3,\"x\\ny\":4,\"- a\":5,\"null\":6}",
		"\"top\"", "\"a\\nb\"", "7",
	};
	for (size_t i = 0; i < ARRAY_LEN(odd); i++)
		prints(odd[i], NULL);
}

Test(yaml, prints_numbers_that_json_has_not_and_bytes_as_base64)
{
	struct err err;
	AUTO_BUF out;
	buf_init(&out, 1000);
	struct value *list = value_list(arena);
	value_add(list, value_real(arena, INFINITY));
	value_add(list, value_real(arena, -INFINITY));
	value_add(list, value_real(arena, NAN));
	value_add(list, value_bin(arena, "\0\xff\x10", 3));
	cr_assert_eq(yaml_print(list, &out, &err), 0);
	cr_expect_str_eq((char *)out.data, "- .inf\n- -.inf\n- .nan\n- AP8Q\n");
}

Test(yaml, prints_nothing_when_it_fails)
{
	struct err err;
	AUTO_BUF out;
	buf_init(&out, 8);
	cr_expect_eq(yaml_print(value_str(arena, "longer than eight"), &out, &err), E_TOO_LARGE);
	cr_expect_eq(out.len, 0);
	AUTO_BUF large;
	buf_init(&large, 100);
	cr_expect_eq(yaml_print(value_strn(arena, "a\0", 2), &large, &err), E_INVALID);
	cr_expect_eq(yaml_print(value_str(arena, "\xff"), &large, &err), E_INVALID);
	cr_expect_eq(large.len, 0);
}

Test(yaml, survives_each_failed_allocation)
{
	const char *text = "a: [1, 2.5, text, null, true]\nb: {c: d}\n---\nx\n";
	bool fired = true;
	long n = 0;
	for (; fired; n++) {
		struct arena *tried = NULL;
		struct value *list = NULL;
		struct err err;
		cr_assert_eq(arena_new(MIB, &tried, &err), 0);
		AUTO_BUF out;
		buf_init(&out, MIB);
		alloc_fail_after(n);
		int rc = yaml_parse(tried, text, strlen(text), &list, &err);
		if (rc == 0)
			rc = yaml_print(list, &out, &err);
		fired = alloc_fired();
		alloc_fail_after(-1);
		cr_expect_eq(fired, rc < 0);
		arena_free(tried);
	}
	cr_expect_geq(n, 3);
}
