/* The platform's own tasks, whole: grants signed here, executors that are this program, objects in
 * a folder. */
#include "common/defs.h"
#include "tests/support/worksite.h"
#include "common/json.h"
#include "worker/page.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct worksite site;
static void setup(void)
{
	worksite_open(&site, 0, false);
}
static void teardown(void)
{
	worksite_close(&site);
}
TestSuite(history_tasks, .init = setup, .fini = teardown);

static const char columns[] =
	"id:string!;domain:string;state:string;ended_at:timestamp;attempts:int32;document:string";

static struct report archive(const struct grant_table *history, const char *mode, const char *rows)
{
	struct grant_table output =
		worksite_table("tasks", "hist", worksite_schema(&site, columns), NULL, &site);
	struct value *work = value_map(site.arena);
	value_set_str(work, "mode", mode);
	value_set_str(work, "rows", rows);
	struct grant grant = worksite_grant(&site, TASK_ARCHIVE, work);
	grant.inputs = history;
	grant.input_count = history ? 1 : 0;
	grant.outputs = &output;
	grant.output_count = 1;
	return worksite_run(&site, &grant);
}

static struct grant_table table_of(const struct report *report)
{
	return worksite_table("tasks", "hist", worksite_schema(&site, columns), report->outputs,
	                      &site);
}

static struct report history(const struct grant_table *table, const char *work)
{
	struct grant grant = worksite_grant(&site, TASK_HISTORY, worksite_map(&site, work));
	grant.inputs = table;
	grant.input_count = 1;
	return worksite_run(&site, &grant);
}

static const char *text_of(const struct value *value)
{
	struct buf out;
	buf_init(&out, MIB);
	json_print(value, &out);
	const char *text = arena_strndup(site.arena, (const char *)out.data, out.len);
	buf_release(&out);
	return text;
}

static const char three[] =
	"[[\"a1\",\"sales\",\"succeeded\",\"2023-11-14T22:13:20.123Z\",1,"
	"\"{\\\"source\\\":\\\"it's\\\"}\"],"
	"[\"a2\",\"sales\",\"failed\",\"2023-11-14T22:13:21Z\",3,null],"
	"[\"a3\",\"trips\",\"succeeded\",null,1,\"x\"]]";

Test(history_tasks, rows_become_one_sealed_file_with_the_declared_columns)
{
	struct report report = archive(NULL, "append", three);
	cr_assert_eq(report.code, 0, "%s", report.text);
	cr_assert_eq(report.output_count, 1);
	cr_expect_not(report.outputs[0].replace);
	cr_expect_eq(report.outputs[0].file_count, 1);
	cr_expect_eq(report.outputs[0].files[0].rows, 3);
	cr_expect_eq(value_len(report.outputs[0].files[0].stats), 0);
	cr_expect_str_eq(
		worksite_query(&site, "hist", report.outputs[0].files[0].path,
	                       "SELECT id, epoch_ms(ended_at), attempts, document FROM t "
	                       "ORDER BY id"),
		"[[\"a1\",1700000000123,1,\"{\\\"source\\\":\\\"it's\\\"}\"],"
		"[\"a2\",1700000001000,3,null],[\"a3\",null,1,\"x\"]]");
}

Test(history_tasks, a_replacement_joins_what_was_there_with_the_new_rows)
{
	struct report first = archive(NULL, "append", three);
	cr_assert_eq(first.code, 0, "%s", first.text);
	struct grant_table table = table_of(&first);
	struct report second =
		archive(&table, "replace", "[[\"b1\",\"sales\",\"succeeded\",null,1,null]]");
	cr_assert_eq(second.code, 0, "%s", second.text);
	cr_expect(second.outputs[0].replace);
	cr_expect_eq(second.outputs[0].files[0].rows, 4);
	struct report wrong = archive(NULL, "replace", three);
	cr_expect_eq(wrong.code, E_INVALID, "%s", wrong.text);
	wrong = archive(&table, "append", three);
	cr_expect_eq(wrong.code, E_INVALID, "%s", wrong.text);
}

