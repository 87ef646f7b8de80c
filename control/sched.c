/* sched.c - the scheduler's life and its workers. Invariants: a pool's total is its workers'
 * totals, its rest what the open ones have left; a worker's used is the sum of what runs
 * there. */
#include "common/defs.h"
#include "control/sched_impl.h"

#include <stdio.h>
#include <stdlib.h>

enum { AGING_MS = 600000, MIN_RUN_MS = 60000, PREEMPT_PER_MINUTE = 6, CACHE_KEY_MAX = 400 };

int sched_new(const struct sched_conf *conf, struct sched **ret_sched, struct err *err)
{
	struct sched *sched = calloc(1, sizeof *sched);
	if (!sched)
		return err_set(err, E_NOMEM, "no memory for a scheduler");
	sched->conf = *conf;
	if (conf->aging_ms <= 0)
		sched->conf.aging_ms = AGING_MS;
	if (conf->min_run_ms <= 0)
		sched->conf.min_run_ms = MIN_RUN_MS;
	if (conf->preempt_per_minute <= 0)
		sched->conf.preempt_per_minute = PREEMPT_PER_MINUTE;
	struct hashmap *const maps[] = { &sched->nodes, &sched->classes, &sched->sites,
	                                 &sched->keys, &sched->caches, &sched->shares };
	for (size_t i = 0; i < ARRAY_LEN(maps); i++)
		hashmap_init(maps[i], conf->seed);
	*ret_sched = sched;
	return 0;
}

/* --- the end of all; entries are not looked at, their owners may have freed them --- */

static void each(struct hashmap *map, void (*drop)(struct hash_node *node))
{
	for (size_t i = 0; i < map->cap; i++)
		for (struct hash_node *node = map->slots[i], *next = NULL; node; node = next) {
			next = node->next;
			drop(node);
		}
	hashmap_release(map);
}

static void queue_drop(struct sched_queue *queue)
{
	for (int p = 0; p < PRIORITY_COUNT_; p++)
		heap_release(&queue->levels[p]);
	for (struct sched_lane *at = queue->lanes, *next = NULL; at; at = next) {
		next = at->queue_next;
		heap_release(&at->waiting);
		free(at);
	}
}

static void drop_node(struct hash_node *hash)
{
	struct sched_node *node = HASH_OWNER(hash, struct sched_node, by_name);
	for (struct sched_branch *at = node->branches, *next = NULL; at; at = next) {
		next = at->next;
		if (node->level == LEVEL_DOMAIN)
			queue_drop((struct sched_queue *)(void *)at);
		heap_release(&at->kids);
		heap_release(&at->ages);
		free(at);
	}
	if (node->level == LEVEL_POOL)
		free(node->pool);
	free(node);
}

static void drop_class(struct hash_node *hash)
{
	struct sched_class *class = HASH_OWNER(hash, struct sched_class, by_shape);
	labels_free(class->selector, class->selector_count);
	heap_release(&class->cohorts);
	heap_release(&class->ages);
	free(class);
}

static void drop_site(struct hash_node *hash)
{
	struct sched_site *site = HASH_OWNER(hash, struct sched_site, by_name);
	labels_free(site->labels, site->label_count);
	free(site);
}

static void drop_key(struct hash_node *hash)
{
	free(HASH_OWNER(hash, struct sched_key, by_name));
}

static void drop_cache(struct hash_node *hash)
{
	free(HASH_OWNER(hash, struct sched_cache, by_name));
}

static void drop_row(struct hash_node *hash)
{
	free(HASH_OWNER(hash, struct sched_row, by_name));
}

void sched_free(struct sched *sched)
{
	if (!sched)
		return;
	each(&sched->classes, drop_class);
	each(&sched->nodes, drop_node);
	each(&sched->sites, drop_site);
	each(&sched->keys, drop_key);
	each(&sched->caches, drop_cache);
	each(&sched->shares, drop_row);
	heap_release(&sched->due);
	heap_release(&sched->rates);
	free(sched);
}

/* --- workers --- */

struct sched_site *site_find(const struct sched *sched, const char *name)
{
	struct hash_node *node = name ? hashmap_find(&sched->sites, name) : NULL;
	return node ? HASH_OWNER(node, struct sched_site, by_name) : NULL;
}

