/* Bad input, each kind tried: what is wrong is named, with where, the rule and the nearest right
 * thing; nothing internal is told, and nothing changes. */
#include "common/defs.h"
#include "tests/support/story.h"

#include "tests/support/follow.h"

#include <criterion/criterion.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define DATASET "apiVersion: freehold.io/v1\nkind: Dataset\nmetadata: {name: d, domain: sales}\n"

/* Nothing of how it is built or where it lies may be told, but what the asker said. */
static void check_discreet(const char *said, const char *text)
{
	static const char *const inside[] = {"/proc/",  "memfd",  "/objects/", "worker/",
					     "control/", "duck.c", ".c:",       " 0x",
					     "plaintext-marker"};
	for (size_t i = 0; i < ARRAY_LEN(inside); i++)
		cr_assert(!strstr(text, inside[i]) || strstr(said, inside[i]), "it tells %s: %s",
			  inside[i], text);
}

struct bad_manifest {
	const char *yaml;
	const char *says[3];
};

Test(bad_input, a_manifest_is_refused_with_the_place_the_rule_and_the_nearest_name)
{
	static const struct bad_manifest manifests[] = {
		{"apiVersion: freehold.io/v1\nkind: Dataset\nmetadata: {name: d\nspec: {}\n",
		 {"line 4", "column"}},
		{DATASET "spec: {descripton: x}\n", {"descripton", "description"}},
		{DATASET "spec: {schema: [{name: a, type: strin}]}\n", {"type", "string"}},
		{DATASET "spec: {schema: yes}\n", {"schema", "list"}},
		{DATASET "spec: {schema: [{name: a, type: string, required: 3}]}\n", {"required"}},
		{DATASET "spec: {description: [1]}\n", {"description"}},
		{"apiVersion: freehold.io/v1\nkind: Datset\nmetadata: {name: d}\n",
		 {"kind", "Dataset"}},
		{"apiVersion: v9\nkind: Dataset\nmetadata: {name: d}\n", {"apiVersion"}},
		{"apiVersion: freehold.io/v1\nkind: Dataset\nmetadata: {name: D_Upper, domain: "
		 "sales}\n",
		 {"metadata.name", "a-z"}},
		{"apiVersion: freehold.io/v1\nkind: Dataset\nmetadata: {name: ../x, domain: "
		 "sales}\n",
		 {"metadata.name"}},
		{"apiVersion: freehold.io/v1\nkind: Dataset\nmetadata: {domain: sales}\n",
		 {"metadata.name"}},
		{"apiVersion: freehold.io/v1\nkind: Source\nmetadata: {name: s, domain: sales}\n"
		 "spec: {connector: file, path: ../../etc/passwd, format: csv, dataset: d}\n",
		 {"path"}},
		{"apiVersion: freehold.io/v1\nkind: Source\nmetadata: {name: s, domain: sales}\n"
		 "spec: {connector: file, path: a.csv, format: csv, dataset: nowhere}\n",
		 {"dataset", "nowhere"}},
		{"a: 1\na: 2\n", {"line 2"}},
		{"", {"no document"}},
	};
	struct system *system = story_start(NULL);
	story_apply(system, "ada", DATASET);
	for (size_t i = 0; i < ARRAY_LEN(manifests); i++) {
		struct ran ran = story_try_apply(system, "ada", manifests[i].yaml);
		cr_assert_eq(ran.code, 1, "%s: %d %s", manifests[i].yaml, ran.code, ran.out);
		for (size_t j = 0; j < 3 && manifests[i].says[j]; j++)
			cr_assert_not_null(strstr(ran.out, manifests[i].says[j]), "%s: %s",
					   manifests[i].yaml, ran.out);
	}
	struct value *list =
		system_ask(system, story_key(system, "ada"), "GET", SALES "/datasets", NULL);
	const struct value *items = value_get(list, "items");
	cr_assert_eq(value_len(items), 1);
	cr_assert_eq(value_len(value_get(value_at(items, 0), "spec")), 0);
	system_stop(system);
}

struct bad_request {
	const char *method, *path, *body;
	int status;
	const char *says;
};

