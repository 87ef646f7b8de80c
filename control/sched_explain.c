/* sched_explain.c - why a task waits: each thing that keeps it, with what it needs, what there
 * is, the limit and whose that is. Looks at what pick would look at, and changes nothing. */
#include "common/defs.h"
#include "control/sched_ask.h"
#include "control/sched_impl.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum { RATE_MS = 60000, WHOSE_MAX = 200, SOON_IDLE_S = 10, SOON_MOST_S = 30 };

static const char *const resource_names[RES_COUNT_] = { "cpuMillis", "memoryBytes", "slots" };

/* A task as it waits, or as it would. */
struct ask {
	struct sched *sched;
	struct arena *arena;
	struct value *reasons;
	int64_t now_ms;
	const struct sched_entry *entry;     /* NULL: it was not added */
	const struct sched_class *class;     /* never NULL; of the scheduler or made for this */
	const struct sched_pool *pool;       /* NULL: there is none of that name */
	const struct sched_node *tenant, *domain;    /* NULL: nothing of theirs is known */
	const char *pool_name, *tenant_name, *domain_name, *key;
	int key_most;
	enum priority priority;
	bool stuck;                          /* others' ends alone do not let it start */
};

struct reason {
	const char *rule, *whose, *resource;
	int64_t need, have, limit;           /* -1: none */
};

static void add_reason(struct ask *ask, const struct reason *reason, const char *detail)
{
	struct value *map = value_map(ask->arena);
	if (map) {
		value_set_str(map, "rule", reason->rule);
		value_set_str(map, "whose", reason->whose);
		value_set_str(map, "resource", reason->resource);
		if (reason->need >= 0)
			value_set_int(map, "need", reason->need);
		if (reason->have >= 0)
			value_set_int(map, "have", reason->have);
		if (reason->limit >= 0)
			value_set_int(map, "limit", reason->limit);
		value_set_str(map, "detail", detail ? detail : reason->rule);
	}
	value_add(ask->reasons, map);
}

static const char *node_whose(const struct ask *ask, const struct sched_node *node)
{
	if (node->level == LEVEL_DOMAIN)
		return arena_printf(ask->arena, "domain %s of tenant %s", node->name,
		                    node->parent->name);
	return arena_printf(ask->arena, "tenant %s", node->name);
}

/* --- time and keys --- */

static void explain_time(struct ask *ask)
{
	const struct sched_entry *entry = ask->entry;
	int64_t wait_ms = entry ? entry->at_ms - ask->now_ms : 0;
	if (!entry || wait_ms <= 0 || entry->at_ms == INT64_MAX)
		return;
	struct reason reason = { "not-before", NULL, NULL, -1, -1, -1 };
	if (entry->where == DUE_LATER)
		add_reason(ask, &reason, arena_printf(ask->arena, "it starts no sooner than in %"
		           PRId64 " ms", wait_ms));
	reason.rule = "near-cache";
	reason.need = 1;
	reason.have = entry->near ? entry->near->holders : 0;
	if (entry->where == NEAR_FIRST)
		add_reason(ask, &reason, arena_printf(ask->arena, "for %" PRId64 " ms more it goes "
		           "only to one of the %" PRId64 " workers that hold its dataset's cache",
		           wait_ms, reason.have));
}

/* Who is held may run under an earlier leader's token. Nobody to ask is the better reason. */
static void explain_held(struct ask *ask)
{
	struct reason reason = { "new-leader", NULL, NULL, -1, -1, -1 };
	if (ask->entry && ask->entry->at_ms == INT64_MAX)
		add_reason(ask, &reason,
		           "a new leader asks the workers first whether it runs already");
}

