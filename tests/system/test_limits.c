/* What a task may not outgrow: its deadline, its memory, its tenant's quota; and what ends it. */
#include "common/defs.h"
#include "tests/support/story.h"

#include "tests/support/follow.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

enum { END_MS = 120000, EXECUTORS_MAX = 8, BURNT_MS = 300 };

static void apply_sql(struct system *system, const char *sql)
{
	story_apply(system, "ada", arena_printf(system_arena(system),
		"apiVersion: freehold.io/v1\nkind: Dataset\n"
		"metadata: {name: made, domain: sales}\n---\n"
		"apiVersion: freehold.io/v1\nkind: Transformation\n"
		"metadata: {name: made, domain: sales}\nspec:\n"
		"  inputs: [orders]\n  output: made\n  sql: %s\n", sql));
}

static struct system *start_with_sql(const char *sql, const struct system_options *options)
{
	struct system *system = story_start(options);
	data_csv(system, "orders.csv", 1000);
	story_orders(system, "orders.csv", "csv", "");
	story_run(system, "ingest", "{\"source\":\"orders\"}");
	apply_sql(system, sql);
	return system;
}

static const char endless[] = "SELECT count(*) AS n FROM range(1000000) a, range(1000000000) b "
	"WHERE hash(a.range, b.range) = 1";

/* What a task's executors, one for each attempt, took as the kernel told it while they lived. A
 * worker that keeps none ready has no other children. */
struct burning {
	struct system *system;
	const char *id;
	int64_t billed_ms; /* before the task */
	pid_t executors[EXECUTORS_MAX];
	int64_t cpu_ms[EXECUTORS_MAX];
	size_t count;
};
static const char *const none_ready[] = {"--ready", "0", NULL};

static int64_t burnt(struct burning *burning)
{
	pid_t executor;
	int64_t sum = 0;
	size_t i = 0;
	if (process_children(system_pid(burning->system, PART_WORKER), &executor, 1) > 0) {
		while (i < burning->count && burning->executors[i] != executor)
			i++;
		cr_assert_lt(i, EXECUTORS_MAX, "so many attempts were made");
		burning->executors[i] = executor;
		burning->count += i == burning->count;
		int64_t cpu_ms = process_cpu_ms(executor);
		if (cpu_ms > burning->cpu_ms[i])
			burning->cpu_ms[i] = cpu_ms;
	}
	for (i = 0; i < burning->count; i++)
		sum += burning->cpu_ms[i];
	return sum;
}

static bool has_burnt(void *context)
{
	return burnt(context) >= BURNT_MS;
}

static bool has_ended(void *context)
{
	struct burning *burning = context;
	(void)burnt(burning);
	const char *state = value_get_str(story_task(burning->system, burning->id), "state");
	return strcmp(state, "failed") == 0 || strcmp(state, "cancelled") == 0;
}

/* No less than the kernel saw: however little that is on a machine with other work. */
static void check_billed(struct burning *burning)
{
	int64_t billed_ms = story_usage(burning->system, "cpuMs") - burning->billed_ms;
	cr_assert_geq(billed_ms, burnt(burning), "%" PRId64 " ms of cpu are billed, %" PRId64
	              " ms were burnt", billed_ms, burnt(burning));
}

static bool computes_no_more(void *context)
{
	return process_children(system_pid(context, PART_WORKER), NULL, 0) == 0;
}

static const char *submit_transform(struct system *system, const char *limits)
{
	struct value *task = system_ask(system, story_key(system, "ada"), "POST", SALES "/tasks",
		arena_printf(system_arena(system), "{\"type\":\"transform\","
		             "\"spec\":{\"transformation\":\"made\"},\"limits\":%s}", limits));
	return value_get_str(task, "id");
}

Test(limits, a_task_over_its_deadline_is_killed_and_says_so)
{
	struct system *system =
		start_with_sql(endless, &(struct system_options){.worker = none_ready});
	struct burning burning = {.system = system, .billed_ms = story_usage(system, "cpuMs")};
	burning.id = submit_transform(system, "{\"deadline\":\"2s\"}");
	cr_assert(wait_until(has_ended, &burning, END_MS), "it is not ended");
	struct value *task = story_task(system, burning.id);
	cr_assert_str_eq(value_get_str(task, "state"), "failed");
	cr_assert_str_eq(task_code(task), "RESOURCES", "%s: %s", task_code(task),
	                 task_text(task));
	cr_assert_not_null(strstr(task_text(task), "2"), "%s", task_text(task));
	check_billed(&burning);
	story_run(system, "probe", "{}");
	system_stop(system);
}

