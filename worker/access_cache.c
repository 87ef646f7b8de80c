/* access_cache.c - invariants, under the mutex: a plan in the table has not been revoked; plans <=
 * PLANS_MAX; a view is open while a plan uses it. A plan that left the table lives on until
 * whoever reads with it lets go. No call to control, the store or a callback is made under it. */
#include "common/defs.h"
#include "worker/access_cache.h"

#include "common/json.h"
#include "common/netaddr.h"
#include "worker/ask.h"
#include "worker/meter.h"
#include "worker/row_veil.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 4096, PLANS_MAX = 4096, SERVED_MAX = 1024, KEY_TEXT_MAX = 1024 };
#define PLAN_ARENA_MAX (4 * MIB)

struct entry {
	struct entry *next;
	uint8_t key[DIGEST_BYTES];
	struct access_plan *plan;
};

/* A view that is open, for all plans that read it. */
struct served {
	struct served *next;
	int refs;
	char tenant[64];
	uint8_t identity[DIGEST_BYTES];   /* of tenant, uid, version, key and layout */
	struct online_view *online;
};

/* Control is being asked for one key; lives on the stack of who asks. */
struct flight {
	struct flight *next;
	const uint8_t *key;
	bool done;
	int rc, waiters;
	struct access_plan *plan;
	struct err err;
};

struct access_cache {
	struct access_cache_conf conf;
	struct secret *digest_key;
	pthread_mutex_t mutex;       /* guards all below */
	pthread_cond_t landed;
	struct entry *buckets[BUCKETS];
	struct served *served;
	struct flight *flights;
	int plans, views;
	int64_t revocations, asked, refused;
	_Atomic int64_t hits;
};

/* ---- life ---- */

int access_cache_new(const struct access_cache_conf *conf, struct access_cache **ret_cache,
                     struct err *err)
{
	AUTO(access_cache) *cache = calloc(1, sizeof *cache);
	if (!cache)
		return err_set(err, E_NOMEM, "no memory for access grants");
	cache->conf = *conf;
	pthread_mutex_init(&cache->mutex, NULL);
	pthread_cond_init(&cache->landed, NULL);
	TRY(secret_random(KEY_BYTES, &cache->digest_key, err));
	*ret_cache = MOVE(cache);
	return 0;
}

static struct entry *take_entries(struct access_cache *cache, const char *tenant)
{
	struct entry *taken = NULL;
	for (size_t i = 0; i < BUCKETS; i++) {
		struct entry **at = &cache->buckets[i];
		while (*at) {
			struct entry *entry = *at;
			if (tenant && strcmp(entry->plan->tenant, tenant) != 0) {
				at = &entry->next;
				continue;
			}
			*at = entry->next;
			entry->next = taken;
			taken = entry;
			cache->plans--;
		}
	}
	return taken;
}

static void free_entries(struct entry *entries)
{
	while (entries) {
		struct entry *next = entries->next;
		access_plan_release(entries->plan);
		free(entries);
		entries = next;
	}
}

void access_cache_free(struct access_cache *cache)
{
	if (!cache)
		return;
	free_entries(take_entries(cache, NULL));
	REQUIRE(!cache->served);
	pthread_cond_destroy(&cache->landed);
	pthread_mutex_destroy(&cache->mutex);
	secret_free(cache->digest_key);
	free(cache);
}

void access_cache_drop(struct access_cache *cache, const char *tenant)
{
	pthread_mutex_lock(&cache->mutex);
	struct entry *taken = take_entries(cache, tenant);
	cache->revocations++;
	pthread_mutex_unlock(&cache->mutex);
	free_entries(taken);
}

/* ---- open views ---- */

static void served_identity(const struct access_cache *cache, const char *tenant,
                            const struct access_view *view, int64_t layout,
                            uint8_t out[DIGEST_BYTES])
{
	uint8_t text[4 * DIGEST_BYTES] = { 0 };
	const uint8_t *key = secret_bytes(cache->digest_key);
	digest_keyed(key, tenant, strlen(tenant), text);
	digest_keyed(key, view->uid, strlen(view->uid), text + DIGEST_BYTES);
	digest_keyed(key, view->key, KEY_BYTES, text + 2 * DIGEST_BYTES);
	memcpy(text + 3 * DIGEST_BYTES, &layout, sizeof layout);
	memcpy(text + 3 * DIGEST_BYTES + sizeof layout, &view->key_version,
	       sizeof view->key_version);
	digest_keyed(key, text, sizeof text, out);
}

static void served_free(struct served *served)
{
	online_view_free(served->online);
	free(served);
}

