/* cedar_check.c - one function an operator, in a table, as in the evaluator. Operands that a known
 * boolean cuts off are not looked at; what `has` and `hasTag` establish travels along. */
#include "common/defs.h"
#include "policy/cedar_check.h"

#include "policy/cedar_near.h"

typedef int rule_fn(struct cedar_checker *checker, const struct cedar_expr *expr,
		    const struct cedar_known *known, struct cedar_typed *ret);

static int no_room(struct cedar_checker *checker)
{
	return err_set(checker->err, E_NOMEM, "no memory left to validate a policy");
}

static int refuse(struct cedar_checker *checker, const struct cedar_expr *expr, const char *text)
{
	return err_set(checker->err, E_INVALID, "line %u, column %u: %s", expr->place.line,
	               expr->place.column, text);
}

static int wrong_type(struct cedar_checker *checker, const struct cedar_expr *expr,
		      const char *expected, const struct cedar_type *found)
{
	return err_set(checker->err, E_INVALID, "line %u, column %u: expected %s, found %s",
	               expr->place.line, expr->place.column, expected, cedar_type_name(found));
}

static int give(struct cedar_typed *ret, const struct cedar_type *type)
{
	*ret = (struct cedar_typed){ type, NULL };
	return 0;
}

static int give_kind(struct cedar_typed *ret, enum cedar_type_kind kind)
{
	return give(ret, cedar_type_of(kind));
}

static bool is_known(const struct cedar_known *known, const struct cedar_known *fact)
{
	for (; known; known = known->next) {
		if (!known->tag != !fact->tag || !cedar_expr_equal(known->on, fact->on))
			continue;
		if (fact->tag ? cedar_expr_equal(known->tag, fact->tag)
		              : cedar_str_equal(known->attr, fact->attr))
			return true;
	}
	return false;
}

static int learn(struct cedar_checker *checker, const struct cedar_known *fact,
		 const struct cedar_known **known)
{
	uint32_t count = *known ? (*known)->count : 0;
	if (is_known(*known, fact) || count == CEDAR_KNOWN_MAX)
		return 0;
	struct cedar_known *node = arena_alloc(checker->arena, sizeof *node);
	if (!node)
		return no_room(checker);
	*node = *fact;
	node->next = *known;
	node->count = count + 1;
	*known = node;
	return 0;
}

static int join_known(struct cedar_checker *checker, const struct cedar_known *more,
		      const struct cedar_known **known)
{
	for (; more; more = more->next)
		TRY(learn(checker, more, known));
	return 0;
}

static int both_known(struct cedar_checker *checker, const struct cedar_known *a,
		      const struct cedar_known *b, const struct cedar_known **ret)
{
	*ret = NULL;
	for (; a; a = a->next)
		if (is_known(b, a))
			TRY(learn(checker, a, ret));
	return 0;
}

static int expect_kind(struct cedar_checker *checker, const struct cedar_expr *expr,
		       const struct cedar_known *known, enum cedar_type_kind kind,
		       const struct cedar_type **ret_type)
{
	struct cedar_typed typed;
	TRY(cedar_check(checker, expr, known, &typed));
	const struct cedar_type wanted = { .kind = (uint8_t)kind };
	if (typed.type->kind == CEDAR_TYPE_SCALAR && cedar_type_is_scalar(&wanted))
		typed.type = cedar_type_of(kind);
	if (typed.type->kind != kind) {
		return wrong_type(checker, expr, cedar_type_name(&wanted), typed.type);
	}
	*ret_type = typed.type;
	return 0;
}

static int expect_bool(struct cedar_checker *checker, const struct cedar_expr *expr,
		       const struct cedar_known *known, struct cedar_typed *ret)
{
	TRY(cedar_check(checker, expr, known, ret));
	if (ret->type->kind == CEDAR_TYPE_SCALAR)
		ret->type = cedar_type_of(CEDAR_TYPE_BOOL);
	return cedar_type_is_bool(ret->type) ? 0 : wrong_type(checker, expr, "Bool", ret->type);
}

static int rule_literal(struct cedar_checker *checker, const struct cedar_expr *expr,
			const struct cedar_known *known, struct cedar_typed *ret)
{
	(void)known;
	const struct cedar_value *value = &expr->value;
	if (value->kind == CEDAR_BOOL)
		return give(ret, cedar_type_bool(value->b));
	if (value->kind != CEDAR_ENTITY)
		return give_kind(ret, cedar_type_kind_of(value->kind));
	const struct cedar_type *type = NULL;
	TRY(cedar_type_entity(checker->arena, value->uid->type, &type, checker->err));
	return give(ret, type);
}

