/* What is signed for one use and one worker is good for nothing else. */
#include "common/defs.h"
#include "api/signed.h"

#include "common/pack.h"
#include "tests/support/alloc.h"

#include <criterion/criterion.h>
#include <string.h>

#define LABEL "test-grant-v1"

static struct arena *arena;
static struct grant_signer *signer;
static uint8_t control_key[SIGN_PUBLIC_BYTES];
static struct secret *box_secret;
static struct grant_opener opener;
static struct value *body;

static void setup(void)
{
	uint8_t secret[SIGN_SECRET_BYTES];
	cr_assert_eq(crypto_start(NULL), 0);
	cr_assert_eq(arena_new(16 * MIB, &arena, NULL), 0);
	sign_keypair(control_key, secret);
	cr_assert_eq(grant_signer_new(secret, &signer, NULL), 0);
	cr_assert_eq(secret_new(BOX_SECRET_BYTES, &box_secret, NULL), 0);
	opener = (struct grant_opener) { .worker = "w-1", .box_secret = box_secret };
	box_keypair(opener.box_public, secret_data(box_secret));
	body = value_map(arena);
	value_set_str(body, "task", "t");
	value_set_int(body, "n", 7);
}

static void teardown(void)
{
	grant_signer_free(signer);
	secret_free(box_secret);
	arena_free(arena);
}
TestSuite(signed, .init = setup, .fini = teardown);

static void sign_body(struct buf *out)
{
	struct err err = { 0 };
	buf_init(out, MIB);
	cr_assert_eq(signed_write(signer, LABEL, body, out, &err), 0, "%s", err.text);
}

static int read_back(const char *label, const uint8_t *key, const struct buf *bytes,
                     struct value **ret_body)
{
	return signed_read(arena, key, label, bytes->data, bytes->len, ret_body, NULL);
}

Test(signed, reads_the_body_that_was_signed)
{
	AUTO_BUF bytes;
	struct value *back = NULL;
	sign_body(&bytes);
	cr_assert_eq(read_back(LABEL, control_key, &bytes, &back), 0);
	cr_expect(value_equal(back, body));
}

Test(signed, appends_behind_what_is_there)
{
	AUTO_BUF bytes;
	struct value *back = NULL;
	buf_init(&bytes, MIB);
	buf_puts(&bytes, "head");
	cr_assert_eq(signed_write(signer, LABEL, body, &bytes, NULL), 0);
	cr_expect_arr_eq(bytes.data, "head", 4);
	cr_expect_eq(signed_read(arena, control_key, LABEL, bytes.data + 4, bytes.len - 4, &back,
	                         NULL), 0);
}

Test(signed, refuses_a_signature_made_for_another_use)
{
	AUTO_BUF bytes;
	struct value *back = NULL;
	sign_body(&bytes);
	cr_expect_eq(read_back("test-grant-v2", control_key, &bytes, &back), E_DENIED);
	cr_expect_eq(read_back("test-grant-v", control_key, &bytes, &back), E_DENIED);
	cr_expect_eq(read_back("", control_key, &bytes, &back), E_DENIED);
	cr_expect_null(back);
}

Test(signed, refuses_another_signer_and_says_which_setting)
{
	AUTO_BUF bytes;
	uint8_t other[SIGN_PUBLIC_BYTES], secret[SIGN_SECRET_BYTES];
	struct value *back = NULL;
	struct err err = { 0 };
	sign_body(&bytes);
	sign_keypair(other, secret);
	cr_expect_eq(signed_read(arena, other, LABEL, bytes.data, bytes.len, &back, &err),
	             E_DENIED);
	cr_expect_not_null(strstr(err.text, "--signing-public-file"), "%s", err.text);
	cr_expect_null(back);
}

Test(signed, no_changed_bit_is_read)
{
	AUTO_BUF bytes;
	struct value *back = NULL;
	sign_body(&bytes);
	for (size_t i = 0; i < bytes.len; i++) {
		bytes.data[i] ^= 1;
		cr_expect_lt(read_back(LABEL, control_key, &bytes, &back), 0, "byte %zu", i);
		bytes.data[i] ^= 1;
	}
	cr_expect_null(back);
	cr_expect_eq(read_back(LABEL, control_key, &bytes, &back), 0);
}

