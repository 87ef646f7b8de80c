/* The serving door over real HTTP, with control played by this test: Feast's shape, statuses,
 * refusals, and a warm path that asks nobody. */
#include "common/defs.h"
#include "worker/serve.h"

#include "common/fetch.h"
#include "common/json.h"
#include "common/pack.h"
#include "worker/ask.h"
#include "worker/meter.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define START_MS INT64_C(980985600000)   /* 2001-02-01T00:00:00Z */
enum { GRANT_MS = 60000, TTL_MS = 86400000, PATIENCE_MS = 60000 };

struct rig {
	char dir[40];
	struct clock *clock;
	struct online *online;
	struct meter *meter;
	struct access_cache *cache;
	struct serve *serve;
	struct fetch *fetch;
	struct arena *arena;
	char url[80];
	atomic_int asked;
	int refuse;                  /* with this code */
	int delay_ms;
	char ask_seen[256];
	struct cage_report cage;
};

static const uint8_t view_key[KEY_BYTES] = { 9 };
static const struct access_feature features[] = {
	{ .name = "departures", .type = "int64" },
	{ .name = "delay", .type = "float64" },
	{ .name = "name", .type = "string" },
	{ .name = "late", .type = "boolean" },
};

static int play_control(void *context, const struct access_want *want, const char *const *views,
                        size_t count, struct arena *arena, struct access_grant **ret_grant,
                        struct err *err)
{
	struct rig *rig = context;
	atomic_fetch_add(&rig->asked, 1);
	usleep((useconds_t)rig->delay_ms * 1000);
	snprintf(rig->ask_seen, sizeof rig->ask_seen, "%s %s %zu", want->credential, views[0],
	         count);
	if (rig->refuse)
		return err_set(err, rig->refuse, "control says no");
	struct access_view *view = arena_alloc(arena, 2 * sizeof *view);
	struct access_grant *grant = arena_alloc(arena, sizeof *grant);
	for (size_t i = 0; i < count && i < 2; i++) {
		view[i] = (struct access_view) {
			.domain = "flights", .name = strstr(views[i], "other") ? "other" : "delays",
			.uid = strstr(views[i], "other") ? "01other" : "01view",
			.join_key = "airport",
			.key_type = "string", .ttl_ms = TTL_MS, .key_version = 1,
			.features = features,
			.feature_count = ARRAY_LEN(features),
		};
		memcpy(view[i].key, view_key, KEY_BYTES);
	}
	*grant = (struct access_grant) {
		.id = "g", .worker = "w-1", .tenant = "acme", .principal = "ann", .views = view,
		.view_count = count, .expires_ms = clock_unix_ms(rig->clock) + GRANT_MS,
	};
	*ret_grant = grant;
	return 0;
}

static void put(struct rig *rig, const char *uid, const char *entity, int64_t event_ms,
                struct value *values)
{
	AUTO(online_view) *view = NULL;
	AUTO(online_batch) *batch = NULL;
	AUTO_BUF packed;
	int64_t layout = 0, changed, bytes;
	buf_init(&packed, MIB);
	for (size_t i = 0; i < ARRAY_LEN(features); i++)
		layout = online_layout(layout, features[i].name, features[i].type);
	cr_assert_eq(pack_write(values, &packed, NULL), 0);
	cr_assert_eq(online_view_new(rig->online, "acme", uid, 1, view_key, &view, NULL), 0);
	online_view_set_layout(view, layout);
	cr_assert_eq(online_batch_new(view, &batch, NULL), 0);
	cr_assert_eq(online_put(batch, entity, strlen(entity), event_ms * 1000, packed.data,
	                        packed.len, NULL), 0);
	cr_assert_eq(online_commit(batch, &changed, &bytes, NULL), 0);
}

static struct value *values_of(struct arena *arena, int64_t departures, double delay,
                               const char *name)
{
	struct value *list = value_list(arena);
	value_add(list, value_int(arena, departures));
	value_add(list, value_real(arena, delay));
	value_add(list, name ? value_str(arena, name) : value_null(arena));
	value_add(list, value_bool(arena, true));
	return list;
}

