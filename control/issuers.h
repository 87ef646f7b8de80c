/* issuers.h - the public keys of identity providers: fetched when first needed, again in the
 * background when they grow old or a token names one that is not known, at most once in a while;
 * kept for a day when the issuer cannot be reached. Nothing is fetched under a lock or by a
 * request's own thread, and only a few requests wait for a fetch at a time. Any thread. */
#ifndef ISSUERS_H
#define ISSUERS_H

#include "common/clock.h"
#include "tenant/jwks.h"

enum {
	ISSUERS_MOST = 1024,
	ISSUERS_FRESH_MS = 10 * 60 * 1000,       /* older keys are fetched again, when used */
	ISSUERS_KEPT_MS = 24 * 60 * 60 * 1000,   /* older keys do not do any more */
	ISSUERS_PAUSE_MS = 10 * 1000,            /* between two fetches from one issuer */
	ISSUERS_WAITERS_MOST = 4
};

struct issuers;
struct issuers_conf {
	struct clock *clock;
	bool loopback;               /* plain HTTP to loopback is allowed: development, tests */
	const char *networks;        /* private ranges they may be in, with commas; NULL: none */
};
MUST_USE int issuers_new(const struct issuers_conf *conf, struct issuers **ret_issuers,
                         struct err *err);
void issuers_free(struct issuers *issuers);
DEFINE_AUTO(issuers)

struct issuer {
	const char *id;              /* TENANT/NAME of the provider */
	const char *url;             /* its `iss` */
	const char *jwks_uri;        /* NULL: as its discovery document says */
	bool may_wait;               /* for its keys; else they are fetched for the next one */
};
/* Whether an address may be asked: https, or http on loopback where that is allowed. */
MUST_USE int issuers_check_url(const struct issuers *issuers, const char *field, const char *url,
                               struct err *err);
/* The set that holds the key, with a reference of the caller's. E_UNAUTHENTICATED: the issuer has
 * no such key, or was asked too lately to ask again; E_UNAVAILABLE: its keys cannot be had, or not
 * without waiting. */
MUST_USE int issuers_find(struct issuers *issuers, const struct issuer *issuer, const char *kid,
                          enum signature_kind kind, struct jwks **ret_jwks, struct err *err);
/* Changes with every change of a key set: what was verified with older ones is verified anew. */
uint64_t issuers_stamp(struct issuers *issuers);
uint64_t issuers_fetches(struct issuers *issuers);       /* so far, for tests and metrics */

#endif