Test(history_tasks, rows_that_are_none_end_the_attempt)
{
	cr_expect_lt(archive(NULL, "append", "[[\"a\", ").code, 0);
	static const char no_time[] = "[[\"a\",\"b\",\"c\",\"not a time\",1,null]]";
	cr_expect_lt(archive(NULL, "append", no_time).code, 0);
}

Test(history_tasks, a_page_is_newest_first_and_filtered)
{
	struct report written = archive(NULL, "append", three);
	cr_assert_eq(written.code, 0, "%s", written.text);
	struct grant_table table = table_of(&written);
	struct report report = history(&table, "{'limit': 2}");
	cr_assert_eq(report.code, 0, "%s", report.text);
	cr_expect_eq(report.output_count, 0);
	cr_expect_str_eq(text_of(report.result),
	                 "{\"rows\":[[\"a3\",\"x\"],[\"a2\",null]],\"more\":true}");
	report = history(&table, "{'limit': 5, 'domain': 'sales', 'before': 'a2'}");
	cr_expect_str_eq(text_of(value_get(report.result, "rows")),
	                 "[[\"a1\",\"{\\\"source\\\":\\\"it's\\\"}\"]]");
	cr_expect_not(value_get_bool(report.result, "more", true));
	report = history(&table, "{'limit': 5, 'states': ['failed', 'dead'], 'from': 'a1'}");
	cr_expect_eq(value_len(value_get(report.result, "rows")), 1);
	report = history(&table, "{'limit': 1, 'id': 'a3\\' OR true --'}");
	cr_expect_eq(value_len(value_get(report.result, "rows")), 0);
}

Test(history_tasks, a_page_of_events_is_by_number_and_filtered)
{
	static const char events[] =
		"seq:int64;time:timestamp;class:int32;resource:string;document:string";
	struct value *work = value_map(site.arena);
	struct grant_table output =
		worksite_table("audit", "log", worksite_schema(&site, events), NULL, &site);
	value_set_str(work, "mode", "append");
	value_set_str(work, "rows", "[[1,\"2026-11-22T12:00:00Z\",6003,\"/v1/a\",\"x\"],"
	              "[2,\"2026-11-22T12:00:01Z\",6005,\"/v1/b\",\"y\"],"
	              "[10,\"2026-11-22T12:00:02Z\",6003,\"/v2/a\",\"z\"],"
	              "[11,\"2026-11-22T12:00:03Z\",6005,\"datasets/hr.pay datasets/ops.raw\","
	              "\"d\"]]");
	struct grant grant = worksite_grant(&site, TASK_AUDIT, work);
	grant.outputs = &output;
	grant.output_count = 1;
	struct report written = worksite_run(&site, &grant);
	cr_assert_eq(written.code, 0, "%s", written.text);
	struct grant_table table = worksite_table("audit", "log", worksite_schema(&site, events),
	                                          written.outputs, &site);
	static const struct { const char *work, *rows; } pages[] = {
		{ "{'limit': 2}", "[[11,\"d\"],[10,\"z\"]]" },
		{ "{'limit': 5, 'resource': '/v1/tenants/acme/domains/ops/datasets/raw'}",
		  "[[11,\"d\"]]" },
		{ "{'limit': 5, 'resource': '/v1/tenants/acme/domains/hr'}", "[[11,\"d\"]]" },
		{ "{'limit': 5, 'resource': '/v1/tenants/acme/domains/r'}", "[]" },
		{ "{'limit': 5, 'before': 10, 'class': 6003}", "[[1,\"x\"]]" },
		{ "{'limit': 5, 'from': 2, 'resource': '/v1/'}", "[[2,\"y\"]]" },
		{ "{'limit': 5, 'resource': '/v1'}", "[[2,\"y\"],[1,\"x\"]]" },
		{ "{'limit': 5, 'resource': '/v1/a'}", "[[1,\"x\"]]" },
		{ "{'limit': 5, 'since': '2026-11-22T12:00:01Z', 'until': '2026-11-22T12:00:02Z'}",
		  "[[2,\"y\"]]" },
		{ "{'limit': 5, 'resource': '/v1/a\\' OR true --'}", "[]" },
	};
	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		struct grant ask = worksite_grant(&site, TASK_EVENTS,
		                                  worksite_map(&site, pages[i].work));
		ask.inputs = &table;
		ask.input_count = 1;
		struct report report = worksite_run(&site, &ask);
		cr_assert_eq(report.code, 0, "%s", report.text);
		cr_expect_str_eq(text_of(value_get(report.result, "rows")), pages[i].rows);
	}
}

