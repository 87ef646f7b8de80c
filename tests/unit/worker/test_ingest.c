/* Ingestion, whole: files of every format into sealed datasets, and what is refused. */
#include "common/defs.h"
#include "tests/support/worksite.h"
#include "worker/duck.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct worksite site;
static void setup(void)
{
	worksite_open(&site, 0, false);
}
static void teardown(void)
{
	worksite_close(&site);
}
TestSuite(ingest, .init = setup, .fini = teardown);

static const char flights[] = "id,origin,delay,at\n1,ATL,5,2001-01-01 00:10:00\n"
			      "2,\"O,RD\",-3,2001-01-02 00:00:00\n3,JFK,,2001-01-03\n";
static const char columns[] = "id:int64!;origin:string;delay:int32;at:timestamp";

static struct report load(const char *work, const char *schema)
{
	struct grant_table table = worksite_table(
		"flights", "ds1", schema ? worksite_schema(&site, schema) : NULL, NULL, &site);
	struct grant grant = worksite_grant(&site, TASK_INGEST, worksite_map(&site, work));
	grant.outputs = &table;
	grant.output_count = 1;
	return worksite_run(&site, &grant);
}

static struct report load_text(const char *name, const char *text, const char *more,
                               const char *schema)
{
	worksite_file(&site, name, text, strlen(text));
	char work[400];
	snprintf(work, sizeof work, "{'connector':'file','path':'%s','mode':'append',%s}", name,
	         more);
	return load(work, schema);
}

#define CSV "'format':'csv'"
#define JSONL "'format':'jsonl'"

static void expect_rows(const struct report *report, const char *sql, const char *rows)
{
	cr_assert_eq(report->code, 0, "%s", report->text);
	cr_assert_eq(report->output_count, 1);
	cr_expect_str_eq(worksite_query(&site, "ds1", report->outputs[0].files[0].path, sql), rows);
}

static void expect_refusal(const struct report *report, const char *part)
{
	cr_expect_eq(report->outcome, OUTCOME_FAILED);
	cr_expect_eq(report->code, E_INPUT, "%d", report->code);
	cr_assert_not_null(report->text);
	cr_expect(strstr(report->text, part), "\"%s\" is not in: %s", part, report->text);
	cr_expect_null(strstr(report->text, "/proc/"));
	cr_expect_eq(report->output_count, 0);
}

Test(ingest, loads_a_csv_with_a_declared_schema)
{
	struct report report = load_text("f.csv", flights, CSV, columns);
	expect_rows(
		&report, "SELECT id, origin, delay, \"at\"::VARCHAR FROM t ORDER BY id",
		"[[1,\"ATL\",5,\"2001-01-01 00:10:00\"],[2,\"O,RD\",-3,\"2001-01-02 00:00:00\"],"
		"[3,\"JFK\",null,\"2001-01-03 00:00:00\"]]");
	cr_expect_eq(report.outputs[0].files[0].rows, 3);
	cr_expect_eq(report.usage.rows, 3);
	cr_expect_eq(report.usage.bytes_read, (int64_t)strlen(flights));
	cr_expect_gt(report.usage.memory_peak_bytes, 1000000);
	cr_expect_str_eq(
		value_get_str(value_get(report.outputs[0].files[0].stats, "delay"), "nulls"), "1");
}

Test(ingest, infers_a_schema_when_none_is_declared)
{
	struct report report = load_text("f.csv", flights, CSV, NULL);
	expect_rows(&report, "SELECT count(*), sum(delay)::BIGINT FROM t", "[[3,2]]");
	const struct value *schema = report.outputs[0].schema;
	cr_assert_eq(value_len(schema), 4);
	cr_expect_str_eq(value_get_str(value_at(schema, 0), "type"), "int64");
	cr_expect_str_eq(value_get_str(value_at(schema, 1), "type"), "string");
	cr_expect_str_eq(value_get_str(value_at(schema, 3), "type"), "timestamp");
}

Test(ingest, takes_columns_by_name_in_any_order)
{
	struct report report = load_text(
		"f.csv", "at,extra,delay,origin,id\n2001-01-01,x,5,ATL,1\n", CSV, columns);
	expect_rows(&report, "SELECT id, origin, delay FROM t", "[[1,\"ATL\",5]]");
}

Test(ingest, refuses_a_csv_whose_header_has_another_name)
{
	struct report report =
		load_text("f.csv", "id,source,delay,at\n1,ATL,5,2001-01-01\n", CSV, columns);
	expect_refusal(
		&report,
		"has no column \"origin\"; expected id, origin, delay, at; found id, source");
}

