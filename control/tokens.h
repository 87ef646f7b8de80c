/* tokens.h - short-lived tokens (PASETO v4.public) that this installation signs: made from an API
 * key or a login, good for a door (audience), a tenant, a part of what its owner may (scope,
 * domain). What a token says narrows; what its owner may is looked up afresh at each use.
 *
 * Claims, as JSON: iss "freehold", aud (doors, a space between), sub TENANT/PRINCIPAL, tenant, jti,
 * iat nbf exp (RFC 3339); where they narrow, scope and domain; and what it rests on: `key` (an API
 * key's id), or `idp`, `subject` and `groups` of a login. The footer is {"kid": ...}.
 *
 * Keys are derived from the root key by version. r/tokenkey/current holds {version, at, old:
 * [{version, until}]}, times in unix ms; without it version 1 signs. Any thread. */
#ifndef TOKENS_H
#define TOKENS_H

#include "common/value.h"
#include "control/catalog.h"
#include "control/journal.h"
#include "policy/policy.h"
#include "tenant/keyring.h"

enum {
	TOKEN_LIFETIME_MS = 15 * 60 * 1000,
	TOKEN_LIFETIME_MOST_MS = 60 * 60 * 1000,
	TOKEN_SKEW_MS = 60 * 1000,   /* replicas' clocks differ */
	TOKEN_KEYS_MOST = 8
};

struct tokens;
MUST_USE int tokens_new(const struct keyring *keyring, struct catalog *catalog,
                        struct tokens **ret_tokens, struct err *err);
void tokens_free(struct tokens *tokens);
DEFINE_AUTO(tokens)
/* The catalog's record of keys has changed. */
void tokens_changed(struct tokens *tokens);

/* The claims of a token that is whole, ours, in time and for that door, in arena, with "kind":
 * "token" and "expiresMs" among them. E_UNAUTHENTICATED. */
MUST_USE int tokens_verify(struct tokens *tokens, struct arena *arena, const char *text,
                           const char *audience, int64_t now_ms, struct value **ret_proof,
                           struct err *err);

struct token_ask {
	const struct asker *asker;       /* whose; what it may not, its token may not */
	const struct value *audience;    /* list of doors; NULL: all that the asker is for */
	const struct value *scope;       /* list of actions; NULL: as the asker */
	const char *domain;              /* NULL: as the asker */
	int64_t lifetime_ms;             /* 0: TOKEN_LIFETIME_MS */
	int64_t now_ms;
};
struct token_made {
	const char *text, *audience;     /* in the arena, as the claims */
	const struct value *claims;
	int64_t expires_ms;
};
MUST_USE int tokens_make(struct tokens *tokens, struct arena *arena, const struct token_ask *ask,
                         struct token_made *ret_made, struct err *err);

/* The keys that are accepted now: list of {kid, publicKey, current, until?}. */
MUST_USE int tokens_keys(struct tokens *tokens, struct arena *arena, int64_t now_ms,
                         struct value **ret_list, struct err *err);
/* Adds to change that the next key signs from now on. What the old ones have signed is good until
 * it expires, or, with drop, no more. */
MUST_USE int tokens_rotate(struct tokens *tokens, struct arena *arena, bool drop, int64_t now_ms,
                           struct change *change, struct err *err);

#endif
