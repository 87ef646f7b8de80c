/* grants.h - who may give whom which rights: nobody more than it has itself, and nobody outside of
 * what it administers. A domain's owners administer that domain's role bindings and service
 * accounts; a tenant-admin all of its tenant; an operator everything. */
#ifndef GRANTS_H
#define GRANTS_H

#include "control/admit.h"

/* For the step authorize: a principal or a role binding (and a principal's keys) belongs to the
 * domain that its spec names, stored and as it would be written, or to the whole tenant. */
struct decision grants_decide(struct control *control, struct request *request);
/* Of one item of a list of them: whether the asker may read it. */
bool grants_readable(struct control *control, const struct request *request,
                     const struct value *stored);

/* Of a Principal, Group, RoleBinding or Domain about to be written, for rules_put. before NULL:
 * there is none. */
MUST_USE int grants_put(struct control *control, struct request *request,
                        const struct manifest *manifest, const struct value *before,
                        struct err *err);
/* The same, about to be deleted. */
MUST_USE int grants_delete(struct control *control, struct request *request,
                           const struct manifest *manifest, struct err *err);
/* Of a Policy about to be written or deleted: it and what takes away an administrator wait for each
 * other (grants_guard). before, after: its texts; NULL: there is none. */
MUST_USE int grants_policy(struct control *control, struct request *request, const char *before,
                           const char *after, struct err *err);
/* Once the write is in request->change: of two that each take away the last administrator but the
 * other's, one is too late. The revision of r/admins/TENANT is what they meet at. */
MUST_USE int grants_guard(struct control *control, struct request *request, struct err *err);
/* Of a principal whose keys are about to be made or revoked: whoever has its key has its rights. */
MUST_USE int grants_keys(struct control *control, struct request *request, const char *principal,
                         struct err *err);

#endif
