/* cert_signature.h - checking signatures made with other people's keys, by OpenSSL: RS256, ES256
 * and EdDSA of RFC 7518 and RFC 8037, with keys as a JWK gives them. */
#ifndef CERT_SIGNATURE_H
#define CERT_SIGNATURE_H

#include "common/err.h"

enum signature_kind { SIGNATURE_RS256, SIGNATURE_ES256, SIGNATURE_EDDSA, SIGNATURE_KINDS_ };
const char *signature_name(enum signature_kind kind);            /* "RS256" */
bool signature_by_name(const char *name, enum signature_kind *ret_kind);

struct signature_key;
void signature_key_free(struct signature_key *key);
DEFINE_AUTO(signature_key)

struct bytes { const uint8_t *data; size_t len; };
/* Big-endian. E_INVALID: a modulus outside of 2048 to 8192 bits, an exponent that is even, below 3
 * or over 64 bits. */
MUST_USE int signature_key_rsa(struct bytes modulus, struct bytes exponent,
                               struct signature_key **ret_key, struct err *err);
/* 32 bytes each. E_INVALID: no point of the curve P-256. */
MUST_USE int signature_key_p256(struct bytes x, struct bytes y, struct signature_key **ret_key,
                                struct err *err);
MUST_USE int signature_key_ed25519(struct bytes x, struct signature_key **ret_key,
                                   struct err *err);
enum signature_kind signature_key_kind(const struct signature_key *key);

/* Whether signature is the key's over data, in the encoding that JWS has for it. Any thread. */
MUST_USE bool signature_verify(const struct signature_key *key, struct bytes data,
                               struct bytes signature);

#endif
