/* Two control replicas as real processes on one etcd: whoever is asked, the one that leads decides;
 * when it dies or stops, the other goes on. */
#include "common/defs.h"
#include "common/text.h"
#include "tests/support/story.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LEAD_MS = 60000, END_MS = 120000, TENANTS = 6 };

#define PROBE "{\"type\":\"probe\",\"spec\":{}}"

struct replica {
	struct system *system;
	int port;
	int64_t shards;              /* that it is to lead at least */
};

static bool leads(void *context)
{
	struct replica *replica = context;
	struct answer answer = system_call_with(replica->system, replica->port, NULL, NULL, "GET",
	                                        "/readyz", NULL);
	return value_get_int(answer.body, "shardsLed", 0) >= replica->shards;
}

static bool is_ready(void *context)
{
	struct replica *replica = context;
	return system_call_with(replica->system, replica->port, NULL, NULL, "GET", "/readyz",
	                        NULL).status == 200;
}

/* Asked again while there is no leader, as a client does. */
static struct answer ask(struct system *system, int port, const char *key, const char *header,
                         const char *method, const char *path, const char *body)
{
	struct answer answer = { 0 };
	for (int tries = 0; tries < LEAD_MS / 50; tries++) {
		answer = system_call_with(system, port, key, header, method, path, body);
		if (answer.status != 503 && answer.status != 0)
			return answer;
		usleep(50000);
	}
	cr_assert_fail("%s %s: %d %s", method, path, answer.status, answer.text);
	return answer;
}

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct system *start_of(const struct system_options *options)
{
	struct system *system = story_start(options);
	system_run(system, PART_CONTROL_2);
	struct replica second = { system, PORT_API_2, 0 };
	cr_assert(wait_until(is_ready, &second, LEAD_MS), "the second replica is not ready");
	return system;
}

static struct system *start_two(const char *const *control)
{
	const struct system_options options = { .replicas = true, .control = control };
	return start_of(&options);
}

Test(replicas, a_write_through_a_follower_takes_effect_once)
{
	struct system *system = start_two(NULL);
	const char *ada = story_key(system, "ada"), *key = "Idempotency-Key: once-1";
	struct answer first = ask(system, PORT_API_2, ada, key, "POST", SALES "/tasks", PROBE);
	struct answer again = ask(system, PORT_API_2, ada, key, "POST", SALES "/tasks", PROBE);
	cr_assert_eq(first.status, 202, "%s", first.text);
	cr_assert_eq(again.status, 202, "%s", again.text);
	cr_expect_str_eq(value_get_str(first.body, "id"), value_get_str(again.body, "id"));
	cr_expect_not_null(answer_header(system, &first, "Location"));
	struct answer list = ask(system, PORT_API, ada, NULL, "GET", SALES "/tasks", NULL);
	cr_expect_eq(value_len(value_get(list.body, "items")), 1, "%s", list.text);
	/* Held there, as the leader would hold it. */
	struct answer ended = { 0 };
	for (int64_t until = now_ms() + END_MS; !value_get(ended.body, "endedAt");) {
		const char *path = arena_printf(
			system_arena(system), SALES "/tasks/%s?waitMs=20000&afterVersion=%" PRId64,
			value_get_str(first.body, "id"), value_get_int(ended.body, "version", 0));
		cr_assert_lt(now_ms(), until, "%s", ended.text);
		ended = ask(system, PORT_API_2, ada, NULL, "GET", path, NULL);
	}
	cr_expect_str_eq(value_get_str(ended.body, "state"), "succeeded", "%s", ended.text);
	system_stop(system);
}

Test(replicas, a_follower_reads_while_there_is_no_leader)
{
	struct system *system = start_two(NULL);
	const char *ada = story_key(system, "ada");
	struct answer led = ask(system, PORT_API, ada, NULL, "GET", SALES, NULL);
	cr_assert_eq(led.status, 200, "%s", led.text);
	cr_assert_not_null(answer_header(system, &led, "Freehold-Revision"));
	struct answer read = ask(system, PORT_API_2, ada, NULL, "GET", SALES, NULL);
	system_pause(system, PART_CONTROL);
	/* What it has not heard of yet it would pass on, in vain. */
	for (int tries = 0; tries < 100; tries++) {
		read = ask(system, PORT_API_2, ada, NULL, "GET", SALES, NULL);
		if (read.status == 200)
			break;
	}
	cr_expect_eq(read.status, 200, "%s", read.text);
	cr_expect_str_eq(read.text, led.text);
	cr_expect_not_null(answer_header(system, &read, "Freehold-Revision"));
	system_resume(system, PART_CONTROL);
	system_stop(system);
}

