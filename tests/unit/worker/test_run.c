/* RUN, whole: grants signed here, executors that are this program, objects in a folder. */
#include "common/defs.h"
#include "tests/support/worksite.h"
#include "common/pack.h"
#include "worker/online.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct worksite site;
static void setup(void)
{
	worksite_open(&site, 0, true);
}
static void teardown(void)
{
	worksite_close(&site);
}
TestSuite(run, .init = setup, .fini = teardown);

static const char visits[] = "who,at,score,ok\nann,2001-01-01 00:00:00,1.5,true\n"
			     "bob,2001-01-02 00:00:00,2.5,false\nann,2001-01-03 00:00:00,7.5,true\n"
			     ",2001-01-03 00:00:00,9,true\n";
static const char columns[] = "who:string;at:timestamp;score:float64;ok:boolean";

static struct report load(struct grant_table *table)
{
	worksite_file(&site, "v.csv", visits, sizeof visits - 1);
	*table = worksite_table("visits", "ds1", worksite_schema(&site, columns), NULL, &site);
	struct grant grant = worksite_grant(
		&site, TASK_INGEST,
		worksite_map(&site, "{'connector':'file',"
	                            "'path':'v.csv','format':'csv','mode':'append'}"));
	grant.outputs = table;
	grant.output_count = 1;
	struct report report = worksite_run(&site, &grant);
	cr_assert_eq(report.code, 0, "%s", report.text);
	*table = worksite_table("visits", "ds1", worksite_schema(&site, columns), report.outputs,
	                        &site);
	return report;
}

static struct report transform_of(struct grant_table *input, const char *sql, const char *schema,
                                  const char *from, const char *to)
{
	static struct grant_table output;
	output = worksite_table("daily", "ds2", schema ? worksite_schema(&site, schema) : NULL,
	                        NULL, &site);
	struct value *work = value_map(site.arena);
	value_set_str(work, "sql", sql);
	value_set_str(work, "intervalStart", from);
	value_set_str(work, "intervalEnd", to);
	struct grant grant = worksite_grant(&site, TASK_TRANSFORM, work);
	grant.inputs = input;
	grant.input_count = input ? 1 : 0;
	grant.outputs = &output;
	grant.output_count = 1;
	return worksite_run(&site, &grant);
}

static struct report transform(struct grant_table *input, const char *sql, const char *schema)
{
	return transform_of(input, sql, schema, NULL, NULL);
}

static void expect_failure(const struct report *report, int code, const char *part)
{
	cr_expect_eq(report->outcome, OUTCOME_FAILED);
	cr_expect_eq(report->code, code, "%d: %s", report->code, report->text);
	cr_assert_not_null(report->text);
	cr_expect(strstr(report->text, part), "\"%s\" is not in: %s", part, report->text);
	cr_expect_null(strstr(report->text, "/proc/"));
}

Test(run, transforms_a_sealed_dataset_into_another)
{
	struct grant_table table;
	load(&table);
	struct report report =
		transform(&table,
	                  "SELECT who, count(*) AS n, sum(score) AS total FROM visits "
	                  "JOIN sales.visits v2 USING (who, score) GROUP BY who; -- done",
	                  NULL);
	cr_assert_eq(report.code, 0, "%s", report.text);
	cr_expect(report.outputs[0].replace);
	cr_expect_str_eq(worksite_query(&site, "ds2", report.outputs[0].files[0].path,
	                                "SELECT * FROM t WHERE who IS NOT NULL ORDER BY who"),
	                 "[[\"ann\",2,9.0],[\"bob\",1,2.5]]");
	cr_expect_str_eq(value_get_str(value_at(report.outputs[0].schema, 1), "type"), "int64");
	cr_expect_gt(report.usage.bytes_read, 500);
	cr_expect_eq(report.usage.bytes_written, report.outputs[0].files[0].bytes);
}

Test(run, refuses_a_grant_of_before_a_restore)
{
	struct grant_table visited;
	load(&visited);
	atomic_store(&site.runner.era, INT64_C(1) << 50);
	struct report report = transform_of(&visited, "SELECT 1 AS one", NULL, NULL, NULL);
	cr_expect_eq(report.code, E_DENIED, "%s", report.text);
	cr_expect_not_null(strstr(report.text, "restored"), "%s", report.text);
	cr_expect(report.token.epoch > 0, "and the refusal is told");
}

Test(run, gives_the_sql_its_data_interval)
{
	static const char sql[] = "SELECT who, getvariable('interval_end') - "
				  "getvariable('interval_start') = INTERVAL 1 DAY AS day "
				  "FROM visits WHERE visits.at >= getvariable('interval_start') "
				  "AND visits.at < getvariable('interval_end')";
	struct grant_table table;
	load(&table);
	struct report report = transform_of(&table, sql, NULL, "2001-01-02T00:00:00.000Z",
	                                    "2001-01-03T00:00:00.000Z");
	cr_assert_eq(report.code, 0, "%s", report.text);
	cr_expect_str_eq(worksite_query(&site, "ds2", report.outputs[0].files[0].path,
	                                "SELECT * FROM t"),
	                 "[[\"bob\",true]]");
	report = transform(&table, "SELECT getvariable('interval_start') IS NULL AS none", NULL);
	cr_assert_eq(report.code, 0, "%s", report.text);
	cr_expect_str_eq(worksite_query(&site, "ds2", report.outputs[0].files[0].path,
	                                "SELECT * FROM t"),
	                 "[[true]]");
}

