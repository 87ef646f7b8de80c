/* Queries that try to see more of a restricted input than its reader may. Two worlds are alike in
 * all that may be seen and differ in all that may not: rows that are filtered out, hidden columns,
 * what lies below masks. Whatever is asked, both answer the same: the same rows, or the same
 * error in the same words. */
#include "common/defs.h"
#include "common/json.h"
#include "tests/support/worksite.h"
#include "worker/duck.h"
#include "worker/shop.h"
#include "worker/types.h"
#include "worker/veil.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ROWS_MAX = 10000 };

struct world {
	struct shop shop;
	struct duck *duck;
	int fds[2]; /* the input, and a result */
};
static struct world worlds[2];

static const char job[] =
	"{'domain':'sales','out':1,'tables':[{'domain':'sales','name':'people','files':[0],"
	"'schema':[{'name':'id','type':'int32'},{'name':'region','type':'string'},"
	"{'name':'amount','type':'int64'},{'name':'code','type':'string'},"
	"{'name':'email','type':'string'},{'name':'born','type':'date'},"
	"{'name':'token','type':'string'},{'name':'pay','type':'decimal(10,2)'},"
	"{'name':'ssn','type':'string'}],"
	"'filter':['any',['in','region','eu'],['all',['like','region','eu-',''],['lt','id',50]]],"
	"'masks':{'email':'mask-alphanum','born':'truncate-to-year','pay':'mask-to-fixed-value',"
	"'token':'sha-256-query-local'},'hidden':['ssn']}]}";

/* Three rows that may be seen, below masks or not, and around them those that may not. */
static const char *const rows_of_world[] = {
	"SELECT * FROM (VALUES (1, 'eu', 10::BIGINT, '7', 'ann@example.com', DATE '1980-05-05', "
	"'t1', 100.00::DECIMAL(10,2), '111'), "
	"(9, 'us', 20, '9', 'joe@example.com', DATE '1970-01-01', 't9', 5, '999'), "
	"(2, 'eu', 30, '8', 'bob@example.com', DATE '1981-06-06', 't2', 200, '222'), "
	"(3, 'eu-1', 20, '6', 'cyd@example.com', DATE '1982-07-07', 't3', 300, '333')) "
	"AS v(id, region, amount, code, email, born, token, pay, ssn)",
	"SELECT * FROM (SELECT 100 + range::INTEGER AS id, 'us' AS region, 5000::BIGINT + range AS "
	"amount, 'secret' AS code, '(' AS email, DATE '2100-01-01' AS born, 'x' AS token, "
	"7.77::DECIMAL(10,2) AS pay, 's' AS ssn FROM range(6000)) UNION ALL "
	"SELECT * FROM (VALUES (1, 'eu', 10, '7', 'zoe@express.org', DATE '1980-12-31', 'u3', 1, "
	"'abc'), (2, 'eu', 30, '8', 'amy@freight.net', DATE '1981-01-01', 'u2', 2, 'd'), "
	"(8, NULL, 9223372036854775807, '', NULL, NULL, NULL, NULL, NULL), "
	"(3, 'eu-1', 20, '6', 'eve@example.com', DATE '1982-02-02', 'u1', 3, NULL)) UNION ALL "
	"SELECT * FROM (SELECT -1 - range::INTEGER, 'asia', -range, '[', 'a', '0001-01-01', 'y', "
	"0, '' FROM range(3000))",
};

/* JSON with ' for ". */
static struct value *parse(struct arena *arena, const char *json)
{
	char *copy = arena_strdup(arena, json);
	struct value *value = NULL;
	for (char *at = copy; *at; at++)
		*at = *at == '\'' ? '"' : *at;
	cr_assert_eq(json_parse(arena, copy, strlen(copy), &value, NULL), 0, "%s", json);
	return value;
}

