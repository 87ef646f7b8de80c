/* test_gone.c - what a worker has erased is told until it is heard, and no longer. */
#include "common/defs.h"
#include "worker/gone.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const struct erasure acme = { "acme", "01hqzx3vxw5n2k8r9d4m6t7b0c" };
static const struct poll_answer asks = { .leader = true, .erase = &acme, .erase_count = 1 };
static const struct poll_answer quiet = { .leader = true };

struct store { int erased, dropped, fails; };

static void drop(void *context, const char *tenant)
{
	struct store *store = context;
	cr_assert_str_eq(tenant, "acme");
	store->dropped++;
}

static int erase(void *context, const char *tenant, int64_t *ret_rows, struct err *err)
{
	struct store *store = context;
	cr_assert_str_eq(tenant, "acme");
	if (store->fails > 0) {
		store->fails--;
		return err_set(err, E_BUSY, "a view is open");
	}
	*ret_rows = store->erased++ ? 0 : 5;
	return 0;
}

static size_t told(struct gone *gone, int shard)
{
	AUTO(arena) *arena = NULL;
	struct poll poll = { .shard = shard };
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	cr_assert_eq(gone_fill(gone, shard, arena, &poll, NULL), 0);
	cr_assert(poll.erased_count == 0 || poll.erased[0].rows == 5);
	return poll.erased_count;
}

Test(gone, is_erased_once_and_told_to_the_shard_that_asked_until_it_asks_no_more)
{
	struct store store = { 0 };
	struct gone gone;
	gone_init(&gone, drop, erase, &store);
	cr_assert(gone_take(&gone, 0, &asks));
	cr_assert_not(gone_take(&gone, 0, &asks));
	cr_assert_eq(store.erased, 1);
	cr_assert_eq(store.dropped, 1);
	gone_heard(&gone, 0, &quiet);        /* an answer that was on its way before */
	cr_assert_eq(told(&gone, 0), 1);
	cr_assert_eq(told(&gone, 1), 0);
	gone_heard(&gone, 0, &asks);
	gone_heard(&gone, 1, &quiet);
	cr_assert_eq(told(&gone, 0), 1);
	gone_heard(&gone, 0, &quiet);
	cr_assert_eq(told(&gone, 0), 0);
	gone_release(&gone);
}

Test(gone, what_cannot_be_erased_now_is_not_told_and_tried_again)
{
	struct store store = { .fails = 1 };
	struct gone gone;
	gone_init(&gone, drop, erase, &store);
	cr_assert_not(gone_take(&gone, 0, &asks));
	cr_assert_eq(told(&gone, 0), 0);
	cr_assert(gone_take(&gone, 0, &asks));
	cr_assert_eq(told(&gone, 0), 1);
	gone_release(&gone);
}

Test(gone, a_worker_without_online_data_says_so_and_holds_so_many_and_no_more)
{
	struct gone gone;
	char uid[ID_LEN + 1];
	gone_init(&gone, NULL, NULL, NULL);
	for (int i = 0; i <= POLL_ERASED_MAX; i++) {
		snprintf(uid, sizeof uid, "%026d", i);
		const struct erasure one = { "acme", uid };
		const struct poll_answer answer = { .erase = &one, .erase_count = 1 };
		cr_assert_eq(gone_take(&gone, 0, &answer), i < POLL_ERASED_MAX);
	}
	gone_release(&gone);
}
