/* cedar_validate.c - for each policy: the names it uses exist, its scope can be met by some
 * action, and its condition has type Bool in every request environment that its scope lets
 * through. */
#include "common/defs.h"
#include "policy/cedar_validate.h"

#include "policy/cedar_near.h"

static int refuse(struct err *err, struct cedar_place place, const char *text)
{
	return err_set(err, E_INVALID, "line %u, column %u: %s", place.line, place.column, text);
}

static int check_type_name(const struct cedar_checker *checker, struct cedar_place place,
			   struct cedar_str type)
{
	if (cedar_schema_entity(checker->schema, type) ||
	    cedar_schema_is_action(checker->schema, type))
		return 0;
	const struct cedar_schema *schema = checker->schema;
	return err_set(checker->err, E_INVALID, "line %u, column %u: the schema knows no entity "
		"type `%s`%s", place.line, place.column, cedar_str_show(checker->arena, type),
		cedar_near(checker->arena, type, schema->entities, sizeof *schema->entities,
		           schema->entity_count));
}

static int no_action(const struct cedar_checker *checker, struct cedar_place place,
		     const struct cedar_uid *uid)
{
	const struct cedar_schema *schema = checker->schema;
	const char *near = !schema->action_count ? "" :
		cedar_near(checker->arena, uid->id, &schema->actions->uid.id,
		           sizeof *schema->actions, schema->action_count);
	return err_set(checker->err, E_INVALID, "line %u, column %u: the schema knows no action "
	               "`%s`%s", place.line, place.column, cedar_str_show(checker->arena, uid->id),
	               near);
}

static int check_uid(const struct cedar_checker *checker, struct cedar_place place,
		     const struct cedar_uid *uid)
{
	const struct cedar_entity_type *type = cedar_schema_entity(checker->schema, uid->type);
	TRY(check_type_name(checker, place, uid->type));
	if (!type && !cedar_schema_action(checker->schema, uid))
		return no_action(checker, place, uid);
	if (type && type->is_enum && !cedar_names_have(&type->choices, uid->id))
		return refuse(checker->err, place, "the schema does not list this entity of its "
			"enum");
	return 0;
}

static int check_names(const struct cedar_checker *checker, const struct cedar_expr *expr)
{
	if (expr->op == CEDAR_OP_IS)
		TRY(check_type_name(checker, expr->place, expr->name));
	if (expr->op == CEDAR_OP_LITERAL && expr->value.kind == CEDAR_ENTITY)
		TRY(check_uid(checker, expr->place, expr->value.uid));
	for (uint32_t i = 0; i < expr->count; i++)
		TRY(check_names(checker, expr->args[i]));
	return 0;
}

static int check_scope_names(const struct cedar_checker *checker,
			     const struct cedar_scope *scope)
{
	if (scope->kind == CEDAR_SCOPE_IS || scope->kind == CEDAR_SCOPE_IS_IN)
		TRY(check_type_name(checker, scope->place, scope->type));
	for (size_t i = 0; i < scope->count; i++)
		TRY(check_uid(checker, scope->place, scope->uids[i]));
	return 0;
}

static int check_policy_names(const struct cedar_checker *checker,
			      const struct cedar_policy *policy)
{
	TRY(check_scope_names(checker, &policy->principal));
	TRY(check_scope_names(checker, &policy->action));
	TRY(check_scope_names(checker, &policy->resource));
	return policy->condition ? check_names(checker, policy->condition) : 0;
}

/* Whether an entity of the type can meet the scope. */
static bool admits_type(const struct cedar_schema *schema, const struct cedar_scope *scope,
			struct cedar_str type)
{
	bool typed = scope->kind == CEDAR_SCOPE_IS || scope->kind == CEDAR_SCOPE_IS_IN;
	if (typed && !cedar_str_equal(scope->type, type))
		return false;
	if (!scope->count)
		return true;
	if (scope->kind == CEDAR_SCOPE_EQ)
		return cedar_str_equal(scope->uids[0]->type, type);
	return cedar_schema_below(schema, type, scope->uids[0]->type);
}

