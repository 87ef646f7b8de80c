/* test_cedar_validate.c - strict validation: what passes and what does not, policy by policy. */
#include "common/defs.h"
#include "policy/cedar_check.h"
#include "policy/cedar_parse.h"
#include "policy/cedar_validate.h"

#include <criterion/criterion.h>
#include <string.h>

static const char schema_text[] =
	"entity Group; entity Color enum [\"red\"];\n"
	"entity User in [Group] = { age: Long, nick?: String, boss?: User, home: { zip?: Long } } "
	"tags Long;\n"
	"entity Doc = { owner: User, ip: ipaddr, names: Set<String> };\n"
	"action read; action view in [read] appliesTo { principal: User, resource: Doc,"
	" context: { n?: Long, when: datetime } };\n"
	"action list appliesTo { principal: [User, Group], resource: Group, context: {} };\n";

static struct arena *arena;
static struct err err;
static const struct cedar_schema *schema;

static void start(void)
{
	cr_assert_eq(arena_new(64 * MIB, &arena, &err), 0);
	cr_assert_eq(cedar_schema_parse(arena, schema_text, strlen(schema_text), &schema, &err), 0,
	             "%s", err.text);
}

static void stop(void)
{
	arena_free(arena);
}

TestSuite(cedar_validate, .init = start, .fini = stop);

static size_t findings(const char *text, const struct cedar_finding **ret_findings)
{
	struct cedar_policies all;
	size_t count = 0;
	cr_assert_eq(cedar_parse_policies(arena, text, strlen(text), &all, &err), 0, "%s: %s", text,
	             err.text);
	cr_assert_eq(cedar_validate(arena, schema, all.items, all.count, ret_findings, &count,
		&err),
	             0);
	return count;
}

static void all_are(bool valid, const char *const *conditions, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct cedar_finding *found = NULL;
		const char *text = arena_printf(arena, "permit(principal, action == "
			"Action::\"view\", "
		                                "resource) when { %s };", conditions[i]);
		size_t number = findings(text, &found);
		cr_expect_eq(number == 0, valid, "%s: %s", conditions[i],
		             number ? found[0].text : "valid");
	}
}

Test(cedar_validate, passes_these_conditions)
{
	static const char *const good[] = {
		"principal.age > 3", "principal has nick && principal.nick == \"x\"",
		"principal has boss.nick && principal.boss.nick like \"*\"",
		"if principal has nick then principal.nick == \"x\" else false",
		"principal.hasTag(\"a\") && principal.getTag(\"a\") > 1",
		"principal.home has zip && principal.home.zip == 1", "principal in Group::\"g\"",
		"resource.ip.isInRange(ip(\"10.0.0.0/8\"))", "resource.names.contains(\"x\")",
		"context.when < datetime(\"2024-01-01\")", "principal == resource",
		"false && (1 + true == 2)", "true || 1", "action in Action::\"read\"",
		"principal is User", "if resource is Doc then true else 1 + 1",
		"[1, 2].contains(3)", "{a: 1} == {a: 2}", "principal == User::\"u\"",
		"!(principal has wings)", "1 == \"1\"",
	};
	all_are(true, good, ARRAY_LEN(good));
}

Test(cedar_validate, refuses_these_conditions)
{
	static const char *const bad[] = {
		"!(principal has nick) || principal.nick == \"x\"",
		"principal.nick == \"x\"", "principal.wings", "principal.age == \"3\"",
		"principal has nick || principal.nick == \"x\"", "1", "1 + true == 2",
		"principal.getTag(\"a\") > 1",
		"principal.hasTag(\"a\") && principal.getTag(\"b\") > 1",
		"resource.getTag(\"a\") > 1",
		"[].isEmpty()", "[1, \"a\"].contains(1)", "resource.names.contains(1)",
		"resource.names.containsAll([1])", "ip(principal.nick).isIpv4()",
		"ip(\"x\").isIpv4()",
		"principal in Nope::\"x\"", "principal == Action::\"nope\"", "principal is Nope",
		"Color::\"green\" == Color::\"red\"", "false && principal == Nope::\"x\"",
		"context.n > 1", "if principal.age > 1 then 1 else true", "principal.home.zip == 1",
		"(if principal.age > 1 then principal else resource) == principal",
		"principal in 1", "\"a\" < \"b\"",
		"principal has nick && resource.owner.nick == \"x\"",
		"decimal(\"1.0\") == 1", "ip(\"1.2.3.4\", \"5\").isIpv4()",
	};
	all_are(false, bad, ARRAY_LEN(bad));
}

Test(cedar_validate, judges_scopes)
{
	const struct cedar_finding *found = NULL;
	cr_expect_eq(findings("permit(principal, action, resource);", &found), 0);
	cr_expect_eq(findings("permit(principal in Group::\"g\", action in [Action::\"read\"], "
		"resource);",
	             &found), 0);
	cr_expect_eq(findings("permit(principal == ?principal, action, resource in ?resource);",
	             &found), 0);
	cr_expect_eq(findings("permit(principal is Doc, action, resource);", &found), 1);
	cr_expect_eq(findings("permit(principal, action == Action::\"list\", resource is Doc);",
		&found), 1);
	cr_expect_eq(findings("permit(principal, action == Action::\"read\", resource);", &found),
		1,
	             "a group of actions applies to nothing itself");
	cr_expect_eq(findings("permit(principal, action == Action::\"nope\", resource);", &found),
		1);
	cr_expect_eq(findings("permit(principal is Nope, action, resource);", &found), 1);
}

Test(cedar_validate, reports_each_bad_policy_with_its_place)
{
	const struct cedar_finding *found = NULL;
	cr_assert_eq(findings("permit(principal, action, resource);\n"
	                      "permit(principal, action, resource) when { 1 };\n"
	                      "permit(principal, action, resource)\nwhen { principal.wings };",
	                      &found), 2);
	cr_expect(cedar_str_is(found[0].policy->id, "policy1"));
	cr_expect_eq(strncmp(found[1].text, "line 4, column ", 15), 0, "%s", found[1].text);
}

Test(cedar_check, gives_an_expression_its_type)
{
	const struct cedar_expr *expr = NULL;
	struct cedar_typed typed;
	start();
	struct cedar_checker checker = { .arena = arena, .schema = schema, .err = &err,
		.action = &schema->actions[0] };
	cr_assert_eq(cedar_parse_expr(arena, "[duration(\"1s\")]", 16, &expr, &err), 0);
	cr_assert_eq(cedar_check(&checker, expr, NULL, &typed), 0);
	cr_expect_eq(typed.type->kind, CEDAR_TYPE_SET);
	cr_expect_eq(typed.type->element->kind, CEDAR_TYPE_DURATION);
	stop();
}