Test(history_tasks, joining_leaves_out_stored_events_that_are_too_old)
{
	static const char events[] = "seq:int64;time:timestamp;document:string";
	struct report reports[2];
	struct grant_table stored = { 0 };
	for (int round = 0; round < 2; round++) {
		struct value *work = value_map(site.arena);
		struct grant_table output = worksite_table(
			"audit", "log", worksite_schema(&site, events), NULL, &site);
		value_set_str(work, "mode", round ? "replace" : "append");
		value_set_str(work, "rows",
		              round ? "[[3,\"2026-11-24T00:00:00Z\",\"z\"]]"
		                    : "[[1,\"2026-11-22T23:59:59.999Z\",\"x\"],"
		                      "[2,\"2026-11-23T00:00:00Z\",\"y\"]]");
		if (round)
			value_set_str(work, "since", "2026-11-23T00:00:00.000Z");
		struct grant grant = worksite_grant(&site, TASK_AUDIT, work);
		grant.inputs = &stored;
		grant.input_count = (size_t)round;
		grant.outputs = &output;
		grant.output_count = 1;
		reports[round] = worksite_run(&site, &grant);
		cr_assert_eq(reports[round].code, 0, "%s", reports[round].text);
		stored = worksite_table("audit", "log", worksite_schema(&site, events),
		                        reports[round].outputs, &site);
	}
	struct grant ask = worksite_grant(&site, TASK_EVENTS, worksite_map(&site, "{'limit': 9}"));
	ask.inputs = &stored;
	ask.input_count = 1;
	struct report report = worksite_run(&site, &ask);
	cr_assert_eq(report.code, 0, "%s", report.text);
	cr_expect_str_eq(text_of(value_get(report.result, "rows")), "[[3,\"z\"],[2,\"y\"]]");
}

Test(history_tasks, a_large_page_ends_early_and_says_so)
{
	struct buf rows;
	buf_init(&rows, 4 * MIB);
	for (int i = 0; i < 300; i++) {
		buf_printf(&rows, "%s[\"id%03d\",\"sales\",\"succeeded\",null,1,\"",
		           i ? "," : "[", i);
		for (int n = 0; n < 200; n++)
			buf_puts(&rows, "0123456789");
		buf_puts(&rows, "\"]");
	}
	buf_puts(&rows, "]");
	struct report written = archive(NULL, "append", (const char *)rows.data);
	cr_assert_eq(written.code, 0, "%s", written.text);
	struct grant_table table = table_of(&written);
	struct report report = history(&table, "{'limit': 300}");
	cr_assert_eq(report.code, 0, "%s", report.text);
	size_t count = value_len(value_get(report.result, "rows"));
	cr_expect(count > 50 && count < 110, "%zu rows", count);
	cr_expect(value_get_bool(report.result, "more", false));
	buf_release(&rows);
}

/* --- sweep --- */

static void put(const char *path, int age_s)
{
	struct object_writer *writer = NULL;
	struct err err = {0};
	cr_assert_eq(object_writer_new(site.runner.objects, path, &writer, &err), 0, "%s",
	             err.text);
	cr_assert_eq(object_write(writer, "0123456789", 10, &err), 0);
	cr_assert_eq(object_commit(writer, &err), 0, "%s", err.text);
	object_writer_free(writer);
	char full[256];
	snprintf(full, sizeof full, "%s/objects/%s", site.root, path);
	struct timespec when[2] = {{.tv_sec = time(NULL) - age_s}, {.tv_sec = time(NULL) - age_s}};
	cr_assert_eq(utimensat(AT_FDCWD, full, when, 0), 0);
}

