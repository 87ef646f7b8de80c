/* test_late.c - an event whose log another replica leads is durable at once, and there once. */
#include "common/defs.h"
#include "control/late.h"

#include "control/lead.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <unistd.h>

enum { WAIT_MS = 30000 };

static size_t count_of(struct plane *plane, const char *tenant, const char *action)
{
	struct value *list = NULL;
	struct err err = {0};
	bool more = false;
	const struct audit_query query = {.tenant = tenant, .action = action, .limit = 1000};
	cr_assert_eq(shard_audit(plane->part->shard, plane->arena, &query, &list, &more, &err),
	             0, "%s", err.text);
	return value_len(list);
}

static void until_moved(struct plane *plane)
{
	for (int ms = 0; catalog_has_prefix(plane->control->catalog, "r/late/"); ms++) {
		cr_assert_lt(ms, WAIT_MS, "it waits for ever");
		usleep(1000);
	}
}

static void start_two(struct plane *planes[2])
{
	planes[0] = plane_start_with(&(struct plane_options){.replica = "a", .shards = 1});
	planes[1] = plane_start_with(
		&(struct plane_options){.replica = "b", .shards = 1, .beside = planes[0]});
}

static struct audit_event event_for(const char *tenant)
{
	return (struct audit_event){.tenant = tenant,
	                            .actor = "acme/ada",
	                            .action = "dataset:read",
	                            .resource = "/v1/x",
	                            .result = "allowed",
	                            .at_ms = 1700000000000};
}

Test(late, what_a_follower_posts_is_in_the_leaders_log_once_and_nowhere_else)
{
	struct plane *planes[2];
	struct err err = {0};
	start_two(planes);
	plane_tenant(planes[0], "acme", "flights");
	const struct audit_event event = event_for("acme");
	for (int i = 0; i < 5; i++)
		cr_assert_eq(late_post(planes[1]->control, &event, &err), 0, "%s", err.text);
	for (int ms = 0; count_of(planes[0], "acme", "dataset:read") < 5; ms++) {
		cr_assert_lt(ms, WAIT_MS, "the leader does not take it up");
		usleep(1000);
	}
	until_moved(planes[0]);
	late_collect(planes[0]->part);
	cr_expect_eq(count_of(planes[0], "acme", "dataset:read"), 5);
	plane_stop(planes[1]);
	plane_stop(planes[0]);
}

Test(late, of_a_tenant_that_is_gone_no_log_begins_anew)
{
	struct plane *planes[2];
	struct err err = {0};
	start_two(planes);
	const struct audit_event event = event_for("nobody");
	cr_assert_eq(late_post(planes[1]->control, &event, &err), 0, "%s", err.text);
	for (int ms = 0; !catalog_has_prefix(planes[0]->control->catalog, "r/late/") && ms < 50;
	     ms++)
		usleep(1000);
	until_moved(planes[0]);
	cr_expect_eq(count_of(planes[0], "nobody", NULL), 0);
	plane_stop(planes[1]);
	plane_stop(planes[0]);
}

Test(late, more_than_a_replica_may_leave_to_others_is_refused)
{
	struct clock *clock = NULL;
	struct err err = {0};
	cr_assert_eq(clock_new_simulated(1700000000000, &clock, NULL), 0);
	struct plane *plane = plane_start_at(clock);
	const struct audit_event event = event_for("acme");
	int code = 0, count = 0;
	lead_stop(plane->part->lead);
	while (code == 0 && count < 2 * LATE_PER_SECOND) {
		code = late_post(plane->control, &event, &err);
		count += code == 0;
	}
	cr_expect_eq(code, E_UNAVAILABLE);
	cr_expect_leq(count, LATE_PER_SECOND);
	plane_stop(plane);
	clock_free(clock);
}
