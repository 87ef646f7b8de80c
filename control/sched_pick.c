/* sched_pick.c - the next task for a worker. Of each class that fits there, its heaps have the
 * next on top; of those, the one whose tenant is due, then has the lowest share. What turns
 * out not to be allowed to start now is parked at its cause, and the next is looked at: each
 * look parks one. */
#include "common/defs.h"
#include "control/sched_impl.h"

enum { LOOK_AGAIN_MS = 1000, AGED_LOOKS = 8 };

struct choice {
	struct sched_site *site;
	struct capacity rest;
	int64_t now_ms;
	struct sched_queue *queue;
	struct sched_entry *entry;
};

/* --- may it start? --- */

double node_tokens(const struct sched_node *node, int64_t now_ms)
{
	double most = (double)node->share.starts_per_minute;
	double tokens = node->tokens + (double)(now_ms - node->tokens_ms) * most / 60000;
	return tokens < most ? tokens : most;
}

static void rate_wait(struct sched *sched, struct sched_node *node, int64_t now_ms)
{
	double rate = (double)node->share.starts_per_minute;
	if (node->timer.place || rate <= 0)
		return;
	double wait_ms = (1 - node_tokens(node, now_ms)) * 60000 / rate;
	heap_add(&sched->rates, &node->timer, (uint64_t)now_ms + (uint64_t)wait_ms + 1);
}

static bool node_allows(struct sched *sched, struct sched_branch *branch, int64_t now_ms)
{
	struct sched_node *node = branch->node;
	bool limited = node->share.starts_per_minute >= 0;
	if (limited && node_tokens(node, now_ms) < 1) {
		rate_wait(sched, node, now_ms);
		branch_park(branch, node);
		return false;
	}
	if (!node_limits(node, &branch->class->demand)) {
		branch_park(branch, node);
		return false;
	}
	return true;
}

static bool quota_allows(struct sched *sched, struct sched_queue *queue)
{
	struct sched_node *domain = queue->branch.node;
	const struct sched_conf *conf = &sched->conf;
	if (!domain->quota_held && (!conf->may_start ||
	    conf->may_start(conf->context, domain->parent->name, domain->name, NULL)))
		return true;
	domain->quota_held = true;
	branch_park(&queue->branch, domain);
	return false;
}

static bool may_go(struct sched *sched, const struct choice *choice)
{
	struct sched_entry *entry = choice->entry;
	struct sched_queue *queue = choice->queue;
	if (entry->lane && entry->lane->key->running >= entry->lane->key->most) {
		entry_park_key(sched, entry);
		return false;
	}
	return node_allows(sched, tenant_branch(queue), choice->now_ms) &&
		node_allows(sched, &queue->branch, choice->now_ms) && quota_allows(sched, queue);
}

/* Who borrows may not take what is kept for others' guarantees. */
bool path_has_room(const struct sched_queue *queue)
{
	const struct sched_branch *tenant = tenant_branch(queue);
	struct capacity room = node_room(tenant->node, &tenant->node->pool->rest);
	return tenant->due || capacity_fits(&tenant->class->demand, &room);
}

/* Whether it may once workers have become free. */
static bool path_may_have_room(const struct sched_queue *queue)
{
	const struct sched_branch *tenant = tenant_branch(queue);
	struct capacity room = node_room(tenant->node, &tenant->node->pool->total);
	return tenant->due || capacity_fits(&tenant->class->demand, &room);
}

/* --- which goes first? --- */

static bool entry_first(const struct sched_entry *a, const struct sched_entry *b)
{
	return a->priority != b->priority ? a->priority > b->priority : a->order < b->order;
}

static bool goes_first(const struct choice *a, const struct choice *b)
{
	const struct sched_branch *one = tenant_branch(a->queue), *two = tenant_branch(b->queue);
	if (one->due != two->due)
		return one->due;
	if (one->node->parent != two->node->parent)
		return node_before(one->node->parent, two->node->parent);
	if (one->node != two->node)
		return node_before(one->node, two->node);
	if (a->queue->branch.node == b->queue->branch.node)
		return entry_first(a->entry, b->entry);
	if (a->queue->branch.due != b->queue->branch.due)
		return a->queue->branch.due;
	return node_before(a->queue->branch.node, b->queue->branch.node);
}

static struct sched_branch *first_kid(const struct heap *heap)
{
	struct heap_node *first = heap_first(heap);
	return first ? HEAP_OWNER(first, struct sched_branch, in_kids) : NULL;
}

