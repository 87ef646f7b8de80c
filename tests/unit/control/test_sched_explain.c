/* test_sched_explain.c - why a task waits: every cause has its reason, with numbers that are so. */
#include "common/defs.h"
#include "control/sched.h"

#include "common/value.h"
#include "tests/support/turns.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

struct asked { struct arena *arena; const struct value *map; };

static struct asked ask(struct turns *turns, const struct job_of *job)
{
	struct asked asked = { 0 };
	struct err err = { 0 };
	cr_assert_eq(arena_new(MIB, &asked.arena, &err), 0);
	asked.map = sched_explain(turns->sched, &job->entry, turns->now_ms, asked.arena);
	cr_assert_not_null(asked.map);
	return asked;
}

static const struct value *reason_of(const struct asked *asked, const char *rule)
{
	const struct value *reasons = value_get(asked->map, "reasons");
	for (size_t i = 0; i < value_len(reasons); i++)
		if (strcmp(value_get_str(value_at(reasons, i), "rule"), rule) == 0)
			return value_at(reasons, i);
	cr_assert(false, "no reason %s", rule);
	return NULL;
}

static void expect(const struct value *reason, int64_t need, int64_t have, int64_t limit)
{
	cr_expect_eq(value_get_int(reason, "need", -1), need);
	cr_expect_eq(value_get_int(reason, "have", -1), have);
	cr_expect_eq(value_get_int(reason, "limit", -1), limit);
	cr_expect_not_null(value_get_str(reason, "detail"));
}

Test(sched_explain, what_could_never_fit_names_the_largest_worker_and_where_it_could)
{
	struct turns turns;
	turns_init(&turns, NULL);
	turns_worker(&turns, 0, NULL, 4, 4);
	turns_worker(&turns, 1, NULL, 8, 8);
	turns_worker(&turns, 2, "large", 64, 64);
	struct job_of *job = turns_add(&turns, "a", "d", 16);
	struct asked asked = ask(&turns, job);
	const struct value *reason = reason_of(&asked, "never-fits");
	expect(reason, 16000, 8000, 8000);
	const char *detail = value_get_str(reason, "detail");
	cr_expect(strstr(detail, "w1") && strstr(detail, "pool large"), "%s", detail);
	cr_expect_eq(value_kind(value_get(asked.map, "estimateSeconds")), VALUE_NULL);
	arena_free(asked.arena);
	turns_release(&turns);
}

Test(sched_explain, a_pool_without_workers_and_a_selector_that_none_has_are_said)
{
	struct turns turns;
	struct label zone = { "zone", "nowhere" };
	turns_init(&turns, NULL);
	turns_worker(&turns, 0, NULL, 4, 4);
	struct sched_spec spec = {
		.tenant = "a", .domain = "d", .demand = turns_size(1), .pool = "empty",
	};
	struct asked asked = ask(&turns, turns_add_spec(&turns, &spec, 0));
	cr_expect(strstr(value_get_str(reason_of(&asked, "never-fits"), "detail"),
	                 "has no workers"));
	arena_free(asked.arena);
	spec.pool = NULL;
	spec.selector = &zone;
	spec.selector_count = 1;
	asked = ask(&turns, turns_add_spec(&turns, &spec, 0));
	cr_expect(strstr(value_get_str(reason_of(&asked, "never-fits"), "detail"), "selector"));
	arena_free(asked.arena);
	turns_release(&turns);
}

Test(sched_explain, a_full_pool_says_what_is_free_and_who_goes_before)
{
	struct turns turns;
	turns_init(&turns, NULL);
	turns_worker(&turns, 0, NULL, 4, 4);
	for (int i = 0; i < 6; i++)
		turns_add(&turns, "a", "d", 1);
	for (int i = 0; i < 3; i++)
		cr_assert_not_null(turns_pick(&turns, 0));
	for (int i = 0; i < 8; i++)
		turns_add(&turns, "b", "d", 1);
	struct job_of *large = turns_add(&turns, "a", "d", 2);
	struct asked asked = ask(&turns, large);
	expect(reason_of(&asked, "capacity"), 2000, 1000, 4000);
	cr_expect_str_eq(value_get_str(asked.map, "state"), "waiting");
	cr_expect_eq(value_get_int(asked.map, "position", 0), 4);
	cr_expect_eq(value_get_int(asked.map, "ahead", 0), 3 + 4);
	arena_free(asked.arena);
	turns_release(&turns);
}

