/* policy.h - may they? Default deny; undecided means denied. Today the built-in roles of roles.def;
 * Cedar policies will be decided behind this same call. Pure: any thread. */
#ifndef POLICY_H
#define POLICY_H

#include "common/err.h"

enum action {
#define ACTION(id, name, meaning) ACTION_##id,
#include "policy/actions.def"
#undef ACTION
	ACTION_COUNT_
};

const char *action_name(enum action action); /* "dataset:read" */

enum { ROLES_MAX = 8 };
struct asker { /* who asks */
	const char *tenant;
	const char *principal;
	const char *domain; /* NULL: of the whole tenant */
	const char *roles[ROLES_MAX];
	size_t role_count;
};
struct target {             /* of what */
	const char *tenant; /* NULL: of the platform */
	const char *domain; /* NULL: of no domain */
};

struct decision {
	bool allowed;
	bool visible;     /* false: the answer must be as for a thing that does not exist */
	const char *rule; /* which role or rule decided; for the audit event */
};
/* visible is false when the target belongs to a tenant that is not the asker's (and the asker is no
 * operator). */
struct decision policy_decide(const struct asker *asker, enum action action,
                              const struct target *target);
bool role_known(const char *name);
/* Whether no role that a tenant's own people may have permits it. */
bool policy_is_operators(enum action action);

#endif
