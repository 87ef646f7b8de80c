/* test_change.c - changes, and the one transaction that several share. */
#include "common/defs.h"
#include "control/batch.h"
#include "control/change_impl.h"

#include "common/crypto.h"
#include "common/store_mem.h"

#include <criterion/criterion.h>

static struct change *change_with(const char *put, const char *expect)
{
	struct change *change = NULL;
	struct err err;
	cr_assert_eq(change_new(&change, &err), 0);
	if (put)
		cr_assert_eq(change_put(change, put, value_map(change_arena(change)), -1, &err), 0);
	if (expect)
		cr_assert_eq(change_expect(change, expect, 5, &err), 0);
	return change;
}

Test(change, overlaps_where_one_writes_what_the_other_names)
{
	struct change *writes_a = change_with("a", NULL), *reads_a = change_with("b", "a");
	struct change *reads_too = change_with("c", "a"), *writes_d = change_with("d", NULL);
	cr_assert(change_overlaps(writes_a, reads_a));
	cr_assert(change_overlaps(reads_a, writes_a));
	cr_assert_not(change_overlaps(reads_a, reads_too), "two compares agree");
	cr_assert_not(change_overlaps(writes_a, writes_d));
	cr_assert_eq(change_store_ops(reads_a), 2);
	change_free(writes_a);
	change_free(reads_a);
	change_free(reads_too);
	change_free(writes_d);
}

Test(change, writes_one_resource_once)
{
	struct change *change = change_with("a", NULL);
	struct err err;
	cr_assert_eq(change_delete(change, "a", -1, &err), E_CONFLICT);
	cr_assert_eq(change_put(change, "a", value_map(change_arena(change)), 0, &err),
	             E_CONFLICT);
	change_free(change);
}

Test(batch, written_twice_under_one_key_is_there_once)
{
	struct store *store = NULL;
	struct err err;
	uint8_t key[KEY_BYTES] = { 1 };
	int64_t epoch = 0, first = 0, second = 0;
	size_t bytes = 0;
	struct store_txn *txn = NULL;
	struct change *one = change_with("r/x/a", NULL), *two = change_with("r/x/b", NULL);
	cr_assert_eq(crypto_start(&err), 0);
	cr_assert_eq(store_mem_new(clock_system(), &store, &err), 0);
	cr_assert_eq(store_txn_new(&txn, &err), 0);
	cr_assert_eq(store_txn_put(txn, "leader/0", "me", 2, &err), 0);
	cr_assert_eq(store_commit(store, txn, &epoch, &err), 0);
	store_txn_free(txn);
	struct batch_place place = {
		store, key, "leader/0", epoch, "journal/0/1", { 0 }, clock_system(),
	};
	cr_assert_eq(change_seal(one, key, &err), 0);
	cr_assert_eq(change_seal(two, key, &err), 0);
	cr_assert_eq(batch_commit(&place, &one, 1, &first, &bytes, &err), 0);
	cr_assert_gt(bytes, 0);
	cr_assert_eq(batch_commit(&place, &two, 1, &second, &bytes, &err), E_UNKNOWN_OUTCOME,
	             "the place is taken by another batch");
	place.key = "journal/0/2";
	place.epoch = epoch + 1;
	cr_assert_eq(batch_commit(&place, &two, 1, &second, &bytes, &err), E_NOT_LEADER);
	change_free(one);
	change_free(two);
	store_free(store);
}
