/* apikey.h - API keys: fh_<id>_<secret>. Shown once, stored as a keyed hash, compared in constant
 * time. id is a ULID in lower case (26), secret 43 characters of base64url (32 random bytes). */
#ifndef APIKEY_H
#define APIKEY_H

#include "common/crypto.h"
#include "common/text.h"

enum { APIKEY_TEXT_MAX = 3 + ID_LEN + 1 + 43 + 1 };

struct apikey {
	char id[ID_LEN + 1];
	uint8_t hash[DIGEST_BYTES]; /* digest_keyed(credential key, whole text) */
};

/* Makes one; text receives what the owner is shown. */
void apikey_make(const uint8_t credential_key[KEY_BYTES], int64_t now_ms, struct apikey *ret_key,
                 char text[APIKEY_TEXT_MAX]);
/* The id inside a credential, without trusting it. E_UNAUTHENTICATED when it has not the form. */
MUST_USE int apikey_id(const char *text, char id[ID_LEN + 1], struct err *err);
MUST_USE bool apikey_matches(const uint8_t credential_key[KEY_BYTES], const char *text,
                             const uint8_t hash[DIGEST_BYTES]);

#endif
