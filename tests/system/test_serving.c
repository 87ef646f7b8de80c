/* Online reads: without control on the warm path, dropped within seconds when access ends, counted.
 */
#include "common/defs.h"
#include "tests/support/story.h"

#include "tests/support/follow.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { WITHIN_MS = 30000 };

static const char ask[] =
	"{\"features\":[\"spending:orders\",\"spending:total\"],"
	"\"entities\":{\"customer\":[\"customer-of-marker-3\"]},\"full_feature_names\":false}";

static struct system *start_serving(void)
{
	struct system *system = story_start(NULL);
	data_csv(system, "orders.csv", 2000);
	story_orders(system, "orders.csv", "csv", "");
	story_spending(system);
	story_run(system, "ingest", "{\"source\":\"orders\"}");
	story_run(system, "transform", "{\"transformation\":\"spending\"}");
	story_run(system, "materialize", "{\"featureView\":\"spending\"}");
	struct answer answer = story_features(system, "eve", ask);
	cr_assert_eq(answer.status, 200, "%s", answer.text);
	return system;
}

struct wanted {
	struct system *system;
	const char *who;
	int status;
	int last;
};

static bool answers_so(void *context)
{
	struct wanted *wanted = context;
	wanted->last = story_features(wanted->system, wanted->who, ask).status;
	return wanted->last == wanted->status;
}

static void soon(struct system *system, const char *who, int status)
{
	struct wanted wanted = {system, who, status, 0};
	cr_assert(wait_until(answers_so, &wanted, WITHIN_MS), "still %d, not %d, after %d ms",
		  wanted.last, status, WITHIN_MS);
}

Test(serving, reads_on_a_warm_grant_go_on_while_control_stands_still)
{
	struct system *system = start_serving();
	system_pause(system, PART_CONTROL);
	int slow = 0;
	for (int i = 0; i < 400; i++) {
		int64_t began = mono_ms();
		struct answer answer = story_features(system, "eve", ask);
		cr_assert_eq(answer.status, 200, "read %d: %s", i, answer.text);
		slow += mono_ms() - began > 1000;
		wait_ms(10);
	}
	cr_assert_lt(slow, 40, "%d of 400 reads waited for somebody", slow);
	system_resume(system, PART_CONTROL);
	wait_ms(3000);                             /* it notices that it led too long ago */
	system_await_ready(system);
	story_run(system, "probe", "{}");
	system_stop(system);
}

Test(serving, reads_on_a_warm_grant_go_on_while_control_and_etcd_are_dead)
{
	struct system *system = start_serving();
	system_kill(system, PART_CONTROL);
	system_kill(system, PART_ETCD);
	for (int i = 0; i < 100; i++)
		cr_assert_eq(story_features(system, "eve", ask).status, 200);
	/* Nobody vouches for a caller that was not known before. */
	struct answer stranger = story_features(system, "ada", ask);
	cr_assert(stranger.status == 503 || stranger.status == 504, "%d %s", stranger.status,
		  stranger.text);
	system_stop(system);
}

Test(serving, a_revoked_key_reads_nothing_within_seconds)
{
	struct system *system = start_serving();
	struct value *keys = system_ask(system, story_key(system, "abe"), "GET",
					"/v1/tenants/acme/principals/eve/keys", NULL);
	const char *id = value_get_str(value_at(value_get(keys, "items"), 0), "id");
	system_ask(
		system, story_key(system, "abe"), "DELETE",
		arena_printf(system_arena(system), "/v1/tenants/acme/principals/eve/keys/%s", id),
		NULL);
	soon(system, "eve", 401);
	cr_assert_eq(
		system_call(system, story_key(system, "eve"), "GET", "/v1/whoami", NULL).status,
		401);
	cr_assert_eq(story_features(system, "ada", ask).status, 200);
	system_stop(system);
}

Test(serving, a_principal_that_loses_its_role_reads_nothing_within_seconds)
{
	struct system *system = start_serving();
	story_apply(
		system, "abe",
		"apiVersion: freehold.io/v1\nkind: Principal\n"
		"metadata: {name: eve, tenant: acme}\nspec: {roles: [producer], domain: sales}\n");
	soon(system, "eve", 403);
	story_apply(
		system, "abe",
		"apiVersion: freehold.io/v1\nkind: Principal\n"
		"metadata: {name: eve, tenant: acme}\nspec: {roles: [consumer], domain: sales}\n");
	soon(system, "eve", 200);
	system_stop(system);
}

