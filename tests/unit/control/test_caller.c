/* test_caller.c - where a caller is, at every door: by its connection, or as a replica says it that
 * proves itself. */
#include "common/defs.h"
#include "control/caller.h"

#include "common/json.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ACME "/v1/tenants/acme"
#define TRIPS ACME "/domains/trips"
#define RIDES TRIPS "/datasets/rides"

enum { WAIT_MS = 20000 };

static const char outside[] = "forbid(principal == User::\"acme/carl\", action, resource) when "
	"{ !(context has address && context.address.isInRange(ip(\"10.0.0.0/8\"))) };";

static const char *prepare(struct plane *plane)
{
	struct arena *arena = plane->arena;
	const char *admin = plane_tenant(plane, "acme", "trips");
	const char *carl = plane_principal(plane, "acme", "carl", "'producer'", "trips");
	plane_put(plane, admin, "Dataset", RIDES, "{}");
	struct value *spec = value_map(arena), *meta = value_map(arena), *body = value_map(arena);
	AUTO_BUF out;
	buf_init(&out, MIB);
	value_set_str(spec, "text", outside);
	value_set_str(meta, "name", "outside");
	value_set_str(body, "apiVersion", "freehold.io/v1");
	value_set_str(body, "kind", "Policy");
	value_set(body, "metadata", meta);
	value_set(body, "spec", spec);
	json_print(body, &out);
	cr_assert_eq(buf_check(&out, NULL), 0);
	const struct asked put = { .method = "PUT", .path = ACME "/policies/outside", .key = admin,
		                   .body = (const char *)out.data };
	struct answer answer = plane_ask(plane, &put);
	cr_assert_eq(answer.status, 201, "%s", answer.text);
	return carl;
}

static int get(struct plane *plane, const char *key, const char *path, const char *address,
               const char *said)
{
	const struct header headers[] = { { CALLER_HEADER, said }, { NULL, NULL } };
	const struct asked asked = { .method = "GET", .path = path, .key = key,
		                     .address = address, .headers = said ? headers : NULL };
	return plane_ask(plane, &asked).status;
}

Test(caller, is_told_to_policies_by_its_address)
{
	struct plane *plane = plane_start();
	const char *carl = prepare(plane);
	cr_expect_eq(get(plane, carl, RIDES, "10.1.2.3", NULL), 200);
	cr_expect_eq(get(plane, carl, RIDES, "192.0.2.1", NULL), 403);
	cr_expect_eq(get(plane, carl, RIDES, NULL, NULL), 403);
	plane_stop(plane);
}

struct holder { char text[256]; };
static const char *authorization(const void *source, const char *name)
{
	const struct holder *holder = source;
	return strcmp(name, "Authorization") == 0 ? holder->text : NULL;
}

/* As caller_print makes it for a request of that credential from that address. */
static const char *printed(struct plane *plane, const char *key, const char *address,
                           int64_t now_ms)
{
	struct holder holder;
	struct err err = { 0 };
	const char *text = NULL;
	snprintf(holder.text, sizeof holder.text, "Bearer %s", key);
	const struct ask ask = { .header = authorization, .source = &holder, .address = address };
	struct request request = { .arena = plane->arena, .ask = &ask, .now_ms = now_ms };
	cr_assert_eq(caller_print(plane->control, &request, &text, &err), 0, "%s", err.text);
	return text;
}

Test(caller, is_where_a_replica_says_that_proves_itself_and_nobody_else)
{
	struct plane *plane = plane_start();
	const char *carl = prepare(plane);
	const char *other = plane_principal(plane, "acme", "dora", "'producer'", "trips");
	int64_t now_ms = clock_unix_ms(plane->control->clock);
	const char *good = printed(plane, carl, "10.1.2.3", now_ms);
	cr_expect_eq(get(plane, carl, RIDES, "192.0.2.1", good), 200);
	char *forged = arena_strdup(plane->arena, good);
	forged[strlen(forged) - 1] ^= 1;
	cr_expect_eq(get(plane, carl, RIDES, "192.0.2.1", forged), 403, "another proof");
	cr_expect_eq(get(plane, carl, RIDES, "192.0.2.1", "10.1.2.3"), 403, "no proof");
	cr_expect_eq(get(plane, carl, RIDES, "192.0.2.1", "10.1.2.3 1 0"), 403);
	cr_expect_eq(get(plane, carl, RIDES, "192.0.2.1",
	                 printed(plane, other, "10.1.2.3", now_ms)), 403, "another credential");
	cr_expect_eq(get(plane, carl, RIDES, "192.0.2.1",
	                 printed(plane, carl, "10.1.2.3", now_ms - CALLER_MS - 1)), 403, "old");
	cr_expect_eq(get(plane, carl, RIDES, "10.1.2.3",
	                 printed(plane, carl, "192.0.2.1", now_ms)), 403, "as it is said");
	plane_stop(plane);
}

Test(caller, is_known_to_the_replica_that_a_request_is_passed_on_to)
{
	struct plane *leader = plane_start_with(&(struct plane_options){ .replica = "a" });
	struct plane *beside = plane_start_with(&(struct plane_options){ .replica = "b",
		                                                         .beside = leader });
	const char *carl = prepare(leader);
	const char *path = TRIPS "/tasks";
	int64_t revision = catalog_revision(leader->control->catalog);
	for (int ms = 0; catalog_followed(beside->control->catalog) < revision; ms++) {
		cr_assert_lt(ms, WAIT_MS, "the follower does not follow");
		usleep(1000);
	}
	cr_expect_eq(get(beside, carl, path, "10.1.2.3", NULL), 200, "its door is on loopback");
	cr_expect_eq(get(beside, carl, path, "192.0.2.1", NULL), 403);
	plane_stop(beside);
	plane_stop(leader);
}
