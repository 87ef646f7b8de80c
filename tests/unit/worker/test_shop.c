/* What the executor's halves share, on a real engine: tables, schemas, Parquet output. */
#include "common/defs.h"
#include "worker/shop.h"

#include "common/json.h"
#include "worker/channel.h"
#include "worker/duck.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static struct shop shop;
static int fds[2], link_fd;

static void setup(void)
{
	struct err err = { 0 };
	int pair[2];
	memset(&shop, 0, sizeof shop);
	cr_assert_eq(arena_new(64 * MIB, &shop.arena, NULL), 0);
	cr_assert_eq(duck_new(&shop.duck, &err), 0, "%s", err.text);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	pthread_mutex_init(&shop.mutex, NULL);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = memfd_create("part", MFD_CLOEXEC);
	shop.fds = fds;
	shop.fd_count = ARRAY_LEN(fds);
	shop.socket = pair[0];
	link_fd = pair[1];
}
static void teardown(void)
{
	duck_free(shop.duck);
	arena_free(shop.arena);
}
TestSuite(shop_work, .init = setup, .fini = teardown);

/* JSON with ' for ". */
static struct value *parse(const char *json)
{
	char *copy = arena_strdup(shop.arena, json);
	struct value *value = NULL;
	struct err err = { 0 };
	for (char *at = copy; *at; at++)
		if (*at == '\'')
			*at = '"';
	cr_assert_eq(json_parse(shop.arena, copy, strlen(copy), &value, &err), 0, "%s", err.text);
	return value;
}

static const char *as_text(const struct value *value)
{
	struct buf out;
	buf_init(&out, MIB);
	json_print(value, &out);
	cr_assert_eq(buf_check(&out, NULL), 0);
	const char *text = arena_strdup(shop.arena, (char *)out.data);
	buf_release(&out);
	return text;
}

static const char *rows_of(const char *sql)
{
	const struct value *rows = NULL;
	struct err err = { 0 };
	cr_assert_eq(duck_table(shop.duck, shop.arena, sql, 100, &rows, &err), 0, "%s: %s", sql,
	             err.text);
	return as_text(rows);
}

/* A Parquet file of the SELECT's rows in the descriptor with this index. */
static void fill(int index, const char *select)
{
	char sql[400];
	struct err err = { 0 };
	snprintf(sql, sizeof sql, "COPY (%s) TO '/proc/self/fd/%d' (FORMAT parquet, "
	         "USE_TMP_FILE false)", select, fds[index]);
	cr_assert_eq(duck_exec(shop.duck, sql, &err), 0, "%s", err.text);
}

static void open_tables(const char *job)
{
	struct err err = { 0 };
	shop.job = parse(job);
	cr_assert_eq(shop_tables(&shop, &err), 0, "%s", err.text);
}

static void refuse_tables(const char *job, int code, const char *text)
{
	struct err err = { 0 };
	shop.job = parse(job);
	cr_expect_eq(shop_tables(&shop, &err), code, "%s: %s", job, err.text);
	cr_expect_not_null(strstr(err.text, text), "\"%s\" is not in: %s", text, err.text);
}

Test(shop_work, a_member_names_a_descriptor_by_its_index_or_none)
{
	shop.job = parse("{'a':0,'b':1,'c':2,'d':-1,'e':'1'}");
	cr_expect_eq(shop_fd(&shop, "a"), fds[0]);
	cr_expect_eq(shop_fd(&shop, "b"), fds[1]);
	cr_expect_eq(shop_fd(&shop, "c"), -1, "the job brings two");
	cr_expect_eq(shop_fd(&shop, "d"), -1);
	cr_expect_eq(shop_fd(&shop, "e"), -1);
	cr_expect_eq(shop_fd(&shop, "f"), -1);
}

Test(shop_work, a_table_is_all_its_files_under_its_name_and_its_domain)
{
	fill(0, "SELECT 1 AS n");
	fill(1, "SELECT 2 AS n");
	open_tables("{'domain':'sales','tables':[{'domain':'sales','name':'visits','files':[0,1]},"
	            "{'domain':'ops','name':'visits','files':[1]}]}");
	cr_expect_str_eq(rows_of("SELECT n FROM visits ORDER BY n"), "[[1],[2]]");
	cr_expect_str_eq(rows_of("SELECT n FROM sales.visits ORDER BY n"), "[[1],[2]]");
	cr_expect_str_eq(rows_of("SELECT n FROM ops.visits"), "[[2]]");
}

Test(shop_work, a_table_without_files_has_its_declared_columns_and_no_rows)
{
	open_tables("{'domain':'sales','tables':[{'domain':'sales','name':'visits','files':[],"
	            "'schema':[{'name':'id','type':'int64'},{'name':'at','type':'timestamp'}]}]}");
	cr_expect_str_eq(rows_of("SELECT id, \"at\" FROM visits"), "[]");
	refuse_tables("{'domain':'sales','tables':[{'domain':'sales','name':'empty','files':[]}]}",
	              E_CONFLICT, "dataset sales.empty has no data");
}

Test(shop_work, names_are_no_sql)
{
	open_tables("{'domain':'d','tables':[{'domain':'d','name':'x\\\"; DROP VIEW d.y; --',"
	            "'files':[],'schema':[{'name':'a\\\"b','type':'int64'}]}]}");
	cr_expect_str_eq(rows_of("SELECT \"a\"\"b\" FROM \"x\"\"; DROP VIEW d.y; --\""), "[]");
}

