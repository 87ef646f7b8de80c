/* test_streams.c - tasks followed over the HTTP door while puppets work: every state is seen, a
 * stream is resumed, hundreds are open at one time, and none outlives its credential. */
#include "common/defs.h"
#include "tests/support/stage.h"

#include "api/http.h"
#include "control/door.h"
#include "control/events.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LONG_MS = 600000, MINUTE_MS = 60000, HEARD_MAX = 64 * 1024, CROWD = 125, TENANTS = 4 };

struct scenery {
	struct stage *stage;
	struct plane *plane;
	struct http_server *door;
	struct puppet *puppet;       /* NULL: nobody works */
};

/* What came out of a connection so far. */
struct ear {
	int fd;
	bool over;
	size_t len;
	char *text;
};

static struct scenery open_scenery(int slots)
{
	struct scenery scenery = { .stage = stage_open() };
	struct err err = { 0 };
	scenery.plane = scenery.stage->plane;
	const struct http_conf conf = {
		.listen = "127.0.0.1:0", .threads = 4, .serve = door_serve,
		.context = scenery.plane->control,
	};
	cr_assert_eq(http_server_new(&conf, &scenery.door, &err), 0, "%s", err.text);
	if (slots)
		scenery.puppet = puppet_new(scenery.stage, "puppet", slots, 1);
	return scenery;
}

static void close_scenery(struct scenery *scenery)
{
	if (scenery->puppet)
		puppet_free(scenery->puppet);
	http_server_free(scenery->door);
	stage_close(scenery->stage);
}

/* --- listening --- */

static struct ear *listen_to(struct scenery *scenery, const char *path, const char *key,
                             const char *last_id)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)http_server_port(scenery->door)),
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};
	char request[1024];
	struct ear *ear = calloc(1, sizeof *ear);
	cr_assert_not_null(ear);
	ear->text = calloc(1, HEARD_MAX);
	ear->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(connect(ear->fd, (struct sockaddr *)&to, sizeof to), 0);
	int len = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: h\r\n"
	                   "Authorization: Bearer %s\r\n%s%s%s\r\n", path, key,
	                   last_id ? "Last-Event-ID: " : "", last_id ? last_id : "",
	                   last_id ? "\r\n" : "");
	cr_assert_eq(send(ear->fd, request, (size_t)len, MSG_NOSIGNAL), len);
	return ear;
}

static void hear(struct ear *ear)
{
	ssize_t n = 1;
	while (!ear->over && n > 0 && ear->len < HEARD_MAX - 1) {
		n = recv(ear->fd, ear->text + ear->len, HEARD_MAX - 1 - ear->len, MSG_DONTWAIT);
		if (n > 0)
			ear->len += (size_t)n;
		else
			ear->over = n == 0 || errno != EAGAIN;
	}
	ear->over |= ear->len > 5 && strcmp(ear->text + ear->len - 5, "0\r\n\r\n") == 0;
}

static void stop_listening(struct ear *ear)
{
	close(ear->fd);
	free(ear->text);
	free(ear);
}

struct wish { struct ear *ear; const char *text; };

static bool is_heard(void *context)
{
	struct wish *wish = context;
	hear(wish->ear);
	return wish->text ? strstr(wish->ear->text, wish->text) != NULL : wish->ear->over;
}

/* Lets time pass until the text was heard; NULL: until the stream is over. */
static void await(struct scenery *scenery, struct ear *ear, const char *text)
{
	struct wish wish = { ear, text };
	cr_assert(stage_await(scenery->stage, is_heard, &wish, LONG_MS), "%s is not in %s",
	          text ? text : "an end", ear->text);
}

static size_t count_of(const struct ear *ear, const char *text)
{
	size_t count = 0;
	for (const char *at = ear->text; (at = strstr(at, text)); at++)
		count++;
	return count;
}

/* The id of the n-th event, from 0. */
static const char *id_at(struct scenery *scenery, const struct ear *ear, size_t n)
{
	const char *at = ear->text;
	for (size_t i = 0; i <= n; i++) {
		at = strstr(at, "\nid: ");
		cr_assert_not_null(at, "%zu events in %s", i, ear->text);
		at += 5;
	}
	return arena_strndup(scenery->plane->arena, at, strcspn(at, "\r\n"));
}

/* --- asking --- */

