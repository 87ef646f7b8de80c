/* cedar_parse_expr.c - one function a rule of the expression grammar. Recursion passes through
 * read() alone, which counts it. */
#include "common/defs.h"
#include "policy/cedar_parse.h"

#include "policy/cedar_lex.h"

enum { UNARY_MAX = 4 };

struct parser {
	struct cedar_lexer *lexer;
	int nesting;
};

typedef const struct cedar_expr *expr_ref;

static int read(struct parser *parser, expr_ref *ret);
static int read_or(struct parser *parser, expr_ref *ret);

static int no_room(struct parser *parser)
{
	return err_set(parser->lexer->err, E_NOMEM, "no memory left for the policies; send fewer "
		"or smaller ones");
}

static struct cedar_place here(const struct parser *parser)
{
	return parser->lexer->token.place;
}

static int make(struct parser *parser, enum cedar_op op, struct cedar_place place,
		const expr_ref *args, size_t count, struct cedar_expr **ret)
{
	return cedar_expr_make(parser->lexer, op, place, args, count, ret);
}

static int make_ref(struct parser *parser, enum cedar_op op, struct cedar_place place,
		    const expr_ref *args, size_t count, expr_ref *ret)
{
	struct cedar_expr *expr = NULL;
	TRY(make(parser, op, place, args, count, &expr));
	*ret = expr;
	return 0;
}

static int make_named(struct parser *parser, enum cedar_op op, struct cedar_place place,
		      expr_ref of, struct cedar_str name, expr_ref *ret)
{
	struct cedar_expr *expr = NULL;
	TRY(make(parser, op, place, &of, 1, &expr));
	expr->name = name;
	*ret = expr;
	return 0;
}

static int literal(struct parser *parser, struct cedar_place place, struct cedar_value value,
		   expr_ref *ret)
{
	struct cedar_expr *expr = NULL;
	TRY(make(parser, CEDAR_OP_LITERAL, place, NULL, 0, &expr));
	expr->value = value;
	*ret = expr;
	return 0;
}

/* Comma-separated expressions up to the closing symbol, and past it. */
static int read_list(struct parser *parser, int close, expr_ref **ret_items, size_t *ret_count)
{
	expr_ref *items = NULL;
	size_t count = 0;
	while (!cedar_lex_is(parser->lexer, close)) {
		items = cedar_grow(parser->lexer->arena, items, count, sizeof *items);
		if (!items)
			return no_room(parser);
		TRY(read(parser, &items[count]));
		count++;
		int comma = cedar_lex_accept(parser->lexer, ',');
		TRY(comma);
		if (!comma)
			break;
	}
	*ret_items = items;
	*ret_count = count;
	return cedar_lex_expect(parser->lexer, close, close == ')' ? "`,` or `)`" : "`,` or `]`");
}

static int read_set(struct parser *parser, struct cedar_place place, expr_ref *ret)
{
	expr_ref *items = NULL;
	size_t count = 0;
	struct cedar_expr *expr = NULL;
	TRY(cedar_lex_advance(parser->lexer));
	TRY(read_list(parser, ']', &items, &count));
	TRY(make(parser, CEDAR_OP_SET, place, items, count, &expr));
	TRY(cedar_expr_fold(parser->lexer, expr));
	*ret = expr;
	return 0;
}

static int check_names(struct parser *parser, struct cedar_place place,
		       const struct cedar_str *names, size_t count)
{
	struct cedar_field *fields = arena_alloc(parser->lexer->arena,
	                                         (count + 1) * sizeof *fields);
	const struct cedar_record *unused = NULL;
	if (!fields)
		return no_room(parser);
	for (size_t i = 0; i < count; i++)
		fields[i].name = names[i];
	int rc = cedar_record_new(parser->lexer->arena, fields, count, &unused, parser->lexer->err);
	if (rc < 0)
		return err_prefix(parser->lexer->err, "line %u, column %u", place.line,
		                  place.column);
	return 0;
}

static int read_record(struct parser *parser, struct cedar_place place, expr_ref *ret)
{
	struct cedar_lexer *lexer = parser->lexer;
	struct cedar_expr *expr = NULL;
	struct cedar_str *names = NULL;
	expr_ref *items = NULL;
	size_t count = 0;
	TRY(cedar_lex_advance(lexer));
	while (!cedar_lex_is(lexer, '}')) {
		items = cedar_grow(lexer->arena, items, count, sizeof *items);
		names = cedar_grow(lexer->arena, names, count, sizeof *names);
		if (!items || !names)
			return no_room(parser);
		TRY(cedar_lex_name(lexer, &names[count]));
		TRY(cedar_lex_expect(lexer, ':', "`:` after a record's name"));
		TRY(read(parser, &items[count]));
		count++;
		int comma = cedar_lex_accept(lexer, ',');
		TRY(comma);
		if (!comma)
			break;
	}
	TRY(cedar_lex_expect(lexer, '}', "`,` or `}`"));
	TRY(check_names(parser, place, names, count));
	TRY(make(parser, CEDAR_OP_RECORD, place, items, count, &expr));
	expr->names = names;
	TRY(cedar_expr_fold(lexer, expr));
	*ret = expr;
	return 0;
}

