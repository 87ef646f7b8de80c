/* test_rowfilter.c - filters are checked before they are used, and mean in the engine what they
 * mean in memory. */
#include "common/defs.h"
#include "common/json.h"
#include "common/rowfilter.h"
#include "worker/duck.h"

#include <criterion/criterion.h>
#include <string.h>

static struct arena *arena;
static struct err err;

static void setup(void)
{
	cr_assert_eq(arena_new(64 * MIB, &arena, &err), 0);
}
static void teardown(void)
{
	arena_free(arena);
}
TestSuite(rowfilter, .init = setup, .fini = teardown);

/* JSON with single quotes for double ones. */
static struct value *json(const char *text)
{
	struct value *value = NULL;
	char *copy = arena_strdup(arena, text);
	for (char *at = copy; *at; at++)
		*at = *at == '\'' ? '"' : *at;
	cr_assert_eq(json_parse(arena, copy, strlen(copy), &value, &err), 0, "%s: %s", err.text,
	             copy);
	return value;
}

static const struct value *schema(void)
{
	return json("[{'name':'s','type':'string'},{'name':'t','type':'string'},"
	            "{'name':'i','type':'int32'},{'name':'b','type':'boolean'},"
	            "{'name':'ts','type':'timestamp'},{'name':'d','type':'date'},"
	            "{'name':'f','type':'float64'}]");
}

static const char *const good[] = {
	"['all']", "['any']", "['null','s']", "['some','i']", "['eq','s','EU']", "['ne','s','EU']",
	"['eq','i',2]", "['ne','i',2]", "['lt','i',2]", "['le','i',2]", "['gt','i',2]",
	"['ge','i',2]", "['eq','b',true]", "['ne','b',true]", "['in','s','EU','it\\u0027s']",
	"['out','s','EU','US']", "['in','i',1,2]", "['out','i',1,2]", "['in','s']", "['out','s']",
	"['like','s','E','']", "['unlike','s','','U']", "['like','s','a%','b']",
	"['like','s','','_\\\\','']", "['like','s','EU']", "['unlike','s','EU']",
	"['like','s','','','']", "['same','s','t']", "['differ','s','t']",
	"['eq','ts',{'ms':2000}]", "['lt','ts',{'ms':2000}]", "['ge','ts',{'ms':2001}]",
	"['eq','d',{'ms':86400000}]", "['gt','d',{'ms':1}]",
	"['all',['some','s'],['any',['eq','i',2],['null','b']]]",
	"['any',['all',['eq','s','EU'],['lt','i',3]],['in','t','US','EU']]",
};

Test(rowfilter, takes_every_operator_on_columns_of_fitting_types)
{
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		cr_expect_eq(rowfilter_check(json(good[i]), schema(), &err), 0, "%s: %s", good[i],
		             err.text);
}

Test(rowfilter, refuses_what_it_does_not_know_or_what_does_not_fit)
{
	static const char *const bad[] = {
		"7", "'all'", "[]", "['or']", "['eq']", "['eq','s']", "['eq','s',1]",
		"['eq','none','EU']", "['eq','f',1]", "['lt','b',true]", "['like','i','2']",
		"['like','s']", "['in','i','EU']", "['same','s','i']", "['same','s']",
		"['null','s','t']", "['eq','ts',2000]", "['eq','ts',{'ms':'x'}]",
		"['eq','ts',{'ms':1,'us':2}]", "['all',['null','none']]", "['all',7]",
		"['eq','s','EU','US']", "['eq',1,1]",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_expect_eq(rowfilter_check(json(bad[i]), schema(), &err), E_INVALID, "%s",
		             bad[i]);
}

Test(rowfilter, refuses_what_is_too_deep_or_too_long)
{
	struct value *deep = json("['null','s']"), *many = json("['any']");
	for (int i = 0; i < ROWFILTER_DEPTH_MAX; i++) {
		struct value *outer = json("['all']");
		value_add(outer, deep);
		deep = outer;
	}
	for (int i = 0; i < ROWFILTER_NODES_MAX; i++)
		value_add(many, json("['null','s']"));
	cr_expect_eq(rowfilter_check(deep, schema(), &err), E_TOO_LARGE);
	cr_expect_eq(rowfilter_check(many, schema(), &err), E_TOO_LARGE);
}

Test(rowfilter, folds_constants_and_says_nothing_twice)
{
	const struct value *all = rowfilter_const(arena, true);
	const struct value *none = rowfilter_const(arena, false);
	const struct value *leaf = json("['eq','s','EU']");
	cr_expect(value_equal(rowfilter_both(arena, all, leaf), leaf));
	cr_expect(value_equal(rowfilter_either(arena, leaf, none), leaf));
	cr_expect(value_equal(rowfilter_either(arena, leaf, leaf), leaf));
	cr_expect(rowfilter_is(rowfilter_both(arena, leaf, none), false));
	cr_expect(rowfilter_is(rowfilter_either(arena, all, leaf), true));
	cr_expect(rowfilter_is(rowfilter_not(arena, all), false));
}

/* --- in memory and in the engine --- */

static const struct value *cell(void *context, const char *column)
{
	static const char *const names[] = { "s", "t", "i", "b", "ts", "d" };
	const struct value *row = context;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const struct value *item = value_at(row, i);
		if (strcmp(names[i], column) != 0)
			continue;
		if (strcmp(column, "d") == 0 && value_kind(item) == VALUE_INT)
			return value_int(arena, value_as_int(item, 0) * 86400000000);
		return item;
	}
	return NULL;
}

