/* store_mem: what only the in-memory store has: injected failures, deposition, simulated time; and
 * the transaction's allocations. Its behaviour as a store is in tests/conformance/test_store.c. */
#include "common/defs.h"
#include "common/store_mem.h"

#include "tests/support/alloc.h"
#include "tests/support/follow.h"

#include <criterion/criterion.h>

static struct store *mem_new(struct clock *clock)
{
	struct err err = { 0 };
	struct store *store = NULL;
	cr_assert_eq(store_mem_new(clock, &store, &err), 0, "%s", err.text);
	return store;
}

static int ignore_item(void *context, const struct store_item *item, struct err *err)
{
	(void)item;
	(void)err;
	++*(int *)context;
	return 0;
}

Test(store_mem_only, the_nth_call_fails_and_does_not_happen)
{
	struct err err = { 0 };
	int visits = 0;
	AUTO(store) *store = mem_new(clock_system());
	store_mem_fail(store, 2, E_UNAVAILABLE);
	cr_assert_eq(put_if_mod(store, "a", "1", 0, NULL), 0);
	cr_assert_eq(put_if_mod(store, "b", "1", 0, NULL), E_UNAVAILABLE);
	cr_assert_eq(put_if_mod(store, "c", "1", 0, NULL), 0);
	cr_assert_eq(store_mem_calls(store), 3);
	cr_assert_eq(get_key(store, "b").mod_revision, 0);
	store_mem_fail(store, 1, E_TIMEOUT);
	cr_assert_eq(store_list(store, "", ignore_item, &visits, NULL, &err), E_TIMEOUT);
	cr_assert_eq(visits, 0);
	store_mem_fail(store, 0, E_TIMEOUT);
	cr_assert_eq(store_list(store, "", ignore_item, &visits, NULL, &err), 0);
	cr_assert_eq(visits, 2);
}

Test(store_mem_only, an_injected_unknown_outcome_happens_and_says_it_does_not_know)
{
	AUTO(store) *store = mem_new(clock_system());
	int64_t revision = -1;
	store_mem_fail(store, 1, E_UNKNOWN_OUTCOME);
	cr_assert_eq(put_if_mod(store, "a", "1", 0, &revision), E_UNKNOWN_OUTCOME);
	cr_assert_eq(revision, -1);
	cr_assert_str_eq(get_key(store, "a").value, "1");
	cr_assert_eq(put_if_mod(store, "a", "1", 0, NULL), E_PRECONDITION);
}

Test(store_mem_only, a_deposed_leader_is_told_and_may_lead_again)
{
	struct campaign a;
	AUTO(store) *store = mem_new(clock_system());
	campaign_start(&a, store, "lead", "a", 2);
	int64_t first = campaign_await(&a, true, 0, 5000);
	cr_assert_gt(first, 0);
	store_mem_depose(store, "lead");
	cr_assert_gt(campaign_await(&a, true, first, 5000), first);
	cr_assert_eq(a.told[1], 0);
	campaign_stop(&a);
}

Test(store_mem_only, a_relist_is_due_by_the_simulated_clock)
{
	struct err err = { 0 };
	struct follower follower;
	AUTO(clock) *clock = NULL;
	cr_assert_eq(clock_new_simulated(1000000, &clock, &err), 0);
	struct store *store = mem_new(clock);
	follower_start(&follower, store, "w/", 60000);
	follower_await_syncs(&follower, 1);
	wait_ms(50);
	cr_assert_eq(follower.syncs, 1);
	clock_advance(clock, 60000);
	follower_await_syncs(&follower, 2);
	follower_stop(&follower);
	store_free(store);
}

static int build_and_commit(struct store *store, struct err *err)
{
	AUTO(store_txn) *txn = NULL;
	AUTO(store_txn) *more = NULL;
	TRY(store_txn_new(&txn, err));
	TRY(store_txn_new(&more, err));
	TRY(store_txn_if_mod(txn, "a", 0, err));
	TRY(store_txn_put(txn, "a", "1", 1, err));
	TRY(store_txn_put(more, "b", "1", 1, err));
	TRY(store_txn_delete_prefix(more, "c/", err));
	TRY(store_txn_merge(txn, more, err));
	return store_commit(store, txn, NULL, err);
}

Test(store_mem_only, every_failed_allocation_leaves_the_store_as_it_was)
{
	long n = 0;
	for (bool fired = true; fired; n++) {
		struct err err = { 0 };
		AUTO(store) *store = mem_new(clock_system());
		put_key(store, "c/1", "1");
		alloc_fail_after(n);
		int rc = build_and_commit(store, &err);
		fired = alloc_fired();
		alloc_fail_after(-1);
		cr_assert_eq(rc, fired ? E_NOMEM : 0, "%s", err.text);
		cr_assert_eq(get_key(store, "a").mod_revision != 0, !fired);
		cr_assert_eq(get_key(store, "b").mod_revision != 0, !fired);
		cr_assert_eq(get_key(store, "c/1").mod_revision != 0, fired);
	}
	cr_assert_gt(n, 10);
}

Test(store_mem_only, a_watch_lists_although_memory_failed_once)
{
	for (long n = 0; n < 4; n++) {
		struct follower follower;
		AUTO(store) *store = mem_new(clock_system());
		put_key(store, "w/1", "1");
		follower_start(&follower, store, "w/", 40);
		follower_await_syncs(&follower, 1);
		alloc_fail_after(n);
		follower_await_syncs(&follower, 6);
		alloc_fail_after(-1);
		follower_await(&follower, "w/1", "1");
		follower_stop(&follower);
	}
}
