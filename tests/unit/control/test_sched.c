/* test_sched.c - who goes next: fair by shares, by priority and by acceptance, within every
 * limit. */
#include "common/defs.h"
#include "control/sched.h"

#include "tests/support/alloc.h"
#include "tests/support/turns.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { HOUR_MS = 3600000 };

static void fill(struct turns *turns, const char *tenant, int count)
{
	for (int i = 0; i < count; i++)
		turns_add(turns, tenant, "d", 1);
}

static size_t start_all(struct turns *turns, int worker)
{
	size_t count = 0;
	while (turns_pick(turns, worker))
		count++;
	sched_check(turns->sched);
	return count;
}

static struct share plain(const char *tenant)
{
	return (struct share){
		.tenant = tenant, .weight = 1, .most = { { -1, -1, -1 } },
		.borrow_most = { { -1, -1, -1 } }, .lend_most = { { -1, -1, -1 } },
		.starts_per_minute = -1,
	};
}

static void set_share(struct turns *turns, const char *name, const struct share *share)
{
	struct err err = { 0 };
	cr_assert_eq(sched_share_set(turns->sched, name, share, &err), 0, "%s", err.text);
}

static struct job_of *add_priority(struct turns *turns, const char *tenant, enum priority priority)
{
	struct sched_spec spec = {
		.tenant = tenant, .domain = "d", .demand = turns_size(1), .priority = priority,
	};
	return turns_add_spec(turns, &spec, 0);
}

Test(sched, tenants_share_alike_whoever_came_first_and_with_how_many)
{
	struct turns turns;
	turns_init(&turns, NULL);
	turns_worker(&turns, 0, NULL, 30, 30);
	fill(&turns, "flood", 500);
	fill(&turns, "small", 10);
	fill(&turns, "late", 100);
	cr_assert_eq(start_all(&turns, 0), 30);
	cr_assert_eq(turns_running_of(&turns, "flood"), 10);
	cr_assert_eq(turns_running_of(&turns, "small"), 10);
	cr_assert_eq(turns_running_of(&turns, "late"), 10);
	turns_release(&turns);
}

Test(sched, a_weight_of_three_gets_three_times_as_much)
{
	struct turns turns;
	turns_init(&turns, NULL);
	turns_worker(&turns, 0, NULL, 40, 40);
	turns_share(&turns, "heavy", 3, 0, -1);
	fill(&turns, "light", 100);
	fill(&turns, "heavy", 100);
	start_all(&turns, 0);
	cr_assert_eq(turns_running_of(&turns, "heavy"), 30);
	cr_assert_eq(turns_running_of(&turns, "light"), 10);
	turns_release(&turns);
}

Test(sched, short_tasks_take_turns_by_weight_though_nothing_else_runs)
{
	struct turns turns;
	size_t heavy = 0;
	turns_init(&turns, NULL);
	turns_worker(&turns, 0, NULL, 1, 1);
	turns_share(&turns, "heavy", 3, 0, -1);
	fill(&turns, "light", 400);
	fill(&turns, "heavy", 400);
	for (int i = 0; i < 400; i++) {
		struct job_of *job = turns_pick(&turns, 0);
		heavy += strcmp(job->tenant, "heavy") == 0;
		turns_end(&turns, job);
	}
	cr_assert(heavy >= 295 && heavy <= 305, "%zu of 400", heavy);
	turns_release(&turns);
}

Test(sched, who_comes_late_gets_its_turn_and_no_arrears)
{
	struct turns turns;
	size_t late = 0;
	turns_init(&turns, NULL);
	turns_worker(&turns, 0, NULL, 1, 1);
	fill(&turns, "early", 1000);
	for (int i = 0; i < 300; i++)
		turns_end(&turns, turns_pick(&turns, 0));
	fill(&turns, "late", 200);
	for (int i = 0; i < 100; i++) {
		struct job_of *job = turns_pick(&turns, 0);
		late += strcmp(job->tenant, "late") == 0;
		turns_end(&turns, job);
	}
	cr_assert(late >= 49 && late <= 51, "%zu of 100", late);
	turns_release(&turns);
}

