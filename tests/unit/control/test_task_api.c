/* test_task_api.c - what clients ask of tasks in numbers: many at once, lists with filters, why one
 * waits, and when to come back. */
#include "common/defs.h"
#include "tests/support/plane.h"

#include "control/events.h"
#include "control/explain.h"
#include "control/filter.h"
#include "control/intake.h"
#include "control/sched.h"
#include "control/shard_work.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OPS "/v1/tenants/acme/domains/ops"
#define PROBE "{'type':'probe','spec':{}}"
#define NOBODYS "01h455vb4pex5vsknk084sn02q"

static struct plane *plane;
static const char *key;

static void begin(void)
{
	plane = plane_start();
	key = plane_tenant(plane, "acme", "ops");
}

static void end(void)
{
	plane_stop(plane);
}

TestSuite(task_api, .init = begin, .fini = end);

static struct answer call(const char *method, const char *path, const char *body)
{
	return plane_call(plane, key, method, path, body);
}

static size_t listed(const char *query)
{
	const char *path = arena_printf(plane->arena, OPS "/tasks?%s", query);
	struct answer answer = call("GET", path, NULL);
	cr_assert_eq(answer.status, 200, "%s: %s", query, answer.text);
	return value_len(value_get(answer.body, "items"));
}

static const char *id_of(struct answer answer)
{
	cr_assert_eq(answer.status, 202, "%s", answer.text);
	return value_get_str(answer.body, "id");
}

/* Held until it has ended. */
static void await_end(const char *id)
{
	const char *path = arena_printf(plane->arena, OPS "/tasks/%s?waitMs=5000&afterVersion=1",
	                                id);
	while (!value_get(call("GET", path, NULL).body, "endedAt"))
		;
}

/* --- batches --- */

Test(task_api, a_batch_is_accepted_whole_and_its_tasks_are_there)
{
	struct answer answer = call("POST", OPS "/tasks:batch",
	                            "{'items':[" PROBE "," PROBE "," PROBE "]}");
	cr_assert_eq(answer.status, 202, "%s", answer.text);
	const struct value *items = value_get(answer.body, "items");
	cr_assert_eq(value_len(items), 3);
	for (size_t i = 0; i < 3; i++) {
		const char *path = arena_printf(plane->arena, OPS "/tasks/%s",
		                                value_get_str(value_at(items, i), "id"));
		cr_expect_eq(call("GET", path, NULL).status, 200);
		cr_expect_not(value_get_bool(value_at(items, i), "existing", true));
	}
	cr_expect_eq(listed("state=queued"), 3);
}

Test(task_api, one_wrong_item_refuses_the_batch_and_every_wrong_one_is_named)
{
	struct answer answer = call("POST", OPS "/tasks:batch", "{'items':[" PROBE ","
	                            "{'type':'prob'}," PROBE ",{'type':'ingest','spec':{'source':"
	                            "'nothing'}}]}");
	cr_expect_eq(answer.status, 400, "%s", answer.text);
	cr_expect_not_null(strstr(answer.detail, "items[1]"), "%s", answer.detail);
	const struct value *errors = value_get(answer.body, "errors");
	cr_assert_eq(value_len(errors), 2, "%s", answer.text);
	cr_expect_eq(value_get_int(value_at(errors, 0), "index", -1), 1);
	cr_expect_eq(value_get_int(value_at(errors, 1), "index", -1), 3);
	cr_expect_not_null(value_get_str(value_at(errors, 1), "code"));
	cr_expect_not_null(strstr(value_get_str(value_at(errors, 1), "detail"), "nothing"));
	cr_expect_eq(listed("limit=10"), 0, "none was accepted");
}

