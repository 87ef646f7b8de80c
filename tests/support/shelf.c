/* shelf.c - see shelf.h. */
#include "common/defs.h"
#include "tests/support/shelf.h"

#include "common/json.h"
#include "common/pack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t view_key[KEY_BYTES] = { 9 };
static const struct access_feature features[] = {
	{ .name = "departures", .type = "int64" },
	{ .name = "delay", .type = "float64" },
	{ .name = "name", .type = "string" },
	{ .name = "late", .type = "boolean" },
};

static void check(int rc, const struct err *err)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "shelf: %s\n", err->text);
	abort();
}

static int grant_views(struct shelf *shelf, const char *const *views, size_t count,
                       struct arena *arena, struct access_grant **ret_grant, struct err *err)
{
	struct access_view *granted = arena_alloc(arena, count * sizeof *granted);
	struct access_grant *grant = arena_alloc(arena, sizeof *grant);
	if (!granted || !grant)
		return err_set(err, E_NOMEM, "no memory for a grant");
	for (size_t i = 0; i < count; i++) {
		const char *dot = strchr(views[i], '.');
		const char *name = dot ? dot + 1 : views[i];
		granted[i] = (struct access_view) {
			.domain = "flights", .name = name,
			.uid = arena_printf(arena, "uid-%s", name), .join_key = "airport",
			.key_type = "string", .ttl_ms = SHELF_TTL_MS, .key_version = 1,
			.features = features, .feature_count = ARRAY_LEN(features),
		};
		if (!granted[i].uid)
			return err_set(err, E_NOMEM, "no memory for a grant");
		memcpy(granted[i].key, view_key, KEY_BYTES);
	}
	*grant = (struct access_grant) {
		.id = "g", .worker = "w-1", .tenant = shelf->tenant, .principal = "ann",
		.views = granted, .view_count = count,
		.expires_ms = clock_unix_ms(shelf->clock) + SHELF_GRANT_MS,
	};
	*ret_grant = grant;
	return 0;
}

static int play_control(void *context, const struct access_want *want, const char *const *views,
                        size_t count, struct arena *arena, struct access_grant **ret_grant,
                        struct err *err)
{
	struct shelf *shelf = context;
	size_t at = (size_t)snprintf(shelf->seen, sizeof shelf->seen, "%.64s:", want->credential);
	for (size_t i = 0; i < count && at + 80 < sizeof shelf->seen; i++)
		at += (size_t)snprintf(shelf->seen + at, sizeof shelf->seen - at, " %.64s",
		                       views[i]);
	atomic_fetch_add(&shelf->asked, 1);
	if (shelf->during)
		shelf->during(shelf);
	if (shelf->refuse)
		return err_set(err, shelf->refuse, "control says no");
	return grant_views(shelf, views, count, arena, ret_grant, err);
}

void shelf_open(struct shelf *shelf)
{
	char path[64];
	struct err err = { 0 };
	memset(shelf, 0, sizeof *shelf);
	shelf->tenant = "acme";
	snprintf(shelf->dir, sizeof shelf->dir, "/tmp/shelf-XXXXXX");
	REQUIRE(mkdtemp(shelf->dir));
	check(crypto_start(&err), &err);
	check(arena_new(64 * MIB, &shelf->arena, &err), &err);
	check(clock_new_simulated(SHELF_MS, &shelf->clock, &err), &err);
	snprintf(path, sizeof path, "%s/online", shelf->dir);
	check(online_new(path, 64 * MIB, &shelf->online, &err), &err);
	snprintf(path, sizeof path, "%s/meter", shelf->dir);
	check(meter_new(path, &shelf->meter, &err), &err);
	struct access_cache_conf conf = {
		.clock = shelf->clock, .online = shelf->online, .meter = shelf->meter,
		.ask = play_control, .context = shelf,
	};
	check(access_cache_new(&conf, &shelf->cache, &err), &err);
}

void shelf_close(struct shelf *shelf)
{
	char command[80];
	access_cache_free(shelf->cache);
	meter_free(shelf->meter);
	online_free(shelf->online);
	clock_free(shelf->clock);
	arena_free(shelf->arena);
	snprintf(command, sizeof command, "rm -rf '%s'", shelf->dir);
	REQUIRE(system(command) == 0);
}

const char *shelf_json(struct shelf *shelf, const char *json)
{
	char *copy = arena_strdup(shelf->arena, json);
	REQUIRE(copy);
	for (char *at = copy; *at; at++)
		if (*at == '\'')
			*at = '"';
	return copy;
}

static struct value *parse(struct shelf *shelf, const char *json)
{
	struct err err = { 0 };
	struct value *value = NULL;
	const char *text = shelf_json(shelf, json);
	check(json_parse(shelf->arena, text, strlen(text), &value, &err), &err);
	return value;
}

void shelf_put(struct shelf *shelf, const char *view, const char *entity, int64_t event_us,
               const char *values)
{
	AUTO(online_view) *open = NULL;
	AUTO(online_batch) *batch = NULL;
	AUTO_BUF packed;
	struct err err = { 0 };
	int64_t layout = 0, changed, bytes;
	char uid[80];
	snprintf(uid, sizeof uid, "uid-%s", view);
	buf_init(&packed, MIB);
	for (size_t i = 0; i < ARRAY_LEN(features); i++)
		layout = online_layout(layout, features[i].name, features[i].type);
	check(pack_write(parse(shelf, values), &packed, &err), &err);
	check(online_view_new(shelf->online, shelf->tenant, uid, 1, view_key, &open, &err), &err);
	online_view_set_layout(open, layout);
	check(online_batch_new(open, &batch, &err), &err);
	check(online_put(batch, entity, strlen(entity), event_us, packed.data, packed.len, &err),
	      &err);
	check(online_commit(batch, &changed, &bytes, &err), &err);
}

struct access_want shelf_want(struct shelf *shelf, const char *credential, const char *list,
                              bool full_names)
{
	struct access_want want = {
		.credential = credential, .features = shelf_json(shelf, list),
		.features_len = strlen(list), .full_names = full_names,
	};
	access_cache_key(shelf->cache, &want);
	return want;
}
