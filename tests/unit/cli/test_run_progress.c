/* Following a run: by its events over a server that this test plays, and by held reads where there
 * are none to be had. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "api/http.h"
#include "api/problem.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <string.h>

#define RUN  "01h455vb4pex5vsknk084sn02r"
#define LOAD "01h455vb4pex5vsknk084sn02s"
#define CALC "01h455vb4pex5vsknk084sn02t"

static struct cli cli;
static struct arena *arena;
static struct http_server *server;
static char resumed[4][SSE_ID_MAX + 1];        /* Last-Event-ID of each stream that was opened */
static int streams, held;
static bool over;                              /* the run has ended */

static void say(struct outflow *outflow, const char *id, const char *data)
{
	AUTO_BUF out;
	buf_init(&out, 4096);
	sse_print(id, id ? "run" : "task", data, &out);
	cr_assert(outflow_put(outflow, out.data, out.len));
}

#define COUNTS(state, first, rest) "{\"run\":\"" RUN "\",\"state\":\"" state "\",\"counts\":{" \
	first rest "}}"

static void first_half(struct outflow *outflow)
{
	say(outflow, "7-1", COUNTS("queued", "\"queued\":2", ""));
	say(outflow, NULL, "{\"task\":\"" LOAD "\",\"state\":\"running\",\"attempt\":1,"
	    "\"progress\":{\"phase\":\"reading\",\"rows\":5,\"percent\":40}}");
	say(outflow, "7-2", COUNTS("running", "\"queued\":1", ",\"running\":1"));
	say(outflow, NULL, "no json");
	say(outflow, NULL, "{\"task\":\"01h455vb4pex5vsknk084sn02z\",\"state\":\"running\"}");
}

static void second_half(struct outflow *outflow)
{
	say(outflow, NULL, "{\"task\":\"" LOAD "\",\"state\":\"succeeded\",\"attempt\":1}");
	say(outflow, "7-3", COUNTS("running", "\"queued\":1", ",\"succeeded\":1"));
	over = true;
}

/* The first stream is cut in the middle, the second goes on from there. */
static void answer_stream(struct http_request *request, bool cut)
{
	struct outflow *outflow = NULL;
	const char *last = http_header(request, "Last-Event-ID");
	int nth = streams++;
	snprintf(resumed[nth % 4], sizeof resumed[0], "%s", last ? last : "");
	cr_assert_eq(http_answer_stream(request, SSE_TYPE, 4096, &outflow, NULL), 0);
	if (nth == 0 || !cut)
		first_half(outflow);
	if (nth > 0 || !cut)
		second_half(outflow);
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

static void answer_run(struct http_request *request)
{
	struct buf body;
	const char *wait = http_query(request, "waitMs"), *path = http_path(request);
	bool waits = wait && strcmp(wait, "0") != 0, bad = strncmp(path, "/bad/", 5) == 0;
	const char *state = !over && !waits ? "queued" : "succeeded";
	held += waits;
	buf_init(&body, 4096);
	buf_printf(&body, "{\"id\":\"" RUN "\",\"state\":\"%s\",\"version\":9,\"count\":2,"
	           "\"counts\":{\"%s\":2},\"tasks\":[{\"name\":\"load\",\"type\":\"probe\","
	           "\"id\":\"" LOAD "\",\"state\":\"%s\",\"attempt\":1},{\"name\":\"calc\","
	           "\"type\":\"probe\",\"id\":\"" CALC "\",\"state\":\"%s\"%s,"
	           "\"dependsOn\":[{\"task\":\"load\",\"on\":\"success\"}]}]%s}",
	           bad && waits ? "failed" : state, state, state,
	           bad && waits ? "failed" : state, bad ? ",\"text\":\"no room\"" : "",
	           over || waits ? ",\"endedAt\":\"2026-01-31T08:00:00Z\"" : "");
	http_answer(request, 200, "application/json", &body);
}

static void serve(void *context, struct http_request *request)
{
	const char *path = http_path(request);
	(void)context;
	if (!strstr(path, "/events"))
		answer_run(request);
	else if (strncmp(path, "/busy/", 6) == 0 || strncmp(path, "/bad/", 5) == 0)
		answer_problem(request, E_BUSY);
	else if (strncmp(path, "/denied/", 8) == 0)
		answer_problem(request, E_DENIED);
	else
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
	streams = held = 0;
	over = false;
	cr_redirect_stdout();
}

static void teardown(void)
{
	fetch_free(cli.fetch);
	http_server_free(server);
	arena_free(arena);
}

TestSuite(run_progress, .init = setup, .fini = teardown);

static int follow(const char *collection)
{
	struct err err = { 0 };
	int rc = run_progress_follow(&cli, collection, RUN, &err);
	cr_expect(rc == 0 || strlen(err.text) > 10);
	cr_expect_eq(cli.arena, arena);
	return rc;
}

static void printed(char *text, size_t size)
{
	fflush(stdout);
	fclose(stdout);
	text[fread(text, 1, size - 1, cr_get_redirected_stdout())] = '\0';
}

Test(run_progress, each_change_of_the_run_and_of_its_tasks_is_a_line)
{
	cr_expect_eq(follow("/ok"), 0);
	fclose(stdout);
	cr_assert_stdout_eq_str(
		"run " RUN " queued: 0 of 2 ended, 2 queued\n"
		"task load: running (reading 40 %)\n"
		"run " RUN " running: 0 of 2 ended, 1 queued, 1 running\n"
		"task load: succeeded\n"
		"run " RUN " running: 1 of 2 ended, 1 queued, 1 succeeded\n"
		"task calc: succeeded\n"
		"run " RUN " succeeded: 2 of 2 ended, 2 succeeded\n");
}

Test(run_progress, a_stream_that_is_cut_goes_on_after_the_last_event)
{
	cr_expect_eq(follow("/cut"), 0);
	cr_expect_eq(streams, 2);
	cr_expect_str_eq(resumed[0], "");
	cr_expect_str_eq(resumed[1], "7-2");
	cr_expect_eq(held, 0);
}

Test(run_progress, where_no_stream_is_to_be_had_held_reads_do)
{
	cr_expect_eq(follow("/busy"), 0);
	cr_expect_eq(streams, 0);
	cr_expect_eq(held, 1);
}

Test(run_progress, who_may_not_follow_it_is_told_at_once)
{
	cr_expect_eq(follow("/denied"), E_DENIED);
	cr_expect_eq(held, 0);
}

Test(run_progress, a_run_that_did_not_succeed_is_an_exit_code_and_says_how_to_go_on)
{
	char text[4096];
	cr_expect_eq(follow("/bad"), E_CONFLICT);
	cr_expect_eq(cli.exit_code, EXIT_TASK_FAILED);
	printed(text, sizeof text);
	cr_expect_not_null(strstr(text, "task calc: failed (no room)"), "%s", text);
}

Test(run_progress, a_terminal_gets_one_picture_over_the_other)
{
	char text[16384];
	cli.terminal = true;
	cr_expect_eq(follow("/ok"), 0);
	printed(text, sizeof text);
	cr_expect_not_null(strstr(text, "\033[4A\033[J"), "%s", text);
	cr_expect_not_null(strstr(text, "reading 40 %"), "%s", text);
	cr_expect_not_null(strstr(text, "2 of 2 ended, 2 succeeded"), "%s", text);
}
