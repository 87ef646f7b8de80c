/* The whole journey on real processes: files in, features out, over the command line and HTTP. */
#include "common/defs.h"
#include "tests/support/story.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { ROWS = 50000 };

static const char *text_at(const struct value *answer, size_t column, const char *member,
			   size_t row)
{
	const struct value *result = value_at(value_get(answer, "results"), column);
	const char *text = value_as_str(value_at(value_get(result, member), row));
	return text ? text : "(none)";
}

static int64_t int_at(const struct value *answer, size_t column, size_t row)
{
	const struct value *result = value_at(value_get(answer, "results"), column);
	return value_as_int(value_at(value_get(result, "values"), row), -1);
}

static void check_names(const struct value *answer, const char *const *names, size_t count)
{
	const struct value *found = value_get(value_get(answer, "metadata"), "feature_names");
	cr_assert_eq(value_len(found), count);
	cr_assert_eq(value_len(value_get(answer, "results")), count);
	for (size_t i = 0; i < count; i++)
		cr_assert_str_eq(value_as_str(value_at(found, i)), names[i]);
}

Test(story, csv_becomes_features_in_the_shape_that_feast_answers)
{
	struct system *system = story_start(NULL);
	data_csv(system, "orders.csv", ROWS);
	story_orders(system, "orders.csv", "csv", "");
	story_spending(system);
	story_run(system, "ingest", "{\"source\":\"orders\"}");
	cr_assert_eq(story_rows(system, "orders"), ROWS);
	story_run(system, "transform", "{\"transformation\":\"spending\"}");
	cr_assert_eq(story_rows(system, "spending"), 1000);
	story_run(system, "materialize", "{\"featureView\":\"spending\"}");
	story_run(system, "materialize", "{\"featureView\":\"spending_today\"}");

	struct answer answer = story_features(
		system, "eve",
		"{\"features\":[\"spending:orders\",\"spending:total\",\"spending_today:orders\"],"
		"\"entities\":{\"customer\":[\"customer-of-marker-0\",\"nobody\"]},"
		"\"full_feature_names\":true}");
	cr_assert_eq(answer.status, 200, "%s", answer.text);
	const char *const names[] = {"customer", "spending__orders", "spending__total",
				     "spending_today__orders"};
	check_names(answer.body, names, 4);
	cr_assert_str_eq(text_at(answer.body, 0, "values", 0), "customer-of-marker-0");
	cr_assert_str_eq(text_at(answer.body, 0, "values", 1), "nobody");
	cr_assert_str_eq(text_at(answer.body, 0, "statuses", 0), "PRESENT");
	cr_assert_str_eq(text_at(answer.body, 1, "statuses", 0), "PRESENT");
	cr_assert_eq(int_at(answer.body, 1, 0), ROWS / 1000);
	/* Customer 0 has the orders 0, 1000, ... 49000, half of which each is its amount. */
	const struct value *total = value_at(value_get(answer.body, "results"), 2);
	cr_assert_float_eq(value_as_real(value_at(value_get(total, "values"), 0), -1), 612500.0,
			   1e-6);
	cr_assert_str_eq(text_at(answer.body, 1, "event_timestamps", 0), "2024-01-01T13:36:40Z");
	cr_assert_str_eq(text_at(answer.body, 1, "statuses", 1), "NOT_FOUND");
	cr_assert_eq(
		value_kind(value_at(
			value_get(value_at(value_get(answer.body, "results"), 1), "values"), 1)),
		VALUE_NULL);
	cr_assert_str_eq(text_at(answer.body, 3, "statuses", 0), "OUTSIDE_MAX_AGE");
	system_stop(system);
}

/* By the command line: a table, a file, and a refusal that says where the mistake is. */
static void check_queries(struct system *system)
{
	const char *file = system_path(system, "orders.csv.out");
	const char *out = system_cli_ok(system, "query",
					"SELECT count(*) AS n, 'a' AS b FROM sales.orders",
					"--profile", "eve", NULL);
	cr_assert(strstr(out, "n ") && strstr(out, "2000") && strstr(out, "(1 row)"), "%s", out);
	system_cli_ok(system, "query", "SELECT * FROM orders", "--format", "csv", "--file", file,
		      "--domain", "sales", "--profile", "eve", NULL);
	FILE *csv = fopen(file, "r");
	cr_assert_not_null(csv);
	int lines = 0;
	for (int c; (c = fgetc(csv)) != EOF;)
		lines += c == '\n';
	fclose(csv);
	cr_assert_eq(lines, 2001);
	struct ran bad = system_cli(system, "query", "SELECT * FORM orders x", "--profile",
					   "eve", NULL);
	cr_assert_neq(bad.code, 0);
	cr_assert(strstr(bad.out, "line 1, column 15"), "%s", bad.out);
	struct ran hidden = system_cli(system, "query", "SELECT * FROM trips.secrets",
					      "--profile", "eve", NULL);
	cr_assert_eq(hidden.code, 3, "%s", hidden.out);
}