static bool admits_action(const struct cedar_scope *scope, const struct cedar_action_type *action)
{
	if (scope->kind == CEDAR_SCOPE_ANY)
		return true;
	if (scope->kind == CEDAR_SCOPE_EQ)
		return cedar_uid_equal(scope->uids[0], &action->uid);
	for (size_t i = 0; i < scope->count; i++)
		if (cedar_action_below(action, scope->uids[i]))
			return true;
	return false;
}

static int check_condition(void *context, struct cedar_checker *checker,
			   const struct cedar_policy *policy)
{
	struct cedar_typed typed;
	bool *met = context;
	*met = true;
	if (!policy->condition)
		return 0;
	TRY(cedar_check(checker, policy->condition, NULL, &typed));
	if (cedar_type_is_bool(typed.type) || typed.type->kind == CEDAR_TYPE_SCALAR)
		return 0;
	return err_set(checker->err, E_INVALID, "line %u, column %u: a condition must be Bool, "
		"this one is %s", policy->condition->place.line, policy->condition->place.column,
	               cedar_type_name(typed.type));
}

static int each_resource(struct cedar_checker *checker, const struct cedar_policy *policy,
			 cedar_environment_fn *visit, void *context)
{
	const struct cedar_names *resources = &checker->action->resources;
	for (size_t i = 0; i < resources->count; i++) {
		if (!admits_type(checker->schema, &policy->resource, resources->items[i]))
			continue;
		TRY(cedar_type_entity(checker->arena, resources->items[i], &checker->resource,
		                      checker->err));
		TRY(visit(context, checker, policy));
	}
	return 0;
}

static int each_principal(struct cedar_checker *checker, const struct cedar_policy *policy,
			  cedar_environment_fn *visit, void *context)
{
	const struct cedar_names *principals = &checker->action->principals;
	TRY(cedar_type_entity(checker->arena, checker->action->uid.type, &checker->action_type,
	                      checker->err));
	for (size_t i = 0; i < principals->count; i++) {
		if (!admits_type(checker->schema, &policy->principal, principals->items[i]))
			continue;
		TRY(cedar_type_entity(checker->arena, principals->items[i], &checker->principal,
		                      checker->err));
		TRY(each_resource(checker, policy, visit, context));
	}
	return 0;
}

int cedar_each_environment(struct cedar_checker *checker, const struct cedar_policy *policy,
			   cedar_environment_fn *visit, void *context)
{
	for (size_t i = 0; i < checker->schema->action_count; i++) {
		checker->action = &checker->schema->actions[i];
		if (admits_action(&policy->action, checker->action))
			TRY(each_principal(checker, policy, visit, context));
	}
	return 0;
}

static int check_policy(struct cedar_checker *checker, const struct cedar_policy *policy)
{
	bool met = false;
	TRY(check_policy_names(checker, policy));
	TRY(cedar_each_environment(checker, policy, check_condition, &met));
	if (!met)
		return refuse(checker->err, policy->place, "no action of the schema can meet the "
		              "policy's scope");
	return 0;
}

int cedar_validate(struct arena *arena, const struct cedar_schema *schema,
		   const struct cedar_policy *policies, size_t count,
		   const struct cedar_finding **ret_findings, size_t *ret_count, struct err *err)
{
	struct err reason;
	struct cedar_checker checker = { .arena = arena, .schema = schema, .err = &reason };
	struct cedar_finding *findings = arena_alloc(arena, CEDAR_FINDINGS_MAX * sizeof *findings);
	size_t found = 0;
	if (!findings)
		return err_set(err, E_NOMEM, "no memory left to validate policies");
	for (size_t i = 0; i < count && found < CEDAR_FINDINGS_MAX; i++) {
		int rc = check_policy(&checker, &policies[i]);
		if (!rc)
			continue;
		char *text = arena_strdup(arena, reason.text);
		if (rc == E_NOMEM || !text)
			return err_set(err, E_NOMEM, "no memory left to validate policies");
		findings[found++] = (struct cedar_finding){ &policies[i], text };
	}
	*ret_findings = findings;
	*ret_count = found;
	return 0;
}