static int rule_var(struct cedar_checker *checker, const struct cedar_expr *expr,
		    const struct cedar_known *known, struct cedar_typed *ret)
{
	(void)known;
	switch ((enum cedar_var)expr->var) {
	case CEDAR_PRINCIPAL: return give(ret, checker->principal);
	case CEDAR_ACTION: return give(ret, checker->action_type);
	case CEDAR_RESOURCE: return give(ret, checker->resource);
	default: return give(ret, checker->action->context);
	}
}

static const struct cedar_type *wider(const struct cedar_type *a, const struct cedar_type *b)
{
	return a->kind == b->kind ? a : cedar_type_of(CEDAR_TYPE_BOOL);
}

static int rule_and(struct cedar_checker *checker, const struct cedar_expr *expr,
		    const struct cedar_known *known, struct cedar_typed *ret)
{
	struct cedar_typed all = { cedar_type_bool(true), NULL }, one;
	for (uint32_t i = 0; i < expr->count; i++) {
		TRY(expect_bool(checker, expr->args[i], known, &one));
		if (one.type->kind == CEDAR_TYPE_FALSE)
			return give(ret, one.type);
		all.type = wider(all.type, one.type);
		TRY(join_known(checker, one.known, &all.known));
		TRY(join_known(checker, one.known, &known));
	}
	*ret = all;
	return 0;
}

static int rule_or(struct cedar_checker *checker, const struct cedar_expr *expr,
		   const struct cedar_known *known, struct cedar_typed *ret)
{
	struct cedar_typed all = { cedar_type_bool(false), NULL }, one;
	for (uint32_t i = 0; i < expr->count; i++) {
		TRY(expect_bool(checker, expr->args[i], known, &one));
		if (one.type->kind == CEDAR_TYPE_TRUE)
			return give(ret, one.type);
		if (one.type->kind == CEDAR_TYPE_FALSE)
			continue;
		if (all.type->kind == CEDAR_TYPE_FALSE)
			all = one;
		else
			TRY(both_known(checker, all.known, one.known, &all.known));
	}
	*ret = all;
	return 0;
}

static int rule_not(struct cedar_checker *checker, const struct cedar_expr *expr,
		    const struct cedar_known *known, struct cedar_typed *ret)
{
	struct cedar_typed of;
	TRY(expect_bool(checker, expr->args[0], known, &of));
	if (of.type->kind == CEDAR_TYPE_BOOL)
		return give(ret, of.type);
	return give(ret, cedar_type_bool(of.type->kind == CEDAR_TYPE_FALSE));
}

static int no_join(struct cedar_checker *checker, const struct cedar_expr *expr,
		   const struct cedar_type *a, const struct cedar_type *b)
{
	return err_set(checker->err, E_INVALID, "line %u, column %u: %s and %s have no type in "
	               "common; make them the same", expr->place.line, expr->place.column,
	               cedar_type_name(a), cedar_type_name(b));
}

static int join(struct cedar_checker *checker, const struct cedar_expr *expr,
		const struct cedar_type *a, const struct cedar_type *b,
		const struct cedar_type **ret_type)
{
	TRY(cedar_type_join(checker->arena, a, b, ret_type, checker->err));
	return *ret_type ? 0 : no_join(checker, expr, a, b);
}

static int rule_if(struct cedar_checker *checker, const struct cedar_expr *expr,
		   const struct cedar_known *known, struct cedar_typed *ret)
{
	struct cedar_typed test, then, otherwise;
	const struct cedar_known *inside = known;
	TRY(expect_bool(checker, expr->args[0], known, &test));
	if (test.type->kind == CEDAR_TYPE_FALSE)
		return cedar_check(checker, expr->args[2], known, ret);
	TRY(join_known(checker, test.known, &inside));
	TRY(cedar_check(checker, expr->args[1], inside, &then));
	TRY(join_known(checker, test.known, &then.known));
	if (test.type->kind == CEDAR_TYPE_TRUE) {
		*ret = then;
		return 0;
	}
	TRY(cedar_check(checker, expr->args[2], known, &otherwise));
	TRY(join(checker, expr, then.type, otherwise.type, &ret->type));
	return both_known(checker, then.known, otherwise.known, &ret->known);
}