Test(story, short_feature_names_are_those_of_the_features)
{
	struct system *system = story_start(NULL);
	data_csv(system, "orders.csv", 2000);
	story_orders(system, "orders.csv", "csv", "");
	story_spending(system);
	story_run(system, "ingest", "{\"source\":\"orders\"}");
	story_run(system, "transform", "{\"transformation\":\"spending\"}");
	story_run(system, "materialize", "{\"featureView\":\"spending\"}");
	struct answer answer =
		story_features(system, "ada",
			       "{\"features\":[\"spending:note\",\"spending:orders\"],"
			       "\"entities\":{\"customer\":[\"customer-of-marker-7\"]},\"full_"
			       "feature_names\":false}");
	cr_assert_eq(answer.status, 200, "%s", answer.text);
	const char *const names[] = {"customer", "note", "orders"};
	check_names(answer.body, names, 3);
	cr_assert_eq(strncmp(text_at(answer.body, 1, "values", 0), "plaintext-marker-", 17), 0);
	cr_assert_eq(int_at(answer.body, 2, 0), 2);
	const char *out = system_cli_ok(
		system, "features", "get", "spending", "--features", "orders", "--entity",
		"customer=customer-of-marker-7,nobody", "--profile", "eve", NULL);
	cr_assert(strstr(out, "NOT_FOUND") && strstr(out, "curl"), "%s", out);
	check_queries(system);
	system_stop(system);
}

struct form {
	const char *name, *file, *format, *options;
};

Test(story, every_format_and_compression_loads_the_same_rows)
{
	static const struct form forms[] = {
		{"plain", "a.csv", "csv", "FORMAT csv, HEADER"},
		{"gzip", "b.csv.gz", "csv", "FORMAT csv, HEADER, COMPRESSION gzip"},
		{"zstd", "c.csv.zst", "csv", "FORMAT csv, HEADER, COMPRESSION zstd"},
		{"lines", "d.jsonl", "jsonl", "FORMAT json"},
		{"lines_gzip", "e.jsonl.gz", "jsonl", "FORMAT json, COMPRESSION gzip"},
		{"lines_zstd", "f.jsonl.zst", "jsonl", "FORMAT json, COMPRESSION zstd"},
		{"parquet", "g.parquet", "parquet", "FORMAT parquet"},
		{"parquet_zstd", "h.parquet", "parquet", "FORMAT parquet, COMPRESSION zstd"},
	};
	struct system *system = story_start(NULL);
	struct arena *arena = system_arena(system);
	const char *orders = data_orders(system, 0, 3000);
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		const struct form *form = &forms[i];
		data_write(system_path(system, "files/acme/%s", form->file), orders, form->options);
		story_orders(system, form->file, form->format, ", mode: replace");
		struct value *task = story_run(system, "ingest", "{\"source\":\"orders\"}");
		cr_assert_eq(story_rows(system, "orders"), 3000, "%s", form->name);
		cr_assert_eq(value_get_int(value_get(task, "usage"), "rows", -1), 3000, "%s",
			     form->name);
		/* Without a schema the columns are found out. */
		story_apply(
			system, "ada",
			arena_printf(arena,
				     "apiVersion: freehold.io/v1\nkind: Dataset\nmetadata: {name: "
				     "%s, domain: sales}\n---\n"
				     "apiVersion: freehold.io/v1\nkind: Source\nmetadata: {name: "
				     "%s, domain: sales}\n"
				     "spec: {connector: file, path: %s, format: %s, dataset: %s}\n",
				     form->name, form->name, form->file, form->format, form->name));
		story_run(system, "ingest", arena_printf(arena, "{\"source\":\"%s\"}", form->name));
		cr_assert_eq(story_rows(system, form->name), 3000, "%s", form->name);
	}
	system_stop(system);
}

Test(story, ingesting_again_appends_or_replaces_as_the_source_says)
{
	struct system *system = story_start(NULL);
	data_csv(system, "orders.csv", 1000);
	story_orders(system, "orders.csv", "csv", "");
	story_run(system, "ingest", "{\"source\":\"orders\"}");
	story_run(system, "ingest", "{\"source\":\"orders\"}");
	cr_assert_eq(story_rows(system, "orders"), 2000);
	story_orders(system, "orders.csv", "csv", ", mode: replace");
	story_run(system, "ingest", "{\"source\":\"orders\"}");
	cr_assert_eq(story_rows(system, "orders"), 1000);
	struct value *snapshots = system_ask(system, story_key(system, "ada"), "GET",
					     SALES "/datasets/orders/snapshots", NULL);
	cr_assert_eq(value_len(value_get(snapshots, "items")), 3);
	const char *out =
		system_cli_ok(system, "describe", "dataset", "orders", "--profile", "ada", NULL);
	cr_assert_not_null(strstr(out, "SNAPSHOT"));
	system_stop(system);
}