Test(task_api, an_items_key_makes_it_the_same_task_in_a_batch_and_alone)
{
	const char *body = "{'items':[{'type':'probe','idempotencyKey':'k1'}," PROBE "]}";
	struct answer first = call("POST", OPS "/tasks:batch", body);
	struct answer again = call("POST", OPS "/tasks:batch", body);
	cr_assert_eq(first.status, 202, "%s", first.text);
	cr_assert_eq(again.status, 202, "%s", again.text);
	const struct value *one = value_at(value_get(first.body, "items"), 0);
	const struct value *two = value_at(value_get(again.body, "items"), 0);
	cr_expect_str_eq(value_get_str(one, "id"), value_get_str(two, "id"));
	cr_expect(value_get_bool(two, "existing", false));
	cr_expect_eq(listed("limit=10"), 3);
	const struct header headers[] = { { "Content-Type", "application/json" },
		                          { "Idempotency-Key", "k1" }, { NULL, NULL } };
	struct answer alone = plane_ask(plane, &(struct asked){
		.method = "POST", .path = OPS "/tasks", .key = key, .body = "{\"type\":\"probe\"}",
		.headers = headers });
	cr_expect_str_eq(id_of(alone), value_get_str(one, "id"));
	struct answer other = call("POST", OPS "/tasks:batch", "{'items':[" PROBE ",{'type':"
	                           "'probe','spec':{'sleepMs':7},'idempotencyKey':'k1'}]}");
	cr_expect_eq(other.status, 409, "%s", other.text);
	cr_expect_not_null(strstr(other.detail, "items[1]"));
	cr_expect_eq(listed("limit=10"), 3, "the one before it was given back");
}

Test(task_api, a_batch_is_bounded_and_holds_tasks_only)
{
	cr_expect_eq(call("POST", OPS "/tasks:batch", "{'items':[]}").status, 413);
	cr_expect_eq(call("POST", OPS "/tasks:batch", "{'tasks':[" PROBE "]}").status, 400);
	cr_expect_eq(call("POST", OPS "/tasks:batch", "{'items':[{'pipeline':'p'}]}").status, 400);
	cr_expect_eq(call("POST", OPS "/tasks:batch", "{'items':[7]}").status, 400);
	cr_expect_eq(call("POST", OPS "/tasks:batch", "{'items':[{'type':'probe','idempotencyKey':"
	                  "'a b'}]}").status, 400);
}

Test(task_api, a_thousand_tasks_go_into_one_change)
{
	AUTO_BUF body;
	buf_init(&body, MIB);
	buf_puts(&body, "{\"items\":[");
	for (int i = 0; i < 1000; i++)
		buf_printf(&body, "%s{\"type\":\"probe\",\"spec\":{\"sleepMs\":%d}}",
		           i ? "," : "", i);
	buf_puts(&body, "]}");
	cr_assert_eq(buf_check(&body, NULL), 0);
	struct answer answer = plane_ask(plane, &(struct asked){
		.method = "POST", .path = OPS "/tasks:batch", .key = key,
		.body = (char *)body.data });
	cr_expect_eq(answer.status, 202, "%s", answer.text);
	cr_expect_eq(value_len(value_get(answer.body, "items")), 1000);
}

Test(task_api, a_dry_batch_reserves_nothing_for_good)
{
	struct answer answer = call("POST", OPS "/tasks:batch?dryRun=true",
	                            "{'items':[" PROBE "]}");
	cr_expect_eq(answer.status, 200, "%s", answer.text);
	cr_expect_eq(listed("limit=10"), 0);
}

/* --- quotas and when to come back --- */

static void limit(const char *spec)
{
	plane_put(plane, plane->operator_key, "Quota", "/v1/tenants/acme/quotas/most", spec);
}

