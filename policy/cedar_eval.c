/* cedar_eval.c - one function an operator, in a table. Recursion is bounded by the depth of the
 * expression, which the parser bounds. */
#include "common/defs.h"
#include "policy/cedar_eval.h"

#include <string.h>

typedef int op_fn(struct cedar_env *env, const struct cedar_expr *expr, struct cedar_value *ret);

static int no_room(struct cedar_env *env)
{
	return err_set(env->err, E_NOMEM, "no memory left to evaluate a policy");
}

static int wrong_kind(struct cedar_env *env, const struct cedar_expr *expr, const char *expected,
		      enum cedar_kind kind)
{
	return err_set(env->err, E_INVALID, "line %u, column %u: expected %s, found %s",
	               expr->place.line, expr->place.column, expected, cedar_kind_name(kind));
}

static int give_bool(struct cedar_value *ret, bool b)
{
	*ret = (struct cedar_value){ .kind = CEDAR_BOOL, .b = b };
	return 0;
}

static int eval_kind(struct cedar_env *env, const struct cedar_expr *expr, enum cedar_kind kind,
		     struct cedar_value *ret)
{
	TRY(cedar_eval(env, expr, ret));
	return ret->kind == kind ? 0 : wrong_kind(env, expr, cedar_kind_name(kind), ret->kind);
}

static const struct cedar_entity *entity_of(const struct cedar_env *env,
					    const struct cedar_uid *uid)
{
	if (uid == &env->request->principal)
		return env->principal;
	if (uid == &env->request->resource)
		return env->resource;
	if (uid == &env->request->action)
		return env->action;
	return cedar_entities_find(env->entities, uid);
}

static int op_literal(struct cedar_env *env, const struct cedar_expr *expr, struct cedar_value *ret)
{
	(void)env;
	*ret = expr->value;
	return 0;
}

static int op_var(struct cedar_env *env, const struct cedar_expr *expr, struct cedar_value *ret)
{
	const struct cedar_request *request = env->request;
	if (expr->var == CEDAR_CONTEXT) {
		*ret = (struct cedar_value){ .kind = CEDAR_RECORD, .record = request->context };
		return 0;
	}
	const struct cedar_uid *uid = expr->var == CEDAR_PRINCIPAL ? &request->principal :
		expr->var == CEDAR_ACTION ? &request->action : &request->resource;
	*ret = (struct cedar_value){ .kind = CEDAR_ENTITY, .uid = uid };
	return 0;
}

/* The first operand that is `stop` decides. */
static int chain(struct cedar_env *env, const struct cedar_expr *expr, bool stop,
		 struct cedar_value *ret)
{
	for (uint32_t i = 0; i < expr->count; i++) {
		TRY(eval_kind(env, expr->args[i], CEDAR_BOOL, ret));
		if (ret->b == stop)
			return 0;
	}
	return 0;
}

static int op_and(struct cedar_env *env, const struct cedar_expr *expr, struct cedar_value *ret)
{
	return chain(env, expr, false, ret);
}

static int op_or(struct cedar_env *env, const struct cedar_expr *expr, struct cedar_value *ret)
{
	return chain(env, expr, true, ret);
}

static int op_not(struct cedar_env *env, const struct cedar_expr *expr, struct cedar_value *ret)
{
	TRY(eval_kind(env, expr->args[0], CEDAR_BOOL, ret));
	ret->b = !ret->b;
	return 0;
}

static int op_if(struct cedar_env *env, const struct cedar_expr *expr, struct cedar_value *ret)
{
	struct cedar_value condition;
	TRY(eval_kind(env, expr->args[0], CEDAR_BOOL, &condition));
	return cedar_eval(env, expr->args[condition.b ? 1 : 2], ret);
}

static int op_eq(struct cedar_env *env, const struct cedar_expr *expr, struct cedar_value *ret)
{
	struct cedar_value left, right;
	TRY(cedar_eval(env, expr->args[0], &left));
	TRY(cedar_eval(env, expr->args[1], &right));
	return give_bool(ret, cedar_value_equal(&left, &right));
}

static int overflow(struct cedar_env *env, const struct cedar_expr *expr)
{
	return err_set(env->err, E_INVALID, "line %u, column %u: arithmetic overflows 64 bits",
	               expr->place.line, expr->place.column);
}

static int op_neg(struct cedar_env *env, const struct cedar_expr *expr, struct cedar_value *ret)
{
	TRY(eval_kind(env, expr->args[0], CEDAR_LONG, ret));
	return __builtin_sub_overflow((int64_t)0, ret->i, &ret->i) ? overflow(env, expr) : 0;
}