Test(sched_explain, shares_keys_rates_quotas_and_times_each_have_their_reason)
{
	struct turns turns;
	struct err err = { 0 };
	turns_init(&turns, NULL);
	turns_worker(&turns, 0, NULL, 20, 20);
	turns_share(&turns, "capped", 1, 0, 1);
	struct share rated = {
		.tenant = "rated", .weight = 1, .most = { { -1, -1, -1 } },
		.borrow_most = { { -1, -1, -1 } }, .lend_most = { { -1, -1, -1 } },
		.starts_per_minute = 1,
	};
	cr_assert_eq(sched_share_set(turns.sched, "s", &rated, &err), 0);
	snprintf(turns.closed_tenant, sizeof turns.closed_tenant, "closed");
	struct sched_spec keyed = {
		.tenant = "keyed",
		.domain = "d",
		.demand = turns_size(1),
		.key = "k",
		.key_most = 1,
	};
	struct job_of *waits[5];
	turns_add(&turns, "capped", "d", 1);
	turns_add(&turns, "rated", "d", 1);
	turns_add_spec(&turns, &keyed, 0);
	waits[0] = turns_add(&turns, "capped", "d", 1);
	waits[1] = turns_add(&turns, "rated", "d", 1);
	waits[2] = turns_add_spec(&turns, &keyed, 0);
	waits[3] = turns_add(&turns, "closed", "d", 1);
	keyed.key = NULL;
	waits[4] = turns_add_spec(&turns, &keyed, turns.now_ms + 1000);
	while (turns_pick(&turns, 0))
		;
	static const char *const rules[] = {
		"share-limit", "rate", "concurrency-key", "quota", "not-before",
	};
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		struct asked asked = ask(&turns, waits[i]);
		cr_expect_not_null(value_get_str(reason_of(&asked, rules[i]), "detail"));
		cr_expect_str_eq(value_get_str(asked.map, "state"), "parked", "%s", rules[i]);
		arena_free(asked.arena);
	}
	turns_release(&turns);
}

static void set_closed(struct turns *turns, const char *name, bool closed)
{
	struct err err = { 0 };
	struct sched_worker worker = { .name = name, .total = turns_size(4), .closed = closed };
	cr_assert_eq(sched_worker_set(turns->sched, &worker, &err), 0, "%s", err.text);
}

Test(sched_explain, workers_that_are_cordoned_are_said_to_be_and_no_time_is_promised)
{
	struct turns turns;
	turns_init(&turns, NULL);
	set_closed(&turns, "one", false);
	cr_assert_not_null(turns_add(&turns, "a", "d", 1));
	cr_assert_not_null(sched_pick(turns.sched, "one", turns.now_ms));    /* there is a rate */
	set_closed(&turns, "one", true);
	set_closed(&turns, "two", true);
	struct asked asked = ask(&turns, turns_add(&turns, "a", "d", 1));
	expect(reason_of(&asked, "workers-closed"), 1, 0, 2);
	cr_expect_eq(value_len(value_get(asked.map, "reasons")), 1);
	cr_expect_eq(value_kind(value_get(asked.map, "estimateSeconds")), VALUE_NULL);
	arena_free(asked.arena);
	set_closed(&turns, "two", false);    /* the open one is spoken of, not the closed */
	turns_add(&turns, "a", "d", 4);
	cr_assert_not_null(sched_pick(turns.sched, "two", turns.now_ms));
	asked = ask(&turns, turns_add(&turns, "a", "d", 4));
	cr_expect(strstr(value_get_str(reason_of(&asked, "capacity"), "detail"), "two has"));
	arena_free(asked.arena);
	turns_release(&turns);
}

Test(sched_explain, what_no_end_of_a_task_would_lift_has_no_estimate)
{
	struct turns turns;
	struct err err = { 0 };
	turns_init(&turns, NULL);
	turns_worker(&turns, 0, NULL, 20, 20);
	struct share none = {
		.tenant = "rated", .weight = 1, .most = { { -1, -1, -1 } },
		.borrow_most = { { -1, -1, -1 } }, .lend_most = { { -1, -1, -1 } },
	};
	cr_assert_eq(sched_share_set(turns.sched, "s", &none, &err), 0);
	turns_share(&turns, "small", 1, 0, 1);
	turns_add(&turns, "small", "d", 1);
	cr_assert_not_null(turns_pick(&turns, 0));
	struct asked asked = ask(&turns, turns_add(&turns, "rated", "d", 1));
	cr_expect(strstr(value_get_str(reason_of(&asked, "rate"), "detail"), "startsPerMinute"));
	cr_expect_eq(value_kind(value_get(asked.map, "estimateSeconds")), VALUE_NULL);
	arena_free(asked.arena);
	asked = ask(&turns, turns_add(&turns, "small", "d", 2));
	cr_expect(strstr(value_get_str(reason_of(&asked, "share-limit"), "detail"),
	                 "waits for the operator"));
	cr_expect_eq(value_kind(value_get(asked.map, "estimateSeconds")), VALUE_NULL);
	arena_free(asked.arena);
	asked = ask(&turns, turns_add(&turns, "small", "d", 1));
	cr_expect_neq(value_kind(value_get(asked.map, "estimateSeconds")), VALUE_NULL);
	arena_free(asked.arena);
	turns_release(&turns);
}