struct capacity site_rest(const struct sched_site *site)
{
	struct capacity rest = { { 0 } };
	for (int r = 0; r < RES_COUNT_ && !site->closed; r++)
		rest.v[r] = site->total.v[r] > site->used.v[r] ?
			site->total.v[r] - site->used.v[r] : 0;
	return rest;
}

void site_charge(struct sched_site *site, const struct capacity *demand, int sign)
{
	struct capacity before = site_rest(site);
	capacity_add(&site->used, demand, sign);
	struct capacity after = site_rest(site);
	capacity_add(&site->pool->rest, &before, -1);
	capacity_add(&site->pool->rest, &after, 1);
}

static void site_counts(struct sched_site *site, int sign)
{
	struct capacity rest = site_rest(site);
	capacity_add(&site->pool->total, &site->total, sign);
	capacity_add(&site->pool->rest, &rest, sign);
}

void site_release(struct sched_site *site)
{
	if (!site->kept)
		return;
	site->kept->kept -= site->kept_count;
	site->kept = NULL;
	site->kept_count = 0;
	if (site->pool->aged == site)
		site->pool->aged = NULL;
}

void site_keep(struct sched_site *site, struct sched_queue *queue, bool aged)
{
	if (site->kept != queue || site->kept_aged != aged)
		site_release(site);
	site->kept = queue;
	site->kept_aged = aged;
	site->kept_count++;
	queue->kept++;
	if (aged)
		site->pool->aged = site;
}

void site_served(struct sched_site *site)
{
	if (site->kept_count <= 1) {
		site_release(site);
		return;
	}
	site->kept_count--;
	site->kept->kept--;
}

static void cache_hold(struct sched_cache *cache, struct sched_site *site)
{
	cache->holders++;
	for (size_t i = 0; i < NEAR_SITES; i++)
		if (!cache->sites[i]) {
			cache->sites[i] = site;
			return;
		}
}

static void cache_drop(struct sched *sched, struct sched_cache *cache,
                       const struct sched_site *site)
{
	for (size_t i = 0; i < NEAR_SITES; i++)
		if (cache->sites[i] == site)
			cache->sites[i] = NULL;
	cache->holders--;
	cache_put(sched, cache);
}

/* One that holds it could take such a task at once: that is worth a moment. */
bool cache_has_room(const struct sched_cache *cache, const struct sched_class *class)
{
	for (size_t i = 0; i < NEAR_SITES; i++) {
		const struct sched_site *site = cache->sites[i];
		struct capacity rest = { { 0 } };
		if (!site || !site_may_hold(site, class))
			continue;
		rest = site_rest(site);
		if (capacity_fits(&class->demand, &rest) && !site->kept)
			return true;
	}
	return false;
}

static void site_forget(struct sched *sched, struct sched_site *site)
{
	for (size_t i = 0; i < site->cache_count; i++)
		cache_drop(sched, site->caches[i], site);
	site->cache_count = 0;
}

/* Out of its pool; what it is stays. */
static void site_out(struct sched *sched, struct sched_site *site)
{
	struct sched_pool *pool = site->pool;
	site_release(site);
	site_forget(sched, site);
	for (struct sched_class *at = pool->classes; at; at = at->next)
		class_meets(at, site, false);
	site_counts(site, -1);
	*(site->prev ? &site->prev->next : &pool->sites) = site->next;
	if (site->next)
		site->next->prev = site->prev;
	site->next = site->prev = NULL;
	site->pool = NULL;
	pool->site_count--;
	pool_put(sched, pool);
}

static void site_in(struct sched_site *site, struct sched_pool *pool)
{
	site->pool = pool;
	site->next = pool->sites;
	if (pool->sites)
		pool->sites->prev = site;
	pool->sites = site;
	pool->site_count++;
	site_counts(site, 1);
}

static struct sched_site *site_make(struct sched *sched, const char *name)
{
	size_t len = strlen(name) + 1;
	struct sched_site *site = calloc(1, sizeof *site + len);
	if (!site)
		return NULL;
	memcpy(site->text, name, len);
	if (!hashmap_add(&sched->sites, &site->by_name, site->text)) {
		free(site);
		return NULL;
	}
	return site;
}

static bool labels_equal(const struct sched_site *site, const struct sched_worker *worker)
{
	bool equal = site->label_count == worker->label_count;
	for (size_t i = 0; equal && i < site->label_count; i++)
		equal = strcmp(site->labels[i].key, worker->labels[i].key) == 0 &&
			strcmp(site->labels[i].value, worker->labels[i].value) == 0;
	return equal;
}