static int op_arithmetic(struct cedar_env *env, const struct cedar_expr *expr,
			 struct cedar_value *ret)
{
	struct cedar_value left, right;
	bool over;
	TRY(eval_kind(env, expr->args[0], CEDAR_LONG, &left));
	TRY(eval_kind(env, expr->args[1], CEDAR_LONG, &right));
	ret->kind = CEDAR_LONG;
	if (expr->op == CEDAR_OP_ADD)
		over = __builtin_add_overflow(left.i, right.i, &ret->i);
	else if (expr->op == CEDAR_OP_SUB)
		over = __builtin_sub_overflow(left.i, right.i, &ret->i);
	else
		over = __builtin_mul_overflow(left.i, right.i, &ret->i);
	return over ? overflow(env, expr) : 0;
}

static int op_less(struct cedar_env *env, const struct cedar_expr *expr, struct cedar_value *ret)
{
	struct cedar_value left, right;
	TRY(cedar_eval(env, expr->args[0], &left));
	TRY(cedar_eval(env, expr->args[1], &right));
	if (left.kind != CEDAR_LONG && left.kind != CEDAR_DATETIME && left.kind != CEDAR_DURATION)
		return wrong_kind(env, expr->args[0], "long, datetime or duration", left.kind);
	if (right.kind != left.kind)
		return wrong_kind(env, expr->args[1], cedar_kind_name(left.kind), right.kind);
	return give_bool(ret, expr->op == CEDAR_OP_LESS ? left.i < right.i : left.i <= right.i);
}

/* Every element must be an entity, even after one has matched. */
static int in_set(struct cedar_env *env, const struct cedar_expr *expr, const struct cedar_uid *uid,
		  const struct cedar_items *set, struct cedar_value *ret)
{
	const struct cedar_entity *entity = entity_of(env, uid);
	bool in = false;
	for (size_t i = 0; i < set->count; i++) {
		if (set->items[i].kind != CEDAR_ENTITY)
			return wrong_kind(env, expr, "a set of entities", set->items[i].kind);
		in = in || cedar_entity_in(uid, entity, set->items[i].uid);
	}
	return give_bool(ret, in);
}

static int op_in(struct cedar_env *env, const struct cedar_expr *expr, struct cedar_value *ret)
{
	struct cedar_value left, right;
	TRY(eval_kind(env, expr->args[0], CEDAR_ENTITY, &left));
	TRY(cedar_eval(env, expr->args[1], &right));
	if (right.kind == CEDAR_SET)
		return in_set(env, expr->args[1], left.uid, right.set, ret);
	if (right.kind != CEDAR_ENTITY)
		return wrong_kind(env, expr->args[1], "an entity or a set of entities", right.kind);
	return give_bool(ret, cedar_entity_in(left.uid, entity_of(env, left.uid), right.uid));
}

static int op_contains(struct cedar_env *env, const struct cedar_expr *expr,
		       struct cedar_value *ret)
{
	struct cedar_value set, item;
	TRY(eval_kind(env, expr->args[0], CEDAR_SET, &set));
	TRY(cedar_eval(env, expr->args[1], &item));
	return give_bool(ret, cedar_items_has(set.set, &item));
}

static int op_contains_many(struct cedar_env *env, const struct cedar_expr *expr,
			    struct cedar_value *ret)
{
	struct cedar_value set, other;
	bool all = expr->op == CEDAR_OP_CONTAINS_ALL;
	TRY(eval_kind(env, expr->args[0], CEDAR_SET, &set));
	TRY(eval_kind(env, expr->args[1], CEDAR_SET, &other));
	for (size_t i = 0; i < other.set->count; i++)
		if (cedar_items_has(set.set, &other.set->items[i]) != all)
			return give_bool(ret, !all);
	return give_bool(ret, all);
}

static int op_is_empty(struct cedar_env *env, const struct cedar_expr *expr,
		       struct cedar_value *ret)
{
	struct cedar_value set;
	TRY(eval_kind(env, expr->args[0], CEDAR_SET, &set));
	return give_bool(ret, set.set->count == 0);
}

static int missing(struct cedar_env *env, const struct cedar_expr *expr, const char *what)
{
	return err_set(env->err, E_INVALID, "line %u, column %u: %s", expr->place.line,
	               expr->place.column, what);
}

static int op_tag(struct cedar_env *env, const struct cedar_expr *expr, struct cedar_value *ret)
{
	struct cedar_value of, name;
	TRY(eval_kind(env, expr->args[0], CEDAR_ENTITY, &of));
	TRY(eval_kind(env, expr->args[1], CEDAR_STRING, &name));
	const struct cedar_entity *entity = entity_of(env, of.uid);
	const struct cedar_value *found = entity ? cedar_record_get(entity->tags, name.str) : NULL;
	if (expr->op == CEDAR_OP_HAS_TAG)
		return give_bool(ret, found != NULL);
	if (!found)
		return missing(env, expr, entity ? "the entity has no such tag" :
		               "the entity whose tag is asked for is not there");
	*ret = *found;
	return 0;
}

