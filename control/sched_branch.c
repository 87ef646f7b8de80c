/* sched_branch.c - the ready tasks of each class under each node. Invariants: a branch stands
 * in the heap above it exactly when it has something ready and is not parked; a tenant's
 * branch and a queue also by age; a branch's room above it is reserved when it is made. */
#include "common/defs.h"
#include "control/sched_impl.h"

#include <stdlib.h>

#define ORDER_BITS (~((uint64_t)1 << 63))

static bool before(const struct heap_node *a, const struct heap_node *b)
{
	const struct sched_branch *first = HEAP_OWNER(a, const struct sched_branch, in_kids);
	const struct sched_branch *second = HEAP_OWNER(b, const struct sched_branch, in_kids);
	return node_before(first->node, second->node);
}

static bool is_queue(const struct sched_branch *branch)
{
	return branch->node->level == LEVEL_DOMAIN;
}

static const struct sched_queue *as_queue(const struct sched_branch *branch)
{
	return (const struct sched_queue *)(const void *)branch;
}

static struct heap *heap_above(const struct sched_branch *branch)
{
	return branch->parent ? &branch->parent->kids : &branch->class->cohorts;
}

static struct heap *ages_above(const struct sched_branch *branch)
{
	if (is_queue(branch))
		return &branch->parent->ages;
	return branch->node->level == LEVEL_TENANT ? &branch->class->ages : NULL;
}

/* --- made and ended --- */

static struct sched_branch *branch_find(const struct sched_class *class,
                                        const struct sched_node *node)
{
	struct sched_branch *at = node->branches;
	while (at && at->class != class)
		at = at->next;
	return at;
}

static void branch_put(struct sched_branch *branch)
{
	while (branch && branch->count == 0) {
		struct sched_branch *parent = branch->parent;
		struct sched_node *node = branch->node;
		*(branch->prev ? &branch->prev->next : &node->branches) = branch->next;
		if (branch->next)
			branch->next->prev = branch->prev;
		if (branch->parked) {
			struct sched_branch **first = &node->parked;
			*(branch->park_prev ? &branch->park_prev->park_next : first) =
				branch->park_next;
			if (branch->park_next)
				branch->park_next->park_prev = branch->park_prev;
		}
		if (parent)
			parent->count--;
		else
			branch->class->cohort_count--;
		branch->class->tenant_count -= node->level == LEVEL_TENANT;
		heap_release(&branch->kids);
		heap_release(&branch->ages);
		free(branch);
		branch = parent;
	}
}

static bool room_above(struct sched_class *class, struct sched_branch *parent, enum level level)
{
	if (!parent)
		return heap_reserve(&class->cohorts, class->cohort_count + 1);
	if (!heap_reserve(&parent->kids, parent->count + 1))
		return false;
	if (level == LEVEL_TENANT)
		return heap_reserve(&class->ages, class->tenant_count + 1);
	return heap_reserve(&parent->ages, parent->count + 1);
}

static struct sched_branch *branch_get(struct sched_class *class, struct sched_node *node)
{
	struct sched_branch *branch = branch_find(class, node), *parent = NULL;
	if (branch)
		return branch;
	if (node->level > LEVEL_COHORT) {
		parent = branch_get(class, node->parent);
		if (!parent)
			return NULL;
	}
	bool room = room_above(class, parent, node->level);
	branch = room ? calloc(1, node->level == LEVEL_DOMAIN ? sizeof(struct sched_queue) :
	                       sizeof *branch) : NULL;
	if (!branch) {
		branch_put(parent);
		return NULL;
	}
	branch->class = class;
	branch->node = node;
	branch->parent = parent;
	branch->kids.before = before;
	class->cohorts.before = before;
	branch->next = node->branches;
	if (node->branches)
		node->branches->prev = branch;
	node->branches = branch;
	if (parent)
		parent->count++;
	else
		class->cohort_count++;
	class->tenant_count += node->level == LEVEL_TENANT;
	branch->due = node->level > LEVEL_COHORT && node_within(node, &class->demand);
	return branch;
}

struct sched_queue *queue_find(const struct sched_class *class, const struct sched_node *domain)
{
	return (struct sched_queue *)(void *)branch_find(class, domain);
}

struct sched_queue *queue_get(struct sched_class *class, struct sched_node *domain)
{
	return (struct sched_queue *)(void *)branch_get(class, domain);
}

bool queue_reserve(struct sched_queue *queue, enum priority priority)
{
	return heap_reserve(&queue->levels[priority], queue->members[priority] + 1);
}

void queue_put(struct sched *sched, struct sched_queue *queue)
{
	struct sched_node *domain = queue->branch.node;
	struct sched_class *class = queue->branch.class;
	if (queue->branch.count == 0) {
		for (struct sched_site *at = domain->pool->sites; at && queue->kept; at = at->next)
			if (at->kept == queue)
				site_release(at);
		for (int p = 0; p < PRIORITY_COUNT_; p++)
			heap_release(&queue->levels[p]);
		branch_put(&queue->branch);
	}
	class_put(sched, class);
	node_put(sched, domain);
}

/* --- places --- */

