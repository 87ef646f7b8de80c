/* test_events.c - event streams on a desk: what is told of a task, to whom, and until when. */
#include "common/defs.h"
#include "control/events.h"

#include "api/sse.h"
#include "common/json.h"
#include "tests/support/alloc.h"
#include "tests/support/desk.h"

#include <criterion/criterion.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 512, EVENTS_MAX = 64 };

static struct desk *desk;
static struct events *events;
static struct err err;

static void begin_with(int most, int of_tenant)
{
	const struct events_conf conf = { most, of_tenant };
	desk = desk_new(false);
	desk_tenant(desk, "acme");
	desk_put(desk, KIND_DOMAIN, "acme", NULL, "ops", "{}");
	cr_assert_eq(events_new(&desk->control, &conf, &events, &err), 0, "%s", err.text);
	shard_set_board(desk->part.shard, events_board(events));
}

static void begin(void)
{
	begin_with(4, 3);
}

static void end(void)
{
	events_stop(events);
	shard_set_board(desk->part.shard, NULL);
	events_free(events);
	desk_end(desk);
}

TestSuite(events, .init = begin, .fini = end);

/* --- a client --- */

struct client {
	struct outflow *outflow;
	struct sse_reader reader;
	sem_t woken;
	bool over;
	struct {
		char id[64], name[32], state[32], reason[256];
		int64_t version;
	} heard[EVENTS_MAX];
	size_t count;
	int comments;
};

static void on_event(void *context, const struct sse_event *event)
{
	struct client *client = context;
	struct value *data = NULL;
	cr_assert_eq(json_parse(desk->arena, event->data, strlen(event->data), &data, &err), 0);
	cr_assert_lt(client->count, EVENTS_MAX);
	snprintf(client->heard[client->count].id, 64, "%s", event->id);
	snprintf(client->heard[client->count].name, 32, "%s", event->name);
	snprintf(client->heard[client->count].state, 32, "%s", value_get_str(data, "state"));
	snprintf(client->heard[client->count].reason, 256, "%s",
	         value_get_str(data, "reason") ? value_get_str(data, "reason") : "");
	client->heard[client->count++].version = value_get_int(data, "version", -1);
}

static void park(void *context)
{
	(void)context;
}

static void wake(void *context)
{
	struct client *client = context;
	sem_post(&client->woken);
}

/* Takes all there is now, without waiting. */
static void take(struct client *client)
{
	char piece[PIECE];
	int len = 0;
	while ((len = outflow_take(client->outflow, piece, sizeof piece)) > 0) {
		client->comments += piece[0] == ':';
		cr_assert_eq(sse_read(&client->reader, piece, (size_t)len, &err), 0);
	}
	client->over |= len < 0;
}

/* Reads until so many events were heard, or with 0 until the stream is over. */
static void hear(struct client *client, size_t count)
{
	while (!client->over && (count == 0 || client->count < count)) {
		take(client);
		if (!client->over && (count == 0 || client->count < count))
			sem_wait(&client->woken);
	}
}

static int open_feed(const char *id, const char *last_id, struct feed **ret_feed)
{
	const struct feed_conf conf = {
		.part = &desk->part, .tenant = "acme", .domain = "ops", .id = id, .proof = NULL,
		.last_id = last_id,
	};
	return feed_new(events, &conf, ret_feed, &err);
}

static struct client *dial_from(const char *id, const char *last_id)
{
	struct client *client = calloc(1, sizeof *client);
	const struct outflow_reader reader = { park, wake, client };
	struct feed *feed = NULL;
	sem_init(&client->woken, 0, 0);
	sse_reader_init(&client->reader, on_event, client);
	cr_assert_eq(outflow_new(FEED_KEPT_MAX, &reader, &client->outflow, &err), 0);
	cr_assert_eq(open_feed(id, last_id, &feed), 0, "%s", err.text);
	feed_attach(feed, client->outflow);
	return client;
}

static struct client *dial(const char *id)
{
	return dial_from(id, NULL);
}

static void hang_up(struct client *client)
{
	outflow_leave(client->outflow);
	sse_reader_release(&client->reader);
	free(client);
}

/* --- tests --- */

Test(events, a_task_is_told_as_it_stands_and_then_change_by_change)
{
	const char *id = desk_submit(desk, "acme", TASK_PROBE, "{}");
	struct client *client = dial(id);
	hear(client, 1);
	cr_expect_str_eq(client->heard[0].state, "queued");
	cr_expect_str_eq(client->heard[0].name, "task");
	struct work work = desk_pick(desk);
	const struct progress progress = { "reading", 10, 100, 50 };
	hear(client, 2);
	cr_expect_str_eq(client->heard[1].state, "running");
	clock_advance(desk->clock, 5000);
	shard_progress(desk->part.shard, id, &work.token, &progress);
	hear(client, 3);
	cr_expect_str_eq(client->heard[2].state, "running");
	cr_expect_gt(client->heard[2].version, client->heard[1].version);
	cr_expect_not(client->over);
	hang_up(client);
}

