/* test_query.c - queries with control played by this test and executors that are this program: what
 * is asked for, what comes out, and every way a query may end before its time. */
#include "common/defs.h"
#include "tests/support/process.h"
#include "tests/support/worksite.h"
#include "worker/meter.h"
#include "worker/query.h"
#include "worker/t_query.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROOM_REFUSALS = 3, TRIES_MAX = 100 };
#define ENDLESS "SELECT count(*) FROM range(100000000000) t(i) WHERE hash(i) = 3"

struct rig {
	struct worksite site;
	struct meter *meter;
	struct queries *queries;
	struct queries_conf conf;
	struct grant_table table;
	int asked;
	char seen[256];              /* what control was asked for */
	int refuse;                  /* with this code */
	bool other_sql;              /* the grant is for another one */
	struct buf out;
	int (*event)(struct rig *rig); /* while it runs; 0: it is not wanted any more */
	int full;                    /* how often the reader has no room yet */
	struct err inner;            /* of a query within an event */
	int tries;                   /* of such */
};

static const char visits[] = "who,day,score,ok\nann,2001-01-01 00:00:00,1.5,true\n"
			     "bob,2001-01-02 00:00:00,2.5,false\n"
			     "\"a, \"\"b\"\"\",2001-01-03 00:00:00,7.5,\n";
static const char columns[] = "who:string;day:timestamp;score:float64;ok:boolean";

/* ---- control, as far as queries see it ---- */

static int play_control(void *context, const struct access_ask *ask, struct arena *arena,
                        struct grant **ret_grant, struct err *err)
{
	struct rig *rig = context;
	struct buf bytes;
	char *at = rig->seen;
	rig->asked++;
	at += sprintf(at, "%s %s:", ask->credential, ask->purpose ? ask->purpose : "-");
	for (size_t i = 0; i < ask->query->table_count; i++)
		at += sprintf(at, " %.60s", ask->query->tables[i]);
	if (rig->refuse)
		return err_set(err, rig->refuse, "control says no");
	struct value *work = value_map(arena);
	char other[65];
	memset(other, 'a', 64);
	other[64] = 0;
	value_set_str(work, "sha256", rig->other_sql ? other : ask->query->sha256);
	value_set_str(work, "account", "sales");
	struct grant grant = worksite_grant(&rig->site, TASK_QUERY, work);
	grant.task = ask->query->id;
	grant.inputs = &rig->table;
	grant.input_count = ask->query->table_count ? 1 : 0;
	buf_init(&bytes, MIB);
	int rc = grant_sign(rig->site.signer, &grant, rig->site.runner.opener.box_public, &bytes,
	                    err);
	if (rc == 0)
		rc = grant_open(&rig->site.runner.opener, clock_unix_ms(clock_system()), arena,
		                bytes.data, bytes.len, ret_grant, err);
	buf_release(&bytes);
	return rc;
}

/* ---- the client ---- */

static int put(void *context, const void *data, size_t len, struct err *err)
{
	struct rig *rig = context;
	(void)!buf_put(&rig->out, data, len);
	return buf_check(&rig->out, err);
}

static bool has_room(void *context)
{
	struct rig *rig = context;
	return rig->full-- <= 0;
}

static bool is_wanted(void *context)
{
	struct rig *rig = context;
	return !rig->event || rig->asked == 0 || rig->event(rig);
}

static int run_as(struct rig *rig, const char *sql, const char *format, int64_t limit,
                  struct query_result *ret_result, struct err *err)
{
	const struct query query = {
		.id = "01query", .sql = sql, .format = format, .limit = limit,
		.credential = "key", .domain = "sales", .purpose = "planning",
		.sink = { put, has_room, is_wanted, rig },
	};
	AUTO(arena) *arena = NULL;
	buf_clear(&rig->out);
	cr_assert_eq(arena_new(64 * MIB, &arena, NULL), 0);
	int rc = queries_run(rig->queries, &query, arena, ret_result, err);
	buf_putc(&rig->out, 0);
	return rc;
}

static int run(struct rig *rig, const char *sql, struct err *err)
{
	struct query_result result;
	*err = (struct err){ 0 };
	return run_as(rig, sql, "json", 0, &result, err);
}

static const char *text(const struct rig *rig)
{
	return (const char *)rig->out.data;
}

/* ---- the rig ---- */