static bool is_ready(const struct sched_branch *branch)
{
	if (!is_queue(branch))
		return branch->kids.len > 0;
	const struct sched_queue *queue = as_queue(branch);
	for (int p = 0; p < PRIORITY_COUNT_; p++)
		if (queue->levels[p].len > 0)
			return true;
	return false;
}

static uint64_t age_of(const struct sched_branch *branch)
{
	uint64_t oldest = UINT64_MAX;
	if (!is_queue(branch))
		return branch->ages.items[0].key;
	const struct sched_queue *queue = as_queue(branch);
	for (int p = 0; p < PRIORITY_COUNT_; p++) {
		const struct heap *level = &queue->levels[p];
		if (level->len > 0 && (level->items[0].key & ORDER_BITS) < oldest)
			oldest = level->items[0].key & ORDER_BITS;
	}
	return oldest;
}

/* Who is due goes before who borrows; of each, the lower share. */
static uint64_t key_of(const struct sched_branch *branch)
{
	return node_share_bits(branch->node) | (branch->due ? 0 : (uint64_t)1 << 63);
}

static void enter(struct sched_branch *branch, struct heap *heap)
{
	struct sched_node *node = branch->node;
	if (node->active++ == 0 && node->pass < node->parent->clock)
		node->pass = node->parent->clock;
	heap_add(heap, &branch->in_kids, key_of(branch));
}

static void place_age(struct sched_branch *branch, bool stands)
{
	struct heap *ages = ages_above(branch);
	if (!ages)
		return;
	if (!stands && branch->in_ages.place)
		heap_remove(ages, &branch->in_ages);
	else if (stands && branch->in_ages.place)
		heap_move(ages, &branch->in_ages, age_of(branch));
	else if (stands)
		heap_add(ages, &branch->in_ages, age_of(branch));
}

static void place_one(struct sched_branch *branch)
{
	struct heap *heap = heap_above(branch);
	bool stands = !branch->parked && is_ready(branch), stood = branch->in_kids.place > 0;
	if (branch->node->level == LEVEL_COHORT)
		branch->due = stands && HEAP_OWNER(heap_first(&branch->kids), struct sched_branch,
		                                   in_kids)->due;
	if (stood && !stands) {
		heap_remove(heap, &branch->in_kids);
		branch->node->active--;
	} else if (stood) {
		heap_move(heap, &branch->in_kids, key_of(branch));
	} else if (stands) {
		enter(branch, heap);
	}
	place_age(branch, stands);
}

void branch_place(struct sched_branch *branch)
{
	struct sched_class *class = branch->class;
	for (; branch; branch = branch->parent)
		place_one(branch);
	class_active(class);
}

/* What is above it is put in order by who walks up from the domain, as its share changed too. */
void branch_refresh(struct sched_branch *branch)
{
	if (branch->node->level > LEVEL_COHORT)
		branch->due = node_within(branch->node, &branch->class->demand);
	if (branch->in_kids.place)
		place_one(branch);
}

void branch_park(struct sched_branch *branch, struct sched_node *at)
{
	branch->parked = true;
	branch->park_prev = NULL;
	branch->park_next = at->parked;
	if (at->parked)
		at->parked->park_prev = branch;
	at->parked = branch;
	branch_place(branch);
}

static void move_one(struct sched_branch *branch, struct sched_branch *to)
{
	struct sched_branch *from = branch->parent;
	if (branch->in_kids.place) {
		heap_remove(&from->kids, &branch->in_kids);
		branch->node->active--;
	}
	branch->parent = to;
	to->count++;
	if (--from->count > 0)
		branch_place(from);
	else
		branch_place(from), branch_put(from);
}

bool branch_move_cohort(struct sched_node *tenant, struct sched_node *cohort)
{
	for (struct sched_branch *at = tenant->branches; at; at = at->next) {
		struct sched_branch *to = branch_get(at->class, cohort);
		if (!to || !heap_reserve(&to->kids, to->count + 1)) {
			for (struct sched_branch *made = cohort->branches, *next; made;
			     made = next) {
				next = made->next;
				branch_put(made);
			}
			return false;
		}
	}
	for (struct sched_branch *at = tenant->branches; at; at = at->next)
		move_one(at, branch_find(at->class, cohort));
	return true;
}

bool queue_stands(const struct sched_queue *queue)
{
	return !queue->branch.parked && !queue->branch.parent->parked;
}

/* --- heads --- */

struct sched_entry *queue_head(const struct sched_queue *queue)
{
	for (int p = PRIORITY_COUNT_ - 1; p >= 0; p--)
		if (queue->levels[p].len > 0)
			return HEAP_OWNER(heap_first(&queue->levels[p]), struct sched_entry, place);
	return NULL;
}

struct sched_entry *queue_oldest(const struct sched_queue *queue)
{
	struct sched_entry *oldest = NULL;
	for (int p = 0; p < PRIORITY_COUNT_; p++) {
		struct heap_node *first = heap_first(&queue->levels[p]);
		struct sched_entry *entry = first ?
			HEAP_OWNER(first, struct sched_entry, place) : NULL;
		if (entry &&
		    (!oldest || (entry->order & ORDER_BITS) < (oldest->order & ORDER_BITS)))
			oldest = entry;
	}
	return oldest;
}