Test(limits, a_cancelled_task_stops_computing_and_what_it_burnt_is_billed)
{
	struct system *system =
		start_with_sql(endless, &(struct system_options){.worker = none_ready});
	struct burning burning = {.system = system, .billed_ms = story_usage(system, "cpuMs")};
	const char *id = submit_transform(system, "{}");
	story_await_running(system, id);
	cr_assert(wait_until(has_burnt, &burning, END_MS), "its executor does not compute");
	system_ask(system, story_key(system, "ada"), "POST",
	           arena_printf(system_arena(system), SALES "/tasks/%s/cancel", id), NULL);
	struct value *task = story_await(system, id, END_MS);
	cr_assert_str_eq(value_get_str(task, "state"), "cancelled");
	cr_assert(wait_until(computes_no_more, system, END_MS), "an executor is left");
	check_billed(&burning);
	system_stop(system);
}

Test(limits, a_task_that_needs_more_memory_than_its_limit_fails_and_harms_no_other)
{
	struct system *system = start_with_sql("SELECT list(hash(a.range)::VARCHAR || b.note) AS n "
	                                       "FROM range(3000000) a, orders b",
	                                       NULL);
	const char *other = story_submit(system, "probe", "{\"sleepMs\":3000}");
	struct value *task = story_await(system,
		submit_transform(system, "{\"memoryBytes\":268435456}"), END_MS);
	cr_assert_str_eq(value_get_str(task, "state"), "failed");
	cr_assert_str_eq(task_code(task), "RESOURCES", "%s", task_text(task));
	cr_assert_not_null(strstr(task_text(task), "268435456"), "%s", task_text(task));
	task = story_await(system, other, END_MS);
	cr_assert_str_eq(value_get_str(task, "state"), "succeeded");
	cr_assert_eq(value_get_int(task, "attempt", 0), 1);
	system_stop(system);
}

Test(limits, a_killed_executor_costs_an_attempt_at_most_and_no_row)
{
	struct system *system = story_start(NULL);
	pid_t children[16];
	data_csv(system, "orders.csv", 1500000);
	story_orders(system, "orders.csv", "csv", "");
	const char *id = story_submit(system, "ingest", "{\"source\":\"orders\"}");
	story_await_running(system, id);
	wait_ms(300);
	size_t count = process_children(system_pid(system, PART_WORKER), children, 16);
	for (size_t i = 0; i < count && i < 16; i++)
		kill(children[i], SIGKILL);
	struct value *task = story_await(system, id, END_MS);
	if (strcmp(value_get_str(task, "state"), "succeeded") == 0) {
		cr_assert_eq(story_rows(system, "orders"), 1500000);
	} else {
		cr_assert_eq(story_rows(system, "orders"), -1);
		cr_assert(strlen(task_text(task)) > 0);
		story_run(system, "ingest", "{\"source\":\"orders\"}");
		cr_assert_eq(story_rows(system, "orders"), 1500000);
	}
	system_stop(system);
}

Test(limits, more_tasks_than_may_run_wait_and_say_why_and_the_line_has_an_end)
{
	struct system *system = story_start(NULL);
	story_apply(system, "operator", "apiVersion: freehold.io/v1\nkind: Quota\n"
	            "metadata: {name: default, tenant: acme}\n"
	            "spec: {window: day, concurrentTasks: 1, queuedTasks: 2}\n");
	const char *first = story_submit(system, "probe", "{\"sleepMs\":4000}");
	story_await_running(system, first);
	const char *second = story_submit(system, "probe", "{}");
	wait_ms(300);
	struct value *waiting = story_task(system, second);
	cr_assert_str_eq(value_get_str(waiting, "state"), "queued");
	const char *reason = value_get_str(waiting, "reason");
	cr_assert(reason && strstr(reason, "concurrentTasks") && strstr(reason, "1"), "%s", reason);
	story_submit(system, "probe", "{}");
	struct answer refused = system_call(system, story_key(system, "ada"), "POST",
	                                    SALES "/tasks", "{\"type\":\"probe\",\"spec\":{}}");
	cr_assert_eq(refused.status, 429, "%d %s", refused.status, refused.text);
	cr_assert_not_null(strstr(refused.text, "queuedTasks"), "%s", refused.text);
	struct value *task = story_await(system, second, END_MS);
	cr_assert_str_eq(value_get_str(task, "state"), "succeeded");
	system_stop(system);
}