static void served_drop(struct access_cache *cache, struct served *served)
{
	pthread_mutex_lock(&cache->mutex);
	bool last = --served->refs == 0;
	if (last) {
		struct served **at = &cache->served;
		while (*at != served)
			at = &(*at)->next;
		*at = served->next;
		cache->views--;
	}
	pthread_mutex_unlock(&cache->mutex);
	if (last)
		served_free(served);
}

static struct served *served_find(struct access_cache *cache, const uint8_t identity[DIGEST_BYTES])
{
	pthread_mutex_lock(&cache->mutex);
	struct served *served = cache->served;
	while (served && !bytes_equal(served->identity, identity, DIGEST_BYTES))
		served = served->next;
	if (served)
		served->refs++;
	pthread_mutex_unlock(&cache->mutex);
	return served;
}

static int served_open(struct access_cache *cache, const char *tenant,
                       const struct access_view *view, int64_t layout,
                       struct served **ret_served, struct err *err)
{
	struct served *served = calloc(1, sizeof *served);
	if (!served)
		return err_set(err, E_NOMEM, "no memory for a view");
	served->refs = 1;
	served_identity(cache, tenant, view, layout, served->identity);
	int rc = online_view_new(cache->conf.online, tenant, view->uid, view->key_version,
	                         view->key, &served->online, err);
	if (rc < 0) {
		free(served);
		return rc;
	}
	online_view_set_layout(served->online, layout);
	*ret_served = served;
	return 0;
}

/* Two that open one view at once both keep it: it is the same below. */
static int served_use(struct access_cache *cache, const char *tenant,
                      const struct access_view *view, int64_t layout,
                      struct served **ret_served, struct err *err)
{
	uint8_t identity[DIGEST_BYTES];
	served_identity(cache, tenant, view, layout, identity);
	struct served *served = served_find(cache, identity);
	if (!served) {
		TRY(served_open(cache, tenant, view, layout, &served, err));
		pthread_mutex_lock(&cache->mutex);
		bool full = cache->views >= SERVED_MAX;
		if (!full) {
			served->next = cache->served;
			cache->served = served;
			cache->views++;
		}
		pthread_mutex_unlock(&cache->mutex);
		if (full) {
			served_free(served);
			return err_set(err, E_BUSY, "%d feature views are being read here; try "
			               "again", SERVED_MAX);
		}
	}
	*ret_served = served;
	return 0;
}

/* ---- plans ---- */

/* What the caller wrote, taken apart. */
struct asked {
	struct ask_feature *features;
	size_t count;
	const char **views;          /* as control is asked for them: each name once */
	size_t view_count;
	bool full;
};

static void plan_free(struct access_plan *plan)
{
	for (size_t i = 0; i < plan->view_count; i++)
		if (plan->views[i].served)
			served_drop(plan->cache, plan->views[i].served);
	arena_free(plan->arena);     /* holds the plan too */
}

void access_plan_release(struct access_plan *plan)
{
	if (plan && atomic_fetch_sub(&plan->refs, 1) == 1)
		plan_free(plan);
}

/* "view" names it in whatever domain control found it; "domain.view" is exact. */
static bool is_named(const struct access_view *view, const char *name)
{
	const char *dot = strchr(name, '.');
	if (!dot)
		return strcmp(view->name, name) == 0;
	size_t len = (size_t)(dot - name);
	return strlen(view->domain) == len && memcmp(view->domain, name, len) == 0 &&
		strcmp(view->name, dot + 1) == 0;
}

static int view_by_name(const struct access_grant *grant, const struct asked *asked,
                        const char *name, size_t *ret_view, struct err *err)
{
	/* Control answers in the order it was asked; the name decides all the same. */
	for (size_t i = 0; i < asked->view_count && i < grant->view_count; i++) {
		if (strcmp(asked->views[i], name) == 0 && is_named(&grant->views[i], name)) {
			*ret_view = i;
			return 0;
		}
	}
	for (size_t i = 0; i < grant->view_count; i++) {
		if (is_named(&grant->views[i], name)) {
			*ret_view = i;
			return 0;
		}
	}
	return err_set(err, E_NOT_FOUND, "features: there is no view \"%.128s\" that you may read",
	               name);
}

static int feature_by_name(const struct access_view *view, const char *name, size_t *ret_feature,
                           struct err *err)
{
	for (size_t i = 0; i < view->feature_count; i++) {
		if (strcmp(view->features[i].name, name) == 0 && !view->features[i].hidden) {
			*ret_feature = i;
			return 0;
		}
	}
	return err_set(err, E_NOT_FOUND, "features: the view \"%s\" has no feature \"%.128s\"",
	               view->name, name);
}

