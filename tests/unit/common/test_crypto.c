/* test_crypto.c - what Wycheproof does not cover: secret memory, lockboxes, boxes, limits. */
#include "common/defs.h"
#include "common/crypto.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void start(void)
{
	cr_assert_eq(crypto_start(NULL), 0);
}

TestSuite(crypto, .init = start);

Test(crypto, start_turns_core_dumps_off)
{
	struct rlimit core;
	cr_assert_eq(getrlimit(RLIMIT_CORE, &core), 0);
	cr_expect_eq(core.rlim_cur, 0);
	cr_expect_eq(core.rlim_max, 0);
	cr_expect_eq(prctl(PR_GET_DUMPABLE), 0);
	cr_expect_eq(crypto_start(NULL), 0, "again");
}

Test(crypto, start_leaves_no_memory_for_a_core_that_is_forced_all_the_same)
{
	char text[16] = "";
	int fd = open("/proc/self/coredump_filter", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		cr_skip_test("this kernel has no filter of cores");
	cr_assert_gt(read(fd, text, sizeof text - 1), 0);
	close(fd);
	cr_expect_eq(strtol(text, NULL, 16), 0, "%s", text);
}

Test(crypto, a_secret_begins_zeroed_and_holds_a_copy)
{
	AUTO(secret) *empty = NULL, *copy = NULL, *noise = NULL;
	const uint8_t zero[40] = { 0 };
	cr_assert_eq(secret_new(40, &empty, NULL), 0);
	cr_expect_arr_eq(secret_bytes(empty), zero, 40);
	cr_assert_eq(secret_copy("abc", 3, &copy, NULL), 0);
	cr_expect_eq(secret_len(copy), 3);
	cr_expect_arr_eq(secret_data(copy), "abc", 3);
	cr_assert_eq(secret_random(40, &noise, NULL), 0);
	cr_expect_neq(memcmp(secret_bytes(noise), zero, 40), 0);
	secret_free(NULL);
}

/* Runs step in a process of its own; returns its wait status. */
static int apart(int (*step)(void))
{
	pid_t child = fork();
	if (child == 0)
		_exit(step());
	int status = 0;
	cr_assert_eq(waitpid(child, &status, 0), child);
	return status;
}

static int write_behind(void)
{
	struct secret *secret = NULL;
	signal(SIGSEGV, SIG_DFL);
	if (secret_new(32, &secret, NULL) == 0)
		memset((void *)(uintptr_t)secret_data(secret), 1, 32 + 64);
	return 0;
}

Test(crypto, writing_behind_a_secret_crashes)
{
	int status = apart(write_behind);
	cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "status %x",
		  (unsigned)status);
}

Test(crypto, an_impossible_secret_is_refused)
{
	struct secret *secret = NULL;
	struct err err;
	cr_expect_eq(secret_new(SIZE_MAX - 4, &secret, &err), E_TOO_LARGE);
	cr_expect_null(secret);
}

/* Run without the right to lock more than allowed; the answer is the exit code. */
static int locked_out(void)
{
	const struct rlimit none = { 0, 0 };
	struct secret *secret = NULL;
	struct err err = { 0 };
	if (setrlimit(RLIMIT_MEMLOCK, &none) < 0 || (geteuid() == 0 && setuid(65534) < 0))
		return 2;
	int rc = secret_new(32, &secret, &err);
	return rc == E_RESOURCES && strstr(err.text, "RLIMIT_MEMLOCK") && !secret ? 0 : 1;
}

Test(crypto, a_secret_that_cannot_be_locked_is_refused)
{
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
	cr_skip_test("sanitizers answer mlock themselves");
#endif
	int status = apart(locked_out);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", (unsigned)status);
}

Test(crypto, digests_are_those_of_the_standards)
{
	uint8_t out[64], key[KEY_BYTES] = { 1 }, other[DIGEST_BYTES];
	const uint8_t sha_abc[] = { 0xba, 0x78, 0x16, 0xbf };
	const uint8_t blake_abc[] = { 0xbd, 0xdd, 0x81, 0x3c };   /* BLAKE2b-256("abc") */
	const uint8_t hmac_rfc4231[] = { 0x5b, 0xdc, 0xc1, 0x46 };
	sha256("abc", 3, out);
	cr_expect_arr_eq(out, sha_abc, sizeof sha_abc);
	digest("abc", 3, out);
	cr_expect_arr_eq(out, blake_abc, sizeof blake_abc);
	hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, out);
	cr_expect_arr_eq(out, hmac_rfc4231, sizeof hmac_rfc4231);
	digest("abc", 3, out);
	digest_keyed(key, "abc", 3, other);
	cr_expect_neq(memcmp(out, other, DIGEST_BYTES), 0);
}

Test(crypto, hkdf_refuses_more_than_255_blocks, .signal = SIGABRT)
{
	static uint8_t out[255 * 64 + 1];
	hkdf_sha512("k", 1, NULL, 0, NULL, 0, out, sizeof out);
}

Test(crypto, derived_keys_differ_by_purpose)
{
	uint8_t key[KEY_BYTES] = { 7 }, a[KEY_BYTES], b[KEY_BYTES], again[KEY_BYTES];
	key_derive(key, "lease", a);
	key_derive(key, "audit", b);
	key_derive(key, "lease", again);
	cr_expect_neq(memcmp(a, b, KEY_BYTES), 0);
	cr_expect_arr_eq(a, again, KEY_BYTES);
}

