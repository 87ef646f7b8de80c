/* cedar_partial.c - see cedar_partial.h. Each expression becomes one of: a value, a column, a pair
 * of conditions (true when, false when), a failure, or what cannot be said. What does not touch the
 * row is evaluated as ever. */
#include "common/defs.h"
#include "policy/cedar_partial.h"

#include <string.h>

enum form { FORM_VALUE, FORM_COLUMN, FORM_PAIR, FORM_ROW, FORM_FAILS, FORM_LOST };

struct partial {
	enum form form;
	struct cedar_value value;
	const struct value *column;      /* of the schema */
	const struct value *yes, *no;    /* filters: it is true, it is false */
};

struct lower {
	struct arena *arena;
	struct cedar_env *env;
	const struct value *schema;
	const struct cedar_expr *at;     /* what was lost */
	const char *why;
};

static int no_room(struct lower *lower)
{
	return err_set(lower->env->err, E_NOMEM, "no memory left to make a row filter");
}

static int lose(struct lower *lower, const struct cedar_expr *expr, const char *why,
                struct partial *ret)
{
	lower->at = expr;
	lower->why = why;
	*ret = (struct partial){ .form = FORM_LOST };
	return 0;
}

static int fail(struct partial *ret)
{
	*ret = (struct partial){ .form = FORM_FAILS };
	return 0;
}

static int pair(struct lower *lower, const struct value *yes, const struct value *no,
                struct partial *ret)
{
	if (!yes || !no)
		return no_room(lower);
	*ret = (struct partial){ .form = FORM_PAIR, .yes = yes, .no = no };
	return 0;
}

static int pair_of(struct lower *lower, bool yes, bool no, struct partial *ret)
{
	return pair(lower, rowfilter_const(lower->arena, yes), rowfilter_const(lower->arena, no),
	            ret);
}

/* --- columns --- */

static bool is_row(const struct cedar_expr *expr)
{
	return expr->op == CEDAR_OP_GET_ATTR && expr->args[0]->op == CEDAR_OP_VAR &&
	       expr->args[0]->var == CEDAR_RESOURCE && cedar_str_is(expr->name, "row");
}

static bool asks_for_row(const struct cedar_expr *expr)
{
	return expr->op == CEDAR_OP_HAS_ATTR && expr->args[0]->op == CEDAR_OP_VAR &&
	       expr->args[0]->var == CEDAR_RESOURCE && cedar_str_is(expr->name, "row");
}

static bool touches(const struct cedar_expr *expr)
{
	if (is_row(expr) || asks_for_row(expr))
		return true;
	for (uint32_t i = 0; !expr->folded && i < expr->count; i++)
		if (touches(expr->args[i]))
			return true;
	return false;
}

static const struct value *column_of(const struct lower *lower, struct cedar_str name)
{
	for (size_t i = 0; i < value_len(lower->schema); i++) {
		const struct value *column = value_at(lower->schema, i);
		const char *text = value_get_str(column, "name");
		if (text && cedar_str_is(name, text))
			return column;
	}
	return NULL;
}

/* CEDAR_RECORD stands for a type that Cedar has no value of here. */
static enum cedar_kind kind_of(const struct value *column)
{
	static const struct {
		const char *type;
		enum cedar_kind kind;
	} kinds[] = { { "boolean", CEDAR_BOOL }, { "int32", CEDAR_LONG }, { "int64", CEDAR_LONG },
		      { "string", CEDAR_STRING }, { "timestamp", CEDAR_DATETIME },
		      { "date", CEDAR_DATETIME } };
	const char *type = value_get_str(column, "type");
	for (size_t i = 0; type && i < ARRAY_LEN(kinds); i++)
		if (strcmp(kinds[i].type, type) == 0)
			return kinds[i].kind;
	return CEDAR_RECORD;
}

static const char *name_of(const struct value *column)
{
	return value_get_str(column, "name");
}

static const struct value *some(const struct lower *lower, const struct value *column)
{
	if (value_get_bool(column, "required", false))
		return rowfilter_const(lower->arena, true);
	return rowfilter_on(lower->arena, "some", name_of(column), NULL);
}

