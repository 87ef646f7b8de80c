/* test_forward.c - several replicas of one control plane, in one process: each has a door, and
 * passes on what only the other can answer. */
#include "common/defs.h"
#include "control/forward.h"

#include "api/http.h"
#include "common/store_mem.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { WAIT_MS = 20000 };

#define ACME "/v1/tenants/acme"
#define FLIGHTS ACME "/domains/flights"
#define DOMAIN "{'apiVersion':'freehold.io/v1','kind':'Domain','metadata':{'name':'flights'}," \
	"'spec':{}}"
#define PROBE "{'type':'probe','spec':{}}"

static struct leader leader_of(struct plane *plane, int part)
{
	struct leader leader = { .url = "" };
	for (int ms = 0; !forward_leader(plane->control->forward, part, &leader); ms++) {
		cr_assert_lt(ms, WAIT_MS, "nobody is known to lead");
		usleep(1000);
	}
	return leader;
}

/* One that leads, and one beside it that knows so. */
static void start_two(int shards, struct plane *ret_planes[2])
{
	ret_planes[0] = plane_start_with(&(struct plane_options){ .replica = "a",
	                                                          .shards = shards });
	ret_planes[1] = plane_start_with(&(struct plane_options){ .replica = "b",
		.shards = shards, .beside = ret_planes[0] });
	for (int i = 0; i < shards; i++)
		cr_assert_str_eq(leader_of(ret_planes[1], i).replica, "a");
}

static void stop_two(struct plane *planes[2])
{
	plane_stop(planes[1]);
	plane_stop(planes[0]);
}

static void until_current(struct plane *planes[2])
{
	int64_t revision = catalog_revision(planes[0]->control->catalog);
	for (int ms = 0; catalog_followed(planes[1]->control->catalog) < revision; ms++) {
		cr_assert_lt(ms, WAIT_MS, "the follower does not follow");
		usleep(1000);
	}
}

Test(forward, a_leader_key_says_where_its_replica_listens)
{
	struct plane *planes[2];
	start_two(1, planes);
	struct leader leader = leader_of(planes[1], 0);
	cr_expect_str_eq(leader.url, planes[0]->url);
	struct leader none;
	cr_expect_not(forward_leader(planes[1]->control->forward, 63, &none));
	stop_two(planes);
}

Test(forward, a_write_through_a_follower_takes_effect_once)
{
	struct plane *planes[2];
	start_two(1, planes);
	const char *admin = plane_tenant(planes[1], "acme", "flights");
	const struct header headers[] = { { "Idempotency-Key", "k-1" },
		{ "Content-Type", "application/json" }, { NULL, NULL } };
	const struct asked asked = { .method = "POST", .path = FLIGHTS "/tasks", .key = admin,
		.body = "{\"type\":\"probe\",\"spec\":{}}", .headers = headers };
	struct answer first = plane_ask(planes[1], &asked), again = plane_ask(planes[1], &asked);
	cr_assert_eq(first.status, 202, "%s", first.text);
	cr_expect_eq(again.status, 202, "%s", again.text);
	cr_expect_str_eq(value_get_str(first.body, "id"), value_get_str(again.body, "id"));
	cr_expect_str_eq(first.location, again.location);
	struct answer list = plane_call(planes[1], admin, "GET", FLIGHTS "/tasks?limit=5", NULL);
	cr_expect_eq(list.status, 200, "%s", list.text);
	cr_expect_eq(value_len(value_get(list.body, "items")), 1);
	stop_two(planes);
}

Test(forward, the_leaders_answer_comes_back_as_it_is)
{
	struct plane *planes[2];
	start_two(1, planes);
	const char *admin = plane_tenant(planes[0], "acme", "flights");
	const struct header stale[] = { { "If-Match", "\"1\"" },
		{ "Content-Type", "application/json" }, { NULL, NULL } };
	const struct asked asked = { .method = "PUT", .path = FLIGHTS, .key = admin,
		.body = "{\"apiVersion\":\"freehold.io/v1\",\"kind\":\"Domain\",\"metadata\":"
		        "{\"name\":\"flights\"},\"spec\":{}}", .headers = stale };
	struct answer refused = plane_ask(planes[1], &asked);
	cr_expect_eq(refused.status, 412, "%s", refused.text);
	cr_expect_str_eq(refused.code, "PRECONDITION");
	cr_expect_str_eq(refused.content_type, "application/problem+json");
	cr_expect_str_eq(refused.request_id, value_get_str(refused.body, "instance"));
	struct answer put = plane_call(planes[1], admin, "PUT", FLIGHTS "?dryRun=true", DOMAIN);
	cr_expect_eq(put.status, 200, "%s", put.text);
	struct answer task = plane_call(planes[1], admin, "GET", FLIGHTS "/tasks/none", NULL);
	cr_expect_eq(task.status, 404, "%s", task.text);
	stop_two(planes);
}