Test(shop_work, a_job_that_names_what_it_does_not_bring_is_refused)
{
	refuse_tables("{'domain':'d','tables':[{'domain':'d','name':'t','files':[2]}]}",
	              E_INTERNAL, "a file it does not bring");
	refuse_tables("{'domain':'d','tables':[{'domain':'d','files':[0]}]}", E_INTERNAL,
	              "a table without a name");
	refuse_tables("{'tables':[]}", E_INTERNAL, "no domain");
	refuse_tables("{'domain':'d','tables':[{'domain':'d','name':'t','files':[],"
	              "'schema':[{'name':'a','type':'number'}]}]}", E_INVALID, "column 1");
}

Test(shop_work, a_selects_columns_are_said_in_our_types)
{
	struct value *schema = NULL;
	struct err err = { 0 };
	cr_assert_eq(shop_schema(&shop, "SELECT true AS a, 1::TINYINT AS b, 2::BIGINT AS c, "
	                         "1.5::FLOAT AS d, 1.25::DECIMAL(6,2) AS e, 'x' AS f, "
	                         "DATE '2001-01-01' AS g, TIMESTAMP '2001-01-01' AS h, "
	                         "'x'::BLOB AS i, [1] AS \"j k\"", &schema, &err), 0, "%s",
	             err.text);
	static const char *const types[] = {
		"boolean", "int32", "int64", "float64", "decimal(6,2)", "string", "date",
		"timestamp", "bytes", "string",
	};
	cr_assert_eq(value_len(schema), ARRAY_LEN(types));
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		cr_expect_str_eq(value_get_str(value_at(schema, i), "type"), types[i]);
	cr_expect_str_eq(value_get_str(value_at(schema, 9), "name"), "j k");
	cr_expect_lt(shop_schema(&shop, "SELECT nowhere", &schema, NULL), 0);
}

Test(shop_work, rows_are_written_cast_to_the_schema_with_their_figures)
{
	struct value *written = NULL;
	struct err err = { 0 };
	int copy = dup(fds[0]);
	shop.job = parse("{'out':0}");
	cr_assert_eq(shop_write(&shop, "SELECT * FROM (VALUES ('2', 'b', 0), ('10', NULL, 0)) "
	                        "AS v(n, \"s\"\"q\", dropped)",
	                        parse("[{'name':'n','type':'int64'},{'name':'s\\\"q','type':"
	                              "'string'}]"), "out", &written, &err), 0, "%s", err.text);
	cr_expect_eq(fcntl(fds[0], F_GETFD), -1, "the descriptor is closed");
	cr_expect_eq(value_get_int(written, "rows", -1), 2);
	cr_expect_gt(value_get_int(written, "plainBytes", -1), 0);
	const struct value *stats = value_get(written, "stats");
	cr_expect_eq(value_len(stats), 2);
	cr_expect_str_eq(value_get_str(value_get(stats, "n"), "min"), "2");
	cr_expect_str_eq(value_get_str(value_get(stats, "n"), "max"), "10");
	cr_expect_str_eq(value_get_str(value_get(stats, "n"), "nulls"), "0");
	cr_expect_str_eq(value_get_str(value_get(stats, "s\"q"), "nulls"), "1", "%s",
	                 as_text(stats));
	char sql[120];
	snprintf(sql, sizeof sql, "SELECT * FROM read_parquet('/proc/self/fd/%d') ORDER BY n",
	         copy);
	cr_expect_str_eq(rows_of(sql), "[[2,\"b\"],[10,null]]");
}

Test(shop_work, long_bounds_are_left_out_of_the_figures)
{
	struct value *written = NULL;
	struct err err = { 0 };
	shop.job = parse("{'out':0}");
	cr_assert_eq(shop_write(&shop, "SELECT repeat('x', 65) AS long, repeat('y', 64) AS fits",
	                        NULL, "out", &written, &err), 0, "%s", err.text);
	const struct value *stats = value_get(written, "stats");
	cr_expect_null(value_get_str(value_get(stats, "long"), "max"));
	cr_expect_not_null(value_get_str(value_get(stats, "fits"), "max"), "%s", as_text(stats));
}

Test(shop_work, writing_nowhere_or_what_does_not_cast_is_refused)
{
	struct value *written = NULL;
	struct err err = { 0 };
	shop.job = parse("{'out':0}");
	cr_expect_eq(shop_write(&shop, "SELECT 1 AS a", NULL, "rejects", &written, &err),
	             E_INTERNAL);
	cr_expect_lt(shop_write(&shop, "SELECT 'secret' AS a",
	                        parse("[{'name':'a','type':'int64'}]"), "out", &written, &err), 0);
	cr_expect_null(strstr(err.text, "secret"), "%s", err.text);
	cr_expect_null(written);
}

Test(shop_work, rows_go_to_the_agent_as_a_message)
{
	struct value *rows = value_map(shop.arena), *got = NULL;
	struct err err = { 0 };
	value_set_int(rows, "n", 7);
	cr_assert_eq(shop_send_rows(&shop, rows, &err), 0, "%s", err.text);
	cr_assert_eq(channel_receive(link_fd, shop.arena, &got, NULL, 0, NULL, &err), 0);
	cr_expect_str_eq(value_get_str(got, "event"), "rows");
	cr_expect_eq(value_get_int(got, "n", -1), 7);
	close(link_fd);
	cr_expect_eq(shop_send_rows(&shop, rows, &err), E_UNAVAILABLE);
}

Test(shop_work, the_phase_is_the_last_one_said)
{
	shop_phase(&shop, "reading");
	shop_phase(&shop, "writing");
	cr_expect_str_eq(shop.phase, "writing");
}
