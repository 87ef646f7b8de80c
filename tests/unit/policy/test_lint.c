/* test_lint.c - each rule finds what it is for, and leaves good policies alone. */
#include "common/defs.h"
#include "policy/lint.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct model_kind kinds[] = {
#define SUBTABLE(name, FIELDS)
#define KIND MODEL_KIND
#include "api/kinds.def"
#undef KIND
#undef SUBTABLE
};

static struct arena *arena;
static struct err err;
static const struct model *model;

static void start(void)
{
	cr_assert_eq(arena_new(256 * MIB, &arena, &err), 0);
	cr_assert_eq(model_new(arena, kinds, ARRAY_LEN(kinds), &model, &err), 0, "%s", err.text);
}

static void stop(void)
{
	arena_free(arena);
}

TestSuite(lint, .init = start, .fini = stop);

static const struct value *findings_of(const char *text, const char *second)
{
	struct value *findings = NULL;
	const struct lint_text texts[] = {{"one", text}, {"two", second}};
	cr_assert_eq(lint_policies(model, arena, texts, second ? 2 : 1, &findings, &err), 0, "%s",
	             err.text);
	return findings;
}

/* Exactly one finding, of that rule and about that policy. */
static void finds(const char *text, const char *second, const char *rule, const char *policy)
{
	const struct value *findings = findings_of(text, second), *first = value_at(findings, 0);
	cr_assert_eq(value_len(findings), 1, "%s: %zu findings", text, value_len(findings));
	cr_expect_str_eq(value_get_str(first, "rule"), rule, "%s: %s", text,
	                 value_get_str(first, "text"));
	cr_expect_str_eq(value_get_str(first, "policy"), policy, "%s", text);
}

#define READ "permit(principal in Group::\"acme/g\", action == Action::\"dataset:read\", resource);"

Test(lint, leaves_good_policies_alone)
{
	cr_expect_eq(value_len(findings_of(READ, "forbid(principal, action in Action::\"read\", "
	                                         "resource == Dataset::\"acme/a/b\") unless { "
	                                         "principal in Group::\"acme/h\" };")),
	             0);
}

Test(lint, finds_what_would_be_refused)
{
	finds("permit(principal, action", NULL, "syntax", "one");
	finds("permit(principal, action == Action::\"dataset:raed\", resource);", NULL, "model",
	      "one");
}

Test(lint, finds_names_and_ids_that_are_there_twice)
{
	struct value *findings = NULL;
	const struct lint_text texts[] = {{"one", READ},
	                                  {"one",
	                                   "forbid(principal, action == "
	                                   "Action::\"dataset:write\", resource is Dataset);"}};
	cr_assert_eq(lint_policies(model, arena, texts, 2, &findings, &err), 0);
	cr_assert_eq(value_len(findings), 1);
	cr_expect_str_eq(value_get_str(value_at(findings, 0), "rule"), "duplicate-name");
	finds("@id(\"x\") " READ,
	      "@id(\"x\") forbid(principal, action == Action::\"task:run\", "
	      "resource);",
	      "duplicate-id", "two.0");
}

Test(lint, finds_policies_that_change_nothing)
{
	finds("forbid(principal, action == Action::\"task:run\", resource) when { false };", NULL,
	      "never-applies", "one.0");
	finds(READ, "forbid(principal, action in Action::\"read\", resource);", "shadowed",
	      "one.0");
	finds(READ, READ, "shadowed", "two.0");
	finds("forbid(principal, action == Action::\"task:run\", resource) when { principal.name "
	      "== "
	      "\"x\" };",
	      "forbid(principal, action == Action::\"task:run\", resource);", "shadowed", "one.0");
	cr_expect_eq(
		value_len(findings_of(READ, "permit(principal in Group::\"acme/other\", "
	                                    "action in Action::\"role:consumer\", resource);")),
		0);
}

Test(lint, finds_what_forbids_everything_or_permits_too_much)
{
	finds("forbid(principal, action, resource);", NULL, "forbids-everything", "one.0");
	finds("forbid(principal, action, resource) when { true };", NULL, "forbids-everything",
	      "one.0");
	finds("permit(principal, action, resource);", NULL, "wide", "one.0");
	finds("permit(principal, action in [Action::\"audit:read\", Action::\"queue:read\"], "
	      "resource);",
	      NULL, "wide", "one.0");
}

Test(lint, finds_forbids_that_may_fail)
{
	finds("forbid(principal, action == Action::\"dataset:read\", resource is Dataset) when { "
	      "resource.row.region == \"x\" };",
	      NULL, "fallible", "one.0");
	cr_expect_eq(value_len(findings_of("forbid(principal, action == Action::\"dataset:read\", "
	                                   "resource is Dataset) when { resource.row has region && "
	                                   "resource.row.region == \"x\" };",
	                                   NULL)),
	             0);
	finds("forbid(principal, action, resource) unless { principal.region == \"x\" };", NULL,
	      "fallible", "one.0");
	finds("forbid(principal, action == Action::\"dataset:read\", resource is Dataset) when { "
	      "resource.row has n && resource.row.n + 1 > 3 };",
	      NULL, "fallible", "one.0");
}
