/* engine.h - may they, by Cedar: the roles of roles.def as templates, what is bound as links of
 * them, and a tenant's own policies beside. An engine is all that holds in one tenant (or on the
 * platform), immutable; a change makes another, and whoever decides by the old one ends with it.
 *
 * Who asks is User::"TENANT/NAME", in Group::"TENANT/NAME" and in Role::"TENANT/ROLE",
 * Role::"TENANT/DOMAIN/ROLE" or Role::"TENANT/DOMAIN/KIND/NAME/ROLE"; attributes
 * tenant, name, strength ("key", "token", "oidc") and its own (policy/attributes.h).
 * What is asked about lies in one tree:
 *   Platform::"freehold"                    what belongs to no tenant
 *   Tenant::"T" > Commons::"T"              all of a tenant > what its members may know of it
 *   Tenant::"T" > Domain::"T/D" > Dataset::"T/D/NAME" > Column::"T/D/NAME/COLUMN", FeatureView ...
 * with attributes tenant, domain, name, tags (a set of texts) and labels. The context has now
 * (datetime), strength (as the principal's), and, where they are known, address (ip) and purpose.
 * Action::"dataset:read" is in Action::"read" (or "write"), and in Action::"role:ROLE" of each role
 * that permits it. A role in a domain reaches Domain, Commons and Platform; one at a resource that
 * alone; one in the tenant reaches Tenant and Platform; operators everything.
 * Default deny, forbid wins, a policy that fails is skipped and reported. */
#ifndef ENGINE_H
#define ENGINE_H

#include "common/value.h"
#include "policy/cedar_set.h"
#include "policy/policy.h"
#include "policy/policy_digest.h"

enum { ENGINE_POLICIES_MAX = 100000, ENGINE_TEXT_MAX = 256 * 1024, ENGINE_RULES_MAX = 8 };

struct engine;

struct engine_conf {
	const char *tenant;          /* "platform": of the platform itself */
	const char *const *domains;
	size_t domain_count;
	const struct engine_policy *policies;
	size_t policy_count;
	size_t bytes_max;            /* of memory; 0: 256 MiB */
};
/* E_INVALID names the policy, the line and the column. Nothing is kept of conf. */
MUST_USE int engine_new(const struct engine_conf *conf, struct engine **ret_engine,
                        struct err *err);
void engine_hold(struct engine *engine);
void engine_free(struct engine *engine);         /* gives one hold back; accepts NULL */
DEFINE_AUTO(engine)
size_t engine_bytes(const struct engine *engine);
size_t engine_count(const struct engine *engine);        /* policies, links included */
const char *engine_digest(const struct engine *engine);  /* as long as it (policy_digest.h) */

/* What is asked about, in the engine's tenant. kind "Dataset" ...; NULL: the domain (or Commons, or
 * with `whole` the tenant) itself. column: of a dataset; NULL: all of it. */
struct engine_resource {
	const char *domain, *kind, *name, *column;
	const char *type;            /* of the column; NULL: not known */
	bool whole, platform;
	const struct value *tags;    /* a list of texts; NULL: none */
	const struct value *labels;  /* a map of texts; NULL: none */
	const struct cedar_record *row;  /* the one that is asked about; NULL: of none */
};
struct engine_ask {
	const struct asker *asker;
	const char *action;          /* "dataset:read" */
	struct engine_resource resource;
	int64_t now_ms;
	const char *address, *purpose;   /* NULL: the asker's; none given */
};

struct engine_answer {
	bool allowed;
	size_t rule_count;           /* the policies that decided, ENGINE_RULES_MAX at most */
	const char *rules[ENGINE_RULES_MAX];     /* ids; "consumer" of that role */
	size_t skipped;              /* policies that failed */
	const char *failure;         /* the first one: "ID: reason"; NULL: none */
	bool of_rows;                /* no row was asked about, and all that failed speak of rows */
};
/* Texts lie in arena. Fails only without memory: denied. The asker's tenant is not looked at here:
 * who belongs to another tenant is refused before (policy.h). */
MUST_USE int engine_decide(const struct engine *engine, struct arena *arena,
                           const struct engine_ask *ask, struct engine_answer *ret_answer,
                           struct err *err);

#endif
