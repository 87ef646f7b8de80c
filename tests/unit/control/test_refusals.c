/* test_refusals.c - what anybody may cause is counted, and never fills a log. */
#include "common/defs.h"
#include "control/refusals.h"

#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct value *platform_events(struct plane *plane, const char *action)
{
	struct value *list = NULL;
	struct err err = {0};
	bool more = false;
	const struct audit_query query = {
		.tenant = "platform", .action = action, .limit = 1000};
	cr_assert_eq(shard_audit(plane->part->shard, plane->arena, &query, &list, &more, &err),
	             0, "%s", err.text);
	return list;
}

/* How many refusals its events tell of. */
static int64_t told(struct plane *plane)
{
	const struct value *events = platform_events(plane, "sign-in:refused");
	int64_t count = 0;
	for (size_t i = 0; i < value_len(events); i++)
		count += value_get_int(value_get(value_at(events, i), "detail"), "count", 1);
	return count;
}

/* The plane's own thread flushes, too: it may be about to write what is looked for here. */
static void flush_until(struct plane *plane, int64_t count)
{
	for (int ms = 0; told(plane) < count; ms++) {
		cr_assert_lt(ms, 30000, "%lld of %lld", (long long)told(plane), (long long)count);
		refusals_flush(plane->control);
		usleep(1000);
	}
	cr_expect_eq(told(plane), count);
}

static void refuse(struct plane *plane, const char *address)
{
	refusals_sign_in(plane->control, "fh_nothing_such", address, "/v1/whoami", 7);
}

Test(refusals, the_first_is_an_event_and_those_like_it_are_one_more_when_their_minute_is_over)
{
	struct clock *clock = NULL;
	cr_assert_eq(clock_new_simulated(1700000000000, &clock, NULL), 0);
	struct plane *plane = plane_start_at(clock);
	for (int i = 0; i < 500; i++)
		refuse(plane, "192.0.2.1");
	cr_expect_eq(value_len(platform_events(plane, "sign-in:refused")), 1);
	refusals_flush(plane->control);
	cr_expect_eq(value_len(platform_events(plane, "sign-in:refused")), 1);
	clock_advance(clock, REFUSALS_WINDOW_MS + 1);
	flush_until(plane, 500);
	const struct value *events = platform_events(plane, "sign-in:refused");
	cr_assert_eq(value_len(events), 2);
	const struct value *counted = value_at(events, 0);
	cr_expect_eq(value_get_int(value_get(counted, "detail"), "count", 0), 499);
	cr_expect_str_eq(value_get_str(counted, "address"), "192.0.2.1");
	cr_expect_eq(value_get_int(counted, "class", 0), 3002);
	plane_stop(plane);
	clock_free(clock);
}

Test(refusals, of_a_thousand_addresses_few_are_events_and_none_is_lost_from_the_counts)
{
	struct clock *clock = NULL;
	cr_assert_eq(clock_new_simulated(1700000000000, &clock, NULL), 0);
	struct plane *plane = plane_start_at(clock);
	char address[32];
	for (int i = 0; i < 1000; i++) {
		snprintf(address, sizeof address, "192.0.%d.%d", i / 250, i % 250);
		refuse(plane, address);
	}
	cr_expect_leq(value_len(platform_events(plane, "sign-in:refused")),
	              2 * REFUSALS_PER_SECOND);
	clock_advance(clock, REFUSALS_WINDOW_MS + 1);
	flush_until(plane, 1000);
	plane_stop(plane);
	clock_free(clock);
}

Test(refusals, the_id_is_told_of_a_key_that_was_given_out_and_of_no_other_text)
{
	struct plane *plane = plane_start();
	char wrong[128];
	snprintf(wrong, sizeof wrong, "%s", plane->operator_key);
	wrong[strlen(wrong) - 2] = wrong[strlen(wrong) - 2] == 'A' ? 'B' : 'A';
	cr_expect_eq(plane_call(plane, wrong, "GET", "/v1/whoami", NULL).status, 401);
	cr_expect_eq(plane_call(plane, "secret-text", "GET", "/v1/tenants", NULL).status, 401);
	cr_expect_eq(plane_call(plane, NULL, "GET", "/v1/tenants", NULL).status, 401);
	const struct value *events = platform_events(plane, "sign-in:refused");
	cr_assert_geq(value_len(events), 1);
	const struct value *first = value_at(events, value_len(events) - 1);
	cr_expect_not_null(value_get_str(first, "credential"));
	cr_expect_null(strstr(wrong + 30, value_get_str(first, "credential")));
	cr_expect_str_eq(value_get_str(first, "resource"), "/v1/whoami");
	for (size_t i = 0; i + 1 < value_len(events); i++)
		cr_expect_null(value_get_str(value_at(events, i), "credential"));
	plane_stop(plane);
}
