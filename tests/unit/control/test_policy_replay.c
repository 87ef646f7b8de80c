/* test_policy_replay.c - a diff tells which of the decisions that were made would be others, by
 * which policy, and how many cannot be said. */
#include "common/defs.h"
#include "control/policy_replay.h"
#include "policy/engine.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <string.h>

#define ACME "/v1/tenants/acme"
#define TRIPS ACME "/domains/trips"

struct scene {
	struct plane *plane;
	const char *admin, *carl;
};

static struct scene start(void)
{
	struct scene s = {.plane = plane_start()};
	s.admin = plane_tenant(s.plane, "acme", "trips");
	plane_put(s.plane, s.admin, "Dataset", TRIPS "/datasets/rides", "{}");
	s.carl = plane_principal(s.plane, "acme", "carl", "'consumer'", "trips");
	return s;
}

/* text: with \\\" for quotes. */
static struct answer diff(const struct scene *s, const char *key, const char *text, int last)
{
	const char *body = arena_printf(s->plane->arena,
	                                "{\"policies\":[{\"name\":\"rule\",\"text\":"
	                                "\"%s\"}],\"last\":%d}",
	                                text, last);
	const struct asked asked = {
		.method = "POST", .key = key, .body = body, .path = ACME "/policy-diff"};
	return plane_ask(s->plane, &asked);
}

#define NO_WRITES                                                                                  \
	"forbid(principal == User::\\\"acme/admin\\\", action == Action::\\\"dataset:write\\\", "  \
	"resource);"
#define CARL_WRITES                                                                                \
	"permit(principal == User::\\\"acme/carl\\\", action == Action::\\\"dataset:write\\\", "   \
	"resource);"

static int64_t number(const struct answer *answer, const char *name)
{
	return value_get_int(answer->body, name, -1);
}

Test(policy_replay, tells_what_was_allowed_and_would_be_denied_and_the_other_way)
{
	struct scene s = start();
	const char *body = "{'apiVersion':'freehold.io/v1','kind':'Dataset','metadata':{'name':"
			   "'mine'},'spec':{}}";
	for (int i = 0; i < 2; i++)
		cr_assert_eq(
			plane_call(s.plane, s.carl, "PUT", TRIPS "/datasets/mine", body).status,
			403);
	struct answer answer = diff(&s, s.admin, NO_WRITES, 1000);
	cr_assert_eq(answer.status, 200, "%s", answer.text);
	cr_expect_eq(number(&answer, "changed"), 1, "%s", answer.text);
	const struct value *item = value_at(value_get(answer.body, "decisions"), 0);
	cr_expect_str_eq(value_get_str(item, "actor"), "acme/admin");
	cr_expect_str_eq(value_get_str(item, "was"), "allowed");
	cr_expect_str_eq(value_get_str(item, "wouldBe"), "denied");
	cr_expect_str_eq(value_get_str(item, "by"), "rule.0");
	answer = diff(&s, s.admin, CARL_WRITES, 1000);
	cr_expect_eq(number(&answer, "changed"), 2, "%s", answer.text);
	item = value_at(value_get(answer.body, "decisions"), 0);
	cr_expect_eq(value_len(value_get(answer.body, "decisions")), 1, "%s", answer.text);
	cr_expect_eq(value_get_int(item, "count", 0), 2);
	cr_expect_str_eq(value_get_str(item, "wouldBe"), "allowed");
	cr_expect_str_eq(value_get_str(value_at(value_get(answer.body, "policies"), 0), "change"),
	                 "added");
	cr_expect_eq(plane_call(s.plane, s.admin, "GET", ACME "/policies/rule", NULL).status, 404);
	plane_stop(s.plane);
}

Test(policy_replay, counts_what_cannot_be_replayed_and_says_why)
{
	struct scene s = start();
	plane_call(s.plane, s.admin, "DELETE", ACME "/principals/carl", NULL);
	struct answer answer = diff(&s, s.admin, CARL_WRITES, 1000);
	int64_t left = 0;
	const struct value *list = value_get(answer.body, "leftOut");
	for (size_t i = 0; i < value_len(list); i++)
		left += value_get_int(value_at(list, i), "count", 0);
	cr_expect_gt(number(&answer, "events"), 0, "%s", answer.text);
	cr_expect_eq(number(&answer, "events"), number(&answer, "replayed") + left, "%s",
	             answer.text);
	answer = diff(&s, s.admin, CARL_WRITES, 2);
	cr_expect_eq(number(&answer, "events"), 2, "%s", answer.text);
	answer = diff(&s, s.admin, CARL_WRITES, 0);
	cr_expect_eq(number(&answer, "events"), 0, "%s", answer.text);
	plane_stop(s.plane);
}

Test(policy_replay, tells_what_is_wrong_with_a_text_and_who_may_not_ask)
{
	struct scene s = start();
	struct answer answer = diff(&s, s.admin,
	                            "permit(principal, action == "
	                            "Action::\\\"dataset:raed\\\", resource);",
	                            0);
	cr_expect_eq(answer.status, 200);
	cr_expect_not_null(strstr(answer.text, "did you mean `dataset:read`?"), "%s", answer.text);
	cr_expect_eq(diff(&s, s.carl, NO_WRITES, 0).status, 403);
	cr_expect_eq(diff(&s, s.admin, NO_WRITES, REPLAY_MAX + 1).status, 400);
	const char *stranger = plane_tenant(s.plane, "globex", "trips");
	cr_expect_eq(diff(&s, stranger, NO_WRITES, 0).status, 404);
	plane_stop(s.plane);
}

Test(policy_replay, reads_the_resource_out_of_an_events_path)
{
	AUTO(arena) *arena = NULL;
	struct engine_resource resource;
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	cr_expect(policy_replay_resource(arena, "acme", TRIPS "/datasets/rides/snapshots",
	                                 &resource));
	cr_expect_str_eq(resource.kind, "Dataset");
	cr_expect_str_eq(resource.domain, "trips");
	cr_expect_str_eq(resource.name, "rides");
	cr_expect(policy_replay_resource(arena, "acme", ACME "/quotas/daily?x=y", &resource));
	cr_expect_str_eq(resource.name, "daily");
	cr_expect_null(resource.domain);
	cr_expect(policy_replay_resource(arena, "acme", TRIPS "/tasks", &resource));
	cr_expect_null(resource.name);
	cr_expect_not(
		policy_replay_resource(arena, "acme", "/v1/tenants/globex/quotas", &resource));
	cr_expect_not(policy_replay_resource(arena, "acme", "01j9task", &resource));
}
