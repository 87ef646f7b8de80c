/* What a task may not outgrow: its deadline, its memory, its tenant's quota; and what ends it. */
#include "common/defs.h"
#include "tests/support/story.h"

#include "tests/support/follow.h"

#include <criterion/criterion.h>
#include <string.h>

enum { END_MS = 120000 };

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

/* Where none is kept ready. */
static bool computes(void *context)
{
	return process_children(system_pid(context, PART_WORKER), NULL, 0) > 0;
}

static bool computes_no_more(void *context)
{
	return !computes(context);
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
	struct system *system = start_with_sql(endless, NULL);
	struct value *task = story_await(system, submit_transform(system, "{\"deadline\":\"2s\"}"),
	                                 END_MS);
	cr_assert_str_eq(value_get_str(task, "state"), "failed");
	cr_assert_str_eq(task_code(task), "RESOURCES", "%s: %s", task_code(task),
	                 task_text(task));
	cr_assert_not_null(strstr(task_text(task), "2"), "%s", task_text(task));
	/* How much two seconds are depends on who else wants the cores. */
	cr_assert_gt(value_get_int(value_get(task, "usage"), "cpuMs", 0), 0,
	             "what it burnt is not billed");
	story_run(system, "probe", "{}");
	system_stop(system);
}

Test(limits, a_cancelled_task_stops_computing)
{
	static const char *const worker[] = {"--ready", "0", NULL};
	struct system *system = start_with_sql(endless, &(struct system_options){.worker = worker});
	const char *id = submit_transform(system, "{}");
	story_await_running(system, id);
	cr_assert(wait_until(computes, system, END_MS), "its executor is not there");
	system_ask(system, story_key(system, "ada"), "POST",
	           arena_printf(system_arena(system), SALES "/tasks/%s/cancel", id), NULL);
	struct value *task = story_await(system, id, END_MS);
	cr_assert_str_eq(value_get_str(task, "state"), "cancelled");
	cr_assert(wait_until(computes_no_more, system, END_MS), "an executor is left");
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
