/* logins.h - people who come with a JWT of an identity provider: which tenant's IdentityProvider it
 * is for, whether it is whole, and who it makes them. Their name is PROVIDER:SUBJECT, which no
 * Principal can have. Any thread. */
#ifndef LOGINS_H
#define LOGINS_H

#include "control/admit.h"
#include "control/issuers.h"

enum { LOGIN_PROVIDERS_MOST = 1024, LOGIN_PROVIDERS_OF_TENANT = 8, LOGIN_SUBJECT_MAX = 160 };

struct logins;
MUST_USE int logins_new(struct catalog *catalog, const struct issuers_conf *conf,
                        struct logins **ret_logins, struct err *err);
void logins_free(struct logins *logins);
DEFINE_AUTO(logins)
struct issuers *logins_issuers(struct logins *logins);
/* A provider was written or deleted. */
void logins_changed(struct logins *logins);

struct login_ask {
	const char *text;            /* the JWT */
	const char *tenant;          /* of the path; NULL: none */
	int64_t now_ms;
	bool may_wait;               /* for the issuer's keys */
};
/* {kind: "oidc", tenant, idp, subject, groups, expiresMs}. Of several tenants that trust the issuer
 * for that audience it is the path's, else the platform, else the only one. E_UNAUTHENTICATED, or
 * E_UNAVAILABLE when the issuer's keys cannot be had. */
MUST_USE int logins_verify(struct logins *logins, struct arena *arena,
                           const struct login_ask *ask, struct value **ret_proof,
                           struct err *err);
/* What the provider makes of subject and groups now: fills an asker. E_NOT_FOUND: it is gone. */
MUST_USE int logins_asker(struct logins *logins, struct arena *arena, const struct value *proof,
                          struct asker *asker, struct err *err);
/* Of an IdentityProvider about to be written, for rules_put. */
MUST_USE int logins_rules(struct control *control, struct request *request,
                          const struct manifest *manifest, const struct value *before,
                          struct err *err);

#endif
