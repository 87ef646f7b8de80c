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

static int judge(const char *sql, struct err *err)
{
	struct arena *arena = NULL;
	struct duck *duck = NULL;
	struct value *tables = NULL;
	const char *tree = NULL;
	cr_assert_eq(arena_new(64 * MIB, &arena, NULL), 0);
	cr_assert_eq(duck_new(&duck, NULL), 0);
	cr_assert_eq(json_parse(arena, inputs, strlen(inputs), &tables, NULL), 0);
	cr_assert_eq(duck_tree(duck, arena, sql, &tree, err), 0, "%s", err->text);
	cr_assert_not_null(tree, "%s", sql);
	int rc = sql_rules_check(tree, tables, err);
	duck_free(duck);
	arena_free(arena);
	return rc;
}

static void expect(const char *sql, int code)
{
	struct err err = {0};
	int rc = judge(sql, &err);
	cr_expect_eq(rc, code, "%s: %s %s", sql, err_name(rc), err.text);
}

Test(sql_rules, inputs_and_what_a_statement_defines_are_allowed)
{
	expect("SELECT * FROM visits", 0);
	expect("SELECT * FROM Sales.VISITS v JOIN memory.sales.visits w USING (a)", 0);
	expect("SELECT * FROM pg_events", 0);
	expect("WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 9) "
	       "SELECT n, (SELECT max(a) FROM visits) FROM t", 0);
	expect("SELECT unnest([1, 2]), x FROM range(3) AS r(x), json_each('{\"a\": 1}')", 0);
	expect("SELECT list_transform([1], lambda x: x + 1), 'read_text' FROM visits", 0);
	expect("SELECT a FROM visits QUALIFY row_number() OVER (PARTITION BY b ORDER BY c) = 1", 0);
	expect("VALUES ('duckdb_settings')", 0);
	expect("SUMMARIZE visits", 0);
}

Test(sql_rules, a_function_that_reads_files_is_refused_wherever_it_stands)
{
	expect("SELECT * FROM read_text('/proc/self/fd/4')", E_DENIED);
	expect("SELECT * FROM visits, \"Read_Blob\"('x')", E_DENIED);
	expect("SELECT (SELECT count(*) FROM glob('/*')) FROM visits", E_DENIED);
	expect("SELECT a FROM visits WHERE a IN (FROM read_csv('x'))", E_DENIED);
	expect("WITH x AS (SELECT * FROM parquet_scan('y')) SELECT 1", E_DENIED);
	expect("SELECT 1 UNION ALL (SELECT 2 FROM sniff_csv('x'))", E_DENIED);
	expect("SELECT a FROM visits ORDER BY (SELECT max(x) FROM read_json('x'))", E_DENIED);
	expect("SELECT list_transform([1], x -> (SELECT y FROM read_text('z') t(y)))", E_DENIED);
	expect("SELECT * FROM main.read_csv('x')", E_DENIED);
}

Test(sql_rules, sql_in_a_text_is_refused)
{
	expect("SELECT * FROM query('SELECT 1')", E_DENIED);
	expect("SELECT * FROM query_table('visits')", E_DENIED);
	expect("SELECT * FROM json_execute_serialized_sql('{}')", E_DENIED);
	expect("SELECT json_serialize_plan('SELECT 1')", E_DENIED);
}

Test(sql_rules, settings_and_the_engines_own_catalog_are_refused)
{
	expect("SELECT current_setting('memory_limit')", E_DENIED);
	expect("SELECT getenv('HOME')", E_DENIED);
	expect("SELECT * FROM duckdb_settings()", E_DENIED);
	expect("SELECT * FROM duckdb_settings", E_DENIED);
	expect("SELECT * FROM DuckDB_Views", E_DENIED);
	expect("SELECT * FROM pg_catalog.pg_class", E_DENIED);
	expect("SELECT * FROM information_schema.tables", E_DENIED);
	expect("SELECT * FROM system.information_schema.tables", E_DENIED);
	expect("SELECT * FROM sqlite_master", E_DENIED);
	expect("SELECT * FROM (SHOW ALL TABLES)", E_DENIED);
	expect("SELECT nextval('freehold_missing')", E_DENIED);
	expect("SELECT * FROM (WITH duckdb_views AS (SELECT 1) FROM duckdb_views), duckdb_views",
	       E_DENIED);
}

Test(sql_rules, a_path_is_no_table)
{
	expect("SELECT * FROM '/proc/self/fd/4'", E_DENIED);
	expect("SELECT * FROM 'a.parquet'", E_DENIED);
	expect("SELECT * FROM \"s3://example.com/x\"", E_DENIED);
}

Test(sql_rules, what_is_no_tree_is_refused)
{
	static const char *const wrong[] = {"", "x", "{", "{\"a\":[}", "{\"a", "{]", "}"};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		cr_expect_eq(sql_rules_check(wrong[i], NULL, NULL), E_INVALID, "%s", wrong[i]);
}