Test(sched, shares_are_of_the_dominant_resource)
{
	struct turns turns;
	turns_init(&turns, NULL);
	/* The example of Ghodsi et al. 2011: 9 cores and 18 GiB; A's tasks take 1 core and 4 GiB,
	 * B's 3 cores and 1 GiB. Both end with two thirds of what they need most. */
	struct sched_worker worker = {
		.name = "w0", .total = { { 9000, (int64_t)18 << 30, 100 } },
	};
	struct err err = { 0 };
	cr_assert_eq(sched_worker_set(turns.sched, &worker, &err), 0);
	struct sched_spec a = {
		.tenant = "a", .domain = "d", .demand = {{1000, (int64_t)4 << 30, 1}}};
	struct sched_spec b = {
		.tenant = "b", .domain = "d", .demand = {{3000, (int64_t)1 << 30, 1}}};
	for (int i = 0; i < 20; i++) {
		turns_add_spec(&turns, &a, 0);
		turns_add_spec(&turns, &b, 0);
	}
	start_all(&turns, 0);
	cr_assert_eq(turns_running_of(&turns, "a"), 3);
	cr_assert_eq(turns_running_of(&turns, "b"), 2);
	turns_release(&turns);
}

Test(sched, domains_of_a_tenant_share_what_it_gets)
{
	struct turns turns;
	size_t first = 0;
	turns_init(&turns, NULL);
	turns_worker(&turns, 0, NULL, 20, 20);
	for (int i = 0; i < 100; i++)
		turns_add(&turns, "a", "first", 1);
	for (int i = 0; i < 100; i++)
		turns_add(&turns, "a", "second", 1);
	fill(&turns, "b", 100);
	start_all(&turns, 0);
	for (size_t i = 0; i < turns.count; i++)
		first += turns.jobs[i].runs && strcmp(turns.jobs[i].domain, "first") == 0;
	cr_assert_eq(turns_running_of(&turns, "a"), 10);
	cr_assert_eq(first, 5);
	turns_release(&turns);
}

Test(sched, a_guarantee_goes_before_a_lower_share)
{
	struct turns turns;
	turns_init(&turns, NULL);
	turns_worker(&turns, 0, NULL, 10, 10);
	turns_share(&turns, "sure", 1, 8, -1);
	fill(&turns, "other", 100);
	fill(&turns, "sure", 100);
	start_all(&turns, 0);
	cr_assert_eq(turns_running_of(&turns, "sure"), 8);
	cr_assert_eq(turns_running_of(&turns, "other"), 2);
	turns_release(&turns);
}

Test(sched, a_guarantee_that_is_not_used_is_lent_within_the_cohort_only)
{
	struct turns turns;
	turns_init(&turns, NULL);
	turns_worker(&turns, 0, NULL, 10, 10);
	struct share sure = plain("sure"), other = plain("other");
	sure.cohort = other.cohort = "lab";
	sure.guaranteed = turns_size(8);
	set_share(&turns, "s", &sure);
	set_share(&turns, "s", &other);
	fill(&turns, "stranger", 100);
	fill(&turns, "other", 100);
	start_all(&turns, 0);
	cr_assert_eq(turns_running_of(&turns, "stranger"), 1);
	cr_assert_eq(turns_running_of(&turns, "other"), 9);
	turns_release(&turns);
}

Test(sched, what_a_tenant_does_not_lend_is_kept_for_it)
{
	struct turns turns;
	turns_init(&turns, NULL);
	turns_worker(&turns, 0, NULL, 10, 10);
	struct share sure = plain("sure");
	sure.guaranteed = turns_size(8);
	sure.lend_most = turns_size(3);
	set_share(&turns, "s", &sure);
	fill(&turns, "other", 100);
	cr_assert_eq(start_all(&turns, 0), 5);
	fill(&turns, "sure", 100);
	cr_assert_eq(start_all(&turns, 0), 5);
	cr_assert_eq(turns_running_of(&turns, "sure"), 5);
	turns_release(&turns);
}

Test(sched, nobody_uses_more_than_its_limit_nor_borrows_more_than_it_may)
{
	struct turns turns;
	turns_init(&turns, NULL);
	turns_worker(&turns, 0, NULL, 100, 100);
	turns_share(&turns, "capped", 1, 0, 7);
	struct share borrower = plain("borrower");
	borrower.guaranteed = turns_size(4);
	borrower.borrow_most = turns_size(2);
	set_share(&turns, "s", &borrower);
	fill(&turns, "capped", 100);
	fill(&turns, "borrower", 100);
	start_all(&turns, 0);
	cr_assert_eq(turns_running_of(&turns, "capped"), 7);
	cr_assert_eq(turns_running_of(&turns, "borrower"), 6);
	turns_share(&turns, "capped", 1, 0, 9);
	cr_assert_eq(start_all(&turns, 0), 2);
	turns_release(&turns);
}

