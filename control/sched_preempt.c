/* sched_preempt.c - running tasks that are to end so that others get what they are due.
 *
 * Two may ask for that: a task that stays within what is guaranteed to its tenant, and an
 * urgent one. Victims are of tenants of the cohort that use more than is guaranteed to them;
 * for an urgent task also its own tenant's of lower priority. An urgent task that is not due
 * takes of another tenant only where its tenant's share afterwards is at most the other's.
 *
 * No cycle of tenants: say that in one each tenant's use comes back to what it was. Take the
 * highest share that an urgent task's tenant reached in it. Its victim had a higher share
 * still before, so it had come there as one that is due, hence within its guarantee; and such
 * a one is no victim before an urgent task of its own lifts it, which would be to a share
 * higher still. Without urgent ones no tenant that gained is a victim at all. */
#include "common/defs.h"
#include "control/sched_impl.h"

#include <stdlib.h>

enum { SWEEP_MS = 500, WAITED_MS = 500, VICTIMS_MAX = 64, LOOK_MAX = 1024,
       PLANS_MAX = 16, VAINS_MAX = 8 };

struct plan {
	const struct sched *sched;
	struct sched_queue *queue;           /* of who asks */
	const struct sched_node *tenant;     /* its */
	struct capacity owed;        /* what is being freed for its tenant already */
	bool urgent, due;
	bool searched;               /* workers were looked through */
	int64_t now_ms;
	struct sched_site *site;
	struct sched_entry *victims[VICTIMS_MAX];
	size_t count;
};

static const struct sched_node *tenant_of(const struct sched_entry *entry)
{
	return entry->queue->branch.node->parent;
}

static struct capacity demand_of(const struct sched_entry *entry)
{
	return entry->queue->branch.class->demand;
}

/* A tenant as it will be when what is named and planned has ended; itself when nothing of it is. */
static const struct sched_node *after_plan(const struct plan *plan, const struct sched_node *tenant,
                                           struct sched_node *space)
{
	const struct sched_node *after = tenant;
	if (tenant->named > 0) {
		*space = *tenant;
		capacity_add(&space->used, &tenant->ending, -1);
		after = space;
	}
	for (size_t i = 0; i < plan->count; i++) {
		struct capacity demand = demand_of(plan->victims[i]);
		if (tenant_of(plan->victims[i]) != tenant)
			continue;
		if (after == tenant)
			*space = *tenant;
		after = space;
		capacity_add(&space->used, &demand, -1);
		space->running--;
		space->pardons--;
	}
	return after;
}

static double pardons_now(const struct sched *sched, const struct sched_node *tenant,
                          int64_t now_ms)
{
	double most = sched->conf.preempt_per_minute;
	double pardons = tenant->pardons + (double)(now_ms - tenant->pardons_ms) * most / 60000;
	return pardons < most ? pardons : most;
}

static bool share_allows(const struct plan *plan, const struct sched_node *victim,
                         const struct sched_entry *entry)
{
	const struct capacity *basis = &victim->pool->basis;
	struct sched_node asks = *plan->tenant, loses = *victim;
	struct capacity demand = demand_of(entry);
	capacity_add(&asks.used, &plan->owed, 1);
	capacity_add(&asks.used, &plan->queue->branch.class->demand, 1);
	capacity_add(&loses.used, &demand, -1);
	return node_dominant(&asks, basis) <= node_dominant(&loses, basis);
}

static bool may_end(const struct plan *plan, const struct sched_entry *entry)
{
	const struct sched_node *tenant = tenant_of(entry);
	struct sched_node space;
	if (entry->ending || plan->now_ms < entry->at_ms + plan->sched->conf.min_run_ms ||
	    (tenant != plan->tenant &&
	     (tenant->parent != plan->tenant->parent || !node_borrows(tenant))))
		return false;
	const struct sched_node *after = after_plan(plan, tenant, &space);
	double spent = tenant->pardons - after->pardons;
	if (pardons_now(plan->sched, tenant, plan->now_ms) - spent < 1)
		return false;
	if (tenant == plan->tenant)
		return plan->urgent && entry->priority < PRIORITY_URGENT;
	return node_borrows(after) && (plan->due || share_allows(plan, after, entry));
}

static int victim_order(const void *a, const void *b)
{
	const struct sched_entry *const *one = a, *const *two = b;
	if ((*one)->priority != (*two)->priority)
		return (*one)->priority < (*two)->priority ? -1 : 1;
	return ((*one)->at_ms < (*two)->at_ms) - ((*one)->at_ms > (*two)->at_ms);
}

