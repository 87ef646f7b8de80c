/* test_batch.c - how long a commit waits for a store that does not answer: once for what the store
 * takes, and never that again. */
#include "common/defs.h"
#include "control/batch.h"

#include "common/crypto.h"
#include "common/store_impl.h"
#include "common/store_mem.h"
#include "control/change_impl.h"
#include "control/journal_impl.h"

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

/* A store that takes its time over the next writes, on a simulated clock, and fails them. */
struct slow {
	struct store store;
	struct store *inner;
	struct clock *clock;
	int64_t takes_ms;
	int code;                    /* 0: writes succeed */
	atomic_int commits;
	struct journal *until_one_waits;         /* NULL: does not wait for that */
};

static void await_one(struct journal *journal)
{
	for (bool there = false; !there; usleep(1000)) {
		pthread_mutex_lock(&journal->mutex);
		there = journal->waiting == 1;
		pthread_mutex_unlock(&journal->mutex);
	}
}

static int slow_commit(struct store *store, const struct store_txn *txn, int64_t *ret_revision,
                       struct err *err)
{
	struct slow *slow = (struct slow *)store;
	atomic_fetch_add(&slow->commits, 1);
	if (slow->until_one_waits)
		await_one(slow->until_one_waits);
	clock_advance(slow->clock, slow->takes_ms);
	if (slow->code)
		return err_set(err, slow->code, "the store is slow today");
	return slow->inner->ops->commit(slow->inner, txn, ret_revision, err);
}

static int slow_list(struct store *store, const char *prefix, const char *after,
                     store_visit_fn *visit, void *context, int64_t *ret_revision, struct err *err)
{
	struct slow *slow = (struct slow *)store;
	return slow->inner->ops->list(slow->inner, prefix, after, visit, context, ret_revision,
	                              err);
}

static int slow_get(struct store *store, const char *key, store_visit_fn *visit, void *context,
                    struct err *err)
{
	struct slow *slow = (struct slow *)store;
	return slow->inner->ops->get(slow->inner, key, visit, context, err);
}

static const struct store_ops slow_ops = {
	.get = slow_get, .list = slow_list, .commit = slow_commit,
};

static void slow_open(struct slow *slow, int64_t *ret_epoch)
{
	struct store_txn *txn = NULL;
	struct err err;
	*slow = (struct slow){ .store = { &slow_ops } };
	cr_assert_eq(crypto_start(&err), 0);
	cr_assert_eq(clock_new_simulated(INT64_C(1000000000000), &slow->clock, &err), 0);
	cr_assert_eq(store_mem_new(slow->clock, &slow->inner, &err), 0);
	cr_assert_eq(store_txn_new(&txn, &err), 0);
	cr_assert_eq(store_txn_put(txn, "leader/0", "me", 2, &err), 0);
	cr_assert_eq(store_commit(slow->inner, txn, ret_epoch, &err), 0);
	store_txn_free(txn);
}

static void slow_close(struct slow *slow)
{
	store_free(slow->inner);
	clock_free(slow->clock);
}

static struct change *numbered(int64_t n)
{
	struct err err;
	struct change *change = NULL;
	cr_assert_eq(change_new(&change, &err), 0);
	struct value *record = value_map(change_arena(change));
	value_set_int(record, "n", n);
	cr_assert_eq(change_record(change, record, &err), 0);
	return change;
}

/* --- one batch --- */

static const uint8_t key[KEY_BYTES] = { 1 };

static int commit_batch(struct slow *slow, int64_t epoch)
{
	struct change *change = numbered(1);
	const struct batch_place place = {
		&slow->store, key, "leader/0", epoch, "journal/0/1", { 0 }, slow->clock,
	};
	int64_t revision = 0;
	size_t bytes = 0;
	struct err err;
	cr_assert_eq(change_seal(change, key, &err), 0);
	int rc = batch_commit(&place, &change, 1, &revision, &bytes, &err);
	change_free(change);
	return rc;
}

Test(batch, a_lost_answer_is_looked_for_once_when_the_store_was_quick)
{
	struct slow slow;
	int64_t epoch = 0;
	slow_open(&slow, &epoch);
	slow.code = E_UNKNOWN_OUTCOME;
	slow.takes_ms = 100;
	cr_expect_eq(commit_batch(&slow, epoch), E_UNKNOWN_OUTCOME);
	cr_expect_eq(slow.commits, 2);
	slow_close(&slow);
}

Test(batch, a_store_that_looked_for_its_answer_itself_is_not_asked_again)
{
	struct slow slow;
	int64_t epoch = 0;
	slow_open(&slow, &epoch);
	slow.code = E_UNKNOWN_OUTCOME;
	slow.takes_ms = 5000;
	cr_expect_eq(commit_batch(&slow, epoch), E_UNKNOWN_OUTCOME);
	cr_expect_eq(slow.commits, 1);
	slow_close(&slow);
}

/* --- who waits behind it --- */

struct committer {
	struct journal *journal;
	int rc;
};

static void *commit_one(void *context)
{
	struct committer *committer = context;
	struct change *change = numbered(2);
	struct err err;
	committer->rc = journal_commit(committer->journal, change, &err);
	change_free(change);
	return NULL;
}

static void nothing(void *context, const struct value *record)
{
	(void)context, (void)record;
}

/* Two commits, the second waiting behind the first; how they end. */
static void commit_two(struct slow *slow, int64_t epoch, int ret_rc[2])
{
	struct err err;
	const struct journal_conf conf = {
		.store = &slow->store, .clock = slow->clock, .state_key = key,
		.leader_key = "leader/0", .prefix = "journal/0/", .ops = { .record = nothing },
	};
	struct committer one = { .rc = 1 }, two = { .rc = 1 };
	pthread_t first, second;
	cr_assert_eq(journal_new(&conf, &one.journal, &err), 0, "%s", err.text);
	cr_assert_eq(journal_lead(one.journal, epoch, &err), 0, "%s", err.text);
	two.journal = one.journal;
	slow->until_one_waits = one.journal;
	cr_assert_eq(pthread_create(&first, NULL, commit_one, &one), 0);
	while (atomic_load(&slow->commits) == 0)         /* else both go in one batch */
		usleep(1000);
	cr_assert_eq(pthread_create(&second, NULL, commit_one, &two), 0);
	pthread_join(first, NULL);
	pthread_join(second, NULL);
	ret_rc[0] = one.rc;
	ret_rc[1] = two.rc;
	journal_free(one.journal);
}

Test(batch, who_waits_behind_a_store_that_was_slow_to_fail_is_not_kept_as_long_again)
{
	struct slow slow;
	int64_t epoch = 0;
	int rc[2];
	slow_open(&slow, &epoch);
	slow.code = E_UNAVAILABLE;
	slow.takes_ms = 5000;
	commit_two(&slow, epoch, rc);
	cr_expect_eq(rc[0], E_UNAVAILABLE);
	cr_expect_eq(rc[1], E_UNAVAILABLE);
	cr_expect_eq(slow.commits, 1, "one write was tried");
	slow_close(&slow);
}