Test(sched, within_a_domain_priority_goes_first_then_acceptance)
{
	struct turns turns;
	turns_init(&turns, NULL);
	turns_worker(&turns, 0, NULL, 1, 1);
	struct job_of *low = add_priority(&turns, "a", PRIORITY_LOW);
	struct job_of *first = add_priority(&turns, "a", PRIORITY_NORMAL);
	struct job_of *second = add_priority(&turns, "a", PRIORITY_NORMAL);
	struct job_of *high = add_priority(&turns, "a", PRIORITY_HIGH);
	struct job_of *const order[] = { high, first, second, low };
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		cr_assert_eq(turns_pick(&turns, 0), order[i]);
		turns_end(&turns, order[i]);
	}
	turns_release(&turns);
}

Test(sched, one_put_to_the_front_goes_before_all_of_its_priority)
{
	struct turns turns;
	turns_init(&turns, NULL);
	turns_worker(&turns, 0, NULL, 1, 1);
	struct job_of *first = turns_add(&turns, "a", "d", 1);
	struct job_of *second = turns_add(&turns, "a", "d", 1);
	cr_assert_eq(turns_pick(&turns, 0), first);
	turns_end(&turns, first);
	cr_assert_eq(turns_pick(&turns, 0), second);
	struct job_of *third = turns_add(&turns, "a", "d", 1);
	third->spec.since_ms -= 100;
	sched_again(turns.sched, &second->entry, 0, true);
	second->waits = true;
	second->runs = false;
	cr_assert_eq(turns_pick(&turns, 0), second);
	turns_release(&turns);
}

Test(sched, a_large_head_hides_no_small_one_behind_it)
{
	struct turns turns;
	turns_init(&turns, NULL);
	turns_worker(&turns, 0, NULL, 2, 2);
	struct job_of *large = turns_add(&turns, "a", "d", 4);
	struct job_of *small = turns_add(&turns, "a", "d", 1);
	cr_assert_eq(turns_pick(&turns, 0), small);
	cr_assert_null(turns_pick(&turns, 0));
	turns_worker(&turns, 1, NULL, 4, 4);
	cr_assert_eq(turns_pick(&turns, 1), large);
	turns_release(&turns);
}

Test(sched, tasks_of_a_key_at_its_limit_hide_no_others)
{
	struct turns turns;
	turns_init(&turns, NULL);
	turns_worker(&turns, 0, NULL, 10, 10);
	struct sched_spec keyed = {
		.tenant = "a",
		.domain = "d",
		.demand = turns_size(1),
		.key = "nightly",
		.key_most = 1,
	};
	struct job_of *first = turns_add_spec(&turns, &keyed, 0);
	struct job_of *second = turns_add_spec(&turns, &keyed, 0);
	struct job_of *other = turns_add(&turns, "a", "d", 1);
	cr_assert_eq(turns_pick(&turns, 0), other);     /* of higher priority */
	cr_assert_eq(turns_pick(&turns, 0), first);
	cr_assert_null(turns_pick(&turns, 0));
	turns_end(&turns, first);
	cr_assert_eq(turns_pick(&turns, 0), second);
	turns_release(&turns);
}

Test(sched, starts_a_minute_are_a_bucket_that_fills)
{
	struct turns turns;
	turns_init(&turns, NULL);
	turns_worker(&turns, 0, NULL, 100, 100);
	struct share limited = plain("a");
	limited.starts_per_minute = 6;
	set_share(&turns, "s", &limited);
	fill(&turns, "a", 50);
	cr_assert_eq(start_all(&turns, 0), 6);
	int64_t next_ms = sched_next_ms(turns.sched);
	cr_assert(next_ms > turns.now_ms + 9000 && next_ms < turns.now_ms + 11000);
	turns.now_ms = next_ms;
	cr_assert_eq(start_all(&turns, 0), 1);
	turns.now_ms += HOUR_MS;
	cr_assert_eq(start_all(&turns, 0), 6);
	turns_release(&turns);
}

Test(sched, a_quota_that_is_used_up_parks_until_the_kick)
{
	struct turns turns;
	turns_init(&turns, NULL);
	turns_worker(&turns, 0, NULL, 10, 10);
	snprintf(turns.closed_tenant, sizeof turns.closed_tenant, "a");
	fill(&turns, "a", 3);
	fill(&turns, "b", 1);
	cr_assert_eq(start_all(&turns, 0), 1);
	turns.closed_tenant[0] = '\0';
	cr_assert_null(turns_pick(&turns, 0));
	sched_kick(turns.sched, "b");
	cr_assert_null(turns_pick(&turns, 0));
	sched_kick(turns.sched, "a");
	cr_assert_eq(start_all(&turns, 0), 3);
	turns_release(&turns);
}