Test(ingest, fails_over_the_reject_limit_naming_lines_and_no_values)
{
	struct report report = load_text("f.csv",
	                                 "id,origin,delay,at\n1,ATL,SECRET,2001-01-01\n2,ORD,1,"
	                                 "2001-01-01\n,JFK,1,2001-01-01\n",
	                                 CSV, columns);
	expect_refusal(&report, "2 of 3 rows are bad and rejectLimit allows 0");
	cr_expect(strstr(report.text, "line 2 (delay"), "%s", report.text);
	cr_expect(strstr(report.text, "line 4 (id"), "%s", report.text);
	cr_expect_null(strstr(report.text, "SECRET"));
}

Test(ingest, keeps_bad_rows_aside_below_the_limit)
{
	struct report report = load_text("f.csv",
	                                 "id,origin,delay,at\n1,ATL,5,2001-01-01\n2,ORD,late,"
	                                 "2001-01-01\n",
	                                 CSV ",'rejectLimit':1", columns);
	expect_rows(&report, "SELECT id FROM t", "[[1]]");
	cr_expect_eq(report.outputs[0].rejected_rows, 1);
	cr_assert_not_null(report.outputs[0].rejects_path);
	cr_expect_str_eq(worksite_query(&site, "ds1", report.outputs[0].rejects_path,
	                                "SELECT line, \"column\", \"row\" FROM t"),
	                 "[[3,\"delay\",\"2,ORD,late,2001-01-01\"]]");
}

Test(ingest, finds_the_line_of_a_missing_required_text)
{
	struct report report = load_text("f.csv", "id,origin\n1,\"A\nB\"\nx,bad\n3,\n4,D\n", CSV,
	                                 "id:int64;origin:string!");
	expect_refusal(&report, "2 of 4 rows are bad");
	cr_expect(strstr(report.text, "line 3 (id"), "%s", report.text);
	cr_expect(strstr(report.text, "line 4 (origin: no value)"), "%s", report.text);
}

Test(ingest, reads_other_delimiters_null_texts_and_no_header)
{
	struct report report = load_text("f.tsv", "1\tATL\tNA\n2\tORD\t7\n",
	                                 CSV ",'header':false,"
	                                     "'delimiter':'\\t','nullText':'NA'",
	                                 "id:int64;origin:string;delay:int32");
	expect_rows(&report, "SELECT id, origin, delay FROM t ORDER BY id",
	            "[[1,\"ATL\",null],[2,\"ORD\",7]]");
}

Test(ingest, loads_json_lines)
{
	struct report report =
		load_text("f.jsonl",
	                  "{\"id\":1,\"origin\":\"ATL\",\"delay\":5,"
	                  "\"at\":\"2001-01-01T00:10:00\"}\n\n{\"origin\":null,\"id\":2}\n",
	                  JSONL, columns);
	expect_rows(&report, "SELECT id, origin, delay, \"at\"::VARCHAR FROM t ORDER BY id",
	            "[[1,\"ATL\",5,\"2001-01-01 00:10:00\"],[2,null,null,null]]");
}

Test(ingest, infers_json_lines)
{
	struct report report = load_text(
		"f.jsonl", "{\"a\":1,\"b\":\"x\"}\n{\"a\":2.5,\"b\":\"y\"}\n", JSONL, NULL);
	expect_rows(&report, "SELECT a, b FROM t ORDER BY a", "[[1.0,\"x\"],[2.5,\"y\"]]");
}

Test(ingest, keeps_bad_json_lines_aside_with_line_and_reason)
{
	struct report report =
		load_text("f.jsonl",
	                  "{\"id\":1}\n{\"id\":\n[1]\n{\"id\":2,\"delay\":\"late\"}\n"
	                  "{\"delay\":3}\n",
	                  JSONL ",'rejectLimit':4", columns);
	expect_rows(&report, "SELECT id FROM t", "[[1]]");
	cr_assert_not_null(report.outputs[0].rejects_path);
	cr_expect_str_eq(worksite_query(&site, "ds1", report.outputs[0].rejects_path,
	                                "SELECT line, \"column\", reason FROM t ORDER BY line"),
	                 "[[2,null,\"not one JSON object\"],[3,null,\"not one JSON object\"],"
	                 "[4,\"delay\",\"not a value of type int32\"],[5,\"id\",\"no value\"]]");
}

Test(ingest, names_a_missing_file_as_it_was_written)
{
	struct report report =
		load("{'connector':'file','path':'no/such.csv','format':'csv','mode':'append'}",
	             columns);
	expect_refusal(&report, "\"no/such.csv\": there is no such file");
}

Test(ingest, refuses_what_lies_outside_the_tenants_folder)
{
	struct report report = load("{'connector':'file','path':'../../etc/passwd','format':'csv',"
	                            "'mode':'append'}",
	                            columns);
	expect_refusal(&report, "leads out of the tenant's folder");
	report = load("{'connector':'file','path':'/etc/passwd','format':'csv','mode':'append'}",
	              columns);
	expect_refusal(&report, "leads out of the tenant's folder");
}