Test(signed, no_cut_off_part_is_read)
{
	AUTO_BUF bytes;
	struct value *back = NULL;
	sign_body(&bytes);
	for (size_t len = 0; len < bytes.len; len++)
		cr_expect_lt(signed_read(arena, control_key, LABEL, bytes.data, len, &back, NULL),
		             0, "%zu bytes", len);
	cr_expect_null(back);
}

Test(signed, refuses_another_algorithm_and_unknown_members)
{
	AUTO_BUF bytes, changed;
	struct value *outer = NULL, *back = NULL;
	struct err err = { 0 };
	sign_body(&bytes);
	buf_init(&changed, MIB);
	cr_assert_eq(pack_read(arena, bytes.data, bytes.len, &outer, NULL), 0);
	value_set_str(outer, "alg", "none");
	cr_assert_eq(pack_write(outer, &changed, NULL), 0);
	cr_expect_eq(signed_read(arena, control_key, LABEL, changed.data, changed.len, &back,
	                         &err), E_INVALID);
	cr_expect_not_null(strstr(err.text, "Ed25519"), "%s", err.text);
	value_set_str(outer, "alg", "Ed25519");
	value_set_int(outer, "more", 1);
	buf_clear(&changed);
	cr_assert_eq(pack_write(outer, &changed, NULL), 0);
	cr_expect_eq(read_back(LABEL, control_key, &changed, &back), E_INVALID);
	cr_expect_null(back);
}

Test(signed, refuses_more_bytes_than_a_grant_may_have)
{
	uint8_t *long_one = arena_alloc(arena, GRANT_BYTES_MAX + 1);
	struct value *back = NULL;
	struct err err = { 0 };
	cr_assert_not_null(long_one);
	cr_expect_eq(signed_read(arena, control_key, LABEL, long_one, GRANT_BYTES_MAX + 1, &back,
	                         &err), E_TOO_LARGE);
	cr_expect_not_null(strstr(err.text, "2097153 bytes, at most 2097152"), "%s", err.text);
	cr_expect_eq(signed_peek(arena, long_one, GRANT_BYTES_MAX + 1, &back, NULL), E_TOO_LARGE);
}

Test(signed, peeks_whoever_signed_it)
{
	AUTO_BUF bytes;
	struct value *outer = NULL, *back = NULL;
	uint8_t none[SIGNATURE_BYTES] = { 0 };
	sign_body(&bytes);
	cr_assert_eq(pack_read(arena, bytes.data, bytes.len, &outer, NULL), 0);
	value_set_bin(outer, "sig", none, sizeof none);
	buf_clear(&bytes);
	cr_assert_eq(pack_write(outer, &bytes, NULL), 0);
	cr_expect_eq(read_back(LABEL, control_key, &bytes, &back), E_DENIED);
	cr_assert_eq(signed_peek(arena, bytes.data, bytes.len, &back, NULL), 0);
	cr_expect(value_equal(back, body));
}

/* ---- the keys' box ---- */

static const uint8_t *seal_keys(size_t count, size_t *ret_len)
{
	AUTO(secret) *keys = NULL;
	const uint8_t *box = NULL;
	cr_assert_eq(secret_new(count * KEY_BYTES, &keys, NULL), 0);
	for (size_t i = 0; i < count * KEY_BYTES; i++)
		secret_data(keys)[i] = (uint8_t)i;
	cr_assert_eq(keys_seal(arena, opener.box_public, keys, &box, ret_len, NULL), 0);
	return box;
}

Test(signed, keys_come_out_of_the_box_in_their_order)
{
	AUTO(secret) *keys = NULL;
	size_t len = 0;
	const uint8_t *box = seal_keys(3, &len);
	cr_assert_eq(len, 3 * KEY_BYTES + BOX_OVERHEAD);
	cr_assert_eq(keys_open(&opener, box, len, 3, &keys, NULL), 0);
	cr_assert_eq(secret_len(keys), 3 * KEY_BYTES);
	for (size_t i = 0; i < 3 * KEY_BYTES; i++)
		cr_assert_eq(secret_bytes(keys)[i], (uint8_t)i);
	for (size_t i = 0; i + 8 <= len; i++)
		cr_assert_neq(memcmp(box + i, secret_bytes(keys) + 32, 8), 0, "a key is readable");
}

