/* test_rules_policy.c - a policy is checked when it is written: names and types by the platform's
 * model, examples by what they say must come of them; names of nothing are told. */
#include "common/defs.h"
#include "common/json.h"
#include "control/policy_review.h"
#include "control/rules_policy.h"
#include "policy/examples.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define ACME "/v1/tenants/acme"

struct scene {
	struct plane *plane;
	const char *admin;
};

static struct scene start(void)
{
	struct scene s = {.plane = plane_start()};
	s.admin = plane_tenant(s.plane, "acme", "trips");
	plane_put(s.plane, s.admin, "Dataset", ACME "/domains/trips/datasets/rides",
	          "{'schema':[{'name':'region','type':'string'},{'name':'fare','type':'int64'}]}");
	return s;
}

/* examples: JSON with single quotes; NULL: none. */
static struct answer put(const struct scene *s, const char *name, const char *text,
                         const char *examples)
{
	struct arena *arena = s->plane->arena;
	struct value *body = value_map(arena), *meta = value_map(arena), *spec = value_map(arena);
	struct value *list = NULL;
	AUTO_BUF out;
	buf_init(&out, MIB);
	value_set_str(spec, "text", text);
	if (examples) {
		char *json = arena_strdup(arena, examples);
		for (char *at = json; *at; at++)
			*at = *at == '\'' ? '"' : *at;
		cr_assert_eq(json_parse(arena, json, strlen(json), &list, NULL), 0, "%s", json);
		value_set(spec, "examples", list);
	}
	value_set_str(meta, "name", name);
	value_set_str(body, "apiVersion", "freehold.io/v1");
	value_set_str(body, "kind", "Policy");
	value_set(body, "metadata", meta);
	value_set(body, "spec", spec);
	json_print(body, &out);
	cr_assert_eq(buf_check(&out, NULL), 0);
	const struct asked asked = {.method = "PUT",
	                            .key = s->admin,
	                            .body = (const char *)out.data,
	                            .path = arena_printf(arena, ACME "/policies/%s", name)};
	return plane_ask(s->plane, &asked);
}

static void refused(const struct scene *s, const char *text, const char *examples, const char *said)
{
	struct answer answer = put(s, "rule", text, examples);
	cr_expect_eq(answer.status, 400, "%s", answer.text);
	cr_expect_not_null(strstr(answer.detail, said), "%s, not %s", answer.detail, said);
}

#define READS(condition)                                                                           \
	"permit(principal, action == Action::\"dataset:read\", resource == "                       \
	"Dataset::\"acme/trips/rides\") when { " condition " };"

Test(rules_policy, refuses_what_means_nothing_with_its_place_and_a_suggestion)
{
	struct scene s = start();
	refused(&s, "permit(principal, action == Action::\"dataset:raed\", resource);", NULL,
	        "policy rule: line 1, column 29: the schema knows no action `dataset:raed`; did "
	        "you "
	        "mean `dataset:read`?");
	refused(&s, READS("resource.row.regoin == \"north\""), NULL, "did you mean `region`?");
	refused(&s, READS("resource.row.fare == \"north\""), NULL, "no type in common");
	refused(&s, READS("principal.tenat == \"north\""), NULL, "did you mean `tenant`?");
	cr_expect_eq(put(&s, "rule", READS("resource.row.region == \"north\""), NULL).status, 201);
	plane_stop(s.plane);
}

Test(rules_policy, tells_of_names_that_are_of_nothing_now)
{
	struct scene s = start();
	struct answer made = put(&s, "rule",
	                         "forbid(principal, action in Action::\"read\", resource == "
	                         "Dataset::\"acme/trips/riedes\") unless { principal in "
	                         "Group::\"acme/finance\" || principal in Group::\"globex/x\" };",
	                         NULL);
	cr_assert_eq(made.status, 201, "%s", made.text);
	const struct value *warnings = value_get(made.body, "warnings");
	cr_assert_eq(value_len(warnings), 2, "%s", made.text);
	cr_expect_not_null(strstr(made.text, "acme/trips/riedes"));
	cr_expect_not_null(strstr(made.text, "acme/finance"));
	cr_expect_not_null(strstr(made.text, "is not there now"));
	plane_put(s.plane, s.admin, "Group", ACME "/groups/finance", "{}");
	plane_put(s.plane, s.admin, "Dataset", ACME "/domains/trips/datasets/riedes", "{}");
	made = put(&s, "rule2",
	           "forbid(principal in Group::\"acme/finance\", action, resource == "
	           "Dataset::\"acme/trips/riedes\");",
	           NULL);
	cr_assert_eq(made.status, 201, "%s", made.text);
	cr_expect_null(value_get(made.body, "warnings"), "%s", made.text);
	plane_stop(s.plane);
}

#define NO_RIDES                                                                                   \
	"forbid(principal, action == Action::\"dataset:read\", resource == "                       \
	"Dataset::\"acme/trips/rides\") unless { principal in Group::\"acme/finance\" };"
