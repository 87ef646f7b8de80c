/* test_auditreport.c - what an auditor asks, answered out of what happened. */
#include "common/defs.h"
#include "control/auditreport.h"

#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <string.h>

#define ACME "/v1/tenants/acme"
#define POLICY(condition) \
	"{'apiVersion':'freehold.io/v1','kind':'Policy','metadata':{'name':'p'}," \
	"'spec':{'text':" \
	"'forbid(principal, action, resource) when { " condition " };'}}"

static const struct value *report(struct plane *plane, const char *key, const char *name)
{
	struct answer answer = plane_call(plane, key, "GET",
	                                  arena_printf(plane->arena, ACME "/audit/reports/%s",
	                                               name),
	                                  NULL);
	cr_assert_eq(answer.status, 200, "%s: %s", name, answer.text);
	cr_expect(value_get_bool(answer.body, "complete", false));
	return value_get(answer.body, "items");
}

static const struct value *row_of(const struct value *items, const char *member, const char *text)
{
	for (size_t i = 0; i < value_len(items); i++) {
		const char *found = value_get_str(value_at(items, i), member);
		if (found && strcmp(found, text) == 0)
			return value_at(items, i);
	}
	return NULL;
}

static void read_for(struct plane *plane, const char *key, const char *purpose)
{
	const struct header headers[] = {{"Freehold-Purpose", purpose}, {NULL, NULL}};
	plane_ask(plane, &(struct asked){.method = "GET",
	                                 .path = ACME "/domains/flights",
	                                 .key = key,
	                                 .headers = headers});
}

Test(auditreport, what_a_principal_touched_is_grouped_and_counted)
{
	struct plane *plane = plane_start();
	const char *admin = plane_tenant(plane, "acme", "flights");
	const char *bob = plane_principal(plane, "acme", "bob", "'consumer'", "flights");
	for (int i = 0; i < 3; i++)
		read_for(plane, bob, "research");
	read_for(plane, admin, "research");
	const struct value *items = report(plane, admin, "touched?principal=acme/bob");
	const struct value *row = row_of(items, "resource", ACME "/domains/flights");
	cr_assert_not_null(row);
	cr_expect_eq(value_get_int(row, "count", 0), 3);
	cr_expect_str_eq(value_get_str(row, "purpose"), "research");
	cr_expect_not_null(value_get_str(row, "first"));
	cr_expect_eq(value_len(items), 1, "nothing of others");
	cr_expect_eq(value_len(report(plane, admin, "touched?principal=bob")), 1,
	             "of the tenant's own, without its name");
	cr_expect_eq(
		value_len(report(plane, admin,
	                         "touched?principal=acme/bob&to=2001-01-01T00:00:00Z")), 0);
	const struct value *uses = report(plane, admin, "purpose?purpose=research");
	cr_expect_eq(value_get_int(row_of(uses, "actor", "acme/bob"), "count", 0), 3);
	cr_expect_eq(value_get_int(row_of(uses, "actor", "acme/admin"), "count", 0), 1);
	plane_stop(plane);
}

Test(auditreport, a_change_of_policy_says_who_from_what_and_to_what)
{
	struct plane *plane = plane_start();
	const char *admin = plane_tenant(plane, "acme", "flights");
	cr_assert_leq(plane_call(plane, admin, "PUT", ACME "/policies/p", POLICY("1 == 2")).status,
	              201);
	cr_assert_leq(plane_call(plane, admin, "PUT", ACME "/policies/p", POLICY("1 == 3")).status,
	              201);
	const struct value *items = report(plane, admin, "policies");
	cr_assert_eq(value_len(items), 2);
	const struct value *second = value_at(items, 0), *first = value_at(items, 1);
	cr_expect_str_eq(value_get_str(second, "approvedBy"), "acme/admin");
	cr_expect_str_eq(value_get_str(second, "before"), value_get_str(first, "after"));
	cr_expect_str_neq(value_get_str(second, "after"), value_get_str(first, "after"));
	cr_expect_null(value_get(first, "before"));
	const char *bob = plane_principal(plane, "acme", "bob", "'consumer'", "flights");
	plane_call(plane, bob, "PUT", ACME "/policies/p", POLICY("1 == 4"));
	const struct value *refused = row_of(report(plane, admin, "policies"), "actor", "acme/bob");
	cr_expect_str_eq(value_get_str(refused, "result"), "denied");
	cr_expect_null(value_get(refused, "approvedBy"), "nobody approved what was refused");
	plane_stop(plane);
}

Test(auditreport, denials_are_grouped_and_key_events_told)
{
	struct plane *plane = plane_start();
	const char *admin = plane_tenant(plane, "acme", "flights");
	const char *bob = plane_principal(plane, "acme", "bob", "'consumer'", "flights");
	for (int i = 0; i < 4; i++)
		plane_call(plane, bob, "GET", ACME "/policies", NULL);
	const struct value *denials = report(plane, admin, "denials");
	const struct value *row = row_of(denials, "actor", "acme/bob");
	cr_assert_not_null(row);
	cr_expect_eq(value_get_int(row, "count", 0), 4);
	cr_expect_str_eq(value_get_str(row, "code"), "DENIED");
	struct answer made = plane_call(plane, admin, "POST", ACME "/keys/rotate", NULL);
	cr_assert_lt(made.status, 300, "%s", made.text);
	const struct value *keys = report(plane, admin, "keys");
	cr_expect_not_null(row_of(keys, "action", "tenant-key:rotate"));
	cr_expect_not_null(row_of(keys, "action", "principal:write"), "an API key was made");
	cr_expect_eq(value_len(report(plane, admin, "erasures")), 0);
	plane_stop(plane);
}

Test(auditreport, is_for_auditors_is_an_event_and_says_what_it_lacks)
{
	struct plane *plane = plane_start();
	const char *admin = plane_tenant(plane, "acme", "flights");
	const char *bob = plane_principal(plane, "acme", "bob", "'consumer'", "flights");
	cr_expect_eq(plane_call(plane, bob, "GET", ACME "/audit/reports/denials", NULL).status,
	             403);
	cr_expect_eq(plane_call(plane, admin, "GET", ACME "/audit/reports/touched", NULL).status,
	             400);
	cr_expect_eq(plane_call(plane, admin, "GET", ACME "/audit/reports/purpose", NULL).status,
	             400);
	cr_expect_eq(plane_call(plane, admin, "GET", ACME "/audit/reports/other", NULL).status,
	             404);
	report(plane, admin, "keys");
	struct answer list = plane_call(plane, admin, "GET",
	                                ACME "/audit?resource=/v1/tenants/acme/audit/reports/keys",
	                                NULL);
	const struct value *event = value_at(value_get(list.body, "items"), 0);
	cr_expect_str_eq(value_get_str(event, "action"), "audit:read");
	cr_expect_str_eq(value_get_str(value_get(event, "detail"), "report"), "keys");
	plane_stop(plane);
}
