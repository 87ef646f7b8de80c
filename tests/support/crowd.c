/* crowd.c - see crowd.h. */
#include "common/defs.h"
#include "tests/support/crowd.h"

#include "common/fetch.h"
#include "common/json.h"
#include "tests/support/follow.h"
#include "tests/support/process.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	ARENA_MAX = 64 * 1024 * 1024,
	ANSWER_MAX = 16 * 1024 * 1024,
	ASK_MS = 3000,
	PAGE = 500,
	SET_UP_MS = 30000,
	PAUSE_MS = 40,
	AGAIN_MS = 60,
	BATCHES_MAX = 4096
};

static const char *const tenants[DEEDS_TENANTS] = {"acme", "globex"};

struct client {
	struct crowd *crowd;
	pthread_t thread;
	int number;
	uint64_t random;
	struct fetch *fetch;
	struct arena *arena; /* of one request */
};

struct crowd {
	struct cluster *cluster;
	const char *apis[CLUSTER_CONTROLS];
	char keys[DEEDS_TENANTS][256]; /* header lines */
	struct client clients[CROWD_CLIENTS], reader;
	_Atomic int stopping, giving_up, hurrying;
	pthread_mutex_t mutex; /* guards what follows */
	struct deed *deeds;
	size_t deed_count, answered;
	int64_t last_ms, gap_ms;
	struct deeds all;
	struct found *found;
};

struct said {
	int status;
	struct value *body;
};

static struct said ask(struct client *client, int control, const char *authorization,
                       const char *key, const char *method, const char *path, const char *body)
{
	AUTO_BUF answer;
	struct err err = {0};
	struct said said = {0};
	const char *headers[] = {authorization, "Content-Type: application/json", NULL, NULL};
	if (key)
		headers[2] = arena_printf(client->arena, "Idempotency-Key: %s", key);
	const struct fetch_call call = {
		.method = method,
		.headers = headers,
		.body = body,
		.timeout_ms = ASK_MS,
		.body_len = body ? strlen(body) : 0,
		.url = arena_printf(client->arena, "%s%s", client->crowd->apis[control], path),
	};
	buf_init(&answer, ANSWER_MAX);
	if (fetch_call(client->fetch, &call, &said.status, &answer, NULL, &err) < 0)
		said.status = 0;
	else if (answer.len > 0 && json_parse(client->arena, (const char *)answer.data, answer.len,
	                                      &said.body, &err) < 0)
		said.body = NULL;
	return said;
}

/* --- setting up --- */

static void must(struct crowd *crowd, const char *authorization, const char *method,
                 const char *path, const char *body, char *ret_key)
{
	struct said said = {0};
	for (int tries = 0; tries < SET_UP_MS / AGAIN_MS; tries++) {
		arena_reset(crowd->reader.arena);
		said = ask(&crowd->reader, 0, authorization, NULL, method, path, body);
		if (said.status / 100 == 2)
			break;
		wait_ms(AGAIN_MS);
	}
	cr_assert_eq(said.status / 100, 2, "%s %s: %d", method, path, said.status);
	if (ret_key)
		snprintf(ret_key, 256, "Authorization: Bearer %s", value_get_str(said.body, "key"));
}

static void put(struct crowd *crowd, const char *authorization, const char *kind, const char *path,
                const char *spec)
{
	char body[1024];
	snprintf(body, sizeof body,
	         "{\"apiVersion\":\"freehold.io/v1\",\"kind\":\"%s\","
	         "\"metadata\":{\"name\":\"%s\"},\"spec\":%s}",
	         kind, strrchr(path, '/') + 1, spec);
	must(crowd, authorization, "PUT", path, body, NULL);
}

