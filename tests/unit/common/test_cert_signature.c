/* test_cert_signature.c - signatures by other people's keys: what holds, and what does not. */
#include "common/defs.h"
#include "common/cert_signature.h"

#include "common/crypto.h"
#include "tests/support/idp.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static uint8_t *bytes_of(size_t len, uint8_t first)
{
	uint8_t *bytes = malloc(len);
	cr_assert_not_null(bytes);
	memset(bytes, 0xa5, len);
	bytes[0] = first;
	bytes[len - 1] |= 1;
	return bytes;
}

static int rsa(size_t len, const char *exponent, size_t exponent_len)
{
	AUTO(signature_key) *key = NULL;
	uint8_t *modulus = bytes_of(len, 0xa5);
	int code = signature_key_rsa((struct bytes){ modulus, len },
	                             (struct bytes){ (const uint8_t *)exponent, exponent_len },
	                             &key, NULL);
	free(modulus);
	return code;
}

Test(cert_signature, rsa_keys_outside_of_the_bounds_are_refused)
{
	cr_expect_eq(rsa(256, "\1\0\1", 3), 0);
	cr_expect_eq(rsa(255, "\1\0\1", 3), E_INVALID, "2040 bits");
	cr_expect_eq(rsa(128, "\1\0\1", 3), E_INVALID, "1024 bits");
	cr_expect_eq(rsa(1025, "\1\0\1", 3), E_INVALID, "8200 bits");
	cr_expect_eq(rsa(256, "\1", 1), E_INVALID, "an exponent of one leaves everything as it is");
	cr_expect_eq(rsa(256, "\2", 1), E_INVALID, "an even exponent");
	cr_expect_eq(rsa(256, "", 0), E_INVALID);
	cr_expect_eq(rsa(256, "\1\1\1\1\1\1\1\1\1", 9), E_INVALID, "72 bits of exponent");
}

Test(cert_signature, points_that_are_not_of_the_curve_are_refused)
{
	AUTO(signature_key) *key = NULL;
	uint8_t x[33] = { 1 }, y[33] = { 2 };
	cr_expect_eq(signature_key_p256((struct bytes){ x, 32 }, (struct bytes){ y, 32 }, &key,
	                                NULL), E_INVALID);
	memset(x, 0, sizeof x);
	memset(y, 0, sizeof y);
	cr_expect_eq(signature_key_p256((struct bytes){ x, 32 }, (struct bytes){ y, 32 }, &key,
	                                NULL), E_INVALID, "the origin");
	cr_expect_eq(signature_key_p256((struct bytes){ x, 33 }, (struct bytes){ y, 32 }, &key,
	                                NULL), E_INVALID);
	cr_expect_eq(signature_key_p256((struct bytes){ x, 31 }, (struct bytes){ y, 31 }, &key,
	                                NULL), E_INVALID);
	cr_expect_eq(signature_key_ed25519((struct bytes){ x, 31 }, &key, NULL), E_INVALID);
	cr_expect_null(key);
}

Test(cert_signature, ed25519_agrees_with_the_other_library)
{
	uint8_t public_key[SIGN_PUBLIC_BYTES], secret_key[SIGN_SECRET_BYTES];
	uint8_t made[SIGNATURE_BYTES];
	AUTO(signature_key) *key = NULL;
	cr_assert_eq(crypto_start(NULL), 0);
	sign_keypair(public_key, secret_key);
	sign_make(secret_key, "text", 4, made);
	cr_assert_eq(signature_key_ed25519((struct bytes){ public_key, sizeof public_key }, &key,
	                                   NULL), 0);
	const struct bytes text = { (const uint8_t *)"text", 4 };
	cr_expect(signature_verify(key, text, (struct bytes){ made, sizeof made }));
	cr_expect_not(signature_verify(key, text, (struct bytes){ made, sizeof made - 1 }));
	for (size_t i = 0; i < sizeof made; i++) {
		made[i] ^= 1;
		cr_expect_not(signature_verify(key, text, (struct bytes){ made, sizeof made }));
		made[i] ^= 1;
	}
}

Test(cert_signature, names_are_those_of_the_registry_and_no_others)
{
	enum signature_kind kind = SIGNATURE_KINDS_;
	cr_expect(signature_by_name("ES256", &kind));
	cr_expect_eq(kind, SIGNATURE_ES256);
	static const char *const others[] = { "none", "None", "HS256", "RS384", "PS256", "ES384",
		"es256", "ES256 ", "", "ES256K", "Ed25519" };
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		cr_expect_not(signature_by_name(others[i], &kind), "%s", others[i]);
	cr_expect_not(signature_by_name(NULL, &kind));
}