static void rig_start(struct rig *rig)
{
	char path[64];
	struct err err = { 0 };
	memset(rig, 0, sizeof *rig);
	snprintf(rig->dir, sizeof rig->dir, "/tmp/serve-test-XXXXXX");
	cr_assert_eq(crypto_start(NULL), 0);
	cr_assert_not_null(mkdtemp(rig->dir));
	cr_assert_eq(arena_new(64 * MIB, &rig->arena, NULL), 0);
	cr_assert_eq(clock_new_simulated(START_MS, &rig->clock, NULL), 0);
	snprintf(path, sizeof path, "%s/online", rig->dir);
	cr_assert_eq(online_new(path, 64 * MIB, &rig->online, NULL), 0);
	snprintf(path, sizeof path, "%s/meter", rig->dir);
	cr_assert_eq(meter_new(path, &rig->meter, NULL), 0);
	struct access_cache_conf cache = {
		.clock = rig->clock, .online = rig->online, .meter = rig->meter,
		.ask = play_control,
		.context = rig,
	};
	cr_assert_eq(access_cache_new(&cache, &rig->cache, NULL), 0);
	struct serve_conf conf = {
		.http = { .listen = "127.0.0.1:0", .threads = 8 }, .clock = rig->clock,
		.cache = rig->cache,
		.online = rig->online, .meter = rig->meter, .cage = &rig->cage,
	};
	cage_report_read(NULL, &rig->cage);
	cage_report_on(&rig->cage, CAGE_SECCOMP);
	cr_assert_eq(serve_new(&conf, &rig->serve, &err), 0, "%s", err.text);
	snprintf(rig->url, sizeof rig->url, "http://127.0.0.1:%d", serve_port(rig->serve));
	cr_assert_eq(fetch_new(&(struct fetch_conf) { 0 }, &rig->fetch, &err), 0, "%s", err.text);
	put(rig, "01view", "ATL", START_MS - 3600000, values_of(rig->arena, 12, 3.25, "Atlanta"));
	put(rig, "01view", "ORD", START_MS - 2 * TTL_MS, values_of(rig->arena, 7, -0.5, NULL));
}

static void rig_stop(struct rig *rig)
{
	char command[80];
	fetch_free(rig->fetch);
	serve_free(rig->serve);
	access_cache_free(rig->cache);
	meter_free(rig->meter);
	online_free(rig->online);
	clock_free(rig->clock);
	arena_free(rig->arena);
	snprintf(command, sizeof command, "rm -rf '%s'", rig->dir);
	cr_assert_eq(system(command), 0);
}

/* The answer's text, in the rig's arena. */
static const char *ask(struct rig *rig, const char *path, const char *key, const char *body,
                       int *ret_status)
{
	char url[160], authorization[80];
	AUTO_BUF answer;
	struct err err = { 0 };
	buf_init(&answer, 8 * MIB);
	snprintf(url, sizeof url, "%s%s", rig->url, path);
	snprintf(authorization, sizeof authorization, "Authorization: Bearer %s", key ? key : "");
	const char *const headers[] = { "Content-Type: application/json", key ? authorization
		: NULL,
	                                NULL };
	struct fetch_call call = {
		.url = url, .headers = headers, .body = body, .body_len = body ? strlen(body) : 0,
		.timeout_ms = PATIENCE_MS,
	};
	cr_assert_eq(fetch_call(rig->fetch, &call, ret_status, &answer, NULL, &err), 0, "%s",
	             err.text);
	return arena_strndup(rig->arena, answer.data ? (char *)answer.data : "", answer.len);
}

static const char *read_features(struct rig *rig, const char *body, int *ret_status)
{
	return ask(rig, "/get-online-features", "good", body, ret_status);
}

#define EPOCH "\"1970-01-01T00:00:00Z\""
#define ATL_BODY "{\"features\":[\"delays:departures\",\"delays:delay\"]," \
	"\"entities\":{\"airport\":[\"ATL\"]}}"
#define ATL_ANSWER "{\"metadata\":{\"feature_names\":[\"airport\",\"departures\",\"delay\"]}," \
	"\"results\":[{\"values\":[\"ATL\"],\"statuses\":[\"PRESENT\"]," \
	"\"event_timestamps\":[\"1970-01-01T00:00:00Z\"]},{\"values\":[12],\"statuses\":[\"PRESENT\"]," \
	"\"event_timestamps\":[\"2001-01-31T23:00:00Z\"]},{\"values\":[3.25]," \
	"\"statuses\":[\"PRESENT\"],\"event_timestamps\":[\"2001-01-31T23:00:00Z\"]}]}"

Test(serve, answers_in_the_shape_of_feast_cold_and_warm_alike)
{
	static struct rig rig;
	int status;
	rig_start(&rig);
	cr_expect_str_eq(read_features(&rig, ATL_BODY, &status), ATL_ANSWER);
	cr_expect_eq(status, 200);
	cr_expect_str_eq(rig.ask_seen, "good delays 1");
	for (int i = 0; i < 10; i++)
		cr_expect_str_eq(read_features(&rig, ATL_BODY, &status), ATL_ANSWER);
	cr_expect_eq(rig.asked, 1, "the warm path asks nobody");
	struct access_cache_status cache;
	access_cache_status(rig.cache, &cache);
	cr_expect_eq(cache.hits, 10);
	cr_expect_eq(meter_total(rig.meter), 11);
	rig_stop(&rig);
}