Test(serving, a_deleted_view_is_gone_within_seconds)
{
	struct system *system = start_serving();
	system_cli_ok(system, "delete", "featureview", "spending", "--domain", "sales", "--profile",
		      "ada", NULL);
	soon(system, "eve", 404);
	system_stop(system);
}

Test(serving, another_tenants_view_is_not_told_from_one_that_does_not_exist)
{
	struct system *system = start_serving();
	static const char *const asks[] = {
		"{\"features\":[\"sales.spending:orders\"],\"entities\":{\"customer\":[\"a\"]}}",
		"{\"features\":[\"sales.nothing_here:orders\"],\"entities\":{\"customer\":[\"a\"]}"
		"}",
	};
	struct answer theirs = story_features(system, "gus", asks[0]);
	struct answer nobodys = story_features(system, "gus", asks[1]);
	cr_assert_eq(theirs.status, nobodys.status);
	cr_assert(theirs.status == 404 || theirs.status == 403, "%d", theirs.status);
	cr_assert_null(strstr(theirs.text, "acme"));
	struct answer nobody = system_call_with(system, PORT_SERVING, NULL, NULL, "POST",
						"/get-online-features", ask);
	cr_assert_eq(nobody.status, 401);
	system_stop(system);
}

struct counted {
	struct system *system;
	int64_t least;
};

static bool reads_counted(void *context)
{
	struct counted *counted = context;
	return story_usage(counted->system, "onlineReads") >= counted->least;
}

static int64_t settled_reads(struct system *system, int64_t least)
{
	struct counted counted = {system, least};
	wait_until(reads_counted, &counted, 20000);
	wait_ms(1500); /* and whatever comes beyond it */
	return story_usage(system, "onlineReads");
}

Test(serving, online_reads_are_counted_once_through_a_killed_worker_and_a_killed_control)
{
	struct system *system = start_serving();
	/* What one such request counts for; the one of the start is among them. */
	for (int i = 0; i < 9; i++)
		cr_assert_eq(story_features(system, "eve", ask).status, 200);
	int64_t ten = settled_reads(system, 10);
	cr_assert(ten >= 10 && ten % 10 == 0, "%" PRId64, ten);
	for (int i = 0; i < 200; i++)
		cr_assert_eq(story_features(system, "eve", ask).status, 200);
	system_kill(system, PART_WORKER);
	system_run(system, PART_WORKER);
	cr_assert_eq(settled_reads(system, ten * 21), ten * 21);
	for (int i = 0; i < 200; i++)
		cr_assert_eq(story_features(system, "eve", ask).status, 200);
	system_kill(system, PART_CONTROL);
	for (int i = 0; i < 90; i++)
		cr_assert_eq(story_features(system, "eve", ask).status, 200);
	system_run(system, PART_CONTROL);
	system_await_ready(system);
	cr_assert_eq(settled_reads(system, ten * 50), ten * 50);
	system_stop(system);
}

struct bad_ask {
	const char *body;
	int status;
	const char *says;
};

Test(serving, a_bad_question_is_told_what_is_wrong_with_it)
{
	static const struct bad_ask asks[] = {
		{"{\"features\":", 400, "line 1"},
		{"{\"features\":[\"spending:orders\"],\"entities\":{\"customer\":[\"a\"]},\"x\":1}",
		 400, "x"},
		{"{\"features\":[],\"entities\":{\"customer\":[\"a\"]}}", 400, "features"},
		{"{\"features\":[\"spending\"],\"entities\":{\"customer\":[\"a\"]}}", 400,
		 "features"},
		{"{\"features\":[\"spending:order\"],\"entities\":{\"customer\":[\"a\"]}}", 0,
		 "order"},
		{"{\"features\":[\"spending:orders\"],\"entities\":{\"client\":[\"a\"]}}", 400,
		 "client"},
		{"{\"features\":[\"spending:orders\"],\"entities\":{\"customer\":\"a\"}}", 400,
		 "customer"},
		{"{\"features\":[\"spending:orders\"],\"entities\":{\"customer\":[{}]}}", 400,
		 "customer"},
		{"[]", 400, "object"},
	};
	struct system *system = start_serving();
	for (size_t i = 0; i < ARRAY_LEN(asks); i++) {
		struct answer answer = story_features(system, "eve", asks[i].body);
		cr_assert(answer.status >= 400 && answer.status < 500, "%s: %d %s", asks[i].body,
			  answer.status, answer.text);
		cr_assert(!asks[i].status || answer.status == asks[i].status, "%s: %d %s",
			  asks[i].body, answer.status, answer.text);
		cr_assert_not_null(strstr(answer.text, asks[i].says), "%s: %s", asks[i].body,
				   answer.text);
	}
	system_stop(system);
}