static int source_init(struct access_plan *plan, const struct access_view *view,
                       struct access_source *source, struct err *err)
{
	struct access_cache *cache = plan->cache;
	struct served *served = NULL;
	int64_t layout = 0;
	int16_t *column_of = arena_alloc(plan->arena, view->feature_count * sizeof *column_of + 1);
	source->join_key = arena_strdup(plan->arena, view->join_key);
	if (!column_of || !source->join_key)
		return err_set(err, E_NOMEM, "no memory for the request");
	for (size_t i = 0; i < view->feature_count; i++) {
		column_of[i] = -1;
		layout = online_layout(layout, view->features[i].name, view->features[i].type);
	}
	TRY(row_veil_new(plan->arena, view, &source->veil, err));
	source->column_of = column_of;
	source->feature_count = view->feature_count;
	source->join_key_len = strlen(source->join_key);
	source->ttl_us = view->ttl_ms * 1000;
	TRY(meter_slot(cache->conf.meter, plan->tenant,
	               view->account ? view->account : view->domain, &source->meter_slot, err));
	TRY(served_use(cache, view->tenant ? view->tenant : plan->tenant, view, layout, &served,
	               err));
	source->served = served;
	source->online = served->online;
	return 0;
}

static int column_name(struct access_plan *plan, const struct access_view *view,
                       const char *feature, bool full, const char **ret_name, struct err *err)
{
	AUTO_BUF text;
	buf_init(&text, 4096);
	const char *name = full ? arena_printf(plan->arena, "%s__%s", view->name, feature)
		: feature;
	if (!name)
		return err_set(err, E_NOMEM, "no memory for the request");
	json_print_str(name, strlen(name), &text);
	TRY(buf_check(&text, err));
	*ret_name = arena_strndup(plan->arena, (char *)text.data, text.len);
	return *ret_name ? 0 : err_set(err, E_NOMEM, "no memory for the request");
}

static int check_column(const struct access_plan *plan, size_t count, bool full, struct err *err)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(plan->columns[i].name, plan->columns[count].name) == 0)
			return err_set(err, E_INVALID, "features[%zu] and [%zu] have the same name "
			               "%s; %s", i, count, plan->columns[i].name, full ? "ask for "
			               "them one after the other"
			                                           : "set full_feature_names");
	return 0;
}

static int fill_columns(struct access_plan *plan, const struct access_grant *grant,
                        const struct asked *asked, struct err *err)
{
	for (size_t i = 0; i < plan->column_count; i++) {
		const struct ask_feature *wanted = &asked->features[i];
		size_t view = 0, feature = 0;
		TRY(view_by_name(grant, asked, wanted->view, &view, err));
		TRY(feature_by_name(&grant->views[view], wanted->feature, &feature, err));
		plan->columns[i].view = (uint8_t)view;
		TRY(column_name(plan, &grant->views[view], wanted->feature, asked->full,
		                &plan->columns[i].name, err));
		TRY(check_column(plan, i, asked->full, err));
		/* Made by source_init, in this plan's arena. */
		((int16_t *)(uintptr_t)plan->views[view].column_of)[feature] = (int16_t)i;
	}
	return 0;
}

static int plan_fill(struct access_plan *plan, const struct access_grant *grant,
                     const struct asked *asked, struct err *err)
{
	plan->tenant = arena_strdup(plan->arena, grant->tenant);
	plan->views = arena_alloc(plan->arena, grant->view_count * sizeof *plan->views);
	plan->columns = arena_alloc(plan->arena, plan->column_count * sizeof *plan->columns);
	if (!plan->tenant || !plan->views || !plan->columns)
		return err_set(err, E_NOMEM, "no memory for the request");
	plan->expires_ms = grant->expires_ms;
	plan->view_count = grant->view_count;
	for (size_t i = 0; i < grant->view_count; i++)
		TRY(source_init(plan, &grant->views[i], &plan->views[i], err));
	return fill_columns(plan, grant, asked, err);
}

static int plan_new(struct access_cache *cache, const struct access_grant *grant,
                    const struct asked *asked, struct access_plan **ret_plan, struct err *err)
{
	AUTO(arena) *arena = NULL;
	TRY(arena_new(PLAN_ARENA_MAX, &arena, err));
	struct access_plan *plan = arena_alloc(arena, sizeof *plan);
	if (!plan)
		return err_set(err, E_NOMEM, "no memory for the request");
	plan->arena = MOVE(arena);
	plan->refs = 1;
	plan->cache = cache;
	plan->column_count = asked->count;
	int rc = plan_fill(plan, grant, asked, err);
	if (rc < 0) {
		access_plan_release(plan);
		return rc;
	}
	*ret_plan = plan;
	return 0;
}

