/* sched_queue.c - a task's entry, from place to place: later (due), first at a worker with its
 * dataset's cache, ready, beyond its concurrency key's limit, running. Invariants: an entry
 * stands in one place; a lane has as many ready as its key would let start, or none waiting. */
#include "common/defs.h"
#include "control/sched_impl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* An order is when it was accepted (ms, then how many before it in that ms), under a bit that what
 * is put to the front has not. */
#define ORDER_FRONT ((uint64_t)1 << 63)
#define ORDER_BIAS ((int64_t)1 << 42)
enum { ORDER_SHIFT = 20, KEY_MAX = 512, RATE_MS = 60000 };

static uint64_t order_make(struct sched *sched, int64_t since_ms)
{
	int64_t since = since_ms + ORDER_BIAS;
	if (since < 0 || since >= 2 * ORDER_BIAS)
		since = since < 0 ? 0 : 2 * ORDER_BIAS - 1;
	sched->order = (sched->order + 1) & ((1u << ORDER_SHIFT) - 1);
	return ORDER_FRONT | (uint64_t)since << ORDER_SHIFT | sched->order;
}

int64_t entry_since(const struct sched_entry *entry)
{
	return (int64_t)((entry->order & ~ORDER_FRONT) >> ORDER_SHIFT) - ORDER_BIAS;
}

/* --- concurrency keys --- */

static int key_left(const struct sched_key *key)
{
	return key->most > key->running ? key->most - key->running : 0;
}

static struct sched_lane *lane_find(const struct sched_queue *queue, const char *key)
{
	struct sched_lane *lane = queue->lanes;
	while (lane && strcmp(strchr(lane->key->text, '\n') + 1, key) != 0)
		lane = lane->queue_next;
	return lane;
}

static struct sched_key *key_get(struct sched *sched, const struct sched_spec *spec)
{
	char text[KEY_MAX];
	snprintf(text, sizeof text, "%s\n%s", spec->tenant, spec->key);
	struct hash_node *node = hashmap_find(&sched->keys, text);
	if (node)
		return HASH_OWNER(node, struct sched_key, by_name);
	size_t len = strlen(text) + 1;
	struct sched_key *key = calloc(1, sizeof *key + len);
	if (!key)
		return NULL;
	memcpy(key->text, text, len);
	if (!hashmap_add(&sched->keys, &key->by_name, key->text)) {
		free(key);
		return NULL;
	}
	return key;
}

static void key_put(struct sched *sched, struct sched_key *key)
{
	if (key->lanes)
		return;
	hashmap_remove(&sched->keys, &key->by_name);
	free(key);
}

static void lane_put(struct sched *sched, struct sched_lane *lane)
{
	if (!lane || lane->members > 0)
		return;
	struct sched_key *key = lane->key;
	struct sched_lane **at = &lane->queue->lanes;
	while (*at != lane)
		at = &(*at)->queue_next;
	*at = lane->queue_next;
	*(lane->prev ? &lane->prev->next : &key->lanes) = lane->next;
	if (lane->next)
		lane->next->prev = lane->prev;
	heap_release(&lane->waiting);
	free(lane);
	key_put(sched, key);
}

static struct sched_lane *lane_get(struct sched *sched, struct sched_queue *queue,
                                   const struct sched_spec *spec)
{
	struct sched_lane *lane = lane_find(queue, spec->key);
	struct sched_key *key = lane ? lane->key : key_get(sched, spec);
	if (!lane && key) {
		lane = calloc(1, sizeof *lane);
		if (!lane) {
			key_put(sched, key);
			return NULL;
		}
		lane->key = key;
		lane->queue = queue;
		lane->next = key->lanes;
		if (key->lanes)
			key->lanes->prev = lane;
		key->lanes = lane;
		lane->queue_next = queue->lanes;
		queue->lanes = lane;
	}
	if (lane && !heap_reserve(&lane->waiting, lane->members + 1)) {
		lane_put(sched, lane);
		return NULL;
	}
	return lane;
}

/* --- standing and leaving --- */

static void urgent_change(struct sched_queue *queue, bool there)
{
	struct sched_pool *pool = queue->branch.node->pool;
	if (there) {
		queue->urgent_prev = NULL;
		queue->urgent_next = pool->urgent;
		if (pool->urgent)
			pool->urgent->urgent_prev = queue;
		pool->urgent = queue;
		return;
	}
	*(queue->urgent_prev ? &queue->urgent_prev->urgent_next : &pool->urgent) =
		queue->urgent_next;
	if (queue->urgent_next)
		queue->urgent_next->urgent_prev = queue->urgent_prev;
}

