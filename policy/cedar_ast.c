/* cedar_ast.c - questions about parsed policies, and linking. */
#include "common/defs.h"
#include "policy/cedar_ast.h"

bool cedar_policy_is_template(const struct cedar_policy *policy)
{
	return policy->principal.slot || policy->resource.slot;
}

const struct cedar_str *cedar_policy_annotation(const struct cedar_policy *policy,
						const char *name)
{
	for (size_t i = 0; i < policy->annotation_count; i++)
		if (cedar_str_is(policy->annotations[i].name, name))
			return &policy->annotations[i].text;
	return NULL;
}

static int fill(struct arena *arena, struct cedar_scope *scope, const char *name,
		const struct cedar_uid *uid, struct err *err)
{
	if (scope->slot != (uid != NULL))
		return err_set(err, E_INVALID, scope->slot ?
		               "the template has a slot ?%s: a link must fill it" :
		               "the template has no slot ?%s: a link must leave it out", name);
	if (!uid)
		return 0;
	const struct cedar_uid **uids = arena_alloc(arena, sizeof *uids);
	if (!uids)
		return err_set(err, E_NOMEM, "no memory left to link a template");
	*uids = uid;
	scope->uids = uids;
	scope->count = 1;
	scope->slot = false;
	return 0;
}

int cedar_policy_link(struct arena *arena, const struct cedar_policy *template,
		      struct cedar_str id, const struct cedar_uid *principal,
		      const struct cedar_uid *resource, struct cedar_policy *ret_policy,
		      struct err *err)
{
	struct cedar_policy linked = *template;
	if (!cedar_policy_is_template(template))
		return err_set(err, E_INVALID, "the policy has no slots: only a template is "
			"linked");
	linked.id = id;
	TRY(fill(arena, &linked.principal, "principal", principal, err));
	TRY(fill(arena, &linked.resource, "resource", resource, err));
	*ret_policy = linked;
	return 0;
}

static bool same_pattern(const struct cedar_pattern *a, const struct cedar_pattern *b)
{
	bool same = a->count == b->count;
	for (size_t i = 0; same && i < a->count; i++)
		same = cedar_str_equal(a->parts[i], b->parts[i]);
	return same;
}

static bool same_names(const struct cedar_expr *a, const struct cedar_expr *b)
{
	bool same = true;
	for (size_t i = 0; same && i < a->count; i++)
		same = cedar_str_equal(a->names[i], b->names[i]);
	return same;
}

static bool same_head(const struct cedar_expr *a, const struct cedar_expr *b)
{
	switch ((enum cedar_op)a->op) {
	case CEDAR_OP_LITERAL: return cedar_value_equal(&a->value, &b->value);
	case CEDAR_OP_VAR: return a->var == b->var;
	case CEDAR_OP_GET_ATTR:
	case CEDAR_OP_HAS_ATTR:
	case CEDAR_OP_IS: return cedar_str_equal(a->name, b->name);
	case CEDAR_OP_LIKE: return same_pattern(a->pattern, b->pattern);
	case CEDAR_OP_RECORD: return same_names(a, b);
	case CEDAR_OP_CALL: return a->function == b->function;
	default: return true;
	}
}

bool cedar_expr_equal(const struct cedar_expr *a, const struct cedar_expr *b)
{
	if (a == b)
		return true;
	if (a->op != b->op || a->count != b->count || a->depth != b->depth || !same_head(a, b))
		return false;
	for (uint32_t i = 0; i < a->count; i++)
		if (!cedar_expr_equal(a->args[i], b->args[i]))
			return false;
	return true;
}
