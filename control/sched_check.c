/* sched_check.c - the scheduler's invariants, counted anew from what runs and waits. For tests
 * and the simulation: it looks at everything. */
#include "common/defs.h"
#include "control/sched_impl.h"

static void require_equal(const struct capacity *a, const struct capacity *b)
{
	REQUIRE(memcmp(a, b, sizeof *a) == 0);
}

static void check_site(const struct sched_site *site, struct capacity *total, struct capacity *rest)
{
	struct capacity used = { { 0 } }, left = site_rest(site);
	for (const struct sched_entry *at = site->running; at; at = at->next) {
		REQUIRE(at->where == RUNNING && at->site == site);
		capacity_add(&used, &at->queue->branch.class->demand, 1);
	}
	require_equal(&used, &site->used);
	capacity_add(total, &site->total, 1);
	capacity_add(rest, &left, 1);
}

static void check_heap(const struct heap *heap)
{
	for (uint32_t i = 0; i < heap->len; i++) {
		const struct heap_item *above = &heap->items[i > 0 ? (i - 1) / 4 : 0];
		REQUIRE(heap->items[i].node->place == i + 1);
		REQUIRE(above->key <= heap->items[i].key);
		if (i > 0 && above->key == heap->items[i].key && heap->before)
			REQUIRE(!heap->before(heap->items[i].node, above->node));
	}
}

static uint32_t check_queue(const struct sched_queue *queue)
{
	uint32_t standing = 0, members = 0;
	for (int p = 0; p < PRIORITY_COUNT_; p++) {
		check_heap(&queue->levels[p]);
		standing += queue->levels[p].len;
		members += queue->members[p];
		REQUIRE(queue->levels[p].len <= queue->members[p]);
	}
	for (const struct sched_lane *at = queue->lanes; at; at = at->queue_next) {
		int left = at->key->most - at->key->running;
		check_heap(&at->waiting);
		REQUIRE(at->waiting.len == 0 || (int)at->ready >= (left > 0 ? left : 0));
	}
	REQUIRE(members == queue->branch.count);
	return standing;
}

static void check_branch(const struct sched_branch *branch)
{
	const struct sched_node *node = branch->node;
	bool ready = branch->kids.len > 0;
	if (node->level == LEVEL_DOMAIN)
		ready = check_queue((const struct sched_queue *)(const void *)branch) > 0;
	check_heap(&branch->kids);
	check_heap(&branch->ages);
	REQUIRE((branch->in_kids.place > 0) == (ready && !branch->parked));
	if (node->level > LEVEL_COHORT)
		REQUIRE(branch->due == node_within(node, &branch->class->demand));
}

static void check_node(const struct sched_node *node)
{
	struct capacity used = { { 0 } }, idle = { { 0 } }, kept = { { 0 } };
	uint32_t waiting = 0, running = 0, active = 0;
	for (const struct sched_node *at = node->first; at; at = at->next) {
		REQUIRE(at->parent == node);
		check_node(at);
		capacity_add(&used, &at->used, 1);
		capacity_add(&idle, &at->idle, 1);
		capacity_add(&kept, &at->kept, 1);
		waiting += at->waiting;
		running += at->running;
	}
	for (const struct sched_branch *at = node->branches; at; at = at->next) {
		check_branch(at);
		active += at->in_kids.place > 0;
	}
	REQUIRE(active == node->active);
	if (node->running == 0)
		require_equal(&node->used, &(struct capacity){ { 0 } });
	if (node->level == LEVEL_DOMAIN)
		return;
	require_equal(&used, &node->used);
	REQUIRE(waiting == node->waiting && running == node->running);
	if (node->level == LEVEL_TENANT)
		return;
	require_equal(&idle, &node->idle);
	require_equal(&kept, &node->kept);
}

static void check_class(const struct sched_class *class)
{
	uint32_t sites = 0;
	for (const struct sched_site *at = class->pool->sites; at; at = at->next) {
		REQUIRE(site_may_hold(at, class) == class_matches(class, at));
		sites += site_may_hold(at, class);
	}
	REQUIRE(sites == class->sites);
	check_heap(&class->cohorts);
	check_heap(&class->ages);
	REQUIRE((class->active > 0) == (class->cohorts.len > 0));
	REQUIRE(class->active == 0 || class->pool->active[class->active - 1] == class);
}

void sched_check(const struct sched *sched)
{
	struct capacity used = { { 0 } }, there = sched->nowhere;
	check_heap(&sched->due);
	check_heap(&sched->rates);
	for (const struct sched_pool *pool = sched->pools; pool; pool = pool->next) {
		struct capacity total = { { 0 } }, rest = { { 0 } };
		for (const struct sched_site *at = pool->sites; at; at = at->next) {
			check_site(at, &total, &rest);
			capacity_add(&there, &at->used, 1);
		}
		require_equal(&total, &pool->total);
		require_equal(&rest, &pool->rest);
		check_node(pool->root);
		for (const struct sched_class *at = pool->classes; at; at = at->next)
			check_class(at);
		capacity_add(&used, &pool->root->used, 1);
	}
	require_equal(&used, &there);
}
