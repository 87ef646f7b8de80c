/* paseto.h - PASETO v4.public: Ed25519 over the pre-authentication encoding of the header, the
 * message, the footer and an implicit assertion (github.com/paseto-standard/paseto-spec). */
#ifndef PASETO_H
#define PASETO_H

#include "common/buf.h"
#include "common/crypto.h"

enum { PASETO_TEXT_MAX = 4096, PASETO_FOOTER_MAX = 256 };

/* A token taken apart; nothing of it is trusted until paseto_verify. */
struct paseto {
	const uint8_t *message, *footer, *signature;     /* in the arena */
	size_t message_len, footer_len;
};

bool paseto_is(const char *text);        /* "v4.public." */
/* E_UNAUTHENTICATED when it has not the form. */
struct arena;
MUST_USE int paseto_read(struct arena *arena, const char *text, struct paseto *ret_token,
                         struct err *err);
/* implicit: what both sides know and the token does not carry; "" for ours. */
MUST_USE bool paseto_verify(const struct paseto *token, const char *implicit,
                            const uint8_t public_key[SIGN_PUBLIC_BYTES]);
/* footer: "" for none. E_TOO_LARGE past PASETO_TEXT_MAX. */
MUST_USE int paseto_write(const uint8_t secret_key[SIGN_SECRET_BYTES], const void *message,
                          size_t len, const char *footer, const char *implicit, struct buf *out,
                          struct err *err);

#endif