static void explain_key(struct ask *ask)
{
	const struct sched_key *key = ask->entry && ask->entry->lane ? ask->entry->lane->key : NULL;
	if (!key && ask->key && ask->sched) {
		const char *text = arena_printf(ask->arena, "%s\n%s", ask->tenant_name, ask->key);
		struct hash_node *node = text ? hashmap_find(&ask->sched->keys, text) : NULL;
		key = node ? HASH_OWNER(node, struct sched_key, by_name) : NULL;
	}
	if (!key || key->running < key->most)
		return;
	struct reason reason = {
		"concurrency-key", arena_printf(ask->arena, "concurrency key %s of tenant %s",
		                                strchr(key->text, '\n') + 1, ask->tenant_name),
		NULL, 1, 0, key->most,
	};
	add_reason(ask, &reason, arena_printf(ask->arena, "%d tasks of its concurrency key run and "
	           "%d may; it waits for one to end", key->running, key->most));
}

/* --- shares, rates and quotas --- */

static void explain_limit(struct ask *ask, const struct sched_node *node, int r)
{
	const struct share *share = &node->share;
	struct reason reason = {
		"share-limit", node_whose(ask, node), resource_names[r], ask->class->demand.v[r], 0,
		share->most.v[r],
	};
	int64_t after = node->used.v[r] + reason.need, borrowed = after - share->guaranteed.v[r];
	if (reason.limit >= 0 && after > reason.limit) {
		reason.have = reason.limit > node->used.v[r] ? reason.limit - node->used.v[r] : 0;
		ask->stuck |= reason.need > reason.limit;
		add_reason(ask, &reason, arena_printf(ask->arena, "%s uses %" PRId64 " of at most %"
		           PRId64 " %s; this needs %" PRId64 ": it waits for %s", reason.whose,
		           node->used.v[r], reason.limit, reason.resource, reason.need,
		           reason.need > reason.limit ? "the operator to raise the share's limit" :
		           "one of its tasks to end, or for the operator to raise the share's "
		           "limit"));
	}
	reason.rule = "borrow-limit";
	reason.limit = share->borrow_most.v[r];
	if (reason.limit >= 0 && borrowed > reason.limit) {
		reason.have = reason.limit - (borrowed - reason.need);
		reason.have = reason.have > 0 ? reason.have : 0;
		ask->stuck |= reason.need > reason.limit + share->guaranteed.v[r];
		add_reason(ask, &reason, arena_printf(ask->arena, "%s would borrow %" PRId64 " %s "
		           "beyond its guaranteed %" PRId64 " and may %" PRId64, reason.whose,
		           borrowed, reason.resource, share->guaranteed.v[r], reason.limit));
	}
}

static void explain_node(struct ask *ask, const struct sched_node *node)
{
	struct reason reason = { "rate", NULL, NULL, 1, 0, 0 };
	for (int r = 0; node && r < RES_COUNT_; r++)
		explain_limit(ask, node, r);
	if (!node || node->share.starts_per_minute < 0 || node_tokens(node, ask->now_ms) >= 1)
		return;
	reason.whose = node_whose(ask, node);
	reason.limit = node->share.starts_per_minute;
	ask->stuck |= reason.limit == 0;
	add_reason(ask, &reason, reason.limit == 0 ?
	           arena_printf(ask->arena, "%s may start no tasks: the startsPerMinute of its "
	                        "share is 0, which the operator may raise", reason.whose) :
	           arena_printf(ask->arena, "%s may start %" PRId64 " task%s a minute and has done "
	                        "so", reason.whose, reason.limit, reason.limit == 1 ? "" : "s"));
}

static void explain_quota(struct ask *ask)
{
	const struct sched_conf *conf = &ask->sched->conf;
	struct reason reason = { "quota", NULL, NULL, -1, -1, -1 };
	struct err err = { .text = "" };
	if (!conf->may_start ||
	    conf->may_start(conf->context, ask->tenant_name, ask->domain_name, &err))
		return;
	reason.whose = arena_printf(ask->arena, "tenant %s", ask->tenant_name);
	if (err.code == E_CONFLICT) {
		reason.rule = "tenant-state";
		ask->stuck = true;
	}
	add_reason(ask, &reason, arena_strdup(ask->arena, err.text[0] ? err.text :
	           "a quota on running tasks is used up"));
}