Test(replicas, the_follower_of_a_killed_leader_goes_on)
{
	struct system *system = start_two(NULL);
	const char *ada = story_key(system, "ada");
	struct replica second = { system, PORT_API_2, 1 };
	struct answer made = ask(system, PORT_API_2, ada, NULL, "POST", SALES "/tasks", PROBE);
	cr_assert_eq(made.status, 202, "%s", made.text);
	int64_t killed_ms = now_ms();
	system_kill(system, PART_CONTROL);
	cr_assert(wait_until(leads, &second, LEAD_MS), "nobody follows the leader");
	printf("failover: the follower led after %" PRId64 " ms; the lease is 5000 ms\n",
	       now_ms() - killed_ms);
	const char *path = arena_printf(system_arena(system), SALES "/tasks/%s",
	                                value_get_str(made.body, "id"));
	struct answer read = ask(system, PORT_API_2, ada, NULL, "GET", path, NULL);
	cr_expect_eq(read.status, 200, "%s", read.text);
	made = ask(system, PORT_API_2, ada, NULL, "POST", SALES "/tasks", PROBE);
	cr_expect_eq(made.status, 202, "%s", made.text);
	system_stop(system);
}

Test(replicas, a_leader_stopped_past_its_lease_writes_nothing_and_follows)
{
	struct system *system = start_two(NULL);
	const char *ada = story_key(system, "ada"), *key = "Idempotency-Key: late-1";
	struct replica first = { system, PORT_API, 1 }, second = { system, PORT_API_2, 1 };
	cr_assert(leads(&first));
	system_pause(system, PART_CONTROL);
	cr_assert(wait_until(leads, &second, LEAD_MS), "nobody follows the leader");
	struct answer made = ask(system, PORT_API_2, ada, key, "POST", SALES "/tasks", PROBE);
	cr_assert_eq(made.status, 202, "%s", made.text);
	system_resume(system, PART_CONTROL);
	/* Whatever it believes at first, what it says is done is done once. */
	struct answer late = ask(system, PORT_API, ada, key, "POST", SALES "/tasks", PROBE);
	cr_assert_eq(late.status, 202, "%s", late.text);
	cr_expect_str_eq(value_get_str(late.body, "id"), value_get_str(made.body, "id"));
	cr_expect(wait_until(is_ready, &first, LEAD_MS), "it does not serve as a follower");
	cr_expect_not(leads(&first), "two replicas lead");
	struct answer list = ask(system, PORT_API, ada, NULL, "GET", SALES "/tasks", NULL);
	cr_expect_eq(value_len(value_get(list.body, "items")), 1, "%s", list.text);
	system_stop(system);
}

/* --- shards --- */

/* Another campaigns for it at once, and one of the two gets it. */
static void depose(struct system *system, int shard)
{
	char key[64];
	AUTO_BUF encoded;
	buf_init(&encoded, KIB);
	snprintf(key, sizeof key, "/freehold/leader/%d", shard);
	base64_print(key, strlen(key), &encoded);
	cr_assert_eq(buf_check(&encoded, NULL), 0);
	const char *body = arena_printf(system_arena(system), "{\"key\":\"%s\"}",
	                                (char *)encoded.data);
	struct answer answer = system_call_with(system, PORT_ETCD, NULL, NULL, "POST",
	                                        "/v3/kv/deleterange", body);
	cr_assert_eq(answer.status, 200, "%s", answer.text);
}

static void put(struct system *system, const char *kind, const char *path, const char *spec)
{
	const char *body = arena_printf(system_arena(system),
		"{\"apiVersion\":\"freehold.io/v1\",\"kind\":\"%s\",\"metadata\":{\"name\":\"%s\"},"
		"\"spec\":%s}", kind, strrchr(path, '/') + 1, spec);
	struct answer answer = ask(system, PORT_API, story_key(system, "operator"), NULL, "PUT",
	                           path, body);
	cr_assert(answer.status == 200 || answer.status == 201, "%s: %s", path, answer.text);
}