Test(bad_input, a_request_is_refused_with_the_line_and_column_or_the_field)
{
	static const struct bad_request requests[] = {
		{"PUT", SALES "/datasets/d", "{\n  \"kind\": \"Dataset\",\n  oops\n}", 400,
		 "line 3"},
		{"PUT", SALES "/datasets/d", "{\"kind\":\"Dataset\",\"kind\":\"Dataset\"}", 400,
		 "line 1, column 24"},
		{"PUT", SALES "/datasets/d", "[1,2]", 400, "map"},
		{"PUT", SALES "/datasets/d", NULL, 400, ""},
		{"PUT", SALES "/datasets/e",
		 "{\"apiVersion\":\"freehold.io/v1\",\"kind\":\"Dataset\","
		 "\"metadata\":{\"name\":\"d\"}}",
		 400, "name"},
		{"POST", SALES "/tasks", "{\"type\":\"ingst\",\"spec\":{}}", 400, "ingest"},
		{"POST", SALES "/tasks", "{\"type\":\"probe\",\"spec\":{\"sleepMs\":\"long\"}}",
		 400, "sleepMs"},
		{"POST", SALES "/tasks", "{\"type\":\"probe\",\"spec\":{\"sleepMs\":-1}}", 400,
		 "sleepMs"},
		{"POST", SALES "/tasks", "{\"type\":\"ingest\",\"spec\":{\"source\":\"none\"}}",
		 400, "none"},
		{"POST", SALES "/tasks", "{\"type\":\"ingest\",\"spec\":{}}", 400, "source"},
		{"GET", SALES "/tasks/zzz", NULL, 404, ""},
		{"GET", SALES "/tasks?limit=0", NULL, 400, "limit"},
		{"GET", SALES "/tasks?limit=many", NULL, 400, "limit"},
		{"GET", SALES "/datasets?continue=%25%25", NULL, 400, "continue"},
		{"GET", "/v1/nothing", NULL, 404, ""},
		{"PATCH", SALES "/datasets/d", NULL, 405, ""},
	};
	struct system *system = story_start(NULL);
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		const struct bad_request *bad = &requests[i];
		struct answer answer = system_call(system, story_key(system, "ada"), bad->method,
						   bad->path, bad->body);
		cr_assert_eq(answer.status, bad->status, "%s %s %s: %d %s", bad->method, bad->path,
			     bad->body, answer.status, answer.text);
		cr_assert_not_null(strstr(answer.text, bad->says), "%s: %s", bad->says,
				   answer.text);
		const char *type = answer_header(system, &answer, "Content-Type");
		cr_assert(type && strstr(type, "application/problem+json"), "%s", type);
		cr_assert_not_null(answer_header(system, &answer, "X-Request-Id"));
		check_discreet("", answer.text);
	}
	system_stop(system);
}

Test(bad_input, of_two_that_create_the_same_at_once_one_wins_and_the_other_is_told)
{
	enum { TRIES = 20 };
	struct system *system = story_start(NULL);
	int refused = 0;
	for (int i = 0; i < TRIES; i++) {
		const char *out[2];
		pid_t pids[2];
		for (int side = 0; side < 2; side++) {
			const char *path =
				system_path(system, "manifests/race-%d-%d.yaml", i, side);
			file_write(
				path,
				arena_printf(system_arena(system),
					     "apiVersion: freehold.io/v1\nkind: Dataset\nmetadata: "
					     "{name: race-%d, domain: sales}\n"
					     "spec: {description: by %d}\n",
					     i, side));
			const char *const args[] = {"apply", "-f", path, "--profile", "ada", NULL};
			out[side] = system_path(system, "out/race-%d-%d", i, side);
			pids[side] = system_cli_start(system, out[side], args);
		}
		int codes[2] = {process_wait(pids[0], 30000), process_wait(pids[1], 30000)};
		for (int side = 0; side < 2; side++)
			cr_assert(codes[side] == 0 || codes[side] == 5, "%d %s", codes[side],
				  file_text(system_arena(system), out[side]));
		cr_assert(codes[0] == 0 || codes[1] == 0, "nobody won");
		refused += (codes[0] != 0) + (codes[1] != 0);
	}
	/* With If-None-Match only one of any two can win, however they meet. */
	const char *body = "{\"apiVersion\":\"freehold.io/v1\",\"kind\":\"Dataset\","
			   "\"metadata\":{\"name\":\"once\"},\"spec\":{}}";
	for (int i = 0; i < 2; i++) {
		struct answer answer =
			system_call_with(system, PORT_API, story_key(system, "ada"),
					 "If-None-Match: *", "PUT", SALES "/datasets/once", body);
		cr_assert_eq(answer.status, i == 0 ? 201 : 412, "%d %s", answer.status,
			     answer.text);
	}
	cr_log_info("%d of %d were refused", refused, TRIES * 2);
	system_stop(system);
}