static const struct value *on(const struct lower *lower, const char *op,
                              const struct value *column, const struct value *item)
{
	return rowfilter_on(lower->arena, op, name_of(column), item);
}

/* NULL: no memory, or a text that a filter cannot hold; *ret_fits tells. */
static const struct value *item_of(const struct lower *lower, const struct cedar_value *value,
                                   bool *ret_fits)
{
	*ret_fits = true;
	switch (value->kind) {
	case CEDAR_BOOL:
		return value_bool(lower->arena, value->b);
	case CEDAR_LONG:
		return value_int(lower->arena, value->i);
	case CEDAR_DATETIME:
		return rowfilter_ms(lower->arena, value->i);
	default:
		*ret_fits = value->kind == CEDAR_STRING &&
		            (!value->str.len || !memchr(value->str.text, 0, value->str.len));
		return *ret_fits ? value_strn(lower->arena, value->str.text, value->str.len)
		                 : NULL;
	}
}

/* --- conditions --- */

/* What it is where a boolean is needed: a value of another kind fails. */
static int as_pair(struct lower *lower, struct partial *partial)
{
	switch (partial->form) {
	case FORM_VALUE:
		return pair_of(lower, partial->value.kind == CEDAR_BOOL && partial->value.b,
		               partial->value.kind == CEDAR_BOOL && !partial->value.b, partial);
	case FORM_COLUMN:
		if (kind_of(partial->column) != CEDAR_BOOL)
			return pair_of(lower, false, false, partial);
		return pair(lower,
		            on(lower, "eq", partial->column, value_bool(lower->arena, true)),
		            on(lower, "eq", partial->column, value_bool(lower->arena, false)),
		            partial);
	case FORM_FAILS:
	case FORM_ROW:
		return pair_of(lower, false, false, partial);
	default:
		return 0;
	}
}

static int lower_any(struct lower *lower, const struct cedar_expr *expr, struct partial *ret);

static int lower_pair(struct lower *lower, const struct cedar_expr *expr, struct partial *ret)
{
	TRY(lower_any(lower, expr, ret));
	return as_pair(lower, ret);
}

static void swap(struct partial *partial)
{
	const struct value *yes = partial->yes;
	partial->yes = partial->no;
	partial->no = yes;
}

/* a && b in terms of both; a || b is the same with true and false exchanged. */
static int conjoin(struct lower *lower, struct partial *so_far, const struct partial *next)
{
	struct arena *arena = lower->arena;
	const struct value *yes = rowfilter_both(arena, so_far->yes, next->yes);
	const struct value *no = rowfilter_either(
		arena, so_far->no, rowfilter_both(arena, so_far->yes, next->no));
	return pair(lower, yes, no, so_far);
}

/* Left to right; what comes after a certain end is not looked at, as Cedar does not. */
static int lower_chain(struct lower *lower, const struct cedar_expr *expr, struct partial *ret)
{
	bool either = expr->op == CEDAR_OP_OR;
	struct partial so_far;
	TRY(pair_of(lower, true, false, &so_far));
	for (uint32_t i = 0; i < expr->count && !rowfilter_is(so_far.yes, false); i++) {
		struct partial next;
		TRY(lower_pair(lower, expr->args[i], &next));
		if (next.form == FORM_LOST) {
			*ret = next;
			return 0;
		}
		if (either)
			swap(&next);
		TRY(conjoin(lower, &so_far, &next));
	}
	if (either)
		swap(&so_far);
	*ret = so_far;
	return 0;
}

static int lower_not(struct lower *lower, const struct cedar_expr *expr, struct partial *ret)
{
	TRY(lower_pair(lower, expr->args[0], ret));
	if (ret->form == FORM_PAIR)
		swap(ret);
	return 0;
}