Test(forward, a_follower_reads_resources_from_its_own_memory_and_states_the_revision)
{
	struct plane *planes[2];
	start_two(1, planes);
	const char *admin = plane_tenant(planes[0], "acme", "flights");
	struct answer led = plane_call(planes[0], admin, "GET", FLIGHTS, NULL);
	cr_assert_eq(led.status, 200, "%s", led.text);
	cr_expect_gt(led.revision, 0);
	until_current(planes);
	http_server_free(MOVE(planes[0]->door));         /* nothing can be passed on any more */
	int64_t before = catalog_revision(planes[1]->control->catalog);
	struct answer read = plane_call(planes[1], admin, "GET", FLIGHTS, NULL);
	cr_assert_eq(read.status, 200, "%s", read.text);
	cr_expect_str_eq(read.text, led.text);
	cr_expect_str_eq(read.etag, led.etag);
	/* Its own event is in the store, too, by now or soon. */
	cr_expect_geq(read.revision, before);
	cr_expect_leq(read.revision, catalog_revision(planes[1]->control->catalog));
	struct answer list = plane_call(planes[1], admin, "GET", ACME "/domains", NULL);
	cr_expect_eq(list.status, 200, "%s", list.text);
	struct answer write = plane_call(planes[1], admin, "POST", FLIGHTS "/tasks", PROBE);
	cr_expect_eq(write.status, 503, "%s", write.text);
	cr_expect_gt(write.retry_after_s, 0);
	stop_two(planes);
}

Test(forward, tasks_are_read_as_they_are_followed_while_no_leader_answers)
{
	struct plane *planes[2];
	start_two(1, planes);
	const char *admin = plane_tenant(planes[0], "acme", "flights");
	struct answer made = plane_call(planes[1], admin, "POST", FLIGHTS "/tasks", PROBE);
	cr_assert_eq(made.status, 202, "%s", made.text);
	const char *path = arena_printf(planes[1]->arena, FLIGHTS "/tasks/%s",
	                                value_get_str(made.body, "id"));
	until_current(planes);
	http_server_free(MOVE(planes[0]->door));
	struct answer read = plane_call(planes[1], admin, "GET", path, NULL);
	for (int ms = 0; read.status != 200; ms++) {
		cr_assert(read.status == 404 || read.status == 503, "%s", read.text);
		cr_assert_lt(ms, WAIT_MS, "%s", read.text);
		usleep(1000);
		read = plane_call(planes[1], admin, "GET", path, NULL);
	}
	cr_expect_gt(read.revision, 0);
	cr_expect_str_eq(value_get_str(read.body, "id"), value_get_str(made.body, "id"));
	cr_expect_eq(plane_call(planes[1], admin, "GET", ACME "/usage", NULL).status, 200);
	stop_two(planes);
}

Test(forward, a_read_that_wants_a_later_revision_goes_to_the_leader)
{
	struct plane *planes[2];
	start_two(1, planes);
	const char *admin = plane_tenant(planes[0], "acme", "flights");
	until_current(planes);
	http_server_free(MOVE(planes[0]->door));
	const struct header later[] = { { REVISION_HEADER, "999999999" }, { NULL, NULL } };
	const struct asked asked = { .method = "GET", .path = FLIGHTS, .key = admin,
		.headers = later };
	cr_expect_eq(plane_ask(planes[1], &asked).status, 503);
	stop_two(planes);
}

Test(forward, what_was_passed_on_is_not_passed_on_again)
{
	struct plane *planes[2];
	start_two(1, planes);
	const char *admin = plane_tenant(planes[0], "acme", "flights");
	until_current(planes);
	const struct header passed[] = { { FORWARDED_HEADER, "c" }, { NULL, NULL } };
	const struct asked asked = { .method = "GET", .path = ACME "/audit", .key = admin,
		.headers = passed };
	struct answer answer = plane_ask(planes[1], &asked);
	cr_expect_eq(answer.status, 503);
	cr_expect_str_eq(answer.code, "NOT_LEADER");
	cr_expect_eq(answer.retry_after_s, 1);
	cr_expect_eq(plane_ask(planes[0], &asked).status, 200);
	stop_two(planes);
}

Test(forward, a_refusal_by_a_follower_is_the_leaders_to_say_and_to_write_down)
{
	struct plane *planes[2];
	start_two(1, planes);
	const char *admin = plane_tenant(planes[0], "acme", "flights");
	const char *reader = plane_principal(planes[0], "acme", "carol", "'consumer'", NULL);
	struct answer denied = plane_call(planes[1], reader, "PUT", FLIGHTS, DOMAIN);
	cr_expect_eq(denied.status, 403, "%s", denied.text);
	cr_expect_eq(plane_call(planes[1], "fh_none", "GET", FLIGHTS, NULL).status, 401);
	struct answer log = plane_call(planes[1], admin, "GET", ACME "/audit?result=denied", NULL);
	cr_assert_eq(log.status, 200, "%s", log.text);
	cr_expect_eq(value_len(value_get(log.body, "items")), 1, "%s", log.text);
	stop_two(planes);
}

