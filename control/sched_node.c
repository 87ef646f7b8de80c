/* sched_node.c - what each tenant of a pool is due and uses. Invariants: used is the sum of
 * the kids' used; a tenant's idle is what is guaranteed to it and unused, its kept what it
 * then lends nobody, and a cohort's and the pool's are their sums; dominant is used by the
 * pool's basis and the weight. */
#include "common/defs.h"
#include "control/sched_impl.h"

#include <stdio.h>
#include <stdlib.h>

enum { NODE_KEY_MAX = 256, BASIS_EVERY_MS = 1000, SHARE_BITS_ROUNDED = 28 };

const struct share share_default = {
	.weight = 1, .most = { { -1, -1, -1 } }, .borrow_most = { { -1, -1, -1 } },
	.lend_most = { { -1, -1, -1 } }, .starts_per_minute = -1,
};

static const char *key_of(char out[NODE_KEY_MAX], const char *a, const char *b, const char *c)
{
	const char *const parts[] = { a, b, c };
	size_t at = 0;
	for (size_t i = 0; i < ARRAY_LEN(parts) && parts[i]; i++) {
		size_t len = strnlen(parts[i], 80);
		if (i > 0)
			out[at++] = '\n';
		memcpy(out + at, parts[i], len);
		at += len;
	}
	out[at] = '\0';
	return out;
}

static struct sched_node *find(const struct sched *sched, const char *a, const char *b,
                               const char *c)
{
	char key[NODE_KEY_MAX];
	struct hash_node *node = hashmap_find(&sched->nodes, key_of(key, a, b, c));
	return node ? HASH_OWNER(node, struct sched_node, by_name) : NULL;
}

static struct sched_node *node_make(struct sched *sched, struct sched_node *parent,
                                    const char *a, const char *b, const char *c)
{
	char key[NODE_KEY_MAX];
	size_t len = strlen(key_of(key, a, b, c)) + 1;
	struct sched_node *node = calloc(1, sizeof *node + len);
	if (!node)
		return NULL;
	memcpy(node->text, key, len);
	if (!hashmap_add(&sched->nodes, &node->by_name, node->text)) {
		free(node);
		return NULL;
	}
	const char *last = strrchr(node->text, '\n');
	node->name = last ? last + 1 : node->text;
	node->share = share_default;
	node->number = ++sched->numbers;
	node->pardons = sched->conf.preempt_per_minute;
	node->weight = 1;
	node->parent = parent;
	if (!parent)
		return node;
	node->pool = parent->pool;
	node->level = parent->level + 1;
	node->next = parent->first;
	if (parent->first)
		parent->first->prev = node;
	parent->first = node;
	return node;
}

/* --- pools --- */

struct sched_pool *pool_find(const struct sched *sched, const char *name)
{
	struct sched_node *root = find(sched, name ? name : "default", NULL, NULL);
	return root ? root->pool : NULL;
}

struct sched_pool *pool_get(struct sched *sched, const char *name)
{
	struct sched_pool *pool = pool_find(sched, name);
	if (pool)
		return pool;
	pool = calloc(1, sizeof *pool);
	if (!pool)
		return NULL;
	pool->root = node_make(sched, NULL, name ? name : "default", NULL, NULL);
	if (!pool->root) {
		free(pool);
		return NULL;
	}
	pool->root->pool = pool;
	pool->next = sched->pools;
	sched->pools = pool;
	return pool;
}

void pool_put(struct sched *sched, struct sched_pool *pool)
{
	if (pool->sites || pool->root->first)
		return;
	while (pool->classes && pool->classes->members == 0)
		class_drop(sched, pool->classes);
	if (pool->classes)
		return;
	struct sched_pool **at = &sched->pools;
	while (*at != pool)
		at = &(*at)->next;
	*at = pool->next;
	hashmap_remove(&sched->nodes, &pool->root->by_name);
	free(pool->root);
	free(pool);
}

/* Shares are by a total that lags a little behind the true one: a pool that is being filled with
 * workers is not put in order again for each. */