static const char *submit(struct scenery *scenery, const char *tenant, const char *key)
{
	struct answer answer = plane_call(
		scenery->plane, key, "POST",
		arena_printf(scenery->plane->arena, "/v1/tenants/%s/domains/ops/tasks", tenant),
		"{'type':'probe','spec':{}}");
	cr_assert_eq(answer.status, 202, "%s", answer.text);
	return arena_printf(scenery->plane->arena, "/v1/tenants/%s/domains/ops/tasks/%s", tenant,
	                    value_get_str(answer.body, "id"));
}

static const char *events_of(struct scenery *scenery, const char *task)
{
	return arena_printf(scenery->plane->arena, "%s/events", task);
}

struct load { struct puppet *puppet; int count; };

static bool is_busy(void *context)
{
	const struct load *load = context;
	return puppet_running(load->puppet) >= load->count;
}

/* As soon as the puppet has so many. */
static void end_all(struct scenery *scenery, int count)
{
	struct load load = { scenery->puppet, count };
	cr_assert(stage_await(scenery->stage, is_busy, &load, LONG_MS));
	const struct ending ending = { .outcome = OUTCOME_SUCCEEDED, .rows = 7 };
	while (puppet_running(scenery->puppet) > 0)
		puppet_end(scenery->puppet, 0, &ending);
}

TestSuite(streams);

Test(streams, every_state_of_a_task_is_told_in_order_and_then_the_stream_ends)
{
	struct scenery scenery = open_scenery(0);
	const char *key = plane_tenant(scenery.plane, "acme", "ops");
	const char *task = submit(&scenery, "acme", key);
	struct ear *ear = listen_to(&scenery, events_of(&scenery, task), key, NULL);
	await(&scenery, ear, "\"state\":\"queued\"");
	scenery.puppet = puppet_new(scenery.stage, "puppet", 1, 1);
	await(&scenery, ear, "\"state\":\"running\"");
	await(&scenery, ear, "\"percent\":50");
	end_all(&scenery, 1);
	await(&scenery, ear, NULL);
	const char *queued = strstr(ear->text, "\"state\":\"queued\"");
	const char *running = strstr(ear->text, "\"state\":\"running\"");
	const char *succeeded = strstr(ear->text, "\"state\":\"succeeded\"");
	cr_expect(queued && running && succeeded && queued < running && running < succeeded, "%s",
	          ear->text);
	cr_expect_eq(count_of(ear, "\"state\":\"succeeded\""), 1);
	cr_expect_not_null(strstr(ear->text, "Content-Type: text/event-stream"));
	cr_expect_not_null(strstr(ear->text, "\"phase\":\"acting\""));
	cr_expect_eq(events_count(scenery.plane->control->events), 0);
	stop_listening(ear);
	close_scenery(&scenery);
}

Test(streams, a_client_that_comes_back_hears_only_what_it_missed)
{
	struct scenery scenery = open_scenery(0);
	const char *key = plane_tenant(scenery.plane, "acme", "ops");
	const char *task = submit(&scenery, "acme", key);
	const char *path = events_of(&scenery, task);
	struct ear *ear = listen_to(&scenery, path, key, NULL);
	await(&scenery, ear, "\"state\":\"queued\"");
	const char *last = id_at(&scenery, ear, 0);
	stop_listening(ear);
	scenery.puppet = puppet_new(scenery.stage, "puppet", 1, 1);
	ear = listen_to(&scenery, path, key, last);
	await(&scenery, ear, "\"state\":\"running\"");
	cr_expect_eq(count_of(ear, "\"state\":\"queued\""), 0, "%s", ear->text);
	end_all(&scenery, 1);
	await(&scenery, ear, NULL);
	last = id_at(&scenery, ear, count_of(ear, "\nid: ") - 1);
	stop_listening(ear);
	ear = listen_to(&scenery, path, key, last);
	await(&scenery, ear, "\r\n\r\n");
	cr_expect(strncmp(ear->text, "HTTP/1.1 204 ", 13) == 0, "%s", ear->text);
	stop_listening(ear);
	ear = listen_to(&scenery, path, key, NULL);
	await(&scenery, ear, NULL);
	cr_expect_eq(count_of(ear, "\nid: "), 1, "what has ended is told once: %s", ear->text);
	stop_listening(ear);
	close_scenery(&scenery);
}