static void stand_ready(struct sched_entry *entry)
{
	struct sched_queue *queue = entry->queue;
	struct heap *level = &queue->levels[entry->priority];
	heap_add(level, &entry->place, entry->order);
	entry->where = READY;
	if (entry->lane)
		entry->lane->ready++;
	if (entry->priority == PRIORITY_URGENT && level->len == 1)
		urgent_change(queue, true);
	branch_place(&queue->branch);
}

static void stand_keyed(struct sched_entry *entry)
{
	uint64_t rank = (uint64_t)(PRIORITY_COUNT_ - 1 - entry->priority);
	heap_add(&entry->lane->waiting, &entry->place, rank << 62 | entry->order >> 2);
	entry->where = KEYED;
}

static void stand(struct sched_entry *entry)
{
	const struct sched_lane *lane = entry->lane;
	if (lane && (int)lane->ready >= key_left(lane->key))
		stand_keyed(entry);
	else
		stand_ready(entry);
}

static void lane_refill(struct sched_lane *lane)
{
	while (lane->waiting.len > 0 && (int)lane->ready < key_left(lane->key)) {
		struct heap_node *first = heap_first(&lane->waiting);
		heap_remove(&lane->waiting, first);
		stand_ready(HEAP_OWNER(first, struct sched_entry, place));
	}
}

/* The newest task of a key says how many may run. */
static void key_limit(struct sched_key *key, int most)
{
	bool more = most > key->most;
	key->most = most;
	for (struct sched_lane *at = key->lanes; more && at; at = at->next)
		lane_refill(at);
}

static void near_add(struct sched *sched, struct sched_entry *entry)
{
	struct sched_cache *cache = entry->near;
	int64_t since_ms = entry_since(entry);
	entry->at_ms = (since_ms > sched->now_ms ? since_ms : sched->now_ms) + NEAR_MS;
	entry->where = NEAR_FIRST;
	entry->next = NULL;
	entry->prev = cache->last;
	*(cache->last ? &cache->last->next : &cache->first) = entry;
	cache->last = entry;
	heap_add(&sched->due, &entry->place, (uint64_t)entry->at_ms);
}

static void near_remove(struct sched_entry *entry)
{
	struct sched_cache *cache = entry->near;
	*(entry->prev ? &entry->prev->next : &cache->first) = entry->next;
	*(entry->next ? &entry->next->prev : &cache->last) = entry->prev;
	entry->next = entry->prev = NULL;
}

/* It may run now, for all that time says. */
static void come(struct sched *sched, struct sched_entry *entry)
{
	if (entry->near && cache_has_room(entry->near, entry->queue->branch.class))
		near_add(sched, entry);
	else
		stand(entry);
}

static void place_by_time(struct sched *sched, struct sched_entry *entry, int64_t due_ms)
{
	entry->at_ms = due_ms == SCHED_HELD ? INT64_MAX : due_ms;
	if (entry->at_ms <= sched->now_ms) {
		come(sched, entry);
		return;
	}
	entry->where = DUE_LATER;
	heap_add(&sched->due, &entry->place, (uint64_t)entry->at_ms);
}

static void enter(struct sched *sched, struct sched_entry *entry, int64_t due_ms)
{
	node_count(entry->queue->branch.node, 1, 0);
	entry->queue->branch.class->waiting++;
	place_by_time(sched, entry, due_ms);
}

static void take_out(struct sched *sched, struct sched_entry *entry)
{
	struct sched_queue *queue = entry->queue;
	struct heap *level = &queue->levels[entry->priority];
	if (entry->where == NEAR_FIRST)
		near_remove(entry);
	if (entry->where == NEAR_FIRST || entry->where == DUE_LATER)
		heap_remove(&sched->due, &entry->place);
	if (entry->where == KEYED)
		heap_remove(&entry->lane->waiting, &entry->place);
	if (entry->where != READY)
		return;
	heap_remove(level, &entry->place);
	if (entry->lane)
		entry->lane->ready--;
	if (entry->priority == PRIORITY_URGENT && level->len == 0)
		urgent_change(queue, false);
	branch_place(&queue->branch);
}