/* The entity that an expression names: a literal, or the environment's action. */
static const struct cedar_uid *named(const struct cedar_checker *checker,
				     const struct cedar_expr *expr)
{
	if (expr->op == CEDAR_OP_VAR && expr->var == CEDAR_ACTION)
		return &checker->action->uid;
	if (expr->op == CEDAR_OP_LITERAL && expr->value.kind == CEDAR_ENTITY)
		return expr->value.uid;
	return NULL;
}

/* Both sides known: *ret_known is whether they are equal. */
static bool compare_known(const struct cedar_checker *checker, const struct cedar_expr *expr,
			  bool *ret_equal)
{
	const struct cedar_expr *a = expr->args[0], *b = expr->args[1];
	const struct cedar_uid *left = named(checker, a), *right = named(checker, b);
	bool literal_a = a->op == CEDAR_OP_LITERAL || left;
	bool literal_b = b->op == CEDAR_OP_LITERAL || right;
	if (!literal_a || !literal_b)
		return false;
	if (left || right)
		*ret_equal = left && right && cedar_uid_equal(left, right);
	else
		*ret_equal = cedar_value_equal(&a->value, &b->value);
	return true;
}

static int rule_eq(struct cedar_checker *checker, const struct cedar_expr *expr,
		   const struct cedar_known *known, struct cedar_typed *ret)
{
	struct cedar_typed left, right;
	const struct cedar_type *joined = NULL;
	bool equal = false;
	TRY(cedar_check(checker, expr->args[0], known, &left));
	TRY(cedar_check(checker, expr->args[1], known, &right));
	if (compare_known(checker, expr, &equal))
		return give(ret, cedar_type_bool(equal));
	TRY(cedar_type_join(checker->arena, left.type, right.type, &joined, checker->err));
	if (joined)
		return give_kind(ret, CEDAR_TYPE_BOOL);
	if (left.type->kind == CEDAR_TYPE_ENTITY && right.type->kind == CEDAR_TYPE_ENTITY)
		return give_kind(ret, CEDAR_TYPE_FALSE);
	return no_join(checker, expr, left.type, right.type);
}

static int rule_less(struct cedar_checker *checker, const struct cedar_expr *expr,
		     const struct cedar_known *known, struct cedar_typed *ret)
{
	struct cedar_typed left, right;
	TRY(cedar_check(checker, expr->args[0], known, &left));
	TRY(cedar_check(checker, expr->args[1], known, &right));
	if (left.type->kind == CEDAR_TYPE_SCALAR)
		left.type = right.type;
	if (right.type->kind == CEDAR_TYPE_SCALAR)
		right.type = left.type;
	if (left.type->kind == CEDAR_TYPE_SCALAR)
		return give_kind(ret, CEDAR_TYPE_BOOL);
	if (left.type->kind != CEDAR_TYPE_LONG && left.type->kind != CEDAR_TYPE_DATETIME &&
	    left.type->kind != CEDAR_TYPE_DURATION)
		return wrong_type(checker, expr->args[0], "Long, datetime or duration", left.type);
	if (right.type->kind != left.type->kind)
		return wrong_type(checker, expr->args[1], cedar_type_name(left.type), right.type);
	return give_kind(ret, CEDAR_TYPE_BOOL);
}

static int rule_arithmetic(struct cedar_checker *checker, const struct cedar_expr *expr,
			   const struct cedar_known *known, struct cedar_typed *ret)
{
	const struct cedar_type *type = NULL;
	for (uint32_t i = 0; i < expr->count; i++)
		TRY(expect_kind(checker, expr->args[i], known, CEDAR_TYPE_LONG, &type));
	return give(ret, type);
}

/* Whether every element of a set is an entity that is named, and if some is `of` or above it. */
static bool all_named(const struct cedar_checker *checker, const struct cedar_expr *set,
		      const struct cedar_action_type *action, bool *ret_below)
{
	*ret_below = false;
	if (set->op != CEDAR_OP_SET)
		return false;
	for (uint32_t i = 0; i < set->count; i++) {
		const struct cedar_uid *uid = named(checker, set->args[i]);
		if (!uid)
			return false;
		*ret_below = *ret_below || cedar_action_below(action, uid);
	}
	return true;
}