Test(serve, several_rows_show_every_status_by_column)
{
	static struct rig rig;
	int status;
	rig_start(&rig);
	const char *body = "{\"features\":[\"flights.delays:name\",\"flights.delays:late\"],"
		"\"entities\":{\"airport\":[\"ATL\",\"QQQ\",\"ORD\"]},"
		"\"full_feature_names\":true}";
	const char *expected = "{\"metadata\":{\"feature_names\":[\"airport\",\"delays__name\","
		"\"delays__late\"]},\"results\":[{\"values\":[\"ATL\",\"QQQ\",\"ORD\"],"
		"\"statuses\":[\"PRESENT\",\"PRESENT\",\"PRESENT\"],\"event_timestamps\":"
		"[" EPOCH "," EPOCH "," EPOCH "]},{\"values\":[\"Atlanta\",null,null],"
		"\"statuses\":[\"PRESENT\",\"NOT_FOUND\",\"NULL_VALUE\"],"
		"\"event_timestamps\":[\"2001-01-31T23:00:00Z\"," EPOCH ","
		"\"2001-01-30T00:00:00Z\"]},{\"values\":[true,null,true],"
		"\"statuses\":[\"PRESENT\",\"NOT_FOUND\",\"OUTSIDE_MAX_AGE\"],"
		"\"event_timestamps\":[\"2001-01-31T23:00:00Z\"," EPOCH ","
		"\"2001-01-30T00:00:00Z\"]}]}";
	cr_expect_str_eq(read_features(&rig, body, &status), expected);
	cr_expect_str_eq(read_features(&rig, body, &status), expected);
	rig_stop(&rig);
}

Test(serve, two_views_are_read_in_one_request)
{
	static struct rig rig;
	int status;
	rig_start(&rig);
	put(&rig, "01other", "ATL", START_MS, values_of(rig.arena, 99, 1, "x"));
	const char *body = "{\"features\":[\"other:departures\",\"delays:delay\"],"
		"\"entities\":{\"airport\":[\"ATL\"]}}";
	const char *text = read_features(&rig, body, &status);
	cr_expect_eq(status, 200);
	cr_expect_not_null(strstr(text, "{\"values\":[99],"), "%s", text);
	cr_expect_not_null(strstr(text, "{\"values\":[3.25],"), "%s", text);
	text = read_features(&rig, "{\"features\":[\"other:delay\",\"delays:delay\"],"
	                     "\"entities\":{\"airport\":[\"ATL\"]}}", &status);
	cr_expect_eq(status, 400);
	cr_expect_not_null(strstr(text, "full_feature_names"), "%s", text);
	rig_stop(&rig);
}

