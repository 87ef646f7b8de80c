/* A JWT as it comes in a header: taken apart, verified with a fixed key, its claims checked. */
#include "common/defs.h"
#include "tenant/jwt.h"

#include "common/arena.h"
#include "common/crypto.h"
#include "tenant/jwks.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char set[] = "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"k\","
	"\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO(arena) *arena = NULL;
	AUTO(jwks) *jwks = NULL;
	struct jwt jwt;
	int64_t expires_ms = 0;
	if (crypto_start(NULL) < 0 || arena_new(16 * MIB, &arena, NULL) < 0 ||
	    jwks_read(set, strlen(set), &jwks, NULL) < 0)
		return 0;
	char *text = arena_strndup(arena, (const char *)data, len);
	if (!text || jwt_read(arena, text, &jwt, NULL) < 0)
		return 0;
	struct value *audiences = value_list(arena);
	value_add_str(audiences, "freehold");
	const struct jwt_rules rules = { .issuer = "https://id.example.com",
		.audiences = audiences, .skew_ms = 30000, .now_ms = 1700000000000 };
	const struct signature_key *key = jwks_find(jwks, jwt.kid, jwt.kind);
	REQUIRE(!key || !jwt_verify(&jwt, key));     /* nobody has its secret half */
	(void)!jwt_check(&jwt, &rules, &expires_ms, NULL);
	return 0;
}
