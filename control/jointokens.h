/* jointokens.h - one-time tokens that workers join with: fhj_<id>_<secret>, shown once.
 * r/jointoken/ID holds {hash, name?, pool?, addresses?, createdAt, createdBy, expiresAt, usedAt?,
 * usedBy?}, times in unix ms. */
#ifndef JOINTOKENS_H
#define JOINTOKENS_H

#include "common/text.h"
#include "control/control.h"

enum {
	JOINTOKEN_TEXT_MAX = 4 + ID_LEN + 1 + 43 + 1, JOINTOKENS_MAX = 1000,
	JOINTOKEN_TTL_MS = 15 * 60 * 1000, JOINTOKEN_TTL_MAX_MS = 24 * 3600 * 1000
};

struct jointoken_made {
	const char *name, *pool;     /* NULL: any */
	const char *addresses;       /* separated by commas; NULL: none */
	const char *by;
	int64_t now_ms, ttl_ms;
};
/* Adds it to change. */
MUST_USE int jointokens_add(struct control *control, const struct jointoken_made *made,
                            struct change *change, char ret_id[ID_LEN + 1],
                            char ret_text[JOINTOKEN_TEXT_MAX], struct err *err);

/* What is wanted with a token. */
struct jointoken_use { const char *text, *name, *pool; int64_t now_ms; };
/* Its record and revision. E_UNAUTHENTICATED with one and the same sentence for a token that is
 * unknown, used, expired, or for another name or pool. */
MUST_USE int jointokens_check(struct control *control, struct arena *arena,
                              const struct jointoken_use *use, char ret_key[STORE_KEY_MAX],
                              struct value **ret_token, int64_t *ret_revision, struct err *err);
/* Adds that it is used to change; of two that meet one fails. */
MUST_USE int jointokens_use(const char *key, const struct value *token, int64_t revision,
                            const struct jointoken_use *use, struct change *change,
                            struct err *err);
/* "r/jointoken/ID". */
const char *jointoken_key(char out[STORE_KEY_MAX], const char *id);

#endif
