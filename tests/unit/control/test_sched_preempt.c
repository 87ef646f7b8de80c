/* test_sched_preempt.c - who is to end for whom: lent capacity comes back, an urgent task gets
 * its place, within the bounds, and never in a cycle. */
#include "common/defs.h"
#include "control/sched.h"

#include "tests/support/turns.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { LONG_MS = 61000 };

static void fill(struct turns *turns, const char *tenant, int count, enum priority priority)
{
	struct sched_spec spec = {
		.tenant = tenant, .domain = "d", .demand = turns_size(1), .priority = priority,
	};
	for (int i = 0; i < count; i++)
		turns_add_spec(turns, &spec, 0);
}

static void start_all(struct turns *turns, int worker)
{
	while (turns_pick(turns, worker))
		;
}

/* What is named ends and waits again, and the workers take what comes next. */
static size_t preempt(struct turns *turns, int workers)
{
	struct sched_entry *victims[64];
	size_t count = sched_preempt(turns->sched, turns->now_ms, victims, 64);
	for (size_t i = 0; i < count; i++) {
		struct job_of *job = (struct job_of *)(void *)victims[i];
		sched_again(turns->sched, &job->entry, 0, true);
		job->runs = false;
		job->waits = true;
	}
	for (int worker = 0; worker < workers; worker++)
		start_all(turns, worker);
	sched_check(turns->sched);
	return count;
}

Test(sched_preempt, lent_capacity_comes_back_within_the_rate_that_is_stated)
{
	struct turns turns;
	struct sched_conf conf = { .preempt_per_minute = 4 };
	turns_init(&turns, &conf);
	turns_worker(&turns, 0, NULL, 10, 10);
	turns_share(&turns, "lender", 1, 8, -1);
	fill(&turns, "borrower", 50, PRIORITY_NORMAL);
	start_all(&turns, 0);
	cr_assert_eq(turns_running_of(&turns, "borrower"), 10);
	turns.now_ms += LONG_MS;
	fill(&turns, "lender", 50, PRIORITY_NORMAL);
	turns.now_ms += 1000;
	cr_assert_eq(preempt(&turns, 1), 4);
	cr_assert_eq(turns_running_of(&turns, "lender"), 4);
	turns.now_ms += LONG_MS;
	cr_assert_eq(preempt(&turns, 1), 4);
	cr_assert_eq(turns_running_of(&turns, "lender"), 8);
	turns.now_ms += LONG_MS;
	cr_assert_eq(preempt(&turns, 1), 0, "the lender has what is guaranteed to it");
	turns_release(&turns);
}

Test(sched_preempt, nobody_ends_who_ran_too_short_or_borrows_nothing)
{
	struct turns turns;
	turns_init(&turns, NULL);
	turns_worker(&turns, 0, NULL, 10, 10);
	turns_share(&turns, "one", 1, 5, -1);
	turns_share(&turns, "two", 1, 5, -1);
	fill(&turns, "one", 5, PRIORITY_LOW);
	fill(&turns, "third", 5, PRIORITY_NORMAL);
	start_all(&turns, 0);
	turns.now_ms += 30000;
	fill(&turns, "two", 50, PRIORITY_NORMAL);
	turns.now_ms += 1000;
	cr_assert_eq(preempt(&turns, 1), 0, "it ran for half a minute");
	turns.now_ms += 30000;
	cr_assert_eq(preempt(&turns, 1), 5);
	cr_assert_eq(turns_running_of(&turns, "one"), 5);
	cr_assert_eq(turns_running_of(&turns, "two"), 5);
	turns_release(&turns);
}

Test(sched_preempt, those_of_another_cohort_are_left_alone)
{
	struct turns turns;
	struct err err = { 0 };
	struct share lab = {
		.tenant = "two", .cohort = "lab", .weight = 1, .most = { { -1, -1, -1 } },
		.borrow_most = { { -1, -1, -1 } }, .lend_most = { { -1, -1, -1 } },
		.starts_per_minute = -1,
	};
	turns_init(&turns, NULL);
	turns_worker(&turns, 0, NULL, 10, 10);
	fill(&turns, "one", 50, PRIORITY_NORMAL);
	start_all(&turns, 0);
	lab.guaranteed = turns_size(5);
	cr_assert_eq(sched_share_set(turns.sched, "s", &lab, &err), 0);
	turns.now_ms += LONG_MS;
	fill(&turns, "two", 50, PRIORITY_NORMAL);
	turns.now_ms += 1000;
	cr_assert_eq(preempt(&turns, 1), 0);
	turns_release(&turns);
}