/* As an executor begins, with the same order of things (executor.c). */
static void world_open(struct world *world, const char *rows)
{
	struct err err = {0};
	struct duck_limits limits = {.threads = 2, .memory_bytes = 1024 * MIB};
	memset(world, 0, sizeof *world);
	cr_assert_eq(arena_new(256 * MIB, &world->shop.arena, NULL), 0);
	cr_assert_eq(duck_new(&world->duck, &err), 0, "%s", err.text);
	for (int i = 0; i < 2; i++)
		world->fds[i] = memfd_create("part", MFD_CLOEXEC);
	const char *sql = arena_printf(world->shop.arena, "COPY (SELECT id::INTEGER AS id, region, "
	                               "amount::BIGINT AS amount, code, email, born::DATE AS born, "
	                               "token, pay::DECIMAL(10,2) AS pay, ssn FROM (%s)) TO "
	                               "'/proc/self/fd/%d' (FORMAT parquet, USE_TMP_FILE "
	                               "false, ROW_GROUP_SIZE 2048)",
	                               rows, world->fds[0]);
	cr_assert_eq(duck_exec(world->duck, sql, &err), 0, "%s", err.text);
	pthread_mutex_init(&world->shop.mutex, NULL);
	world->shop.duck = world->duck;
	world->shop.fds = world->fds;
	world->shop.fd_count = 2;
	world->shop.socket = -1;
	world->shop.job = parse(world->shop.arena, job);
	limits.rows_hidden = veil_hides_rows(value_get(world->shop.job, "tables"));
	cr_assert_eq(duck_lock(world->duck, &limits, world->fds, 2, &err), 0, "%s", err.text);
}

static void setup(void)
{
	for (int i = 0; i < 2; i++)
		world_open(&worlds[i], rows_of_world[i]);
}
static void teardown(void)
{
	for (int i = 0; i < 2; i++) {
		duck_free(worlds[i].duck);
		arena_free(worlds[i].shop.arena);
	}
}
TestSuite(see_around, .init = setup, .fini = teardown);

static const char *as_text(struct arena *arena, const struct value *value)
{
	AUTO_BUF out;
	buf_init(&out, 64 * MIB);
	json_print(value, &out);
	cr_assert_eq(buf_check(&out, NULL), 0);
	return arena_strdup(arena, (char *)out.data);
}

static const char *result_of(struct world *world)
{
	const struct value *rows = NULL;
	struct err err = {0};
	const char *sql = arena_printf(world->shop.arena,
	                               "SELECT * FROM read_parquet('/proc/self/fd/%d') ORDER "
	                               "BY ALL",
	                               world->fds[1]);
	cr_assert_eq(duck_table(world->duck, world->shop.arena, sql, ROWS_MAX, &rows, &err), 0,
	             "%s", err.text);
	return as_text(world->shop.arena, rows);
}

/* What a transformation with this SQL comes to: its rows, or its error. */
static const char *answer(struct world *world, const char *sql)
{
	struct shop *shop = &world->shop;
	struct err err = {0};
	struct value *work = value_map(shop->arena), *with = value_copy(shop->arena, shop->job);
	const struct value *before = shop->job;
	int fd = memfd_create("result", MFD_CLOEXEC);
	cr_assert(fd == world->fds[1] || dup3(fd, world->fds[1], O_CLOEXEC) >= 0);
	if (fd != world->fds[1])
		close(fd);
	int copy = fcntl(world->fds[1], F_DUPFD_CLOEXEC, 100);
	value_set_str(work, "sql", sql);
	value_set(with, "work", work);
	shop->job = with;
	shop->result = value_map(shop->arena);
	cr_assert_eq(shop_tables(shop, &err), 0, "%s", err.text);
	int rc = task_side(TASK_TRANSFORM)->work(shop, &err);
	shop->job = before;
	cr_assert(dup3(copy, world->fds[1], O_CLOEXEC) >= 0);
	close(copy);
	(void)!duck_exec(world->duck, "DROP SEQUENCE IF EXISTS freehold_missing", NULL);
	if (rc < 0)
		return arena_printf(shop->arena, "%s: %s", err_name(rc), err.text);
	return result_of(world);
}

/* Where SQL names a descriptor, each world has its own. */
static const char *told(struct world *world, const char *sql)
{
	const char *at = strstr(sql, "/fd/N");
	if (!at)
		return answer(world, sql);
	return answer(world, arena_printf(world->shop.arena, "%.*s/fd/%d%s", (int)(at - sql), sql,
	                                  world->fds[0], at + 5));
}

/* Without the numbers of descriptors. */
static const char *plain(struct world *world, const char *text)
{
	char number[16], *copy = arena_strdup(world->shop.arena, text), *at;
	snprintf(number, sizeof number, "/fd/%d", world->fds[0]);
	while ((at = strstr(copy, number)))
		memmove(at + 3, at + strlen(number), strlen(at + strlen(number)) + 1);
	return copy;
}

