/* revoked.h - so that what was revoked is refused by every replica at once. Whatever takes a right
 * away also writes one key, the mark, in the same transaction. A replica that is not the one that
 * writes the asker's rights reads the mark before it answers from its own memory: memory that is
 * older than the mark does not decide. One read of the store serves all requests that came before
 * it. There is no window: a request that begins after a revocation was acknowledged sees it. */
#ifndef REVOKED_H
#define REVOKED_H

#include "control/journal.h"
#include "policy/policy.h"

struct revoked;
MUST_USE int revoked_new(struct store *store, struct revoked **ret_revoked, struct err *err);
void revoked_free(struct revoked *revoked);
DEFINE_AUTO(revoked)

/* Whether a write that this action permits may take a right away from somebody. */
bool revoked_by(enum action action);
/* Adds the mark to the change that does. */
MUST_USE int revoked_mark(struct change *change, int64_t now_ms, struct err *err);
/* Memory that has followed the store up to that revision knows of every revocation that was
 * acknowledged before this call. E_NOT_LEADER: it does not yet; E_UNAVAILABLE: the store does not
 * say. Blocks for one or two reads of the store. */
MUST_USE int revoked_check(struct revoked *revoked, int64_t followed, struct err *err);

#endif