/* Digits as a long; -n when negated. */
static int read_number(struct parser *parser, bool negated, expr_ref *ret)
{
	struct cedar_str digits = parser->lexer->token.text;
	int64_t n = 0;
	for (size_t i = 0; i < digits.len; i++)
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_sub_overflow(n, digits.text[i] - '0', &n))
			return cedar_lex_refuse(parser->lexer, "a number is outside 64 bits");
	if (!negated && n == INT64_MIN)
		return cedar_lex_refuse(parser->lexer, "a number is outside 64 bits");
	struct cedar_value value = { .kind = CEDAR_LONG, .i = negated ? n : -n };
	TRY(literal(parser, here(parser), value, ret));
	return cedar_lex_advance(parser->lexer);
}

static int call(struct parser *parser, struct cedar_place place, struct cedar_str name, bool method,
		const expr_ref *args, size_t count, expr_ref *ret)
{
	const struct cedar_function *function = cedar_function_find(name);
	struct cedar_expr *expr = NULL;
	if (!function || function->method != method)
		return cedar_lex_refuse(parser->lexer, "`%s` is no %s of Cedar",
		                        cedar_str_show(parser->lexer->arena, name),
		                        method ? "method" : "function");
	TRY(make(parser, CEDAR_OP_CALL, place, args, count, &expr));
	expr->function = function;
	TRY(cedar_expr_fold(parser->lexer, expr));
	*ret = expr;
	return 0;
}

static int read_path(struct parser *parser, expr_ref *ret)
{
	struct cedar_lexer *lexer = parser->lexer;
	struct cedar_place place = here(parser);
	struct cedar_str path;
	TRY(cedar_lex_path(lexer, &path));
	if (cedar_lex_is(lexer, '(')) {
		expr_ref *args = NULL;
		size_t count = 0;
		TRY(cedar_lex_advance(lexer));
		TRY(read_list(parser, ')', &args, &count));
		return call(parser, place, path, false, args, count, ret);
	}
	struct cedar_str id;
	TRY(cedar_lex_expect(lexer, CEDAR_TWO(':', ':'), "an operator, `::\"id\"` or `(...)`; a "
		"name alone means nothing"));
	TRY(cedar_lex_string(lexer, &id));
	struct cedar_uid *uid = arena_alloc(lexer->arena, sizeof *uid);
	if (!uid)
		return no_room(parser);
	cedar_uid_init(uid, path, id);
	return literal(parser, place, (struct cedar_value){ .kind = CEDAR_ENTITY, .uid = uid },
		ret);
}

static int read_var(struct parser *parser, expr_ref *ret, bool *ret_found)
{
	static const char *const names[] = {
		[CEDAR_PRINCIPAL] = "principal", [CEDAR_ACTION] = "action",
		[CEDAR_RESOURCE] = "resource", [CEDAR_CONTEXT] = "context",
	};
	struct cedar_expr *expr = NULL;
	int next = parser->lexer->next.kind;
	*ret_found = false;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (!cedar_lex_is_word(parser->lexer, names[i]) || next == CEDAR_TWO(':', ':') ||
		    next == '(')
			continue;
		TRY(make(parser, CEDAR_OP_VAR, here(parser), NULL, 0, &expr));
		expr->var = (uint8_t)i;
		*ret = expr;
		*ret_found = true;
		return cedar_lex_advance(parser->lexer);
	}
	return 0;
}

static int read_word(struct parser *parser, expr_ref *ret)
{
	struct cedar_lexer *lexer = parser->lexer;
	struct cedar_place place = here(parser);
	bool yes = cedar_lex_is_word(lexer, "true"), found = false;
	if (yes || cedar_lex_is_word(lexer, "false")) {
		TRY(cedar_lex_advance(lexer));
		return literal(parser, place,
		               (struct cedar_value){ .kind = CEDAR_BOOL, .b = yes }, ret);
	}
	TRY(read_var(parser, ret, &found));
	return found ? 0 : read_path(parser, ret);
}

