/* What a tenant's SELECT may name, judged by trees as DuckDB makes them. */
#include "common/defs.h"
#include "common/arena.h"
#include "common/json.h"
#include "worker/duck.h"
#include "worker/sql_rules.h"

#include <criterion/criterion.h>
#include <string.h>

static const char inputs[] = "[{\"domain\":\"sales\",\"name\":\"visits\"},"
                             "{\"domain\":\"main\",\"name\":\"pg_events\"}]";

/* The engine takes its time to open: one for many. */
struct court {
	struct arena *arena;
	struct duck *duck;
	struct value *tables;
};

static struct court court_open(void)
{
	struct court court = {.tables = NULL};
	cr_assert_eq(arena_new(64 * MIB, &court.arena, NULL), 0);
	cr_assert_eq(duck_new(&court.duck, NULL), 0);
	cr_assert_eq(json_parse(court.arena, inputs, strlen(inputs), &court.tables, NULL), 0);
	return court;
}

static void court_close(struct court *court)
{
	duck_free(court->duck);
	arena_free(court->arena);
}

static void expect(const struct court *court, const char *sql, int code)
{
	struct err err = {0};
	const char *tree = NULL;
	cr_assert_eq(duck_tree(court->duck, court->arena, sql, &tree, &err), 0, "%s", err.text);
	cr_assert_not_null(tree, "%s", sql);
	int rc = sql_rules_check(tree, court->tables, &err);
	cr_expect_eq(rc, code, "%s: %s %s", sql, err_name(rc), err.text);
}

Test(sql_rules, inputs_and_what_a_statement_defines_are_allowed)
{
	static const char *const tries[] = {
		"SELECT * FROM visits",
		"SELECT * FROM Sales.VISITS v JOIN memory.sales.visits w USING (a)",
		"SELECT * FROM pg_events",
		"WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 9) "
		"SELECT n, (SELECT max(a) FROM visits) FROM t",
		"SELECT unnest([1, 2]), x FROM range(3) AS r(x), json_each('{\"a\": 1}')",
		"SELECT list_transform([1], lambda x: x + 1), 'read_text' FROM visits",
		"SELECT a FROM visits QUALIFY row_number() OVER (PARTITION BY b ORDER BY c) = 1",
		"VALUES ('duckdb_settings')",
		"SUMMARIZE visits",
	};
	struct court court = court_open();
	for (size_t i = 0; i < ARRAY_LEN(tries); i++)
		expect(&court, tries[i], 0);
	court_close(&court);
}

Test(sql_rules, whatever_looks_elsewhere_is_refused)
{
	static const char *const tries[] = {
		/* functions that read files, wherever they stand */
		"SELECT * FROM read_text('/proc/self/fd/4')",
		"SELECT * FROM visits, \"Read_Blob\"('x')",
		"SELECT (SELECT count(*) FROM glob('/*')) FROM visits",
		"SELECT a FROM visits WHERE a IN (FROM read_csv('x'))",
		"WITH x AS (SELECT * FROM parquet_scan('y')) SELECT 1",
		"SELECT 1 UNION ALL (SELECT 2 FROM sniff_csv('x'))",
		"SELECT a FROM visits ORDER BY (SELECT max(x) FROM read_json('x'))",
		"SELECT list_transform([1], x -> (SELECT y FROM read_text('z') t(y)))",
		"SELECT * FROM main.read_csv('x')",
		/* SQL in a text */
		"SELECT * FROM query('SELECT 1')",
		"SELECT * FROM query_table('visits')",
		"SELECT * FROM json_execute_serialized_sql('{}')",
		"SELECT json_serialize_plan('SELECT 1')",
		/* settings, and the engine's own catalog */
		"SELECT current_setting('memory_limit')",
		"SELECT getenv('HOME')",
		"SELECT * FROM duckdb_settings()",
		"SELECT * FROM duckdb_settings",
		"SELECT * FROM DuckDB_Views",
		"SELECT * FROM pg_catalog.pg_class",
		"SELECT * FROM information_schema.tables",
		"SELECT * FROM system.information_schema.tables",
		"SELECT * FROM sqlite_master",
		"SELECT * FROM (SHOW ALL TABLES)",
		"SELECT nextval('freehold_missing')",
		"SELECT * FROM (WITH duckdb_views AS (SELECT 1) FROM duckdb_views), duckdb_views",
		/* paths */
		"SELECT * FROM '/proc/self/fd/4'",
		"SELECT * FROM 'a.parquet'",
		"SELECT * FROM \"s3://example.com/x\"",
	};
	struct court court = court_open();
	for (size_t i = 0; i < ARRAY_LEN(tries); i++)
		expect(&court, tries[i], E_DENIED);
	court_close(&court);
}

Test(sql_rules, what_is_no_tree_is_refused)
{
	static const char *const wrong[] = {"", "x", "{", "{\"a\":[}", "{\"a", "{]", "}"};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		cr_expect_eq(sql_rules_check(wrong[i], NULL, NULL), E_INVALID, "%s", wrong[i]);
}

Test(sql_rules, what_only_compares_and_reckons_is_plain)
{
	static const struct { const char *sql; bool plain; } tries[] = {
		{"SELECT * FROM visits", true},
		{"SELECT a, count(*), sum(b) + 1, avg(DISTINCT c) FROM visits v JOIN visits w "
		 "USING (a) WHERE b BETWEEN 1 AND 2 AND d LIKE 'x%' OR NOT e IN (1, 2) GROUP BY a "
		 "HAVING min(f) > 3 ORDER BY 2 LIMIT 4", true},
		{"SELECT CAST(a AS INTEGER), CASE WHEN b IS NULL THEN 1 END FROM visits WHERE "
		 "EXISTS (SELECT 1 FROM visits)", true},
		{"SELECT row_number() OVER (PARTITION BY a ORDER BY b) FROM visits", true},
		{"SELECT list_transform([a], x -> x * 4) FROM visits", false},
		{"SELECT a FROM visits WHERE regexp_replace(a, b, 'c') = 'd'", false},
		{"SELECT a FROM visits ORDER BY (SELECT max(to_timestamp(b)) FROM visits)", false},
		{"WITH x AS (SELECT chr(a) AS b FROM visits) SELECT count(*) FROM x", false},
		{"SELECT a FROM visits WHERE a COLLATE NOCASE = 'b'", false},
		{"SELECT i FROM range(3) AS r(i)", false},
		{"SELECT {'a': a} FROM visits", false},
		{"SELECT sum(hash(a)) OVER () FROM visits", false},
	};
	struct court court = court_open();
	for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
		const char *tree = NULL;
		cr_assert_eq(duck_tree(court.duck, court.arena, tries[i].sql, &tree, NULL), 0);
		cr_expect_eq(sql_rules_plain(tree), tries[i].plain, "%s", tries[i].sql);
	}
	cr_expect_not(sql_rules_plain("{\"a\":[}"));
	court_close(&court);
}