static void load(struct rig *rig)
{
	struct worksite *site = &rig->site;
	const struct value *schema = worksite_schema(site, columns);
	worksite_file(site, "v.csv", visits, sizeof visits - 1);
	rig->table = worksite_table("visits", "ds1", schema, NULL, site);
	struct grant grant = worksite_grant(
		site, TASK_INGEST, worksite_map(site, "{'connector':'file','path':'v.csv',"
	                                              "'format':'csv','mode':'append'}"));
	grant.outputs = &rig->table;
	grant.output_count = 1;
	struct report report = worksite_run(site, &grant);
	cr_assert_eq(report.code, 0, "%s", report.text);
	rig->table = worksite_table("visits", "ds1", schema, report.outputs, site);
}

static void open_queries(struct rig *rig)
{
	cr_assert_eq(queries_new(&rig->conf, &rig->queries, NULL), 0);
}

static struct rig *rig_open(void)
{
	struct rig *rig = calloc(1, sizeof *rig);
	struct err err = { 0 };
	char path[160];
	cr_assert_not_null(rig);
	worksite_open(&rig->site, 1, false);
	snprintf(path, sizeof path, "%s/meter", rig->site.root);
	cr_assert_eq(meter_new(path, &rig->meter, &err), 0, "%s", err.text);
	load(rig);
	rig->conf = (struct queries_conf){
		.runner = &rig->site.runner, .meter = rig->meter, .ask = play_control,
		.context = rig, .most = 4, .bytes_max = 16 * MIB,
	};
	limits_default(&rig->conf.limits);
	open_queries(rig);
	buf_init(&rig->out, 64 * MIB);
	return rig;
}

static void rig_close(struct rig *rig)
{
	struct queries_status status;
	queries_status(rig->queries, &status);
	cr_expect_eq(status.running, 0, "nothing is left running");
	queries_free(rig->queries);
	meter_free(rig->meter);
	buf_release(&rig->out);
	worksite_close(&rig->site);
	free(rig);
}

/* ---- what comes out ---- */

Test(query, gives_the_rows_in_each_format)
{
	struct rig *rig = rig_open();
	struct query_result result;
	struct err err = { 0 };
	cr_assert_eq(run_as(rig, "SELECT * FROM visits ORDER BY day", "json", 0, &result, &err), 0,
	             "%s", err.text);
	cr_expect_str_eq(text(rig),
	                 "{\"columns\":[{\"name\":\"who\",\"type\":\"string\"},{\"name\":\"day\","
	                 "\"type\":\"timestamp\"},{\"name\":\"score\",\"type\":\"float64\"},"
	                 "{\"name\":\"ok\",\"type\":\"boolean\"}],\"rows\":[\n"
	                 "[\"ann\",\"2001-01-01T00:00:00.000000Z\",1.5,true],\n"
	                 "[\"bob\",\"2001-01-02T00:00:00.000000Z\",2.5,false],\n"
	                 "[\"a, \\\"b\\\"\",\"2001-01-03T00:00:00.000000Z\",7.5,null]],\n"
	                 "\"rowCount\":3,\"more\":false}\n");
	cr_expect_eq(result.rows, 3);
	cr_assert_eq(run_as(rig, "SELECT who, ok FROM sales.visits ORDER BY day", "jsonl", 0,
	                    &result, &err), 0, "%s", err.text);
	cr_expect_str_eq(text(rig), "{\"who\":\"ann\",\"ok\":true}\n"
	                            "{\"who\":\"bob\",\"ok\":false}\n"
	                            "{\"who\":\"a, \\\"b\\\"\",\"ok\":null}\n");
	cr_assert_eq(run_as(rig, "SELECT who, score FROM Visits ORDER BY day", "csv", 0, &result,
	                    &err), 0, "%s", err.text);
	cr_expect_str_eq(text(rig),
	                 "who,score\r\nann,1.5\r\nbob,2.5\r\n\"a, \"\"b\"\"\",7.5\r\n");
	cr_assert_eq(run_as(rig, "SELECT * FROM visits", "parquet", 0, &result, &err), 0, "%s",
	             err.text);
	cr_expect_eq(result.rows, 3);
	cr_assert_gt(rig->out.len, 9);
	cr_expect(memcmp(rig->out.data, "PAR1", 4) == 0);
	cr_expect(memcmp(rig->out.data + rig->out.len - 5, "PAR1", 4) == 0, "it has its end");
	rig_close(rig);
}