Test(sched_preempt, an_urgent_task_takes_the_place_of_its_own_tenants_lowest)
{
	struct turns turns;
	turns_init(&turns, NULL);
	turns_worker(&turns, 0, NULL, 4, 4);
	fill(&turns, "a", 3, PRIORITY_HIGH);
	fill(&turns, "a", 1, PRIORITY_LOW);
	start_all(&turns, 0);
	turns.now_ms += LONG_MS;
	fill(&turns, "a", 1, PRIORITY_URGENT);
	turns.now_ms += 1000;
	struct sched_entry *victims[4];
	cr_assert_eq(sched_preempt(turns.sched, turns.now_ms, victims, 4), 1);
	struct job_of *job = (struct job_of *)(void *)victims[0];
	cr_assert_eq(job->spec.priority, PRIORITY_LOW);
	turns.now_ms += 1000;
	cr_assert_eq(sched_preempt(turns.sched, turns.now_ms, victims, 4), 0, "named once");
	turns_end(&turns, job);
	cr_assert_eq(turns_pick(&turns, 0)->spec.priority, PRIORITY_URGENT);
	turns_release(&turns);
}

Test(sched_preempt, an_urgent_task_takes_of_others_only_down_to_its_own_share)
{
	struct turns turns;
	size_t count = 0;
	turns_init(&turns, NULL);
	turns_worker(&turns, 0, NULL, 10, 10);
	fill(&turns, "rich", 50, PRIORITY_NORMAL);
	start_all(&turns, 0);
	turns.now_ms += LONG_MS;
	fill(&turns, "urgent", 50, PRIORITY_URGENT);
	for (int i = 0; i < 20; i++) {
		turns.now_ms += LONG_MS;
		count += preempt(&turns, 1);
	}
	cr_assert_eq(turns_running_of(&turns, "urgent"), 5);
	cr_assert_eq(turns_running_of(&turns, "rich"), 5);
	cr_assert_eq(count, 5);
	turns_release(&turns);
}

Test(sched_preempt, a_large_urgent_task_gets_the_worker_that_its_victims_leave)
{
	struct turns turns;
	turns_init(&turns, NULL);
	turns_worker(&turns, 0, NULL, 4, 4);
	turns_worker(&turns, 1, NULL, 16, 16);
	fill(&turns, "rich", 100, PRIORITY_NORMAL);
	start_all(&turns, 0);
	start_all(&turns, 1);
	turns.now_ms += LONG_MS;
	struct sched_spec spec = {
		.tenant = "urgent", .domain = "d", .demand = turns_size(4),
		.priority = PRIORITY_URGENT,
	};
	struct job_of *urgent = turns_add_spec(&turns, &spec, 0);
	turns.now_ms += 1000;
	struct sched_entry *victims[8];
	size_t count = sched_preempt(turns.sched, turns.now_ms, victims, 8);
	cr_assert_eq(count, 4);
	int worker = ((struct job_of *)(void *)victims[0])->worker;
	for (size_t i = 0; i < count; i++) {
		cr_assert_null(turns_pick(&turns, worker), "the place is kept");
		turns_end(&turns, (struct job_of *)(void *)victims[i]);
	}
	cr_assert_eq(turns_pick(&turns, worker), urgent);
	turns_release(&turns);
}

/* All tenants are urgent, for ever: who ends for whom comes to rest. */
Test(sched_preempt, urgent_tenants_do_not_chase_each_other)
{
	struct turns turns;
	struct sched_conf conf = { .min_run_ms = 1000, .preempt_per_minute = 1000 };
	turns_init(&turns, &conf);
	turns_worker(&turns, 0, NULL, 7, 7);
	turns_worker(&turns, 1, NULL, 6, 6);
	turns_share(&turns, "a", 1, 4, -1);
	turns_share(&turns, "b", 2, 3, -1);
	fill(&turns, "c", 20, PRIORITY_URGENT);
	start_all(&turns, 0);
	start_all(&turns, 1);
	fill(&turns, "a", 20, PRIORITY_URGENT);
	fill(&turns, "b", 20, PRIORITY_URGENT);
	fill(&turns, "d", 20, PRIORITY_URGENT);
	size_t late = 0;
	for (int i = 0; i < 200; i++) {
		turns.now_ms += 2000;
		size_t count = preempt(&turns, 2);
		late += i >= 100 ? count : 0;
	}
	cr_assert_eq(late, 0);
	turns_release(&turns);
}
