/* What a task sees of an input that is restricted, through the engine: the same as mask_cell and
 * rowfilter_test say, and nothing of a restriction that does not fit. */
#include "common/defs.h"
#include "worker/veil.h"

#include "common/json.h"
#include "worker/duck.h"
#include "worker/shop.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { COLUMNS = 9, FILTERS = 60, ROWS_MAX = 2000 };

static struct shop shop;
static int fds[1];

static void setup(void)
{
	struct err err = {0};
	memset(&shop, 0, sizeof shop);
	cr_assert_eq(arena_new(256 * MIB, &shop.arena, NULL), 0);
	cr_assert_eq(duck_new(&shop.duck, &err), 0, "%s", err.text);
	fds[0] = memfd_create("part", MFD_CLOEXEC);
	shop.fds = fds;
	shop.fd_count = 1;
}
static void teardown(void)
{
	duck_free(shop.duck);
	arena_free(shop.arena);
}
TestSuite(veil, .init = setup, .fini = teardown);

/* JSON with ' for ". */
static struct value *parse(const char *json)
{
	char *copy = arena_strdup(shop.arena, json);
	struct value *value = NULL;
	struct err err = {0};
	for (char *at = copy; *at; at++)
		*at = *at == '\'' ? '"' : *at;
	cr_assert_eq(json_parse(shop.arena, copy, strlen(copy), &value, &err), 0, "%s: %s",
	             err.text, json);
	return value;
}

static const char *as_text(const struct value *value)
{
	AUTO_BUF out;
	buf_init(&out, MIB);
	json_print(value, &out);
	cr_assert_eq(buf_check(&out, NULL), 0);
	return arena_strdup(shop.arena, (char *)out.data);
}

static const struct value *query(const char *sql)
{
	const struct value *rows = NULL;
	struct err err = {0};
	cr_assert_eq(duck_table(shop.duck, shop.arena, sql, ROWS_MAX, &rows, &err), 0, "%s: %s",
	             sql, err.text);
	return rows;
}

static const char *rows_of(const char *sql)
{
	return as_text(query(sql));
}

static void fill(const char *select)
{
	struct err err = {0};
	const char *sql = arena_printf(shop.arena, "COPY (%s) TO '/proc/self/fd/%d' (FORMAT "
	                               "parquet, USE_TMP_FILE false)", select, fds[0]);
	cr_assert_eq(duck_exec(shop.duck, sql, &err), 0, "%s", err.text);
}

/* tables: a list of {name, schema, filter?, masks?, hidden?}; all read the one file. */
static int open_tables_for(const char *sql, struct value *tables, struct err *err)
{
	struct value *job = parse("{'domain':'d'}"), *list = value_list(shop.arena);
	struct value *work = value_map(shop.arena);
	for (size_t i = 0; i < value_len(tables); i++) {
		struct value *table = value_copy(shop.arena, value_at(tables, i));
		value_set_str(table, "domain", "d");
		if (!value_get(table, "files"))
			value_set(table, "files", parse("[0]"));
		value_add(list, table);
	}
	value_set_str(work, "sql", sql);
	value_set(job, "work", work);
	value_set(job, "tables", list);
	shop.job = job;
	return shop_tables(&shop, err);
}

static int open_tables(struct value *tables, struct err *err)
{
	return open_tables_for("SELECT 1", tables, err);
}

/* So that columns of filtered tables are written anew. */
static const char not_plain[] = "SELECT hash(1)";

static void see(const char *tables)
{
	struct err err = {0};
	cr_assert_eq(open_tables(parse(tables), &err), 0, "%s", err.text);
}

/* --- masks --- */

static const char *const types[COLUMNS] = {
	"boolean", "int32", "int64", "float64", "string", "timestamp", "date", "bytes",
	"decimal(6,2)",
};