static void expect_alike(const char *const *tries, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *a = plain(&worlds[0], told(&worlds[0], tries[i]));
		const char *b = plain(&worlds[1], told(&worlds[1], tries[i]));
		cr_expect_str_eq(a, b, "%s\n  %.300s\n  %.300s", tries[i], a, b);
	}
}
#define EXPECT_ALIKE(tries) expect_alike(tries, ARRAY_LEN(tries))

static void expect_refused(const char *const *tries, size_t count)
{
	expect_alike(tries, count);
	for (size_t i = 0; i < count; i++) {
		const char *text = told(&worlds[1], tries[i]);
		cr_expect(text[0] != '[', "%s: %s", tries[i], text);
	}
}
#define EXPECT_REFUSED(tries) expect_refused(tries, ARRAY_LEN(tries))

Test(see_around, what_may_be_seen_is_seen)
{
	static const char *const tries[][2] = {
		{"SELECT id, region, amount, code, email, born, pay FROM people ORDER BY id",
		 "[[1,\"eu\",10,\"7\",\"xxx@xxxxxxx.xxx\",3652,null]"},
		{"SELECT count(*), sum(amount), max(code), count(DISTINCT token) FROM people",
		 "[[3,60,\"8\",3]]"},
		{"SELECT CAST(code AS INTEGER) AS n FROM people ORDER BY n", "[[6],[7],[8]]"},
	};
	for (size_t i = 0; i < ARRAY_LEN(tries); i++)
		for (int w = 0; w < 2; w++) {
			const char *text = answer(&worlds[w], tries[i][0]);
			cr_expect_eq(strncmp(text, tries[i][1], strlen(tries[i][1])), 0, "%s: %s",
			             tries[i][0], text);
		}
}