Test(task_api, a_quota_says_when_its_window_starts_anew)
{
	limit("{'window':'day','tasks':2}");
	struct answer answer = call("POST", OPS "/tasks:batch",
	                            "{'items':[" PROBE "," PROBE "," PROBE "]}");
	cr_expect_eq(answer.status, 429, "%s", answer.text);
	cr_expect_not_null(strstr(answer.detail, "items[2]"), "%s", answer.detail);
	cr_expect(answer.retry_after_s >= 1 && answer.retry_after_s <= 24 * 3600);
	cr_expect_eq(listed("limit=10"), 0);
	id_of(call("POST", OPS "/tasks", PROBE));
	id_of(call("POST", OPS "/tasks", PROBE));
	answer = call("POST", OPS "/tasks", PROBE);
	cr_expect_eq(answer.status, 429);
	cr_expect(answer.retry_after_s >= 1 && answer.retry_after_s <= 24 * 3600);
}

Test(task_api, a_full_queue_says_to_come_back_soon)
{
	limit("{'window':'total','queuedTasks':1}");
	id_of(call("POST", OPS "/tasks", PROBE));
	struct answer answer = call("POST", OPS "/tasks", PROBE);
	cr_expect_eq(answer.status, 429, "%s", answer.text);
	cr_expect(answer.retry_after_s >= 1 && answer.retry_after_s <= 60);
}

Test(task_api, what_is_known_by_its_tag_is_not_sent_again)
{
	struct answer first = call("GET", OPS, NULL);
	cr_assert_not_null(first.etag);
	const struct header known[] = { { "If-None-Match", first.etag }, { NULL, NULL } };
	const struct header other[] = { { "If-None-Match", "\"1\"" }, { NULL, NULL } };
	struct asked asked = { .method = "GET", .path = OPS, .key = key, .headers = known };
	struct answer again = plane_ask(plane, &asked);
	cr_expect_eq(again.status, 304);
	cr_expect_str_eq(again.text, "");
	cr_expect_str_eq(again.etag, first.etag);
	asked.headers = other;
	cr_expect_eq(plane_ask(plane, &asked).status, 200);
}

/* --- lists --- */

Test(task_api, lists_are_filtered_by_states_type_and_time)
{
	const char *first = id_of(call("POST", OPS "/tasks", PROBE));
	id_of(call("POST", OPS "/tasks", PROBE));
	cr_assert_lt(call("POST", arena_printf(plane->arena, OPS "/tasks/%s/cancel", first), NULL)
	             .status, 300);
	await_end(first);
	cr_expect_eq(listed("state=queued"), 1);
	cr_expect_eq(listed("state=cancelled"), 1);
	cr_expect_eq(listed("state=queued,cancelled"), 2);
	cr_expect_eq(listed("type=probe"), 2);
	cr_expect_eq(listed("type=ingest"), 0);
	cr_expect_eq(listed("since=2001-01-01T00:00:00Z"), 2);
	cr_expect_eq(listed("since=2999-01-01T00:00:00Z"), 0);
	cr_expect_eq(listed("until=2001-01-01T00:00:00Z"), 0);
	cr_expect_eq(listed("schedule=none"), 0);
	cr_expect_eq(listed(arena_printf(plane->arena, "run=%s", first)), 0);
}

Test(task_api, a_filter_that_is_none_is_named_with_what_it_may_be)
{
	static const char *const wrong[] = { "state=quued", "state=", "state=queued,", "type=x",
		                             "since=yesterday", "until=1", "run=x", "schedule=-",
		                             "continue=x" };
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct answer answer = call("GET", arena_printf(plane->arena, OPS "/tasks?%s",
		                                                wrong[i]), NULL);
		cr_expect_eq(answer.status, 400, "%s: %s", wrong[i], answer.text);
	}
	struct answer answer = call("GET", OPS "/tasks?state=quued", NULL);
	cr_expect_not_null(strstr(answer.detail, "did you mean queued"), "%s", answer.detail);
}