static int lower_if(struct lower *lower, const struct cedar_expr *expr, struct partial *ret)
{
	struct arena *arena = lower->arena;
	struct partial when, then, other;
	TRY(lower_pair(lower, expr->args[0], &when));
	if (when.form == FORM_LOST || rowfilter_is(when.yes, true) || rowfilter_is(when.no, true)) {
		if (when.form == FORM_PAIR)
			return lower_any(lower, expr->args[rowfilter_is(when.yes, true) ? 1 : 2],
			                 ret);
		*ret = when;
		return 0;
	}
	TRY(lower_pair(lower, expr->args[1], &then));
	TRY(lower_pair(lower, expr->args[2], &other));
	if (then.form == FORM_LOST || other.form == FORM_LOST) {
		*ret = (struct partial){ .form = FORM_LOST };
		return 0;
	}
	return pair(lower,
	            rowfilter_either(arena, rowfilter_both(arena, when.yes, then.yes),
	                             rowfilter_both(arena, when.no, other.yes)),
	            rowfilter_either(arena, rowfilter_both(arena, when.yes, then.no),
	                             rowfilter_both(arena, when.no, other.no)),
	            ret);
}

/* --- comparisons --- */

static bool is_other_kind(const struct value *column, enum cedar_kind kind)
{
	return kind_of(column) != kind;
}

static int column_with_value(struct lower *lower, const struct cedar_expr *expr,
                             const struct value *column, const struct cedar_value *value,
                             struct partial *ret)
{
	struct arena *arena = lower->arena;
	bool fits = false;
	if (is_other_kind(column, value->kind))
		return pair(lower, rowfilter_const(arena, false), some(lower, column), ret);
	const struct value *item = item_of(lower, value, &fits);
	if (!fits)
		return lose(lower, expr, "a text with a zero byte", ret);
	if (!item)
		return no_room(lower);
	return pair(lower, on(lower, "eq", column, item),
	            rowfilter_both(arena, some(lower, column), on(lower, "ne", column, item)), ret);
}

static int column_with_column(struct lower *lower, const struct cedar_expr *expr,
                              const struct value *a, const struct value *b, struct partial *ret)
{
	struct arena *arena = lower->arena;
	const struct value *name = value_str(arena, name_of(b));
	const struct value *there = rowfilter_both(arena, some(lower, a), some(lower, b));
	if (is_other_kind(a, kind_of(b)))
		return pair(lower, rowfilter_const(arena, false), there, ret);
	if (strcmp(value_get_str(a, "type"), value_get_str(b, "type")) != 0)
		return lose(lower, expr, "two columns of different types", ret);
	if (!name)
		return no_room(lower);
	return pair(lower, rowfilter_both(arena, there, on(lower, "same", a, name)),
	            rowfilter_both(arena, there, on(lower, "differ", a, name)), ret);
}

/* Two sides of a comparison; false: *ret says what comes of it already. */
static int lower_sides(struct lower *lower, const struct cedar_expr *expr, struct partial *left,
                       struct partial *right, struct partial *ret, bool *ret_go_on)
{
	*ret_go_on = false;
	TRY(lower_any(lower, expr->args[0], left));
	TRY(lower_any(lower, expr->args[1], right));
	if (left->form == FORM_LOST || right->form == FORM_LOST) {
		*ret = (struct partial){ .form = FORM_LOST };
		return 0;
	}
	if (left->form == FORM_FAILS || right->form == FORM_FAILS)
		return fail(ret);
	if (left->form == FORM_ROW || right->form == FORM_ROW)
		return lose(lower, expr, "the row as a whole", ret);
	*ret_go_on = true;
	return 0;
}

static int pair_with(struct lower *lower, struct partial *left, struct partial *right,
                     struct partial *ret)
{
	struct arena *arena = lower->arena;
	if (left->form == FORM_VALUE && left->value.kind != CEDAR_BOOL)
		return pair(lower, rowfilter_const(arena, false),
		            rowfilter_either(arena, right->yes, right->no), ret);
	if (right->form == FORM_VALUE && right->value.kind != CEDAR_BOOL)
		return pair(lower, rowfilter_const(arena, false),
		            rowfilter_either(arena, left->yes, left->no), ret);
	TRY(as_pair(lower, left));
	TRY(as_pair(lower, right));
	return pair(lower,
	            rowfilter_either(arena, rowfilter_both(arena, left->yes, right->yes),
	                             rowfilter_both(arena, left->no, right->no)),
	            rowfilter_either(arena, rowfilter_both(arena, left->yes, right->no),
	                             rowfilter_both(arena, left->no, right->yes)),
	            ret);
}

