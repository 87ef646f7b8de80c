/* jwks.h - the public keys of an issuer, out of a JWK set (RFC 7517): those that this platform can
 * check signatures with. Others are passed over. Counted references: who finds a key keeps the set
 * while it uses it. */
#ifndef JWKS_H
#define JWKS_H

#include "common/cert_signature.h"

enum { JWKS_BYTES_MAX = 256 * 1024, JWKS_KEYS_MOST = 64, JWKS_KID_MAX = 256 };

struct jwks;
/* E_INVALID when it is no JWK set, E_TOO_LARGE past the bounds. */
MUST_USE int jwks_read(const char *text, size_t len, struct jwks **ret_jwks, struct err *err);
struct jwks *jwks_ref(struct jwks *jwks);
void jwks_free(struct jwks *jwks);       /* one reference; accepts NULL */
DEFINE_AUTO(jwks)
/* The key with that id for that algorithm; NULL: there is none. */
const struct signature_key *jwks_find(const struct jwks *jwks, const char *kid,
                                      enum signature_kind kind);
size_t jwks_count(const struct jwks *jwks);

#endif
