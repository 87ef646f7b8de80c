/* The engine's door: cells, errors, the lock. */
#include "common/defs.h"
#include "worker/duck.h"
#include "worker/duck_error.h"
#include "common/json.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct duck *duck;
static struct arena *arena;
static struct err err;
static void setup(void)
{
	cr_assert_eq(duck_new(&duck, &err), 0, "%s", err.text);
	cr_assert_eq(arena_new(MIB, &arena, &err), 0);
}
static void teardown(void)
{
	duck_free(duck);
	arena_free(arena);
}
TestSuite(duck, .init = setup, .fini = teardown);

static const char *rows(const char *sql)
{
	const struct value *table;
	cr_assert_eq(duck_table(duck, arena, sql, 100, &table, &err), 0, "%s", err.text);
	struct buf text;
	buf_init(&text, 10000);
	json_print(table, &text);
	cr_assert_eq(buf_check(&text, &err), 0);
	const char *copy = arena_strdup(arena, (const char *)text.data);
	buf_release(&text);
	return copy;
}

Test(duck, gives_cells_by_their_types)
{
	cr_expect_str_eq(
		rows("SELECT true, 7, 8::BIGINT, 1.5::DOUBLE, 'a text longer than twelve', NULL, "
	             "TIMESTAMP '1970-01-01 00:00:01', ['x', 'y'], MAP {'k': MAP {'v': '1'}}"),
		"[[true,7,8,1.5,\"a text longer than twelve\",null,1000000,[\"x\",\"y\"],"
		"{\"k\":{\"v\":\"1\"}}]]");
}

Test(duck, refuses_more_rows_than_asked_for)
{
	const struct value *table;
	cr_expect_eq(duck_table(duck, arena, "FROM range(101)", 100, &table, &err), E_TOO_LARGE);
}

Test(duck, tells_a_failure_in_the_middle_of_the_rows)
{
	const struct value *table;
	cr_expect_eq(duck_table(duck, arena,
	                        "SELECT CAST(CASE WHEN range = 90000 THEN 'SECRET' ELSE '1' END "
	                        "AS INTEGER) FROM range(100000)",
	                        200000, &table, &err),
	             E_INPUT);
	cr_expect_null(strstr(err.text, "SECRET"), "%s", err.text);
	cr_expect(strstr(err.text, "INT32"), "%s", err.text);
}

Test(duck, opens_nothing_and_sets_nothing_once_locked)
{
	int fd = memfd_create("t", MFD_CLOEXEC);
	cr_assert_eq(write(fd, "a\n1\n", 4), 4);
	struct duck_limits limits = {.threads = 1, .memory_bytes = 512 * MIB};
	cr_assert_eq(duck_lock(duck, &limits, &fd, 1, &err), 0, "%s", err.text);
	char sql[100];
	snprintf(sql, sizeof sql, "SELECT * FROM read_csv('/proc/self/fd/%d')", fd);
	cr_expect_str_eq(rows(sql), "[[1]]");
	static const char *const refused[] = {
		"SELECT * FROM read_csv('/etc/passwd')",
		"SET threads = 4",
		"SET enable_external_access = true",
		"ATTACH '/tmp/x.db'",
		"INSTALL httpfs",
		"LOAD httpfs",
		"COPY (SELECT 1) TO '/tmp/x.csv'",
		"SELECT * FROM glob('/etc/*')",
		"RESET lock_configuration",
		"PRAGMA temp_directory='/tmp'",
	};
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		cr_expect_lt(duck_exec(duck, refused[i], &err), 0, "%s", refused[i]);
	close(fd);
}

Test(duck, takes_one_select_and_nothing_else)
{
	cr_expect_eq(duck_check_select(duck, "SELECT 1; -- one", &err), 0, "%s", err.text);
	cr_expect_eq(duck_check_select(duck, "WITH a AS (SELECT 1) FROM a", &err), 0, "%s",
	             err.text);
	static const char *const refused[] = {
		"",          "SELECT 1; SELECT 2", "DROP TABLE x",
		"SELECT $1", "SET threads = 1",    "COPY (SELECT 1) TO 'x'",
		"SELEC 1"};
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		cr_expect_eq(duck_check_select(duck, refused[i], &err), E_INVALID, "%s",
		             refused[i]);
}

Test(duck, quotes_names_and_texts)
{
	struct buf sql;
	buf_init(&sql, 100);
	duck_put_name(&sql, "a\"b");
	duck_put_text(&sql, "c'd");
	cr_assert_eq(buf_check(&sql, &err), 0);
	cr_expect_str_eq((char *)sql.data, "\"a\"\"b\"'c''d'");
	buf_release(&sql);
}

static const char *call_it(const void *context, int fd)
{
	return fd == 7 ? context : NULL;
}

Test(duck, replaces_paths_of_descriptors_in_messages)
{
	cr_expect_eq(duck_error_tell(BLAME_SQL,
	                             "Binder Error: \"/proc/self/fd/7\" and /proc/self/fd/12",
	                             call_it, "a.csv", &err),
	             E_INVALID);
	cr_expect_str_eq(err.text, "Binder Error: \"a.csv\" and a dataset's file");
}

Test(duck, tells_no_data_of_runtime_failures)
{
	cr_expect_eq(duck_error_tell(BLAME_DATA,
	                             "Conversion Error: Could not convert string 'INT8 SECRET' to "
	                             "INT32\n\nLINE 3: SELECT\n",
	                             NULL, NULL, &err),
	             E_INPUT);
	cr_expect_str_eq(
		err.text,
		"Conversion Error: a value does not fit the type it is converted to (types: "
		"INT32) at line 3 of the SQL; the value is not shown; TRY_CAST gives NULL instead "
		"of "
		"this failure");
}
