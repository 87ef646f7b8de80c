/* test_sql_lineage.c - which input columns a SELECT's columns are made of, judged by trees as
 * DuckDB makes them and by the columns it finds. */
#include "common/defs.h"
#include "worker/sql_lineage.h"

#include "common/buf.h"
#include "common/json.h"
#include "worker/duck.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const char inputs[] =
	"[{\"domain\":\"hr\",\"name\":\"people\",\"schema\":[{\"name\":\"id\",\"type\":\"int64\"},"
	"{\"name\":\"ssn\",\"type\":\"string\"},{\"name\":\"city\",\"type\":\"string\"}]},"
	"{\"domain\":\"hr\",\"name\":\"pay\",\"schema\":[{\"name\":\"id\",\"type\":\"int64\"},"
	"{\"name\":\"amount\",\"type\":\"int64\"},{\"name\":\"tags\",\"type\":\"string\"}]}]";

/* The engine takes its time to open: one for many. */
struct court {
	struct arena *arena;
	struct duck *duck;
	struct value *tables;
};

static struct court court_open(void)
{
	struct court court = { .tables = NULL };
	cr_assert_eq(arena_new(256 * MIB, &court.arena, NULL), 0);
	cr_assert_eq(duck_new(&court.duck, NULL), 0);
	cr_assert_eq(duck_prepare(court.duck, NULL), 0);
	cr_assert_eq(json_parse(court.arena, inputs, strlen(inputs), &court.tables, NULL), 0);
	cr_assert_eq(duck_exec(court.duck,
	                       "CREATE SCHEMA hr; USE memory.hr;"
	                       "CREATE TABLE people(id BIGINT, ssn VARCHAR, city VARCHAR);"
	                       "CREATE TABLE pay(id BIGINT, amount BIGINT, tags VARCHAR[])", NULL),
	             0);
	return court;
}

static void court_close(struct court *court)
{
	duck_free(court->duck);
	arena_free(court->arena);
}

static struct value *columns_of(const struct court *court, const char *sql)
{
	const struct value *rows = NULL;
	struct err err = { .text = "" };
	struct value *list = value_list(court->arena);
	const char *text = arena_printf(court->arena, "DESCRIBE FROM (%s)", sql);
	cr_assert_eq(duck_table(court->duck, court->arena, text, 100, &rows, &err), 0, "%s: %s",
	             sql, err.text);
	for (size_t i = 0; i < value_len(rows); i++) {
		struct value *column = value_map(court->arena);
		value_set_str(column, "name", value_as_str(value_at(value_at(rows, i), 0)));
		value_add(list, column);
	}
	return list;
}

static void put_refs(const struct court *court, const struct value *refs, struct buf *out)
{
	for (size_t i = 0; i < value_len(refs); i++) {
		const struct value *ref = value_at(refs, i);
		size_t index = (size_t)value_as_int(value_at(ref, 0), 0);
		const char *table = value_get_str(value_at(court->tables, index), "name");
		if (value_len(ref) == 1)
			buf_printf(out, " %s.*", table);
		for (size_t c = 1; c < value_len(ref); c++)
			buf_printf(out, " %s.%s", table, value_as_str(value_at(ref, c)));
	}
}

/* "a: people.ssn; b: pay.id pay.amount; rows: people.city", "~" before what is not exact. */
static const char *told(const struct court *court, const char *sql)
{
	const char *tree = NULL;
	struct value *lineage = NULL;
	struct err err = { .text = "" };
	cr_assert_eq(duck_tree(court->duck, court->arena, sql, &tree, &err), 0, "%s", err.text);
	cr_assert_not_null(tree, "%s", sql);
	cr_assert_eq(sql_lineage(court->arena, tree, "hr", court->tables, columns_of(court, sql),
	                         &lineage, &err), 0, "%s", err.text);
	AUTO_BUF out;
	buf_init(&out, MIB);
	const struct value *columns = value_get(lineage, "columns");
	buf_puts(&out, value_get_bool(lineage, "exact", false) ? "" : "~");
	for (size_t i = 0; i < value_len(columns); i++) {
		const char *name = NULL;
		const struct value *refs = value_member(columns, i, &name);
		buf_printf(&out, "%s%s:", i ? "; " : "", name);
		put_refs(court, refs, &out);
	}
	if (value_len(value_get(lineage, "influence"))) {
		buf_puts(&out, "; rows:");
		put_refs(court, value_get(lineage, "influence"), &out);
	}
	buf_putc(&out, 0);
	return arena_strdup(court->arena, (const char *)out.data);
}