#define VALUES                                                                                     \
	"SELECT * REPLACE (c1::INTEGER AS c1, c8::DECIMAL(6,2) AS c8) FROM (VALUES "                \
	"(1, true, 7::INTEGER, -9000000000::BIGINT, 1.5::DOUBLE, 'Ann-Lee (7)', "                  \
	"TIMESTAMP '1969-12-31 23:59:59.999999', DATE '1969-12-31', '\\xAA\\x00'::BLOB, "          \
	"1.25::DECIMAL(6,2)), "                                                                    \
	"(2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), "                              \
	"(3, false, -2147483648, 9223372036854775807, 'nan', '\u00e9\u00e8\u20ac\U0001F600 9z', "  \
	"TIMESTAMP '2024-02-29 12:34:56', DATE '2024-02-29', ''::BLOB, -9999.99), "                \
	"(4, true, 0, 0, -0.0, '', TIMESTAMP '0001-01-01', DATE '9999-12-31', 'abc'::BLOB, 0), "   \
	"(5, true, 1, 1, 1e300, 'a text of more than twelve bytes', 'infinity', '-infinity', "     \
	"'0123456789abcdef'::BLOB, 1)) AS v(id, c0, c1, c2, c3, c4, c5, c6, c7, c8)"

static struct value *typed_schema(void)
{
	struct value *schema = parse("[{'name':'id','type':'int32'}]");
	for (int i = 0; i < COLUMNS; i++) {
		struct value *column = value_map(shop.arena);
		value_set_str(column, "name", arena_printf(shop.arena, "c%d", i));
		value_set_str(column, "type", types[i]);
		value_add(schema, column);
	}
	return schema;
}

/* One table for each action: all the columns it is for are masked by it. */
static struct value *masked_tables(bool filtered)
{
	struct value *tables = value_list(shop.arena);
	for (int mask = MASK_NONE; mask < MASK_COUNT_; mask++) {
		struct value *table = value_map(shop.arena), *masks = value_map(shop.arena);
		for (int i = 0; i < COLUMNS; i++)
			if (mask && mask_check((enum mask)mask, "", types[i], false, NULL) == 0)
				value_set_str(masks, arena_printf(shop.arena, "c%d", i),
				              mask_name((enum mask)mask));
		value_set_str(table, "name", mask_name((enum mask)mask));
		value_set(table, "schema", typed_schema());
		value_set(table, "masks", masks);
		if (filtered)
			value_set(table, "filter", parse("['some','id']"));
		value_add(tables, table);
	}
	return tables;
}

static bool same_cell(const struct value *got, const struct value *expected)
{
	if (value_kind(expected) == VALUE_STR && value_kind(got) == VALUE_STR &&
	    strcmp(value_as_str(expected), "0") == 0)
		return strtod(value_as_str(got), NULL) == 0;  /* a decimal as text */
	return value_equal(got, expected) || strcmp(as_text(got), as_text(expected)) == 0;
}

static void compare_column(enum mask mask, int column)
{
	static const char select[] = "SELECT c%d%s FROM %s ORDER BY id";
	const char *cast = strncmp(types[column], "decimal", 7) == 0 ? "::VARCHAR" : "";
	const struct value *before = query(arena_printf(shop.arena, select, column, cast,
	                                                "(" VALUES ")"));
	const struct value *after =
		query(arena_printf(shop.arena, select, column, cast,
	                           arena_printf(shop.arena, "\"%s\"", mask_name(mask))));
	struct err err = {0};
	cr_assert_eq(value_len(after), value_len(before));
	for (size_t i = 0; i < value_len(after); i++) {
		struct value *expected = NULL;
		cr_assert_eq(mask_cell(shop.arena, mask, &shop.salt, types[column],
		                       value_at(value_at(before, i), 0), &expected, &err), 0,
		             "%s", err.text);
		cr_expect(same_cell(value_at(value_at(after, i), 0), expected),
		          "%s of %s, row %zu: %s is not %s", mask_name(mask), types[column], i,
		          as_text(value_at(value_at(after, i), 0)), as_text(expected));
	}
}