static void explain_lent(struct ask *ask)
{
	const struct capacity *demand = &ask->class->demand;
	if (!ask->tenant || node_within(ask->tenant, demand))
		return;
	struct capacity room = node_room(ask->tenant, &ask->pool->rest);
	struct reason reason = { "guaranteed-to-others", NULL, NULL, 0, 0, -1 };
	for (int r = 0; r < RES_COUNT_; r++) {
		if (demand->v[r] == 0 || room.v[r] >= demand->v[r] ||
		    ask->pool->rest.v[r] < demand->v[r])
			continue;
		reason.resource = resource_names[r];
		reason.need = demand->v[r];
		reason.have = room.v[r] > 0 ? room.v[r] : 0;
		reason.whose = arena_printf(ask->arena, "cohort %s", ask->tenant->parent->name);
		add_reason(ask, &reason,
		           arena_printf(ask->arena,
		                        "%" PRId64 " %s are free, and all "
		                        "but %" PRId64
		                        " of it is guaranteed to tenants that do not lend it to "
		                        "%s",
		                        ask->pool->rest.v[r], reason.resource, reason.have,
		                        reason.whose));
	}
}

/* --- workers --- */

static bool labels_match(const struct sched_class *class, const struct sched_site *site)
{
	struct sched_class bare = *class;
	memset(&bare.demand, 0, sizeof bare.demand);
	return class_matches(&bare, site);
}

static int64_t part_of_demand(const struct capacity *have, const struct capacity *demand)
{
	int64_t least = INT64_MAX;
	for (int r = 0; r < RES_COUNT_; r++) {
		if (demand->v[r] <= 0)
			continue;
		double part = (double)have->v[r] / (double)demand->v[r] * 1e6;
		least = part < (double)least ? (int64_t)part : least;
	}
	return least;
}

/* The worker that comes nearest to holding it; NULL: none has the labels. */
static const struct sched_site *nearest(const struct ask *ask, bool whole)
{
	const struct sched_site *best = NULL;
	int64_t most = -1;
	for (const struct sched_site *at = ask->pool ? ask->pool->sites : NULL; at; at = at->next) {
		struct capacity rest = whole ? at->total : site_rest(at);
		int64_t part = part_of_demand(&rest, &ask->class->demand);
		bool looked_at = labels_match(ask->class, at) && (whole || !at->closed);
		if (!looked_at || part <= most)
			continue;
		most = part;
		best = at;
	}
	return best;
}

static const char *elsewhere(const struct ask *ask)
{
	for (const struct sched_pool *pool = ask->sched->pools; pool; pool = pool->next)
		for (const struct sched_site *at = pool->sites; at; at = at->next)
			if (pool != ask->pool && class_matches(ask->class, at))
				return arena_printf(ask->arena, "; worker %s of pool %s could",
				                    at->text, pool->root->name);
	return "; no worker of any pool could";
}

static void never_fits(struct ask *ask, const struct sched_site *site)
{
	struct reason reason = {
		"never-fits", arena_printf(ask->arena, "pool %s", ask->pool_name), NULL, -1, -1, -1,
	};
	const char *where = elsewhere(ask);
	if (!ask->pool || !ask->pool->sites) {
		add_reason(ask, &reason, arena_printf(ask->arena, "pool %s has no workers%s",
		                                      ask->pool_name, where));
		return;
	}
	if (!site) {
		add_reason(ask, &reason, arena_printf(ask->arena, "none of the %u workers of pool "
		           "%s has the labels of its selector%s%s", ask->pool->site_count,
		           ask->pool_name, ask->class->serves ? " and serves" : "", where));
		return;
	}
	for (int r = 0; r < RES_COUNT_; r++) {
		reason.need = ask->class->demand.v[r];
		reason.limit = reason.have = site->total.v[r];
		reason.resource = resource_names[r];
		if (reason.need > reason.have)
			add_reason(ask, &reason,
			           arena_printf(ask->arena,
			                        "it needs %" PRId64 " %s and "
			                        "the largest worker that its selector allows in "
			                        "pool %s, %s, has %" PRId64 "%s",
			                        reason.need, reason.resource, ask->pool_name,
			                        site->text, reason.have, where));
	}
}

