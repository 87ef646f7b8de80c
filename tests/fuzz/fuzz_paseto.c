/* A token as it comes in a header, and one whose payload and footer are any bytes. */
#include "common/defs.h"
#include "tenant/paseto.h"

#include "common/arena.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t public_key[SIGN_PUBLIC_BYTES], secret_key[SIGN_SECRET_BYTES];
	static const uint8_t seed[KEY_BYTES] = { 1 };
	AUTO(arena) *arena = NULL;
	AUTO_BUF out;
	struct paseto token;
	buf_init(&out, PASETO_TEXT_MAX);
	if (crypto_start(NULL) < 0 || arena_new(MIB, &arena, NULL) < 0)
		return 0;
	sign_keypair_from(seed, public_key, secret_key);
	char *text = arena_strndup(arena, (const char *)data, len);
	if (text && paseto_read(arena, text, &token, NULL) == 0)
		REQUIRE(!paseto_verify(&token, "", public_key));
	if (paseto_write(secret_key, data, len, len % 2 ? "{}" : "", "", &out, NULL) < 0)
		return 0;
	REQUIRE(paseto_read(arena, (char *)out.data, &token, NULL) == 0);
	REQUIRE(paseto_verify(&token, "", public_key));
	REQUIRE(token.message_len == len && (!len || memcmp(token.message, data, len) == 0));
	return 0;
}