Test(see_around, whether_a_query_fails_hangs_on_no_hidden_row)
{
	static const char *const tries[] = {
		"SELECT count(*) AS n FROM people WHERE CAST(code AS INTEGER) > 0",
		"SELECT id FROM people WHERE CASE WHEN amount > 1000 THEN error('x') IS NULL ELSE "
		"true END",
		"SELECT id FROM people WHERE amount < 1000 OR error('x') IS NULL",
		"SELECT count(*) AS n FROM people WHERE amount * 4000000000000000 > 0",
		"SELECT id FROM people WHERE regexp_matches('x', code) OR true",
		"SELECT id FROM people WHERE NOT regexp_matches('(', code)",
		"SELECT id FROM people WHERE strptime(code, '%d') IS NOT NULL",
		"SELECT id FROM people WHERE code::INTEGER + 0 IN (6, 7, 8)",
		"SELECT id FROM people WHERE code > 5 ORDER BY id",
		/* what DuckDB takes for functions that do not fail, and moves into the scan */
		"SELECT id FROM people WHERE list_transform([amount], x -> x * 4000000000000000) "
		"IS "
		""
		"NOT NULL",
		"SELECT id FROM people WHERE list_transform([code], x -> CAST(x AS INTEGER))[1] > "
		"0",
		"SELECT id FROM people WHERE list_filter([amount], x -> CASE WHEN x > 4000 THEN "
		"error('x') IS NULL ELSE true END) = [amount]",
		"SELECT id FROM people WHERE list_reduce([code, code], (x, y) -> "
		"(x::INTEGER + y::INTEGER)::VARCHAR) IS NOT NULL",
		"SELECT id FROM people WHERE regexp_replace('x', code, 'y') = 'x'",
		"SELECT id FROM people WHERE string_split_regex('x', code) = ['x']",
		"SELECT id FROM people WHERE like_escape('x', 'y', code) IS NOT NULL",
		"SELECT id FROM people WHERE to_timestamp(amount) IS NOT NULL",
		"SELECT id FROM people WHERE epoch_ms(amount) IS NOT NULL",
		"SELECT a.id FROM people a JOIN people b USING (id) WHERE list_transform([a.code], "
		"x "
		"-> CAST(x AS INTEGER))[1] > 0",
		"SELECT id FROM (SELECT id, list_transform([code], x -> CAST(x AS INTEGER)) AS c "
		"FROM "
		"people) WHERE c[1] > 0",
		"SELECT id FROM people WHERE sqrt(amount) > 0",
		"SELECT id FROM people WHERE json_extract(code, '$') IS NOT NULL",
		"SELECT id FROM people WHERE from_base64(code || '===') IS NOT NULL",
		"SELECT id FROM people WHERE length(repeat('x', amount * 100000000000)) > 0",
		"SELECT id FROM people WHERE make_date(amount::INTEGER * 10000, 1, 1) IS NOT NULL",
		"SELECT id FROM people WHERE list_element([1], amount) IS NULL AND code::INT8 > 0",
		"SELECT a.id FROM people a JOIN people b ON CAST(a.code AS INTEGER) = b.id + 5",
		"SELECT a.id FROM people a LEFT JOIN people b ON CAST(b.code AS INTEGER) = a.id "
		"WHERE CAST(a.code AS INTEGER) > 0",
		"SELECT a.id FROM (SELECT id, CAST(code AS INTEGER) + floor(random()) AS c FROM "
		"people) a JOIN people b USING (id) WHERE a.c > 0",
		"SELECT a.id FROM (SELECT id, CAST(code AS INTEGER) AS c FROM people) a, people b "
		"WHERE a.id = b.id AND a.c > 0",
		"SELECT id FROM people p WHERE EXISTS (SELECT 1 FROM people q WHERE q.id = p.id "
		"AND "
		""
		"CAST(q.code AS INTEGER) > 0)",
		"SELECT id FROM people WHERE id IN (SELECT id FROM people WHERE CAST(code AS "
		"INTEGER) > 0)",
		"SELECT id FROM people p WHERE amount = (SELECT max(amount) FROM people q WHERE "
		"CAST(q.code AS INTEGER) > 0 AND q.region = p.region)",
		"WITH x AS MATERIALIZED (SELECT CAST(code AS INTEGER) AS c FROM people) SELECT "
		"count(*) AS n FROM x WHERE c > 1",
		"WITH x AS (SELECT CAST(code AS INTEGER) AS c FROM people) SELECT x.c FROM x JOIN "
		"x "
		""
		"y USING (c) WHERE c > 0",
		"SELECT CAST(code AS INTEGER) AS c, count(*) AS n FROM people GROUP BY c HAVING c "
		"> "
		"0",
		"SELECT region FROM people GROUP BY region HAVING max(CAST(code AS INTEGER)) > 0",
		"SELECT id FROM people QUALIFY row_number() OVER (PARTITION BY CAST(code AS "
		"INTEGER) "
		"ORDER BY id) = 1",
		"SELECT DISTINCT ON (CAST(code AS INTEGER)) id FROM people",
		"SELECT id FROM people ORDER BY CAST(code AS INTEGER) LIMIT 1",
		"SELECT id FROM people WHERE id > 0 UNION ALL SELECT CAST(code AS INTEGER) FROM "
		"people WHERE CAST(code AS INTEGER) > 0",
		"SELECT u FROM (SELECT unnest([CAST(code AS INTEGER)]) AS u FROM people) WHERE u > "
		"0",
		"SELECT count(*) AS n FROM people, range(2) AS r(i) WHERE CAST(code AS INTEGER) > "
		"i",
		"PIVOT (SELECT region, CAST(code AS INTEGER) AS c FROM people WHERE "
		"code::INTEGER > 0) ON region IN ('eu', 'us') USING sum(c)",
		"SELECT id FROM people WHERE DATE '2000-01-01' + (amount * 1000000000)::INTEGER > "
		"born",
	};
	EXPECT_ALIKE(tries);
}

