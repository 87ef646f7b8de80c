/* Following a task: by its events over a server that this test plays, and by held reads where there
 * are none to be had. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "api/http.h"
#include "api/problem.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <string.h>

#define TASK "01h455vb4pex5vsknk084sn02q"

static struct cli cli;
static struct arena *arena;
static struct http_server *server;
static char resumed[4][SSE_ID_MAX + 1];        /* Last-Event-ID of each stream that was opened */
static int streams;

static void say(struct outflow *outflow, const char *id, const char *state, int percent)
{
	char data[256];
	AUTO_BUF out;
	buf_init(&out, 1024);
	snprintf(data, sizeof data, "{\"state\":\"%s\",\"attempt\":1,\"version\":1,"
	         "\"progress\":{\"phase\":\"reading\",\"rows\":%d,\"bytes\":2048,\"percent\":%d}}",
	         state, percent * 10, percent);
	sse_comment("hello", &out);
	sse_print(id, "task", data, &out);
	cr_assert(outflow_put(outflow, out.data, out.len));
}

/* The first stream is cut after two events, the second goes on from there. */
static void answer_stream(struct http_request *request, bool cut)
{
	struct outflow *outflow = NULL;
	const char *last = http_header(request, "Last-Event-ID");
	int nth = streams++;
	snprintf(resumed[nth % 4], sizeof resumed[0], "%s", last ? last : "");
	cr_assert_eq(http_answer_stream(request, SSE_TYPE, 4096, &outflow, NULL), 0);
	if (nth == 0 || !cut) {
		say(outflow, "7-1", "queued", 0);
		say(outflow, "7-2", "running", 50);
	}
	if (nth > 0 || !cut)
		say(outflow, "7-3", "succeeded", 100);
	outflow_end(outflow);
}

static void answer_problem(struct http_request *request, int code)
{
	struct err err = { 0 };
	struct buf body;
	buf_init(&body, 4096);
	err_set(&err, code, "as many streams as there may be are open");
	http_answer(request, problem_print(&err, "r1", &body), PROBLEM_TYPE, &body);
}

/* A task as it stands: ended when it is waited for. */
static void answer_task(struct http_request *request)
{
	struct buf body;
	const char *wait = http_query(request, "waitMs");
	bool over = wait && strcmp(wait, "0") != 0;
	buf_init(&body, 4096);
	buf_printf(&body, "{\"id\":\"" TASK "\",\"type\":\"probe\",\"state\":\"%s\",\"version\":9,"
	           "\"attempt\":1,\"usage\":{\"rows\":1000,\"cpuMs\":1500}}",
	           !over ? "queued" : strstr(http_path(request), "/bad/") ? "dead" : "succeeded");
	http_answer(request, 200, "application/json", &body);
}

static void serve(void *context, struct http_request *request)
{
	const char *path = http_path(request), *end = strstr(path, "/events");
	(void)context;
	if (!end)
		answer_task(request);
	else if (strncmp(path, "/busy/", 6) == 0 || strncmp(path, "/bad/", 5) == 0)
		answer_problem(request, E_BUSY);
	else if (strncmp(path, "/moved/", 7) == 0) {
		const char *to = arena_printf(http_arena(request), "http://127.0.0.1:%d/new/%s",
		                              http_server_port(server), path + 7);
		http_add_header(request, "Location", to);
		http_answer(request, 307, NULL, NULL);
	} else if (strncmp(path, "/astray/", 8) == 0) {
		http_add_header(request, "Location", "file:///etc/passwd");
		http_answer(request, 307, NULL, NULL);
	} else
		answer_stream(request, strncmp(path, "/cut/", 5) == 0);
}

static void setup(void)
{
	struct http_conf conf = { .listen = "127.0.0.1:0", .serve = serve, .threads = 2 };
	struct fetch_conf fetch = { 0 };
	struct err err = { 0 };
	cr_assert_eq(arena_new(16 * MIB, &arena, NULL), 0);
	cli = (struct cli) { .arena = arena, .authorization = "Authorization: Bearer k1" };
	cr_assert_eq(http_server_new(&conf, &server, &err), 0, "%s", err.text);
	cr_assert_eq(fetch_new(&fetch, &cli.fetch, &err), 0, "%s", err.text);
	cli.url = arena_printf(arena, "http://127.0.0.1:%d", http_server_port(server));
	streams = 0;
	cr_redirect_stdout();
}

static void teardown(void)
{
	fetch_free(cli.fetch);
	http_server_free(server);
	arena_free(arena);
}

TestSuite(progress, .init = setup, .fini = teardown);

static int follow(const char *collection)
{
	struct err err = { 0 };
	int rc = progress_follow(&cli, collection, TASK, &err);
	cr_expect(rc == 0 || strlen(err.text) > 10);
	return rc;
}

Test(progress, a_task_is_shown_change_by_change_with_its_phase_and_a_sum_at_the_end)
{
	cr_expect_eq(follow("/ok"), 0);
	fclose(stdout);
	cr_assert_stdout_eq_str("probe " TASK ": queued, reading, 0 rows\n"
	                        "probe " TASK ": running, reading, 500 rows\n"
	                        "probe " TASK ": succeeded, reading, 1000 rows\n"
	                        "  1000 rows, 0 B read, 0 B written, 1.50 cpu s, peak 0 B, "
	                        "attempt 1\n");
}

Test(progress, a_stream_that_is_cut_goes_on_after_the_last_event)
{
	cr_expect_eq(follow("/cut"), 0);
	cr_expect_eq(streams, 2);
	cr_expect_str_eq(resumed[0], "");
	cr_expect_str_eq(resumed[1], "7-2");
}

Test(progress, where_no_stream_is_to_be_had_held_reads_do)
{
	cr_expect_eq(follow("/busy"), 0);
	cr_expect_eq(streams, 0);
}

Test(progress, who_does_not_lead_names_who_does_and_that_one_is_asked)
{
	cr_expect_eq(follow("/moved"), 0);
	cr_expect_eq(streams, 1);
}

Test(progress, a_credential_is_not_taken_to_what_is_no_server_of_ours)
{
	char last[SSE_ID_MAX + 1] = "";
	struct err err = { 0 };
	cr_expect_eq(client_stream(&cli, "/astray/x/events", last, NULL, NULL, &err), E_INTERNAL);
	cli.url = arena_printf(arena, "https%s", cli.url + 4);
	cr_expect_lt(client_stream(&cli, "/moved/x/events", last, NULL, NULL, &err), 0);
}

Test(progress, a_task_that_did_not_succeed_is_an_exit_code_of_its_own)
{
	cr_expect_eq(follow("/bad"), E_CONFLICT);
	cr_expect_eq(cli.exit_code, EXIT_TASK_FAILED);
}

Test(progress, a_terminal_gets_one_line_with_a_bar_that_grows)
{
	cli.terminal = true;
	cr_expect_eq(follow("/ok"), 0);
	fflush(stdout);
	fclose(stdout);
	FILE *out = cr_get_redirected_stdout();
	char text[8192];
	size_t len = fread(text, 1, sizeof text - 1, out);
	text[len] = '\0';
	cr_expect_not_null(strstr(text, " 50%  running, reading  500 rows  2.0 KiB"), "%s", text);
	cr_expect_not_null(strstr(text, "100%  succeeded"), "%s", text);
	char *lines = text;
	int count = 0;
	for (; *lines; lines++)
		count += *lines == '\n';
	cr_expect_eq(count, 2, "the bar's and the sum's");
}
