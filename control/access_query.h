/* access_query.h - grants for one query: which datasets a SELECT reads, and whether its caller may.
 * Decided anew for every query; control is told what the SQL names and its digest, not its text. */
#ifndef ACCESS_QUERY_H
#define ACCESS_QUERY_H

#include "api/poll.h"
#include "control/control.h"

enum { QUERY_GRANT_MS = 60000 };     /* the query starts within that */

/* The part of access_answer (access.h) for an ask that has a query. A dataset that does not exist,
 * is another tenant's or lies where the caller cannot look is the same E_NOT_FOUND. Blocks until
 * the audit event is durable. */
MUST_USE int access_query(struct control *control, struct arena *arena,
                          const struct access_ask *ask, const char *worker,
                          struct buf *ret_grant, struct err *err);

#endif
