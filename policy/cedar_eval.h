/* cedar_eval.h - one expression or policy over one request (docs.cedarpolicy.com, "Operators").
 *
 * Pure. Results and temporaries live in env->arena; what is given is borrowed. Errors are E_INVALID
 * with Cedar's reason (a wrong type, a missing attribute, overflow ...), or E_NOMEM. */
#ifndef CEDAR_EVAL_H
#define CEDAR_EVAL_H

#include "policy/cedar_ast.h"
#include "policy/cedar_entities.h"

struct cedar_request {
	struct cedar_uid principal, action, resource;
	const struct cedar_record *context;
};

struct cedar_env {
	struct arena *arena;
	const struct cedar_request *request;
	const struct cedar_entities *entities;
	/* The request's own entities, or NULL when the store has none such. */
	const struct cedar_entity *principal, *action, *resource;
	struct err *err;
};

/* Looks the request's entities up; err takes the reasons of later failures. */
void cedar_env_init(struct cedar_env *env, struct arena *arena, const struct cedar_request *request,
		    const struct cedar_entities *entities, struct err *err);
MUST_USE int cedar_eval(struct cedar_env *env, const struct cedar_expr *expr,
			struct cedar_value *ret_value);
bool cedar_scope_matches(const struct cedar_scope *scope, const struct cedar_uid *uid,
			 const struct cedar_entity *entity);
/* Whether the request lies in a policy's scope; its condition is not looked at. */
bool cedar_policy_concerns(const struct cedar_env *env, const struct cedar_policy *policy);
/* Whether a policy (no template) applies. A failure means that it must be skipped and reported. */
MUST_USE int cedar_policy_applies(struct cedar_env *env, const struct cedar_policy *policy,
				  bool *ret_applies);

#endif
