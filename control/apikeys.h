/* apikeys.h - the stored API keys of principals: r/apikey/ID holds {tenant, principal, hash,
 * createdAt, expiresAt?}, times in unix ms. */
#ifndef APIKEYS_H
#define APIKEYS_H

#include "common/text.h"
#include "control/control.h"

enum { APIKEYS_PER_PRINCIPAL = 20 };

/* Calls visit for each key of a principal, oldest first; values are valid during the call. */
typedef int apikeys_visit_fn(void *context, const char *id, const struct value *key,
                             int64_t revision, struct err *err);
MUST_USE int apikeys_visit(struct control *control, const char *tenant, const char *principal,
                           apikeys_visit_fn *visit, void *context, struct err *err);
/* Adds the deletion of a key, at that revision (-1: any), and of what is kept beside it. */
MUST_USE int apikeys_delete(struct control *control, struct change *change, const char *id,
                            int64_t revision, struct err *err);
/* Adds the deletion of all of a principal's keys to change. */
MUST_USE int apikeys_delete_all(struct control *control, const char *tenant, const char *principal,
                                struct change *change, struct err *err);
/* Makes a key that ends after lifetime_ms (0: never), adds it to change; text is shown once. */
struct apikey_made {
	const char *tenant, *principal;
	int64_t now_ms, lifetime_ms;
	const char *text;            /* NULL: a new one; else this very key (bootstrap) */
};
enum { APIKEY_SHOWN_MAX = 128 };
MUST_USE int apikeys_add(struct control *control, const struct apikey_made *made,
                         struct change *change, char ret_id[ID_LEN + 1],
                         char ret_text[APIKEY_SHOWN_MAX], struct err *err);

#endif