Test(run, gives_an_empty_relation_for_a_declared_dataset_without_data)
{
	struct grant_table table =
		worksite_table("visits", "ds1", worksite_schema(&site, columns), NULL, &site);
	struct report report = transform(&table, "SELECT who, score FROM visits", NULL);
	cr_assert_eq(report.code, 0, "%s", report.text);
	cr_expect_eq(report.outputs[0].files[0].rows, 0);
}

Test(run, refuses_sql_that_is_not_one_select)
{
	struct report report = transform(NULL, "SELECT 1 AS a; SELECT 2 AS a", NULL);
	expect_failure(&report, E_INVALID, "2 statements");
	report = transform(NULL, "CREATE TABLE x(a INT)", NULL);
	expect_failure(&report, E_INVALID, "one SELECT");
	report = transform(NULL, "SELECT 1 +", NULL);
	expect_failure(&report, E_INVALID, "syntax error");
	report = transform(NULL, "SELECT a FROM nowhere", NULL);
	expect_failure(&report, E_INVALID, "LINE 1");
}

Test(run, keeps_sql_from_files_and_settings)
{
	struct report report = transform(NULL, "SELECT * FROM read_csv('/etc/passwd')", NULL);
	expect_failure(&report, E_DENIED, "disabled");
	report = transform(NULL, "SELECT * FROM read_text('/proc/self/environ')", NULL);
	cr_expect_eq(report.code, E_DENIED, "%s", report.text);
}

Test(run, tells_of_a_value_without_showing_it)
{
	struct grant_table table;
	load(&table);
	struct report report =
		transform(&table, "SELECT CAST(who AS INTEGER) AS n FROM visits", NULL);
	expect_failure(&report, E_INPUT, "a value does not fit");
	cr_expect_null(strstr(report.text, "ann"), "%s", report.text);
	report = transform(&table, "SELECT error('leak ' || who) AS n FROM visits", NULL);
	cr_expect_eq(report.outcome, OUTCOME_FAILED);
	cr_expect_null(strstr(report.text, "leak"), "%s", report.text);
}

Test(run, checks_a_transformation_against_its_outputs_schema)
{
	struct report report = transform(NULL, "SELECT 1 AS a, 'x' AS c", "a:int64;b:string");
	expect_failure(&report, E_INPUT, "has no column \"b\"");
	report = transform(NULL, "SELECT 1 AS a, NULL AS b", "a:int64;b:string!");
	expect_failure(&report, E_INPUT, "1 rows of the result have no value");
	report = transform(NULL, "SELECT 'x' AS b, 1 AS a", "a:int64;b:string!");
	cr_assert_eq(report.code, 0, "%s", report.text);
	cr_expect_str_eq(worksite_query(&site, "ds2", report.outputs[0].files[0].path, "FROM t"),
	                 "[[1,\"x\"]]");
}

Test(run, refuses_an_input_that_was_moved_or_changed)
{
	struct grant_table table;
	load(&table);
	table.uid = "ds9";
	struct report report = transform(&table, "SELECT * FROM visits", NULL);
	cr_expect_eq(report.code, E_CORRUPT, "%s", report.text);
	table.uid = "ds1";
	char command[300];
	snprintf(command, sizeof command,
	         "f=%s/objects/%s; chmod u+w $f; printf X | dd of=$f bs=1 seek=300 "
	         "conv=notrunc status=none",
	         site.root, table.files[0].path);
	cr_assert_eq(system(command), 0);
	report = transform(&table, "SELECT * FROM visits", NULL);
	cr_expect_eq(report.code, E_CORRUPT, "%s", report.text);
}

static const char view_work[] =
	"{'view':'people','joinKey':'who','keyType':'string','timestampField':'at',"
	"'features':[{'name':'score','type':'float64'},{'name':'ok','type':'boolean'},"
	"{'name':'at','type':'timestamp'}]}";

static struct report materialize(struct grant_table *table, const char *work)
{
	static struct grant_table view;
	view = worksite_table("people", "fv1", NULL, NULL, &site);
	struct grant grant = worksite_grant(&site, TASK_MATERIALIZE, worksite_map(&site, work));
	grant.inputs = table;
	grant.input_count = 1;
	grant.outputs = &view;
	grant.output_count = 1;
	return worksite_run(&site, &grant);
}

