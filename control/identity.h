/* identity.h - who asks: from a credential to an asker. */
#ifndef IDENTITY_H
#define IDENTITY_H

#include "control/control.h"
#include "policy/policy.h"

/* credential: the API key's text, NULL when none was sent. E_UNAUTHENTICATED with one and the same
 * sentence for an unknown, expired or revoked key and a principal that is gone. The asker's text
 * lies in arena. */
MUST_USE int identity_check(struct control *control, struct arena *arena, const char *credential,
                            int64_t now_ms, struct asker *ret_asker, struct err *err);
/* The same for what was checked before and goes on: whether the key of that id would still do. */
MUST_USE int identity_by_id(struct control *control, struct arena *arena, const char *id,
                            int64_t now_ms, struct asker *ret_asker, struct err *err);
/* "r/apikey/ID". */
const char *identity_key(char out[STORE_KEY_MAX], const char *id);

#endif