static void explain_capacity(struct ask *ask)
{
	const struct capacity *demand = &ask->class->demand;
	const struct sched_site *site = nearest(ask, false);
	struct reason reason = { "capacity", NULL, NULL, 0, 0, 0 };
	struct capacity rest = site ? site_rest(site) : (struct capacity){ { 0 } };
	if (!site || capacity_fits(demand, &rest))
		return;
	reason.whose = arena_printf(ask->arena, "pool %s", ask->pool_name);
	for (int r = 0; r < RES_COUNT_; r++) {
		if (demand->v[r] <= rest.v[r])
			continue;
		reason.resource = resource_names[r];
		reason.need = demand->v[r];
		reason.have = rest.v[r];
		reason.limit = site->total.v[r];
		add_reason(ask, &reason, arena_printf(ask->arena, "it needs %" PRId64 " %s and no "
		           "worker of pool %s has so much free now; %s has %" PRId64 " of %" PRId64,
		           reason.need, reason.resource, ask->pool_name, site->text, reason.have,
		           reason.limit));
	}
}

/* All that could hold it take nothing new. */
static void explain_closed(struct ask *ask, uint32_t count)
{
	struct reason reason = {
		"workers-closed", arena_printf(ask->arena, "pool %s", ask->pool_name), NULL, 1, 0,
		count,
	};
	ask->stuck = true;
	add_reason(ask, &reason, count == 1 ?
	           arena_printf(ask->arena, "the one worker of pool %s that could hold it is "
	                        "cordoned or draining; it waits for the operator to uncordon it, "
	                        "or for another", ask->pool_name) :
	           arena_printf(ask->arena, "all %u workers of pool %s that could hold it are "
	                        "cordoned or draining; it waits for the operator to uncordon one, "
	                        "or for another", count, ask->pool_name));
}

static bool explain_workers(struct ask *ask)
{
	uint32_t could = 0, closed = 0;
	for (const struct sched_site *at = ask->pool ? ask->pool->sites : NULL; at; at = at->next) {
		bool holds = class_matches(ask->class, at);
		could += holds;
		closed += holds && at->closed;
	}
	if (could == 0)
		never_fits(ask, nearest(ask, true));
	else if (closed == could)
		explain_closed(ask, could);
	else
		explain_capacity(ask);
	return closed < could;
}

/* --- turns --- */

static size_t heap_before(const struct heap *heap, uint32_t at, uint64_t key)
{
	size_t count = 0;
	if (at >= heap->len || heap->items[at].key >= key)
		return 0;
	for (uint32_t kid = 1; kid <= 4; kid++)
		count += heap_before(heap, at * 4 + kid, key);
	return count + 1;
}

/* Of its domain, those that go before it. */
static size_t before_in_domain(const struct ask *ask)
{
	size_t count = 0;
	uint64_t order = ask->entry ? ask->entry->order : UINT64_MAX;
	for (const struct sched_branch *at = ask->domain ? ask->domain->branches : NULL; at;
	     at = at->next) {
		const struct sched_queue *queue = (const struct sched_queue *)(const void *)at;
		for (int p = ask->priority + 1; p < PRIORITY_COUNT_; p++)
			count += queue->levels[p].len;
		count += heap_before(&queue->levels[ask->priority], 0, order);
	}
	return count;
}

/* While so many of one node start, its sibling of that weight starts about so many. */
static double meanwhile(const struct sched_node *sibling, double count, double weight)
{
	double most = count * sibling->weight / (weight > 0 ? weight : 1);
	return most < sibling->waiting ? most : sibling->waiting;
}

