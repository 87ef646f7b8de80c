/* intake.h - what a client submits, a task or a run: its key, whether it may, then
 * control/submit.h. For the handlers of tasks and runs. */
#ifndef INTAKE_H
#define INTAKE_H

#include "control/admit.h"
#include "control/submit.h"

/* E_NOT_FOUND unless the path's domain is there, E_NOT_LEADER unless this replica leads. */
MUST_USE int intake_domain(struct control *control, const struct request *request,
                           struct err *err);
/* "TENANT/NAME" of who asks, in the request's arena; NULL: no memory. */
const char *intake_principal(const struct request *request);

/* The Idempotency-Key that a field holds, with its domain: keys of one do not meet another's. */
MUST_USE int intake_key(const struct request *request, const char *key, const char *field,
                        const char **ret_key, struct err *err);

/* Waits until the path's task is past that version. A held request takes a thread: only so many may
 * be held, and the others do not wait. */
void intake_hold(struct control *control, const struct request *request, int64_t after,
                 int64_t wait_ms);

/* Adds the body's task or run to the request's change, to be withdrawn if that is not committed. A
 * dry run reserves, and gives it back at once: what would be refused is refused. */
MUST_USE int intake_submit(struct control *control, struct request *request, bool run,
                           const struct submitted **ret_submitted, struct err *err);

/* Whether the asker submitted that task or run (its "principal"). */
bool intake_is_own(const struct request *request, const struct value *shown);

#endif