Test(serve, what_is_wrong_is_a_problem_document)
{
	static struct rig rig;
	int status;
	rig_start(&rig);
	static const struct { const char *body; int status; const char *says; } cases[] = {
		{ "{", 400, "line" },
		{ "{\"features\":[\"delays:departures\"],\"entities\":{\"aeroport\":[\"ATL\"]}}",
		  400, "entities: no view that is asked for has the join key" },
		{ "{\"features\":[\"delays:gone\"],\"entities\":{\"airport\":[\"ATL\"]}}", 404,
		  "no feature" },
		{ "{\"features\":[\"delays\"],\"entities\":{\"airport\":[\"ATL\"]}}", 400,
		  "features[0]" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *text = read_features(&rig, cases[i].body, &status);
		cr_expect_eq(status, cases[i].status, "%s: %d %s", cases[i].body, status, text);
		cr_expect_not_null(strstr(text, cases[i].says), "%s", text);
		cr_expect_not_null(strstr(text, "\"instance\":"), "%s", text);
	}
	ask(&rig, "/get-online-features", NULL, ATL_BODY, &status);
	cr_expect_eq(status, 401);
	ask(&rig, "/get-online-features", "good", NULL, &status);
	cr_expect_eq(status, 405);
	ask(&rig, "/v1/tenants", "good", NULL, &status);
	cr_expect_eq(status, 404);
	cr_expect_eq(meter_total(rig.meter), 0, "what is refused is not counted");
	rig_stop(&rig);
}

Test(serve, controls_refusal_is_told_and_not_kept)
{
	static struct rig rig;
	int status;
	rig_start(&rig);
	rig.refuse = E_DENIED;
	const char *text = read_features(&rig, ATL_BODY, &status);
	cr_expect_eq(status, 403);
	cr_expect_not_null(strstr(text, "control says no"), "%s", text);
	rig.refuse = 0;
	read_features(&rig, ATL_BODY, &status);
	cr_expect_eq(status, 200);
	cr_expect_eq(rig.asked, 2);
	rig_stop(&rig);
}

Test(serve, a_grant_ends_when_it_expires_or_is_revoked)
{
	static struct rig rig;
	int status;
	rig_start(&rig);
	read_features(&rig, ATL_BODY, &status);
	access_cache_drop(rig.cache, "globex");
	read_features(&rig, ATL_BODY, &status);
	cr_expect_eq(rig.asked, 1, "another tenant's revocation changes nothing");
	rig.refuse = E_UNAUTHENTICATED;
	access_cache_drop(rig.cache, "acme");
	read_features(&rig, ATL_BODY, &status);
	cr_expect_eq(status, 401, "revoked at once");
	rig.refuse = 0;
	read_features(&rig, ATL_BODY, &status);
	cr_expect_eq(status, 200);
	clock_advance(rig.clock, GRANT_MS);
	rig.refuse = E_UNAUTHENTICATED;
	read_features(&rig, ATL_BODY, &status);
	cr_expect_eq(status, 401, "expired");
	rig_stop(&rig);
}

Test(serve, a_grant_is_of_one_credential_and_one_list_of_features)
{
	static struct rig rig;
	int status;
	rig_start(&rig);
	read_features(&rig, ATL_BODY, &status);
	ask(&rig, "/get-online-features", "other", ATL_BODY, &status);
	cr_expect_str_eq(rig.ask_seen, "other delays 1");
	read_features(&rig,
	              "{\"features\":[\"delays:delay\"],\"entities\":{\"airport\":[\"ATL\"]}}",
	              &status);
	cr_expect_eq(rig.asked, 3);
	rig_stop(&rig);
}

static void *ask_once(void *arg)
{
	struct rig *rig = arg;
	char url[160];
	AUTO_BUF answer;
	int status = 0;
	buf_init(&answer, MIB);
	snprintf(url, sizeof url, "%s/get-online-features", rig->url);
	const char *const headers[] = { "Authorization: Bearer good", NULL };
	struct fetch_call call = {
		.url = url, .headers = headers, .body = ATL_BODY, .body_len = sizeof ATL_BODY - 1,
		.timeout_ms = PATIENCE_MS,
	};
	if (fetch_call(rig->fetch, &call, &status, &answer, NULL, NULL) < 0)
		status = -1;
	return (void *)(intptr_t)status;
}

Test(serve, of_many_requests_at_once_one_asks_control)
{
	static struct rig rig;
	pthread_t threads[6];
	rig_start(&rig);
	rig.delay_ms = 200;
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_create(&threads[i], NULL, ask_once, &rig);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		void *status;
		pthread_join(threads[i], &status);
		cr_expect_eq((intptr_t)status, 200);
	}
	cr_expect_eq(rig.asked, 1);
	rig_stop(&rig);
}

Test(serve, a_thousand_rows_are_answered_and_one_more_is_refused)
{
	static struct rig rig;
	int status;
	AUTO_BUF body;
	struct value *answer;
	rig_start(&rig);
	for (int rows = 1000; rows <= 1001; rows++) {
		buf_init(&body, MIB);
		buf_puts(&body,
		         "{\"features\":[\"delays:departures\"],"
		         "\"entities\":{\"airport\":[\"ATL\"");
		for (int i = 1; i < rows; i++)
			buf_printf(&body, ",\"A%d\"", i);
		buf_puts(&body, "]}}");
		cr_assert_eq(buf_check(&body, NULL), 0);
		const char *text = read_features(&rig, (char *)body.data, &status);
		cr_expect_eq(status, rows == 1000 ? 200 : 400);
		cr_assert_eq(json_parse(rig.arena, text, strlen(text), &answer, NULL), 0);
		const struct value *results = value_get(answer, "results");
		if (rows == 1000) {
			cr_expect_eq(value_len(value_get(value_at(results, 1), "statuses")), 1000);
		}
		buf_release(&body);
	}
	buf_init(&body, 16);
	rig_stop(&rig);
}

Test(serve, says_how_it_is_and_names_no_tenant)
{
	static struct rig rig;
	int status;
	rig_start(&rig);
	read_features(&rig, ATL_BODY, &status);
	ask(&rig, "/healthz", NULL, NULL, &status);
	cr_expect_eq(status, 200);
	const char *text = ask(&rig, "/readyz", NULL, NULL, &status);
	cr_expect_eq(status, 503, "no agent runs here");
	cr_expect_not_null(strstr(text, "{\"name\":\"seccomp\",\"on\":true,"), "%s", text);
	cr_expect_not_null(strstr(text, "{\"name\":\"uid\",\"on\":false,"), "%s", text);
	text = ask(&rig, "/metrics", NULL, NULL, &status);
	cr_expect_eq(status, 200);
	cr_expect_not_null(strstr(text, "freehold_worker_online_entities_read_total 1\n"), "%s",
	                   text);
	cr_expect_null(strstr(text, "acme"));
	rig_stop(&rig);
}