Test(sched, one_that_is_due_later_starts_then_and_one_that_is_held_when_it_is_let_go)
{
	struct turns turns;
	turns_init(&turns, NULL);
	turns_worker(&turns, 0, NULL, 10, 10);
	struct sched_spec spec = { .tenant = "a", .domain = "d", .demand = turns_size(1) };
	struct job_of *later = turns_add_spec(&turns, &spec, turns.now_ms + 5000);
	struct job_of *held = turns_add_spec(&turns, &spec, SCHED_HELD);
	cr_assert_null(turns_pick(&turns, 0));
	cr_assert_eq(sched_next_ms(turns.sched), turns.now_ms + 5000);
	turns.now_ms += 5000;
	cr_assert_eq(turns_pick(&turns, 0), later);
	turns.now_ms += HOUR_MS;
	cr_assert_null(turns_pick(&turns, 0));
	cr_assert_eq(sched_next_ms(turns.sched), INT64_MAX);
	sched_due(turns.sched, &held->entry, 0, false);
	cr_assert_eq(turns_pick(&turns, 0), held);
	turns_release(&turns);
}

Test(sched, a_worker_gets_only_what_its_pool_labels_and_doors_allow)
{
	struct turns turns;
	struct label zone = { "zone", "b" };
	turns_init(&turns, NULL);
	turns_worker(&turns, 0, NULL, 10, 10);         /* zone a, serves */
	turns_worker(&turns, 1, NULL, 10, 10);         /* zone b, serves not */
	turns_worker(&turns, 2, "gpu", 10, 10);
	struct sched_spec spec = { .tenant = "a", .domain = "d", .demand = turns_size(1) };
	spec.pool = "gpu";
	struct job_of *pooled = turns_add_spec(&turns, &spec, 0);
	spec.pool = NULL;
	spec.serves = true;
	struct job_of *serving = turns_add_spec(&turns, &spec, 0);
	spec.serves = false;
	spec.selector = &zone;
	spec.selector_count = 1;
	struct job_of *placed = turns_add_spec(&turns, &spec, 0);
	cr_assert_eq(turns_pick(&turns, 0), serving);
	cr_assert_null(turns_pick(&turns, 0));
	cr_assert_eq(turns_pick(&turns, 1), placed);
	cr_assert_null(turns_pick(&turns, 1));
	cr_assert_eq(turns_pick(&turns, 2), pooled);
	turns_release(&turns);
}

Test(sched, a_task_waits_a_moment_for_a_worker_that_holds_its_dataset_and_no_longer)
{
	struct turns turns;
	turns_init(&turns, NULL);
	turns_worker(&turns, 0, NULL, 1, 1);
	turns_worker(&turns, 1, NULL, 1, 1);
	sched_near(turns.sched, "w1", "flights");
	struct sched_spec spec = {
		.tenant = "a", .domain = "d", .demand = turns_size(1), .near = "flights",
	};
	struct job_of *job = turns_add_spec(&turns, &spec, 0);
	cr_assert_null(turns_pick(&turns, 0));
	cr_assert_eq(turns_pick(&turns, 1), job);
	struct job_of *next = turns_add_spec(&turns, &spec, 0);
	cr_assert_eq(turns_pick(&turns, 0), next, "its holder has no room: it waits for nobody");
	turns_end(&turns, job);
	turns_end(&turns, next);
	next = turns_add_spec(&turns, &spec, 0);
	cr_assert_null(turns_pick(&turns, 0));
	turns.now_ms = sched_next_ms(turns.sched);
	cr_assert_eq(turns_pick(&turns, 0), next);
	turns_release(&turns);
}

/* --- aging --- */

Test(sched, one_start_in_four_is_of_those_that_waited_too_long)
{
	struct turns turns;
	size_t old = 0;
	struct sched_conf conf = { .aging_ms = 60000 };
	turns_init(&turns, &conf);
	turns_worker(&turns, 0, NULL, 1, 1);
	turns_share(&turns, "favoured", 1, 1, -1);     /* always due: goes first for ever */
	for (int i = 0; i < 50; i++)
		turns_add(&turns, "old", "d", 1);
	turns.now_ms += 60001;
	fill(&turns, "favoured", 400);
	for (int i = 0; i < 100; i++) {
		struct job_of *job = turns_pick(&turns, 0);
		old += strcmp(job->tenant, "old") == 0;
		turns_end(&turns, job);
	}
	cr_assert_eq(old, 25);
	turns_release(&turns);
}