static void compare_all(void)
{
	int compared = 0;
	for (int mask = MASK_NONE; mask < MASK_COUNT_; mask++)
		for (int i = 0; i < COLUMNS; i++)
			if (mask_check((enum mask)mask, "", types[i], false, NULL) == 0) {
				compare_column((enum mask)mask, i);
				compared++;
			}
	cr_expect_eq(compared, COLUMNS + 33);
}

Test(veil, each_action_masks_each_type_in_the_engine_as_on_a_single_cell)
{
	struct err err = {0};
	fill(VALUES);
	cr_assert_eq(open_tables(masked_tables(false), &err), 0, "%s", err.text);
	compare_all();
}

Test(veil, what_is_written_anew_is_the_same_of_each_type_masked_or_not)
{
	struct err err = {0};
	fill(VALUES);
	cr_assert_eq(open_tables_for(not_plain, masked_tables(true), &err), 0, "%s", err.text);
	compare_all();
}

Test(veil, a_masked_column_keeps_its_type)
{
	struct err err = {0};
	fill(VALUES);
	cr_assert_eq(open_tables(masked_tables(false), &err), 0, "%s", err.text);
	const char *plain = rows_of("SELECT column_name, column_type FROM (DESCRIBE " VALUES ")");
	for (int mask = MASK_NONE + 1; mask < MASK_COUNT_; mask++)
		cr_expect_str_eq(rows_of(arena_printf(shop.arena, "SELECT column_name, column_type "
		                                      "FROM (DESCRIBE SELECT * FROM \"%s\")",
		                                      mask_name((enum mask)mask))), plain, "%s",
		                 mask_name((enum mask)mask));
}

Test(veil, a_salt_is_of_one_job_and_the_same_in_all_its_tables)
{
	static const char tables[] =
		"[{'name':'a','schema':[{'name':'c4','type':'string'}],"
		"'masks':{'c4':'sha-256-query-local'}},"
		"{'name':'b','schema':[{'name':'c4','type':'string'}],"
		"'masks':{'c4':'sha-256-query-local'}}]";
	fill(VALUES);
	see(tables);
	cr_expect_str_eq(rows_of("SELECT count(*) FROM a JOIN b USING (c4)"), "[[4]]");
	const char *first = rows_of("SELECT c4 FROM a ORDER BY c4");
	duck_free(shop.duck);
	cr_assert_eq(duck_new(&shop.duck, NULL), 0);
	see(tables);
	cr_expect_str_neq(rows_of("SELECT c4 FROM a ORDER BY c4"), first);
}

/* --- columns --- */

#define ROW "{'name':'id','type':'int32'},{'name':'c4','type':'string'},{'name':'c2','type':'int64'}"

Test(veil, hidden_columns_and_those_control_did_not_know_do_not_exist)
{
	fill(VALUES);
	see("[{'name':'t','schema':[" ROW "],'hidden':['c2']}]");
	cr_expect_str_eq(rows_of("SELECT column_name FROM (DESCRIBE SELECT * FROM t)"),
	                 "[[\"id\"],[\"c4\"]]");
	static const char *const tries[] = {"c2", "t.c2", "\"C2\"", "c0", "d.t.c2"};
	for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
		struct err err = {0};
		const struct value *rows;
		cr_expect_eq(duck_table(shop.duck, shop.arena,
		                        arena_printf(shop.arena, "SELECT %s FROM t", tries[i]), 9,
		                        &rows, &err), E_INVALID, "%s", tries[i]);
	}
}

Test(veil, a_name_is_hidden_however_it_is_written)
{
	fill(VALUES);
	see("[{'name':'t','schema':[" ROW "],'hidden':['C2'],'masks':{'c4':'mask-alphanum'}}]");
	cr_expect_str_eq(rows_of("SELECT * FROM t WHERE id = 1"), "[[1,\"xxx-xxxx(n)\"]]",
	                 "%s", rows_of("SELECT * FROM t WHERE id = 1"));
}