Test(see_around, bounds_and_counts_are_of_what_may_be_seen)
{
	static const char *const tries[] = {
		/* a planner that knew amount's bounds would drop what can fail, or not */
		"SELECT amount > 100 AND CAST(region AS INTEGER) = 1 AS x FROM people",
		"SELECT amount < 100 OR region > 5 AS x FROM people",
		"SELECT CASE WHEN amount > 100 THEN CAST(region AS INTEGER) END AS x FROM people",
		"SELECT id FROM people WHERE amount > 100 AND CAST(region AS INTEGER) = 1",
		"SELECT amount > 100 AND CAST('a' || id AS INTEGER) = 1 AS x FROM people",
		"SELECT amount > 100 OR CAST('a' || id AS INTEGER) = 1 AS x FROM people",
		"SELECT CASE WHEN amount > 5000 THEN CAST('a' || id AS INTEGER) END AS x FROM "
		"people",
		"SELECT id FROM people WHERE amount > 100 AND error('x') IS NULL",
		"SELECT count(*) AS n FROM people a JOIN people b ON a.amount = b.amount + 100000 "
		"WHERE error('x') IS NULL",
		"SELECT min(id), max(id), min(amount), max(amount), min(code), max(code) FROM "
		"people",
		"SELECT min(born), max(born), min(email), max(email), min(pay), max(pay) FROM "
		"people",
		"SELECT count(*), count(region), count(DISTINCT amount), avg(amount) FROM people",
		"SELECT approx_count_distinct(id), approx_quantile(amount, 0.9), mode(code), "
		"histogram(amount)::VARCHAR FROM people",
		"SELECT * FROM (SUMMARIZE SELECT id, amount, code, email, born, pay FROM people)",
		"SELECT count(*) AS n FROM people WHERE amount IS NULL OR born IS NULL",
		"SELECT id FROM people TABLESAMPLE 100%",
		"SELECT count(*) AS n FROM (SELECT id FROM people USING SAMPLE 2 ROWS)",
		"SELECT id FROM people USING SAMPLE reservoir(2 ROWS) REPEATABLE (7)",
		"SELECT id FROM people USING SAMPLE bernoulli(50%) REPEATABLE (7)",
		"SELECT id FROM people USING SAMPLE system(50%) REPEATABLE (7)",
		"SELECT id FROM people USING SAMPLE system(50%) REPEATABLE (8)",
		"SELECT id FROM people USING SAMPLE system(50%) REPEATABLE (9)",
		"SELECT id FROM people USING SAMPLE system(30%) REPEATABLE (10)",
		"SELECT id FROM people USING SAMPLE system(60%) REPEATABLE (11)",
	};
	EXPECT_ALIKE(tries);
}

Test(see_around, order_and_place_are_of_what_may_be_seen)
{
	static const char *const tries[] = {
		"SELECT id FROM people LIMIT 2", "SELECT id FROM people LIMIT 1",
		"SELECT id FROM people LIMIT 1 OFFSET 1",
		"SELECT id, row_number() OVER () AS n FROM people",
		"SELECT list(id)::VARCHAR AS l FROM people",
		"SELECT id FROM people ORDER BY email, id LIMIT 1",
		"SELECT id FROM people ORDER BY born LIMIT 2",
		"SELECT id FROM people ORDER BY pay DESC, id LIMIT 1",
		"SELECT id FROM people ORDER BY amount DESC LIMIT 1",
		"SELECT id, rank() OVER (ORDER BY email) AS r FROM people",
		"SELECT id, lag(id) OVER (ORDER BY amount, id) AS l FROM people",
		"SELECT arg_max(id, email), arg_min(id, born), first(id ORDER BY pay, id) FROM "
		"people",
		"SELECT list(id ORDER BY email, id)::VARCHAR AS l FROM people",
		"SELECT id FROM people ORDER BY ALL LIMIT 3",
		"SELECT a.id FROM people a ASOF JOIN people b ON a.amount >= b.amount ORDER BY "
		"a.id",
		"SELECT string_agg(id::VARCHAR, ',') AS s FROM people",
	};
	EXPECT_ALIKE(tries);
}

Test(see_around, originals_are_met_by_no_comparison)
{
	static const char *const tries[] = {
		"SELECT id FROM people WHERE email = 'ann@example.com' OR email = "
		"'zoe@express.org'",
		"SELECT id FROM people WHERE email LIKE 'a%' OR email LIKE 'z%'",
		"SELECT id FROM people WHERE born = DATE '1980-05-05'",
		"SELECT id FROM people WHERE born > DATE '1980-01-01' AND born < DATE '1981-01-01'",
		"SELECT id FROM people WHERE pay > 50",
		"SELECT g, count(id) FROM (VALUES ('ann@example.com'), ('zoe@express.org')) v(g) "
		"LEFT "
		"JOIN people ON email = g GROUP BY g ORDER BY g",
		"SELECT id FROM people SEMI JOIN (VALUES (DATE '1980-05-05')) v(born) USING (born)",
		"SELECT email, count(*) AS n FROM people GROUP BY email",
		"SELECT hash(email) AS h, md5(email) AS m, email::BLOB AS b, length(email) AS l "
		"FROM "
		"people ORDER BY id",
		"SELECT id FROM people WHERE token = sha256('t1') OR token = sha256('u3') OR token "
		"= "
		"'t1'",
		"SELECT length(token) AS l, count(DISTINCT token) AS n FROM people GROUP BY l",
		"SELECT levenshtein(email, 'ann@example.com') AS d FROM people ORDER BY id",
		"SELECT to_json(p)->>'email' AS e, p.email AS f FROM people p ORDER BY id",
		"SELECT struct_extract(p, 'email') AS e FROM people p",
		"SELECT min(email) FILTER (WHERE email < 'b') AS e FROM people",
		"SELECT COLUMNS('(id|email|born|pay)') FROM people",
		"SELECT * EXCLUDE (token) FROM people",
		"SELECT v::VARCHAR AS v FROM (UNPIVOT (SELECT id::VARCHAR AS id, email FROM "
		"people) "
		""
		"ON email INTO NAME n VALUE v)",
	};
	EXPECT_ALIKE(tries);
}