/* A tenant with the domain ops; the key of one who may run tasks there. */
static const char *make_tenant(struct system *system, const char *tenant)
{
	const char *path = arena_printf(system_arena(system), "/v1/tenants/%s", tenant);
	const char *who = arena_printf(system_arena(system), "%s/principals/olga", path);
	put(system, "Tenant", path, "{}");
	put(system, "Domain", arena_printf(system_arena(system), "%s/domains/ops", path), "{}");
	put(system, "Principal", who, "{\"roles\":[\"domain-owner\"],\"domain\":\"ops\"}");
	struct answer made = ask(system, PORT_API_2, story_key(system, "operator"), NULL, "POST",
	                         arena_printf(system_arena(system), "%s/keys", who), NULL);
	cr_assert_eq(made.status, 201, "%s", made.text);
	return value_get_str(made.body, "key");
}

static void await_task(struct system *system, const char *key, const char *tenant, const char *id)
{
	const char *path = arena_printf(system_arena(system),
	                                "/v1/tenants/%s/domains/ops/tasks/%s?waitMs=5000", tenant,
	                                id);
	struct answer task = { 0 };
	for (int64_t until = now_ms() + END_MS; !value_get(task.body, "endedAt");) {
		cr_assert_lt(now_ms(), until, "the task of %s: %s", tenant, task.text);
		task = ask(system, PORT_API, key, NULL, "GET", path, NULL);
	}
	cr_expect_str_eq(value_get_str(task.body, "state"), "succeeded", "%s", task.text);
}

Test(replicas, three_shards_over_two_replicas_run_every_tenants_tasks)
{
	static const char *const shards[] = { "--shards", "3", NULL };
	struct system *system = start_two(shards);
	const char *tenants[TENANTS], *keys[TENANTS], *ids[TENANTS];
	struct replica first = { system, PORT_API, 1 }, second = { system, PORT_API_2, 1 };
	for (int i = 0; i < TENANTS; i++) {
		tenants[i] = arena_printf(system_arena(system), "tenant-%d", i);
		keys[i] = make_tenant(system, tenants[i]);
	}
	for (int tries = 0; !leads(&first) || !leads(&second); tries++) {
		cr_assert_lt(tries, 100, "one replica leads all");
		depose(system, tries % 3);
		wait_until(leads, &second, 2000);
		wait_until(leads, &first, 2000);
	}
	for (int i = 0; i < TENANTS; i++) {
		const char *path = arena_printf(system_arena(system),
		                                "/v1/tenants/%s/domains/ops/tasks", tenants[i]);
		struct answer made = ask(system, i % 2 ? PORT_API : PORT_API_2, keys[i], NULL,
		                         "POST", path, PROBE);
		cr_assert_eq(made.status, 202, "%s", made.text);
		ids[i] = value_get_str(made.body, "id");
	}
	for (int i = 0; i < TENANTS; i++)
		await_task(system, keys[i], tenants[i], ids[i]);
	struct answer usage = ask(system, PORT_API_2, story_key(system, "operator"), NULL, "GET",
	                          "/v1/usage?limit=500", NULL);
	const struct value *items = value_get(usage.body, "items");
	int64_t tasks = 0;
	for (size_t i = 0; i < value_len(items); i++)
		tasks += value_get_int(value_get(value_at(items, i), "total"), "tasks", 0);
	cr_expect_eq(tasks, TENANTS, "%s", usage.text);
	system_stop(system);
}

Test(replicas, over_tls_a_write_through_a_follower_takes_effect)
{
	const struct system_options options = { .replicas = true, .tls = true };
	struct system *system = start_of(&options);
	const char *ada = story_key(system, "ada");
	struct answer made = ask(system, PORT_API_2, ada, NULL, "POST", SALES "/tasks", PROBE);
	cr_assert_eq(made.status, 202, "%s", made.text);
	struct value *task = story_await(system, value_get_str(made.body, "id"), END_MS);
	cr_expect_str_eq(value_get_str(task, "state"), "succeeded");
	system_stop(system);
}

Test(replicas, a_leader_whose_certificate_nobody_vouches_for_is_sent_nothing)
{
	const struct system_options options = { .replicas = true, .tls = true, .strangers = true };
	struct system *system = start_of(&options);
	const char *ada = story_key(system, "ada");
	struct answer made = system_call_with(system, PORT_API_2, ada, NULL, "POST", SALES "/tasks",
	                                      PROBE);
	cr_expect_eq(made.status, 503, "%d %s", made.status, made.text);
	cr_expect(strstr(made.text, "certificate") && strstr(made.text, "peer-ca-file"), "%s",
	          made.text);
	struct answer list = ask(system, PORT_API, ada, NULL, "GET", SALES "/tasks", NULL);
	cr_expect_eq(value_len(value_get(list.body, "items")), 0, "%s", list.text);
	system_stop(system);
}