static int read_parentheses(struct parser *parser, expr_ref *ret)
{
	TRY(cedar_lex_advance(parser->lexer));
	TRY(read(parser, ret));
	return cedar_lex_expect(parser->lexer, ')', "an operator or `)`");
}

static int read_primary(struct parser *parser, expr_ref *ret)
{
	struct cedar_place place = here(parser);
	struct cedar_value value = { .kind = CEDAR_STRING };
	switch (parser->lexer->token.kind) {
	case CEDAR_IDENT: return read_word(parser, ret);
	case CEDAR_NUMBER: return read_number(parser, false, ret);
	case CEDAR_TEXT:
		TRY(cedar_lex_string(parser->lexer, &value.str));
		return literal(parser, place, value, ret);
	case '(': return read_parentheses(parser, ret);
	case '[': return read_set(parser, place, ret);
	case '{': return read_record(parser, place, ret);
	case '?': return cedar_lex_refuse(parser->lexer, "a slot stands outside the scope; slots "
	                                  "belong into `principal` and `resource`");
	default: return cedar_lex_refuse(parser->lexer, "expected an expression");
	}
}

static int read_method(struct parser *parser, struct cedar_place place, struct cedar_str name,
		       expr_ref of, expr_ref *ret)
{
	static const struct { const char *name; uint8_t op, count; } methods[] = {
		{ "contains", CEDAR_OP_CONTAINS, 2 }, { "containsAll", CEDAR_OP_CONTAINS_ALL, 2 },
		{ "containsAny", CEDAR_OP_CONTAINS_ANY, 2 }, { "isEmpty", CEDAR_OP_IS_EMPTY, 1 },
		{ "getTag", CEDAR_OP_GET_TAG, 2 }, { "hasTag", CEDAR_OP_HAS_TAG, 2 },
	};
	expr_ref *args = NULL;
	size_t count = 0;
	TRY(cedar_lex_advance(parser->lexer));
	TRY(read_list(parser, ')', &args, &count));
	expr_ref *all = arena_alloc(parser->lexer->arena, (count + 1) * sizeof *all);
	if (!all)
		return no_room(parser);
	all[0] = of;
	for (size_t i = 0; i < count; i++)
		all[i + 1] = args[i];
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		if (!cedar_str_is(name, methods[i].name))
			continue;
		if (count + 1 != methods[i].count)
			return cedar_lex_refuse(parser->lexer, "`%s` takes %d argument(s), not %zu",
			                        methods[i].name, methods[i].count - 1, count);
		return make_ref(parser, methods[i].op, place, all, count + 1, ret);
	}
	return call(parser, place, name, true, all, count + 1, ret);
}

static int read_index(struct parser *parser, struct cedar_place place, expr_ref of, expr_ref *ret)
{
	struct cedar_str name;
	TRY(cedar_lex_advance(parser->lexer));
	TRY(cedar_lex_string(parser->lexer, &name));
	TRY(cedar_lex_expect(parser->lexer, ']', "`]`"));
	return make_named(parser, CEDAR_OP_GET_ATTR, place, of, name, ret);
}

static int read_member(struct parser *parser, expr_ref *ret)
{
	struct cedar_lexer *lexer = parser->lexer;
	expr_ref expr = NULL;
	TRY(read_primary(parser, &expr));
	for (;;) {
		struct cedar_place place = here(parser);
		struct cedar_str name;
		if (cedar_lex_is(lexer, '[')) {
			TRY(read_index(parser, place, expr, &expr));
			continue;
		}
		int dot = cedar_lex_accept(lexer, '.');
		TRY(dot);
		if (!dot)
			break;
		TRY(cedar_lex_ident(lexer, &name));
		if (cedar_lex_is(lexer, '('))
			TRY(read_method(parser, place, name, expr, &expr));
		else
			TRY(make_named(parser, CEDAR_OP_GET_ATTR, place, expr, name, &expr));
	}
	*ret = expr;
	return 0;
}

static int read_unary(struct parser *parser, expr_ref *ret)
{
	struct cedar_lexer *lexer = parser->lexer;
	struct cedar_place place = here(parser);
	int sign = lexer->token.kind, count = 0;
	bool minus = sign == '-';
	expr_ref expr = NULL;
	for (; (minus || sign == '!') && cedar_lex_is(lexer, sign); count++) {
		if (count == UNARY_MAX)
			return cedar_lex_refuse(lexer, "more than %d signs in a row", UNARY_MAX);
		TRY(cedar_lex_advance(lexer));
	}
	if (minus && cedar_lex_is(lexer, CEDAR_NUMBER) && lexer->next.kind != '.' &&
	    lexer->next.kind != '[') {
		TRY(read_number(parser, true, &expr));
		count--;
	} else {
		TRY(read_member(parser, &expr));
	}
	for (; count; count--)
		TRY(make_ref(parser, minus ? CEDAR_OP_NEG : CEDAR_OP_NOT, place, &expr, 1, &expr));
	*ret = expr;
	return 0;
}