/* NULL attrs: an entity that is not in the store. */
static int attrs_of(struct cedar_env *env, const struct cedar_expr *expr,
		    const struct cedar_record **ret_attrs)
{
	struct cedar_value of;
	TRY(cedar_eval(env, expr->args[0], &of));
	if (of.kind == CEDAR_RECORD) {
		*ret_attrs = of.record;
		return 0;
	}
	if (of.kind != CEDAR_ENTITY)
		return wrong_kind(env, expr->args[0], "an entity or a record", of.kind);
	const struct cedar_entity *entity = entity_of(env, of.uid);
	*ret_attrs = entity ? entity->attrs : NULL;
	return 0;
}

static int op_has_attr(struct cedar_env *env, const struct cedar_expr *expr,
		       struct cedar_value *ret)
{
	const struct cedar_record *attrs = NULL;
	TRY(attrs_of(env, expr, &attrs));
	return give_bool(ret, attrs && cedar_record_get(attrs, expr->name));
}

static int op_get_attr(struct cedar_env *env, const struct cedar_expr *expr,
		       struct cedar_value *ret)
{
	const struct cedar_record *attrs = NULL;
	TRY(attrs_of(env, expr, &attrs));
	const struct cedar_value *found = attrs ? cedar_record_get(attrs, expr->name) : NULL;
	if (!found)
		return missing(env, expr, attrs ? "there is no such attribute; test with `has`" :
		               "the entity whose attribute is asked for is not there");
	*ret = *found;
	return 0;
}

static bool ends_with(struct cedar_str text, struct cedar_str part)
{
	return text.len >= part.len &&
		(!part.len || memcmp(text.text + text.len - part.len, part.text, part.len) == 0);
}

/* Parts in order, each at its first place; the first at the start, the last at the end. */
static bool is_like(struct cedar_str text, const struct cedar_pattern *pattern)
{
	struct cedar_str first = pattern->parts[0];
	if (pattern->count == 1)
		return cedar_str_equal(text, first);
	if (text.len < first.len || (first.len && memcmp(text.text, first.text, first.len) != 0))
		return false;
	struct cedar_str rest = { text.text + first.len, text.len - first.len };
	for (size_t i = 1; i + 1 < pattern->count; i++) {
		struct cedar_str part = pattern->parts[i];
		const char *found = part.len ? memmem(rest.text, rest.len, part.text, part.len)
		                             : rest.text;
		if (!found)
			return false;
		rest.len -= (size_t)(found - rest.text) + part.len;
		rest.text = found + part.len;
	}
	return ends_with(rest, pattern->parts[pattern->count - 1]);
}

static int op_like(struct cedar_env *env, const struct cedar_expr *expr, struct cedar_value *ret)
{
	struct cedar_value text;
	TRY(eval_kind(env, expr->args[0], CEDAR_STRING, &text));
	return give_bool(ret, is_like(text.str, expr->pattern));
}

static int op_is(struct cedar_env *env, const struct cedar_expr *expr, struct cedar_value *ret)
{
	struct cedar_value of;
	TRY(eval_kind(env, expr->args[0], CEDAR_ENTITY, &of));
	return give_bool(ret, cedar_str_equal(of.uid->type, expr->name));
}

static int op_set(struct cedar_env *env, const struct cedar_expr *expr, struct cedar_value *ret)
{
	struct cedar_value *values = arena_alloc(env->arena, expr->count * sizeof *values);
	if (!values)
		return no_room(env);
	for (uint32_t i = 0; i < expr->count; i++)
		TRY(cedar_eval(env, expr->args[i], &values[i]));
	ret->kind = CEDAR_SET;
	return cedar_items_new(env->arena, values, expr->count, &ret->set, env->err);
}

static int op_record(struct cedar_env *env, const struct cedar_expr *expr, struct cedar_value *ret)
{
	struct cedar_field *fields = arena_alloc(env->arena, expr->count * sizeof *fields);
	if (!fields)
		return no_room(env);
	for (uint32_t i = 0; i < expr->count; i++) {
		fields[i].name = expr->names[i];
		TRY(cedar_eval(env, expr->args[i], &fields[i].value));
	}
	ret->kind = CEDAR_RECORD;
	return cedar_record_new(env->arena, fields, expr->count, &ret->record, env->err);
}