Test(query, gives_no_more_rows_than_asked_and_says_that_there_are_more)
{
	struct rig *rig = rig_open();
	struct query_result result;
	struct err err = { 0 };
	cr_assert_eq(run_as(rig, "SELECT who FROM visits ORDER BY day DESC", "json", 2, &result,
	                    &err), 0, "%s", err.text);
	cr_expect_not_null(strstr(text(rig), "\"bob\"]],\n\"rowCount\":2,\"more\":true}"), "%s",
	                   text(rig));
	cr_expect_eq(result.rows, 2);
	cr_expect(result.more);
	cr_assert_eq(run_as(rig, "SELECT who FROM visits ORDER BY day", "csv", 1, &result, &err),
	             0);
	cr_expect_str_eq(text(rig), "who\r\nann\r\n");
	rig_close(rig);
}

Test(query, writes_every_type_as_json_that_json_knows)
{
	struct rig *rig = rig_open();
	struct err err;
	cr_assert_eq(run(rig, "SELECT 'nan'::DOUBLE AS a, 1.50::DECIMAL(9,2) AS b, "
	                      "12345678901234567890::HUGEINT AS c, 'a'::BLOB AS d, "
	                      "DATE '2001-02-03' AS e, [1, 2] AS f, 'x' AS \"g\"\"h\", NULL AS i",
	                 &err), 0, "%s", err.text);
	cr_expect_not_null(strstr(text(rig), "[\"nan\",\"1.50\",12345678901234567890,\"YQ==\","
	                                     "\"2001-02-03\",[1,2],\"x\",null]"), "%s", text(rig));
	cr_expect_not_null(strstr(text(rig), "{\"name\":\"g\\\"h\",\"type\":\"string\"}"));
	cr_expect_not_null(strstr(text(rig), "{\"name\":\"f\",\"type\":\"json\"}"));
	rig_close(rig);
}

/* ---- what is asked for ---- */

Test(query, asks_for_what_the_sql_names_and_for_nothing_it_defines)
{
	static const struct { const char *sql, *seen; } tries[] = {
		{ "SELECT 1", "key planning:" },
		{ "SELECT * FROM VISITS", "key planning: visits" },
		{ "WITH t AS (SELECT * FROM Sales.Visits), visits AS (SELECT * FROM t) "
		  "SELECT count(*) FROM visits, t", "key planning: sales.visits" },
		{ "SELECT (SELECT max(score) FROM visits) FROM visits v WHERE EXISTS (FROM visits)",
		  "key planning: visits" },
		{ "SELECT 'FROM secrets' FROM range(3) -- FROM secrets", "key planning:" },
	};
	struct rig *rig = rig_open();
	struct err err;
	for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
		cr_expect_eq(run(rig, tries[i].sql, &err), 0, "%s: %s", tries[i].sql, err.text);
		cr_expect_str_eq(rig->seen, tries[i].seen, "%s: %s", tries[i].sql, rig->seen);
	}
	rig_close(rig);
}

Test(query, refuses_what_is_no_select_over_datasets_before_control_is_asked)
{
	static const struct { const char *sql; int code; const char *said; } tries[] = {
		{ "SELECT 1\nFORM visits x", E_INVALID, "line 2, column " },
		{ "DROP TABLE visits", E_INVALID, "one SELECT" },
		{ "SELECT 1; SELECT 2", E_INVALID, "SELECT" },
		{ "", E_INVALID, "SELECT" },
		{ "COPY (SELECT 1) TO '/tmp/x'", E_INVALID, "one SELECT" },
		{ "ATTACH '/etc/passwd' AS p", E_INVALID, "one SELECT" },
		{ "SELECT * FROM read_text('/etc/passwd')", E_DENIED, "read_text" },
		{ "SELECT * FROM '/etc/passwd'", E_DENIED, "path" },
		{ "SELECT * FROM duckdb_settings()", E_DENIED, "duckdb_settings" },
		{ "SELECT getenv('HOME')", E_DENIED, "getenv" },
		{ "SELECT * FROM query('SELECT 1')", E_DENIED, "query" },
	};
	struct rig *rig = rig_open();
	struct err err;
	for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
		cr_expect_eq(run(rig, tries[i].sql, &err), tries[i].code, "%s: %s %s", tries[i].sql,
		             err_name(err.code), err.text);
		cr_expect_not_null(strstr(err.text, tries[i].said), "%s: %s", tries[i].sql,
		                   err.text);
		cr_expect_eq(rig->asked, 0, "%s", tries[i].sql);
	}
	rig_close(rig);
}

