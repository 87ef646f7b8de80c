/* test_cedar_parse.c - the grammar: what is refused and where, precedence, templates, bounds. */
#include "common/defs.h"
#include "common/buf.h"
#include "policy/cedar_ast.h"
#include "policy/cedar_lex.h"
#include "policy/cedar_parse.h"

#include <criterion/criterion.h>
#include <string.h>

static struct arena *arena;
static struct err err;

static void start(void)
{
	cr_assert_eq(arena_new(64 * MIB, &arena, &err), 0);
}

static void stop(void)
{
	arena_free(arena);
}

TestSuite(cedar_parse, .init = start, .fini = stop);

static const struct cedar_expr *expr(const char *text)
{
	const struct cedar_expr *parsed = NULL;
	cr_assert_eq(cedar_parse_expr(arena, text, strlen(text), &parsed, &err), 0, "%s: %s", text,
	             err.text);
	return parsed;
}

static struct cedar_policies policies(const char *text)
{
	struct cedar_policies parsed;
	cr_assert_eq(cedar_parse_policies(arena, text, strlen(text), &parsed, &err), 0, "%s: %s",
	             text, err.text);
	return parsed;
}

Test(cedar_parse, binds_operators_as_the_grammar_says)
{
	static const char *const same[][2] = {
		{ "1 + 2 * 3", "1 + (2 * 3)" }, { "1 - 2 - 3", "(1 - 2) - 3" },
		{ "true || false && true", "true || (false && true)" },
		{ "1 + 2 < 4 && true", "((1 + 2) < 4) && true" },
		{ "context.a.b == 1", "((context.a).b) == 1" },
		{ "context has a.b", "context has a && context.a has b" },
		{ "context[\"a\"]", "context.a" }, { "1 > 2", "2 < 1" }, { "1 >= 2", "2 <= 1" },
		{ "1 != 2", "!(1 == 2)" },
		{ "principal is User in Group::\"g\"",
		  "principal is User && principal in Group::\"g\"" },
		{ "\"\\u{e9}\\x41\\0\"", "\"\xc3\xa9" "A\\u{0}\"" },
	};
	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		cr_expect(cedar_expr_equal(expr(same[i][0]), expr(same[i][1])), "%s", same[i][0]);
	cr_expect(!cedar_expr_equal(expr("1 - 2 - 3"), expr("1 - (2 - 3)")));
}

Test(cedar_parse, takes_the_smallest_number_but_not_one_beyond_the_largest)
{
	cr_expect_eq(expr("-9223372036854775808")->value.i, INT64_MIN);
	cr_expect_eq(expr("9223372036854775807")->value.i, INT64_MAX);
	const struct cedar_expr *unused = NULL;
	cr_expect_eq(cedar_parse_expr(arena, "9223372036854775808", 19, &unused, &err), E_INVALID);
}

Test(cedar_parse, refuses_what_is_no_expression)
{
	static const char *const bad[] = {
		"", "1 +", "1 < 2 < 3", "1 == 2 == 3", "foo", "foo(1)", "User::", "if true then 1",
		"principal.contains()", "principal.nosuch(1)", "lessThan(decimal(\"1.0\"))",
		"{a: 1, a: 2}", "{if: 1}", "context.in", "!!!!!true", "\"\\q\"", "\"\\u{d800}\"",
		"\"\\u{1234567}\"", "\"open", "?principal", "1 2", "(1", "[1", "a like b", "1 / 2",
		"\"\\xff\"", "principal is 1", "__cedar", "context.a = 1", "&", "\xff",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const struct cedar_expr *unused = NULL;
		cr_expect_eq(cedar_parse_expr(arena, bad[i], strlen(bad[i]), &unused, &err),
			E_INVALID,
		             "%s", bad[i]);
	}
}

Test(cedar_parse, names_the_place_of_an_error)
{
	struct cedar_policies unused;
	const char *text = "// one\npermit(principal, action, resource)\n  when { 1 + };\n";
	cr_assert_eq(cedar_parse_policies(arena, text, strlen(text), &unused, &err), E_INVALID);
	cr_expect_eq(strncmp(err.text, "line 3, column 14: ", 19), 0, "%s", err.text);
}

Test(cedar_parse, refuses_what_is_no_policy)
{
	static const char *const bad[] = {
		"permit(principal, action, resource)", "permit(principal, action);",
		"allow(principal, action, resource);", "permit(action, principal, resource);",
		"permit(principal == User, action, resource);",
		"permit(principal, action == User::\"x\", resource);",
		"permit(principal, action is Action, resource);",
		"permit(principal == ?resource, action, resource);",
		"permit(principal, action == ?action, resource);",
		"permit(principal, action, resource) when true;",
		"@a(\"1\") @a(\"2\") permit(principal, action, resource);",
		"permit(principal, action, resource) when { ?principal == User::\"a\" };",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct cedar_policies unused;
		cr_expect_eq(cedar_parse_policies(arena, bad[i], strlen(bad[i]), &unused, &err),
		             E_INVALID, "%s", bad[i]);
	}
}