Test(task_api, a_run_is_listed_by_a_state_that_runs_have)
{
	static const char *const wrong[] = { "runing", "", "blocked", "queued,running" };
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct answer answer = call("GET", arena_printf(plane->arena, OPS "/runs?state=%s",
		                                                wrong[i]), NULL);
		cr_expect_eq(answer.status, 400, "%s: %s", wrong[i], answer.text);
		cr_expect_not_null(strstr(answer.detail, "queued, running, succeeded"), "%s",
		                   answer.detail);
	}
	struct answer answer = call("GET", OPS "/runs?state=runing", NULL);
	cr_expect_not_null(strstr(answer.detail, "did you mean running"), "%s", answer.detail);
	answer = call("POST", OPS "/runs", "{'tasks':[{'name':'one','type':'probe'}]}");
	cr_assert_eq(answer.status, 202, "%s", answer.text);
	answer = call("GET", OPS "/runs?state=queued", NULL);
	cr_expect_eq(value_len(value_get(answer.body, "items")), 1, "%s", answer.text);
	answer = call("GET", OPS "/runs?state=failed", NULL);
	cr_expect_eq(value_len(value_get(answer.body, "items")), 0, "%s", answer.text);
}

/* --- explain --- */

Test(task_api, a_waiting_task_says_why_with_its_place)
{
	id_of(call("POST", OPS "/tasks", PROBE));
	const char *id = id_of(call("POST", OPS "/tasks", PROBE));
	struct answer answer = call("GET", arena_printf(plane->arena, OPS "/tasks/%s/explain", id),
	                            NULL);
	cr_assert_eq(answer.status, 200, "%s", answer.text);
	cr_expect_str_eq(value_get_str(answer.body, "task"), id);
	cr_expect_eq(value_get_int(answer.body, "position", 0), 2, "%s", answer.text);
	cr_expect_geq(value_len(value_get(answer.body, "reasons")), 1);
	const char *summary = value_get_str(answer.body, "summary");
	cr_expect_not_null(strstr(summary, "pool default has no workers"), "%s", summary);
	const char *other = plane_tenant(plane, "globex", "ops");
	cr_expect_eq(plane_call(plane, other, "GET", arena_printf(
		plane->arena, OPS "/tasks/%s/explain", id), NULL).status, 404);
	cr_expect_eq(call("GET", OPS "/tasks/" NOBODYS "/explain", NULL).status, 404);
}

Test(task_api, a_dry_run_says_when_it_would_start)
{
	struct answer answer = call("POST", OPS "/tasks?dryRun=true", PROBE);
	cr_assert_eq(answer.status, 200, "%s", answer.text);
	const struct value *explained = value_get(answer.body, "explain");
	cr_expect_not_null(value_get_str(explained, "summary"), "%s", answer.text);
	cr_expect_eq(value_get_int(explained, "position", 0), 1);
	cr_expect_eq(listed("limit=10"), 0);
}

Test(task_api, what_no_known_worker_could_ever_hold_is_refused_with_the_pool)
{
	const char *big = "{'type':'probe','limits':{'threads':64}}";
	id_of(call("POST", OPS "/tasks", big));
	const struct sched_worker worker = {
		.name = "w1", .total = { { 4000, (int64_t)4096 * MIB, 4 } },
	};
	struct err err = { 0 };
	cr_assert_eq(shard_worker_set(plane->part->shard, &worker, &err), 0, "%s", err.text);
	struct answer answer = call("POST", OPS "/tasks", big);
	cr_expect_eq(answer.status, 422, "%s", answer.text);
	cr_expect_not_null(strstr(answer.detail, "pool default"), "%s", answer.detail);
	cr_expect_not_null(strstr(answer.detail, "64000"), "%s", answer.detail);
	id_of(call("POST", OPS "/tasks", PROBE));
	answer = call("POST", OPS "/tasks:batch", "{'items':[" PROBE ",{'type':'probe','limits':"
	              "{'threads':64}}]}");
	cr_expect_eq(answer.status, 422, "%s", answer.text);
}

/* --- operators --- */

