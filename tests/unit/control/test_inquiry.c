/* test_inquiry.c - may I, may they, who may: the answers are what the decisions would be, with the
 * roles and policies that make them; about others only who may ask is told. */
#include "common/defs.h"
#include "control/inquiry.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <string.h>

#define ACME "/v1/tenants/acme"
#define READS "?action=dataset:read&resource=trips.rides"

/* acme with trips.rides; admin; carl reads trips by himself, dora by the group analysts, svc is a
 * service account without a role, aud an auditor, own the owner of trips. */
struct scene {
	struct plane *plane;
	const char *admin, *carl, *dora, *aud, *own;
};

static void policy(const struct scene *s, const char *name, const char *text)
{
	struct arena *arena = s->plane->arena;
	const char *body = arena_printf(arena,
	                                "{\"apiVersion\":\"freehold.io/v1\",\"kind\":"
	                                "\"Policy\",\"metadata\":{\"name\":\"%s\"},\"spec\":{"
	                                "\"text\":\"%s\"}}",
	                                name, text);
	const struct asked asked = {.method = "PUT",
	                            .key = s->admin,
	                            .body = body,
	                            .path = arena_printf(arena, ACME "/policies/%s", name)};
	struct answer answer = plane_ask(s->plane, &asked);
	cr_assert_eq(answer.status, 201, "%s", answer.text);
}

static struct scene start(void)
{
	struct scene s = {.plane = plane_start()};
	s.admin = plane_tenant(s.plane, "acme", "trips");
	plane_put(s.plane, s.admin, "Domain", ACME "/domains/other", "{}");
	plane_put(s.plane, s.admin, "Dataset", ACME "/domains/trips/datasets/rides",
	          "{'schema':[{'name':'region','type':'string'},{'name':'phone','type':'string'},"
	          "{'name':'fare','type':'int64'}]}");
	s.carl = plane_principal(s.plane, "acme", "carl", "'consumer'", "trips");
	s.dora = plane_principal(s.plane, "acme", "dora", "", NULL);
	s.aud = plane_principal(s.plane, "acme", "aud", "'auditor'", NULL);
	s.own = plane_principal(s.plane, "acme", "own", "'domain-owner'", "trips");
	plane_principal(s.plane, "acme", "svc", "", NULL);
	plane_put(s.plane, s.admin, "Group", ACME "/groups/analysts", "{'members':['dora']}");
	plane_put(s.plane, s.admin, "RoleBinding", ACME "/rolebindings/readers",
	          "{'role':'consumer','subjects':['group:analysts'],'domain':'trips'}");
	return s;
}

static struct answer get(const struct scene *s, const char *key, const char *path)
{
	return plane_call(s->plane, key, "GET", path, NULL);
}

static void says(const struct scene *s, const char *key, const char *path, bool allowed,
                 const char *rule)
{
	struct answer answer = get(s, key, path);
	const char *got = value_get_str(answer.body, "rule");
	cr_expect_eq(answer.status, 200, "%s: %s", path, answer.text);
	cr_expect_eq(value_get_bool(answer.body, "allowed", !allowed), allowed, "%s: %s", path,
	             answer.text);
	cr_expect(got && strcmp(got, rule) == 0, "%s: %s, not %s", path, answer.text, rule);
}

Test(inquiry, tells_the_caller_what_a_request_would_be_told)
{
	struct scene s = start();
	says(&s, s.carl, "/v1/can-i" READS, true, "consumer");
	says(&s, s.carl, "/v1/can-i?action=dataset:write&resource=trips.rides", false,
	     "default-deny");
	policy(&s, "hours",
	       "forbid(principal, action == Action::\\\"dataset:read\\\", resource) "
	       "when { context.now >= datetime(\\\"2030-01-01\\\") };");
	says(&s, s.carl, "/v1/can-i" READS, true, "consumer");
	says(&s, s.carl, "/v1/can-i" READS "&at=2030-01-02T00:00:00Z", false, "hours.0");
	struct answer answer = get(&s, s.dora, "/v1/can-i" READS);
	cr_expect_not_null(strstr(answer.text, "\"rolebinding/readers\""), "%s", answer.text);
	cr_expect_not_null(strstr(answer.text, "\"analysts\""), "%s", answer.text);
	answer = get(&s, s.carl, "/v1/can-i?action=dataset:raed&resource=trips.rides");
	cr_expect_eq(answer.status, 400, "%s", answer.text);
	plane_stop(s.plane);
}