static int rule_in(struct cedar_checker *checker, const struct cedar_expr *expr,
		   const struct cedar_known *known, struct cedar_typed *ret)
{
	const struct cedar_type *left = NULL;
	struct cedar_typed right;
	TRY(expect_kind(checker, expr->args[0], known, CEDAR_TYPE_ENTITY, &left));
	TRY(cedar_check(checker, expr->args[1], known, &right));
	const struct cedar_type *of = right.type->kind == CEDAR_TYPE_SET ? right.type->element
	                                                                 : right.type;
	if (of->kind != CEDAR_TYPE_ENTITY)
		return wrong_type(checker, expr->args[1], "an entity or a Set of entities", of);
	const struct cedar_uid *uid = named(checker, expr->args[0]);
	const struct cedar_action_type *action = uid ? cedar_schema_action(checker->schema, uid)
	                                             : NULL;
	const struct cedar_uid *target = named(checker, expr->args[1]);
	bool below = false;
	if (action && target)
		return give(ret, cedar_type_bool(cedar_action_below(action, target)));
	if (action && all_named(checker, expr->args[1], action, &below))
		return give(ret, cedar_type_bool(below));
	below = cedar_schema_below(checker->schema, left->name, of->name);
	return give_kind(ret, below ? CEDAR_TYPE_BOOL : CEDAR_TYPE_FALSE);
}

static int rule_contains(struct cedar_checker *checker, const struct cedar_expr *expr,
			 const struct cedar_known *known, struct cedar_typed *ret)
{
	const struct cedar_type *set = NULL, *joined = NULL;
	struct cedar_typed item;
	TRY(expect_kind(checker, expr->args[0], known, CEDAR_TYPE_SET, &set));
	TRY(cedar_check(checker, expr->args[1], known, &item));
	TRY(join(checker, expr, set->element, item.type, &joined));
	return give_kind(ret, CEDAR_TYPE_BOOL);
}

static int rule_contains_many(struct cedar_checker *checker, const struct cedar_expr *expr,
			      const struct cedar_known *known, struct cedar_typed *ret)
{
	const struct cedar_type *left = NULL, *right = NULL, *joined = NULL;
	TRY(expect_kind(checker, expr->args[0], known, CEDAR_TYPE_SET, &left));
	TRY(expect_kind(checker, expr->args[1], known, CEDAR_TYPE_SET, &right));
	TRY(join(checker, expr, left->element, right->element, &joined));
	return give_kind(ret, CEDAR_TYPE_BOOL);
}

static int rule_is_empty(struct cedar_checker *checker, const struct cedar_expr *expr,
			 const struct cedar_known *known, struct cedar_typed *ret)
{
	const struct cedar_type *set = NULL;
	TRY(expect_kind(checker, expr->args[0], known, CEDAR_TYPE_SET, &set));
	return give_kind(ret, CEDAR_TYPE_BOOL);
}

/* A boolean that, when true, adds the fact; known already: true. */
static int test_fact(struct cedar_checker *checker, const struct cedar_known *known,
		     const struct cedar_known *fact, bool certain, struct cedar_typed *ret)
{
	if (certain || is_known(known, fact))
		return give_kind(ret, CEDAR_TYPE_TRUE);
	*ret = (struct cedar_typed){ cedar_type_of(CEDAR_TYPE_BOOL), NULL };
	return learn(checker, fact, &ret->known);
}

static int rule_tag(struct cedar_checker *checker, const struct cedar_expr *expr,
		    const struct cedar_known *known, struct cedar_typed *ret)
{
	const struct cedar_type *of = NULL, *name = NULL;
	struct cedar_known fact = { .on = expr->args[0], .tag = expr->args[1] };
	TRY(expect_kind(checker, expr->args[0], known, CEDAR_TYPE_ENTITY, &of));
	TRY(expect_kind(checker, expr->args[1], known, CEDAR_TYPE_STRING, &name));
	const struct cedar_entity_type *type = cedar_schema_entity(checker->schema, of->name);
	bool tagged = type && type->tags;
	if (expr->op == CEDAR_OP_HAS_TAG)
		return tagged ? test_fact(checker, known, &fact, false, ret)
		              : give_kind(ret, CEDAR_TYPE_FALSE);
	if (!tagged)
		return refuse(checker, expr, "entities of this type have no tags");
	if (!is_known(known, &fact))
		return refuse(checker, expr, "the tag may be missing; test with hasTag first");
	return give(ret, type->tags);
}