#define TABLE                                                                                      \
	"SELECT * FROM (SELECT unnest([NULL, 'EU', 'US', 'it''s', 'a%xb', 'x_\\y', '']) AS s), "    \
	"(SELECT unnest([NULL, 'EU', 'US']) AS t), "                                               \
	"(SELECT unnest([NULL, 1, 2, 3])::INTEGER AS i), "                                         \
	"(SELECT unnest([NULL, true, false]) AS b), "                                              \
	"(SELECT unnest([NULL, 2000, 2001])  AS ms), "                                             \
	"(SELECT unnest([NULL, DATE '1970-01-02']) AS d)"

static size_t count_rows(struct duck *duck, const char *condition, const struct value **ret_rows)
{
	const char *sql = arena_printf(arena,
	                               "SELECT s, t, i, b, ts, d FROM (SELECT s, t, i, b, "
	                               "epoch_ms(ms::BIGINT) AS ts, d FROM (%s)) WHERE %s",
	                               TABLE, condition);
	cr_assert_eq(duck_table(duck, arena, sql, 10000, ret_rows, &err), 0, "%s: %s", err.text,
	             condition);
	return value_len(*ret_rows);
}

static const char *sql_of(const struct value *filter)
{
	AUTO_BUF out;
	buf_init(&out, ROWFILTER_SQL_MAX);
	cr_assert_eq(rowfilter_sql(filter, &out, &err), 0);
	return arena_strdup(arena, (const char *)out.data);
}

static size_t count_here(const struct value *filter, const struct value *rows)
{
	size_t count = 0;
	for (size_t i = 0; i < value_len(rows); i++)
		count += rowfilter_test(filter, cell, (void *)value_at(rows, i));
	return count;
}

Test(rowfilter, means_in_the_engine_what_it_means_in_memory)
{
	AUTO(duck) *duck = NULL;
	const struct value *all = NULL, *kept = NULL;
	cr_assert_eq(duck_new(&duck, &err), 0);
	size_t total = count_rows(duck, "true", &all);
	cr_assert_eq(total, 7 * 3 * 4 * 3 * 3 * 2);
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		const struct value *filter = json(good[i]), *opposite = NULL;
		size_t engine = count_rows(duck, sql_of(filter), &kept);
		cr_expect_eq(engine, count_here(filter, all), "%s: the engine keeps %zu", good[i],
		             engine);
		cr_expect_eq(count_here(filter, kept), engine, "%s: other rows", good[i]);
		opposite = rowfilter_not(arena, filter);
		cr_expect_eq(rowfilter_check(opposite, schema(), &err), 0, "%s", good[i]);
		cr_expect_eq(count_rows(duck, sql_of(opposite), &kept), total - engine,
		             "not %s: %s", good[i], sql_of(opposite));
		cr_expect_eq(count_here(opposite, all), total - engine, "not %s", good[i]);
	}
}

Test(rowfilter, lets_nothing_out_of_its_quotes)
{
	cr_expect_str_eq(sql_of(json("['eq','a\\\"b','x\\u0027 OR true --']")),
	                 "(\"a\"\"b\" IS NOT DISTINCT FROM 'x'' OR true --')");
	cr_expect_str_eq(sql_of(json("['like','s','%\\u0027','']")),
	                 "(\"s\" LIKE '\\%''%' ESCAPE '\\')");
}
