/* policy.h - may they? Default deny; undecided means denied. Today the built-in roles of roles.def;
 * Cedar policies will be decided behind this same call. Pure: any thread. */
#ifndef POLICY_H
#define POLICY_H

#include "common/err.h"

struct value;

enum action {
#define ACTION(id, name, meaning) ACTION_##id,
#include "policy/actions.def"
#undef ACTION
	ACTION_COUNT_
};

const char *action_name(enum action action); /* "dataset:read" */

/* A role that someone has, by itself or through a group or an ownership. */
struct binding {
	const char *role;            /* a row of roles.def; an unknown one permits nothing */
	const char *domain;          /* only there; NULL: in all of the tenant */
	const char *kind, *name;     /* only at that resource of it ("Dataset"); NULL: all */
};
enum auth { AUTH_NONE, AUTH_KEY, AUTH_TOKEN, AUTH_OIDC };    /* how they proved it */
enum { BINDINGS_MAX = 64, GROUPS_MAX = 32, SCOPES_MAX = 32 };
struct asker { /* who asks */
	const char *tenant;
	const char *principal;
	const char *domain;          /* where its names are looked up; NULL: it must name one */
	struct binding bindings[BINDINGS_MAX];
	size_t binding_count;
	const char *groups[GROUPS_MAX];
	size_t group_count;
	const struct value *attributes; /* principal.NAME (policy/attributes.h); NULL: none */
	enum auth auth;
	const char *address;         /* it asks from; NULL: not known, as of what runs later */
	const char *credential;      /* the id of the key or token; NULL: none */
	int64_t expires_ms;          /* of the credential, unix time; 0: it has no end */
	const struct value *proof;   /* what control/identity.h looks at again; NULL: nothing */
	/* A token may permit less than its owner may: actions ("dataset:read"), or all of a kind
	 * ("dataset:*"). scope_count 0 and scoped: nothing but SELF. */
	bool scoped;
	bool confined;               /* to a domain: nothing but its roles there permits anything */
	const char *scopes[SCOPES_MAX];
	size_t scope_count;
};
struct target {             /* of what */
	const char *tenant; /* NULL: of the platform */
	const char *domain; /* NULL: of no domain */
	bool whole;         /* of all the tenant: a role in one domain does not reach it */
	const char *kind, *name; /* a resource of the domain ("Dataset"); NULL: the domain itself */
};

struct decision {
	bool allowed;
	bool visible;     /* false: the answer must be as for a thing that does not exist */
	const char *rule; /* which role or rule decided; for the audit event */
	/* What was decided by (policy/policy_digest.h); NULL: policies were not asked. */
	const char *digest;
	const char *const *policies; /* the ids of those that determined it: as rule, one by one */
	size_t policy_count;
};
/* visible is false when the target belongs to a tenant that is not the asker's (and the asker is no
 * operator). */
struct decision policy_decide(const struct asker *asker, enum action action,
                              const struct target *target);
enum role_reach { REACH_PLATFORM, REACH_TENANT, REACH_DOMAIN };
size_t role_count(void);
const char *role_at(size_t i, enum role_reach *ret_reach);   /* by place, below role_count */
bool role_known(const char *name);
const char *role_name(const char *name);     /* the same text for ever; NULL: not known */
/* Of the whole platform or tenant: never of one domain. */
bool role_is_wide(const char *name);
bool role_has_action(const char *name, enum action action);     /* somewhere */
/* Whether the asker may give that role for the target (whole, domain or resource): an operator any,
 * everyone else what permits nothing that it may not itself do there. */
bool policy_may_grant(const struct asker *asker, const char *role, const struct target *target);
/* False when there is no room for more: then it is not given, which denies. */
bool asker_bind(struct asker *asker, const char *role, const char *domain);
bool asker_bind_at(struct asker *asker, const struct binding *binding);
/* Whether it has a role somewhere in the domain - there, or at a resource of that kind - that
 * permits the action. */
bool asker_has_part(const struct asker *asker, enum action action, const char *domain,
                    const char *kind);
/* "dataset:read" of an action that there is, or "dataset:*" of one that has such. */
bool scope_known(const char *scope);
/* Whether all that other permits scope permits too. */
bool scope_covers(const char *scope, const char *other);
/* Whether no role that a tenant's own people may have permits it. */
bool policy_is_operators(enum action action);

#endif
