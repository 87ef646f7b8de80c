/* jwt.h - JSON Web Tokens in compact form (RFC 7519, 7515): taken apart within hard bounds, checked
 * as RFC 8725 wants it. Fetches nothing and trusts no key that a token brings along. */
#ifndef JWT_H
#define JWT_H

#include "common/cert_signature.h"
#include "common/value.h"

enum { JWT_TEXT_MAX = 8192, JWT_HEADER_MAX = 1024, JWT_SKEW_MOST_MS = 60 * 1000 };

/* Nothing of it is trusted before jwt_verify and jwt_check. All in the arena. */
struct jwt {
	enum signature_kind kind;
	const char *kid, *issuer;
	const struct value *claims;
	struct bytes signed_text, signature;
};
bool jwt_is(const char *text);           /* has the form: three parts of base64url */
/* E_UNAUTHENTICATED: not the form, an algorithm other than RS256, ES256 and EdDSA, no kid, an
 * extension it insists on (crit), one member twice. */
MUST_USE int jwt_read(struct arena *arena, const char *text, struct jwt *ret_jwt,
                      struct err *err);
MUST_USE bool jwt_verify(const struct jwt *jwt, const struct signature_key *key);

struct jwt_rules {
	const char *issuer;
	const struct value *audiences;   /* a list of text: it must be for one of them */
	int64_t skew_ms, now_ms;
};
/* Whether it is for one of those. */
bool jwt_is_for(const struct jwt *jwt, const struct value *audiences);
/* iss, aud, azp, exp, nbf, iat. E_UNAUTHENTICATED. */
MUST_USE int jwt_check(const struct jwt *jwt, const struct jwt_rules *rules,
                       int64_t *ret_expires_ms, struct err *err);

#endif