Test(signed, refuses_a_box_with_another_count_of_keys)
{
	AUTO(secret) *keys = NULL;
	size_t len = 0;
	const uint8_t *box = seal_keys(2, &len);
	cr_expect_lt(keys_open(&opener, box, len, 1, &keys, NULL), 0);
	cr_expect_lt(keys_open(&opener, box, len, 3, &keys, NULL), 0);
	cr_expect_lt(keys_open(&opener, box, len - 1, 2, &keys, NULL), 0);
	cr_expect_lt(keys_open(&opener, box, 0, 2, &keys, NULL), 0);
	cr_expect_null(keys);
}

Test(signed, refuses_a_box_of_another_worker_or_that_was_changed)
{
	AUTO(secret) *keys = NULL;
	AUTO(secret) *other = NULL;
	size_t len = 0;
	struct err err = { 0 };
	uint8_t *box = arena_alloc(arena, 1024);
	memcpy(box, seal_keys(1, &len), len);
	box[len - 1] ^= 1;
	cr_expect_eq(keys_open(&opener, box, len, 1, &keys, NULL), E_DENIED);
	box[len - 1] ^= 1;
	struct grant_opener stranger = { .worker = "w-2" };
	cr_assert_eq(secret_new(BOX_SECRET_BYTES, &other, NULL), 0);
	stranger.box_secret = other;
	box_keypair(stranger.box_public, secret_data(other));
	cr_expect_eq(keys_open(&stranger, box, len, 1, &keys, &err), E_DENIED);
	cr_expect_not_null(strstr(err.text, "\"w-2\""), "%s", err.text);
	cr_expect_null(keys);
}

Test(signed, seals_to_no_key_that_is_none)
{
	AUTO(secret) *keys = NULL;
	uint8_t zero[BOX_PUBLIC_BYTES] = { 0 };
	const uint8_t *box = NULL;
	size_t len = 0;
	cr_assert_eq(secret_new(KEY_BYTES, &keys, NULL), 0);
	cr_expect_eq(keys_seal(arena, zero, keys, &box, &len, NULL), E_INVALID);
	cr_expect_null(box);
}

Test(signed, is_for_one_worker_and_ends)
{
	struct err err = { 0 };
	cr_expect_eq(signed_for(&opener, "w-1", 1001, 1000, NULL), 0);
	cr_expect_eq(signed_for(&opener, "w-2", 1001, 1000, &err), E_DENIED);
	cr_expect_not_null(strstr(err.text, "\"w-2\""), "%s", err.text);
	cr_expect_not_null(strstr(err.text, "\"w-1\""), "%s", err.text);
	cr_expect_eq(signed_for(&opener, "w-1", 1000, 1000, &err), E_EXPIRED);
	cr_expect_not_null(strstr(err.text, "1970-01-01T00:00:01.000Z"), "%s", err.text);
}

Test(signed, each_allocation_may_fail)
{
	for (long n = 0;; n++) {
		AUTO(arena) *small = NULL;
		AUTO(secret) *keys = NULL;
		AUTO_BUF bytes;
		struct value *back = NULL;
		size_t len = 0;
		const uint8_t *box = seal_keys(2, &len);
		buf_init(&bytes, MIB);
		cr_assert_eq(arena_new(MIB, &small, NULL), 0);
		alloc_fail_after(n);
		int rc = signed_write(signer, LABEL, body, &bytes, NULL);
		if (rc == 0)
			rc = signed_read(small, control_key, LABEL, bytes.data, bytes.len, &back,
			                 NULL);
		if (rc == 0)
			rc = keys_open(&opener, box, len, 2, &keys, NULL);
		bool fired = alloc_fired();
		alloc_fail_after(-1);
		cr_assert_eq(rc, fired ? E_NOMEM : 0, "allocation %ld: %d", n, rc);
		if (!fired)
			break;
	}
}