/* Plans the ends at one worker; false: those that may end do not make room enough. */
static bool plan_site(struct plan *plan, struct sched_site *site)
{
	struct sched_entry *running[LOOK_MAX];
	const struct capacity *demand = &plan->queue->branch.class->demand;
	struct capacity rest = site_rest(site);
	size_t count = 0;
	plan->site = site;
	plan->count = 0;
	capacity_add(&rest, demand, -(int)site->kept_count);
	for (struct sched_entry *at = site->running; at && count < LOOK_MAX; at = at->next) {
		struct capacity freed = demand_of(at);
		if (at->ending)
			capacity_add(&rest, &freed, 1);
		else if (may_end(plan, at))
			running[count++] = at;
	}
	qsort(running, count, sizeof running[0], victim_order);
	for (size_t i = 0; i < count && plan->count < VICTIMS_MAX; i++) {
		struct capacity freed = demand_of(running[i]);
		if (!may_end(plan, running[i]))
			continue;
		plan->victims[plan->count++] = running[i];
		capacity_add(&rest, &freed, 1);
		if (capacity_fits(demand, &rest))
			return true;
	}
	return false;
}

static bool plan_better(const struct plan *a, const struct plan *b)
{
	if (b->count == 0)
		return true;
	uint8_t one = a->victims[a->count - 1]->priority, two = b->victims[b->count - 1]->priority;
	if (one != two)
		return one < two;
	if (a->count != b->count)
		return a->count < b->count;
	return a->victims[0]->at_ms > b->victims[0]->at_ms;
}

/* --- who asks --- */

/* What workers are kept free for of one tenant. */
static struct capacity owed_to(const struct sched_node *tenant)
{
	struct capacity owed = { { 0 } };
	for (const struct sched_node *at = tenant->first; at; at = at->next)
		for (const struct sched_branch *b = at->branches; b; b = b->next)
			capacity_add(&owed, &b->class->demand,
			             (int)((const struct sched_queue *)(const void *)b)->kept);
	return owed;
}

static bool allowed(const struct plan *plan)
{
	struct capacity more = plan->queue->branch.class->demand;
	const struct sched_entry *head = queue_head(plan->queue);
	const struct sched_node *domain = plan->queue->branch.node;
	capacity_add(&more, &plan->owed, 1);
	return head && queue_stands(plan->queue) && !domain->quota_held &&
		entry_since(head) + WAITED_MS <= plan->now_ms &&
		(!head->lane || head->lane->key->running < head->lane->key->most) &&
		node_limits(plan->tenant, &more) && node_limits(domain, &more);
}

static uint32_t ready_of(const struct plan *plan)
{
	const struct heap *levels = plan->queue->levels;
	uint32_t ready = levels[PRIORITY_URGENT].len;
	for (int p = 0; p < PRIORITY_URGENT && plan->due; p++)
		ready += levels[p].len;
	return ready;
}

/* True: there is room somewhere, and nobody needs to end. */
static bool room_now(const struct plan *plan)
{
	const struct sched_class *class = plan->queue->branch.class;
	for (const struct sched_site *at = class->pool->sites; at; at = at->next) {
		struct capacity rest = site_rest(at);
		if (!at->kept && site_may_hold(at, class) && capacity_fits(&class->demand, &rest))
			return true;
	}
	return false;
}

/* The best of the first workers where enough may end. */
static bool plan_search(struct plan *plan)
{
	const struct sched_class *class = plan->queue->branch.class;
	struct plan best = { .count = 0 };
	int plans = 0;
	plan->searched = true;
	for (struct sched_site *at = class->pool->sites; at && plans < PLANS_MAX; at = at->next) {
		bool mine = at->kept == plan->queue && !at->kept_aged;
		if ((at->kept && !mine) || at->closed || !site_may_hold(at, class) ||
		    !plan_site(plan, at))
			continue;
		plans++;
		if (plan_better(plan, &best))
			best = *plan;
	}
	if (best.count > 0)
		*plan = best;
	return best.count > 0;
}

static bool plan_make(struct plan *plan)
{
	struct capacity more = plan->queue->branch.class->demand;
	plan->tenant = plan->queue->branch.node->parent;
	plan->owed = owed_to(plan->tenant);
	capacity_add(&more, &plan->owed, 1);
	plan->due = node_within(plan->tenant, &more);
	if ((!plan->due && !plan->urgent) || plan->queue->kept >= ready_of(plan) ||
	    !allowed(plan) || room_now(plan))
		return false;
	return plan_search(plan);
}

static void name_victim(struct sched_entry *entry, bool ending)
{
	struct sched_node *tenant = entry->queue->branch.node->parent;
	struct capacity demand = demand_of(entry);
	if (entry->ending == ending)
		return;
	entry->ending = ending;
	capacity_add(&tenant->ending, &demand, ending ? 1 : -1);
	tenant->named += ending ? 1u : -1u;
}

void entry_spared(struct sched_entry *entry)
{
	name_victim(entry, false);
}

/* --- a sweep --- */

/* What it has named, and how often it may still look through all workers in vain: without that
 * bound thousands that ask would hold the scheduler for seconds. */
