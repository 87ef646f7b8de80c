/* test_calls.c - a source with connector http, through real processes: nothing may be called until
 * the operator has listed the host, and then just that. */
#include "common/defs.h"
#include "tests/support/story.h"

#include "api/http.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static int served;

static void serve(void *context, struct http_request *request)
{
	struct buf body;
	(void)context;
	__atomic_add_fetch(&served, 1, __ATOMIC_SEQ_CST);
	buf_init(&body, 4096);
	buf_puts(&body, "id,name\n1,one\n2,two\n3,three\n");
	http_answer(request, 200, "text/csv", &body);
}

static void apply(struct system *system, int port)
{
	story_apply(system, "ada",
	            arena_printf(system_arena(system),
	                         "apiVersion: freehold.io/v1\nkind: Dataset\nmetadata: {name: got, "
	                         "domain: sales}\n---\napiVersion: freehold.io/v1\nkind: Source\n"
	                         "metadata: {name: got, domain: sales}\nspec: {connector: http, "
	                         "url: 'http://127.0.0.1:%d/a.csv?key=hidden-parameter', dataset: "
	                         "got, format: csv}\n",
	                         port));
}

static void list(struct system *system, int port, const char *network)
{
	story_apply(
		system, "operator",
		arena_printf(system_arena(system),
	                     "apiVersion: freehold.io/v1\nkind: Tenant\nmetadata: {name: acme}\n"
	                     "spec: {egress: [{host: 127.0.0.1, scheme: http, port: %d%s}]}\n",
	                     port, network));
}

Test(calls, a_tasks_connector_calls_what_the_operator_has_listed_and_nothing_else)
{
	static const char *const allow[] = {"--egress-allow-private", "127.0.0.0/8", NULL};
	static const struct system_options options = {.worker = allow};
	const struct http_conf http = {.listen = "127.0.0.1:0", .threads = 1, .serve = serve};
	struct http_server *server = NULL;
	struct err err = {0};
	struct system *system = story_start(&options);
	cr_assert_eq(http_server_new(&http, &server, &err), 0, "%s", err.text);
	int port = http_server_port(server);
	apply(system, port);
	struct value *task = story_fail(system, "ingest", "{\"source\":\"got\"}");
	cr_expect_str_eq(task_code(task), "DENIED", "%s", task_text(task));
	cr_expect_not_null(strstr(task_text(task), "spec.egress"), "%s", task_text(task));
	list(system, port, "");
	task = story_fail(system, "ingest", "{\"source\":\"got\"}");
	cr_expect_str_eq(task_code(task), "DENIED", "%s", task_text(task));
	cr_expect_eq(__atomic_load_n(&served, __ATOMIC_SEQ_CST), 0, "it was called");
	list(system, port, ", network: 127.0.0.0/8");
	story_run(system, "ingest", "{\"source\":\"got\"}");
	cr_expect_eq(story_rows(system, "got"), 3);
	const char *log = file_text(system_arena(system), system_path(system, "log/worker-1.log"));
	cr_expect(log && !strstr(log, "hidden-parameter"), "the log has a URL's parameters");
	http_server_free(server);
	system_stop(system);
}