Test(crypto, equality_counts_every_byte)
{
	cr_expect(bytes_equal("abc", "abc", 3));
	cr_expect_not(bytes_equal("abc", "abd", 3));
	cr_expect(bytes_equal("abc", "xyz", 0));
}

static void try_aead(enum aead_kind kind)
{
	const uint8_t key[KEY_BYTES] = { 9 }, nonce[AEAD_NONCE_MAX] = { 1 };
	uint8_t sealed[5 + AEAD_TAG_BYTES], out[5];
	AUTO(aead) *aead = NULL;
	cr_assert_eq(aead_new(kind, key, &aead, NULL), 0);
	cr_expect_arr_eq(aead_key(aead), key, KEY_BYTES);
	aead_seal(aead, nonce, "ad", 2, "plain", 5, sealed);
	cr_assert(aead_open(aead, nonce, "ad", 2, sealed, sizeof sealed, out));
	cr_expect_arr_eq(out, "plain", 5);
	cr_expect_not(aead_open(aead, nonce, "ae", 2, sealed, sizeof sealed, out));
	cr_expect_arr_eq(out, "\0\0\0\0\0", 5, "nothing unverified is left");
	cr_expect_not(aead_open(aead, nonce, "ad", 2, sealed, AEAD_TAG_BYTES - 1, out));
}

Test(crypto, both_aeads_open_what_they_sealed_and_nothing_else)
{
	cr_expect_eq(aead_nonce_len(AEAD_AES256GCM), 12);
	cr_expect_eq(aead_nonce_len(AEAD_XCHACHA20POLY1305), 24);
	cr_expect(aead_available(aead_best()));
	try_aead(AEAD_XCHACHA20POLY1305);
	if (aead_available(AEAD_AES256GCM))
		try_aead(AEAD_AES256GCM);
}

Test(crypto, a_lockbox_with_any_bit_flipped_does_not_open)
{
	const uint8_t key[KEY_BYTES] = { 3 };
	uint8_t box[6 + LOCKBOX_OVERHEAD], out[6];
	lockbox_seal(key, "place", 5, "secret", 6, box);
	cr_assert_eq(lockbox_open(key, "place", 5, box, sizeof box, out, NULL), 0);
	cr_expect_arr_eq(out, "secret", 6);
	for (size_t bit = 0; bit < 8 * sizeof box; bit++) {
		struct err err = { 0 };
		box[bit / 8] ^= (uint8_t)(1 << bit % 8);
		cr_expect_eq(lockbox_open(key, "place", 5, box, sizeof box, out, &err), E_CORRUPT);
		box[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

Test(crypto, a_lockbox_opens_in_its_place_and_with_its_key_only)
{
	const uint8_t key[KEY_BYTES] = { 3 }, other[KEY_BYTES] = { 4 };
	uint8_t box[6 + LOCKBOX_OVERHEAD], out[6];
	lockbox_seal(key, "place", 5, "secret", 6, box);
	cr_expect_eq(lockbox_open(key, "elsewhere", 9, box, sizeof box, out, NULL), E_CORRUPT);
	cr_expect_eq(lockbox_open(other, "place", 5, box, sizeof box, out, NULL), E_CORRUPT);
	for (size_t len = 0; len < sizeof box; len++)
		cr_expect_eq(lockbox_open(key, "place", 5, box, len, out, NULL), E_CORRUPT);
}

Test(crypto, a_lockbox_never_looks_the_same_twice)
{
	const uint8_t key[KEY_BYTES] = { 3 };
	uint8_t a[LOCKBOX_OVERHEAD], b[LOCKBOX_OVERHEAD];
	lockbox_seal(key, NULL, 0, NULL, 0, a);
	lockbox_seal(key, NULL, 0, NULL, 0, b);
	cr_expect_neq(memcmp(a, b, sizeof a), 0);
}

Test(crypto, a_signature_holds_for_its_message_only)
{
	uint8_t public_key[SIGN_PUBLIC_BYTES], secret_key[SIGN_SECRET_BYTES], sig[SIGNATURE_BYTES];
	sign_keypair(public_key, secret_key);
	sign_make(secret_key, "grant", 5, sig);
	cr_expect(sign_verify(public_key, "grant", 5, sig));
	cr_expect_not(sign_verify(public_key, "Grant", 5, sig));
	sig[10] ^= 1;
	cr_expect_not(sign_verify(public_key, "grant", 5, sig));
}

Test(crypto, a_box_opens_for_its_addressee_only)
{
	uint8_t pub[BOX_PUBLIC_BYTES], sec[BOX_SECRET_BYTES], pub2[BOX_PUBLIC_BYTES];
	uint8_t sec2[BOX_SECRET_BYTES], box[3 + BOX_OVERHEAD], out[3];
	box_keypair(pub, sec);
	box_keypair(pub2, sec2);
	box_seal(pub, "key", 3, box);
	cr_assert(box_open(pub, sec, box, sizeof box, out));
	cr_expect_arr_eq(out, "key", 3);
	cr_expect_not(box_open(pub2, sec2, box, sizeof box, out));
	cr_expect_not(box_open(pub, sec, box, BOX_OVERHEAD - 1, out));
	box[20] ^= 1;
	cr_expect_not(box_open(pub, sec, box, sizeof box, out));
}