static void set_up(struct crowd *crowd)
{
	const char *operator_key = cluster_operator(crowd->cluster);
	char path[256];
	for (int i = 0; i < DEEDS_TENANTS; i++) {
		snprintf(path, sizeof path, "/v1/tenants/%s", tenants[i]);
		put(crowd, operator_key, "Tenant", path, "{}");
		snprintf(path, sizeof path, "/v1/tenants/%s/domains/d", tenants[i]);
		put(crowd, operator_key, "Domain", path, "{}");
		snprintf(path, sizeof path, "/v1/tenants/%s/principals/p", tenants[i]);
		put(crowd, operator_key, "Principal", path, "{\"roles\":[\"tenant-admin\"]}");
		snprintf(path, sizeof path, "/v1/tenants/%s/principals/p/keys", tenants[i]);
		must(crowd, operator_key, "POST", path, NULL, crowd->keys[i]);
	}
	put(crowd, operator_key, "RateCard", "/v1/ratecards/default",
	    "{\"currency\":\"EUR\",\"cpuSecond\":1000000,\"task\":7}");
	put(crowd, operator_key, "Quota", "/v1/tenants/acme/quotas/waiting",
	    "{\"queuedTasks\":200}");
	put(crowd, operator_key, "Quota", "/v1/tenants/globex/quotas/few",
	    "{\"concurrentTasks\":2,\"queuedTasks\":100}");
	snprintf(path, sizeof path, "%s/files/acme/three.csv", cluster_folder(crowd->cluster));
	file_write(path, "n\n1\n2\n3\n");
	put(crowd, crowd->keys[0], "Dataset", "/v1/tenants/acme/domains/d/datasets/effects", "{}");
	put(crowd, crowd->keys[0], "Source", "/v1/tenants/acme/domains/d/sources/three",
	    "{\"connector\":\"file\",\"path\":\"three.csv\",\"dataset\":\"effects\","
	    "\"format\":\"csv\"}");
}

/* --- a client --- */

static uint64_t draw(struct client *client, uint64_t below)
{
	uint64_t x = client->random += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (x ^ (x >> 31)) % below;
}

static struct deed *deed_new(struct client *client, int tenant)
{
	struct crowd *crowd = client->crowd;
	struct deed *deed = NULL;
	pthread_mutex_lock(&crowd->mutex);
	if (crowd->deed_count < CROWD_DEEDS_MAX) {
		deed = &crowd->deeds[crowd->deed_count];
		snprintf(deed->key, sizeof deed->key, "deed-%zu", crowd->deed_count++);
		deed->tenant = tenant;
	}
	pthread_mutex_unlock(&crowd->mutex);
	return deed;
}

static void answered(struct crowd *crowd, struct deed *deed, const char *id)
{
	pthread_mutex_lock(&crowd->mutex);
	int64_t now_ms = mono_ms();
	snprintf(deed->id, sizeof deed->id, "%s", id);
	crowd->answered++;
	if (crowd->last_ms && now_ms - crowd->last_ms > crowd->gap_ms)
		crowd->gap_ms = now_ms - crowd->last_ms;
	crowd->last_ms = now_ms;
	pthread_mutex_unlock(&crowd->mutex);
}

/* Repeated with its key until it is answered, at whichever replica. */
static void submit(struct client *client, int tenant, const char *body)
{
	struct crowd *crowd = client->crowd;
	struct deed *deed = deed_new(client, tenant);
	char path[128];
	snprintf(path, sizeof path, "/v1/tenants/%s/domains/d/tasks", tenants[tenant]);
	while (deed && !atomic_load(&crowd->giving_up)) {
		arena_reset(client->arena);
		struct said said = ask(client, (int)draw(client, CLUSTER_CONTROLS),
		                       crowd->keys[tenant], deed->key, "POST", path, body);
		const char *id = value_get_str(said.body, "id");
		if (said.status == 202 && id) {
			answered(crowd, deed, id);
			return;
		}
		wait_ms(AGAIN_MS);
	}
}

static void act(struct client *client)
{
	char body[160];
	uint64_t what = draw(client, 100);
	if (client->number == 0) {
		submit(client, 1, "{\"type\":\"probe\",\"spec\":{\"sleepMs\":10}}");
		return;
	}
	if (what < 25) {
		submit(client, 0,
		       "{\"type\":\"ingest\",\"spec\":{\"source\":\"three\"},"
		       "\"limits\":{\"attempts\":10}}");
		return;
	}
	snprintf(body, sizeof body,
	         "{\"type\":\"probe\",\"spec\":{\"sleepMs\":%d},"
	         "\"limits\":{\"attempts\":10}}",
	         (int)draw(client, 300));
	submit(client, 0, body);
}

