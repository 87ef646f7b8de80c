/* access.h - online reads: who may read which views, decided once and signed for a minute. The
 * worker that holds the grant answers reads without asking again. */
#ifndef ACCESS_H
#define ACCESS_H

#include "api/poll.h"
#include "control/control.h"

enum { ACCESS_GRANT_MS = 60000, ACCESS_VIEWS_MAX = 64 };

/* Answers the link's "access" exchange: identifies the credential, checks each view (or dataset:
 * access_query.h) and the quota of online reads, audits, and appends the signed grant for that
 * worker. A view that does not
 * exist, is another tenant's or lies in a domain that the caller cannot see is the same
 * E_NOT_FOUND; another shard's tenant, E_NOT_LEADER. Blocks until the audit event is durable. */
MUST_USE int access_answer(struct control *control, struct arena *arena,
                           const struct access_ask *ask, const char *worker, struct buf *ret_grant,
                           struct err *err);
/* Whose credential it is, and the part of that tenant, which is led here. */
struct asker;
MUST_USE int access_identify(struct control *control, struct arena *arena,
                             const struct access_ask *ask, struct asker *ret_asker,
                             struct part **ret_part, struct err *err);
/* The shard of the credential's tenant; -1: it is not known here. */
int access_shard(struct control *control, struct arena *arena, const struct access_ask *ask);

#endif
