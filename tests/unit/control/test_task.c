/* test_task.c - one task's life as a table. */
#include "common/defs.h"
#include "control/task.h"

#include <criterion/criterion.h>
#include <string.h>

Test(task, a_finished_task_accepts_no_event)
{
	struct err err;
	enum task_state next;
	for (int state = STATE_SUCCEEDED; state <= STATE_CANCELLED; state++)
		for (int event = EVENT_ASSIGNED; event <= EVENT_CANCELLED; event++)
			cr_assert_eq(task_apply((enum task_state)state, (enum task_event)event,
			                        &next, &err), E_CONFLICT);
	cr_assert_str_eq(err.text, "a task that is cancelled cannot be cancelled");
}

Test(task, runs_is_lost_runs_again_and_succeeds)
{
	static const enum task_event events[] = {
		EVENT_ASSIGNED, EVENT_LOST, EVENT_ASSIGNED, EVENT_RETRY, EVENT_ASSIGNED,
			EVENT_SUCCEEDED
	};
	struct err err;
	enum task_state state = STATE_QUEUED;
	for (size_t i = 0; i < ARRAY_LEN(events); i++)
		cr_assert_eq(task_apply(state, events[i], &state, &err), 0, "%s", err.text);
	cr_assert_eq(state, STATE_SUCCEEDED);
	cr_assert(task_state_final(state));
}

Test(task, a_waiting_task_cannot_succeed)
{
	struct err err;
	enum task_state next = STATE_QUEUED;
	cr_assert_eq(task_apply(STATE_QUEUED, EVENT_SUCCEEDED, &next, &err), E_CONFLICT);
	cr_assert_eq(task_apply(STATE_QUEUED, EVENT_LOST, &next, &err), E_CONFLICT);
	cr_assert_eq(next, STATE_QUEUED);
}

Test(task, retries_what_may_pass_and_only_while_attempts_are_left)
{
	cr_assert(task_may_retry(E_DEAD_WORKER, 1, 3));
	cr_assert(task_may_retry(E_CONFLICT, 2, 3));
	cr_assert_not(task_may_retry(E_DEAD_WORKER, 3, 3));
	cr_assert_not(task_may_retry(E_INPUT, 1, 3));
}

Test(task, backs_off_longer_each_time_within_its_bounds)
{
	for (uint64_t seed = 0; seed < 200; seed++) {
		int64_t most = 200;
		for (int attempt = 2; attempt < 40; attempt++) {
			int64_t ms = task_backoff_ms(attempt, seed);
			cr_assert(ms >= most / 2 && ms <= most, "attempt %d waits %ld", attempt,
			          (long)ms);
			most = most * 2 > 30000 ? 30000 : most * 2;
		}
	}
	cr_assert_neq(task_backoff_ms(8, 1), task_backoff_ms(8, 2));
}