static void *client_run(void *context)
{
	struct client *client = context;
	while (!atomic_load(&client->crowd->stopping)) {
		act(client);
		bool hurries = client->number == 0 || atomic_load(&client->crowd->hurrying);
		wait_ms(hurries ? 1 : PAUSE_MS + (int)draw(client, 4 * PAUSE_MS));
	}
	return NULL;
}

static void client_new(struct crowd *crowd, struct client *client, int number)
{
	struct err err = {0};
	const struct fetch_conf conf = {.connect_timeout_ms = 1000};
	client->crowd = crowd;
	client->number = number;
	client->random = (uint64_t)number;
	cr_assert_eq(fetch_new(&conf, &client->fetch, &err), 0, "%s", err.text);
	cr_assert_eq(arena_new(ARENA_MAX, &client->arena, &err), 0, "%s", err.text);
}

static void client_end(struct client *client)
{
	fetch_free(client->fetch);
	arena_free(client->arena);
}

struct crowd *crowd_start(struct cluster *cluster)
{
	struct crowd *crowd = calloc(1, sizeof *crowd);
	cr_assert_not_null(crowd);
	crowd->cluster = cluster;
	crowd->deeds = calloc(CROWD_DEEDS_MAX, sizeof *crowd->deeds);
	cr_assert_not_null(crowd->deeds);
	pthread_mutex_init(&crowd->mutex, NULL);
	for (int i = 0; i < CLUSTER_CONTROLS; i++)
		crowd->apis[i] = cluster_api(cluster, i);
	client_new(crowd, &crowd->reader, CROWD_CLIENTS);
	set_up(crowd);
	for (int i = 0; i < CROWD_CLIENTS; i++) {
		client_new(crowd, &crowd->clients[i], i);
		cr_assert_eq(pthread_create(&crowd->clients[i].thread, NULL, client_run,
		                            &crowd->clients[i]),
		             0);
	}
	return crowd;
}

void crowd_hurry(struct crowd *crowd, bool hurry)
{
	atomic_store(&crowd->hurrying, hurry);
}

/* --- the end --- */

static bool all_answered(void *context)
{
	struct crowd *crowd = context;
	pthread_mutex_lock(&crowd->mutex);
	bool all = crowd->answered == crowd->deed_count;
	pthread_mutex_unlock(&crowd->mutex);
	return all;
}

bool crowd_settle(struct crowd *crowd, int ms)
{
	atomic_store(&crowd->stopping, 1);
	bool all = wait_until(all_answered, crowd, ms);
	atomic_store(&crowd->giving_up, 1);
	for (int i = 0; i < CROWD_CLIENTS; i++)
		pthread_join(crowd->clients[i].thread, NULL);
	return all;
}

/* A page of a tenant's tasks, from either replica. */
static struct value *page(struct crowd *crowd, int tenant, const char *state, const char *from)
{
	char path[512];
	snprintf(path, sizeof path, "/v1/tenants/%s/domains/d/tasks?limit=%d%s%s%s%s",
	         tenants[tenant], PAGE, state ? "&state=" : "", state ? state : "",
	         from ? "&continue=" : "", from ? from : "");
	for (int tries = 0; tries < 100; tries++) {
		struct said said = ask(&crowd->reader, tries % CLUSTER_CONTROLS,
		                       crowd->keys[tenant], NULL, "GET", path, NULL);
		if (said.status == 200)
			return said.body;
		wait_ms(AGAIN_MS);
	}
	return NULL;
}

bool crowd_ended(struct crowd *crowd)
{
	static const char *const open[] = {"queued", "running", "blocked"};
	for (int tenant = 0; tenant < DEEDS_TENANTS; tenant++)
		for (size_t i = 0; i < ARRAY_LEN(open); i++) {
			arena_reset(crowd->reader.arena);
			struct value *body = page(crowd, tenant, open[i], NULL);
			if (!body || value_len(value_get(body, "items")) > 0)
				return false;
		}
	return true;
}

