/* Tasks followed, listed, explained and counted by the command line, against a real system. */
#include "common/defs.h"
#include "tests/support/story.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(following);

#define SAYS(out, text) cr_assert(strstr(out, text), "%s is not in: %s", text, out)

/* The id in a line that `run --no-wait` prints. */
static const char *submit(struct system *system, const char *sleep)
{
	const char *out = system_cli_ok(system, "run", "probe", "--sleep", sleep, "--no-wait",
	                                "--profile", "ada", NULL);
	return arena_strndup(system_arena(system), out, strcspn(out, "\n"));
}

Test(following, a_task_is_followed_to_its_end_by_its_events)
{
	struct system *system = story_start(NULL);
	const char *out = system_cli_ok(system, "run", "probe", "--sleep", "1s", "--watch",
	                                "--profile", "ada", NULL);
	SAYS(out, ": running");
	SAYS(out, ": succeeded");
	SAYS(out, "attempt 1");
	const char *id = submit(system, "2s");
	out = system_cli_ok(system, "tasks", id, "--watch", "--profile", "ada", NULL);
	SAYS(out, ": succeeded");
	out = system_cli_ok(system, "tasks", id, "--watch", "--profile", "ada", NULL);
	SAYS(out, ": succeeded");
	id = submit(system, "60s");
	system_cli_ok(system, "tasks", "cancel", id, "--profile", "ada", NULL);
	struct ran ran = system_cli(system, "tasks", id, "--watch", "--profile", "ada", NULL);
	cr_assert_eq(ran.code, 10, "%s", ran.out);
	SAYS(ran.out, "cancelled");
	out = system_cli_ok(system, "tasks", "--watch", "--profile", "ada", NULL);
	SAYS(out, "DOING");
	system_stop(system);
}

Test(following, lists_are_filtered_and_operators_see_queues_and_pools)
{
	struct system *system = story_start(NULL);
	const char *done = submit(system, "1ms");
	system_cli_ok(system, "tasks", done, "--watch", "--profile", "ada", NULL);
	const char *out = system_cli_ok(system, "tasks", "--state", "succeeded,failed", "--type",
	                                "probe", "--since", "1h", "--profile", "ada", NULL);
	SAYS(out, done);
	out = system_cli_ok(system, "tasks", "--state", "dead", "--profile", "ada", NULL);
	cr_assert(!strstr(out, done), "%s", out);
	struct ran ran = system_cli(system, "tasks", "--state", "ded", "--profile", "ada", NULL);
	cr_assert_eq(ran.code, 1, "%s", ran.out);
	SAYS(ran.out, "did you mean dead");
	out = system_cli_ok(system, "pools", "--profile", "operator", NULL);
	SAYS(out, "default");
	out = system_cli_ok(system, "queue", "--profile", "operator", NULL);
	SAYS(out, "OLDEST");
	cr_assert_eq(system_cli(system, "queue", "--profile", "ada", NULL).code, 4);
	system_stop(system);
}

Test(following, what_waits_is_explained_and_what_never_could_start_is_refused)
{
	struct system *system = story_start(NULL);
	const char *out = system_cli_ok(system, "run", "probe", "--dry-run", "--profile", "ada",
	                                NULL);
	SAYS(out, "would be accepted");
	SAYS(out, "it would start at once");
	out = system_cli_ok(system, "run", "probe", "--pool", "moon", "--no-wait", "--profile",
	                    "ada", NULL);
	const char *id = arena_strndup(system_arena(system), out, strcspn(out, "\n"));
	out = system_cli_ok(system, "explain", "task", id, "--profile", "ada", NULL);
	SAYS(out, "it can never start as things are: pool moon has no workers");
	SAYS(out, "never-fits");
	out = system_cli_ok(system, "explain", "task", id, "--profile", "ada", "-o", "json", NULL);
	SAYS(out, "\"rule\": \"never-fits\"");
	struct answer answer = system_call(system, story_key(system, "ada"), "POST", SALES "/tasks",
	                                   "{\"type\":\"probe\",\"limits\":{\"memoryBytes\":"
	                                   "1000000000000}}");
	cr_assert(answer.status == 422 || answer.status == 400, "%s", answer.text);
	system_stop(system);
}

#define STEPS "\"tasks\":[{\"name\":\"load\",\"type\":\"probe\",\"spec\":{\"sleepMs\":300}}," \
	"{\"name\":\"calc\",\"type\":\"probe\",\"dependsOn\":[{\"task\":\"load\"}]," \
	"\"spec\":{\"sleepMs\":%s}}]}"

/* Writes what a run is to do; the path. */
static const char *steps(struct system *system, const char *name, const char *sleep_ms)
{
	const char *path = system_path(system, "%s.json", name);
	file_write(path, arena_printf(system_arena(system), "{\"name\":\"%s\"," STEPS, name,
	                              sleep_ms));
	return path;
}

Test(following, a_run_is_followed_to_its_end_with_each_of_its_tasks)
{
	struct system *system = story_start(NULL);
	const char *out = system_cli_ok(system, "runs", "start", "-f",
	                                steps(system, "nightly", "300"), "--watch", "--profile",
	                                "ada", NULL);
	SAYS(out, "task load: succeeded");
	SAYS(out, "task calc: succeeded");
	SAYS(out, " succeeded: 2 of 2 ended, 2 succeeded");
	out = system_cli_ok(system, "runs", "start", "-f", steps(system, "long", "60000"),
	                    "--profile", "ada", NULL);
	const char *id = arena_strndup(system_arena(system), out, strcspn(out, "\n"));
	system_cli_ok(system, "runs", "cancel", id, "--profile", "ada", NULL);
	struct ran ran = system_cli(system, "runs", "get", id, "--watch", "--profile", "ada", NULL);
	cr_assert_eq(ran.code, 10, "%s", ran.out);
	SAYS(ran.out, "cancelled");
	system_stop(system);
}

Test(following, an_operator_sweeps_a_tenant_and_is_told_what_that_freed)
{
	struct system *system = story_start(NULL);
	const char *out = system_cli_ok(system, "sweep", "--tenant", "acme", "--profile",
	                                "operator", NULL);
	SAYS(out, ": succeeded");
	SAYS(out, "objects looked at: 0, deleted: 0, 0 B freed");
	struct ran ran = system_cli(system, "sweep", "--profile", "ada", NULL);
	cr_assert_eq(ran.code, 4, "%s", ran.out);
	ran = system_cli(system, "sweep", "--tenant", "acne", "--profile", "operator", NULL);
	cr_assert_eq(ran.code, 3, "%s", ran.out);
	system_stop(system);
}