static bool there(const char *path)
{
	char full[256];
	snprintf(full, sizeof full, "%s/objects/%s", site.root, path);
	return access(full, F_OK) == 0;
}

static struct report sweep(const char *work)
{
	struct grant grant = worksite_grant(&site, TASK_SWEEP, worksite_map(&site, work));
	return worksite_run(&site, &grant);
}

Test(history_tasks, a_sweep_deletes_only_old_folders_that_are_neither_kept_nor_to_come)
{
	static const struct { const char *path; int age_s; bool stays; } objects[] = {
		{"acme/sales/5-1/data-0.parquet", 7200, false},   /* an orphan */
		{"acme/trips/5-2/data-0.parquet", 7200, false},   /* in another domain */
		{"acme/sales/5-3/data-0.parquet", 7200, true},    /* kept */
		{"acme/sales/5-3/rejects.parquet", 7200, true},   /* in a kept folder */
		{"acme/sales/5-4/data-0.parquet", 60, true},      /* young */
		{"acme/sales/5-10/data-0.parquet", 7200, true},   /* may be published yet */
		{"acme/sales/5-11/data-0.parquet", 7200, true},   /* a zombie of a later attempt */
		{"acme/sales/6-1/data-0.parquet", 7200, true},    /* of a later leader */
		{"acme/sales/4-99/data-0.parquet", 7200, true},   /* before from */
		{"acme/sales/05-1/data-0.parquet", 7200, true},   /* no token of ours */
		{"acme/sales/5-1x/data-0.parquet", 7200, true},
		{"acme/sales/other/data-0.parquet", 7200, true},
		{"acme/sales/5-1/deep/data-0.parquet", 7200, true},
		{"acme/5-1/data", 7200, true},
		{"globex/sales/5-1/data-0.parquet", 7200, true},  /* another tenant's */
		{"acmeco/sales/5-1/data-0.parquet", 7200, true},
	};
	for (size_t i = 0; i < ARRAY_LEN(objects); i++)
		put(objects[i].path, objects[i].age_s);
	struct report report = sweep("{'kept': '5-3 5-7', 'from': '5-1', 'below': '5-10', "
	                             "'graceMs': 3600000}");
	cr_assert_eq(report.code, 0, "%s", report.text);
	for (size_t i = 0; i < ARRAY_LEN(objects); i++)
		cr_expect_eq(there(objects[i].path), objects[i].stays, "%s", objects[i].path);
	cr_expect_str_eq(text_of(report.result),
	                 "{\"objectsSeen\":14,\"objectsDeleted\":2,\"bytesDeleted\":20}");
	report = sweep("{'kept': '5-3 5-7', 'from': '5-1', 'below': '5-10', 'graceMs': 3600000}");
	cr_expect_eq(value_get_int(report.result, "objectsDeleted", -1), 0);
}

Test(history_tasks, a_sweep_with_a_list_it_cannot_read_deletes_nothing)
{
	static const char *const works[] = {
		"{'kept': '5-3 5-2', 'below': '9-1', 'graceMs': 0}",
		"{'kept': '5-3  5-4', 'below': '9-1', 'graceMs': 0}",
		"{'kept': '5-3,5-4', 'below': '9-1', 'graceMs': 0}",
		"{'kept': '5', 'below': '9-1', 'graceMs': 0}",
		"{'kept': '5-99999999999999999999', 'below': '9-1', 'graceMs': 0}",
		"{'below': '9', 'graceMs': 0}",
		"{'from': '-1', 'below': '9-1', 'graceMs': 0}",
	};
	put("acme/sales/5-1/data-0.parquet", 7200);
	for (size_t i = 0; i < ARRAY_LEN(works); i++) {
		struct report report = sweep(works[i]);
		cr_expect_eq(report.code, E_INVALID, "%s: %s", works[i], report.text);
		cr_expect(there("acme/sales/5-1/data-0.parquet"), "%s", works[i]);
	}
}