/* ---- asking ---- */

static int list_views(struct arena *arena, struct asked *asked, struct err *err)
{
	asked->views = arena_alloc(arena, asked->count * sizeof *asked->views);
	if (!asked->views)
		return err_set(err, E_NOMEM, "no memory for the request");
	for (size_t i = 0; i < asked->count; i++) {
		size_t k = 0;
		while (k < asked->view_count && strcmp(asked->views[k],
		                                       asked->features[i].view) != 0)
			k++;
		if (k == asked->view_count)
			asked->views[asked->view_count++] = asked->features[i].view;
	}
	if (asked->view_count > GRANT_TABLES_MAX)
		return err_set(err, E_INVALID, "features: are of %zu views, at most %d are "
		               "allowed; ask in parts", asked->view_count, GRANT_TABLES_MAX);
	return 0;
}

static int ask_control(struct access_cache *cache, const struct access_want *want,
                       struct access_plan **ret_plan, struct err *err)
{
	AUTO(arena) *arena = NULL;
	struct asked asked = { .full = want->full_names };
	struct access_grant *grant = NULL;
	TRY(arena_new(PLAN_ARENA_MAX, &arena, err));
	TRY(ask_features(arena, want->features, want->features_len, &asked.features, &asked.count,
	                 err));
	TRY(list_views(arena, &asked, err));
	TRY(cache->conf.ask(cache->conf.context, want, asked.views, asked.view_count, arena,
	                    &grant, err));
	int rc = plan_new(cache, grant, &asked, ret_plan, err);
	access_wipe(grant);
	return rc;
}

/* ---- the table ---- */

/* Lengths stand before the texts, so that none can reach into the other. Long texts are digested on
 * their own first. */
void access_cache_key(const struct access_cache *cache, struct access_want *want)
{
	const uint8_t *key = secret_bytes(cache->digest_key);
	size_t credential_len = strlen(want->credential), features_len = want->features_len;
	uint8_t text[KEY_TEXT_MAX + 2 * sizeof(size_t) + 1 + DIGEST_BYTES + NETADDR_TEXT];
	bool fits = credential_len <= KEY_TEXT_MAX && features_len <= KEY_TEXT_MAX - credential_len;
	uint8_t *at = text;
	memcpy(at, &credential_len, sizeof credential_len);
	at += sizeof credential_len;
	memcpy(at, &features_len, sizeof features_len);
	at += sizeof features_len;
	*at++ = (uint8_t)(want->full_names | (want->purpose ? 2 : 0));
	if (want->purpose) {
		digest_keyed(key, want->purpose, strlen(want->purpose), at);
		at += DIGEST_BYTES;
	}
	/* Policies may ask from where: what one address was granted is not another's. */
	memset(at, 0, NETADDR_TEXT);
	(void)snprintf((char *)at, NETADDR_TEXT, "%s", want->address ? want->address : "");
	at += NETADDR_TEXT;
	if (fits) {
		memcpy(at, want->credential, credential_len);
		memcpy(at + credential_len, want->features, features_len);
		at += credential_len + features_len;
	} else {
		digest_keyed(key, want->credential, credential_len, at);
		digest_keyed(key, want->features, features_len, at + DIGEST_BYTES);
		at += 2 * DIGEST_BYTES;
	}
	digest_keyed(key, text, (size_t)(at - text), want->key);
	secret_wipe(text, sizeof text);
}

static struct entry **entry_at(struct access_cache *cache, const uint8_t key[DIGEST_BYTES])
{
	uint32_t bucket;
	memcpy(&bucket, key, sizeof bucket);
	struct entry **at = &cache->buckets[bucket % BUCKETS];
	while (*at && !bytes_equal((*at)->key, key, DIGEST_BYTES))
		at = &(*at)->next;
	return at;
}

static struct access_plan *find_plan(struct access_cache *cache, const struct access_want *want)
{
	struct entry *entry = *entry_at(cache, want->key);
	if (!entry || entry->plan->expires_ms <= clock_unix_ms(cache->conf.clock))
		return NULL;
	atomic_fetch_add(&entry->plan->refs, 1);
	return entry->plan;
}

struct access_plan *access_cache_get(struct access_cache *cache, const struct access_want *want)
{
	pthread_mutex_lock(&cache->mutex);
	struct access_plan *plan = find_plan(cache, want);
	pthread_mutex_unlock(&cache->mutex);
	if (plan)
		atomic_fetch_add_explicit(&cache->hits, 1, memory_order_relaxed);
	return plan;
}