void pool_basis(struct sched_pool *pool, int64_t now_ms)
{
	bool same = true, far = false;
	for (int r = 0; r < RES_COUNT_; r++) {
		int64_t gap = llabs(pool->total.v[r] - pool->basis.v[r]);
		same &= gap == 0;
		far |= gap > pool->basis.v[r] / 8;
	}
	if (same || (!far && now_ms < pool->basis_ms + BASIS_EVERY_MS))
		return;
	pool->basis = pool->total;
	pool->basis_ms = now_ms;
	for (struct sched_node *cohort = pool->root->first; cohort; cohort = cohort->next) {
		for (struct sched_node *tenant = cohort->first; tenant; tenant = tenant->next) {
			for (struct sched_node *at = tenant->first; at; at = at->next)
				node_rekey(at);
			node_rekey(tenant);
		}
		node_rekey(cohort);
	}
}

/* --- nodes --- */

struct sched_node *node_find(const struct sched *sched, const char *pool, const char *tenant,
                             const char *domain)
{
	return find(sched, pool ? pool : "default", tenant, domain);
}

struct sched_node *cohort_get(struct sched *sched, struct sched_pool *pool, const char *name)
{
	const char *cohort = name ? name : "default";
	struct sched_node *node = find(sched, pool->root->text, "", cohort);
	if (node)
		return node;
	node = node_make(sched, pool->root, pool->root->text, "", cohort);
	if (node)
		node->weight = 0;
	return node;
}

struct sched_node *node_get(struct sched *sched, struct sched_pool *pool, const char *tenant,
                            const char *domain)
{
	const char *name = pool->root->text;
	struct sched_node *node = find(sched, name, tenant, domain);
	if (node)
		return node;
	struct sched_node *parent = domain ? node_get(sched, pool, tenant, NULL) :
		cohort_get(sched, pool, NULL);
	if (!parent && !domain)
		pool_put(sched, pool);
	if (!parent)
		return NULL;
	node = node_make(sched, parent, name, tenant, domain);
	if (!node)
		node_put(sched, parent);
	return node;
}

void node_put(struct sched *sched, struct sched_node *node)
{
	while (node->parent && !node->first && !node->branches && !node->pins) {
		struct sched_node *parent = node->parent;
		if (node->prev)
			node->prev->next = node->next;
		else
			parent->first = node->next;
		if (node->next)
			node->next->prev = node->prev;
		if (node->timer.place)
			heap_remove(&sched->rates, &node->timer);
		hashmap_remove(&sched->nodes, &node->by_name);
		free(node);
		node = parent;
	}
	if (!node->parent)
		pool_put(sched, node->pool);
}

/* --- what is due --- */

double node_dominant(const struct sched_node *node, const struct capacity *basis)
{
	double most = 0;
	for (int r = 0; r < RES_COUNT_; r++) {
		double total = basis->v[r] > 0 ? (double)basis->v[r] : 1;
		double share = (double)node->used.v[r] / total;
		most = share > most ? share : most;
	}
	return node->weight > 0 ? most / node->weight : most;
}

bool node_within(const struct sched_node *node, const struct capacity *demand)
{
	bool promised = false;
	for (int r = 0; r < RES_COUNT_; r++) {
		int64_t guaranteed = node->share.guaranteed.v[r];
		promised |= guaranteed > 0;
		if (guaranteed > 0 && node->used.v[r] + demand->v[r] > guaranteed)
			return false;
	}
	return promised;
}

bool node_borrows(const struct sched_node *tenant)
{
	static const struct capacity nothing;
	return tenant->running > 0 && !node_within(tenant, &nothing);
}

bool node_limits(const struct sched_node *node, const struct capacity *demand)
{
	const struct share *share = &node->share;
	for (int r = 0; r < RES_COUNT_; r++) {
		int64_t after = node->used.v[r] + demand->v[r];
		int64_t borrowed = after - share->guaranteed.v[r];
		if (share->most.v[r] >= 0 && after > share->most.v[r])
			return false;
		if (share->borrow_most.v[r] >= 0 && borrowed > share->borrow_most.v[r])
			return false;
	}
	return true;
}

