/* Workers come, drain, die and share a name; tasks go where they are to and end once. */
#include "common/defs.h"
#include "tests/support/story.h"

#include "tests/support/follow.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { WAIT_MS = 60000 };
#define LONG_PROBE "{\"sleepMs\":120000}"
#define GPU_ZONE(zone) \
	",\"placement\":{\"pool\":\"gpu\",\"selector\":{\"zone\":\"" zone "\"}}"

static const char *submit(struct system *system, const char *rest)
{
	const char *body = arena_printf(system_arena(system), "{\"type\":\"probe\",%s}", rest);
	return value_get_str(system_ask(system, story_key(system, "ada"), "POST", SALES "/tasks",
	                                body), "id");
}

struct sought { struct system *system; const char *id, *state, *worker; };

static bool is_there(void *context)
{
	struct sought *sought = context;
	struct value *task = story_task(sought->system, sought->id);
	const char *worker = value_get_str(task, "worker"), *state = value_get_str(task, "state");
	return state && strcmp(state, sought->state) == 0 &&
	       (!sought->worker || (worker && strcmp(worker, sought->worker) == 0));
}

static void await_on(struct system *system, const char *id, const char *worker)
{
	struct sought sought = {system, id, "running", worker};
	cr_assert(wait_until(is_there, &sought, WAIT_MS), "%s does not run on %s: %s", id, worker,
	          value_get_str(story_task(system, id), "state"));
}

static void cancel(struct system *system, const char *id)
{
	system_ask(system, story_key(system, "ada"), "POST",
	           arena_printf(system_arena(system), SALES "/tasks/%s/cancel", id), "{}");
	struct value *task = story_await(system, id, WAIT_MS);
	cr_assert_str_eq(value_get_str(task, "state"), "cancelled");
}

/* The row of a worker in GET /v1/workers. */
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

static bool second_is_known(void *context)
{
	return value_get_bool(row_of(context, "worker-2"), "connected", false);
}

static struct system *two_workers(const struct system_options *options)
{
	struct system *system = story_start(options);
	system_run(system, PART_WORKER_2);
	cr_assert(wait_until(second_is_known, system, WAIT_MS), "worker-2 does not come");
	return system;
}

Test(worker_life, one_that_is_told_to_end_hands_back_what_does_not_end_in_time)
{
	static const char *const worker[] = {"--drain-timeout-s", "1", NULL};
	const struct system_options options = {.worker = worker};
	struct system *system = story_start(&options);
	/* One attempt is all it has: handing it back must not cost that. */
	const char *id = submit(system, "\"spec\":" LONG_PROBE ",\"limits\":{\"attempts\":1}");
	const char *brief = submit(system, "\"spec\":{\"sleepMs\":200}");
	await_on(system, id, "worker-1");
	system_run(system, PART_WORKER_2);
	kill(system_pid(system, PART_WORKER), SIGTERM);
	cr_assert_eq(system_wait(system, PART_WORKER, WAIT_MS), 0);
	await_on(system, id, "worker-2");
	cr_assert_str_eq(value_get_str(story_await(system, brief, WAIT_MS), "state"), "succeeded");
	cancel(system, id);
	system_stop(system);
}

Test(worker_life, one_that_is_told_twice_ends_at_once)
{
	static const char *const worker[] = {"--drain-timeout-s", "600", NULL};
	const struct system_options options = {.worker = worker};
	struct system *system = story_start(&options);
	const char *id = submit(system, "\"spec\":" LONG_PROBE);
	await_on(system, id, "worker-1");
	kill(system_pid(system, PART_WORKER), SIGTERM);
	cr_assert_eq(process_wait(system_pid(system, PART_WORKER), 1500), -1, "it waits for 600 s");
	kill(system_pid(system, PART_WORKER), SIGTERM);
	cr_assert_eq(system_wait(system, PART_WORKER, WAIT_MS), 1);
	system_run(system, PART_WORKER_2);
	await_on(system, id, "worker-2");
	cancel(system, id);
	system_stop(system);
}

Test(worker_life, what_ran_on_a_killed_one_runs_elsewhere)
{
	struct system *system = two_workers(NULL);
	const char *ids[4];
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		ids[i] = submit(system, "\"spec\":{\"sleepMs\":4000},\"limits\":{\"threads\":1}");
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		story_await_running(system, ids[i]);
	system_kill(system, PART_WORKER_2);
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		struct value *task = story_await(system, ids[i], WAIT_MS);
		cr_assert_str_eq(value_get_str(task, "state"), "succeeded", "%s", task_text(task));
	}
	cr_assert_eq(story_usage(system, "tasks"), ARRAY_LEN(ids));
	system_stop(system);
}