static double before_in_pool(const struct ask *ask, double in_domain)
{
	double mine = in_domain, others = 0;
	if (!ask->pool)
		return 0;
	for (const struct sched_node *at = ask->tenant ? ask->tenant->first : NULL; at;
	     at = at->next)
		mine += at == ask->domain ? 0 : meanwhile(at, in_domain + 1,
			ask->domain ? ask->domain->weight : 1);
	for (const struct sched_node *cohort = ask->pool->root->first; cohort;
	     cohort = cohort->next)
		for (const struct sched_node *at = cohort->first; at; at = at->next)
			others += at == ask->tenant ? 0 : meanwhile(at, mine + 1, ask->tenant ?
				ask->tenant->weight : 1);
	return mine + others;
}

static void set_turn(struct ask *ask, struct value *map, bool fits)
{
	size_t in_domain = before_in_domain(ask);
	double ahead = before_in_pool(ask, (double)in_domain);
	const struct sched_class *class = ask->class;
	double rate = class->rate * exp(-(double)(ask->now_ms - class->rate_ms) / RATE_MS);
	uint32_t waiting = ask->pool ? ask->pool->root->waiting : 0;
	double part = waiting > 0 && class->waiting < waiting ?
		(double)class->waiting / waiting : 1;
	value_set_int(map, "position", (int64_t)in_domain + 1);
	value_set_int(map, "ahead", (int64_t)ahead);
	if (fits && rate > 0.001)
		value_set_int(map, "estimateSeconds", (int64_t)((ahead * part + 1) / rate));
	else
		value_set(map, "estimateSeconds", value_null(ask->arena));
	if (value_len(ask->reasons) > 0)
		return;
	struct reason reason = {
		"turn", arena_printf(ask->arena, "tenant %s", ask->tenant_name), NULL, -1, -1, -1,
	};
	double share = ask->tenant && ask->pool ? node_dominant(ask->tenant, &ask->pool->basis) : 0;
	add_reason(ask, &reason, arena_printf(ask->arena, "it may start and its turn comes: %zu of "
	           "its domain and about %.0f of its pool go before it; its tenant's weighted "
	           "share is %.0f millionths and %u of its tasks run", in_domain, ahead,
	           share * 1e6, ask->tenant ? ask->tenant->running : 0));
}

/* False: it does not start by others' ends and the passing of time. */
static bool explain_all(struct ask *ask)
{
	explain_time(ask);
	explain_key(ask);
	explain_node(ask, ask->domain);
	explain_node(ask, ask->tenant);
	explain_quota(ask);
	bool fits = explain_workers(ask);
	if (fits)
		explain_lent(ask);
	explain_held(ask);
	return fits && !ask->stuck;
}

static struct value *explain(struct ask *ask)
{
	struct value *map = value_map(ask->arena);
	const struct sched_entry *entry = ask->entry;
	ask->reasons = value_list(ask->arena);
	if (!map || !ask->reasons)
		return NULL;
	bool fits = explain_all(ask);
	bool parked = entry && (entry->where != READY || !queue_stands(entry->queue));
	value_set_str(map, "state", parked ? "parked" : "waiting");
	set_turn(ask, map, fits);
	value_set(map, "reasons", ask->reasons);
	struct err err;
	return value_check(map, &err) == 0 ? map : NULL;
}

static struct value *explain_running(const struct sched_entry *entry, struct arena *arena)
{
	struct value *map = value_map(arena);
	struct err err;
	if (!map)
		return NULL;
	value_set_str(map, "state", "running");
	if (entry->site)
		value_set_str(map, "worker", entry->site->text);
	value_set_int(map, "position", 0);
	value_set_int(map, "ahead", 0);
	value_set_int(map, "estimateSeconds", 0);
	value_set(map, "reasons", value_list(arena));
	return value_check(map, &err) == 0 ? map : NULL;
}

