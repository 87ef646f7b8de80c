/* access_cache.h - what callers may read online, decided by control and kept until the grant
 * expires or is revoked. One plan per credential and list of features: the decision, and all
 * that can be made ready for it once. */
#ifndef ACCESS_CACHE_H
#define ACCESS_CACHE_H

#include "api/access_grant.h"
#include "common/clock.h"
#include "worker/online.h"

#include <stdatomic.h>

struct meter;
struct row_veil;

/* A view as one plan reads it. */
struct access_source {
	struct online_view *online;
	size_t meter_slot;
	int64_t ttl_us;              /* 0: none */
	const char *join_key;
	size_t join_key_len;
	const int16_t *column_of;    /* by the view's feature; -1: not asked */
	size_t feature_count;
	void *served;                /* what keeps `online` open */
	const struct row_veil *veil; /* NULL: all of it may be seen */
};
struct access_column {
	uint8_t view;
	const char *name;            /* as JSON, quoted: "view__feature" or "feature" */
};
struct access_plan {
	atomic_int refs;
	struct access_cache *cache;
	struct arena *arena;
	const char *tenant;
	int64_t expires_ms;
	struct access_source *views;
	size_t view_count;
	struct access_column *columns; /* in the request's order */
	size_t column_count;
};
void access_plan_release(struct access_plan *plan);   /* accepts NULL */

/* Asks control; the grant lies in arena. May block. */
struct access_want;
typedef int access_ask_fn(void *context, const struct access_want *want, const char *const *views,
                          size_t count, struct arena *arena, struct access_grant **ret_grant,
                          struct err *err);

struct access_cache_conf {
	struct clock *clock;
	struct online *online;
	struct meter *meter;
	access_ask_fn *ask;
	void *context;
};
struct access_cache;
MUST_USE int access_cache_new(const struct access_cache_conf *conf,
                              struct access_cache **ret_cache, struct err *err);
void access_cache_free(struct access_cache *cache);   /* release all plans first */
DEFINE_AUTO(access_cache)

/* What is asked for, and by whom, as one digest (keyed: credentials are not guessed from
 * memory). */
struct access_want {
	const char *credential;
	const char *purpose;         /* as it was given; NULL: none was */
	const char *address;         /* the caller's; NULL: not known */
	const char *features;        /* JSON text, as in ask.h */
	size_t features_len;
	bool full_names;
	uint8_t key[DIGEST_BYTES];   /* by access_cache_key */
};
void access_cache_key(const struct access_cache *cache, struct access_want *want);
/* NULL: not there, or expired. Never blocks. */
struct access_plan *access_cache_get(struct access_cache *cache, const struct access_want *want);
/* The same, asking control when it is not there; of many at once for one want, one asks. */
MUST_USE int access_cache_fetch(struct access_cache *cache, const struct access_want *want,
                                struct access_plan **ret_plan, struct err *err);
/* Forgets a tenant's plans. An answer under way is given once, and not kept. */
void access_cache_drop(struct access_cache *cache, const char *tenant);

struct access_cache_status { int64_t hits, asked, refused; int plans, views; };
void access_cache_status(struct access_cache *cache, struct access_cache_status *ret_status);

#endif