struct trial { const char *sql, *lineage; };

static void expect_all(const struct trial *trials, size_t count)
{
	struct court court = court_open();
	for (size_t i = 0; i < count; i++)
		cr_expect_str_eq(told(&court, trials[i].sql), trials[i].lineage, "%s\n  gives %s",
		                 trials[i].sql, told(&court, trials[i].sql));
	court_close(&court);
}

Test(sql_lineage, columns_are_followed_through_names_expressions_and_stars)
{
	static const struct trial trials[] = {
		{ "SELECT ssn AS x, upper(p.city) || p.id AS y, 1 AS z FROM people p",
		  "x: people.ssn; y: people.id people.city; z:" },
		{ "SELECT * FROM people", "id: people.id; ssn: people.ssn; city: people.city" },
		{ "SELECT * EXCLUDE (ssn) REPLACE (hash(ssn) AS city) FROM hr.people",
		  "id: people.id; city: people.ssn" },
		{ "SELECT * RENAME (ssn AS s) FROM people",
		  "id: people.id; s: people.ssn; city: people.city" },
		{ "SELECT count(*) AS n FROM people", "n:" },
		{ "SELECT a, c FROM people AS q(a, b, c)", "a: people.id; c: people.city" },
		{ "SELECT ssn AS s, length(s) AS n FROM people", "s: people.ssn; n: people.ssn" },
		{ "SELECT p AS whole FROM people p", "whole: people.*" },
		{ "SELECT list_transform(tags, lambda t: t || city) AS l FROM pay, people",
		  "l: people.city pay.tags" },
		{ "SELECT first(ssn ORDER BY city) OVER (PARTITION BY id) AS f FROM people",
		  "f: people.id people.ssn people.city" },
		{ "SELECT CASE WHEN ssn = '' THEN 1 ELSE id END AS c FROM people",
		  "c: people.id people.ssn" },
	};
	expect_all(trials, ARRAY_LEN(trials));
}

Test(sql_lineage, what_decides_the_rows_is_told_apart_from_what_is_in_them)
{
	static const struct trial trials[] = {
		{ "SELECT city FROM people WHERE ssn LIKE '1%'",
		  "city: people.city; rows: people.ssn" },
		{ "SELECT city, count(*) AS n FROM people GROUP BY city", "city: people.city; n:" },
		{ "SELECT count(*) AS n FROM people GROUP BY city", "n:; rows: people.city" },
		{ "SELECT city FROM people ORDER BY ssn LIMIT 3",
		  "city: people.city; rows: people.ssn" },
		{ "SELECT DISTINCT ON (ssn) city FROM people",
		  "city: people.city; rows: people.ssn" },
		{ "SELECT city FROM people GROUP BY city HAVING max(ssn) > ''",
		  "city: people.city; rows: people.ssn" },
		{ "SELECT city FROM people QUALIFY row_number() OVER (ORDER BY ssn) = 1",
		  "city: people.city; rows: people.ssn" },
		{ "SELECT n FROM (SELECT city, count(*) AS n FROM people GROUP BY city)",
		  "n:; rows: people.city" },
		{ "SELECT amount FROM pay WHERE id IN (SELECT id FROM people WHERE ssn = '')",
		  "amount: pay.amount; rows: people.id people.ssn pay.id" },
	};
	expect_all(trials, ARRAY_LEN(trials));
}

