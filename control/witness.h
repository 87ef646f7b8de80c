/* witness.h - what a client's request leaves in the audit log: one event of its decision, allowed
 * or not, durable before the answer, in the log of the tenant it is about. Of somebody from
 * elsewhere (an operator) a second one lies in its own tenant's log, which names no tenant but by
 * its uid. What nobody may know of is only in the asker's. */
#ifndef WITNESS_H
#define WITNESS_H

#include "control/admit.h"

/* Adds the event of what request->change does to it. */
MUST_USE int witness_write(struct control *control, struct request *request, struct err *err);
/* The event of what was read, or would change nothing, by itself: not durable, not answered. */
MUST_USE int witness_read(struct control *control, struct request *request, struct err *err);
/* After a failed step. It is not worth failing for: what is refused stays refused. */
void witness_refusal(struct control *control, struct request *request);
/* "putDataset": a route's operation, as the OpenAPI document names it; in arena. */
const char *witness_operation(struct arena *arena, const struct route *route);

#endif
