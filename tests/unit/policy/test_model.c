/* test_model.c - the platform's own schema is a schema, agrees with the tables and the engine, and
 * finds what policies get wrong. */
#include "common/defs.h"
#include "policy/cedar_near.h"
#include "policy/cedar_parse.h"
#include "policy/model.h"
#include "policy/policy.h"

#include "common/json.h"

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

TestSuite(model, .init = start, .fini = stop);

static const struct value *rides(void *context, const char *dataset)
{
	return strcmp(dataset, "acme/trips/rides") == 0 ? context : NULL;
}

/* NULL: nothing is wrong. */
static const char *finding(const char *text, const struct model_data *data)
{
	struct cedar_policies policies;
	const struct cedar_finding *found = NULL;
	size_t count = 0;
	cr_assert_eq(cedar_parse_policies(arena, text, strlen(text), &policies, &err), 0, "%s",
	             err.text);
	cr_assert_eq(model_check(model, arena, &policies, data, &found, &count, &err), 0, "%s",
	             err.text);
	return count ? found[0].text : NULL;
}

static void good(const char *text)
{
	const char *found = finding(text, NULL);
	cr_expect_null(found, "%s: %s", text, found);
}

static void bad(const char *text, const char *said)
{
	const char *found = finding(text, NULL);
	cr_expect(found && strstr(found, said), "%s: %s, not %s", text, found ? found : "nothing",
	          said);
}

Test(model, knows_every_action_with_its_groups_and_every_kind)
{
	const struct cedar_schema *schema = model_schema(model);
	for (int i = 0; i < ACTION_COUNT_; i++) {
		const char *name = action_name((enum action)i);
		struct cedar_uid uid, group;
		cedar_uid_init(&uid, CEDAR_STR("Action"), cedar_str(name));
		const struct cedar_action_type *action = cedar_schema_action(schema, &uid);
		cr_expect_eq(action != NULL, strchr(name, ':') != NULL, "%s", name);
		cedar_uid_init(&group, CEDAR_STR("Action"), CEDAR_STR("role:auditor"));
		if (action)
			cr_expect_eq(cedar_action_below(action, &group),
			             role_has_action("auditor", (enum action)i), "%s", name);
		cedar_uid_init(&group, CEDAR_STR("Action"), cedar_str(model_action_group(name)));
		if (action)
			cr_expect(cedar_action_below(action, &group), "%s", name);
	}
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		cr_expect_not_null(cedar_schema_entity(schema, cedar_str(kinds[i].kind)));
	cr_expect_eq(model_kind_named(model, "featureview"),
	             model_kind_named(model, "FeatureView"));
	cr_expect_null(model_kind_named(model, "nothing"));
}

Test(model, lets_the_policies_of_the_documentation_through)
{
	good("forbid(principal, action in Action::\"read\", resource == "
	     "Dataset::\"acme/people/salaries\") unless { principal in Group::\"acme/finance\" };");
	good("forbid(principal, action in Action::\"write\", resource) when { context.now >= "
	     "datetime(\"2026-12-05\") } unless { principal in Group::\"acme/platform-team\" };");
	good("forbid(principal, action == Action::\"dataset:read\", resource) when { "
	     "resource.labels has need && !(context has purpose && context.purpose == "
	     "resource.labels.need) };");
	good("permit(principal == User::\"acme/dashboard\", action == Action::\"quota:read\", "
	     "resource in Tenant::\"acme\");");
	good("permit(principal in Role::\"acme/consumer\", action == Action::\"dataset:read\", "
	     "resource is Dataset) when { resource.row.region == principal.tenant && "
	     "resource.row.amount < 100 && !resource.row.secret };");
	good("forbid(principal, action, resource) unless { principal.strength == \"oidc\" };");
	good("permit(principal, action, resource);");
}

Test(model, takes_any_attribute_of_a_principal_for_a_text)
{
	good("permit(principal, action == Action::\"dataset:read\", resource is Dataset) when { "
	     "resource.row.region == principal.region };");
	good("forbid(principal, action == Action::\"dataset:read\", resource is Dataset) unless { "
	     "principal has region && resource.row has region && "
	     "resource.row.region == principal.region };");
	bad("permit(principal, action, resource) when { principal.level > 3 };",
	    "expected Long, found String");
}

Test(model, refuses_misspelt_names_with_their_place_and_what_was_meant)
{
	bad("permit(principal,\n action == Action::\"dataset:raed\", resource);",
	    "line 2, column 12: the schema knows no action `dataset:raed`; did you mean "
	    "`dataset:read`?");
	bad("permit(principal, action, resource == Dataste::\"acme/trips/rides\");",
	    "line 1, column 39: the schema knows no entity type `Dataste`; did you mean "
	    "`Dataset`?");
	bad("permit(principal, action, resource) when { resource is FeaturView };",
	    "did you mean `FeatureView`?");
	bad("permit(principal, action, resource) when { principal.strenght == \"key\" };",
	    "the schema knows no attribute `strenght` here; did you mean `strength`?");
	bad("permit(principal, action, resource) when { resource.label.x == \"y\" };",
	    "did you mean `labels`?");
	bad("permit(principal, action, resource) when { context.purpose == \"y\" };",
	    "test with `has` first");
	bad("permit(principal, action, resource) when { resource.labels.x == \"y\" };",
	    "test with `has` first");
	bad("permit(principal, action, resource) when { context.now == 3 };", "no type in common");
	bad("permit(principal, action == Action::\"self\", resource);", "no action `self`");
	bad("permit(principal, action == Action::\"quota:read\", resource is Dataset);",
	    "no action of the schema can meet");
}