Test(forward, without_a_leader_it_says_when_to_come_back)
{
	struct plane *planes[2];
	struct leader leader;
	start_two(1, planes);
	const char *admin = plane_tenant(planes[0], "acme", "flights");
	until_current(planes);
	/* A leader of another kind: its key says nothing about where it listens. */
	store_mem_depose(planes[0]->store, "leader/0");
	for (int ms = 0; forward_leader(planes[1]->control->forward, 0, &leader) &&
	                 ms < 5; ms++)
		usleep(100);
	struct answer answer = plane_call(planes[1], admin, "GET", FLIGHTS "/tasks", NULL);
	for (int ms = 0; answer.status != 200; ms++) {
		cr_assert_eq(answer.status, 503, "%s", answer.text);
		cr_assert_gt(answer.retry_after_s, 0);
		cr_assert_lt(ms, WAIT_MS, "nobody leads again");
		usleep(1000);
		answer = plane_call(planes[1], admin, "GET", FLIGHTS "/tasks", NULL);
	}
	stop_two(planes);
}

Test(forward, the_next_leader_goes_on_where_the_last_one_ended)
{
	struct plane *planes[2];
	start_two(1, planes);
	const char *admin = plane_tenant(planes[1], "acme", "flights");
	struct answer made = plane_call(planes[1], admin, "POST", FLIGHTS "/tasks", PROBE);
	cr_assert_eq(made.status, 202, "%s", made.text);
	const char *path = arena_printf(planes[1]->arena, FLIGHTS "/tasks/%s",
	                                value_get_str(made.body, "id"));
	control_free(planes[0]->control);                /* gives the lead up */
	for (int ms = 0; !part_leads(planes[1]->part); ms++) {
		cr_assert_lt(ms, WAIT_MS, "the follower does not lead");
		usleep(1000);
	}
	struct answer read = plane_call(planes[1], admin, "GET", path, NULL);
	cr_expect_eq(read.status, 200, "%s", read.text);
	planes[0]->control = NULL;
	http_server_free(MOVE(planes[0]->door));
	stop_two(planes);
}

/* One task, as soon as the replica knows who leads now: it may have led until just now itself. */
static void expect_one(struct plane *plane, const char *key, const char *path)
{
	struct answer list = plane_call(plane, key, "GET", path, NULL);
	for (int ms = 0; value_len(value_get(list.body, "items")) == 0; ms++) {
		cr_assert(list.status == 200 || list.status == 503, "%s", list.text);
		cr_assert_lt(ms, WAIT_MS, "%s", list.text);
		usleep(1000);
		list = plane_call(plane, key, "GET", path, NULL);
	}
	cr_expect_eq(list.status, 200, "%s", list.text);
	cr_expect_eq(value_len(value_get(list.body, "items")), 1, "%s", list.text);
}

Test(forward, three_shards_are_one_installation_whoever_leads_them)
{
	struct plane *planes[2];
	start_two(3, planes);
	const char *tenants[6], *admins[6];
	int seen = 0;
	for (int i = 0; i < 6; i++) {
		tenants[i] = arena_printf(planes[0]->arena, "tenant-%d", i);
		admins[i] = plane_tenant(planes[0], tenants[i], "ops");
		seen |= 1 << part_of(planes[0]->control, tenants[i])->index;
	}
	cr_assert_eq(seen, 7, "the tenants are in every shard");
	until_current(planes);               /* a key that it has not heard of it may refuse */
	/* Each loses the lead of some shard to the other, or not: either way all goes on. */
	for (int i = 0; i < 3; i++)
		store_mem_depose(planes[0]->store, planes[0]->control->parts[i].leader_key);
	for (int i = 0; i < 6; i++) {
		const char *path = arena_printf(planes[0]->arena,
		                                "/v1/tenants/%s/domains/ops/tasks", tenants[i]);
		struct answer answer = { 0 };
		for (int ms = 0; answer.status != 202; ms++) {
			answer = plane_call(planes[i % 2], admins[i], "POST", path, PROBE);
			cr_assert(answer.status == 202 || answer.status == 503, "%s", answer.text);
			cr_assert_lt(ms, WAIT_MS, "%s", answer.text);
			usleep(1000);
		}
		expect_one(planes[1 - i % 2], admins[i], path);
	}
	for (int i = 0; i < 2; i++) {
		struct answer usage = { 0 };
		for (int ms = 0; usage.status != 200; ms++) {
			usage = plane_call(planes[i], planes[i]->operator_key, "GET", "/v1/usage",
			                   NULL);
			cr_assert(usage.status == 200 || usage.status == 503, "%s", usage.text);
			cr_assert_lt(ms, WAIT_MS, "%s", usage.text);
			usleep(1000);
		}
		cr_expect_eq(value_len(value_get(usage.body, "items")), 7, "%s", usage.text);
	}
	stop_two(planes);
}
