/* detour.c - see detour.h. A front is one life of the listening side; calls of an earlier one are
 * not touched again. */
#include "common/defs.h"
#include "tests/support/detour.h"

#include "tests/support/alloc.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 12, ASK_MS = 20000, REOPEN_TRIES = 1000, REOPEN_US = 1000 };

struct front {
	struct detour *detour;
	int number;
};

struct item {
	struct item *next;
	struct link_call *call;
	int front; /* its number */
	struct buf data;
};

struct detour {
	struct stage *stage;
	char url[64];
	const char *urls[2]; /* of the stage */
	struct link_client *client;
	struct link_server *server;
	struct front *front;
	pthread_t threads[THREADS];
	pthread_mutex_t mutex; /* guards all below, and answering */
	pthread_cond_t work;
	struct item *first, **last;
	bool closing;
	int active; /* threads that carry something */
	int number; /* of the present front */
	int seen, lose_at;
	enum detour_loss loss;
};

static void on_call(void *context, struct link_call *call, const uint8_t *data, size_t len)
{
	const struct front *front = context;
	struct detour *detour = front->detour;
	alloc_spare();
	struct item *item = calloc(1, sizeof *item);
	REQUIRE(item);
	item->call = call;
	item->front = front->number;
	buf_init(&item->data, LINK_MESSAGE_MAX);
	buf_put(&item->data, data, len);
	alloc_unspare();
	pthread_mutex_lock(&detour->mutex);
	*detour->last = item;
	detour->last = &item->next;
	pthread_cond_signal(&detour->work);
	pthread_mutex_unlock(&detour->mutex);
}

static void listen_on(struct detour *detour)
{
	struct link_server *server = NULL;
	struct front *front = calloc(1, sizeof *front);
	struct err err = {0};
	REQUIRE(front);
	*front = (struct front){detour, detour->number};
	const struct link_server_conf conf = {
		.url = detour->url,
		.contexts = 32,
		.call = on_call,
		.context = front,
	};
	int rc = link_server_new(&conf, &server, &err);
	for (int i = 0; rc == E_CONFLICT && i < REOPEN_TRIES; i++) {
		usleep(REOPEN_US);
		rc = link_server_new(&conf, &server, &err);
	}
	REQUIRE(rc == 0);
	pthread_mutex_lock(&detour->mutex);
	detour->server = server;
	detour->front = front;
	pthread_mutex_unlock(&detour->mutex);
}

static void break_off(struct detour *detour)
{
	pthread_mutex_lock(&detour->mutex);
	bool closing = detour->closing;
	struct link_server *server = closing ? NULL : MOVE(detour->server);
	struct front *front = closing ? NULL : MOVE(detour->front);
	detour->number++;
	pthread_mutex_unlock(&detour->mutex);
	link_server_free(server);
	free(front);
	if (!closing)
		listen_on(detour);
}

/* mutex held */
static bool is_lost(struct detour *detour)
{
	return ++detour->seen == detour->lose_at && detour->server;
}

static void pass_on(struct detour *detour, struct item *item, bool lost)
{
	struct buf answer;
	struct err err = {0};
	bool request = !lost || detour->loss == DETOUR_LOSE_ANSWER;
	buf_init(&answer, LINK_MESSAGE_MAX);
	int rc = request ? link_client_call(detour->client, 0, item->data.data, item->data.len,
	                                    ASK_MS, &answer, &err)
	                 : E_UNAVAILABLE;
	if (lost)
		break_off(detour);
	pthread_mutex_lock(&detour->mutex);
	if (!lost && item->front == detour->number && !detour->closing) {
		if (rc == 0)
			link_answer(item->call, answer.data, answer.len);
		else
			link_drop(item->call);
	}
	pthread_mutex_unlock(&detour->mutex);
	buf_release(&answer);
}

static void *carrier(void *context)
{
	struct detour *detour = context;
	alloc_spare();
	pthread_mutex_lock(&detour->mutex);
	for (;;) {
		while (!detour->closing && !detour->first)
			pthread_cond_wait(&detour->work, &detour->mutex);
		struct item *item = detour->first;
		if (!item)
			break;
		detour->first = item->next;
		if (!detour->first)
			detour->last = &detour->first;
		bool lost = is_lost(detour);
		bool closing = detour->closing;
		detour->active++;
		pthread_mutex_unlock(&detour->mutex);
		if (!closing)
			pass_on(detour, item, lost);
		buf_release(&item->data);
		free(item);
		pthread_mutex_lock(&detour->mutex);
		detour->active--;
	}
	pthread_mutex_unlock(&detour->mutex);
	return NULL;
}

struct detour *detour_open(struct stage *stage)
{
	struct err err = {0};
	struct detour *detour = calloc(1, sizeof *detour);
	cr_assert_not_null(detour);
	detour->stage = stage;
	detour->last = &detour->first;
	detour->urls[0] = stage->url;
	snprintf(detour->url, sizeof detour->url, "inproc://detour-%p", (void *)detour);
	pthread_mutex_init(&detour->mutex, NULL);
	pthread_cond_init(&detour->work, NULL);
	const struct link_client_conf conf = {
		.urls = detour->urls,
		.reconnect_min_ms = 1,
		.reconnect_max_ms = 5,
	};
	cr_assert_eq(link_client_new(&conf, &detour->client, &err), 0, "%s", err.text);
	listen_on(detour);
	for (int i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&detour->threads[i], NULL, carrier, detour), 0);
	snprintf(stage->poll_url, sizeof stage->poll_url, "%s", detour->url);
	return detour;
}

void detour_lose(struct detour *detour, int n, enum detour_loss loss)
{
	pthread_mutex_lock(&detour->mutex);
	detour->seen = 0;
	detour->lose_at = n;
	detour->loss = loss;
	pthread_mutex_unlock(&detour->mutex);
}

int detour_seen(struct detour *detour)
{
	pthread_mutex_lock(&detour->mutex);
	int seen = detour->seen;
	pthread_mutex_unlock(&detour->mutex);
	return seen;
}

void detour_close(struct detour *detour)
{
	pthread_mutex_lock(&detour->mutex);
	detour->closing = true;
	pthread_cond_broadcast(&detour->work);
	while (detour->active > 0) {
		pthread_mutex_unlock(&detour->mutex);
		link_client_interrupt(detour->client);
		usleep(REOPEN_US);
		pthread_mutex_lock(&detour->mutex);
	}
	pthread_mutex_unlock(&detour->mutex);
	for (int i = 0; i < THREADS; i++)
		pthread_join(detour->threads[i], NULL);
	link_server_free(detour->server);
	link_client_free(detour->client);
	free(detour->front);
	pthread_cond_destroy(&detour->work);
	pthread_mutex_destroy(&detour->mutex);
	snprintf(detour->stage->poll_url, sizeof detour->stage->poll_url, "%s", detour->stage->url);
	free(detour);
}
