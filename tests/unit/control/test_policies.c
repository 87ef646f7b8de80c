/* test_policies.c - a tenant's own policies decide every route, at once and on every replica; a bad
 * set is refused whole; nobody locks itself out. */
#include "common/defs.h"
#include "common/json.h"
#include "control/policies.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <string.h>

#define ACME "/v1/tenants/acme"
#define TRIPS ACME "/domains/trips"

/* acme with the domain trips and two datasets; admin has the tenant, carl reads trips. */
struct scene {
	struct plane *plane;
	const char *admin, *carl;
};

static struct scene start(void)
{
	struct scene s = { .plane = plane_start() };
	s.admin = plane_tenant(s.plane, "acme", "trips");
	s.carl = plane_principal(s.plane, "acme", "carl", "'consumer'", "trips");
	plane_put(s.plane, s.admin, "Dataset", TRIPS "/datasets/rides", "{}");
	plane_put(s.plane, s.admin, "Dataset", TRIPS "/datasets/salaries", "{}");
	return s;
}

static struct answer put(const struct scene *s, const char *key, const char *tenant,
                         const char *name, const char *text)
{
	struct arena *arena = s->plane->arena;
	struct value *spec = value_map(arena), *meta = value_map(arena), *body = value_map(arena);
	AUTO_BUF out;
	buf_init(&out, MIB);
	value_set_str(spec, "text", text);
	value_set_str(meta, "name", name);
	value_set_str(body, "apiVersion", "freehold.io/v1");
	value_set_str(body, "kind", "Policy");
	value_set(body, "metadata", meta);
	value_set(body, "spec", spec);
	json_print(body, &out);
	cr_assert_eq(buf_check(&out, NULL), 0);
	const struct asked asked = {
		.method = "PUT", .key = key, .body = (const char *)out.data,
		.path = arena_printf(arena, "/v1/tenants/%s/policies/%s", tenant, name),
	};
	return plane_ask(s->plane, &asked);
}

static void must_put(const struct scene *s, const char *name, const char *text)
{
	struct answer answer = put(s, s->admin, "acme", name, text);
	cr_assert(answer.status == 201 || answer.status == 200, "%s", answer.text);
}

static struct answer get(const struct scene *s, const char *key, const char *path)
{
	return plane_call(s->plane, key, "GET", path, NULL);
}

#define NO_SALARIES \
	"forbid(principal, action in Action::\"read\", resource == " \
	"Dataset::\"acme/trips/salaries\") unless { principal in Group::\"acme/finance\" };"

Test(policies, forbid_what_a_role_permits_and_let_a_group_through)
{
	struct scene s = start();
	cr_expect_eq(get(&s, s.carl, TRIPS "/datasets/salaries").status, 200);
	must_put(&s, "salaries", NO_SALARIES);
	struct answer refused = get(&s, s.carl, TRIPS "/datasets/salaries");
	cr_expect_eq(refused.status, 403);
	cr_expect_not_null(strstr(refused.detail, "salaries.0"), "%s", refused.detail);
	cr_expect_eq(get(&s, s.carl, TRIPS "/datasets/salaries/snapshots").status, 403);
	cr_expect_eq(get(&s, s.carl, TRIPS "/datasets/rides").status, 200);
	plane_put(s.plane, s.admin, "Group", ACME "/groups/finance", "{'members':['carl']}");
	cr_expect_eq(get(&s, s.carl, TRIPS "/datasets/salaries").status, 200);
	plane_call(s.plane, s.admin, "DELETE", ACME "/groups/finance", NULL);
	cr_expect_eq(get(&s, s.carl, TRIPS "/datasets/salaries").status, 403);
	cr_expect_eq(plane_call(s.plane, s.admin, "DELETE", ACME "/policies/salaries", NULL).status,
	             200);
	cr_expect_eq(get(&s, s.carl, TRIPS "/datasets/salaries").status, 200);
	plane_stop(s.plane);
}

Test(policies, leave_out_of_lists_what_may_not_be_read)
{
	struct scene s = start();
	cr_expect_eq(value_len(value_get(get(&s, s.carl, TRIPS "/datasets").body, "items")), 2);
	must_put(&s, "salaries", NO_SALARIES);
	struct answer list = get(&s, s.carl, TRIPS "/datasets");
	cr_assert_eq(value_len(value_get(list.body, "items")), 1, "%s", list.text);
	cr_expect_null(strstr(list.text, "salaries"), "%s", list.text);
	plane_stop(s.plane);
}

Test(policies, permit_what_no_role_does)
{
	struct scene s = start();
	const char *nobody = plane_principal(s.plane, "acme", "nora", "'consumer'", "trips");
	cr_expect_eq(get(&s, nobody, ACME "/quotas").status, 403);
	must_put(&s, "quotas", "permit(principal == User::\"acme/nora\", action == "
	                       "Action::\"quota:read\", resource in Tenant::\"acme\");");
	cr_expect_eq(get(&s, nobody, ACME "/quotas").status, 200);
	cr_expect_eq(get(&s, s.carl, ACME "/quotas").status, 403);
	plane_stop(s.plane);
}

