/* test_shard_sched.c - the scheduler over a shard's tasks: shares and quotas that the operator
 * writes, placements that a replay finds again, why a task waits, and what one takes in
 * memory. */
#include "common/defs.h"
#include "control/shard_work.h"

#include "control/task_impl.h"
#include "tests/support/desk.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <string.h>

#define ACME "/v1/tenants/acme"
#define TASKS "/v1/tenants/acme/domains/flights/tasks"

static void set_worker(struct plane *plane, int64_t cores)
{
	struct err err = { 0 };
	const struct sched_worker worker = {
		.name = "w1", .total = { { cores * 1000, (int64_t)1 << 40, 100 } }, .serves = true,
	};
	cr_assert_eq(shard_worker_set(plane->part->shard, &worker, &err), 0, "%s", err.text);
}

static const char *submit(struct plane *plane, const char *key, const char *body)
{
	struct answer answer = plane_call(plane, key, "POST", TASKS, body);
	cr_assert_eq(answer.status, 202, "%s", answer.text);
	return value_get_str(answer.body, "id");
}

static const char *rule_of(struct plane *plane, const char *id)
{
	const struct value *map = shard_explain(plane->part->shard, plane->arena, "acme", NULL, id);
	const char *rule = value_get_str(value_at(value_get(map, "reasons"), 0), "rule");
	return rule ? rule : "none";
}

static const char *pick(struct plane *plane)
{
	struct work work;
	struct err err = { 0 };
	static const struct token token = { 1, 1 };
	struct pick asked = {
		.worker = "w1", .token = token, .memory_bytes = UINT64_MAX, .inherited = true,
		.replay = shard_replays(plane->part->shard),
	};
	int rc = shard_pick(plane->part->shard, &asked, plane->arena, &work, &err);
	cr_assert_geq(rc, 0, "%s", err.text);
	return rc == 1 ? work.id : NULL;
}

Test(shard_sched, a_share_that_the_operator_writes_holds_at_once_and_no_longer_than_it_is_there)
{
	struct plane *plane = plane_start();
	const char *admin = plane_tenant(plane, "acme", "flights");
	set_worker(plane, 100);
	plane_put(plane, plane->operator_key, "Share", ACME "/shares/cap", "{'mostSlots':1}");
	const char *one = submit(plane, admin, "{'type':'probe','spec':{}}");
	const char *two = submit(plane, admin, "{'type':'probe','spec':{}}");
	cr_expect_str_eq(pick(plane), one);
	cr_expect_null(pick(plane));
	cr_expect_str_eq(rule_of(plane, two), "share-limit");
	cr_expect_eq(plane_call(plane, plane->operator_key, "DELETE", ACME "/shares/cap",
	                        NULL).status / 100, 2);
	const char *next = pick(plane);
	cr_assert_not_null(next);
	cr_expect_str_eq(next, two);
	plane_stop(plane);
}

Test(shard_sched, a_share_is_the_operators_to_write_and_is_checked)
{
	struct plane *plane = plane_start();
	const char *admin = plane_tenant(plane, "acme", "flights");
	static const char *const refused[][2] = {
		{ "{'apiVersion':'freehold.io/v1','kind':'Share','metadata':{'name':'s'},'spec':"
		  "{'weight':0}}", "spec.weight" },
		{ "{'apiVersion':'freehold.io/v1','kind':'Share','metadata':{'name':'s'},'spec':"
		  "{'guaranteedSlots':5,'mostSlots':4}}", "spec.guaranteedSlots" },
	};
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct answer answer = plane_call(plane, plane->operator_key, "PUT",
		                                  ACME "/shares/s", refused[i][0]);
		cr_expect_eq(answer.status, 400, "%s", answer.text);
		cr_expect_not_null(strstr(answer.detail, refused[i][1]), "%s", answer.detail);
	}
	cr_expect_eq(plane_call(plane, admin, "PUT", ACME "/shares/s", "{'apiVersion':"
	                        "'freehold.io/v1','kind':'Share','metadata':{'name':'s'},"
	                        "'spec':{'weight':5}}").status, 403);
	cr_expect_eq(plane_call(plane, admin, "GET", ACME "/shares", NULL).status, 200);
	plane_stop(plane);
}

Test(shard_sched, a_replay_finds_the_same_placement)
{
	struct plane *plane = plane_start();
	const char *admin = plane_tenant(plane, "acme", "flights");
	set_worker(plane, 100);
	const char *elsewhere = submit(plane, admin, "{'type':'probe','spec':{},'placement':"
	                               "{'pool':'gpu'}}");
	const char *low = submit(plane, admin, "{'type':'probe','spec':{},'placement':"
	                         "{'priority':'low'}}");
	const char *high = submit(plane, admin, "{'type':'probe','spec':{},'placement':"
	                          "{'priority':'high','concurrencyKey':'k','concurrency':1}}");
	const char *higher = submit(plane, admin, "{'type':'probe','spec':{},'placement':"
	                            "{'priority':'high','concurrencyKey':'k','concurrency':1}}");
	plane_restart(plane);
	set_worker(plane, 100);
	cr_expect_str_eq(pick(plane), high);
	cr_expect_str_eq(pick(plane), low);
	cr_expect_null(pick(plane));
	cr_expect_str_eq(rule_of(plane, higher), "concurrency-key");
	cr_expect_str_eq(rule_of(plane, elsewhere), "never-fits");
	plane_stop(plane);
}

Test(shard_sched, a_queued_task_is_small_in_memory)
{
	/* The rest of the 1,024 bytes is its packed spec, its places in tables and malloc's own. */
	cr_assert_leq(sizeof(struct task), 832, "%zu", sizeof(struct task));
}
