/* erasure.h - the deletion of a tenant with all that it has: a record of its progress, and who
 * drives it, one thread a part, while that part is led here. Each step is one or more changes that
 * also say how far it is, so that whoever leads next goes on where it was; every step may run
 * twice.
 *
 *   r/erasing/TENANT   {tenant, uid, createdAt?, requestedBy, requestedAt, reason, dueAt, step,
 *                      performed: [{step, at, ...}], and what steps need of each other}
 *   r/erasure/UID      {tenant, uid, requestedBy, reason, completedAt, certificate}: what stays
 *
 *   wait       until dueAt; the deletion can be cancelled
 *   stop       everything that has not ended is cancelled, and has ended
 *   keys       their fingerprints are taken, the tenant's key is destroyed: nothing opens any more
 *   resources  every key of the store that is the tenant's is deleted
 *   objects    a worker deletes its objects
 *   online     each worker that serves deletes its online data, or is named as one that did not
 *   forget     usage and the audit log's checkpoint are taken; tasks, events, all of memory go
 *   settle     checkpoints without it take the place of the journal, the store is compacted; the
 *              certificate is signed, and the tenant's name is free again
 */
#ifndef ERASURE_H
#define ERASURE_H

#include "control/control.h"

struct erasure_conf {
	int64_t workers_ms;          /* workers that are away are waited for that long; 0: 1 hour */
	int64_t look_ms;             /* 0: 1 s */
};
MUST_USE int erasures_new(struct part *part, const struct erasure_conf *conf,
                          struct erasures **ret_erasures, struct err *err);
void erasures_free(struct erasures *erasures);
DEFINE_AUTO(erasures)
void erasures_wake(struct erasures *erasures);         /* NULL: nothing */

const char *erasure_key(char out[STORE_KEY_MAX], const char *tenant);          /* r/erasing/... */
const char *erasure_done_key(char out[STORE_KEY_MAX], const char *uid);        /* r/erasure/... */

/* What begins one, in arena. */
struct erasure_asked {
	const char *tenant, *by, *reason;
	const struct value *resource;        /* of the tenant, stored */
	int64_t now_ms, due_ms;
};
struct value *erasure_record(struct arena *arena, const struct erasure_asked *asked);
/* What is shown of a record while it is under way. */
struct value *erasure_show(struct control *control, struct arena *arena,
                           const struct value *record);

#endif