static int read_product(struct parser *parser, expr_ref *ret)
{
	expr_ref sides[2] = { NULL, NULL };
	TRY(read_unary(parser, &sides[0]));
	while (cedar_lex_is(parser->lexer, '*')) {
		struct cedar_place place = here(parser);
		TRY(cedar_lex_advance(parser->lexer));
		TRY(read_unary(parser, &sides[1]));
		TRY(make_ref(parser, CEDAR_OP_MUL, place, sides, 2, &sides[0]));
	}
	*ret = sides[0];
	return 0;
}

static int read_sum(struct parser *parser, expr_ref *ret)
{
	expr_ref sides[2] = { NULL, NULL };
	TRY(read_product(parser, &sides[0]));
	for (;;) {
		struct cedar_place place = here(parser);
		bool plus = cedar_lex_is(parser->lexer, '+');
		if (!plus && !cedar_lex_is(parser->lexer, '-'))
			break;
		TRY(cedar_lex_advance(parser->lexer));
		TRY(read_product(parser, &sides[1]));
		TRY(make_ref(parser, plus ? CEDAR_OP_ADD : CEDAR_OP_SUB, place, sides, 2,
		             &sides[0]));
	}
	*ret = sides[0];
	return 0;
}

/* `x has a.b.c` is `x has a && x.a has b && x.a.b has c`. */
static int read_has(struct parser *parser, struct cedar_place place, expr_ref of, expr_ref *ret)
{
	struct cedar_lexer *lexer = parser->lexer;
	struct cedar_str name;
	expr_ref *all = NULL;
	size_t count = 0;
	bool path = !cedar_lex_is(lexer, CEDAR_TEXT);
	TRY(cedar_lex_name(lexer, &name));
	for (;;) {
		all = cedar_grow(lexer->arena, all, count, sizeof *all);
		if (!all)
			return no_room(parser);
		TRY(make_named(parser, CEDAR_OP_HAS_ATTR, place, of, name, &all[count++]));
		int dot = path ? cedar_lex_accept(lexer, '.') : 0;
		TRY(dot);
		if (!dot)
			break;
		TRY(make_named(parser, CEDAR_OP_GET_ATTR, place, of, name, &of));
		TRY(cedar_lex_ident(lexer, &name));
	}
	if (count > 1)
		return make_ref(parser, CEDAR_OP_AND, place, all, count, ret);
	*ret = all[0];
	return 0;
}

static int read_like(struct parser *parser, struct cedar_place place, expr_ref of, expr_ref *ret)
{
	struct cedar_expr *expr = NULL;
	TRY(make(parser, CEDAR_OP_LIKE, place, &of, 1, &expr));
	TRY(cedar_lex_pattern(parser->lexer, &expr->pattern));
	*ret = expr;
	return 0;
}

/* `x is T in y` is `x is T && x in y`. */
static int read_is(struct parser *parser, struct cedar_place place, expr_ref of, expr_ref *ret)
{
	struct cedar_str type;
	expr_ref both[2] = { NULL, NULL }, sides[2] = { of, NULL };
	TRY(cedar_lex_path(parser->lexer, &type));
	TRY(make_named(parser, CEDAR_OP_IS, place, of, type, &both[0]));
	int in = cedar_lex_accept_word(parser->lexer, "in");
	TRY(in);
	if (!in) {
		*ret = both[0];
		return 0;
	}
	TRY(read_sum(parser, &sides[1]));
	TRY(make_ref(parser, CEDAR_OP_IN, place, sides, 2, &both[1]));
	return make_ref(parser, CEDAR_OP_AND, place, both, 2, ret);
}

struct relation {
	int kind;                /* of the token; CEDAR_IDENT: `in` */
	uint8_t op;
	bool swap, negate;
};

