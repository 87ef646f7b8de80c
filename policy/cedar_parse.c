/* cedar_parse.c - policies: annotations, effect, scope, conditions. */
#include "common/defs.h"
#include "policy/cedar_parse.h"

#include "policy/cedar_lex.h"

#include <string.h>

static int no_room(struct cedar_lexer *lexer)
{
	return err_set(lexer->err, E_NOMEM, "no memory left for the policies; send fewer or "
	               "smaller ones");
}

int cedar_uid_read(struct cedar_lexer *lexer, const struct cedar_uid **ret_uid)
{
	struct cedar_str type, id;
	TRY(cedar_lex_path(lexer, &type));
	TRY(cedar_lex_expect(lexer, CEDAR_TWO(':', ':'), "`::\"id\"` after an entity's type"));
	TRY(cedar_lex_string(lexer, &id));
	struct cedar_uid *uid = arena_alloc(lexer->arena, sizeof *uid);
	if (!uid)
		return no_room(lexer);
	cedar_uid_init(uid, type, id);
	*ret_uid = uid;
	return 0;
}

static int add_uid(struct cedar_lexer *lexer, struct cedar_scope *scope)
{
	const struct cedar_uid **uids = (const struct cedar_uid **)(uintptr_t)scope->uids;
	uids = cedar_grow(lexer->arena, uids, scope->count, sizeof *uids);
	if (!uids)
		return no_room(lexer);
	TRY(cedar_uid_read(lexer, &uids[scope->count]));
	scope->uids = uids;
	scope->count++;
	return 0;
}

/* An entity, or the slot named like the variable. */
static int read_target(struct cedar_lexer *lexer, const char *var, struct cedar_scope *scope)
{
	scope->place = lexer->token.place;
	int slot = cedar_lex_accept(lexer, '?');
	TRY(slot);
	if (!slot)
		return add_uid(lexer, scope);
	scope->slot = true;
	return cedar_lex_expect_word(lexer, var);
}

static int read_is(struct cedar_lexer *lexer, const char *var, struct cedar_scope *scope)
{
	scope->kind = CEDAR_SCOPE_IS;
	scope->place = lexer->token.place;
	TRY(cedar_lex_path(lexer, &scope->type));
	int in = cedar_lex_accept_word(lexer, "in");
	TRY(in);
	if (!in)
		return 0;
	scope->kind = CEDAR_SCOPE_IS_IN;
	const struct cedar_place place = scope->place;
	TRY(read_target(lexer, var, scope));
	scope->place = place;
	return 0;
}

/* principal, resource */
static int read_scope(struct cedar_lexer *lexer, const char *var, struct cedar_scope *scope)
{
	TRY(cedar_lex_expect_word(lexer, var));
	int equal = cedar_lex_accept(lexer, CEDAR_TWO('=', '='));
	TRY(equal);
	int in = equal ? 0 : cedar_lex_accept_word(lexer, "in");
	TRY(in);
	if (equal || in) {
		scope->kind = equal ? CEDAR_SCOPE_EQ : CEDAR_SCOPE_IN;
		return read_target(lexer, var, scope);
	}
	int is = cedar_lex_accept_word(lexer, "is");
	TRY(is);
	return is ? read_is(lexer, var, scope) : 0;
}

static bool is_action_type(struct cedar_str type)
{
	static const struct cedar_str action = { "Action", 6 };
	if (type.len < action.len || memcmp(type.text + type.len - action.len, action.text,
	                                    action.len) != 0)
		return false;
	return type.len == action.len || type.text[type.len - action.len - 1] == ':';
}

static int read_action_list(struct cedar_lexer *lexer, struct cedar_scope *scope)
{
	int list = cedar_lex_accept(lexer, '[');
	TRY(list);
	if (!list)
		return add_uid(lexer, scope);
	while (!cedar_lex_is(lexer, ']')) {
		TRY(add_uid(lexer, scope));
		int comma = cedar_lex_accept(lexer, ',');
		TRY(comma);
		if (!comma)
			break;
	}
	return cedar_lex_expect(lexer, ']', "`,` or `]`");
}