/* Branches that are taken off the top of a heap to see what is below, and put back after. */
struct aside {
	struct heap *heap;
	struct heap_node *(*place)(struct sched_branch *branch);     /* its own in that heap */
	struct sched_branch *first;
};

static struct heap_node *place_of_kid(struct sched_branch *branch)
{
	return &branch->in_kids;
}

static struct heap_node *place_of_age(struct sched_branch *branch)
{
	return &branch->in_ages;
}

static void set_top_aside(struct aside *aside, struct sched_branch *top)
{
	top->set_aside = aside->heap->items[0].key;
	heap_remove(aside->heap, aside->place(top));
	top->park_next = aside->first;
	aside->first = top;
}

static void put_back(struct aside *aside)
{
	for (struct sched_branch *at = aside->first, *next = NULL; at; at = next) {
		next = at->park_next;
		at->park_next = NULL;
		heap_add(aside->heap, aside->place(at), at->set_aside);
	}
}

/* A class's next: cohorts whose first may not borrow now are passed. */
static struct sched_queue *class_next(struct sched_class *class)
{
	struct aside aside = { &class->cohorts, place_of_kid, NULL };
	struct sched_branch *cohort = NULL;
	struct sched_queue *queue = NULL;
	while (!queue && (cohort = first_kid(&class->cohorts))) {
		queue = (struct sched_queue *)(void *)first_kid(&first_kid(&cohort->kids)->kids);
		if (path_has_room(queue))
			break;
		queue = NULL;
		set_top_aside(&aside, cohort);
	}
	put_back(&aside);
	return queue;
}

/* The one of a class that waits longest, when that is too long; some without room are passed. */
typedef bool room_fn(const struct sched_queue *queue);
static struct sched_queue *class_aged(struct sched_class *class, int64_t until_ms,
                                      room_fn *has_room)
{
	struct aside aside = { &class->ages, place_of_age, NULL };
	struct sched_queue *found = NULL;
	for (int i = 0; !found && i < AGED_LOOKS && class->ages.len > 0; i++) {
		struct sched_branch *tenant = HEAP_OWNER(heap_first(&class->ages),
		                                         struct sched_branch, in_ages);
		struct sched_queue *queue =
			HEAP_OWNER(heap_first(&tenant->ages), struct sched_queue, branch.in_ages);
		if (entry_since(queue_oldest(queue)) > until_ms)
			break;
		if (has_room(queue))
			found = queue;
		else
			set_top_aside(&aside, tenant);
	}
	put_back(&aside);
	return found;
}

/* --- the choices --- */

static void choose_by_share(struct choice *choice)
{
	const struct sched_pool *pool = choice->site->pool;
	for (uint32_t i = 0; i < pool->active_count; i++) {
		struct sched_class *class = pool->active[i];
		if (!site_may_hold(choice->site, class) ||
		    !capacity_fits(&class->demand, &choice->rest))
			continue;
		struct choice other = { .queue = class_next(class) };
		if (!other.queue)
			continue;
		other.entry = queue_head(other.queue);
		if (choice->entry && !goes_first(&other, choice))
			continue;
		choice->queue = other.queue;
		choice->entry = other.entry;
	}
}

/* Tasks that wait a moment for a worker such as this one. */
static void choose_near(struct choice *choice)
{
	const struct sched_site *site = choice->site;
	for (size_t i = 0; i < site->cache_count; i++) {
		struct sched_entry *entry = site->caches[i]->first;
		struct choice other = { .queue = entry ? entry->queue : NULL, .entry = entry };
		if (!entry || !queue_stands(other.queue) || !path_has_room(other.queue) ||
		    !site_may_hold(site, other.queue->branch.class) ||
		    !capacity_fits(&other.queue->branch.class->demand, &choice->rest))
			continue;
		if (choice->entry && !goes_first(&other, choice))
			continue;
		choice->queue = other.queue;
		choice->entry = entry;
	}
}

static void choose_aged(struct choice *choice, int64_t until_ms)
{
	const struct sched_pool *pool = choice->site->pool;
	for (uint32_t i = 0; i < pool->active_count; i++) {
		struct sched_class *class = pool->active[i];
		if (!site_may_hold(choice->site, class) ||
		    !capacity_fits(&class->demand, &choice->rest))
			continue;
		struct sched_queue *queue = class_aged(class, until_ms, path_has_room);
		struct sched_entry *entry = queue ? queue_oldest(queue) : NULL;
		if (!entry || (choice->entry && entry_since(choice->entry) <= entry_since(entry)))
			continue;
		choice->queue = queue;
		choice->entry = entry;
	}
}