/* The record behind an expression; NULL for an action, which has no attributes. */
static int shape_of(struct cedar_checker *checker, const struct cedar_expr *expr,
		    const struct cedar_known *known, const struct cedar_type **ret_shape,
		    bool *ret_entity)
{
	struct cedar_typed of;
	TRY(cedar_check(checker, expr, known, &of));
	*ret_entity = of.type->kind == CEDAR_TYPE_ENTITY;
	*ret_shape = of.type;
	if (of.type->kind == CEDAR_TYPE_RECORD)
		return 0;
	if (!*ret_entity)
		return wrong_type(checker, expr, "an entity or a record", of.type);
	const struct cedar_entity_type *type = cedar_schema_entity(checker->schema, of.type->name);
	*ret_shape = type ? type->shape : NULL;
	return 0;
}

/* What a shape says of a name; false: nothing. */
static bool find_attr(const struct cedar_type *shape, struct cedar_str name,
		      struct cedar_attr *ret_attr)
{
	const struct cedar_attr *attr = shape ? cedar_type_attr(shape, name) : NULL;
	if (attr)
		*ret_attr = *attr;
	else if (shape && shape->element)
		*ret_attr = (struct cedar_attr){ name, false, shape->element };
	return attr || (shape && shape->element);
}

static int no_attr(struct cedar_checker *checker, const struct cedar_expr *expr,
		   const struct cedar_type *shape)
{
	const char *near = !shape ? "" : cedar_near(checker->arena, expr->name, shape->attrs,
	                                            sizeof *shape->attrs, shape->count);
	return err_set(checker->err, E_INVALID, "line %u, column %u: the schema knows no attribute "
	               "`%s` here%s", expr->place.line, expr->place.column,
	               cedar_str_show(checker->arena, expr->name), near);
}

/* Of an entity with names of anybody's own: a near miss of what it is known to have. */
static bool is_misspelt(struct cedar_checker *checker, const struct cedar_type *shape,
			struct cedar_str name)
{
	return shape->element && !cedar_type_attr(shape, name) &&
	       *cedar_near(checker->arena, name, shape->attrs, sizeof *shape->attrs, shape->count);
}

static int rule_has_attr(struct cedar_checker *checker, const struct cedar_expr *expr,
			 const struct cedar_known *known, struct cedar_typed *ret)
{
	const struct cedar_type *shape = NULL;
	struct cedar_known fact = { .on = expr->args[0], .attr = expr->name };
	bool entity = false;
	TRY(shape_of(checker, expr->args[0], known, &shape, &entity));
	struct cedar_attr attr;
	if (!find_attr(shape, expr->name, &attr))
		return give_kind(ret, CEDAR_TYPE_FALSE);
	/* An entity may be missing as a whole; a record is there. */
	return test_fact(checker, known, &fact, attr.required && !entity, ret);
}

static int rule_get_attr(struct cedar_checker *checker, const struct cedar_expr *expr,
			 const struct cedar_known *known, struct cedar_typed *ret)
{
	const struct cedar_type *shape = NULL;
	struct cedar_known fact = { .on = expr->args[0], .attr = expr->name };
	bool entity = false;
	TRY(shape_of(checker, expr->args[0], known, &shape, &entity));
	struct cedar_attr attr;
	if (!find_attr(shape, expr->name, &attr) ||
	    (entity && is_misspelt(checker, shape, expr->name)))
		return no_attr(checker, expr, shape);
	if (!attr.required && !shape->lenient && !is_known(known, &fact))
		return err_set(checker->err, E_INVALID, "line %u, column %u: the attribute `%s` is "
		               "optional; test with `has` first", expr->place.line,
		               expr->place.column, cedar_str_show(checker->arena, expr->name));
	return give(ret, attr.type);
}

static int rule_like(struct cedar_checker *checker, const struct cedar_expr *expr,
		     const struct cedar_known *known, struct cedar_typed *ret)
{
	const struct cedar_type *type = NULL;
	TRY(expect_kind(checker, expr->args[0], known, CEDAR_TYPE_STRING, &type));
	return give_kind(ret, CEDAR_TYPE_BOOL);
}