Test(worker_life, a_cordoned_one_gets_nothing_and_a_drained_one_keeps_nothing)
{
	struct system *system = two_workers(NULL);
	system_cli_ok(system, "workers", "cordon", "worker-2", "--profile", "operator", NULL);
	const char *first = submit(system, "\"spec\":" LONG_PROBE ",\"limits\":{\"threads\":1}");
	const char *second = submit(system, "\"spec\":" LONG_PROBE ",\"limits\":{\"threads\":1}");
	await_on(system, first, "worker-1");
	cr_assert_eq(value_get_int(row_of(system, "worker-2"), "running", -1), 0);
	const char *shown = system_cli_ok(system, "workers", "--profile", "operator", NULL);
	cr_assert_not_null(strstr(shown, "cordoned"), "%s", shown);
	system_cli_ok(system, "workers", "uncordon", "worker-2", "--profile", "operator", NULL);
	system_cli_ok(system, "workers", "drain", "worker-1", "--profile", "operator", NULL);
	await_on(system, first, "worker-2");
	cr_assert(value_get_bool(row_of(system, "worker-1"), "draining", false));
	/* It is durable: control started anew knows it. */
	system_kill(system, PART_CONTROL);
	system_run(system, PART_CONTROL);
	system_await_ready(system);
	cr_assert(wait_until(second_is_known, system, WAIT_MS));
	cr_assert(value_get_bool(row_of(system, "worker-1"), "cordoned", false));
	cancel(system, first);
	cancel(system, second);
	struct ran denied = system_cli(system, "workers", "cordon", "worker-1", "--profile", "ada",
	                               NULL);
	cr_assert_neq(denied.code, 0, "%s", denied.out);
	system_stop(system);
}

Test(worker_life, a_task_goes_to_its_pool_and_to_the_labels_it_selects)
{
	static const char *const second[] = {"--pool", "gpu", "--label", "zone=a,disk=nvme", NULL};
	const struct system_options options = {.worker_2 = second};
	struct system *system = two_workers(&options);
	const char *chosen = submit(system, "\"spec\":" LONG_PROBE GPU_ZONE("a"));
	const char *plain = submit(system, "\"spec\":" LONG_PROBE);
	const char *nowhere = submit(system, "\"spec\":" LONG_PROBE GPU_ZONE("b"));
	await_on(system, chosen, "worker-2");
	await_on(system, plain, "worker-1");
	cr_assert_str_eq(value_get_str(story_task(system, nowhere), "state"), "queued");
	const struct value *row = row_of(system, "worker-2");
	cr_assert_str_eq(value_get_str(row, "pool"), "gpu");
	cr_assert_str_eq(value_get_str(value_get(row, "labels"), "disk"), "nvme");
	cancel(system, nowhere);
	cancel(system, chosen);
	cancel(system, plain);
	system_stop(system);
}

struct said { struct system *system; const char *log, *text; };

static bool log_says(void *context)
{
	struct said *said = context;
	const char *text = file_text(system_arena(said->system), said->log);
	return text && strstr(text, said->text);
}

Test(worker_life, a_second_one_of_a_name_is_refused_and_the_first_undisturbed)
{
	static const char *const second[] = {"--name", "worker-1", NULL};
	const struct system_options options = {.worker_2 = second};
	struct system *system = story_start(&options);
	const char *id = submit(system, "\"spec\":" LONG_PROBE ",\"limits\":{\"attempts\":1}");
	await_on(system, id, "worker-1");
	system_run(system, PART_WORKER_2);
	struct said said = {system, system_path(system, "log/worker-2.log"),
	                    "another worker named worker-1 polls from 127.0.0.1:"};
	cr_assert(wait_until(log_says, &said, WAIT_MS), "the second is not told");
	cr_assert_str_eq(value_get_str(story_task(system, id), "state"), "running");
	cr_assert_eq(value_get_int(row_of(system, "worker-1"), "running", -1), 1);
	cancel(system, id);
	/* When the first is gone the name is free. */
	system_kill(system, PART_WORKER);
	struct value *task = story_run(system, "probe", "{\"sleepMs\":10}");
	cr_assert_str_eq(value_get_str(task, "state"), "succeeded");
	system_stop(system);
}