static int read_action(struct cedar_lexer *lexer, struct cedar_scope *scope)
{
	TRY(cedar_lex_expect_word(lexer, "action"));
	int equal = cedar_lex_accept(lexer, CEDAR_TWO('=', '='));
	TRY(equal);
	if (equal) {
		scope->kind = CEDAR_SCOPE_EQ;
		scope->place = lexer->token.place;
		TRY(add_uid(lexer, scope));
	} else {
		int in = cedar_lex_accept_word(lexer, "in");
		TRY(in);
		if (!in)
			return 0;
		scope->kind = CEDAR_SCOPE_IN;
		scope->place = lexer->token.place;
		TRY(read_action_list(lexer, scope));
	}
	for (size_t i = 0; i < scope->count; i++)
		if (!is_action_type(scope->uids[i]->type))
			return cedar_lex_refuse(lexer, "the action's scope names an entity that is "
				"no Action");
	return 0;
}

static int read_clause(struct cedar_lexer *lexer, bool unless, const struct cedar_expr **ret)
{
	struct cedar_place place = lexer->token.place;
	const struct cedar_expr *expr = NULL;
	struct cedar_expr *negated = NULL;
	TRY(cedar_lex_expect(lexer, '{', "`{` after when or unless"));
	TRY(cedar_expr_read(lexer, &expr));
	TRY(cedar_lex_expect(lexer, '}', "an operator or `}`"));
	if (unless) {
		TRY(cedar_expr_make(lexer, CEDAR_OP_NOT, place, &expr, 1, &negated));
		expr = negated;
	}
	*ret = expr;
	return 0;
}

/* Each clause must be boolean even when it stands alone, which the evaluator checks. */
static int read_conditions(struct cedar_lexer *lexer, const struct cedar_expr **ret)
{
	const struct cedar_expr **all = NULL;
	struct cedar_expr *joined = NULL;
	struct cedar_place place = lexer->token.place;
	size_t count = 0;
	for (;;) {
		int when = cedar_lex_accept_word(lexer, "when");
		TRY(when);
		int unless = when ? 0 : cedar_lex_accept_word(lexer, "unless");
		TRY(unless);
		if (!when && !unless)
			break;
		all = cedar_grow(lexer->arena, all, count, sizeof *all);
		if (!all)
			return no_room(lexer);
		TRY(read_clause(lexer, unless, &all[count++]));
	}
	if (count > 1) {
		TRY(cedar_expr_make(lexer, CEDAR_OP_AND, place, all, count, &joined));
		*ret = joined;
	} else if (count) {
		*ret = all[0];
	}
	return 0;
}

static int read_effect(struct cedar_lexer *lexer, bool *ret_forbid)
{
	int permit = cedar_lex_accept_word(lexer, "permit");
	TRY(permit);
	*ret_forbid = !permit;
	return permit ? 0 : cedar_lex_expect_word(lexer, "forbid");
}

static int read_policy(struct cedar_lexer *lexer, size_t number, struct cedar_policy *policy)
{
	char *id = arena_printf(lexer->arena, "policy%zu", number);
	if (!id)
		return no_room(lexer);
	*policy = (struct cedar_policy){ .id = cedar_str(id), .place = lexer->token.place };
	TRY(cedar_lex_annotations(lexer, &policy->annotations, &policy->annotation_count));
	TRY(read_effect(lexer, &policy->forbid));
	TRY(cedar_lex_expect(lexer, '(', "`(`"));
	TRY(read_scope(lexer, "principal", &policy->principal));
	TRY(cedar_lex_expect(lexer, ',', "`,` after the principal's scope"));
	TRY(read_action(lexer, &policy->action));
	TRY(cedar_lex_expect(lexer, ',', "`,` after the action's scope"));
	TRY(read_scope(lexer, "resource", &policy->resource));
	int comma = cedar_lex_accept(lexer, ',');
	TRY(comma);
	TRY(cedar_lex_expect(lexer, ')', "`)` after the resource's scope"));
	TRY(read_conditions(lexer, &policy->condition));
	return cedar_lex_expect(lexer, ';', "when, unless or `;`");
}

int cedar_parse_policies(struct arena *arena, const char *text, size_t len,
			 struct cedar_policies *ret_policies, struct err *err)
{
	struct cedar_lexer lexer;
	struct cedar_policies all = { 0, NULL };
	TRY(cedar_lex_start(&lexer, arena, text, len, err));
	while (!cedar_lex_is(&lexer, CEDAR_END)) {
		all.items = cedar_grow(arena, all.items, all.count, sizeof *all.items);
		if (!all.items)
			return no_room(&lexer);
		TRY(read_policy(&lexer, all.count, &all.items[all.count]));
		all.count++;
	}
	*ret_policies = all;
	return 0;
}