Test(story, a_replayed_materialization_and_an_older_value_change_nothing)
{
	struct system *system = story_start(NULL);
	static const char ask[] = "{\"features\":[\"spending:orders\"],"
				  "\"entities\":{\"customer\":[\"customer-of-marker-1\"]},\"full_"
				  "feature_names\":false}";
	data_csv(system, "orders.csv", 5000);
	story_orders(system, "orders.csv", "csv", ", mode: replace");
	story_spending(system);
	story_run(system, "ingest", "{\"source\":\"orders\"}");
	story_run(system, "transform", "{\"transformation\":\"spending\"}");
	story_run(system, "materialize", "{\"featureView\":\"spending\"}");
	story_run(system, "materialize", "{\"featureView\":\"spending\"}");
	struct answer first = story_features(system, "eve", ask);
	cr_assert_eq(int_at(first.body, 1, 0), 5, "%s", first.text);
	data_csv(system, "orders.csv", 2000); /* the newest event is older now */
	story_run(system, "ingest", "{\"source\":\"orders\"}");
	story_run(system, "transform", "{\"transformation\":\"spending\"}");
	story_run(system, "materialize", "{\"featureView\":\"spending\"}");
	struct answer second = story_features(system, "eve", ask);
	cr_assert_str_eq(first.text, second.text);
	system_stop(system);
}

Test(story, bad_rows_are_kept_aside_up_to_the_limit_and_fail_the_task_over_it)
{
	struct system *system = story_start(NULL);
	file_write(system_path(system, "files/acme/bad.csv"), "customer,seen,amount,note\n"
							      "a,2024-01-01 00:00:00,1.5,fine\n"
							      "b,not a time,2.5,broken\n"
							      "c,2024-01-02 00:00:00,much,broken\n"
							      "d,2024-01-03 00:00:00,3.5,fine\n");
	story_orders(system, "bad.csv", "csv", ", rejectLimit: 2");
	struct value *task = story_run(system, "ingest", "{\"source\":\"orders\"}");
	cr_assert_eq(story_rows(system, "orders"), 2);
	struct value *list = system_ask(system, story_key(system, "ada"), "GET",
					SALES "/datasets/orders/snapshots", NULL);
	const struct value *snapshot = value_at(value_get(list, "items"), 0);
	cr_assert_eq(value_get_int(snapshot, "rejectedRows", -1), 2);
	cr_assert_eq(value_get_int(value_at(value_get(task, "outputs"), 0), "rejectedRows", -1), 2);
	story_orders(system, "bad.csv", "csv", ", rejectLimit: 1");
	task = story_fail(system, "ingest", "{\"source\":\"orders\"}");
	cr_assert_str_eq(task_code(task), "INPUT");
	cr_assert(strstr(task_text(task), "1") && !strstr(task_text(task), "not a time"), "%s",
		  task_text(task));
	cr_assert_eq(story_rows(system, "orders"), 2, "a failed task changed the dataset");
	system_stop(system);
}

Test(story, another_tenant_learns_nothing_and_a_quota_names_the_rule_and_the_numbers)
{
	struct system *system = story_start(NULL);
	story_apply(system, "operator",
		    "apiVersion: freehold.io/v1\nkind: Quota\n"
		    "metadata: {name: default, tenant: globex}\nspec: {window: day, tasks: 1}\n");
	data_csv(system, "orders.csv", 10);
	story_orders(system, "orders.csv", "csv", "");
	const char *gus = story_key(system, "gus");
	struct answer there = system_call(system, gus, "GET", SALES "/datasets/orders", NULL);
	struct answer nowhere = system_call(system, gus, "GET", SALES "/datasets/nothing", NULL);
	cr_assert_eq(there.status, 404);
	cr_assert_eq(nowhere.status, 404);
	cr_assert_str_eq(value_get_str(there.body, "detail"),
			 value_get_str(nowhere.body, "detail"));
	const char *submit = "{\"type\":\"probe\",\"spec\":{}}";
	system_ask(system, gus, "POST", TRIPS "/tasks", submit);
	struct answer refused = system_call(system, gus, "POST", TRIPS "/tasks", submit);
	cr_assert_eq(refused.status, 429, "%s", refused.text);
	const char *detail = value_get_str(refused.body, "detail");
	cr_assert(strstr(detail, "tasks") && strstr(detail, "1"), "%s", detail);
	struct value *events = system_ask(system, story_key(system, "operator"), "GET",
					  "/v1/tenants/globex/audit?result=denied", NULL);
	cr_assert_geq(value_len(value_get(events, "items")), 2);
	events = system_ask(system, story_key(system, "operator"), "GET",
			    "/v1/tenants/acme/audit?actor=globex/gus", NULL);
	cr_assert_eq(value_len(value_get(events, "items")), 0);
	system_stop(system);
}