Test(query, tells_controls_refusal_in_its_words_and_takes_no_grant_for_another_sql)
{
	struct rig *rig = rig_open();
	struct err err;
	rig->refuse = E_NOT_FOUND;
	cr_expect_eq(run(rig, "SELECT * FROM visits", &err), E_NOT_FOUND);
	cr_expect_str_eq(err.text, "control says no");
	rig->refuse = E_UNAVAILABLE;    /* which is no word of its executor's end */
	cr_expect_eq(run(rig, "SELECT * FROM visits", &err), E_UNAVAILABLE, "%s", err.text);
	cr_expect_str_eq(err.text, "control says no");
	rig->refuse = 0;
	rig->other_sql = true;
	cr_expect_eq(run(rig, "SELECT * FROM visits", &err), E_DENIED);
	cr_expect_not_null(strstr(err.text, "another query"), "%s", err.text);
	rig_close(rig);
}

Test(query, sees_of_a_restricted_dataset_what_its_grant_leaves)
{
	struct rig *rig = rig_open();
	struct err err;
	struct worksite *site = &rig->site;
	rig->table.restriction.masks = worksite_map(site, "{'who':'replace-with-null'}");
	struct value *hidden = value_list(site->arena);
	value_add_str(hidden, "ok");
	rig->table.restriction.hidden = hidden;
	cr_assert_eq(run(rig, "SELECT * FROM visits ORDER BY day", &err), 0, "%s", err.text);
	cr_expect_null(strstr(text(rig), "ann"), "%s", text(rig));
	cr_expect_null(strstr(text(rig), "\"ok\""), "%s", text(rig));
	cr_expect_not_null(strstr(text(rig), "[null,\"2001-01-01T00:00:00.000000Z\",1.5]"), "%s",
	                   text(rig));
	cr_expect_eq(run(rig, "SELECT ok FROM visits", &err), E_INVALID, "%s", err.text);
	cr_expect_eq(run(rig, "SELECT count(*) FROM visits WHERE who = 'ann'", &err), 0);
	cr_expect_not_null(strstr(text(rig), "[0]"), "the mask is what conditions see: %s",
	                   text(rig));
	rig_close(rig);
}

/* ---- how it ends ---- */

Test(query, ends_at_its_limits_of_time_and_size)
{
	struct rig *rig = rig_open();
	struct err err;
	queries_free(rig->queries);
	rig->conf.limits.deadline_ms = 300;
	rig->conf.bytes_max = 1000;
	open_queries(rig);
	cr_expect_eq(run(rig, ENDLESS, &err), E_RESOURCES);
	cr_expect_not_null(strstr(err.text, "deadline"), "%s", err.text);
	cr_expect_not_null(strstr(err.text, "--query-timeout-s"), "%s", err.text);
	queries_free(rig->queries);
	rig->conf.limits.deadline_ms = 60000;
	open_queries(rig);
	cr_expect_eq(run(rig, "SELECT * FROM range(1000000)", &err), E_TOO_LARGE);
	cr_expect_not_null(strstr(err.text, "1000 bytes"), "%s", err.text);
	rig_close(rig);
}

static int go_away(struct rig *rig)
{
	(void)rig;
	return 0;
}

Test(query, ends_when_its_client_goes)
{
	struct rig *rig = rig_open();
	struct err err;
	rig->event = go_away;
	cr_expect_eq(run(rig, ENDLESS, &err), E_CANCELLED, "%s", err.text);
	rig_close(rig);
}

static int revoke_access(struct rig *rig)
{
	queries_drop(rig->queries, "globex");
	queries_drop(rig->queries, "acme");
	return 1;
}

Test(query, ends_when_its_tenants_access_is_revoked)
{
	struct rig *rig = rig_open();
	struct err err;
	rig->event = revoke_access;
	cr_expect_eq(run(rig, ENDLESS, &err), E_CANCELLED);
	cr_expect_not_null(strstr(err.text, "revoked"), "%s", err.text);
	rig_close(rig);
}

/* Until it can read no job any more, however busy the machine. It may take longer to be dead, for
 * there are its other threads: the pool may give it out once more, and nobody must notice. */
static void kill_child(pid_t pid)
{
	kill(pid, SIGKILL);
	while (process_alive(pid))
		usleep(1000);
}

/* The only children of this process are executors. */
static int kill_executor(struct rig *rig)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	(void)rig;
	while (proc && (entry = readdir(proc))) {
		char path[300], line[256] = "";
		int parent = 0;
		snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
		FILE *file = atoi(entry->d_name) > 0 ? fopen(path, "re") : NULL;
		bool told = file && fgets(line, sizeof line, file);
		const char *end = told ? strrchr(line, ')') : NULL;
		if (end && sscanf(end, ") %*c %d", &parent) == 1 && parent == getpid())
			kill_child(atoi(entry->d_name));
		if (file)
			fclose(file);
	}
	if (proc)
		closedir(proc);
	return 1;
}