static bool is_untold(const struct partial *partial)
{
	return partial->form == FORM_COLUMN && kind_of(partial->column) == CEDAR_RECORD;
}

static int equate(struct lower *lower, const struct cedar_expr *expr, struct partial *left,
                  struct partial *right, struct partial *ret)
{
	const struct partial *column = left->form == FORM_COLUMN ? left : right;
	const struct partial *other = left->form == FORM_COLUMN ? right : left;
	if (is_untold(left) || is_untold(right))
		return lose(lower, expr, "a column of a type that policies cannot compare", ret);
	if (column->form == FORM_COLUMN && other->form == FORM_COLUMN)
		return column_with_column(lower, expr, left->column, right->column, ret);
	if (column->form == FORM_COLUMN && other->form == FORM_VALUE)
		return column_with_value(lower, expr, column->column, &other->value, ret);
	if (column->form == FORM_COLUMN && kind_of(column->column) != CEDAR_BOOL)
		return lose(lower, expr, "a condition and a column", ret);
	return pair_with(lower, left, right, ret);
}

static int lower_eq(struct lower *lower, const struct cedar_expr *expr, struct partial *ret)
{
	struct partial left, right;
	bool go_on = false;
	TRY(lower_sides(lower, expr, &left, &right, ret, &go_on));
	if (!go_on)
		return 0;
	return equate(lower, expr, &left, &right, ret);
}

static int order(struct lower *lower, const struct cedar_expr *expr, const struct value *column,
                 const struct cedar_value *value, bool turned, struct partial *ret)
{
	static const char *const names[2][2][2] = { { { "le", "gt" }, { "lt", "ge" } },
		                                    { { "ge", "lt" }, { "gt", "le" } } };
	const char *const *ops = names[turned][expr->op == CEDAR_OP_LESS];
	enum cedar_kind kind = kind_of(column);
	bool fits = false;
	if (kind == CEDAR_RECORD)
		return lose(lower, expr, "a column of a type that policies cannot compare", ret);
	if ((kind != CEDAR_LONG && kind != CEDAR_DATETIME) || kind != value->kind)
		return fail(ret);
	const struct value *item = item_of(lower, value, &fits);
	if (!item)
		return no_room(lower);
	return pair(lower, on(lower, ops[0], column, item), on(lower, ops[1], column, item), ret);
}

static int lower_order(struct lower *lower, const struct cedar_expr *expr, struct partial *ret)
{
	struct partial left, right;
	bool go_on = false;
	TRY(lower_sides(lower, expr, &left, &right, ret, &go_on));
	if (!go_on)
		return 0;
	if (left.form == FORM_PAIR || right.form == FORM_PAIR)
		return fail(ret);
	if (left.form == FORM_COLUMN && right.form == FORM_COLUMN)
		return lose(lower, expr, "an order of two columns", ret);
	if (right.form == FORM_COLUMN)
		return order(lower, expr, right.column, &left.value, true, ret);
	return order(lower, expr, left.column, &right.value, false, ret);
}

/* --- tests of one column --- */

static int among(struct lower *lower, const struct value *column, const struct cedar_items *set,
                 const char *op, const struct value **ret_filter, bool *ret_fits)
{
	struct value *filter = rowfilter_on(lower->arena, op, name_of(column), NULL);
	*ret_fits = true;
	for (size_t i = 0; filter && i < set->count && *ret_fits; i++)
		if (set->items[i].kind == kind_of(column))
			value_add(filter, value_copy(lower->arena, item_of(lower, &set->items[i],
			                                                   ret_fits)));
	*ret_filter = filter;
	return filter ? 0 : no_room(lower);
}