Test(veil, rows_are_filtered_on_originals_and_then_masked)
{
	fill(VALUES);
	see("[{'name':'t','schema':[" ROW "],'filter':['eq','c4','Ann-Lee (7)'],"
	    "'masks':{'c4':'mask-to-fixed-value'},'hidden':['c2']},"
	    "{'name':'h','schema':[" ROW "],'filter':['gt','c2',0],'hidden':['c2']},"
	    "{'name':'none','schema':[" ROW "],'filter':['any']},"
	    "{'name':'empty','schema':[" ROW "],'files':[],'filter':['gt','c2',0],"
	    "'masks':{'c4':'show-first-4'}}]");
	cr_expect_str_eq(rows_of("SELECT * FROM t"), "[[1,\"XXXXXXXX\"]]");
	cr_expect_str_eq(rows_of("SELECT id FROM h ORDER BY id"), "[[3],[5]]");
	cr_expect_str_eq(rows_of("SELECT count(*) FROM none"), "[[0]]");
	cr_expect_str_eq(rows_of("SELECT * FROM empty"), "[]");
}

Test(veil, a_restriction_that_does_not_fit_shows_nothing_and_names_nothing)
{
	static const char *const tables[] = {
		"[{'name':'t','schema':[" ROW "],'filter':['eq','c4',7]}]",
		"[{'name':'t','schema':[" ROW "],'filter':['eq','gone','x']}]",
		"[{'name':'t','schema':[" ROW "],'filter':['maybe','c4','x']}]",
		"[{'name':'t','schema':[" ROW "],'masks':{'c2':'truncate-to-year'}}]",
		"[{'name':'t','schema':[" ROW "],'hidden':['id','c4','c2']}]",
		"[{'name':'t','schema':[{'name':'c4','type':'string','required':true}],"
		"'masks':{'c4':'replace-with-null'}}]",
		"[{'name':'t','hidden':['c4']}]",
	};
	fill(VALUES);
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		struct err err = {0};
		cr_expect_eq(open_tables(parse(tables[i]), &err), E_PRECONDITION, "%s: %s",
		             tables[i], err.text);
		cr_expect_null(strstr(err.text, "c4"), "%s", err.text);
		cr_expect_not_null(strstr(err.text, "d.t"), "%s", err.text);
	}
}

/* --- rows --- */

#define GRID                                                                                       \
	"SELECT row_number() OVER ()::INTEGER AS id, * FROM "                                      \
	"(SELECT unnest([NULL, 'EU', 'US', 'it''s', 'a%xb', 'x_\\y', '']) AS s), "                 \
	"(SELECT unnest([NULL, 'EU', '']) AS t), "                                                 \
	"(SELECT unnest([NULL, 1, 2, -2147483648])::INTEGER AS i), "                               \
	"(SELECT unnest([NULL, true, false]) AS b), "                                              \
	"(SELECT unnest([NULL, TIMESTAMP '1970-01-01 00:00:02.000001']) AS ts), "                  \
	"(SELECT unnest([NULL, DATE '1970-01-02']) AS d)"

static const char grid_schema[] =
	"[{'name':'id','type':'int32'},{'name':'s','type':'string'},{'name':'t','type':'string'},"
	"{'name':'i','type':'int32'},{'name':'b','type':'boolean'},"
	"{'name':'ts','type':'timestamp'},{'name':'d','type':'date'}]";

static const char *const leaves[] = {
	"['null','s']", "['some','i']", "['eq','s','EU']", "['ne','s','it\\u0027s']",
	"['lt','i',2]", "['le','i',-2147483648]", "['gt','i',1]", "['ge','i',2]", "['eq','b',true]",
	"['ne','b',true]", "['in','s','EU','']", "['out','s','EU','US']", "['in','i',1,2]",
	"['out','i',1]", "['like','s','','%x','b']", "['unlike','s','x_','']", "['same','s','t']",
	"['differ','s','t']", "['eq','ts',{'ms':2000}]", "['gt','ts',{'ms':2000}]",
	"['lt','d',{'ms':86400001}]", "['eq','d',{'ms':86400000}]", "['like','t','EU']",
};