static int rule_is(struct cedar_checker *checker, const struct cedar_expr *expr,
		   const struct cedar_known *known, struct cedar_typed *ret)
{
	const struct cedar_type *of = NULL;
	TRY(expect_kind(checker, expr->args[0], known, CEDAR_TYPE_ENTITY, &of));
	return give(ret, cedar_type_bool(cedar_str_equal(of->name, expr->name)));
}

static int rule_set(struct cedar_checker *checker, const struct cedar_expr *expr,
		    const struct cedar_known *known, struct cedar_typed *ret)
{
	const struct cedar_type *element = NULL;
	struct cedar_typed one;
	if (!expr->count)
		return refuse(checker, expr, "an empty set has no type; leave it out");
	for (uint32_t i = 0; i < expr->count; i++) {
		TRY(cedar_check(checker, expr->args[i], known, &one));
		if (element)
			TRY(join(checker, expr, element, one.type, &element));
		else
			element = one.type;
	}
	TRY(cedar_type_set(checker->arena, element, &element, checker->err));
	return give(ret, element);
}

static int rule_record(struct cedar_checker *checker, const struct cedar_expr *expr,
		       const struct cedar_known *known, struct cedar_typed *ret)
{
	const struct cedar_type *type = NULL;
	struct cedar_typed one;
	struct cedar_attr *attrs = arena_alloc(checker->arena, (expr->count + 1) * sizeof *attrs);
	if (!attrs)
		return no_room(checker);
	for (uint32_t i = 0; i < expr->count; i++) {
		TRY(cedar_check(checker, expr->args[i], known, &one));
		attrs[i] = (struct cedar_attr){ expr->names[i], true, one.type };
	}
	TRY(cedar_type_record(checker->arena, attrs, expr->count, &type, checker->err));
	return give(ret, type);
}

static int rule_call(struct cedar_checker *checker, const struct cedar_expr *expr,
		     const struct cedar_known *known, struct cedar_typed *ret)
{
	const struct cedar_function *function = expr->function;
	const struct cedar_type *type = NULL;
	if (expr->count != function->arity)
		return refuse(checker, expr, "a function has too few or too many arguments");
	if (cedar_function_makes(function) && !expr->folded)
		return refuse(checker, expr, "decimal, ip, datetime and duration take one string "
		              "literal that is such a value");
	for (uint32_t i = 0; i < expr->count; i++)
		TRY(expect_kind(checker, expr->args[i], known,
		                cedar_type_kind_of(function->args[i]), &type));
	return give_kind(ret, cedar_type_kind_of(function->result));
}

int cedar_check(struct cedar_checker *checker, const struct cedar_expr *expr,
		const struct cedar_known *known, struct cedar_typed *ret_typed)
{
	static rule_fn *const rules[CEDAR_OP_COUNT_] = {
		[CEDAR_OP_LITERAL] = rule_literal, [CEDAR_OP_VAR] = rule_var,
		[CEDAR_OP_AND] = rule_and, [CEDAR_OP_OR] = rule_or, [CEDAR_OP_NOT] = rule_not,
		[CEDAR_OP_NEG] = rule_arithmetic, [CEDAR_OP_IF] = rule_if, [CEDAR_OP_EQ] = rule_eq,
		[CEDAR_OP_LESS] = rule_less, [CEDAR_OP_LESS_EQ] = rule_less,
		[CEDAR_OP_ADD] = rule_arithmetic, [CEDAR_OP_SUB] = rule_arithmetic,
		[CEDAR_OP_MUL] = rule_arithmetic, [CEDAR_OP_IN] = rule_in,
		[CEDAR_OP_CONTAINS] = rule_contains, [CEDAR_OP_CONTAINS_ALL] = rule_contains_many,
		[CEDAR_OP_CONTAINS_ANY] = rule_contains_many, [CEDAR_OP_IS_EMPTY] = rule_is_empty,
		[CEDAR_OP_GET_TAG] = rule_tag, [CEDAR_OP_HAS_TAG] = rule_tag,
		[CEDAR_OP_GET_ATTR] = rule_get_attr, [CEDAR_OP_HAS_ATTR] = rule_has_attr,
		[CEDAR_OP_LIKE] = rule_like, [CEDAR_OP_IS] = rule_is, [CEDAR_OP_SET] = rule_set,
		[CEDAR_OP_RECORD] = rule_record, [CEDAR_OP_CALL] = rule_call,
	};
	return rules[expr->op](checker, expr, known, ret_typed);
}