/* Takes out what expired; everything, when nothing did: whoever is still there asks again. */
static struct entry *make_room(struct access_cache *cache)
{
	if (cache->plans < PLANS_MAX)
		return NULL;
	int64_t now = clock_unix_ms(cache->conf.clock);
	struct entry *taken = NULL;
	for (size_t i = 0; i < BUCKETS; i++) {
		struct entry **at = &cache->buckets[i];
		while (*at) {
			struct entry *entry = *at;
			if (entry->plan->expires_ms > now) {
				at = &entry->next;
				continue;
			}
			*at = entry->next;
			entry->next = taken;
			taken = entry;
			cache->plans--;
		}
	}
	return taken ? taken : take_entries(cache, NULL);
}

/* Returns what had to go for it. The table is only a cache: without memory it stays as it is. */
static struct entry *keep_plan(struct access_cache *cache, const uint8_t key[DIGEST_BYTES],
                               struct access_plan *plan)
{
	struct entry *entry = calloc(1, sizeof *entry);
	if (!entry)
		return NULL;
	struct entry *gone = make_room(cache);
	struct entry **at = entry_at(cache, key);
	if (*at) {
		struct entry *old = *at;
		*at = old->next;
		old->next = gone;
		gone = old;
		cache->plans--;
	}
	memcpy(entry->key, key, DIGEST_BYTES);
	entry->plan = plan;
	atomic_fetch_add(&plan->refs, 1);
	entry->next = *at;
	*at = entry;
	cache->plans++;
	return gone;
}

/* mutex held on entry and return. */
static int join_flight(struct access_cache *cache, struct flight *flight,
                       struct access_plan **ret_plan, struct err *err)
{
	flight->waiters++;
	while (!flight->done)
		pthread_cond_wait(&cache->landed, &cache->mutex);
	int rc = flight->rc;
	if (rc == 0) {
		atomic_fetch_add(&flight->plan->refs, 1);
		*ret_plan = flight->plan;
	} else if (err) {
		*err = flight->err;
	}
	flight->waiters--;
	pthread_cond_broadcast(&cache->landed);
	return rc;
}

static void land(struct access_cache *cache, struct flight *flight)
{
	struct flight **at = &cache->flights;
	while (*at != flight)
		at = &(*at)->next;
	*at = flight->next;
	flight->done = true;
	pthread_cond_broadcast(&cache->landed);
	while (flight->waiters > 0)
		pthread_cond_wait(&cache->landed, &cache->mutex);
}

/* mutex held on entry; released on return. */
static int fly(struct access_cache *cache, const struct access_want *want,
               struct access_plan **ret_plan, struct err *err)
{
	struct flight flight = { .next = cache->flights, .key = want->key };
	struct entry *gone = NULL;
	int64_t revocations = cache->revocations;
	cache->flights = &flight;
	cache->asked++;
	pthread_mutex_unlock(&cache->mutex);
	flight.rc = ask_control(cache, want, &flight.plan, &flight.err);
	pthread_mutex_lock(&cache->mutex);
	if (flight.rc == 0 && cache->revocations == revocations)
		gone = keep_plan(cache, want->key, flight.plan);
	cache->refused += flight.rc < 0;
	land(cache, &flight);
	pthread_mutex_unlock(&cache->mutex);
	free_entries(gone);
	if (flight.rc == 0)
		*ret_plan = flight.plan;
	else if (err)
		*err = flight.err;
	return flight.rc;
}

int access_cache_fetch(struct access_cache *cache, const struct access_want *want,
                       struct access_plan **ret_plan, struct err *err)
{
	pthread_mutex_lock(&cache->mutex);
	struct access_plan *plan = find_plan(cache, want);
	if (plan) {
		pthread_mutex_unlock(&cache->mutex);
		*ret_plan = plan;
		return 0;
	}
	for (struct flight *flight = cache->flights; flight; flight = flight->next) {
		if (!bytes_equal(flight->key, want->key, DIGEST_BYTES))
			continue;
		int rc = join_flight(cache, flight, ret_plan, err);
		pthread_mutex_unlock(&cache->mutex);
		return rc;
	}
	return fly(cache, want, ret_plan, err);
}

void access_cache_status(struct access_cache *cache, struct access_cache_status *ret_status)
{
	pthread_mutex_lock(&cache->mutex);
	*ret_status = (struct access_cache_status) {
		.hits = atomic_load(&cache->hits), .asked = cache->asked, .refused = cache->refused,
		.plans = cache->plans, .views = cache->views,
	};
	pthread_mutex_unlock(&cache->mutex);
}