Test(task_api, operators_see_who_waits_and_tenants_do_not)
{
	id_of(call("POST", OPS "/tasks", PROBE));
	struct answer queue = plane_call(plane, plane->operator_key, "GET", "/v1/queue", NULL);
	cr_assert_eq(queue.status, 200, "%s", queue.text);
	const struct value *row = value_at(value_get(queue.body, "items"), 0);
	cr_expect_str_eq(value_get_str(row, "tenant"), "acme");
	cr_expect_eq(value_get_int(row, "waiting", 0), 1);
	struct answer pools = plane_call(plane, plane->operator_key, "GET", "/v1/pools", NULL);
	cr_assert_eq(pools.status, 200, "%s", pools.text);
	row = value_at(value_get(pools.body, "items"), 0);
	cr_expect_str_eq(value_get_str(row, "pool"), "default");
	cr_expect_eq(value_get_int(value_get(row, "waiting"), "tasks", 0), 1, "%s", pools.text);
	cr_expect_null(strstr(pools.text, "acme"));
	cr_expect_eq(call("GET", "/v1/queue", NULL).status, 403);
	cr_expect_eq(call("GET", "/v1/pools", NULL).status, 403);
}

Test(task_api, metrics_tell_what_pools_lack_without_a_tenants_name)
{
	id_of(call("POST", OPS "/tasks", PROBE));
	struct answer metrics = plane_call(plane, NULL, "GET", "/metrics", NULL);
	cr_expect_not_null(strstr(metrics.text, "freehold_pool_waiting_tasks{pool=\"default\"} "
	                          "1\n"), "%s", metrics.text);
	cr_expect_not_null(strstr(metrics.text, "freehold_event_streams 0\n"));
	cr_expect_null(strstr(metrics.text, "acme"));
}

/* --- streams, without a door --- */

Test(task_api, who_may_read_a_task_may_follow_it_and_nobody_else)
{
	const char *id = id_of(call("POST", OPS "/tasks", PROBE));
	const char *path = arena_printf(plane->arena, OPS "/tasks/%s/events", id);
	struct feed *feed = NULL;
	struct asked asked = { .method = "GET", .path = path, .key = key, .ret_feed = &feed };
	cr_expect_eq(plane_ask(plane, &asked).status, 200);
	cr_expect_not_null(feed);
	cr_expect_eq(events_count(plane->control->events), 1);
	feed_free(feed);
	asked.key = plane_tenant(plane, "globex", "ops");
	cr_expect_eq(plane_ask(plane, &asked).status, 404);
	cr_expect_null(feed);
	asked.key = NULL;
	cr_expect_eq(plane_ask(plane, &asked).status, 401);
	cr_expect_eq(call("GET", OPS "/tasks/" NOBODYS "/events", NULL).status, 404);
	cr_expect_eq(call("GET", OPS "/runs/" NOBODYS "/events", NULL).status, 404);
	cr_expect_eq(events_count(plane->control->events), 0);
}

Test(task_api, who_follows_at_a_replica_that_does_not_lead_is_sent_to_the_one_that_does)
{
	struct plane *leader = plane_start_with(&(struct plane_options){ .replica = "one" });
	struct plane *other = plane_start_with(&(struct plane_options){ .replica = "two",
	                                                                .beside = leader });
	const char *theirs = plane_tenant(leader, "globex", "ops");
	const char *tasks = "/v1/tenants/globex/domains/ops/tasks";
	const char *id = id_of(plane_call(leader, theirs, "POST", tasks, PROBE));
	const char *path = arena_printf(leader->arena, "%s/%s/events", tasks, id);
	struct answer answer = plane_call(other, theirs, "GET", path, NULL);
	for (int i = 0; i < 30000 && answer.status != 307; i++) { /* until it knows the leader */
		usleep(1000);
		answer = plane_call(other, theirs, "GET", path, NULL);
	}
	cr_assert_eq(answer.status, 307, "%s", answer.text);
	cr_expect_str_eq(answer.location, arena_printf(leader->arena, "%s%s", leader->url, path));
	plane_stop(other);
	plane_stop(leader);
}
