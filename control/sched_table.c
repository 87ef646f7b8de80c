/* sched_table.c - the scheduler as operators and autoscalers see it: a row a tenant, a row a
 * pool. */
#include "common/defs.h"
#include "control/sched_impl.h"

static struct value *amounts(struct arena *arena, const struct capacity *capacity)
{
	struct value *map = value_map(arena);
	if (!map)
		return NULL;
	value_set_int(map, "cpuMillis", capacity->v[RES_CPU]);
	value_set_int(map, "memoryBytes", capacity->v[RES_MEMORY]);
	value_set_int(map, "slots", capacity->v[RES_SLOTS]);
	return map;
}

static void older(const struct sched_entry *entry, int64_t *oldest_ms)
{
	if (entry && entry_since(entry) < *oldest_ms)
		*oldest_ms = entry_since(entry);
}

/* What waits in a queue for a worker or for its key; what waits for time is not late yet. */
static void queue_oldest_ms(const struct sched_queue *queue, int64_t *oldest_ms)
{
	older(queue_oldest(queue), oldest_ms);
	for (const struct sched_lane *at = queue->lanes; at; at = at->queue_next) {
		struct heap_node *first = heap_first(&at->waiting);
		older(first ? HEAP_OWNER(first, struct sched_entry, place) : NULL, oldest_ms);
	}
}

static void node_oldest_ms(const struct sched_node *tenant, int64_t *oldest_ms)
{
	for (const struct sched_node *at = tenant->first; at; at = at->next)
		for (const struct sched_branch *b = at->branches; b; b = b->next)
			queue_oldest_ms((const struct sched_queue *)(const void *)b, oldest_ms);
}

static int64_t wait_ms(int64_t oldest_ms, int64_t now_ms)
{
	return oldest_ms < now_ms ? now_ms - oldest_ms : 0;
}

/* Those that wait and cannot start whatever worker asks. */
static int64_t parked_of(const struct sched_node *tenant)
{
	int64_t standing = 0;
	for (const struct sched_node *at = tenant->first; at; at = at->next)
		for (const struct sched_branch *b = at->branches; b; b = b->next) {
			const struct sched_queue *queue =
				(const struct sched_queue *)(const void *)b;
			for (int p = 0; p < PRIORITY_COUNT_ && queue_stands(queue); p++)
				standing += queue->levels[p].len;
		}
	return (int64_t)tenant->waiting - standing;
}

static struct value *tenant_row(const struct sched_node *tenant, int64_t now_ms,
                                struct arena *arena)
{
	struct value *row = value_map(arena);
	int64_t oldest_ms = INT64_MAX;
	struct capacity borrowed = { { 0 } };
	if (!row)
		return NULL;
	node_oldest_ms(tenant, &oldest_ms);
	for (int r = 0; r < RES_COUNT_; r++)
		if (tenant->used.v[r] > tenant->share.guaranteed.v[r])
			borrowed.v[r] = tenant->used.v[r] - tenant->share.guaranteed.v[r];
	struct sched_node plain = *tenant;
	plain.weight = 1;
	value_set_str(row, "tenant", tenant->name);
	value_set_str(row, "pool", tenant->pool->root->name);
	value_set_str(row, "cohort", tenant->parent->name);
	value_set_int(row, "weight", tenant->share.weight);
	value_set_int(row, "waiting", tenant->waiting);
	value_set_int(row, "running", tenant->running);
	value_set(row, "used", amounts(arena, &tenant->used));
	value_set(row, "guaranteed", amounts(arena, &tenant->share.guaranteed));
	value_set(row, "borrowed", amounts(arena, &borrowed));
	value_set_int(row, "share", (int64_t)(node_dominant(&plain, &tenant->pool->total) * 1e6));
	value_set_int(row, "oldestWaitMs", wait_ms(oldest_ms, now_ms));
	value_set_int(row, "parked", parked_of(tenant));
	return row;
}

struct value *sched_table(struct sched *sched, int64_t now_ms, struct arena *arena)
{
	struct value *list = value_list(arena);
	struct err err;
	for (const struct sched_pool *pool = sched->pools; pool && list; pool = pool->next)
		for (const struct sched_node *cohort = pool->root->first; cohort;
		     cohort = cohort->next)
			for (const struct sched_node *at = cohort->first; at; at = at->next)
				value_add(list, tenant_row(at, now_ms, arena));
	return value_check(list, &err) == 0 ? list : NULL;
}

static struct value *pool_row(const struct sched_pool *pool, int64_t now_ms, struct arena *arena)
{
	struct value *row = value_map(arena), *waiting = value_map(arena);
	int64_t oldest_ms = INT64_MAX, cpu = 0, memory = 0, never = 0;
	if (!row || !waiting)
		return NULL;
	for (const struct sched_class *at = pool->classes; at; at = at->next) {
		cpu += at->waiting * at->demand.v[RES_CPU];
		memory += at->waiting * at->demand.v[RES_MEMORY];
		never += at->sites == 0 ? at->waiting : 0;
	}
	for (const struct sched_node *cohort = pool->root->first; cohort; cohort = cohort->next)
		for (const struct sched_node *at = cohort->first; at; at = at->next)
			node_oldest_ms(at, &oldest_ms);
	value_set_int(waiting, "tasks", pool->root->waiting);
	value_set_int(waiting, "cpuMillis", cpu);
	value_set_int(waiting, "memoryBytes", memory);
	value_set_str(row, "pool", pool->root->name);
	value_set_int(row, "workers", pool->site_count);
	value_set_int(row, "running", pool->root->running);
	value_set(row, "total", amounts(arena, &pool->total));
	value_set(row, "used", amounts(arena, &pool->root->used));
	value_set(row, "waiting", waiting);
	value_set_int(row, "neverFits", never);
	value_set_int(row, "oldestWaitMs", wait_ms(oldest_ms, now_ms));
	return row;
}

struct value *sched_pools(struct sched *sched, int64_t now_ms, struct arena *arena)
{
	struct value *list = value_list(arena);
	struct err err;
	for (const struct sched_pool *pool = sched->pools; pool && list; pool = pool->next)
		value_add(list, pool_row(pool, now_ms, arena));
	return value_check(list, &err) == 0 ? list : NULL;
}