static void leave(struct sched *sched, struct sched_entry *entry)
{
	take_out(sched, entry);
	entry->where = NOWHERE;
	node_count(entry->queue->branch.node, -1, 0);
	entry->queue->branch.class->waiting--;
}

void entry_park_key(struct sched *sched, struct sched_entry *entry)
{
	take_out(sched, entry);
	stand_keyed(entry);
}

void sched_tick(struct sched *sched, int64_t now_ms)
{
	if (now_ms > sched->now_ms)
		sched->now_ms = now_ms;
	while (sched->due.len > 0 && sched->due.items[0].key <= (uint64_t)sched->now_ms) {
		struct sched_entry *entry = HEAP_OWNER(heap_first(&sched->due), struct sched_entry,
		                                       place);
		bool was_near = entry->where == NEAR_FIRST;
		take_out(sched, entry);
		if (was_near)
			stand(entry);
		else
			come(sched, entry);
	}
	while (sched->rates.len > 0 && sched->rates.items[0].key <= (uint64_t)sched->now_ms) {
		struct heap_node *first = heap_first(&sched->rates);
		heap_remove(&sched->rates, first);
		node_wake(HEAP_OWNER(first, struct sched_node, timer));
	}
}

/* --- running --- */

static void rate_count(double *rate, int64_t *at_ms, int64_t now_ms)
{
	double gap = (double)(now_ms - *at_ms);
	*rate = *rate * exp(-gap / RATE_MS) + 1000.0 / RATE_MS;
	*at_ms = now_ms;
}

static void run(struct sched *sched, struct sched_entry *entry, struct sched_site *site,
                int64_t now_ms)
{
	struct sched_class *class = entry->queue->branch.class;
	entry->where = RUNNING;
	entry->at_ms = now_ms;
	entry->site = site;
	entry->prev = entry->next = NULL;
	if (entry->lane)
		entry->lane->key->running++;
	if (site) {
		entry->next = site->running;
		if (site->running)
			site->running->prev = entry;
		site->running = entry;
		site_charge(site, &class->demand, 1);
	} else {
		capacity_add(&sched->nowhere, &class->demand, 1);
	}
	node_count(entry->queue->branch.node, 0, 1);
	node_charge(entry->queue->branch.node, &class->demand, 1);
}

static void end(struct sched *sched, struct sched_entry *entry)
{
	struct sched_class *class = entry->queue->branch.class;
	struct sched_site *site = entry->site;
	entry_spared(entry);
	if (site) {
		*(entry->prev ? &entry->prev->next : &site->running) = entry->next;
		if (entry->next)
			entry->next->prev = entry->prev;
		site_charge(site, &class->demand, -1);
	} else {
		capacity_add(&sched->nowhere, &class->demand, -1);
	}
	entry->site = NULL;
	entry->next = entry->prev = NULL;
	entry->where = NOWHERE;
	if (entry->lane) {
		entry->lane->key->running--;
		for (struct sched_lane *at = entry->lane->key->lanes; at; at = at->next)
			lane_refill(at);
	}
	node_charge(entry->queue->branch.node, &class->demand, -1);
	node_count(entry->queue->branch.node, 0, -1);
}

void entry_start(struct sched *sched, struct sched_entry *entry, struct sched_site *site,
                 int64_t now_ms)
{
	struct sched_class *class = entry->queue->branch.class;
	leave(sched, entry);
	run(sched, entry, site, now_ms);
	rate_count(&class->rate, &class->rate_ms, now_ms);
	rate_count(&class->pool->rate, &class->pool->rate_ms, now_ms);
	class->pool->starts++;
}

void sched_adopt(struct sched *sched, struct sched_entry *entry, const char *worker, int64_t now_ms)
{
	REQUIRE(entry->queue && entry->where != RUNNING);
	leave(sched, entry);
	run(sched, entry, site_find(sched, worker), now_ms);
}

void sched_again(struct sched *sched, struct sched_entry *entry, int64_t due_ms, bool front)
{
	REQUIRE(entry->queue && entry->where == RUNNING);
	end(sched, entry);
	entry->order = front ? entry->order & ~ORDER_FRONT : entry->order | ORDER_FRONT;
	enter(sched, entry, due_ms);
}

void sched_due(struct sched *sched, struct sched_entry *entry, int64_t due_ms, bool front)
{
	REQUIRE(entry->queue && entry->where != RUNNING);
	take_out(sched, entry);
	if (entry->lane)
		lane_refill(entry->lane);
	entry->order = front ? entry->order & ~ORDER_FRONT : entry->order | ORDER_FRONT;
	place_by_time(sched, entry, due_ms);
}

