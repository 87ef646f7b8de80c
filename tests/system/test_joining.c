/* A worker on another machine, as it were: it joins with a token over HTTPS, its certificate is
 * renewed while it works, it comes back after its death, and is out when it is removed. */
#include "common/defs.h"
#include "tests/support/story.h"

#include "tests/support/follow.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { WAIT_MS = 60000, EXIT_REMOVED = 3 };

static const struct value *row_of(struct system *system, const char *name)
{
	struct value *answer = system_ask(system, story_key(system, "operator"), "GET",
	                                  "/v1/workers", NULL);
	const struct value *items = value_get(answer, "items");
	for (size_t i = 0; i < value_len(items); i++)
		if (strcmp(value_get_str(value_at(items, i), "name"), name) == 0)
			return value_at(items, i);
	return NULL;
}

static bool is_connected(void *context)
{
	const struct value *row = row_of(context, "worker-2");
	return value_get_bool(row, "connected", false) && value_get_bool(row, "joined", false);
}

static void come(struct system *system)
{
	system_run(system, PART_WORKER_2);
	cr_assert(wait_until(is_connected, system, WAIT_MS), "worker-2 does not come");
}

static const char *serial(struct system *system)
{
	return value_get_str(system_ask(system, story_key(system, "operator"), "GET",
	                                "/v1/workers/worker-2/identity", NULL), "serial");
}

static const char *submit(struct system *system, int sleep_ms)
{
	const char *body = arena_printf(system_arena(system),
	                                "{\"type\":\"probe\",\"spec\":{\"sleepMs\":%d}}", sleep_ms);
	return value_get_str(system_ask(system, story_key(system, "ada"), "POST", SALES "/tasks",
	                                body), "id");
}

struct sought { struct system *system; const char *id, *worker; };

static bool runs_there(void *context)
{
	struct sought *sought = context;
	struct value *task = story_task(sought->system, sought->id);
	const char *worker = value_get_str(task, "worker"), *state = value_get_str(task, "state");
	return state && worker && strcmp(state, "running") == 0 &&
	       strcmp(worker, sought->worker) == 0;
}

static void await_on(struct system *system, const char *id, const char *worker)
{
	struct sought sought = {system, id, worker};
	cr_assert(wait_until(runs_there, &sought, WAIT_MS), "%s does not run on %s", id, worker);
}

/* What its arguments say beside those of every worker: nothing is mounted. */
static void fill_args(struct system *system, const char *args[24])
{
	const char *const wanted[] = {
		"--link-ca-file", "", "--link-cert-file", "", "--link-key-file", "",
		"--signing-public-file", "/nonexistent", "--control", "", "--identity",
		system_path(system, "identity-2"), "--join-token-file",
		system_path(system, "worker-2.token"), "--api", system_url(system, PORT_API),
		"--api-ca-file", system_path(system, "keys/ca.pem"), NULL
	};
	memcpy(args, wanted, sizeof wanted);
}

/* Tasks are run one after the other until its certificate is another; none fails. */
static int work_until_renewed(struct system *system)
{
	const char *first = serial(system);
	int tasks = 0;
	cr_assert_not_null(first);
	for (int64_t until = mono_ms() + WAIT_MS; strcmp(serial(system), first) == 0; tasks++) {
		cr_assert_lt(mono_ms(), until, "the certificate is not renewed");
		const char *id = submit(system, 50);
		struct value *task = story_await(system, id, WAIT_MS);
		cr_assert_str_eq(value_get_str(task, "state"), "succeeded", "%s", task_text(task));
	}
	return tasks;
}

static void steal_token(struct system *system)
{
	const char *const args[] = {
		arena_printf(system_arena(system), "%s/freehold-worker", getenv("FREEHOLD_BUILD")),
		"--name", "worker-2", "--identity", system_path(system, "identity-thief"),
		"--join-token-file", system_path(system, "worker-2.token"), "--api",
		system_url(system, PORT_API), "--api-ca-file", system_path(system, "keys/ca.pem"),
		"--objects", system_path(system, "objects"), "--online",
		system_path(system, "online-thief"), "--listen", "127.0.0.1:0", NULL
	};
	pid_t pid = process_start(args, system_path(system, "out/thief"), NULL);
	cr_assert_eq(process_wait(pid, WAIT_MS), 1);
	const char *log = file_text(system_arena(system), system_path(system, "out/thief"));
	cr_assert_not_null(strstr(log, "this token joins no worker"), "%s", log);
}

Test(joining, one_joins_by_token_is_renewed_while_it_works_and_is_out_when_removed)
{
	static const char *const control[] = {"--worker-cert-s", "15", NULL};
	const char *worker_2[24] = {NULL};
	const struct system_options options = {.control = control, .worker_2 = worker_2,
	                                       .tls = true};
	struct system *system = story_start(&options);
	fill_args(system, worker_2);
	system_cli_ok(system, "workers", "token", "--name", "worker-2", "--out",
	              system_path(system, "worker-2.token"), "--profile", "operator", NULL);
	system_cli_ok(system, "workers", "cordon", "worker-1", "--profile", "operator", NULL);
	come(system);
	system_kill(system, PART_WORKER_2);
	come(system);                        /* by what it keeps; the token is used up */
	cr_assert_gt(work_until_renewed(system), 0);
	steal_token(system);
	const char *id = submit(system, 120000);
	await_on(system, id, "worker-2");
	system_cli_ok(system, "workers", "uncordon", "worker-1", "--profile", "operator", NULL);
	system_cli_ok(system, "workers", "remove", "worker-2", "--profile", "operator", NULL);
	cr_assert_eq(system_wait(system, PART_WORKER_2, WAIT_MS), EXIT_REMOVED);
	await_on(system, id, "worker-1");
	cr_assert(value_get_bool(row_of(system, "worker-2"), "removed", false));
	system_ask(system, story_key(system, "ada"), "POST",
	           arena_printf(system_arena(system), SALES "/tasks/%s/cancel", id), "{}");
	story_await(system, id, WAIT_MS);
	system_stop(system);
}
