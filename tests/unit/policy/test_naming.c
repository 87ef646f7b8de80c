/* test_naming.c - what people call things is what policies are asked about, in every spelling. */
#include "common/defs.h"
#include "policy/naming.h"

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
	cr_assert_eq(arena_new(64 * MIB, &arena, &err), 0);
	cr_assert_eq(model_new(arena, kinds, ARRAY_LEN(kinds), &model, &err), 0, "%s", err.text);
}

static void stop(void)
{
	arena_free(arena);
}

TestSuite(naming, .init = start, .fini = stop);

/* "" when it is refused. */
static const char *uid_of(const char *action_text, const char *text)
{
	struct engine_resource resource;
	enum action action = ACTION_SELF;
	cr_assert_eq(naming_action(action_text, &action, &err), 0, "%s", err.text);
	if (naming_resource(model, arena, "acme", action, text, &resource, &err) < 0)
		return "";
	return naming_uid(arena, "acme", &resource);
}

Test(naming, takes_a_resource_in_every_spelling)
{
	static const struct {
		const char *action, *text, *uid;
	} cases[] = {
		{"dataset:read", "trips.rides", "Dataset::\"acme/trips/rides\""},
		{"dataset:read", "trips/rides", "Dataset::\"acme/trips/rides\""},
		{"dataset:read", "dataset/trips/rides", "Dataset::\"acme/trips/rides\""},
		{"dataset:read", "Dataset::\"acme/trips/rides\"", "Dataset::\"acme/trips/rides\""},
		{"features:read", "trips.stats", "FeatureView::\"acme/trips/stats\""},
		{"task:run", "trips", "Domain::\"acme/trips\""},
		{"task:run", "domain/trips", "Domain::\"acme/trips\""},
		{"domain:read", "trips", "Domain::\"acme/trips\""},
		{"quota:read", "daily", "Quota::\"acme//daily\""},
		{"quota:read", "Quota::\"acme//daily\"", "Quota::\"acme//daily\""},
		{"usage:read", "tenant", "Tenant::\"acme\""},
		{"usage:read", "Commons::\"acme\"", "Commons::\"acme\""},
		{"queue:read", "platform", "Platform::\"freehold\""},
		{"dataset:read", "column/trips/rides/fare", "Column::\"acme/trips/rides/fare\""},
		{"dataset:read", "Dataset::\"globex/trips/rides\"", ""},
		{"dataset:read", "Dataset::\"acme/trips/rides", ""},
		{"dataset:read", "rides", ""},
		{"dataset:read", "", ""},
		{"dataset:read", "a/b/c/d/e/f", ""},
		{"usage:read", "Nothing::\"acme/x\"", ""},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		cr_expect_str_eq(uid_of(cases[i].action, cases[i].text), cases[i].uid, "%s",
		                 cases[i].text);
}

Test(naming, says_which_action_was_meant)
{
	enum action action;
	cr_expect_eq(naming_action("dataset:raed", &action, &err), E_INVALID);
	cr_expect_not_null(strstr(err.text, "did you mean dataset:read?"), "%s", err.text);
	cr_expect_eq(naming_action("self", &action, &err), E_INVALID);
}

Test(naming, takes_principals_and_roles_of_the_tenant)
{
	const char *name = NULL;
	struct asker asker = {.tenant = "acme"};
	static const char *const texts[] = {"alice", "acme/alice", "User::\"acme/alice\""};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		cr_expect_eq(naming_principal(arena, "acme", texts[i], &name, &err), 0);
		cr_expect_str_eq(name, "alice");
	}
	cr_expect_eq(naming_principal(arena, "acme", "globex/alice", &name, &err), E_INVALID);
	cr_expect_eq(naming_principal(arena, "acme", "", &name, &err), E_INVALID);
	cr_expect_eq(naming_role(arena, "trips/consumer", &asker, &err), 0);
	cr_expect_str_eq(asker.bindings[0].role, "consumer");
	cr_expect_str_eq(asker.bindings[0].domain, "trips");
	cr_expect_eq(naming_role(arena, "auditor", &asker, &err), 0);
	cr_expect_null(asker.bindings[1].domain);
	cr_expect_eq(naming_role(arena, "trips/auditor", &asker, &err), E_INVALID);
	cr_expect_eq(naming_role(arena, "reader", &asker, &err), E_INVALID);
}