static int op_call(struct cedar_env *env, const struct cedar_expr *expr, struct cedar_value *ret)
{
	const struct cedar_function *function = expr->function;
	struct cedar_value args[CEDAR_FUNCTION_ARGS_MAX];
	if (expr->count != function->arity)
		return err_set(env->err, E_INVALID, "line %u, column %u: `%s` takes %d argument(s)",
		               expr->place.line, expr->place.column, function->name,
		               function->arity);
	for (uint32_t i = 0; i < expr->count; i++)
		TRY(eval_kind(env, expr->args[i], function->args[i], &args[i]));
	if (cedar_function_call(function, env->arena, args, ret, env->err) < 0)
		return err_prefix(env->err, "line %u, column %u", expr->place.line,
		                  expr->place.column);
	return 0;
}

int cedar_eval(struct cedar_env *env, const struct cedar_expr *expr, struct cedar_value *ret_value)
{
	static op_fn *const ops[CEDAR_OP_COUNT_] = {
		[CEDAR_OP_LITERAL] = op_literal, [CEDAR_OP_VAR] = op_var,
		[CEDAR_OP_AND] = op_and, [CEDAR_OP_OR] = op_or, [CEDAR_OP_NOT] = op_not,
		[CEDAR_OP_NEG] = op_neg, [CEDAR_OP_IF] = op_if, [CEDAR_OP_EQ] = op_eq,
		[CEDAR_OP_LESS] = op_less, [CEDAR_OP_LESS_EQ] = op_less,
		[CEDAR_OP_ADD] = op_arithmetic, [CEDAR_OP_SUB] = op_arithmetic,
		[CEDAR_OP_MUL] = op_arithmetic, [CEDAR_OP_IN] = op_in,
		[CEDAR_OP_CONTAINS] = op_contains, [CEDAR_OP_CONTAINS_ALL] = op_contains_many,
		[CEDAR_OP_CONTAINS_ANY] = op_contains_many, [CEDAR_OP_IS_EMPTY] = op_is_empty,
		[CEDAR_OP_GET_TAG] = op_tag, [CEDAR_OP_HAS_TAG] = op_tag,
		[CEDAR_OP_GET_ATTR] = op_get_attr, [CEDAR_OP_HAS_ATTR] = op_has_attr,
		[CEDAR_OP_LIKE] = op_like, [CEDAR_OP_IS] = op_is, [CEDAR_OP_SET] = op_set,
		[CEDAR_OP_RECORD] = op_record, [CEDAR_OP_CALL] = op_call,
	};
	if (expr->folded) {
		*ret_value = expr->value;
		return 0;
	}
	return ops[expr->op](env, expr, ret_value);
}

void cedar_env_init(struct cedar_env *env, struct arena *arena, const struct cedar_request *request,
		    const struct cedar_entities *entities, struct err *err)
{
	*env = (struct cedar_env){
		.arena = arena, .request = request, .entities = entities, .err = err,
		.principal = cedar_entities_find(entities, &request->principal),
		.action = cedar_entities_find(entities, &request->action),
		.resource = cedar_entities_find(entities, &request->resource),
	};
}

bool cedar_scope_matches(const struct cedar_scope *scope, const struct cedar_uid *uid,
			 const struct cedar_entity *entity)
{
	if (scope->kind == CEDAR_SCOPE_ANY)
		return true;
	if (scope->kind == CEDAR_SCOPE_EQ)
		return scope->count && cedar_uid_equal(scope->uids[0], uid);
	if (scope->kind != CEDAR_SCOPE_IN && !cedar_str_equal(scope->type, uid->type))
		return false;
	if (scope->kind == CEDAR_SCOPE_IS)
		return true;
	for (size_t i = 0; i < scope->count; i++)
		if (cedar_entity_in(uid, entity, scope->uids[i]))
			return true;
	return false;
}

bool cedar_policy_concerns(const struct cedar_env *env, const struct cedar_policy *policy)
{
	const struct cedar_request *request = env->request;
	return cedar_scope_matches(&policy->principal, &request->principal, env->principal) &&
	       cedar_scope_matches(&policy->action, &request->action, env->action) &&
	       cedar_scope_matches(&policy->resource, &request->resource, env->resource);
}

int cedar_policy_applies(struct cedar_env *env, const struct cedar_policy *policy,
			 bool *ret_applies)
{
	struct cedar_value value = { .kind = CEDAR_BOOL, .b = true };
	if (!cedar_policy_concerns(env, policy))
		value.b = false;
	else if (policy->condition)
		TRY(eval_kind(env, policy->condition, CEDAR_BOOL, &value));
	*ret_applies = value.b;
	return 0;
}