Test(query, fails_when_its_executor_is_killed_and_the_next_one_works)
{
	struct rig *rig = rig_open();
	struct err err;
	rig->event = kill_executor;
	cr_expect_eq(run(rig, ENDLESS, &err), E_DEAD_WORKER, "%s %s", err_name(err.code), err.text);
	rig->event = NULL;
	cr_expect_eq(run(rig, "SELECT count(*) FROM visits", &err), 0, "%s", err.text);
	rig_close(rig);
}

static int another(struct rig *rig)
{
	struct queries_status status;
	const struct query query = {
		.id = "01other", .sql = "SELECT 2", .format = "json", .credential = "key",
		.sink = { put, NULL, NULL, rig },
	};
	struct query_result result;
	AUTO(arena) *arena = NULL;
	cr_assert_eq(arena_new(64 * MIB, &arena, NULL), 0);
	rig->event = NULL;
	queries_status(rig->queries, &status);
	cr_expect_eq(status.running, 1);
	/* The first one's tenant is known a moment after control was asked, and counts then. */
	int rc = queries_run(rig->queries, &query, arena, &result, &rig->inner);
	rig->event = rc == 0 && rig->tries++ < TRIES_MAX ? another : go_away;
	return 1;
}

Test(query, takes_no_more_at_one_time_than_it_may_in_all_and_of_a_tenant)
{
	struct rig *rig = rig_open();
	struct err err;
	for (int most = 1; most <= 2; most++) {
		queries_free(rig->queries);
		rig->conf.most = most;
		rig->conf.tenant_most = 1;
		open_queries(rig);
		rig->event = another;
		rig->inner = (struct err){ 0 };
		cr_expect_eq(run(rig, ENDLESS, &err), E_CANCELLED);
		cr_expect_eq(rig->inner.code, E_BUSY, "%d: %s", most, rig->inner.text);
		cr_expect_not_null(strstr(rig->inner.text, most == 1 ? "--queries" : "tenant"),
		                   "%s", rig->inner.text);
	}
	queries_end(rig->queries);
	cr_expect_eq(run(rig, "SELECT 1", &err), E_UNAVAILABLE);
	rig_close(rig);
}

Test(query, waits_for_a_slow_reader_and_loses_nothing)
{
	struct rig *rig = rig_open();
	struct err err;
	rig->full = ROOM_REFUSALS;
	cr_assert_eq(run(rig, "SELECT i FROM range(200000) t(i)", &err), 0, "%s", err.text);
	cr_expect_not_null(strstr(text(rig), "[199999]],\n\"rowCount\":200000"));
	rig_close(rig);
}

Test(query, counts_itself_its_cpu_and_its_bytes_also_when_it_fails)
{
	struct rig *rig = rig_open();
	const struct reads *reads = NULL;
	struct err err;
	size_t count = 0;
	int64_t seq = 0, queries = 0, bytes = 0, other = 0;
	cr_assert_eq(run(rig, "SELECT * FROM visits", &err), 0, "%s", err.text);
	cr_assert_eq(run(rig, "SELECT CAST(who AS INTEGER) FROM visits", &err), E_INPUT);
	cr_expect_null(strstr(err.text, "ann"), "no value is told: %s", err.text);
	cr_assert_eq(run(rig, "SELECT nothing FROM visits", &err), E_INVALID);
	cr_assert_eq(meter_report(rig->meter, 1000, rig->site.arena, &seq, &reads, &count, NULL),
	             0);
	for (size_t i = 0; i < count; i++) {
		cr_expect_str_eq(reads[i].tenant, "acme");
		cr_expect_str_eq(reads[i].domain, "sales");
		const char *dimension = reads[i].dimension ? reads[i].dimension : "onlineReads";
		int64_t *into = strcmp(dimension, "queries") == 0     ? &queries
		                : strcmp(dimension, "bytesRead") == 0 ? &bytes : &other;
		*into += reads[i].count;
	}
	cr_expect_eq(queries, 3);
	cr_expect_gt(bytes, 0);
	cr_expect_gt(other, 0, "cpu");
	cr_expect_eq(meter_total(rig->meter), 0, "and no online read");
	rig_close(rig);
}