Test(sched_explain, what_is_kept_for_others_guarantees_is_said)
{
	struct turns turns;
	turns_init(&turns, NULL);
	turns_worker(&turns, 0, NULL, 10, 10);
	struct err err = { 0 };
	struct share sure = {
		.tenant = "sure", .cohort = "other", .weight = 1, .guaranteed = turns_size(9),
		.most = { { -1, -1, -1 } }, .borrow_most = { { -1, -1, -1 } },
		.lend_most = { { -1, -1, -1 } }, .starts_per_minute = -1,
	};
	cr_assert_eq(sched_share_set(turns.sched, "s", &sure, &err), 0);
	struct job_of *job = turns_add(&turns, "a", "d", 2);
	cr_assert_null(turns_pick(&turns, 0));
	struct asked asked = ask(&turns, job);
	const struct value *reason = reason_of(&asked, "guaranteed-to-others");
	cr_expect_eq(value_get_int(reason, "need", 0), 2000);
	cr_expect_eq(value_get_int(reason, "have", 0), 1000);
	arena_free(asked.arena);
	turns_release(&turns);
}

Test(sched_explain, a_dry_run_is_told_the_same_and_changes_nothing)
{
	struct turns turns;
	struct err err = { 0 };
	struct arena *arena = NULL;
	turns_init(&turns, NULL);
	turns_worker(&turns, 0, NULL, 4, 4);
	cr_assert_eq(arena_new(MIB, &arena, &err), 0);
	struct sched_spec spec = { .tenant = "new", .domain = "d", .demand = turns_size(9) };
	struct asked asked = { arena, sched_explain_spec(turns.sched, &spec, turns.now_ms, arena) };
	expect(reason_of(&asked, "never-fits"), 9000, 4000, 4000);
	spec.demand = turns_size(1);
	asked.map = sched_explain_spec(turns.sched, &spec, turns.now_ms, arena);
	cr_expect_not_null(reason_of(&asked, "turn"));
	cr_expect_eq(value_len(sched_table(turns.sched, turns.now_ms, arena)), 0);
	arena_free(arena);
	sched_check(turns.sched);
	turns_release(&turns);
}

Test(sched_explain, the_tables_say_who_has_what_and_what_each_pool_lacks)
{
	struct turns turns;
	struct err err = { 0 };
	struct arena *arena = NULL;
	turns_init(&turns, NULL);
	cr_assert_eq(arena_new(MIB, &arena, &err), 0);
	turns_worker(&turns, 0, NULL, 4, 4);
	turns_share(&turns, "a", 2, 1, -1);
	for (int i = 0; i < 4; i++)
		turns_add(&turns, "a", "d", 1);
	turns_add(&turns, "a", "d", 100);
	cr_assert_not_null(turns_pick(&turns, 0));
	cr_assert_not_null(turns_pick(&turns, 0));
	turns.now_ms += 700;
	const struct value *row = value_at(sched_table(turns.sched, turns.now_ms, arena), 0);
	cr_expect_str_eq(value_get_str(row, "tenant"), "a");
	cr_expect_eq(value_get_int(row, "weight", 0), 2);
	cr_expect_eq(value_get_int(row, "waiting", 0), 3);
	cr_expect_eq(value_get_int(row, "running", 0), 2);
	cr_expect_eq(value_get_int(row, "share", 0), 500000);
	cr_expect_eq(value_get_int(row, "oldestWaitMs", 0), 700);
	cr_expect_eq(value_get_int(value_get(row, "borrowed"), "cpuMillis", 0), 1000);
	const struct value *pool = value_at(sched_pools(turns.sched, turns.now_ms, arena), 0);
	cr_expect_eq(value_get_int(pool, "workers", 0), 1);
	cr_expect_eq(value_get_int(pool, "neverFits", 0), 1);
	cr_expect_eq(value_get_int(value_get(pool, "waiting"), "cpuMillis", 0), 102000);
	cr_expect_eq(value_get_int(value_get(pool, "used"), "cpuMillis", 0), 2000);
	arena_free(arena);
	turns_release(&turns);
}