Test(bad_input, a_stale_etag_is_refused_and_the_right_one_is_taken)
{
	struct system *system = story_start(NULL);
	const char *ada = story_key(system, "ada");
	const char *body = "{\"apiVersion\":\"freehold.io/v1\",\"kind\":\"Dataset\","
			   "\"metadata\":{\"name\":\"d\"},\"spec\":{\"description\":\"%s\"}}";
	struct arena *arena = system_arena(system);
	char first[256], second[256];
	snprintf(first, sizeof first, body, "one");
	snprintf(second, sizeof second, body, "two");
	system_ask(system, ada, "PUT", SALES "/datasets/d", first);
	struct answer got = system_call(system, ada, "GET", SALES "/datasets/d", NULL);
	const char *match =
		arena_printf(arena, "If-Match: %s", answer_header(system, &got, "ETag"));
	struct answer taken =
		system_call_with(system, PORT_API, ada, match, "PUT", SALES "/datasets/d", second);
	cr_assert_eq(taken.status, 200, "%s", taken.text);
	struct answer stale =
		system_call_with(system, PORT_API, ada, match, "PUT", SALES "/datasets/d", first);
	cr_assert_eq(stale.status, 412, "%d %s", stale.status, stale.text);
	system_stop(system);
}

struct bad_file {
	const char *path, *format, *code, *says;
};

Test(bad_input, a_file_that_cannot_be_loaded_fails_the_task_and_changes_nothing)
{
	static const struct bad_file files[] = {
		{"missing.csv", "csv", "INPUT", "missing.csv"},
		{"folder", "csv", "INPUT", "folder"},
		{"empty.csv", "csv", "INPUT", "empty"},
		{"empty.parquet", "parquet", "INPUT", ""},
		{"empty.jsonl", "jsonl", "INPUT", ""},
		{"header.csv", "csv", "INPUT", "client"},
		{"short.parquet", "parquet", "INPUT", ""},
		{"text.parquet", "parquet", "INPUT", ""},
		{"text.csv.gz", "csv", "INPUT", "gzip"},
		{"text.csv.zst", "csv", "INPUT", "zstd"},
		{"broken.jsonl", "jsonl", "INPUT", ""},
		{"outside.csv", "csv", NULL, ""},
	};
	struct system *system = story_start(NULL);
	const char *root = system_path(system, "files/acme");
	struct arena *arena = system_arena(system);
	mkdir(arena_printf(arena, "%s/folder", root), 0700);
	file_write(arena_printf(arena, "%s/empty.csv", root), "");
	file_write(arena_printf(arena, "%s/empty.parquet", root), "");
	file_write(arena_printf(arena, "%s/empty.jsonl", root), "");
	file_write(arena_printf(arena, "%s/header.csv", root),
		   "client,seen,amount,note\na,2024-01-01,1,x\n");
	file_write(arena_printf(arena, "%s/text.parquet", root),
		   "plaintext-marker is no parquet at all");
	file_write(arena_printf(arena, "%s/text.csv.gz", root), "plaintext-marker is no gzip");
	file_write(arena_printf(arena, "%s/text.csv.zst", root), "plaintext-marker is no zstd");
	file_write(arena_printf(arena, "%s/broken.jsonl", root),
		   "{\"customer\": \"plaintext-marker\"\n[\n");
	data_write(arena_printf(arena, "%s/short.parquet", root), data_orders(system, 0, 5000),
		   "FORMAT parquet");
	cr_assert_eq(truncate(arena_printf(arena, "%s/short.parquet", root), 20000), 0);
	cr_assert_eq(symlink("/etc/passwd", arena_printf(arena, "%s/outside.csv", root)), 0);
	data_csv(system, "good.csv", 100);
	story_orders(system, "good.csv", "csv", "");
	story_run(system, "ingest", "{\"source\":\"orders\"}");
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		story_orders(system, files[i].path, files[i].format, ", mode: replace");
		struct value *task = story_fail(system, "ingest", "{\"source\":\"orders\"}");
		const char *text = task_text(task);
		if (files[i].code)
			cr_assert_str_eq(task_code(task), files[i].code, "%s: %s", files[i].path,
					 text);
		cr_assert_not_null(strstr(text, files[i].says), "%s: %s", files[i].path, text);
		cr_assert_eq(value_get_int(task, "attempt", 0), 1, "%s was tried again: %s",
			     files[i].path, text);
		check_discreet("", text);
		cr_assert_eq(story_rows(system, "orders"), 100, "%s changed the dataset",
			     files[i].path);
	}
	system_stop(system);
}