Test(policies, ask_for_a_purpose_and_for_labels)
{
	struct scene s = start();
	must_put(&s, "purpose",
	         "forbid(principal, action == Action::\"dataset:read\", resource) when "
	         "{ resource.labels has need && !(context has purpose && context.purpose == "
	         "resource.labels.need) };");
	struct answer made = plane_call(
		s.plane, s.admin, "PUT", TRIPS "/datasets/claims",
		"{'apiVersion':'freehold.io/v1','kind':'Dataset','metadata':{'name':'claims',"
		"'labels':{'need':'audit'}},'spec':{}}");
	cr_assert_eq(made.status, 201, "%s", made.text);
	const struct header purpose[] = { { "Freehold-Purpose", "audit" }, { NULL, NULL } };
	struct asked asked = { .method = "GET", .key = s.carl,
		               .path = TRIPS "/datasets/claims" };
	cr_expect_eq(plane_ask(s.plane, &asked).status, 403);
	asked.headers = purpose;
	cr_expect_eq(plane_ask(s.plane, &asked).status, 200);
	plane_stop(s.plane);
}

Test(policies, never_open_a_tenant_to_another_or_to_operators)
{
	struct scene s = start();
	const char *other = plane_tenant(s.plane, "globex", "trips");
	must_put(&s, "all", "permit(principal, action, resource);");
	cr_expect_eq(get(&s, s.plane->operator_key, TRIPS "/datasets/rides").status, 403);
	struct answer none = get(&s, other, TRIPS "/datasets/rides");
	cr_expect_eq(none.status, 404);
	cr_expect_eq(get(&s, other, ACME "/policies").status, 404);
	plane_stop(s.plane);
}

Test(policies, of_the_platform_hold_in_every_tenant)
{
	struct scene s = start();
	struct answer made = put(&s, s.plane->operator_key, "platform", "freeze",
	                         "forbid(principal, action == Action::\"dataset:write\", "
	                         "resource) unless { principal.tenant == \"platform\" };");
	cr_assert_eq(made.status, 201, "%s", made.text);
	struct answer refused = plane_call(s.plane, s.admin, "DELETE", TRIPS "/datasets/rides",
	                                   NULL);
	cr_expect_eq(refused.status, 403);
	cr_expect_not_null(strstr(refused.detail, "platform/freeze.0"), "%s", refused.detail);
	cr_expect_eq(get(&s, s.carl, TRIPS "/datasets/rides").status, 200);
	cr_expect_eq(put(&s, s.admin, "platform", "freeze", "permit(principal, action, resource);")
	                     .status,
	             404);
	plane_stop(s.plane);
}

Test(policies, are_refused_whole_with_the_place_of_the_fault)
{
	struct scene s = start();
	must_put(&s, "salaries", NO_SALARIES);
	struct answer bad = put(&s, s.admin, "acme", "night",
	                        "permit(principal, action, resource);\nforbid(principal, action, "
	                        "resource) when { 1 + };");
	cr_expect_eq(bad.status, 400);
	cr_expect_not_null(strstr(bad.detail, "policy night"), "%s", bad.detail);
	cr_expect_not_null(strstr(bad.detail, "line 2"), "%s", bad.detail);
	cr_expect_eq(get(&s, s.admin, ACME "/policies/night").status, 404);
	cr_expect_eq(get(&s, s.carl, TRIPS "/datasets/salaries").status, 403);
	plane_stop(s.plane);
}

Test(policies, cannot_lock_out_who_writes_them)
{
	struct scene s = start();
	struct answer refused = put(&s, s.admin, "acme", "closed",
	                            "forbid(principal, action in Action::\"write\", resource);");
	cr_expect_eq(refused.status, 409, "%s", refused.text);
	cr_expect_not_null(strstr(refused.detail, "could not change policies any more"), "%s",
	                   refused.detail);
	cr_expect_eq(put(&s, s.plane->operator_key, "acme", "closed",
	                 "forbid(principal, action in Action::\"write\", resource);").status,
	             201);
	cr_expect_eq(plane_call(s.plane, s.admin, "DELETE", TRIPS "/datasets/rides", NULL).status,
	             403);
	cr_expect_eq(plane_call(s.plane, s.plane->operator_key, "DELETE", ACME "/policies/closed",
	                        NULL).status,
	             200);
	cr_expect_eq(plane_call(s.plane, s.admin, "DELETE", TRIPS "/datasets/rides", NULL).status,
	             200);
	plane_stop(s.plane);
}

Test(policies, hold_after_a_restart)
{
	struct scene s = start();
	must_put(&s, "salaries", NO_SALARIES);
	plane_restart(s.plane);
	cr_expect_eq(get(&s, s.carl, TRIPS "/datasets/salaries").status, 403);
	cr_expect_eq(get(&s, s.carl, TRIPS "/datasets/rides").status, 200);
	plane_stop(s.plane);
}
