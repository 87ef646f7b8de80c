/* The eras of an installation: no epoch of one comes again in a later one. */
#include "common/defs.h"
#include "control/era.h"

#include "common/clock.h"
#include "common/store_mem.h"
#include "tests/support/follow.h"

#include <criterion/criterion.h>
#include <string.h>

#define NOW_MS INT64_C(1800000000000)

static const uint8_t state_key[KEY_BYTES] = "a state key of thirty-two bytes";

static struct store *memory(void)
{
	struct err err = { 0 };
	struct store *store = NULL;
	cr_assert_eq(crypto_start(&err), 0);
	cr_assert_eq(store_mem_new(clock_system(), &store, &err), 0, "%s", err.text);
	return store;
}

Test(era, the_first_has_no_base)
{
	struct err err = { 0 };
	struct era era = { 1, 1 };
	struct store *store = memory();
	cr_assert_eq(era_load(store, state_key, &era, &err), 0, "%s", err.text);
	cr_expect_eq(era.base, 0);
	store_free(store);
}

Test(era, each_restore_is_beyond_all_that_the_era_before_could_write)
{
	struct err err = { 0 };
	struct era one, two;
	cr_assert_eq(era_begin(NOW_MS, NOW_MS - 1, 5, &one, &err), 0);
	/* A day of a thousand transactions a second after its backup, then restored again. */
	int64_t written = one.base + INT64_C(86400000);
	cr_assert_eq(era_begin(NOW_MS + 86400000, NOW_MS + 1, one.base + 7, &two, &err), 0);
	cr_expect_gt(two.base, written);
	cr_expect_lt(two.base, INT64_C(1) << 53, "and a number that any client reads exactly");
	cr_expect_eq(era_begin(NOW_MS, NOW_MS - 1, one.base + 1, &two, &err), E_PRECONDITION);
	cr_expect_eq(era_begin(NOW_MS, NOW_MS, 5, &two, &err), E_PRECONDITION);
}

Test(era, it_is_sealed_and_a_forged_one_is_refused)
{
	struct err err = { 0 };
	struct era era = { 5000, 7 }, loaded = { 0 };
	AUTO(store_txn) *txn = NULL;
	struct store *store = memory();
	cr_assert_eq(store_txn_new(&txn, &err), 0);
	cr_assert_eq(era_put(txn, state_key, &era, &err), 0, "%s", err.text);
	cr_assert_eq(store_commit(store, txn, NULL, &err), 0);
	cr_assert_eq(era_load(store, state_key, &loaded, &err), 0, "%s", err.text);
	cr_expect_eq(loaded.base, 5000);
	put_key(store, ERA_KEY, "0");
	cr_expect_lt(era_load(store, state_key, &loaded, &err), 0);
	store_free(store);
}