static const char *transformation(struct system *system, const char *sql)
{
	return arena_printf(system_arena(system),
			    "apiVersion: freehold.io/v1\nkind: Dataset\nmetadata: {name: made, "
			    "domain: sales}\n---\n"
			    "apiVersion: freehold.io/v1\nkind: Transformation\nmetadata: {name: "
			    "made, domain: sales}\n"
			    "spec:\n  inputs: [orders]\n  output: made\n  sql: |\n    %s\n",
			    sql);
}

struct bad_sql {
	const char *sql, *says;
};

Test(bad_input, sql_is_refused_with_the_engines_words_and_the_position)
{
	static const struct bad_sql all[] = {
		{"SELEC customer FROM orders", "SELEC"},
		{"SELECT customer,\n    amont FROM orders", "amont"},
		{"SELECT customer FROM orders WHERE (", ""},
		{"SELECT * FROM trips.journeys", "journeys"},
		{"SELECT * FROM globex.trips.journeys", ""},
		{"SELECT * FROM read_csv('/etc/passwd')", ""},
		{"SELECT * FROM '/etc/passwd'", ""},
		{"SELECT * FROM read_blob('/proc/self/environ')", ""},
		{"SELECT * FROM glob('/proc/self/fd/*')", ""},
		{"DROP TABLE orders", ""},
		{"SELECT 1; SELECT 2", ""},
		{"COPY orders TO '/tmp/stolen.csv'", ""},
		{"ATTACH '/tmp/x.db'", ""},
		{"INSTALL httpfs", ""},
		{"SET threads = 64", ""},
		{"SELECT getenv('PATH')", ""},
		{"SELECT CAST(note AS INTEGER) FROM orders", ""},
	};
	struct system *system = story_start(NULL);
	data_csv(system, "orders.csv", 100);
	story_orders(system, "orders.csv", "csv", "");
	story_run(system, "ingest", "{\"source\":\"orders\"}");
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		story_apply(system, "ada", transformation(system, all[i].sql));
		struct value *task =
			story_fail(system, "transform", "{\"transformation\":\"made\"}");
		cr_assert_not_null(strstr(task_text(task), all[i].says), "%s: %s", all[i].sql,
				   task_text(task));
		check_discreet(all[i].sql, task_text(task));
		cr_assert_eq(value_get_int(task, "attempt", 0), 1, "%s: %s", all[i].sql,
			     task_text(task));
	}
	cr_assert_neq(access("/tmp/stolen.csv", F_OK), 0);
	story_apply(system, "ada",
		    transformation(system, "SELECT customer,\n    amont FROM orders"));
	struct value *task = story_fail(system, "transform", "{\"transformation\":\"made\"}");
	cr_assert_not_null(strstr(task_text(task), "LINE 2"), "%s", task_text(task));
	system_stop(system);
}

Test(bad_input, a_manifest_over_the_cap_is_refused_by_the_command_line_and_by_the_server)
{
	struct system *system = story_start(NULL);
	size_t size = 2 * MIB;
	char *text = malloc(size + 1);
	cr_assert_not_null(text);
	memset(text, '#', size);
	text[size] = 0;
	struct ran ran = story_try_apply(system, "ada", text);
	cr_assert_eq(ran.code, 1, "%s", ran.out);
	cr_assert_not_null(strstr(ran.out, "1048576"), "%s", ran.out);
	struct answer answer =
		system_call(system, story_key(system, "ada"), "PUT", SALES "/datasets/d", text);
	cr_assert_eq(answer.status, 413, "%d %s", answer.status, answer.text);
	free(text);
	system_stop(system);
}

