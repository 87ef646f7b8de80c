/* Ended tasks leave for the history while the worker that writes it is killed again and again:
 * none is lost, none is in the list twice, each is billed once. */
#include "common/defs.h"
#include "tests/support/story.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

enum { WAIT_MS = 90000, ROUNDS = 4, EACH = 6, TASKS = ROUNDS * EACH, SPREAD_US = 30000 };

struct history { struct system *system; const char *ids[TASKS]; };

/* The probes have ended: what runs now is the platform's. */
static bool writes(void *context)
{
	pid_t pid = 0;
	return process_children(system_pid(context, PART_WORKER), &pid, 1) == 1;
}

static bool all_have_left(void *context)
{
	struct history *history = context;
	for (size_t i = 0; i < TASKS; i++) {
		const char *path = arena_printf(system_arena(history->system), SALES "/tasks/%s",
		                                history->ids[i]);
		struct answer answer = system_call(history->system,
		                                   story_key(history->system, "ada"), "GET", path,
		                                   NULL);
		cr_assert_neq(answer.status, 404, "%s is lost: %s", path, answer.text);
		if (!value_get_bool(answer.body, "archived", false))
			return false;
	}
	return true;
}

static bool is_listed(void *context)
{
	struct history *history = context;
	int times[TASKS] = { 0 };
	struct answer answer = system_call(history->system, story_key(history->system, "ada"),
	                                   "GET", SALES "/tasks?limit=500", NULL);
	const struct value *items = value_get(answer.body, "items");
	if (answer.status != 200)
		return false;
	cr_assert_eq(value_len(items), TASKS, "%s", answer.text);
	for (size_t i = 0; i < value_len(items); i++)
		for (size_t k = 0; k < TASKS; k++)
			times[k] += strcmp(value_get_str(value_at(items, i), "id"),
			                   history->ids[k]) == 0;
	for (size_t k = 0; k < TASKS; k++)
		cr_assert_eq(times[k], 1, "%s: %d times", history->ids[k], times[k]);
	return true;
}

static void run_probes(struct history *history, int round)
{
	const char **ids = &history->ids[round * EACH];
	for (size_t i = 0; i < EACH; i++)
		ids[i] = story_submit(history->system, "probe", "{\"sleepMs\":5}");
	for (size_t i = 0; i < EACH; i++)
		cr_assert_str_eq(value_get_str(story_await(history->system, ids[i], WAIT_MS),
		                               "state"), "succeeded");
}

Test(history_kill, what_leaves_while_the_worker_is_killed_is_neither_lost_nor_doubled)
{
	static const char *const control[] = {
		"--history-batch", "4", "--history-after-s", "2", "--history-within-s", "3", NULL
	};
	static const char *const worker[] = { "--ready", "0", NULL };
	const struct system_options options = { .control = control, .worker = worker };
	struct system *system = story_start(&options);
	struct history history = { .system = system };
	int killed = 0;
	for (int round = 0; round < ROUNDS; round++) {
		run_probes(&history, round);
		bool there = wait_until(writes, system, WAIT_MS);
		/* Early, late, or between the writing and what is made of it. */
		usleep((useconds_t)(round * SPREAD_US));
		killed += there && writes(system);
		system_kill(system, PART_WORKER);
		system_run(system, PART_WORKER);
	}
	cr_expect_gt(killed, 0, "no kill met an archive");
	cr_assert(wait_until(all_have_left, &history, WAIT_MS), "a task stays in memory");
	cr_assert(wait_until(is_listed, &history, WAIT_MS));
	cr_expect_eq(story_usage(system, "tasks"), TASKS);
	system_stop(system);
}