/* Polls say it again and again: the same as before costs nothing. */
static bool is_same(const struct sched_site *site, const struct sched_worker *worker)
{
	return site &&
	       strcmp(site->pool->root->name, worker->pool ? worker->pool : "default") == 0 &&
	       memcmp(&site->total, &worker->total, sizeof site->total) == 0 &&
	       site->serves == worker->serves && site->closed == worker->closed &&
	       labels_equal(site, worker);
}

/* It is what is said now; takes the labels. */
static void site_become(struct sched *sched, struct sched_site *site, struct sched_pool *pool,
                        const struct sched_worker *worker, struct label *labels)
{
	if (site->pool && site->pool != pool)
		site_out(sched, site);
	if (site->pool != pool)
		site_in(site, pool);
	site_counts(site, -1);
	labels_free(site->labels, site->label_count);
	site->labels = labels;
	site->label_count = worker->label_count;
	site->total = worker->total;
	site->serves = worker->serves;
	site->closed = worker->closed;
	site_counts(site, 1);
	if (site->closed)
		site_release(site);
	for (struct sched_class *at = pool->classes; at; at = at->next)
		class_meets(at, site, true);
}

int sched_worker_set(struct sched *sched, const struct sched_worker *worker, struct err *err)
{
	struct sched_site *site = site_find(sched, worker->name);
	if (is_same(site, worker))
		return 0;
	struct label *labels = labels_copy(worker->labels, worker->label_count);
	struct sched_pool *pool = labels ? pool_get(sched, worker->pool) : NULL;
	if (pool && !site)
		site = site_make(sched, worker->name);
	if (site && pool) {
		site_become(sched, site, pool, worker, labels);
		return 0;
	}
	labels_free(labels, worker->label_count);
	if (pool)
		pool_put(sched, pool);
	return err_set(err, E_NOMEM, "no memory for a worker");
}

void sched_worker_gone(struct sched *sched, const char *name)
{
	struct sched_site *site = site_find(sched, name);
	if (!site)
		return;
	for (struct sched_entry *at = site->running, *next = NULL; at; at = next) {
		next = at->next;
		at->next = at->prev = NULL;
		at->site = NULL;         /* its end is still to be said */
		capacity_add(&sched->nowhere, &at->queue->branch.class->demand, 1);
	}
	site_out(sched, site);
	hashmap_remove(&sched->sites, &site->by_name);
	drop_site(&site->by_name);
}

/* --- caches --- */

struct sched_cache *cache_get(struct sched *sched, struct sched_pool *pool, const char *name)
{
	char text[CACHE_KEY_MAX];
	snprintf(text, sizeof text, "%s\n%s", pool->root->name, name);
	struct hash_node *node = hashmap_find(&sched->caches, text);
	if (node)
		return HASH_OWNER(node, struct sched_cache, by_name);
	size_t len = strlen(text) + 1;
	struct sched_cache *cache = calloc(1, sizeof *cache + len);
	if (!cache)
		return NULL;
	memcpy(cache->text, text, len);
	if (!hashmap_add(&sched->caches, &cache->by_name, cache->text)) {
		free(cache);
		return NULL;
	}
	return cache;
}

void cache_put(struct sched *sched, struct sched_cache *cache)
{
	if (cache->holders > 0 || cache->members > 0)
		return;
	hashmap_remove(&sched->caches, &cache->by_name);
	free(cache);
}

void sched_near(struct sched *sched, const char *worker, const char *dataset)
{
	struct sched_site *site = site_find(sched, worker);
	struct sched_cache *cache = site ? cache_get(sched, site->pool, dataset) : NULL;
	size_t i = 0;
	if (!cache)
		return;
	while (i < site->cache_count && site->caches[i] != cache)
		i++;
	if (i == site->cache_count)
		cache_hold(cache, site);
	if (i == NEAR_MAX) {
		i = 0;
		cache_drop(sched, site->caches[0], site);
	}
	if (i < site->cache_count)
		memmove(&site->caches[i], &site->caches[i + 1],
		        (site->cache_count - i - 1) * sizeof site->caches[0]);
	else
		site->cache_count++;
	site->caches[site->cache_count - 1] = cache;
}