struct expiring {
	struct system *system;
	const char *key;
};

static bool expires(void *context)
{
	struct expiring *expiring = context;
	return system_call(expiring->system, expiring->key, "GET", "/v1/whoami", NULL).status !=
	       200;
}

Test(bad_input, an_expired_an_unknown_and_no_key_are_refused_alike)
{
	struct system *system = story_start(NULL);
	const char *path = system_path(system, "short.key");
	struct expiring expiring = {system, NULL};
	/* On a busy machine two seconds may be over before they are used. */
	for (int seconds = 2; !expiring.key || expires(&expiring); seconds *= 2) {
		cr_assert_lt(seconds, 100, "it is never taken");
		unlink(path);
		system_cli_ok(system, "keys", "create", "eve", "--tenant", "acme", "--expires-in",
		              arena_printf(system_arena(system), "%ds", seconds), "--out", path,
		              "--profile", "operator", NULL);
		expiring.key = story_key(system, "short");
	}
	cr_assert(wait_until(expires, &expiring, 120000), "it is taken for ever");
	struct answer expired = system_call(system, expiring.key, "GET", "/v1/whoami", NULL);
	char wrong[256];
	snprintf(wrong, sizeof wrong, "%s", story_key(system, "eve"));
	wrong[strlen(wrong) - 1] ^= 1;
	struct answer unknown = system_call(system, wrong, "GET", "/v1/whoami", NULL);
	struct answer none = system_call(system, NULL, "GET", "/v1/whoami", NULL);
	cr_assert_eq(expired.status, 401, "%s", expired.text);
	cr_assert_eq(unknown.status, 401, "%s", unknown.text);
	cr_assert_eq(none.status, 401, "%s", none.text);
	cr_assert_null(strstr(expired.text, expiring.key));
	file_write(system_path(system, "wrong.key"), wrong);
	struct ran ran = system_cli(system, "login", "--url", system_url(system, PORT_API),
				    "--key-file", system_path(system, "wrong.key"), NULL);
	cr_assert_eq(ran.code, 4, "%d %s", ran.code, ran.out);
	system_stop(system);
}

/* A small file system of this process's own; false where that needs more rights. */
static bool mount_small(const char *path)
{
	return geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("tmpfs", path, "tmpfs", 0, "size=8m") == 0;
}

Test(bad_input, a_disk_full_during_a_task_fails_it_with_the_reason_and_frees_what_it_wrote)
{
	struct system *system = system_new();
	const char *objects = system_path(system, "objects");
	if (!mount_small(objects)) {
		system_stop(system);
		cr_skip_test("needs the right to mount");
	}
	system_run(system, PART_ETCD);
	system_run(system, PART_CONTROL);
	system_run(system, PART_WORKER);
	system_await_ready(system);
	story_tenants(system);
	data_csv(system, "small.csv", 1000);
	data_csv(system, "orders.csv", 2000000);
	story_orders(system, "small.csv", "csv", "");
	story_run(system, "ingest", "{\"source\":\"orders\"}");
	story_orders(system, "orders.csv", "csv", "");
	struct value *task = story_await(
		system, story_submit(system, "ingest", "{\"source\":\"orders\"}"), 150000);
	cr_assert_str_eq(value_get_str(task, "state"), "failed");
	cr_assert_str_eq(task_code(task), "NO_SPACE", "%s: %s", task_code(task), task_text(task));
	check_discreet("", task_text(task));
	cr_assert_eq(story_rows(system, "orders"), 1000);
	/* What the failed attempts wrote does not stay in the way of those that fit. */
	story_orders(system, "small.csv", "csv", "");
	story_run(system, "ingest", "{\"source\":\"orders\"}");
	cr_assert_eq(story_rows(system, "orders"), 2000);
	system_kill(system, PART_WORKER);
	system_kill(system, PART_CONTROL);
	system_kill(system, PART_ETCD);
	umount2(objects, MNT_DETACH);
	system_stop(system);
}