static const struct relation *relation_ahead(const struct parser *parser)
{
	static const struct relation relations[] = {
		{ CEDAR_TWO('=', '='), CEDAR_OP_EQ, false, false },
		{ CEDAR_TWO('!', '='), CEDAR_OP_EQ, false, true },
		{ '<', CEDAR_OP_LESS, false, false },
		{ CEDAR_TWO('<', '='), CEDAR_OP_LESS_EQ, false, false },
		{ '>', CEDAR_OP_LESS, true, false },
		{ CEDAR_TWO('>', '='), CEDAR_OP_LESS_EQ, true, false },
		{ CEDAR_IDENT, CEDAR_OP_IN, false, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(relations); i++)
		if (cedar_lex_is(parser->lexer, relations[i].kind) &&
		    (relations[i].kind != CEDAR_IDENT || cedar_lex_is_word(parser->lexer, "in")))
			return &relations[i];
	return NULL;
}

static int read_relation(struct parser *parser, expr_ref *ret)
{
	struct cedar_lexer *lexer = parser->lexer;
	static const struct {
		const char *word;
		int (*read)(struct parser *, struct cedar_place, expr_ref, expr_ref *);
	} words[] = { { "has", read_has }, { "like", read_like }, { "is", read_is } };
	expr_ref left = NULL, right = NULL;
	TRY(read_sum(parser, &left));
	struct cedar_place place = here(parser);
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		int found = cedar_lex_accept_word(lexer, words[i].word);
		TRY(found);
		if (found)
			return words[i].read(parser, place, left, ret);
	}
	const struct relation *relation = relation_ahead(parser);
	if (!relation) {
		*ret = left;
		return 0;
	}
	TRY(cedar_lex_advance(lexer));
	TRY(read_sum(parser, &right));
	expr_ref sides[2] = { relation->swap ? right : left, relation->swap ? left : right };
	TRY(make_ref(parser, relation->op, place, sides, 2, ret));
	if (relation_ahead(parser))
		return cedar_lex_refuse(lexer, "comparisons do not chain; join them with &&");
	return relation->negate ? make_ref(parser, CEDAR_OP_NOT, place, ret, 1, ret) : 0;
}

/* Operands of && or || as one node, so that long chains are not deep. */
static int read_chain(struct parser *parser, int symbol, enum cedar_op op,
		      int (*part)(struct parser *, expr_ref *), expr_ref *ret)
{
	struct cedar_place place = here(parser);
	expr_ref *items = NULL;
	size_t count = 0;
	for (;;) {
		items = cedar_grow(parser->lexer->arena, items, count, sizeof *items);
		if (!items)
			return no_room(parser);
		TRY(part(parser, &items[count++]));
		int more = cedar_lex_accept(parser->lexer, symbol);
		TRY(more);
		if (!more)
			break;
	}
	if (count > 1)
		return make_ref(parser, op, place, items, count, ret);
	*ret = items[0];
	return 0;
}

static int read_and(struct parser *parser, expr_ref *ret)
{
	return read_chain(parser, CEDAR_TWO('&', '&'), CEDAR_OP_AND, read_relation, ret);
}

static int read_or(struct parser *parser, expr_ref *ret)
{
	return read_chain(parser, CEDAR_TWO('|', '|'), CEDAR_OP_OR, read_and, ret);
}

static int read_if(struct parser *parser, expr_ref *ret)
{
	struct cedar_place place = here(parser);
	expr_ref parts[3] = { NULL, NULL, NULL };
	TRY(cedar_lex_advance(parser->lexer));
	TRY(read(parser, &parts[0]));
	TRY(cedar_lex_expect_word(parser->lexer, "then"));
	TRY(read(parser, &parts[1]));
	TRY(cedar_lex_expect_word(parser->lexer, "else"));
	TRY(read(parser, &parts[2]));
	return make_ref(parser, CEDAR_OP_IF, place, parts, 3, ret);
}

static int read(struct parser *parser, expr_ref *ret)
{
	if (++parser->nesting > CEDAR_DEPTH_MAX)
		return cedar_lex_refuse(parser->lexer, "an expression nests deeper than %d levels; "
		                        "split the policy", CEDAR_DEPTH_MAX);
	TRY(cedar_lex_is_word(parser->lexer, "if") ? read_if(parser, ret) : read_or(parser, ret));
	parser->nesting--;
	return 0;
}

int cedar_expr_read(struct cedar_lexer *lexer, const struct cedar_expr **ret_expr)
{
	struct parser parser = { lexer, 0 };
	return read(&parser, ret_expr);
}

int cedar_parse_expr(struct arena *arena, const char *text, size_t len,
		     const struct cedar_expr **ret_expr, struct err *err)
{
	struct cedar_lexer lexer;
	const struct cedar_expr *expr = NULL;
	TRY(cedar_lex_start(&lexer, arena, text, len, err));
	TRY(cedar_expr_read(&lexer, &expr));
	if (!cedar_lex_is(&lexer, CEDAR_END))
		return cedar_lex_refuse(&lexer, "expected the end of the expression");
	*ret_expr = expr;
	return 0;
}
