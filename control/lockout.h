/* lockout.h - whether anybody of a tenant could still change its policies once a principal, group
 * or role binding is as a request would have it. Where there are policies of its own a role does
 * not tell: somebody is looked for who may, by roles and policies, from where the request comes
 * and however it proved itself. */
#ifndef LOCKOUT_H
#define LOCKOUT_H

#include "control/admit.h"
#include "control/bindings.h"

/* E_CONFLICT: somebody can now, and then nobody could. Without policies: nothing is looked at, and
 * *ret_looked is false. */
MUST_USE int lockout_check(struct control *control, const struct request *request,
                           const struct what_if *what_if, bool *ret_looked, struct err *err);

#endif