static void take_found(struct crowd *crowd, int tenant, const struct value *task)
{
	if (crowd->all.found_count == CROWD_DEEDS_MAX)
		return;
	struct found *found = &crowd->found[crowd->all.found_count++];
	const char *state = value_get_str(task, "state"), *type = value_get_str(task, "type");
	const struct value *outputs = value_get(task, "outputs");
	snprintf(found->id, sizeof found->id, "%s", value_get_str(task, "id"));
	const char *reason = value_get_str(task, "reason"), *worker = value_get_str(task, "worker");
	snprintf(found->state, sizeof found->state, "%s on %s, version %d: %s", state ? state : "?",
	         worker ? worker : "nobody", (int)value_get_int(task, "version", 0),
	         reason ? reason : "");
	found->tenant = tenant;
	found->ended = value_get(task, "endedAt") != NULL;
	found->succeeded = state && strcmp(state, "succeeded") == 0;
	found->writes = type && strcmp(type, "ingest") == 0;
	for (size_t i = 0; i < value_len(outputs); i++)
		found->rows += value_get_int(value_at(outputs, i), "rows", 0);
	amounts_read(value_get(task, "usage"), &found->used);
}

static void read_tasks(struct crowd *crowd, int tenant)
{
	char from[256] = "";
	do {
		arena_reset(crowd->reader.arena);
		struct value *body = page(crowd, tenant, NULL, *from ? from : NULL);
		cr_assert_not_null(body, "the tasks of %s cannot be listed", tenants[tenant]);
		const struct value *items = value_get(body, "items");
		for (size_t i = 0; i < value_len(items); i++)
			take_found(crowd, tenant, value_at(items, i));
		const char *next = value_get_str(body, "continue");
		snprintf(from, sizeof from, "%s", next ? next : "");
	} while (*from);
}

static struct value *read_one(struct crowd *crowd, int tenant, const char *path)
{
	for (int tries = 0; tries < 100; tries++) {
		arena_reset(crowd->reader.arena);
		struct said said = ask(&crowd->reader, tries % CLUSTER_CONTROLS,
		                       crowd->keys[tenant], NULL, "GET", path, NULL);
		if (said.status == 200)
			return said.body;
		wait_ms(AGAIN_MS);
	}
	cr_assert_fail("%s is not answered", path);
	return NULL;
}

struct deeds *crowd_deeds(struct crowd *crowd)
{
	char path[128];
	crowd->found = calloc(CROWD_DEEDS_MAX, sizeof *crowd->found);
	cr_assert_not_null(crowd->found);
	crowd->all = (struct deeds){.deeds = crowd->deeds,
	                            .deed_count = crowd->deed_count,
	                            .found = crowd->found,
	                            .rows_each = CROWD_ROWS};
	for (int tenant = 0; tenant < DEEDS_TENANTS; tenant++) {
		read_tasks(crowd, tenant);
		snprintf(path, sizeof path, "/v1/tenants/%s/usage", tenants[tenant]);
		amounts_read(value_get(read_one(crowd, tenant, path), "total"),
		             &crowd->all.used[tenant]);
	}
	const struct value *snapshots = value_get(
		read_one(crowd, 0, "/v1/tenants/acme/domains/d/datasets/effects/snapshots?limit=1"),
		"items");
	crowd->all.dataset_rows = value_get_int(value_at(snapshots, 0), "rows", 0);
	return &crowd->all;
}

size_t crowd_answered(const struct crowd *crowd)
{
	return crowd->answered;
}

int64_t crowd_longest_gap_ms(const struct crowd *crowd)
{
	return crowd->gap_ms;
}

void crowd_stop(struct crowd *crowd)
{
	for (int i = 0; i < CROWD_CLIENTS; i++)
		client_end(&crowd->clients[i]);
	client_end(&crowd->reader);
	pthread_mutex_destroy(&crowd->mutex);
	free(crowd->deeds);
	free(crowd->found);
	free(crowd);
}