static const char *random_filter(unsigned *seed, int depth)
{
	if (depth == 0 || rand_r(seed) % 4 == 0)
		return leaves[(size_t)rand_r(seed) % ARRAY_LEN(leaves)];
	const char *a = random_filter(seed, depth - 1), *b = random_filter(seed, depth - 1);
	return arena_printf(shop.arena, "['%s',%s,%s]", rand_r(seed) % 2 ? "all" : "any", a, b);
}

static const struct value *grid_cell(void *context, const char *column)
{
	static const char *const names[] = {"id", "s", "t", "i", "b", "ts", "d"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const struct value *item = value_at(context, i);
		if (strcmp(names[i], column) != 0)
			continue;
		return strcmp(column, "d") == 0 && value_kind(item) == VALUE_INT
		               ? value_int(shop.arena, value_as_int(item, 0) * 86400000000)
		               : item;
	}
	return NULL;
}

static void compare_rows(const struct value *all, const struct value *filter, const char *name)
{
	const struct value *seen = query(arena_printf(shop.arena, "SELECT id FROM %s ORDER BY id",
	                                              name));
	size_t at = 0;
	for (size_t i = 0; i < value_len(all); i++) {
		const struct value *row = value_at(all, i);
		bool here = at < value_len(seen) &&
		            value_equal(value_at(value_at(seen, at), 0), value_at(row, 0));
		cr_assert_eq(rowfilter_test(filter, grid_cell, (void *)(uintptr_t)row), here,
		             "%s: %s", as_text(filter), as_text(row));
		at += here;
	}
	cr_assert_eq(at, value_len(seen), "%s", as_text(filter));
}

Test(veil, the_engine_lets_the_rows_through_that_a_test_in_memory_does)
{
	unsigned seed = 7;
	struct value *tables = value_list(shop.arena);
	struct err err = {0};
	fill(GRID);
	for (int i = 0; i < FILTERS; i++) {
		struct value *table = value_map(shop.arena);
		const char *filter = (size_t)i < ARRAY_LEN(leaves) ? leaves[i]
		                                                   : random_filter(&seed, 3);
		value_set_str(table, "name", arena_printf(shop.arena, "t%d", i));
		value_set(table, "schema", parse(grid_schema));
		value_set(table, "filter", parse(filter));
		value_add(tables, table);
	}
	cr_assert_eq(open_tables_for(not_plain, tables, &err), 0, "%s", err.text);
	const struct value *all = query(arena_printf(
		shop.arena, "SELECT * FROM read_parquet('/proc/self/fd/%d') ORDER BY id", fds[0]));
	cr_assert_eq(value_len(all), 7 * 3 * 4 * 3 * 2 * 2);
	for (int i = 0; i < FILTERS; i++)
		compare_rows(all, value_get(value_at(tables, (size_t)i), "filter"),
		             arena_printf(shop.arena, "t%d", i));
}

Test(veil, a_date_beyond_all_timestamps_is_no_failure)
{
	static const char *const ops[] = {"eq", "ne", "lt", "le", "gt", "ge", "in", "out"};
	fill("SELECT * FROM (VALUES (1, DATE '5000000-01-01'), (2, DATE '2001-01-01'), "
	     "(3, DATE 'infinity')) AS v(id, d)");
	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		see(arena_printf(shop.arena,
		                 "[{'name':'t','schema':[{'name':'id','type':'int32'},"
		                 "{'name':'d','type':'date'}],'filter':['%s','d',{'ms':1}]}]",
		                 ops[i]));
		const char *rows = rows_of("SELECT id FROM t WHERE id > 1 ORDER BY id");
		bool above = strchr("gno", ops[i][0]) != NULL;
		cr_expect_str_eq(rows, above ? "[[2],[3]]" : "[]", "%s", ops[i]);
	}
}