Test(events, a_client_that_knows_the_latest_is_told_only_what_is_newer)
{
	const char *id = desk_submit(desk, "acme", TASK_PROBE, "{}");
	struct client *client = dial(id);
	char last[64];
	hear(client, 1);
	snprintf(last, sizeof last, "%s", client->heard[0].id);
	hang_up(client);
	client = dial_from(id, last);
	desk_pick(desk);
	hear(client, 1);
	cr_expect_str_eq(client->heard[0].state, "running", "not queued again");
	hang_up(client);
	client = dial_from(id, "1-999999");
	hear(client, 1);
	cr_expect_str_eq(client->heard[0].state, "running", "an id of another leader counts not");
	hang_up(client);
}

Test(events, streams_are_bounded_by_tenant_and_in_all_with_the_way_out)
{
	const char *id = desk_submit(desk, "acme", TASK_PROBE, "{}");
	struct feed *feeds[5];
	for (int i = 0; i < 3; i++)
		cr_assert_eq(open_feed(id, NULL, &feeds[i]), 0);
	cr_expect_eq(open_feed(id, NULL, &feeds[3]), E_BUSY);
	cr_expect_not_null(strstr(err.text, "3 event streams of the tenant acme"), "%s", err.text);
	cr_expect_eq(events_count(events), 3);
	for (int i = 0; i < 3; i++)
		feed_free(feeds[i]);
	cr_expect_eq(events_count(events), 0);
	cr_expect_eq(open_feed(id, NULL, &feeds[0]), 0);
	feed_free(feeds[0]);
}

static void advance_until_comment(struct client *client)
{
	while (client->comments == 0 && !client->over) {
		clock_advance(desk->clock, 1000);
		usleep(1000);
		take(client);
	}
}

Test(events, silence_is_broken_by_comments_that_show_who_is_still_there)
{
	struct client *client = dial(desk_submit(desk, "acme", TASK_PROBE, "{}"));
	hear(client, 1);
	int64_t since = clock_mono_ms(desk->clock);
	advance_until_comment(client);
	cr_expect_not(client->over);
	cr_expect_geq(clock_mono_ms(desk->clock) - since, 15000);
	hang_up(client);
}

Test(events, who_left_makes_room_for_others)
{
	const char *id = desk_submit(desk, "acme", TASK_PROBE, "{}");
	struct client *client = dial(id);
	hear(client, 1);
	hang_up(client);
	desk_pick(desk);
	while (events_count(events) > 0) {
		clock_advance(desk->clock, 1000);
		usleep(1000);
	}
}

Test(events, a_replica_that_no_longer_leads_ends_its_streams)
{
	struct client *client = dial(desk_submit(desk, "acme", TASK_PROBE, "{}"));
	hear(client, 1);
	atomic_store(&desk->part.led, 0);
	while (!client->over) {
		clock_advance(desk->clock, 1000);
		usleep(1000);
		take(client);
	}
	cr_expect_eq(client->count, 1);
	hang_up(client);
}

Test(events, without_memory_no_stream_is_opened_and_nothing_is_left_behind)
{
	const char *id = desk_submit(desk, "acme", TASK_PROBE, "{}");
	struct feed *feed = NULL;
	for (long n = 0;; n++) {
		alloc_fail_after(n);
		int rc = open_feed(id, NULL, &feed);
		bool fired = alloc_fired();
		alloc_fail_after(-1);
		if (!fired) {
			cr_assert_eq(rc, 0, "%s", err.text);
			break;
		}
		cr_assert_eq(rc, E_NOMEM);
		cr_expect_eq(events_count(events), 0);
	}
	feed_free(feed);
}

Test(events, an_id_is_read_as_it_is_printed_and_nothing_else_is)
{
	static const char *const wrong[] = { "", "1", "1-", "-1-2", "1--2", "1-2 ", "01-2", "x-y",
		                             "9999999999999999999999-1", "1-2-3" };
	char text[EVENT_ID_MAX];
	int64_t epoch = 0, version = 0;
	cr_expect(event_id_read(event_id_print(7, INT64_MAX, text), &epoch, &version));
	cr_expect(epoch == 7 && version == INT64_MAX);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		cr_expect_not(event_id_read(wrong[i], &epoch, &version), "%s", wrong[i]);
	cr_expect_not(event_id_read(NULL, &epoch, &version));
}