#define CARL(expect, more)                                                                         \
	"[{'principal':'carl','roles':['trips/consumer'],'action':'dataset:read',"                 \
	"'resource':'trips.rides','expect':'" expect "'" more "}]"

Test(rules_policy, refuses_a_policy_whose_examples_do_not_hold)
{
	struct scene s = start();
	refused(&s, NO_RIDES, CARL("allow", ",'name':'carl reads'"),
	        "policy rule: the example carl reads does not hold: expected allow, got deny by "
	        "rule.0");
	refused(&s, NO_RIDES, CARL("deny", ",'groups':['finance']"),
	        "expected deny, got allow by consumer");
	refused(&s, NO_RIDES, CARL("deny", ",'policies':['other']"), "expected deny by other");
	refused(&s, NO_RIDES,
	        "[{'principal':'carl','action':'dataset:raed','resource':'a.b',"
	        "'expect':'deny'}]",
	        "spec.examples[0]: action:");
	cr_expect_eq(put(&s, "rule", NO_RIDES, CARL("deny", ",'policies':['rule']")).status, 201);
	cr_expect_eq(put(&s, "rule", NO_RIDES, CARL("allow", ",'groups':['finance']")).status, 200);
	plane_stop(s.plane);
}

Test(rules_policy, runs_examples_of_principals_with_attributes)
{
	struct scene s = start();
	const char *own = READS("resource.row.region == principal.region");
#define OWN(attributes, expect) \
	"[{'principal':'x','action':'dataset:read','resource':'trips.rides','row':{'region':" \
	"'north'},'attributes':{" attributes "},'expect':'" expect "'}]"
	struct answer made = put(&s, "own", own, OWN("'region':'north'", "allow"));
	cr_expect_eq(made.status, 201, "%s", made.text);
	cr_expect_eq(put(&s, "own", own, OWN("'region':'south'", "deny")).status, 200);
	cr_expect_eq(put(&s, "own", own, OWN("", "deny")).status, 200);
	refused(&s, own, OWN("'name':'y'", "deny"), "attributes: a member's name");
	plane_stop(s.plane);
}

Test(rules_policy, tells_which_examples_of_other_policies_hold_no_more)
{
	struct scene s = start();
	cr_assert_eq(put(&s, "reads", READS("true"), CARL("allow", "")).status, 201);
	struct answer made = put(&s, "none", NO_RIDES, NULL);
	cr_assert_eq(made.status, 201, "%s", made.text);
	cr_expect_not_null(strstr(made.text, "policy reads: the example #1 does not hold: expected "
	                                     "allow, got deny by none.0"),
	                   "%s", made.text);
	plane_stop(s.plane);
}

Test(rules_policy, runs_examples_over_rows_labels_and_contexts)
{
	struct scene s = start();
	struct answer made = put(
		&s, "rows",
		READS("resource.row.region == \"north\" && context has purpose && "
	              "context.purpose == \"audit\" && resource.labels has k && "
	              "context.now < datetime(\"2027-01-01\")"),
		"[{'principal':'x','action':'dataset:read','resource':'trips.rides','labels':"
		"{'k':'v'},'row':{'region':'north'},'context':{'purpose':'audit'},'expect':'allow'}"
	        ","
		"{'principal':'x','action':'dataset:read','resource':'trips.rides','labels':"
		"{'k':'v'},'row':{'region':'south'},'context':{'purpose':'audit'},'expect':'deny'},"
		"{'principal':'x','action':'dataset:read','resource':'trips.rides','labels':"
		"{'k':'v'},'row':{'region':'north'},'context':{'purpose':'audit','now':"
		"'2028-01-01T00:00:00Z'},'expect':'deny'}]");
	cr_expect_eq(made.status, 201, "%s", made.text);
	plane_stop(s.plane);
}

Test(rules_policy, leaves_a_text_alone_that_was_stored_before_these_rules)
{
	struct scene s = start();
	struct value *stored = NULL;
	char key[STORE_KEY_MAX];
	const char *old = "permit(principal, action == Action::\"gone:read\", resource);";
	cr_assert_eq(put(&s, "rule", READS("true"), NULL).status, 201);
	catalog_key(key, KIND_POLICY, "acme", NULL, "rule");
	cr_assert_eq(
		catalog_get(s.plane->control->catalog, s.plane->arena, key, &stored, NULL, NULL),
		0);
	struct value *spec = value_copy(s.plane->arena, value_get(stored, "spec"));
	value_set_str(spec, "text", old);
	value_set(stored, "spec", spec);
	catalog_apply(s.plane->control->catalog, key, stored, INT64_MAX / 2);
	struct answer again = put(&s, "rule", old, NULL);
	cr_expect_eq(again.status, 200, "%s", again.text);
	cr_expect_not_null(strstr(again.text, "no action `gone:read`"), "%s", again.text);
	refused(&s, "permit(principal, action == Action::\"gone:raed\", resource);", NULL,
	        "no action");
	plane_stop(s.plane);
}