Test(cedar_parse, keeps_annotations_and_numbers_policies)
{
	struct cedar_policies all = policies(
		"@advice(\"ask\\n\") @if permit(principal, action, resource);"
		"forbid(principal is A::B, action in [Action::\"x\", Ns::Action::\"y\"], resource "
		"in ?resource)"
		" when { true } unless { false };");
	cr_assert_eq(all.count, 2);
	cr_expect(cedar_str_is(*cedar_policy_annotation(&all.items[0], "advice"), "ask\n"));
	cr_expect(cedar_str_is(*cedar_policy_annotation(&all.items[0], "if"), ""));
	cr_expect_null(cedar_policy_annotation(&all.items[0], "else"));
	cr_expect(cedar_str_is(all.items[1].id, "policy1"));
	cr_expect(all.items[1].forbid && cedar_policy_is_template(&all.items[1]));
	cr_expect(cedar_str_is(all.items[1].principal.type, "A::B"));
	cr_expect_eq(all.items[1].action.count, 2);
	cr_expect_eq(all.items[1].condition->count, 2);
}

Test(cedar_parse, links_a_template_only_with_the_slots_it_has)
{
	struct cedar_policies all = policies(
		"permit(principal == ?principal, action, resource in ?resource);");
	struct cedar_uid who, what;
	struct cedar_policy linked;
	cedar_uid_init(&who, CEDAR_STR("User"), CEDAR_STR("a"));
	cedar_uid_init(&what, CEDAR_STR("Album"), CEDAR_STR("b"));
	cr_expect_eq(cedar_policy_link(arena, &all.items[0], CEDAR_STR("l"), &who, NULL, &linked,
	                               &err), E_INVALID);
	cr_assert_eq(cedar_policy_link(arena, &all.items[0], CEDAR_STR("l"), &who, &what, &linked,
	                               &err), 0);
	cr_expect(!cedar_policy_is_template(&linked));
	cr_expect(cedar_uid_equal(linked.resource.uids[0], &what));
	cr_expect_eq(cedar_policy_link(arena, &linked, CEDAR_STR("m"), &who, &what, &linked, &err),
	             E_INVALID);
}

static int parse_nested(const char *open, const char *inner, const char *close, size_t depth)
{
	const struct cedar_expr *unused = NULL;
	AUTO_BUF text;
	buf_init(&text, 16 * MIB);
	for (size_t i = 0; i < depth; i++)
		buf_puts(&text, open);
	buf_puts(&text, inner);
	for (size_t i = 0; i < depth; i++)
		buf_puts(&text, close);
	cr_assert_eq(buf_check(&text, &err), 0);
	return cedar_parse_expr(arena, (const char *)text.data, text.len, &unused, &err);
}

Test(cedar_parse, bounds_every_way_of_nesting)
{
	cr_expect_eq(parse_nested("(", "1", ")", 200), 0);
	cr_expect_eq(parse_nested("(", "1", ")", 100000), E_INVALID);
	cr_expect_eq(parse_nested("[", "1", "]", 100000), E_INVALID);
	cr_expect_eq(parse_nested("{a:", "1", "}", 100000), E_INVALID);
	cr_expect_eq(parse_nested("", "context", ".a", 100000), E_INVALID);
	cr_expect_eq(parse_nested("1 + ", "1", "", 100000), E_INVALID);
	cr_expect_eq(parse_nested("if true then 1 else ", "1", "", 100000), E_INVALID);
	cr_expect_eq(parse_nested("true && ", "true", "", 100000), 0, "a chain is not deep");
}

Test(cedar_lex, gives_words_with_their_places)
{
	struct cedar_lexer lexer;
	const char *text = "a //b\n  \"c\" >= 12";
	start();
	cr_assert_eq(cedar_lex_start(&lexer, arena, text, strlen(text), &err), 0);
	cr_expect(cedar_lex_is_word(&lexer, "a"));
	cr_assert_eq(cedar_lex_advance(&lexer), 0);
	cr_expect(cedar_lex_is(&lexer, CEDAR_TEXT));
	cr_expect_eq(lexer.token.place.line, 2);
	cr_expect_eq(lexer.token.place.column, 3);
	cr_assert_eq(cedar_lex_advance(&lexer), 0);
	cr_expect(cedar_lex_is(&lexer, CEDAR_TWO('>', '=')));
	cr_assert_eq(cedar_lex_advance(&lexer), 0);
	cr_expect(cedar_lex_is(&lexer, CEDAR_NUMBER));
	cr_assert_eq(cedar_lex_advance(&lexer), 0);
	cr_expect(cedar_lex_is(&lexer, CEDAR_END));
	stop();
}