/* What lies online of view_work's view; NULL: nothing. */
static const struct value *read_online(const char *who, int64_t *ret_event_us)
{
	struct err err = {0};
	AUTO(online_view) *view = NULL;
	uint8_t key[KEY_BYTES], out[500];
	size_t len = 0;
	memset(key, 7, sizeof key);
	cr_assert_eq(online_view_new(site.runner.online, "acme", "fv1", 1, key, &view, &err), 0);
	int64_t layout = online_layout(0, "score", "float64");
	layout = online_layout(layout, "ok", "boolean");
	online_view_set_layout(view, online_layout(layout, "at", "timestamp"));
	int rc = online_get(view, who, strlen(who), ret_event_us, out, sizeof out, &len, &err);
	cr_assert_geq(rc, 0, "%s", err.text);
	struct value *values = NULL;
	if (rc == 1)
		cr_assert_eq(pack_read(site.arena, out, len, &values, &err), 0, "%s", err.text);
	return values;
}

Test(run, puts_the_latest_row_of_each_entity_online)
{
	struct grant_table table;
	load(&table);
	struct report report = materialize(&table, view_work);
	cr_assert_eq(report.code, 0, "%s", report.text);
	cr_expect_eq(report.usage.rows, 2);
	cr_expect_eq(report.output_count, 0);
	int64_t event_us = 0;
	const struct value *values = read_online("ann", &event_us);
	cr_assert_not_null(values);
	cr_expect_eq(event_us, INT64_C(978480000000000));
	cr_expect_eq(value_as_real(value_at(values, 0), 0), 7.5);
	cr_expect(value_as_bool(value_at(values, 1), false));
	cr_expect_str_eq(value_as_str(value_at(values, 2)), "2001-01-03T00:00:00.000000Z");
	cr_expect_null(read_online("zoe", &event_us));
}

Test(run, puts_online_what_its_grant_leaves_of_a_dataset_and_no_more)
{
	struct grant_table table;
	int64_t event_us = 0;
	load(&table);
	table.restriction = (struct restriction){
		.filter = worksite_map(&site, "['lt','at',{'ms':978393600000}]"),
		.masks = worksite_map(&site, "{'score':'mask-to-fixed-value'}"),
	};
	struct report report = materialize(&table, view_work);
	cr_assert_eq(report.code, 0, "%s", report.text);
	cr_expect_eq(report.usage.rows, 1, "of ann's two rows the earlier one");
	const struct value *values = read_online("ann", &event_us);
	cr_assert_not_null(values);
	cr_expect_eq(event_us, INT64_C(978307200000000));
	cr_expect_eq(value_as_real(value_at(values, 0), 1), 0);
	cr_expect_null(read_online("bob", &event_us));
	table.restriction = (struct restriction){.hidden = worksite_map(&site, "['who']")};
	report = materialize(&table, view_work);
	expect_failure(&report, E_INPUT, "joinKey: the view's dataset has no column \"who\"");
}

Test(run, names_a_column_that_a_view_misses)
{
	struct grant_table table;
	load(&table);
	struct report report = materialize(
		&table, "{'view':'people','joinKey':'whom','keyType':'string',"
			"'timestampField':'at','features':[{'name':'score','type':'float64'}]}");
	expect_failure(&report, E_INPUT, "joinKey: the view's dataset has no column \"whom\"");
}

Test(run, reports_a_grant_that_is_refused)
{
	struct value *work = value_map(site.arena);
	struct grant grant = worksite_grant(&site, TASK_PROBE, work);
	site.runner.opener.worker = "other";
	struct report report = worksite_run(&site, &grant);
	cr_expect_eq(report.outcome, OUTCOME_FAILED);
	cr_expect_str_eq(report.task, grant.task);
	cr_expect_eq(report.token.counter, grant.token.counter);
}

Test(run, reports_nothing_for_bytes_that_are_no_grant)
{
	struct report report;
	struct err err = {0};
	cr_expect_lt(run_grant(&site.runner, &site.attempt, site.arena, (const uint8_t *)"x", 1,
	                       &report, &err),
	             0);
	cr_expect_neq(err.text[0], 0);
}

Test(run, lets_a_domain_be_called_like_a_catalog)
{
	struct grant_table table =
		worksite_table("visits", "ds1", worksite_schema(&site, columns), NULL, &site);
	static const char *const names[] = {"memory", "main", "temp"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct grant_table output = worksite_table("daily", "ds2", NULL, NULL, &site);
		table.domain = output.domain = names[i];
		struct value *work = value_map(site.arena);
		value_set_str(work, "sql", "SELECT who FROM visits");
		struct grant grant = worksite_grant(&site, TASK_TRANSFORM, work);
		grant.domain = names[i];
		grant.output_prefix = arena_printf(site.arena, "acme/%s/1-%d", names[i],
		                                   (int)grant.token.counter);
		grant.inputs = &table;
		grant.outputs = &output;
		grant.input_count = grant.output_count = 1;
		struct report report = worksite_run(&site, &grant);
		cr_expect_eq(report.code, 0, "%s: %s", names[i], report.text);
	}
}

Test(run, shows_no_bound_of_a_column_to_control)
{
	struct grant_table table;
	struct report report = load(&table);
	const struct value *who = value_get(report.outputs[0].files[0].stats, "who");
	cr_expect_eq(value_kind(value_get(who, "max")), VALUE_BIN);
	size_t len = 0;
	const void *bytes = value_get_bin(who, "max", &len);
	cr_expect_null(memmem(bytes, len, "bob", 3));
}