struct sweep {
	struct sched *sched;
	struct sched_entry **victims;
	size_t most, count;
	int vains_left;
};

static void plan_carry_out(struct sweep *sweep, const struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		struct sched_node *tenant = plan->victims[i]->queue->branch.node->parent;
		tenant->pardons = pardons_now(sweep->sched, tenant, plan->now_ms) - 1;
		tenant->pardons_ms = plan->now_ms;
		name_victim(plan->victims[i], true);
		sweep->victims[sweep->count++] = plan->victims[i];
	}
	site_keep(plan->site, plan->queue, false);
}

static bool goes_on(const struct sweep *sweep)
{
	return sweep->vains_left > 0 && sweep->count < sweep->most;
}

/* True: all workers were looked through, and nowhere may enough be ended. */
static bool claim(struct sweep *sweep, struct sched_queue *queue, bool urgent)
{
	for (;;) {
		struct plan plan = { .sched = sweep->sched, .queue = queue, .urgent = urgent,
		                     .now_ms = sweep->sched->now_ms };
		bool made = plan_make(&plan), in_vain = !made && plan.searched;
		sweep->vains_left -= in_vain;
		if (!made || plan.count > sweep->most - sweep->count)
			return in_vain;
		plan_carry_out(sweep, &plan);
	}
}

/* The queues of a class whose tenants are due. Who is due may end the same tasks as any other
 * that is due in its cohort, nearly: when one looked in vain, the others wait for the next
 * sweep. */
static void claim_class(struct sweep *sweep, const struct sched_class *class)
{
	for (uint32_t c = 0; c < class->cohorts.len && goes_on(sweep); c++) {
		const struct sched_branch *cohort = HEAP_OWNER(class->cohorts.items[c].node,
		                                               struct sched_branch, in_kids);
		bool in_vain = false;
		for (uint32_t t = 0; cohort->due && !in_vain && t < cohort->kids.len &&
		     goes_on(sweep); t++) {
			const struct sched_branch *tenant = HEAP_OWNER(
				cohort->kids.items[t].node, struct sched_branch, in_kids);
			struct sched_queue *queue = HEAP_OWNER(heap_first(&tenant->kids),
				struct sched_queue, branch.in_kids);
			if (tenant->due)
				in_vain = claim(sweep, queue, false);
		}
	}
}

/* Where this sweep begins among so many: sweeps that do not come to all begin elsewhere each. */
static size_t sweep_first(const struct sweep *sweep, size_t count)
{
	return count ? (size_t)(sweep->sched->now_ms / SWEEP_MS) * VAINS_MAX % count : 0;
}

static void claim_due(struct sweep *sweep, const struct sched_pool *pool)
{
	size_t first = sweep_first(sweep, pool->active_count);
	sweep->vains_left = VAINS_MAX;
	for (uint32_t i = 0; i < pool->active_count && goes_on(sweep); i++)
		claim_class(sweep, pool->active[(first + i) % pool->active_count]);
}

static void claim_urgent(struct sweep *sweep, const struct sched_pool *pool)
{
	struct sched_queue *at = pool->urgent;
	size_t queues = 0;
	for (; at; at = at->urgent_next)
		queues++;
	at = pool->urgent;
	for (size_t first = sweep_first(sweep, queues); first > 0; first--)
		at = at->urgent_next;
	sweep->vains_left = VAINS_MAX;
	for (size_t i = 0; i < queues && goes_on(sweep); i++) {
		claim(sweep, at, true);
		at = at->urgent_next ? at->urgent_next : pool->urgent;
	}
}

int64_t sched_next_claim_ms(const struct sched *sched)
{
	for (const struct sched_pool *pool = sched->pools; pool; pool = pool->next) {
		bool asks = pool->urgent != NULL;
		for (uint32_t i = 0; i < pool->active_count && !asks; i++)
			asks = pool->active[i]->sites > 0 && HEAP_OWNER(
				heap_first(&pool->active[i]->cohorts), struct sched_branch,
				in_kids)->due;
		if (asks && pool->root->running > 0)
			return sched->preempt_ms + SWEEP_MS;
	}
	return INT64_MAX;
}

size_t sched_preempt(struct sched *sched, int64_t now_ms, struct sched_entry **ret_victims,
                     size_t most)
{
	struct sweep sweep = { .sched = sched, .victims = ret_victims, .most = most };
	sched_tick(sched, now_ms);
	if (sched->now_ms < sched->preempt_ms + SWEEP_MS)
		return 0;
	sched->preempt_ms = sched->now_ms;
	for (struct sched_pool *pool = sched->pools; pool; pool = pool->next) {
		pool_basis(pool, sched->now_ms);
		claim_due(&sweep, pool);
		claim_urgent(&sweep, pool);
	}
	return sweep.count;
}
