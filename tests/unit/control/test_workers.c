/* test_workers.c - what each worker was given and is to be told. */
#include "common/defs.h"
#include "control/workers.h"

#include "control/erased.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct worker *worker_of(struct workers *workers, const char *name)
{
	struct worker *worker = NULL;
	struct err err;
	cr_assert_eq(workers_add(workers, name, &worker, &err), 0);
	return worker;
}

Test(workers, an_attempt_is_found_by_token_and_by_task)
{
	struct workers workers = { 0 };
	struct worker *one = worker_of(&workers, "w1"), *two = worker_of(&workers, "w2"), *found;
	struct given *given = NULL;
	struct token token = { 7, 1 }, other = { 7, 2 };
	struct err err;
	cr_assert_eq(worker_give(two, "t1", &token, &given, &err), 0);
	cr_assert_eq(worker_given(two, &token), given);
	cr_assert_null(worker_given(two, &other));
	cr_assert_null(worker_given(one, &token));
	cr_assert_eq(workers_given(&workers, "t1", &found), given);
	cr_assert_eq(found, two);
	worker_take_back(two, given);
	cr_assert_null(workers_given(&workers, "t1", &found));
	cr_assert_eq(workers_find(&workers, "w1"), one);
	workers_remove(&workers, one);
	cr_assert_null(workers_find(&workers, "w1"));
	workers_clear(&workers);
	cr_assert_eq(workers.count, 0);
}

Test(workers, an_acknowledgement_is_said_once_however_often_it_is_due)
{
	struct workers workers = { 0 };
	struct worker *worker = worker_of(&workers, "w1");
	for (int64_t i = 0; i < 2 * ACKS_MAX; i++) {
		struct token token = { 1, i / 2 };
		worker_ack(worker, &token);
	}
	cr_assert_eq(worker->ack_count, ACKS_MAX);
	cr_assert(worker->prompt);
	workers_clear(&workers);
}

Test(workers, a_zombie_is_told_at_once_only_the_first_time)
{
	struct workers workers = { 0 };
	struct worker *worker = worker_of(&workers, "w1");
	struct token token = { 1, 5 };
	cr_assert(worker_end_zombie(worker, &token));
	cr_assert_not(worker_end_zombie(worker, &token));
	cr_assert_eq(worker->cancel_count, 2);
	workers_clear(&workers);
}

Test(workers, the_newest_revocations_are_kept)
{
	struct workers workers = { 0 };
	struct worker *worker = worker_of(&workers, "w1");
	char tenant[64];
	for (int i = 0; i < DROPS_MAX + 10; i++) {
		snprintf(tenant, sizeof tenant, "t%d", i);
		worker_drop_access(worker, tenant);
		worker_drop_access(worker, tenant);
	}
	cr_assert_eq(worker->drop_count, DROPS_MAX);
	cr_assert_str_eq(worker->drops[DROPS_MAX - 1].tenant, tenant);
	cr_assert_str_eq(worker->drops[0].tenant, "t10");
	workers_clear(&workers);
}

Test(workers, the_soonest_is_first_however_times_change_and_workers_go)
{
	enum { COUNT = 500 };
	struct workers workers = { 0 };
	struct worker *all[COUNT];
	char name[32];
	uint32_t seed = 7;
	for (int i = 0; i < COUNT; i++) {
		snprintf(name, sizeof name, "w%d", i);
		all[i] = worker_of(&workers, name);
	}
	for (int round = 0; round < 4 * COUNT; round++) {
		seed = seed * 1664525 + 1013904223;
		worker_set_due(all[seed >> 16 & 0xff], seed >> 8);
	}
	int64_t before = -1;
	for (struct worker *worker; (worker = workers_soonest(&workers));) {
		cr_assert_geq(worker->due_ms, before);
		before = worker->due_ms;
		workers_remove(&workers, worker);
	}
	cr_assert_eq(workers.count, 0);
	workers_clear(&workers);
}

Test(workers, who_was_tried_in_vain_is_tried_again_only_when_something_changed)
{
	struct workers workers = { 0 };
	struct worker *one = worker_of(&workers, "w1"), *two = worker_of(&workers, "w2");
	worker_set_able(one, true);
	worker_set_able(two, true);
	cr_assert_eq(workers_fresh(&workers), one);
	worker_set_able(one, true);          /* it got one, and could take another: last in line */
	cr_assert_eq(workers_fresh(&workers), two);
	worker_set_tried(two);
	worker_set_tried(one);
	cr_assert_null(workers_fresh(&workers));
	workers_stir(&workers);
	cr_assert_eq(workers_fresh(&workers), two);
	worker_set_able(two, false);
	cr_assert_eq(workers_fresh(&workers), one);
	workers_remove(&workers, one);
	cr_assert_null(workers_fresh(&workers));
	workers_clear(&workers);
}

Test(workers, one_is_asked_to_erase_until_it_says_so)
{
	struct workers workers = { 0 };
	struct worker *worker = NULL;
	const struct erase acme = { "acme", "01hqzx3vxw5n2k8r9d4m6t7b0c" };
	cr_assert_eq(workers_add(&workers, "w1", &worker, NULL), 0);
	worker_erase(worker, &acme);
	worker_erase(worker, &acme);
	cr_assert_eq(worker->erase_count, 1);
	for (int i = 0; i < 2 * ERASES_MAX; i++) {
		struct erase other = { "globex", "" };
		snprintf(other.uid, sizeof other.uid, "%026d", i);
		worker_erase(worker, &other);
	}
	cr_assert_eq(worker->erase_count, ERASES_MAX);
	worker_erased(worker, acme.uid);
	worker_erased(worker, acme.uid);
	cr_assert_eq(worker->erase_count, ERASES_MAX - 1);
	workers_remove(&workers, worker);
	workers_clear(&workers);
}