static bool choose(struct sched *sched, struct choice *choice)
{
	bool aged_turn = choice->site->pool->starts % AGED_EVERY == AGED_EVERY - 1;
	do {
		choice->queue = NULL;
		choice->entry = NULL;
		if (aged_turn)
			choose_aged(choice, choice->now_ms - sched->conf.aging_ms);
		if (!choice->entry) {
			choose_by_share(choice);
			choose_near(choice);
		}
	} while (choice->entry && !may_go(sched, choice));
	return choice->entry != NULL;
}

/* --- workers that are kept free --- */

/* The worker of most room among those that could hold it; NULL: one has room now. */
static struct sched_site *roomiest(const struct sched_pool *pool, const struct sched_class *class)
{
	struct sched_site *best = NULL;
	double most = -1;
	for (struct sched_site *at = pool->sites; at; at = at->next) {
		struct capacity rest = site_rest(at);
		double least = 1;
		if (at->closed || !site_may_hold(at, class))
			continue;
		if (capacity_fits(&class->demand, &rest) && !at->kept)
			return NULL;
		for (int r = 0; r < RES_COUNT_; r++) {
			double part = class->demand.v[r] > 0 ?
				(double)rest.v[r] / (double)class->demand.v[r] : 1;
			least = part < least ? part : least;
		}
		if (!at->kept && least > most) {
			most = least;
			best = at;
		}
	}
	return best;
}

/* One that waited too long and fits nowhere: a worker is kept free for it. One a pool at a time. */
static void keep_for_aged(struct sched *sched, struct sched_pool *pool, int64_t now_ms)
{
	struct sched_queue *oldest = NULL;
	int64_t until_ms = now_ms - sched->conf.aging_ms;
	if (pool->aged || now_ms < pool->aged_ms + LOOK_AGAIN_MS)
		return;
	for (uint32_t i = 0; i < pool->active_count; i++) {
		struct sched_class *class = pool->active[i];
		struct sched_queue *queue = class->sites > 0 ?
			class_aged(class, until_ms, path_may_have_room) : NULL;
		if (queue && roomiest(pool, class) && (!oldest ||
		    entry_since(queue_oldest(queue)) < entry_since(queue_oldest(oldest))))
			oldest = queue;
	}
	pool->aged_ms = now_ms;
	if (oldest)
		site_keep(roomiest(pool, oldest->branch.class), oldest, true);
}

/* True: the worker is kept free, and choice has its task or nothing yet. */
static bool choose_kept(struct sched *sched, struct choice *choice)
{
	struct sched_site *site = choice->site;
	struct sched_queue *queue = site->kept;
	if (!queue)
		return false;
	const struct sched_class *class = queue->branch.class;
	choice->queue = queue;
	choice->entry = site->kept_aged ? queue_oldest(queue) : queue_head(queue);
	bool wanted = choice->entry && queue_stands(queue) && site_may_hold(site, class) &&
		(!site->kept_aged ||
		 entry_since(choice->entry) <= choice->now_ms - sched->conf.aging_ms);
	bool fits = capacity_fits(&class->demand, &choice->rest);
	if (wanted && !fits) {
		choice->entry = NULL;
		return true;
	}
	if (wanted && path_has_room(queue) && may_go(sched, choice))
		return true;
	site_release(site);
	choice->entry = NULL;
	return false;
}

/* --- the start --- */

static void take_tokens(struct sched_node *node, int64_t now_ms)
{
	if (node->share.starts_per_minute < 0)
		return;
	node->tokens = node_tokens(node, now_ms) - 1;
	node->tokens_ms = now_ms;
}

struct sched_entry *sched_pick(struct sched *sched, const char *worker, int64_t now_ms)
{
	struct sched_site *site = site_find(sched, worker);
	sched_tick(sched, now_ms);
	if (!site || site->closed)
		return NULL;
	struct choice choice = { .site = site, .rest = site_rest(site), .now_ms = sched->now_ms };
	pool_basis(site->pool, sched->now_ms);
	keep_for_aged(sched, site->pool, sched->now_ms);
	if (!choose_kept(sched, &choice))
		choose(sched, &choice);
	if (!choice.entry)
		return NULL;
	site_served(site);
	take_tokens(choice.queue->branch.node, sched->now_ms);
	take_tokens(tenant_branch(choice.queue)->node, sched->now_ms);
	entry_start(sched, choice.entry, site, sched->now_ms);
	return choice.entry;
}
