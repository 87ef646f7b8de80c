/* identity.h - who asks: from a credential to an asker. A credential is verified once and leaves a
 * proof, a small map that holds no secret: {kind: "key", id}, or what a token says. Whether a proof
 * still stands, and which roles its owner has, is looked up afresh each time. */
#ifndef IDENTITY_H
#define IDENTITY_H

#include "control/control.h"
#include "policy/policy.h"

/* A principal's name in events and grants: a Principal's own, or IDENTITYPROVIDER:SUBJECT. */
enum { PRINCIPAL_TEXT_MAX = 240, ACTOR_TEXT_MAX = 64 + PRINCIPAL_TEXT_MAX };

struct identity_ask {
	const char *credential;      /* as it was sent; NULL: none was */
	const char *audience;        /* of the door: "control" or "serving" */
	const char *tenant;          /* of the path, where a login is one of several tenants';
	                              * NULL: none is named */
	int64_t now_ms;
};
/* E_UNAUTHENTICATED with one and the same sentence for an unknown, expired or revoked credential
 * and a principal that is gone. The asker's text lies in arena. */
MUST_USE int identity_check(struct control *control, struct arena *arena,
                            const struct identity_ask *ask, struct asker *ret_asker,
                            struct err *err);
/* The same for what was verified before and goes on: whether the proof would still do. */
MUST_USE int identity_again(struct control *control, struct arena *arena,
                            const struct value *proof, int64_t now_ms, struct asker *ret_asker,
                            struct err *err);
/* Who has that name now: a Principal, or (with groups as its provider named them) a login. Fills in
 * all but auth and the credential. E_UNAUTHENTICATED, E_NOT_FOUND: gone or disabled. */
struct identity_name {
	const char *tenant, *principal;
	const struct value *groups;  /* of a login; NULL: none */
};
MUST_USE int identity_named(struct control *control, struct arena *arena,
                            const struct identity_name *name, struct asker *asker,
                            struct err *err);
/* "r/apikey/ID". */
const char *identity_key(char out[STORE_KEY_MAX], const char *id);

#endif
