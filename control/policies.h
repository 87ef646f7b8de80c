/* policies.h - decisions where a tenant has policies of its own: kind Policy, Cedar text, of the
 * tenant and of the platform, which hold in every tenant. Their engine (policy/engine.h) is made of
 * the catalog when it is first asked after a change, and swapped whole; every replica makes its own
 * out of what it follows. Where there are no policies the roles' table says the same, and sooner.
 *
 * Any thread. Undecided means denied: so it is when memory is missing for an engine. */
#ifndef POLICIES_H
#define POLICIES_H

#include "control/control.h"
#include "policy/engine.h"

struct policies;
MUST_USE int policies_new(struct catalog *catalog, struct policies **ret_policies, struct err *err);
void policies_free(struct policies *policies);
DEFINE_AUTO(policies)
/* A key of the catalog has changed; other keys than policies' and domains' are ignored. */
void policies_changed(struct policies *policies, const char *key);

/* Whether there are any that hold in that tenant. */
bool policies_in_force(struct policies *policies, const char *tenant);

/* What decides there, held for the caller to free; NULL: the roles' table. False: it cannot be
 * said, which denies. */
bool policies_engine(struct policies *policies, const char *tenant, struct engine **ret_engine);

/* Calls visit for each tenant that a policy "TENANT/NAME" holds in, of those asked about so far: of
 * the platform's every one. */
typedef void policies_tenant_fn(void *context, const char *tenant);
void policies_tenants(struct policies *policies, const char *policy, policies_tenant_fn *visit,
		      void *context);

struct policies_ask {
	const struct asker *asker;
	enum action action;
	struct target target;
	const char *kind, *name;         /* "Dataset", its name; NULL: the domain or tenant */
	const struct value *resource;    /* as stored, for its tags and labels; NULL: none */
	const struct value *tags;        /* those in force (control/tagging.h); NULL: as stored */
	int64_t now_ms;
	const char *address, *purpose;   /* NULL: the asker's; none given */
};
/* As policy_decide, and by policies where there are any: they give to a tenant's own people (and
 * not to a token confined to a domain), and take from these and from operators. The rule lies in
 * arena, or for ever. policies NULL: by the table alone. */
struct decision policies_decide(struct policies *policies, struct arena *arena,
				const struct policies_ask *ask);

/* What would be: these in place of the tenant's policies of their names (text NULL: without it). */
struct policies_would {
	const struct engine_policy *changes;
	size_t count;
	const struct value *domains;     /* texts: further ones, for roles there; NULL: none */
};
/* Its engine, never NULL. E_INVALID names the policy, the line and the column. */
MUST_USE int policies_would_be(struct policies *policies, struct arena *arena, const char *tenant,
			       const struct policies_would *would, struct engine **ret_engine,
			       struct err *err);
/* As policies_decide by that engine of the target's tenant (NULL: by roles alone), with what the
 * engine said; empty where it was not asked. */
struct decision policies_decide_by(const struct engine *engine, struct arena *arena,
				   const struct policies_ask *ask,
				   struct engine_answer *ret_answer);

/* Whether a tenant's policies would still be an engine with that text under that name (NULL:
 * without it), and whether by it the asker may still change policies. E_INVALID names the policy,
 * the line and the column; E_CONFLICT: the asker would lock itself out. */
MUST_USE int policies_check(struct policies *policies, struct arena *arena, const char *tenant,
			    const char *name, const char *text, const struct asker *asker,
			    int64_t now_ms, struct err *err);

#endif
