/* test_rowfilter_tidy.c - a tidied filter lets through the same rows, and says it shorter. */
#include "common/defs.h"
#include "common/rowfilter.h"

#include "common/json.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { TRIALS = 3000, VALUES = 4 };

static struct arena *arena;

static void setup(void)
{
	cr_assert_eq(arena_new(64 * MIB, &arena, NULL), 0);
}
static void teardown(void)
{
	arena_free(arena);
}
TestSuite(rowfilter_tidy, .init = setup, .fini = teardown);

static struct value *json(const char *text)
{
	struct value *value = NULL;
	char *copy = arena_strdup(arena, text);
	for (char *at = copy; *at; at++)
		*at = *at == '\'' ? '"' : *at;
	cr_assert_eq(json_parse(arena, copy, strlen(copy), &value, NULL), 0);
	return value;
}

static void is(const char *filter, const char *tidy)
{
	AUTO_BUF out;
	buf_init(&out, MIB);
	const struct value *got = rowfilter_tidy(arena, json(filter));
	json_print(got, &out);
	cr_expect(value_equal(got, json(tidy)), "%s becomes %s", filter, (char *)out.data);
}

Test(rowfilter_tidy, what_is_said_twice_is_said_once)
{
	is("['all',['some','a'],['any',['null','a'],['null','a'],['in','a',1,2]]]",
	   "['in','a',1,2]");
	is("['any',['null','a'],['all',['some','a'],['eq','b',1]]]",
	   "['any',['null','a'],['eq','b',1]]");
	is("['all',['some','a'],['any',['null','a'],['eq','b',1]]]",
	   "['all',['some','a'],['eq','b',1]]");
	is("['any',['null','a'],['ne','a',1]]", "['ne','a',1]");
	is("['all',['some','a'],['null','b']]", "['all',['some','a'],['null','b']]");
	is("['all',['some','a'],['any',['null','a']]]", "['all',['some','a'],['null','a']]");
	is("['eq','a',1]", "['eq','a',1]");
	is("['all']", "['all']");
}

static struct value *leaf(void)
{
	static const char *const ones[] = { "eq", "ne", "lt", "le", "gt", "ge", "in", "out" };
	const char *column = rand() % 2 ? "a" : "b";
	int kind = rand() % 10;
	if (kind < 2)
		return rowfilter_on(arena, kind ? "null" : "some", column, NULL);
	return rowfilter_on(arena, ones[kind - 2], column, value_int(arena, rand() % 3));
}

static struct value *any_filter(int depth)
{
	if (depth == 0 || rand() % 3 == 0)
		return leaf();
	struct value *list = value_list(arena);
	value_add_str(list, rand() % 2 ? "all" : "any");
	for (int i = rand() % 4; i > 0; i--)
		value_add(list, any_filter(depth - 1));
	return list;
}

static const struct value *cell(void *context, const char *column)
{
	const int *row = context;
	int number = row[strcmp(column, "b") == 0];
	return number == VALUES - 1 ? NULL : value_int(arena, number);
}

static size_t count(const struct value *filter)
{
	size_t all = 1;
	for (size_t i = 1; i < value_len(filter); i++)
		all += value_kind(value_at(filter, i)) == VALUE_LIST ? count(value_at(filter, i))
		                                                    : 0;
	return all;
}

Test(rowfilter_tidy, lets_the_same_rows_through_and_never_grows)
{
	srand(7);
	for (int trial = 0; trial < TRIALS; trial++) {
		arena_reset(arena);
		const struct value *filter = any_filter(4), *tidy = rowfilter_tidy(arena, filter);
		cr_assert_not_null(tidy);
		cr_assert_leq(count(tidy), count(filter));
		for (int i = 0; i < VALUES * VALUES; i++) {
			int row[2] = { i % VALUES, i / VALUES };
			cr_assert_eq(rowfilter_test(filter, cell, row),
			             rowfilter_test(tidy, cell, row), "trial %d, row %d", trial, i);
		}
	}
}

Test(rowfilter_tidy, without_memory_is_nothing)
{
	cr_assert_null(rowfilter_tidy(arena, NULL));
}
