/* test_h_worker.c - the list of workers: those that poll as they are, those that do not as the
 * operator left them. */
#include "common/defs.h"
#include "control/dispatch.h"
#include "tests/support/stage.h"

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <string.h>

#define OPS "/v1/tenants/acme/domains/ops"

enum { PATIENCE_MS = 120000 };

static struct stage *stage;
static struct puppet *puppet;
static const char *key;

static void begin(void)
{
	stage = stage_open();
	key = plane_tenant(stage->plane, "acme", "ops");
	puppet = puppet_new(stage, "w1", 4, 1);
}

static void end(void)
{
	puppet_free(puppet);
	stage_close(stage);
}

TestSuite(h_worker, .init = begin, .fini = end);

static struct answer operator_call(const char *method, const char *path, const char *body)
{
	return plane_call(stage->plane, stage->plane->operator_key, method, path, body);
}

static void say(const char *name, const char *spec)
{
	plane_put(stage->plane, stage->plane->operator_key, "Worker",
	          arena_printf(stage->plane->arena, "/v1/workers/%s", name), spec);
}

static const struct value *workers(void)
{
	struct answer answer = operator_call("GET", "/v1/workers", NULL);
	cr_assert_eq(answer.status, 200, "%s", answer.text);
	return value_get(answer.body, "items");
}

/* NULL: it is not in the list. */
static const struct value *listed(const char *name)
{
	const struct value *items = workers();
	for (size_t i = 0; i < value_len(items); i++)
		if (strcmp(value_get_str(value_at(items, i), "name"), name) == 0)
			return value_at(items, i);
	return NULL;
}

/* A row of the list has a member of that value. */
struct wish { const char *name, *member; int64_t is; };

static bool granted(void *context)
{
	const struct wish *wish = context;
	const struct value *row = listed(wish->name);
	if (strcmp(wish->member, "running") == 0)
		return value_get_int(row, wish->member, -1) == wish->is;
	return row && value_get_bool(row, wish->member, !wish->is) == !!wish->is;
}

static void await(const char *name, const char *member, int64_t is)
{
	struct wish wish = { name, member, is };
	cr_assert(stage_await(stage, granted, &wish, PATIENCE_MS), "%s: %s is not %d: %s", name,
	          member, (int)is, operator_call("GET", "/v1/workers", NULL).text);
}

static const char *submit(void)
{
	struct answer answer = plane_call(stage->plane, key, "POST", OPS "/tasks",
	                                  "{'type':'probe','spec':{}}");
	cr_assert_eq(answer.status, 202, "%s", answer.text);
	return arena_printf(stage->plane->arena, OPS "/tasks/%s",
	                    value_get_str(answer.body, "id"));
}

static const char *state_of(const char *task)
{
	return value_get_str(plane_call(stage->plane, key, "GET", task, NULL).body, "state");
}

/* --- the list --- */

Test(h_worker, who_polls_is_listed_with_what_runs_there)
{
	await("w1", "connected", true);
	await("w1", "running", 0);
	cr_expect_not(value_get_bool(listed("w1"), "cordoned", true));
	cr_expect_not(value_get_bool(listed("w1"), "draining", true));
	submit();
	submit();
	await("w1", "running", 2);
	cr_expect_eq(value_len(workers()), 1);
}

Test(h_worker, of_who_does_not_poll_there_is_what_was_said_of_it)
{
	await("w1", "connected", true);
	say("w7", "{'drain':true}");
	say("w8", "{'cordoned':true}");
	say("w9", "{'description':'on order'}");
	await("w9", "connected", false);
	await("w7", "cordoned", true);
	cr_expect(value_get_bool(listed("w7"), "draining", false));
	cr_expect(value_get_bool(listed("w8"), "cordoned", false));
	cr_expect_not(value_get_bool(listed("w8"), "draining", true));
	cr_expect_not(value_get_bool(listed("w9"), "cordoned", true));
	cr_expect_eq(value_get_int(listed("w9"), "running", -1), 0);
	say("w1", "{'description':'here'}");
	cr_expect_eq(value_len(workers()), 4, "who polls and was spoken of is there once");
	cr_assert_eq(operator_call("DELETE", "/v1/workers/w9", NULL).status, 200);
	cr_expect_null(listed("w9"));
}

Test(h_worker, who_does_not_lead_says_so)
{
	await("w1", "connected", true);
	say("w7", "{}");
	struct answer answer = { .status = 0 };
	/* Its thread may look just now, and lead again: it is asked again then. */
	for (int i = 0; i < 100 && answer.status != 503; i++) {
		atomic_store(&stage->plane->part->led, 0);
		answer = operator_call("GET", "/v1/workers", NULL);
	}
	cr_expect_eq(answer.status, 503, "%s", answer.text);
}

/* --- cordon and drain --- */

Test(h_worker, a_cordoned_one_keeps_what_runs_and_gets_no_more)
{
	const char *first = submit();
	await("w1", "running", 1);
	say("w1", "{'cordoned':true}");
	await("w1", "cordoned", true);
	const char *second = submit();
	struct wish more = { "w1", "running", 2 };
	cr_expect_not(stage_pass(stage, granted, &more, 2000));
	cr_expect_str_eq(state_of(first), "running");
	cr_expect_str_eq(state_of(second), "queued");
	cr_expect_not(value_get_bool(listed("w1"), "draining", true));
	say("w1", "{'cordoned':false}");
	await("w1", "running", 2);
	await("w1", "cordoned", false);
}

/* That what runs there is handed back: test_dispatch_worker.c. */
Test(h_worker, a_drained_one_is_cordoned_too_and_what_waits_goes_elsewhere)
{
	await("w1", "connected", true);
	say("w1", "{'drain':true}");
	await("w1", "draining", true);
	await("w1", "cordoned", true);
	submit();
	struct puppet *other = puppet_new(stage, "w2", 4, 1);
	await("w2", "running", 1);
	cr_expect_eq(value_get_int(listed("w1"), "running", -1), 0);
	puppet_free(other);
}

/* --- names --- */

Test(h_worker, an_unknown_name_is_not_found_and_a_wrong_field_is_named)
{
	cr_expect_eq(operator_call("GET", "/v1/workers/w5", NULL).status, 404);
	cr_expect_eq(operator_call("DELETE", "/v1/workers/w5", NULL).status, 404);
	struct answer answer = operator_call("PUT", "/v1/workers/w5",
	                                     "{'apiVersion':'freehold.io/v1','kind':'Worker',"
	                                     "'metadata':{'name':'w5'},'spec':{'cordon':true}}");
	cr_expect_eq(answer.status, 400, "%s", answer.text);
	cr_expect_not_null(strstr(answer.detail, "did you mean \"cordoned\""), "%s", answer.detail);
	cr_expect_null(listed("w5"));
}

Test(h_worker, who_is_no_operator_learns_of_no_worker)
{
	say("w-7", "{}");
	struct answer answer = plane_call(stage->plane, key, "GET", "/v1/workers", NULL);
	cr_expect_geq(answer.status, 403, "%s", answer.text);
	cr_expect_null(strstr(answer.text, "w-7"), "an id may spell w7, never this");
	answer = plane_call(stage->plane, key, "GET", "/v1/workers/w-7", NULL);
	struct answer none = plane_call(stage->plane, key, "GET", "/v1/workers/w6", NULL);
	cr_expect_eq(answer.status, none.status, "%s", answer.text);
	cr_expect_str_eq(answer.detail, none.detail);
}