Test(sql_lineage, columns_are_followed_through_joins_subqueries_ctes_and_unions)
{
	static const struct trial trials[] = {
		{ "SELECT * FROM people JOIN pay USING (id)",
		  "id: people.id pay.id; ssn: people.ssn; city: people.city; amount: pay.amount; "
		  "tags: pay.tags; rows: people.id pay.id" },
		{ "SELECT * FROM people NATURAL JOIN pay",
		  "id: people.id pay.id; ssn: people.ssn; city: people.city; amount: pay.amount; "
		  "tags: pay.tags; rows: people.id pay.id" },
		{ "SELECT b.*, a.ssn FROM people a LEFT JOIN pay b ON a.id = b.id",
		  "id: pay.id; amount: pay.amount; tags: pay.tags; ssn: people.ssn; "
		  "rows: people.id pay.id" },
		{ "SELECT * FROM pay SEMI JOIN people ON pay.tags[1] = people.ssn",
		  "id: pay.id; amount: pay.amount; tags: pay.tags; rows: people.ssn pay.tags" },
		{ "WITH q AS (SELECT ssn AS k FROM people), "
		  "r(z) AS (SELECT k || 'x' FROM q) SELECT z FROM r",
		  "z: people.ssn" },
		{ "WITH people AS (SELECT ssn AS id FROM people) SELECT id FROM people",
		  "id: people.ssn" },
		{ "SELECT (SELECT max(amount) FROM pay WHERE pay.id = p.id) AS m FROM people p",
		  "m: people.id pay.id pay.amount" },
		{ "SELECT * FROM (SELECT id, ssn FROM people UNION ALL "
		  "SELECT id, tags[1] FROM pay)",
		  "id: people.id pay.id; ssn: people.ssn pay.tags" },
		{ "SELECT u.t FROM pay, unnest(tags) AS u(t)", "t: pay.tags" },
		{ "SELECT v.a, city FROM (VALUES (1, 2)) v(a, b), people",
		  "a:; city: people.city" },
		{ "SELECT l.x FROM people p, LATERAL (SELECT p.ssn AS x) l", "x: people.ssn" },
	};
	expect_all(trials, ARRAY_LEN(trials));
}

Test(sql_lineage, what_cannot_be_said_is_everything_of_every_input)
{
	static const char *const tries[] = {
		"SELECT COLUMNS('i.*') FROM people",
		"SELECT ssn FROM people UNION ALL BY NAME SELECT id FROM pay",
		"FROM people PIVOT (count(*) FOR city IN ('a', 'b'))",
		"WITH RECURSIVE r AS (SELECT id FROM people UNION ALL SELECT id FROM r) FROM r",
		"SELECT unnest({'a': ssn, 'b': id}) FROM people",
		"SUMMARIZE people",
	};
	struct court court = court_open();
	for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
		const char *text = told(&court, tries[i]);
		cr_expect_eq(text[0], '~', "%s: %s", tries[i], text);
		cr_expect(strstr(text, ": people.* pay.*"), "%s: %s", tries[i], text);
		cr_expect(strstr(text, "rows: people.* pay.*"), "%s: %s", tries[i], text);
	}
	court_close(&court);
}

Test(sql_lineage, a_tree_that_is_missing_or_broken_is_everything)
{
	static const char *const trees[] = { NULL, "", "{", "{\"statements\":[]}", "[]" };
	struct court court = court_open();
	for (size_t i = 0; i < ARRAY_LEN(trees); i++) {
		struct value *lineage = NULL, *result = columns_of(&court, "SELECT 1 AS a");
		cr_assert_eq(sql_lineage(court.arena, trees[i], "hr", court.tables, result,
		                         &lineage, NULL), 0);
		cr_expect_not(value_get_bool(lineage, "exact", true));
		cr_expect_eq(value_len(value_get(lineage, "inputs")), 2);
		cr_expect_eq(value_len(value_get(value_get(lineage, "columns"), "a")), 2);
	}
	court_close(&court);
}

Test(sql_lineage, an_alias_that_is_no_text_is_no_name)
{
	static const char tree[] =
		"{\"statements\":[{\"node\":{\"type\":\"SELECT_NODE\",\"select_list\":"
		"[{\"alias\":7,\"class\":\"CONSTANT\"}],"
		"\"from_table\":{\"type\":\"EMPTY\",\"alias\":7}}}]}";
	struct court court = court_open();
	struct value *lineage = NULL, *result = columns_of(&court, "SELECT 1 AS a");
	cr_assert_eq(sql_lineage(court.arena, tree, "hr", court.tables, result, &lineage,
	                         NULL), 0);
	cr_expect_eq(value_len(value_get(value_get(lineage, "columns"), "a")), 0);
	court_close(&court);
}