static int lower_contains(struct lower *lower, const struct cedar_expr *expr, struct partial *ret)
{
	struct partial set, item;
	const struct value *in = NULL, *out = NULL;
	bool go_on = false, fits = false;
	TRY(lower_sides(lower, expr, &set, &item, ret, &go_on));
	if (!go_on)
		return 0;
	if (set.form != FORM_VALUE || item.form != FORM_COLUMN ||
	    kind_of(item.column) == CEDAR_RECORD)
		return lose(lower, expr, "contains other than of a column in a known set", ret);
	if (set.value.kind != CEDAR_SET)
		return fail(ret);
	TRY(among(lower, item.column, set.value.set, "in", &in, &fits));
	TRY(among(lower, item.column, set.value.set, "out", &out, &fits));
	if (!fits)
		return lose(lower, expr, "a text with a zero byte", ret);
	return pair(lower, in, rowfilter_both(lower->arena, some(lower, item.column), out), ret);
}

static int lower_like(struct lower *lower, const struct cedar_expr *expr, struct partial *ret)
{
	struct partial text;
	TRY(lower_any(lower, expr->args[0], &text));
	if (text.form == FORM_LOST || text.form == FORM_ROW)
		return lose(lower, expr, "like on what is no column", ret);
	if (text.form != FORM_COLUMN || kind_of(text.column) != CEDAR_STRING)
		return fail(ret);
	struct value *like = rowfilter_on(lower->arena, "like", name_of(text.column), NULL);
	struct value *unlike = rowfilter_on(lower->arena, "unlike", name_of(text.column), NULL);
	for (size_t i = 0; like && unlike && i < expr->pattern->count; i++) {
		struct cedar_str part = expr->pattern->parts[i];
		if (part.len && memchr(part.text, 0, part.len))
			return lose(lower, expr, "a text with a zero byte", ret);
		value_add(like, value_strn(lower->arena, part.text, part.len));
		value_add(unlike, value_strn(lower->arena, part.text, part.len));
	}
	if (!like || !unlike)
		return no_room(lower);
	return pair(lower, like, rowfilter_both(lower->arena, some(lower, text.column), unlike),
	            ret);
}

static int lower_attr(struct lower *lower, const struct cedar_expr *expr, struct partial *ret)
{
	bool asks = expr->op == CEDAR_OP_HAS_ATTR;
	if (asks_for_row(expr))
		return pair_of(lower, true, false, ret);
	*ret = (struct partial){ .form = FORM_ROW };
	if (is_row(expr))
		return 0;
	if (!is_row(expr->args[0]))
		return lose(lower, expr, "an attribute of what is in a column", ret);
	const struct value *column = column_of(lower, expr->name);
	if (!column)
		return asks ? pair_of(lower, false, true, ret) : fail(ret);
	if (asks)
		return pair(lower, some(lower, column),
		            rowfilter_not(lower->arena, some(lower, column)), ret);
	*ret = (struct partial){ .form = FORM_COLUMN, .column = column };
	return 0;
}

/* --- all of it --- */

static int lower_known(struct lower *lower, const struct cedar_expr *expr, struct partial *ret)
{
	*ret = (struct partial){ .form = FORM_VALUE };
	int rc = cedar_eval(lower->env, expr, &ret->value);
	return rc == E_NOMEM ? rc : rc < 0 ? fail(ret) : 0;
}

static int lower_any(struct lower *lower, const struct cedar_expr *expr, struct partial *ret)
{
	if (!touches(expr))
		return lower_known(lower, expr, ret);
	switch ((enum cedar_op)expr->op) {
	case CEDAR_OP_AND:
	case CEDAR_OP_OR:
		return lower_chain(lower, expr, ret);
	case CEDAR_OP_NOT:
		return lower_not(lower, expr, ret);
	case CEDAR_OP_IF:
		return lower_if(lower, expr, ret);
	case CEDAR_OP_EQ:
		return lower_eq(lower, expr, ret);
	case CEDAR_OP_LESS:
	case CEDAR_OP_LESS_EQ:
		return lower_order(lower, expr, ret);
	case CEDAR_OP_CONTAINS:
		return lower_contains(lower, expr, ret);
	case CEDAR_OP_LIKE:
		return lower_like(lower, expr, ret);
	case CEDAR_OP_GET_ATTR:
	case CEDAR_OP_HAS_ATTR:
		return lower_attr(lower, expr, ret);
	default:
		return lose(lower, expr, "an operator that no row filter has", ret);
	}
}