Test(streams, five_hundred_are_fed_at_one_time_and_no_tenant_takes_them_all)
{
	struct scenery scenery = open_scenery(0);
	static struct ear *ears[TENANTS][CROWD];
	const char *keys[TENANTS], *tasks[TENANTS];
	for (int t = 0; t < TENANTS; t++) {
		char *tenant = arena_printf(scenery.plane->arena, "tenant-%d", t);
		keys[t] = plane_tenant(scenery.plane, tenant, "ops");
		tasks[t] = submit(&scenery, tenant, keys[t]);
		for (int i = 0; i < CROWD; i++)
			ears[t][i] = listen_to(&scenery, events_of(&scenery, tasks[t]), keys[t],
			                       NULL);
	}
	for (int t = 0; t < TENANTS; t++)
		for (int i = 0; i < CROWD; i++)
			await(&scenery, ears[t][i], "\"state\":\"queued\"");
	cr_expect_eq(events_count(scenery.plane->control->events), TENANTS * CROWD);
	struct ear *more[4];
	for (int i = 0; i < 4; i++) {
		more[i] = listen_to(&scenery, events_of(&scenery, tasks[0]), keys[0], NULL);
		await(&scenery, more[i], "\r\n\r\n");
	}
	cr_expect(strncmp(more[3]->text, "HTTP/1.1 429 ", 13) == 0, "%s", more[3]->text);
	cr_expect_not_null(strstr(more[3]->text, "Retry-After: "));
	scenery.puppet = puppet_new(scenery.stage, "puppet", TENANTS, 1);
	for (int t = 0; t < TENANTS; t++)
		await(&scenery, ears[t][0], "\"state\":\"running\"");
	end_all(&scenery, TENANTS);
	for (int t = 0; t < TENANTS; t++)
		for (int i = 0; i < CROWD; i++) {
			await(&scenery, ears[t][i], "\"state\":\"succeeded\"");
			stop_listening(ears[t][i]);
		}
	for (int i = 0; i < 4; i++)
		stop_listening(more[i]);
	close_scenery(&scenery);
}

Test(streams, a_revoked_key_ends_its_streams_and_no_others)
{
	struct scenery scenery = open_scenery(0);
	struct plane *plane = scenery.plane;
	const char *key = plane_tenant(plane, "acme", "ops");
	const char *path = events_of(&scenery, submit(&scenery, "acme", key));
	struct answer made = plane_call(plane, key, "POST",
	                                "/v1/tenants/acme/principals/admin/keys", "{}");
	cr_assert_eq(made.status, 201, "%s", made.text);
	struct ear *kept = listen_to(&scenery, path, key, NULL);
	struct ear *lost = listen_to(&scenery, path, value_get_str(made.body, "key"), NULL);
	await(&scenery, kept, "\"state\":\"queued\"");
	await(&scenery, lost, "\"state\":\"queued\"");
	const char *gone = arena_printf(plane->arena, "/v1/tenants/acme/principals/admin/keys/%s",
	                                value_get_str(made.body, "id"));
	cr_assert_eq(plane_call(plane, key, "DELETE", gone, NULL).status, 200);
	struct wish end = { lost, NULL };
	cr_expect(stage_await(scenery.stage, is_heard, &end, MINUTE_MS), "%s", lost->text);
	hear(kept);
	cr_expect_not(kept->over, "%s", kept->text);
	stop_listening(kept);
	stop_listening(lost);
	close_scenery(&scenery);
}

Test(streams, a_runs_tasks_are_told_by_name_and_its_end_ends_the_stream)
{
	struct scenery scenery = open_scenery(0);
	const char *key = plane_tenant(scenery.plane, "acme", "ops");
	struct answer run = plane_call(
		scenery.plane, key, "POST", "/v1/tenants/acme/domains/ops/runs",
		"{'tasks':[{'name':'first','type':'probe'},{'name':'second','type':'probe',"
		"'dependsOn':[{'task':'first'}]}]}");
	cr_assert_eq(run.status, 202, "%s", run.text);
	struct ear *ear = listen_to(
		&scenery, arena_printf(scenery.plane->arena,
		                       "/v1/tenants/acme/domains/ops/runs/%s/events",
		                       value_get_str(run.body, "id")), key, NULL);
	await(&scenery, ear, "event: run");
	scenery.puppet = puppet_new(scenery.stage, "puppet", 1, 1);
	await(&scenery, ear, "\"name\":\"first\",\"state\":\"running\"");
	end_all(&scenery, 1);
	await(&scenery, ear, "\"name\":\"second\",\"state\":\"running\"");
	end_all(&scenery, 1);
	await(&scenery, ear, NULL);
	cr_expect_not_null(strstr(ear->text, "\"name\":\"first\",\"state\":\"succeeded\""), "%s",
	                   ear->text);
	cr_expect_not_null(strstr(ear->text, "\"counts\":{\"succeeded\":2}"), "%s", ear->text);
	stop_listening(ear);
	close_scenery(&scenery);
}