static struct ask ask_of(struct sched *sched, const struct sched_entry *entry, int64_t now_ms,
                         struct arena *arena)
{
	const struct sched_node *domain = entry->queue->branch.node;
	return (struct ask){
		.sched = sched, .arena = arena, .now_ms = now_ms, .entry = entry,
		.class = entry->queue->branch.class, .pool = domain->pool, .domain = domain,
		.tenant = domain->parent, .pool_name = domain->pool->root->name,
		.tenant_name = domain->parent->name, .domain_name = domain->name,
		.priority = entry->priority,
	};
}

struct value *sched_explain(struct sched *sched, const struct sched_entry *entry, int64_t now_ms,
                            struct arena *arena)
{
	if (!entry->queue || entry->where == RUNNING)
		return explain_running(entry, arena);
	struct ask ask = ask_of(sched, entry, now_ms, arena);
	return explain(&ask);
}

const char *sched_why(struct sched *sched, const struct sched_entry *entry, int64_t now_ms,
                      struct arena *arena)
{
	if (!entry->queue || entry->where == RUNNING)
		return NULL;
	struct ask ask = ask_of(sched, entry, now_ms, arena);
	ask.reasons = value_list(arena);
	explain_all(&ask);
	const char *detail = value_get_str(value_at(ask.reasons, 0), "detail");
	return detail ? detail
	              : arena_printf(arena,
	                             "it may start and waits for its turn: %u tasks "
	                             "of its tenant wait and %u run",
	                             ask.tenant->waiting, ask.tenant->running);
}

int64_t sched_soon_s(const struct sched *sched, size_t starts, int64_t now_ms)
{
	double rate = 0;
	for (const struct sched_pool *pool = sched->pools; pool; pool = pool->next)
		rate += pool->rate * exp(-(double)(now_ms - pool->rate_ms) / RATE_MS);
	if (rate < 0.01)
		return SOON_IDLE_S;
	double seconds = ceil((double)starts / rate);
	return seconds > SOON_MOST_S ? SOON_MOST_S : seconds < 1 ? 1 : (int64_t)seconds;
}

static struct sched_class class_of(struct sched_pool *pool, const struct sched_spec *spec)
{
	return (struct sched_class){
		.pool = pool, .demand = spec->demand, .serves = spec->serves,
		.selector = (struct label *)spec->selector, .selector_count = spec->selector_count,
	};
}

const char *sched_never(struct sched *sched, const struct sched_spec *spec, struct arena *arena)
{
	struct sched_pool *pool = pool_find(sched, spec->pool);
	struct sched_class made = class_of(pool, spec);
	struct ask ask = {
		.sched = sched, .arena = arena, .class = &made, .pool = pool,
		.pool_name = spec->pool ? spec->pool : "default",
	};
	for (const struct sched_site *at = pool ? pool->sites : NULL; at; at = at->next)
		if (class_matches(&made, at))
			return NULL;
	/* A label that no worker has yet may be another's; so much room is nobody's. */
	const struct sched_site *site = nearest(&ask, true);
	if (!site)
		return NULL;
	ask.reasons = value_list(arena);
	never_fits(&ask, site);
	return value_get_str(value_at(ask.reasons, 0), "detail");
}

struct value *sched_explain_spec(struct sched *sched, const struct sched_spec *spec,
                                 int64_t now_ms, struct arena *arena)
{
	struct sched_pool *pool = pool_find(sched, spec->pool);
	const struct sched_class *known = class_find(sched, spec);
	struct sched_class made = class_of(pool, spec);
	struct ask ask = {
		.sched = sched, .arena = arena, .now_ms = now_ms, .class = known ? known : &made,
		.pool = pool, .pool_name = spec->pool ? spec->pool : "default",
		.tenant = node_find(sched, spec->pool, spec->tenant, NULL),
		.domain = node_find(sched, spec->pool, spec->tenant, spec->domain),
		.tenant_name = spec->tenant, .domain_name = spec->domain, .key = spec->key,
		.key_most = spec->key_most, .priority = spec->priority,
	};
	return explain(&ask);
}