/* --- in and out --- */

static int out_of_memory(struct err *err)
{
	return err_set(err, E_NOMEM, "no memory for a waiting task");
}

/* The queue of its class and domain. */
static int reserve_queue(struct sched *sched, const struct sched_spec *spec,
                         struct sched_queue **ret_queue, struct err *err)
{
	struct sched_class *class = NULL;
	struct sched_pool *pool = pool_get(sched, spec->pool);
	struct sched_node *domain = pool ? node_get(sched, pool, spec->tenant, spec->domain) : NULL;
	if (!domain)
		return out_of_memory(err);
	int rc = class_get(sched, pool, spec, &class, err);
	*ret_queue = rc == 0 ? queue_get(class, domain) : NULL;
	if (*ret_queue)
		return 0;
	if (class)
		class_put(sched, class);
	node_put(sched, domain);
	return rc < 0 ? rc : out_of_memory(err);
}

/* What it needs besides; on failure nothing of it stays. */
static int reserve_more(struct sched *sched, struct sched_entry *entry, struct sched_queue *queue,
                        const struct sched_spec *spec, struct err *err)
{
	struct sched_pool *pool = queue->branch.node->pool;
	struct sched_lane *lane = spec->key ? lane_get(sched, queue, spec) : NULL;
	struct sched_cache *cache = spec->near ? cache_get(sched, pool, spec->near) : NULL;
	bool whole = (lane || !spec->key) && (cache || !spec->near) &&
		queue_reserve(queue, spec->priority) &&
		heap_reserve(&sched->due, sched->entries + 1);
	if (whole) {
		entry->queue = queue;
		entry->lane = lane;
		entry->near = cache;
		return 0;
	}
	if (cache)
		cache_put(sched, cache);
	lane_put(sched, lane);
	return out_of_memory(err);
}

static int reserve(struct sched *sched, struct sched_entry *entry, const struct sched_spec *spec,
                   struct err *err)
{
	struct sched_queue *queue = NULL;
	TRY(reserve_queue(sched, spec, &queue, err));
	int rc = reserve_more(sched, entry, queue, spec, err);
	if (rc < 0)
		queue_put(sched, queue);
	return rc;
}

int sched_add(struct sched *sched, struct sched_entry *entry, const struct sched_spec *spec,
              int64_t due_ms, struct err *err)
{
	REQUIRE(!entry->queue);
	TRY(reserve(sched, entry, spec, err));
	entry->priority = (uint8_t)spec->priority;
	entry->order = order_make(sched, spec->since_ms);
	entry->queue->branch.count++;
	entry->queue->members[entry->priority]++;
	entry->queue->branch.class->members++;
	sched->entries++;
	if (entry->near)
		entry->near->members++;
	if (entry->lane) {
		entry->lane->members++;
		key_limit(entry->lane->key, spec->key_most > 0 ? spec->key_most : 1);
	}
	enter(sched, entry, due_ms);
	return 0;
}

void sched_remove(struct sched *sched, struct sched_entry *entry)
{
	struct sched_queue *queue = entry->queue;
	struct sched_lane *lane = entry->lane;
	if (!queue)
		return;
	if (entry->where == RUNNING)
		end(sched, entry);
	else
		leave(sched, entry);
	sched->entries--;
	queue->branch.count--;
	queue->members[entry->priority]--;
	queue->branch.class->members--;
	if (lane) {
		lane->members--;
		lane_refill(lane);
		lane_put(sched, lane);
	}
	if (entry->near) {
		entry->near->members--;
		cache_put(sched, entry->near);
	}
	entry->queue = NULL;
	entry->lane = NULL;
	entry->near = NULL;
	queue_put(sched, queue);
}

int64_t sched_next_ms(const struct sched *sched)
{
	uint64_t next = INT64_MAX;
	if (sched->due.len > 0 && sched->due.items[0].key < next)
		next = sched->due.items[0].key;
	if (sched->rates.len > 0 && sched->rates.items[0].key < next)
		next = sched->rates.items[0].key;
	int64_t claim_ms = sched_next_claim_ms(sched);
	if ((uint64_t)claim_ms < next)
		next = (uint64_t)claim_ms;
	return (int64_t)next;
}