struct capacity node_room(const struct sched_node *tenant, const struct capacity *of)
{
	const struct sched_node *cohort = tenant->parent, *root = cohort->parent;
	struct capacity room = *of;
	for (int r = 0; r < RES_COUNT_; r++)
		room.v[r] -= root->idle.v[r] - cohort->idle.v[r] + cohort->kept.v[r] -
			tenant->kept.v[r];
	return room;
}

void node_protect(struct sched_node *tenant)
{
	const struct share *share = &tenant->share;
	for (int r = 0; r < RES_COUNT_; r++) {
		int64_t guaranteed = share->guaranteed.v[r], lend = share->lend_most.v[r];
		int64_t idle = guaranteed - tenant->used.v[r];
		int64_t kept = lend < 0 ? 0 : guaranteed - lend - tenant->used.v[r];
		idle = idle > 0 ? idle : 0;
		kept = kept > 0 ? kept : 0;
		for (struct sched_node *at = tenant->parent; at; at = at->parent) {
			at->idle.v[r] += idle - tenant->idle.v[r];
			at->kept.v[r] += kept - tenant->kept.v[r];
		}
		tenant->idle.v[r] = idle;
		tenant->kept.v[r] = kept;
	}
}

/* Rounded, so that shares that are as good as equal take turns. */
uint64_t node_share_bits(const struct sched_node *node)
{
	uint64_t bits = 0;
	memcpy(&bits, &node->dominant, sizeof bits);
	return bits & ~(((uint64_t)1 << SHARE_BITS_ROUNDED) - 1);
}

bool node_before(const struct sched_node *a, const struct sched_node *b)
{
	uint64_t share_a = node_share_bits(a), share_b = node_share_bits(b);
	if (share_a != share_b)
		return share_a < share_b;
	if (a->pass < b->pass || a->pass > b->pass)
		return a->pass < b->pass;
	return a->number < b->number;
}

void node_rekey(struct sched_node *node)
{
	node->dominant = node_dominant(node, &node->pool->basis);
	for (struct sched_branch *at = node->branches; at; at = at->next)
		branch_refresh(at);
}

void node_wake(struct sched_node *node)
{
	while (node->parked) {
		struct sched_branch *branch = node->parked;
		node->parked = branch->park_next;
		branch->park_next = branch->park_prev = NULL;
		branch->parked = false;
		branch_place(branch);
	}
}

/* A start moves each node on by what it took of the pool: nodes of equal share take turns by
 * weight. */
static void step(struct sched_node *node, const struct capacity *demand)
{
	struct sched_node whole = { .used = *demand, .weight = node->weight };
	double took = node_dominant(&whole, &node->pool->basis);
	if (node->pass > node->parent->clock)
		node->parent->clock = node->pass;
	node->pass += took > 0 ? took : 1e-9 / (node->weight > 0 ? node->weight : 1);
}

void node_charge(struct sched_node *domain, const struct capacity *demand, int sign)
{
	for (struct sched_node *at = domain; at; at = at->parent)
		capacity_add(&at->used, demand, sign);
	node_protect(domain->parent);
	for (struct sched_node *at = domain; at->parent; at = at->parent) {
		if (sign > 0)
			step(at, demand);
		node_rekey(at);
	}
	if (sign < 0) {
		node_wake(domain);
		node_wake(domain->parent);
	}
}

void node_count(struct sched_node *domain, int waiting, int running)
{
	struct sched_node *tenant = domain->parent, *cohort = tenant->parent;
	bool before = tenant->waiting + tenant->running > 0;
	for (struct sched_node *at = domain; at; at = at->parent) {
		at->waiting += (uint32_t)waiting;
		at->running += (uint32_t)running;
	}
	bool after = tenant->waiting + tenant->running > 0;
	if (before == after)
		return;
	cohort->weight += after ? tenant->weight : -tenant->weight;
	node_rekey(cohort);
}