struct counted { struct system *system; size_t count; };

static bool has_executors(void *context)
{
	struct counted *counted = context;
	pid_t pids[16];
	return process_children(system_pid(counted->system, PART_WORKER), pids, 16) ==
	       counted->count;
}

Test(worker_life, the_executor_of_a_cancelled_or_expired_task_is_gone)
{
	static const char *const worker[] = {"--ready", "0", NULL};
	const struct system_options options = {.worker = worker};
	struct system *system = story_start(&options);
	struct counted one = {system, 1}, none = {system, 0};
	const char *id = submit(system, "\"spec\":" LONG_PROBE);
	await_on(system, id, "worker-1");
	cr_assert(wait_until(has_executors, &one, WAIT_MS));
	cancel(system, id);
	cr_assert(wait_until(has_executors, &none, WAIT_MS), "an executor outlives its task");
	id = submit(system, "\"spec\":" LONG_PROBE ",\"placement\":{\"expires\":\"3s\"}");
	struct value *task = story_await(system, id, WAIT_MS);
	cr_assert_str_eq(value_get_str(task, "state"), "failed", "%s", task_text(task));
	cr_assert(wait_until(has_executors, &none, WAIT_MS), "an executor outlives its task");
	id = submit(system, "\"spec\":" LONG_PROBE ",\"limits\":{\"deadline\":\"2s\"}");
	task = story_await(system, id, WAIT_MS);
	cr_assert_not_null(strstr(task_text(task), "deadline"), "%s", task_text(task));
	cr_assert(wait_until(has_executors, &none, WAIT_MS), "an executor outlives its task");
	system_stop(system);
}

/* A second of processor time: more than it takes to open what it reads. */
static bool has_computed(void *context)
{
	pid_t pid = 0;
	if (process_children(system_pid(context, PART_WORKER), &pid, 1) != 1)
		return false;
	char text[1024] = "";
	const char *path = arena_printf(system_arena(context), "/proc/%d/stat", (int)pid);
	FILE *file = fopen(path, "re");
	if (!file)
		return false;
	text[fread(text, 1, sizeof text - 1, file)] = '\0';
	fclose(file);
	const char *rest = strrchr(text, ')');
	long user = 0;
	/* proc(5): the 14th field, ticks in user mode; the 3rd follows the name. */
	return rest && sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld",
	                      &user) == 1 && user > sysconf(_SC_CLK_TCK);
}

/* Joins the orders with themselves three times over: hours, if it were let go on. */
static void apply_endless(struct system *system)
{
	data_csv(system, "orders.csv", 20000);
	story_orders(system, "orders.csv", "csv", "");
	story_run(system, "ingest", "{\"source\":\"orders\"}");
	story_apply(system, "ada",
	            "apiVersion: freehold.io/v1\nkind: Dataset\n"
	            "metadata: {name: pairs, domain: sales}\n---\n"
	            "apiVersion: freehold.io/v1\nkind: Transformation\n"
	            "metadata: {name: pairs, domain: sales}\nspec:\n"
	            "  inputs: [orders]\n  output: pairs\n"
	            "  sql: SELECT a.customer, sum(a.amount * b.amount * c.amount) AS total"
	            " FROM orders a, orders b, orders c GROUP BY a.customer\n");
}

Test(worker_life, a_cancelled_transformation_leaves_no_executor_that_computes)
{
	static const char *const worker[] = {"--ready", "0", NULL};
	const struct system_options options = {.worker = worker};
	struct system *system = story_start(&options);
	struct counted one = {system, 1}, none = {system, 0};
	apply_endless(system);
	cr_assert(wait_until(has_executors, &none, WAIT_MS));
	const char *id = story_submit(system, "transform", "{\"transformation\":\"pairs\"}");
	await_on(system, id, "worker-1");
	cr_assert(wait_until(has_executors, &one, WAIT_MS));
	cr_assert(wait_until(has_computed, system, WAIT_MS), "its executor does not compute");
	cancel(system, id);
	cr_assert(wait_until(has_executors, &none, WAIT_MS), "an executor outlives its task");
	cr_expect_eq(story_rows(system, "pairs"), -1);
	struct value *next = story_run(system, "probe", "{\"sleepMs\":10}");
	cr_expect_str_eq(value_get_str(next, "state"), "succeeded");
	system_stop(system);
}