Test(ingest, refuses_a_directory_and_an_empty_file)
{
	struct report report =
		load("{'connector':'file','path':'.','format':'csv','mode':'append'}", columns);
	expect_refusal(&report, "is a directory");
	report = load_text("e.csv", "", CSV, columns);
	expect_refusal(&report, "the file is empty");
}

Test(ingest, tells_a_truncated_parquet_file_from_another_kind_of_file)
{
	struct report report = load_text("t.parquet", "PAR1 and nothing more than that",
	                                 "'format':'parquet'", columns);
	expect_refusal(&report, "truncated");
	report = load_text("t.parquet", flights, "'format':'parquet'", columns);
	expect_refusal(&report, "is no Parquet file");
}

Test(ingest, refuses_bytes_that_are_not_compressed_as_said)
{
	struct report report = load_text("f.csv.gz", flights, CSV, columns);
	expect_refusal(&report, "gzip");
}

static void shell(const char *command)
{
	char whole[400];
	snprintf(whole, sizeof whole, "cd %s/acme && %s", site.files, command);
	cr_assert_eq(system(whole), 0, "%s", command);
}

Test(ingest, reads_gzip_and_zstd_by_the_ending_or_as_said)
{
	worksite_file(&site, "f.csv", flights, strlen(flights));
	shell("gzip -k f.csv && zstd -q f.csv -o other");
	struct report report = load("{'connector':'file','path':'f.csv.gz','format':'csv',"
	                            "'mode':'append'}",
	                            columns);
	expect_rows(&report, "SELECT count(*), sum(delay)::BIGINT FROM t", "[[3,2]]");
	report = load("{'connector':'file','path':'other','format':'csv','mode':'append',"
	              "'compression':'zstd'}",
	              columns);
	expect_rows(&report, "SELECT count(*), sum(delay)::BIGINT FROM t", "[[3,2]]");
}

/* The engine's readers take the rows there are for all there were. */
Test(ingest, refuses_a_compressed_file_that_was_cut_off)
{
	worksite_file(&site, "f.csv", flights, strlen(flights));
	shell("gzip -k f.csv && zstd -q f.csv && head -c 80 f.csv.gz >cut.csv.gz && head -c -2 "
	      "f.csv.zst >cut.csv.zst");
	struct report report = load("{'connector':'file','path':'cut.csv.gz','format':'csv',"
	                            "'mode':'append','rejectLimit':9}",
	                            columns);
	expect_refusal(&report, "\"cut.csv.gz\": the gzip file ends early, after 80 bytes");
	report = load("{'connector':'file','path':'cut.csv.zst','format':'csv','mode':'append',"
	              "'rejectLimit':9}",
	              columns);
	expect_refusal(&report, "\"cut.csv.zst\": the zstd file ends early");
}

static void write_parquet(const char *select)
{
	struct err err = {0};
	AUTO(duck) *duck = NULL;
	char sql[400];
	cr_assert_eq(duck_new(&duck, &err), 0);
	snprintf(sql, sizeof sql, "COPY (%s) TO '%s/acme/p.parquet' (FORMAT parquet)", select,
	         site.files);
	cr_assert_eq(duck_exec(duck, sql, &err), 0, "%s", err.text);
}

static const char parquet_work[] = "{'connector':'file','path':'p.parquet','format':'parquet',"
				   "'mode':'replace','rejectLimit':1}";

Test(ingest, loads_parquet_and_keeps_rows_that_do_not_cast_aside)
{
	write_parquet("SELECT '7' AS id, 'ATL' AS origin, 5 AS delay, NULL AS \"at\" UNION ALL "
	              "SELECT 'x', 'ORD', 6, NULL ORDER BY delay");
	struct report report = load(parquet_work, columns);
	expect_rows(&report, "SELECT id, origin, delay FROM t", "[[7,\"ATL\",5]]");
	cr_expect(report.outputs[0].replace);
	cr_assert_not_null(report.outputs[0].rejects_path);
	cr_expect_str_eq(worksite_query(&site, "ds1", report.outputs[0].rejects_path,
	                                "SELECT line, \"column\", reason FROM t"),
	                 "[[2,\"id\",\"not a value of type int64\"]]");
}

Test(ingest, refuses_parquet_without_a_declared_column)
{
	write_parquet("SELECT 7 AS id, 5 AS delay");
	struct report report = load(parquet_work, columns);
	expect_refusal(&report, "has no column \"origin\"");
}

Test(ingest, infers_the_schema_of_parquet)
{
	write_parquet("SELECT 7::UTINYINT AS a, 1.50::DECIMAL(9,2) AS b, uuid() AS c");
	struct report report = load(parquet_work, NULL);
	expect_rows(&report, "SELECT a, b::VARCHAR FROM t", "[[7,\"1.50\"]]");
	cr_expect_str_eq(value_get_str(value_at(report.outputs[0].schema, 1), "type"),
	                 "decimal(9,2)");
	cr_expect_str_eq(value_get_str(value_at(report.outputs[0].schema, 2), "type"), "string");
}