Test(model, checks_columns_by_the_dataset_that_a_scope_names)
{
	struct value *columns = NULL;
	const char *text = "[{\"name\": \"region\", \"type\": \"string\"}, "
			   "{\"name\": \"fare\", \"type\": \"int64\"}, "
			   "{\"name\": \"share\", \"type\": \"float64\"}]";
	cr_assert_eq(json_parse(arena, text, strlen(text), &columns, &err), 0);
	struct model_data data = {rides, columns, false};
#define ROWS(name, condition)                                                                      \
	"permit(principal, action == Action::\"dataset:read\", resource == Dataset::\"" name       \
	"\") when { " condition " };"
	cr_expect_null(
		finding(ROWS("acme/trips/rides", "resource.row.region == \"north\""), &data));
	cr_expect_null(finding(ROWS("acme/trips/other", "resource.row.regoin == 3"), &data));
	const char *found =
		finding(ROWS("acme/trips/rides", "resource.row.regoin == \"n\""), &data);
	cr_expect(found && strstr(found, "`regoin` here; did you mean `region`?"), "%s", found);
	found = finding(ROWS("acme/trips/rides", "resource.row.fare == \"n\""), &data);
	cr_expect(found && strstr(found, "no type in common"), "%s", found);
	data.fallible = true;
	found = finding(ROWS("acme/trips/rides", "resource.row.region == \"north\""), &data);
	cr_expect(found && strstr(found, "test with `has` first"), "%s", found);
	found = finding(ROWS("acme/trips/other", "resource.row.region == \"north\""), &data);
	cr_expect(found && strstr(found, "test with `has` first"), "%s", found);
	cr_expect_null(finding(ROWS("acme/trips/rides", "resource.row has region && "
	                                                "resource.row.region == \"north\""),
	                       &data));
}

Test(model, takes_a_mask_only_that_fits_the_column_that_a_scope_names)
{
	struct value *columns = NULL;
	const char *text = "[{\"name\": \"fare\", \"type\": \"int64\", \"required\": true}]";
	cr_assert_eq(json_parse(arena, text, strlen(text), &columns, &err), 0);
	const struct model_data data = {rides, columns, false};
#define MASKED(mask, column)                                                                       \
	"@mask(\"" mask "\") forbid(principal, action == Action::\"column:read\", resource == "   \
	"Column::\"" column "\");"
	const char *found = finding(MASKED("show-last-4", "acme/trips/rides/fare"), &data);
	cr_expect(found && strstr(found, "@mask:"), "%s", found);
	found = finding(MASKED("replace-with-null", "acme/trips/rides/fare"), &data);
	cr_expect(found && strstr(found, "@mask:"), "%s", found);
	cr_expect_null(finding(MASKED("sha-256-global", "acme/trips/rides/fare"), &data));
	cr_expect_null(finding(MASKED("show-last-4", "acme/trips/rides/city"), &data));
	cr_expect_null(finding(MASKED("show-last-4", "acme/trips/other/fare"), &data));
}

Test(model, takes_only_masks_that_there_are_and_only_on_forbids)
{
	good("@mask(\"show-last-4\") forbid(principal, action == Action::\"dataset:read\", "
	     "resource)"
	     " when { resource.tags.contains(\"pii\") };");
	bad("@mask(\"show-last\") forbid(principal, action == Action::\"dataset:read\", resource);",
	    "@mask:");
	bad("@mask(\"show-last-4\") permit(principal, action == Action::\"dataset:read\", "
	    "resource);",
	    "belongs to a forbid");
	bad("@mask(\"none\") forbid(principal, action == Action::\"dataset:read\", resource);",
	    "@mask:");
}

Test(model, is_printed_as_a_schema_that_reads_as_itself)
{
	AUTO_BUF text;
	const struct cedar_schema *schema = NULL;
	buf_init(&text, MIB);
	cr_assert_eq(model_print(kinds, ARRAY_LEN(kinds), &text, &err), 0, "%s", err.text);
	cr_assert_eq(cedar_schema_parse(arena, (const char *)text.data, text.len, &schema, &err), 0,
	             "%s", err.text);
	cr_expect_eq(schema->action_count, model_schema(model)->action_count);
	cr_expect_str_eq(cedar_near(arena, CEDAR_STR("zzz"), &schema->entities->name,
	                            sizeof *schema->entities, schema->entity_count),
	                 "");
}
