/* cedar_expr.c - builds expression nodes. Invariants: depth is one more than the deepest
 * operand's and at most CEDAR_DEPTH_MAX, which bounds every later recursion; folded nodes hold
 * their value. */
#include "common/defs.h"
#include "policy/cedar_parse.h"

#include "policy/cedar_lex.h"

#include <string.h>

static int no_room(struct cedar_lexer *lexer)
{
	return err_set(lexer->err, E_NOMEM, "no memory left for the policies; send fewer or "
	               "smaller ones");
}

int cedar_expr_make(struct cedar_lexer *lexer, enum cedar_op op, struct cedar_place place,
		    const struct cedar_expr *const *args, size_t count,
		    struct cedar_expr **ret_expr)
{
	struct cedar_expr *expr = arena_alloc(lexer->arena, sizeof *expr);
	if (!expr)
		return no_room(lexer);
	*expr = (struct cedar_expr){ .op = (uint8_t)op, .depth = 1, .place = place,
		.count = (uint32_t)count };
	if (count) {
		expr->args = arena_alloc(lexer->arena, count * sizeof *expr->args);
		if (!expr->args)
			return no_room(lexer);
		memcpy(expr->args, args, count * sizeof *expr->args);
	}
	for (size_t i = 0; i < count; i++)
		if (args[i]->depth >= expr->depth)
			expr->depth = (uint16_t)(args[i]->depth + 1);
	if (expr->depth > CEDAR_DEPTH_MAX)
		return cedar_lex_refuse(lexer, "an expression nests deeper than %d levels; split "
		                        "the policy", CEDAR_DEPTH_MAX);
	*ret_expr = expr;
	return 0;
}

static bool is_constant(const struct cedar_expr *expr)
{
	return expr->op == CEDAR_OP_LITERAL || expr->folded;
}

static int fold_set(struct cedar_lexer *lexer, struct cedar_expr *expr)
{
	struct cedar_value *values = arena_alloc(lexer->arena, (expr->count + 1) * sizeof *values);
	if (!values)
		return no_room(lexer);
	for (uint32_t i = 0; i < expr->count; i++)
		values[i] = expr->args[i]->value;
	expr->value.kind = CEDAR_SET;
	expr->folded = true;
	return cedar_items_new(lexer->arena, values, expr->count, &expr->value.set, lexer->err);
}

static int fold_record(struct cedar_lexer *lexer, struct cedar_expr *expr)
{
	struct cedar_field *fields = arena_alloc(lexer->arena, (expr->count + 1) * sizeof *fields);
	if (!fields)
		return no_room(lexer);
	for (uint32_t i = 0; i < expr->count; i++)
		fields[i] = (struct cedar_field){ expr->names[i], expr->args[i]->value };
	expr->value.kind = CEDAR_RECORD;
	expr->folded = true;
	return cedar_record_new(lexer->arena, fields, expr->count, &expr->value.record,
	                        lexer->err);
}

/* A constructor over text that does not parse stays a call: it fails when it is evaluated. */
static int fold_call(struct cedar_lexer *lexer, struct cedar_expr *expr)
{
	const struct cedar_function *function = expr->function;
	if (!cedar_function_makes(function) || expr->count != 1 ||
	    expr->args[0]->op != CEDAR_OP_LITERAL || expr->args[0]->value.kind != CEDAR_STRING)
		return 0;
	int rc = cedar_function_call(function, lexer->arena, &expr->args[0]->value, &expr->value,
	                             NULL);
	if (rc == E_NOMEM)
		return no_room(lexer);
	expr->folded = rc == 0;
	return 0;
}

int cedar_expr_fold(struct cedar_lexer *lexer, struct cedar_expr *expr)
{
	for (uint32_t i = 0; i < expr->count; i++)
		if (!is_constant(expr->args[i]))
			return 0;
	if (expr->op == CEDAR_OP_SET)
		return fold_set(lexer, expr);
	if (expr->op == CEDAR_OP_RECORD)
		return fold_record(lexer, expr);
	return expr->op == CEDAR_OP_CALL ? fold_call(lexer, expr) : 0;
}