Test(sched, a_low_priority_is_not_passed_over_for_ever)
{
	struct turns turns;
	struct sched_conf conf = { .aging_ms = 60000 };
	turns_init(&turns, &conf);
	turns_worker(&turns, 0, NULL, 1, 1);
	struct job_of *low = add_priority(&turns, "a", PRIORITY_LOW);
	int starts = 0;
	turns.now_ms += 60001;
	for (; low->waits && starts < 10; starts++) {
		add_priority(&turns, "a", PRIORITY_HIGH);
		turns_end(&turns, turns_pick(&turns, 0));
	}
	cr_assert_leq(starts, 4);
	turns_release(&turns);
}

Test(sched, for_a_large_task_that_waited_too_long_a_worker_is_kept_free)
{
	struct turns turns;
	struct sched_conf conf = { .aging_ms = 60000 };
	struct job_of *running[4];
	turns_init(&turns, &conf);
	turns_worker(&turns, 0, NULL, 4, 4);
	fill(&turns, "small", 4);
	for (int i = 0; i < 4; i++)
		running[i] = turns_pick(&turns, 0);
	struct job_of *large = turns_add(&turns, "large", "d", 4);
	turns.now_ms += 60001;
	fill(&turns, "small", 100);
	for (int i = 0; i < 4; i++) {
		cr_assert_null(turns_pick(&turns, 0));
		turns_end(&turns, running[i]);
		sched_check(turns.sched);
	}
	cr_assert_eq(turns_pick(&turns, 0), large);
	turns_release(&turns);
}

/* --- bounds --- */

Test(sched, at_most_so_many_shapes_at_one_time)
{
	struct turns turns;
	struct err err = { 0 };
	turns_init(&turns, NULL);
	turns_worker(&turns, 0, NULL, 4, 4);
	static struct sched_entry entries[CLASSES_MAX + 1];
	struct sched_spec spec = { .tenant = "a", .domain = "d" };
	for (int i = 0; i < CLASSES_MAX; i++) {
		spec.demand.v[RES_CPU] = i + 1;
		cr_assert_eq(sched_add(turns.sched, &entries[i], &spec, 0, &err), 0);
	}
	spec.demand.v[RES_CPU] = CLASSES_MAX + 1;
	cr_assert_eq(sched_add(turns.sched, &entries[CLASSES_MAX], &spec, 0, &err), E_BUSY);
	sched_check(turns.sched);
	sched_remove(turns.sched, &entries[7]);
	cr_assert_eq(sched_add(turns.sched, &entries[CLASSES_MAX], &spec, 0, &err), 0);
	sched_check(turns.sched);
	turns_release(&turns);
}

Test(sched, a_queued_task_takes_little_memory)
{
	cr_assert_leq(sizeof(struct sched_entry), 80);
}

/* --- memory is missing --- */

/* Nothing but what is added is there: what was made for it goes with it. */
static int add_to_nothing(const struct sched_spec *spec, long n, bool *ret_fired)
{
	struct turns turns;
	struct err err = { 0 };
	struct sched_entry entry = { .next = NULL };
	turns_init(&turns, NULL);
	alloc_fail_after(n);
	int rc = sched_add(turns.sched, &entry, spec, 0, &err);
	*ret_fired = alloc_fired();
	alloc_fail_after(-1);
	sched_check(turns.sched);
	if (rc < 0)
		cr_assert_eq(sched_add(turns.sched, &entry, spec, 0, &err), 0, "%s", err.text);
	sched_check(turns.sched);
	sched_remove(turns.sched, &entry);
	turns_release(&turns);
	return rc;
}

Test(sched, a_task_that_memory_is_missing_for_leaves_nothing_and_can_be_added_again)
{
	const struct sched_spec spec = {
		.tenant = "acme", .domain = "sales", .pool = "large", .key = "one", .near = "view",
		.demand = turns_size(1), .priority = PRIORITY_NORMAL,
	};
	bool fired = true;
	long n = 0;
	for (; fired; n++) {
		int rc = add_to_nothing(&spec, n, &fired);
		cr_assert_eq(rc, fired ? E_NOMEM : 0, "allocation %ld: %d", n, rc);
	}
	cr_assert_gt(n, 5L);
}

Test(sched, a_share_that_memory_is_missing_for_leaves_nothing_and_can_be_set_again)
{
	const struct share share = plain("acme");
	bool fired = true;
	for (long n = 0; fired; n++) {
		struct turns turns;
		struct err err = { 0 };
		turns_init(&turns, NULL);
		alloc_fail_after(n);
		int rc = sched_share_set(turns.sched, "of-acme", &share, &err);
		fired = alloc_fired();
		alloc_fail_after(-1);
		cr_assert_eq(rc, fired ? E_NOMEM : 0, "allocation %ld: %d", n, rc);
		set_share(&turns, "of-acme", &share);
		sched_check(turns.sched);
		turns_release(&turns);
	}
}