Test(see_around, hidden_columns_have_no_name)
{
	static const char *const tries[] = {
		"SELECT ssn FROM people", "SELECT people.ssn FROM people",
		"SELECT sales.people.ssn FROM sales.people", "SELECT \"SSN\" FROM people",
		"SELECT id FROM people ORDER BY ssn", "SELECT id FROM people WHERE ssn > '2'",
		"SELECT struct_extract(p, 'ssn') FROM people p", "SELECT COLUMNS('ssn') FROM "
		"people",
		"SELECT id FROM people JOIN (VALUES ('111')) v(ssn) USING (ssn)",
		"SELECT * EXCLUDE (ssn) FROM people", "SELECT * REPLACE ('x' AS ssn) FROM people",
		"SELECT max(ssn) FROM people", "SELECT count(ssn) FROM people GROUP BY ssn",
		"SELECT rowid FROM people", "SELECT file_row_number FROM people",
		"SELECT filename FROM people", "SELECT people.file_index FROM people",
	};
	static const char *const seen[] = {
		"SELECT * FROM (DESCRIBE SELECT * FROM people)", "SELECT * FROM (SHOW people)",
		"DESCRIBE people",
		"SELECT id FROM people NATURAL JOIN (SELECT '111' AS ssn, 1 AS id)",
		"SELECT to_json(p)->>'ssn' AS s FROM people p",
	};
	EXPECT_REFUSED(tries);
	EXPECT_ALIKE(seen);
}

Test(see_around, nothing_leads_to_the_base)
{
	static const char *const tries[] = {
		"SELECT * FROM '/proc/self/fd/N'", "SELECT * FROM \"/proc/self/fd/N\"",
		"SELECT * FROM read_parquet('/proc/self/fd/N')",
		"SELECT * FROM parquet_scan(['/proc/self/fd/N'])",
		"SELECT * FROM parquet_metadata('/proc/self/fd/N')",
		"SELECT * FROM parquet_schema('/proc/self/fd/N')",
		"SELECT * FROM parquet_file_metadata('/proc/self/fd/N')",
		"SELECT * FROM parquet_bloom_probe('/proc/self/fd/N', 'ssn', '111')",
		"SELECT * FROM read_blob('/proc/self/fd/N')", "SELECT * FROM "
		"glob('/proc/self/fd/N')",
		"SELECT (SELECT max(ssn) FROM read_parquet('/proc/self/fd/N')) FROM people",
		"SELECT * FROM query('SELECT * FROM ''/proc/self/fd/N''')",
		"SELECT * FROM query_table('people')",
		"SELECT sql FROM duckdb_views()", "SELECT sql FROM duckdb_views",
		"SELECT * FROM duckdb_columns()", "SELECT * FROM duckdb_tables()",
		"SELECT * FROM duckdb_functions()", "SELECT * FROM duckdb_settings()",
		"SELECT * FROM information_schema.columns", "SELECT * FROM pg_catalog.pg_views",
		"SELECT * FROM sqlite_master", "SELECT * FROM pragma_table_info('people')",
		"SELECT * FROM pragma_storage_info('people')", "SELECT pg_get_viewdef(1)",
		"SELECT max(pg_get_viewdef(range)) FROM range(5000)",
		"SELECT current_setting('allowed_paths')", "SELECT current_query()",
		"SELECT stats(amount) FROM people", "SELECT vector_type(amount) FROM people",
		"SELECT * FROM (SHOW ALL TABLES)", "SHOW TABLES", "CHECKPOINT",
		"SELECT * FROM histogram(people, amount)",
		"EXPLAIN SELECT * FROM people", "EXPLAIN ANALYZE SELECT * FROM people",
		"SELECT * FROM (EXPLAIN SELECT * FROM people)", "PRAGMA table_info('people')",
		"PRAGMA show('people')",
		"SET disabled_optimizers = ''", "CALL pragma_table_info('people')",
		"COPY people TO '/proc/self/fd/N'", "DROP VIEW people",
		"CREATE OR REPLACE VIEW people AS SELECT 1", "ATTACH ':memory:' AS m",
		"SELECT * FROM people; SELECT 1", "SELECT * FROM freehold_people",
		"SELECT json_serialize_plan('SELECT * FROM people')",
		"SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
	};
	EXPECT_REFUSED(tries);
}

