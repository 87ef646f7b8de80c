/* test_task.c - one task's life as a table. */
#include "common/defs.h"
#include "control/task.h"

#include <criterion/criterion.h>
#include <string.h>

Test(task, a_finished_task_accepts_no_event)
{
	struct err err;
	enum task_state next;
	for (int state = STATE_SUCCEEDED; state <= STATE_DEAD; state++)
		for (int event = EVENT_DURABLE; event <= EVENT_CANCELLED; event++)
			cr_assert_eq(task_apply((enum task_state)state, (enum task_event)event,
			                        &next, &err), E_CONFLICT);
	cr_assert_str_eq(err.text, "a task that is dead cannot be cancelled");
}

Test(task, only_what_did_not_succeed_may_start_anew)
{
	static const enum task_state anew[] = { STATE_FAILED, STATE_CANCELLED, STATE_DEAD };
	struct err err;
	enum task_state next;
	for (size_t i = 0; i < ARRAY_LEN(anew); i++) {
		cr_assert_eq(task_apply(anew[i], EVENT_REPLAYED, &next, &err), 0);
		cr_assert_eq(next, STATE_ACCEPTED);
	}
	cr_assert_eq(task_apply(STATE_SUCCEEDED, EVENT_REPLAYED, &next, &err), E_CONFLICT);
	cr_assert_eq(task_apply(STATE_RUNNING, EVENT_REPLAYED, &next, &err), E_CONFLICT);
}

Test(task, every_state_has_its_name_and_is_found_by_it)
{
	for (int state = STATE_ACCEPTED; state <= STATE_DEAD; state++)
		cr_assert_eq(task_state_by_name(task_state_name((enum task_state)state)), state);
	cr_assert_eq(task_state_by_name("waiting"), -1);
	cr_assert_eq(task_state_by_name(NULL), -1);
}

static void reach(bool *reached, int state)
{
	enum task_state next;
	for (int event = 0; reached[state] && event <= EVENT_CANCELLED; event++)
		if (task_apply((enum task_state)state, (enum task_event)event, &next, NULL) == 0)
			reached[next] = true;
}

Test(task, from_every_state_that_is_not_final_an_end_is_reached)
{
	for (int from = STATE_ACCEPTED; from < STATE_SUCCEEDED; from++) {
		bool reached[STATE_DEAD + 1] = { false };
		reached[from] = true;
		for (int round = 0; round <= STATE_DEAD; round++)
			for (int state = 0; state <= STATE_DEAD; state++)
				reach(reached, state);
		cr_assert(reached[STATE_FAILED] && reached[STATE_CANCELLED], "from %s",
		          task_state_name((enum task_state)from));
	}
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

Test(task, what_follows_a_failure_goes_by_its_category)
{
	static const struct { int code, attempt, most; enum task_event follows; } cases[] = {
		{ E_DEAD_WORKER, 1, 3, EVENT_RETRY }, { E_CONFLICT, 2, 3, EVENT_RETRY },
		{ E_DEAD_WORKER, 3, 3, EVENT_EXHAUSTED }, { E_IO, 9, 10, EVENT_RETRY },
		{ E_RESOURCES, 1, 3, EVENT_RETRY }, { E_RESOURCES, 2, 3, EVENT_FAILED },
		{ E_RESOURCES, 1, 1, EVENT_FAILED }, { E_NO_SPACE, 2, 9, EVENT_FAILED },
		{ E_INPUT, 1, 3, EVENT_FAILED }, { E_DENIED, 1, 3, EVENT_FAILED },
		{ E_INTERNAL, 2, 9, EVENT_RETRY }, { E_INTERNAL, 3, 9, EVENT_EXHAUSTED },
		{ -999999, 3, 9, EVENT_EXHAUSTED },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		cr_assert_eq(task_after(cases[i].code, cases[i].attempt, cases[i].most),
		             cases[i].follows, "case %zu", i);
	cr_assert_str_eq(task_failure_name(task_failure(E_QUOTA)), "policy");
}

static void check_delays(int code, int64_t first_ms, int64_t most_ms)
{
	for (uint64_t seed = 0; seed < 200; seed++) {
		int64_t most = first_ms;
		for (int attempt = 2; attempt < 40; attempt++) {
			int64_t ms = task_backoff_ms(code, attempt, seed);
			cr_assert(ms >= most / 2 && ms <= most, "attempt %d waits %ld", attempt,
			          (long)ms);
			most = most * 2 > most_ms ? most_ms : most * 2;
		}
	}
}

Test(task, backs_off_longer_each_time_within_its_bounds)
{
	check_delays(E_IO, 200, 30000);
	check_delays(E_RESOURCES, 2000, 60000);
	check_delays(E_INTERNAL, 1000, 30000);
	cr_assert_neq(task_backoff_ms(E_IO, 8, 1), task_backoff_ms(E_IO, 8, 2));
}

Test(task, its_limits_may_say_other_delays)
{
	struct limits limits = { .retry_first_ms = 60000, .retry_most_ms = 90000 };
	for (uint64_t seed = 0; seed < 100; seed++) {
		int64_t first = task_delay_ms(&limits, E_IO, 2, seed);
		int64_t later = task_delay_ms(&limits, E_IO, 9, seed);
		cr_assert(first >= 30000 && first <= 60000);
		cr_assert(later >= 45000 && later <= 90000);
	}
	limits = (struct limits){ .retry_first_ms = 120000 };
	cr_assert_geq(task_delay_ms(&limits, E_IO, 5, 1), 60000, "never shorter than the first");
	limits = (struct limits){ 0 };
	cr_assert_eq(task_delay_ms(&limits, E_IO, 3, 7), task_backoff_ms(E_IO, 3, 7));
}
