/* A JWK set as an issuer may send it: every key that is taken can be used. */
#include "common/defs.h"
#include "tenant/jwks.h"

#include "common/crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t zeros[64];
	AUTO(jwks) *jwks = NULL;
	if (crypto_start(NULL) < 0 || jwks_read((const char *)data, len, &jwks, NULL) < 0)
		return 0;
	for (int kind = 0; kind < SIGNATURE_KINDS_; kind++) {
		const struct signature_key *key = jwks_find(jwks, "k", (enum signature_kind)kind);
		if (key)
			(void)signature_verify(key, (struct bytes){ zeros, 1 },
			                       (struct bytes){ zeros, sizeof zeros });
	}
	REQUIRE(jwks_count(jwks) <= JWKS_KEYS_MOST);
	return 0;
}