static int note_lost(struct lower *lower, const struct cedar_policy *policy,
                     struct cedar_rows *rows)
{
	struct cedar_place place = lower->at ? lower->at->place : policy->place;
	const char *reason =
		arena_printf(lower->arena, "line %u, column %u: %s cannot be asked of a row",
	                     place.line, place.column, lower->why);
	if (!reason)
		return no_room(lower);
	rows->lost[rows->lost_count++] = (struct cedar_failure){ policy, reason };
	return 0;
}

/* When a policy applies, as a filter; what cannot be said is the safe side. */
static int lower_policy(struct lower *lower, const struct cedar_policy *policy,
                        struct cedar_rows *rows, const struct value **ret_filter)
{
	struct partial partial = { .form = FORM_VALUE,
		                   .value = { .kind = CEDAR_BOOL, .b = true } };
	if (policy->condition)
		TRY(lower_any(lower, policy->condition, &partial));
	TRY(as_pair(lower, &partial));
	if (partial.form == FORM_PAIR && rowfilter_check(partial.yes, lower->schema, NULL) < 0)
		TRY(lose(lower, NULL, "a condition that is too long or too deep", &partial));
	if (partial.form == FORM_LOST)
		TRY(note_lost(lower, policy, rows));
	else if (!rowfilter_is(partial.yes, false))
		rows->reasons[rows->reason_count++] = policy;
	*ret_filter = partial.form == FORM_LOST ? rowfilter_const(lower->arena, policy->forbid)
	                                        : partial.yes;
	return *ret_filter ? 0 : no_room(lower);
}

/* What is too long or too deep lets no row through. */
static int bounded(struct lower *lower, const struct value *filter, const struct value **ret_filter)
{
	if (!filter || value_check(filter, NULL) < 0)
		return no_room(lower);
	if (rowfilter_check(filter, lower->schema, NULL) < 0)
		filter = rowfilter_const(lower->arena, false);
	*ret_filter = filter;
	return filter ? 0 : no_room(lower);
}

static int lower_all(struct lower *lower, const struct cedar_policy *const *policies, size_t count,
                     struct cedar_rows *rows)
{
	const struct value *permitted = rowfilter_const(lower->arena, false);
	const struct value *forbidden = permitted;
	for (size_t i = 0; i < count; i++) {
		const struct value *filter = NULL;
		TRY(lower_policy(lower, policies[i], rows, &filter));
		if (policies[i]->forbid)
			forbidden = rowfilter_either(lower->arena, forbidden, filter);
		else
			permitted = rowfilter_either(lower->arena, permitted, filter);
	}
	if (!permitted || !forbidden)
		return no_room(lower);
	TRY(bounded(lower, rowfilter_not(lower->arena, forbidden), &rows->spared));
	return bounded(lower, rowfilter_both(lower->arena, permitted, rows->spared), &rows->filter);
}

int cedar_set_rows(const struct cedar_set *set, struct arena *arena,
		   const struct cedar_request *request, const struct cedar_entities *entities,
		   const struct value *schema, struct cedar_rows *ret_rows, struct err *err)
{
	struct err failure = { 0 };
	struct cedar_env env;
	struct lower lower = { .arena = arena, .env = &env, .schema = schema };
	const struct cedar_policy **policies = NULL;
	struct cedar_rows rows = { 0 };
	size_t count = 0;
	TRY(cedar_set_concerned(set, arena, request, entities, &policies, &count, err));
	cedar_env_init(&env, arena, request, entities, &failure);
	rows.reasons = arena_alloc(arena, (count + 1) * sizeof *rows.reasons);
	rows.lost = arena_alloc(arena, (count + 1) * sizeof *rows.lost);
	if (!rows.reasons || !rows.lost ||
	    lower_all(&lower, policies, count, &rows) < 0)
		return err_set(err, E_NOMEM, "no memory left to make a row filter; no row may be "
		               "read");
	*ret_rows = rows;
	return 0;
}
