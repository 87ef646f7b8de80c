/* The eras of an installation: no epoch of one comes again in a later one, and no grant of one
 * passes in another. */
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

Test(era, the_first_has_no_base_and_signs_with_the_root_keys_pair)
{
	struct err err = { 0 };
	struct era era = { 1, 1 };
	uint8_t public_key[SIGN_PUBLIC_BYTES], secret_key[SIGN_SECRET_BYTES];
	uint8_t same[SIGN_PUBLIC_BYTES];
	struct store *store = memory();
	cr_assert_eq(era_load(store, state_key, &era, &err), 0, "%s", err.text);
	cr_expect_eq(era.base, 0);
	sign_keypair(public_key, secret_key);
	memcpy(same, public_key, sizeof same);
	era_signing_pair(&era, same, secret_key);
	cr_expect_arr_eq(same, public_key, sizeof same);
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

Test(era, a_grant_of_one_era_is_no_grant_in_another)
{
	struct era first = { 0, 0 }, second = { 100, 1 }, third = { 200, 2 };
	uint8_t public_keys[3][SIGN_PUBLIC_BYTES], secret_keys[3][SIGN_SECRET_BYTES];
	uint8_t signature[SIGNATURE_BYTES], seed[KEY_BYTES] = "seed";
	struct era *const eras[] = { &first, &second, &third };
	struct store *store = memory();
	for (int i = 0; i < 3; i++) {
		sign_keypair_from(seed, public_keys[i], secret_keys[i]);
		era_signing_pair(eras[i], public_keys[i], secret_keys[i]);
	}
	for (int i = 0; i < 3; i++) {
		sign_make(secret_keys[i], "grant", 5, signature);
		for (int k = 0; k < 3; k++)
			cr_expect_eq(sign_verify(public_keys[k], "grant", 5, signature), i == k);
	}
	store_free(store);
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
