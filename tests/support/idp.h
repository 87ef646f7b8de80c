/* idp.h - an identity provider in the test's process: an HTTP server with a discovery document and
 * a JWK set, keys made by OpenSSL, and JWTs signed with them. Every function fails the test when it
 * cannot do what it says. */
#ifndef TESTS_SUPPORT_IDP_H
#define TESTS_SUPPORT_IDP_H

#include "common/arena.h"
#include "common/cert_signature.h"

struct idp;

struct idp *idp_start(void);
void idp_stop(struct idp *idp);
const char *idp_url(const struct idp *idp);      /* its issuer: "http://127.0.0.1:PORT" */

void idp_add_key(struct idp *idp, const char *kid, enum signature_kind kind);
void idp_drop_key(struct idp *idp, const char *kid);     /* from the set; it still signs */
/* Whatever is asked is answered with that status; 0: as it should be. */
void idp_break(struct idp *idp, int status);
int idp_asked(const struct idp *idp);            /* requests so far */
/* A device's login is confirmed after that many looks, and gives that token. */
void idp_confirm(struct idp *idp, int after, const char *token);
/* The set as it would be served, in the arena. */
const char *idp_jwks(struct idp *idp, struct arena *arena);

/* A token with header {alg, kid, typ: "JWT"}; claims: JSON, single quotes for double ones. */
const char *idp_jwt(struct idp *idp, struct arena *arena, const char *kid, const char *claims);
/* The same with a header of the test's choice. */
const char *idp_sign(struct idp *idp, struct arena *arena, const char *kid, const char *header,
                     const char *claims);
/* HEADER.CLAIMS.SIGNATURE of any bytes. */
const char *idp_compose(struct arena *arena, const char *header, const char *claims,
                        struct bytes signature);

#endif