Test(see_around, masks_cannot_be_called_with_guesses)
{
	static const char *const tries[] = {
		"SELECT \"freehold_sha-256-query-local_string\"('ann')",
		"SELECT main.\"freehold_sha-256-query-local_string\"('ann')",
		"SELECT 'ann'.\"freehold_sha-256-query-local_string\"()",
		"SELECT \"FREEHOLD_sha-256-query-local_string\"('ann')",
		"SELECT id FROM people WHERE token = \"freehold_sha-256-query-local_string\"('t1')",
		"SELECT list_transform(['t1'], x -> \"freehold_sha-256-query-local_string\"(x))",
		"SELECT list_aggregate(['t1'], 'freehold_sha-256-query-local_string')",
		"SELECT * FROM \"freehold_sha-256-query-local_string\"('t1')",
	};
	EXPECT_REFUSED(tries);
}

/* --- by a whole worker --- */

static struct report transform(struct worksite *site, const struct grant_table *input,
                               const char *sql)
{
	struct grant_table output = worksite_table("out", "ds2", NULL, NULL, site);
	struct value *work = value_map(site->arena);
	value_set_str(work, "sql", sql);
	struct grant grant = worksite_grant(site, TASK_TRANSFORM, work);
	grant.inputs = input;
	grant.input_count = 1;
	grant.outputs = &output;
	grant.output_count = 1;
	return worksite_run(site, &grant);
}

static struct grant_table load(struct worksite *site, const char *csv)
{
	static const char columns[] = "id:int32;region:string;amount:int64;email:string;ssn:string";
	worksite_file(site, "p.csv", csv, strlen(csv));
	struct grant_table table = worksite_table("people", "ds1", worksite_schema(site, columns),
	                                          NULL, site);
	struct grant grant = worksite_grant(
		site, TASK_INGEST, worksite_map(site, "{'connector':'file','path':'p.csv',"
	                                        "'format':'csv','mode':'append'}"));
	grant.outputs = &table;
	grant.output_count = 1;
	struct report report = worksite_run(site, &grant);
	cr_assert_eq(report.code, 0, "%s", report.text);
	return worksite_table("people", "ds1", worksite_schema(site, columns), report.outputs,
	                      site);
}

Test(see_around, a_worker_runs_a_task_on_what_its_grant_leaves_and_no_more)
{
	struct worksite site;
	worksite_open(&site, 0, false);
	struct grant_table people = load(&site, "id,region,amount,email,ssn\n"
	                                 "1,eu,10,ann@example.com,111\n"
	                                 "2,us,5000,joe@example.com,222\n"
	                                 "3,eu,30,bob@example.com,333\n");
	people.restriction = (struct restriction){
		worksite_map(&site, "['eq','region','eu']"),
		worksite_map(&site, "{'email':'show-last-4'}"), worksite_map(&site, "['ssn']")};
	struct report report = transform(&site, &people, "SELECT * FROM people ORDER BY id");
	cr_assert_eq(report.code, 0, "%s", report.text);
	cr_expect_str_eq(worksite_query(&site, "ds2", report.outputs[0].files[0].path, "FROM t"),
	                 "[[1,\"eu\",10,\"xxx@xxxxxxx.com\"],[3,\"eu\",30,\"xxx@xxxxxxx.com\"]]");
	/* Whoever knew that no amount at all is above 9000 would not compute the rest. */
	report = transform(&site, &people, "SELECT amount > 9000 AND CAST(region AS INTEGER) = 1 "
	                   "AS x FROM people");
	cr_expect_eq(report.code, E_INPUT, "%d %s", report.code, report.text);
	report = transform(&site, &people, "SELECT ssn FROM people");
	cr_expect_eq(report.code, E_INVALID, "%d %s", report.code, report.text);
	worksite_close(&site);
}