Test(inquiry, tells_of_data_which_rows_and_columns_are_seen)
{
	struct scene s = start();
	policy(&s, "rows",
	       "forbid(principal, action == Action::\\\"dataset:read\\\", resource == "
	       "Dataset::\\\"acme/trips/rides\\\") when { resource.row.region == \\\"south\\\" };");
	policy(&s, "masks",
	       "@mask(\\\"show-last-4\\\") forbid(principal, action == "
	       "Action::\\\"column:read\\\", resource == "
	       "Column::\\\"acme/trips/rides/phone\\\");");
	policy(&s, "hides",
	       "forbid(principal, action == Action::\\\"column:read\\\", resource == "
	       "Column::\\\"acme/trips/rides/fare\\\");");
	struct answer answer = get(&s, s.carl, "/v1/can-i" READS);
	const struct value *data = value_get(answer.body, "data");
	const char *rows = value_get_str(data, "rows");
	cr_expect(rows && strstr(rows, "region") && strstr(rows, "south"), "%s", answer.text);
	cr_expect(rows && *rows != '(', "no parentheses around the whole: %s", answer.text);
	cr_expect_null(value_get(answer.body, "failure"), "told as rows: %s", answer.text);
	cr_expect_not_null(strstr(answer.text, "\"phone\":\"show-last-4\""), "%s", answer.text);
	cr_expect_eq(value_len(value_get(data, "hidden")), 1, "%s", answer.text);
	answer = get(&s, s.carl, "/v1/can-i?action=column:read&resource=trips.rides.fare");
	cr_expect_eq(value_get_bool(answer.body, "allowed", true), false, "%s", answer.text);
	answer = get(&s, s.carl, "/v1/can-i?action=column:read&resource=trips.rides.phone");
	cr_expect_eq(value_get_bool(answer.body, "allowed", false), true, "%s", answer.text);
	plane_stop(s.plane);
}

Test(inquiry, about_others_is_for_administrators_auditors_and_a_domains_owner)
{
	struct scene s = start();
	says(&s, s.admin, ACME "/can" READS "&principal=carl", true, "consumer");
	says(&s, s.aud, ACME "/can" READS "&principal=svc", false, "default-deny");
	says(&s, s.own, ACME "/can" READS "&principal=dora", true, "consumer");
	cr_expect_eq(get(&s, s.carl, ACME "/can" READS "&principal=dora").status, 403);
	cr_expect_eq(get(&s, s.carl, ACME "/who-can" READS).status, 403);
	cr_expect_eq(get(&s, s.carl, ACME "/domains/trips/datasets/rides/access").status, 403);
	cr_expect_eq(get(&s, s.own, ACME "/who-can?action=dataset:read&resource=other.x").status,
	             403);
	cr_expect_eq(get(&s, s.own, ACME "/who-can?action=usage:read&resource=tenant").status, 403);
	cr_expect_eq(get(&s, s.admin, ACME "/can" READS "&principal=nobody").status, 404);
	const char *stranger = plane_tenant(s.plane, "globex", "trips");
	cr_expect_eq(get(&s, stranger, ACME "/who-can" READS).status, 404);
	cr_expect_eq(get(&s, stranger, ACME "/can" READS "&principal=carl").status, 404);
	plane_stop(s.plane);
}

Test(inquiry, lists_who_can_page_by_page_with_the_way_each_got_it)
{
	struct scene s = start();
	struct answer all = get(&s, s.aud, ACME "/who-can" READS);
	static const char *const who[] = {"acme/carl", "acme/dora", "acme/aud", "acme/own"};
	for (size_t i = 0; i < ARRAY_LEN(who); i++)
		cr_expect_not_null(strstr(all.text, who[i]), "%s: %s", who[i], all.text);
	cr_expect_null(strstr(all.text, "acme/svc"), "%s", all.text);
	size_t count = value_len(value_get(all.body, "items")), paged = 0;
	const char *path = ACME "/who-can" READS "&limit=2";
	for (size_t page = 0; path && page < 20; page++) {
		struct answer answer = get(&s, s.aud, path);
		cr_assert_eq(answer.status, 200, "%s", answer.text);
		paged += value_len(value_get(answer.body, "items"));
		const char *more = value_get_str(answer.body, "continue");
		path = !more ? NULL
		             : arena_printf(s.plane->arena,
		                            ACME "/who-can" READS "&limit=2&continue=%s", more);
	}
	cr_expect_eq(paged, count);
	policy(&s, "none",
	       "forbid(principal in Group::\\\"acme/analysts\\\", action == "
	       "Action::\\\"dataset:read\\\", resource);");
	all = get(&s, s.aud, ACME "/who-can" READS);
	cr_expect_null(strstr(all.text, "acme/dora"), "%s", all.text);
	plane_stop(s.plane);
}

Test(inquiry, reports_who_has_access_to_a_dataset_and_to_whom_it_is_offered)
{
	struct scene s = start();
	plane_put(s.plane, s.admin, "Offer", ACME "/domains/trips/offers/all",
	          "{'datasets':['rides'],'to':{'tenant':'acme','domain':'other'}}");
	struct answer answer = get(&s, s.own, ACME "/domains/trips/datasets/rides/access");
	cr_assert_eq(answer.status, 200, "%s", answer.text);
	cr_expect_eq(value_len(value_get(answer.body, "offers")), 1, "%s", answer.text);
	cr_expect_not_null(strstr(answer.text, "\"dataset:write\""), "%s", answer.text);
	cr_expect_not_null(strstr(answer.text, "\"key:destroy\""), "%s", answer.text);
	cr_expect_not_null(strstr(answer.text, "\"domain-owner\""), "%s", answer.text);
	cr_expect_eq(get(&s, s.own, ACME "/domains/trips/datasets/none/access").status, 404);
	plane_stop(s.plane);
}

Test(inquiry, the_schema_of_policies_is_read_by_anyone_who_is_known)
{
	struct scene s = start();
	struct answer answer = get(&s, s.carl, "/v1/policy-schema");
	cr_expect_eq(answer.status, 200);
	cr_expect_not_null(strstr(answer.text, "action \"dataset:read\" in [\"read\""), "%s",
	                   answer.text);
	cr_expect_eq(get(&s, NULL, "/v1/policy-schema").status, 401);
	plane_stop(s.plane);
}
