/* apikey.c - API keys. The secret has 256 random bits, so a keyed hash without stretching is
 * enough; the key of the hash keeps a stolen store from being searched at all. */
#include "common/defs.h"
#include "tenant/apikey.h"

#include <stdio.h>
#include <string.h>

enum { SECRET_TEXT = 43, FORM_LEN = 3 + ID_LEN + 1 + SECRET_TEXT };
_Static_assert(FORM_LEN + 1 == APIKEY_TEXT_MAX, "the form and its NUL");

static void hash_text(const uint8_t credential_key[KEY_BYTES], const char *text,
                      uint8_t out[DIGEST_BYTES])
{
	digest_keyed(credential_key, text, strlen(text), out);
}

/* Base64url of 32 bytes on the stack: nothing of a secret goes through the heap. */
static void secret_print(const uint8_t secret[32], char out[SECRET_TEXT])
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint32_t bits = 0;
	int have = 0, at = 0;
	for (size_t i = 0; i < 32; i++) {
		bits = bits << 8 | secret[i];
		for (have += 8; have >= 6; have -= 6)
			out[at++] = letters[bits >> (have - 6) & 63];
	}
	out[at] = letters[bits << (6 - have) & 63];
}

void apikey_make(const uint8_t credential_key[KEY_BYTES], int64_t now_ms, struct apikey *ret_key,
                 char text[APIKEY_TEXT_MAX])
{
	uint8_t random[10], secret[32];
	random_bytes(random, sizeof random);
	random_bytes(secret, sizeof secret);
	id_make(now_ms, random, ret_key->id);
	snprintf(text, APIKEY_TEXT_MAX, "fh_%s_", ret_key->id);
	secret_print(secret, text + FORM_LEN - SECRET_TEXT);
	text[FORM_LEN] = 0;
	secret_wipe(secret, sizeof secret);
	hash_text(credential_key, text, ret_key->hash);
}

static bool secret_form(const char *text)
{
	return strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") ==
	       SECRET_TEXT && !text[SECRET_TEXT];
}

int apikey_id(const char *text, char id[ID_LEN + 1], struct err *err)
{
	char found[ID_LEN + 1] = "";
	if (text && strnlen(text, FORM_LEN + 1) == FORM_LEN && strncmp(text, "fh_", 3) == 0)
		memcpy(found, text + 3, ID_LEN);
	if (!id_valid(found) || text[3 + ID_LEN] != '_' || !secret_form(text + 3 + ID_LEN + 1))
		return err_set(err, E_UNAUTHENTICATED,
		               "the credential has not the form of an API key, "
		               "fh_ID_SECRET");
	memcpy(id, found, sizeof found);
	return 0;
}

bool apikey_matches(const uint8_t credential_key[KEY_BYTES], const char *text,
                    const uint8_t hash[DIGEST_BYTES])
{
	uint8_t mine[DIGEST_BYTES];
	hash_text(credential_key, text, mine);
	return bytes_equal(mine, hash, DIGEST_BYTES);
}
