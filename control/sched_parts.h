/* sched_parts.h - what the scheduler's files are to each other. Private to control/sched*.c;
 * included by control/sched_impl.h. What is said to reserve takes memory and may fail; nothing
 * else does. */
#ifndef SCHED_PARTS_H
#define SCHED_PARTS_H

#include "control/sched_impl.h"

static inline bool capacity_fits(const struct capacity *what, const struct capacity *into)
{
	for (int r = 0; r < RES_COUNT_; r++)
		if (what->v[r] > 0 && what->v[r] > into->v[r])
			return false;
	return true;
}

static inline void capacity_add(struct capacity *to, const struct capacity *more, int sign)
{
	for (int r = 0; r < RES_COUNT_; r++)
		to->v[r] += sign * more->v[r];
}

static inline struct sched_node *node_up(const struct sched_node *node, enum level level)
{
	while (node->level > level)
		node = node->parent;
	return (struct sched_node *)node;
}

static inline struct sched_branch *tenant_branch(const struct sched_queue *queue)
{
	return queue->branch.parent;
}

static inline bool site_may_hold(const struct sched_site *site, const struct sched_class *class)
{
	return site->fits[class->id / 64] >> class->id % 64 & 1;
}

struct sched_row {                   /* a Share resource: TENANT\nNAME */
	struct hash_node by_name;
	struct sched_node *node;
	struct share share;
	char text[];
};

/* sched_node.c: nodes and what they use */
extern const struct share share_default;
struct sched_pool *pool_find(const struct sched *sched, const char *name);
struct sched_pool *pool_get(struct sched *sched, const char *name);    /* reserves; NULL: none */
void pool_put(struct sched *sched, struct sched_pool *pool);  /* freed when nothing is in it */
struct sched_node *node_find(const struct sched *sched, const char *pool, const char *tenant,
                             const char *domain);
/* Reserves; domain NULL: the tenant's. NULL: no memory, and the pool is put. */
struct sched_node *node_get(struct sched *sched, struct sched_pool *pool, const char *tenant,
                            const char *domain);
struct sched_node *cohort_get(struct sched *sched, struct sched_pool *pool, const char *name);
void node_put(struct sched *sched, struct sched_node *node);  /* and those above it */
void node_charge(struct sched_node *domain, const struct capacity *demand, int sign);
void node_count(struct sched_node *domain, int waiting, int running);
void node_rekey(struct sched_node *node);    /* its use, weight or guarantee is another */
void node_protect(struct sched_node *tenant);        /* its idle and kept amounts anew */
double node_dominant(const struct sched_node *node, const struct capacity *basis);
bool node_within(const struct sched_node *node, const struct capacity *demand);
bool node_borrows(const struct sched_node *tenant);
bool node_limits(const struct sched_node *node, const struct capacity *demand);  /* allow it */
/* What a tenant may take of so much beyond its guaranteed; negative: nothing. */
struct capacity node_room(const struct sched_node *tenant, const struct capacity *of);
bool node_before(const struct sched_node *a, const struct sched_node *b);
uint64_t node_share_bits(const struct sched_node *node);
void node_wake(struct sched_node *node);
void pool_basis(struct sched_pool *pool, int64_t now_ms);

/* sched_branch.c: branches in their heaps */
struct sched_queue *queue_find(const struct sched_class *class, const struct sched_node *domain);
struct sched_queue *queue_get(struct sched_class *class, struct sched_node *domain); /* reserves */
void queue_put(struct sched *sched, struct sched_queue *queue);
bool queue_reserve(struct sched_queue *queue, enum priority priority);
bool branch_move_cohort(struct sched_node *tenant, struct sched_node *cohort);   /* reserves */
void branch_place(struct sched_branch *branch);      /* and those above it */
void branch_refresh(struct sched_branch *branch);    /* whether it is due, and its place */
void branch_park(struct sched_branch *branch, struct sched_node *at);
bool queue_stands(const struct sched_queue *queue);  /* nothing of its path is parked */
struct sched_entry *queue_head(const struct sched_queue *queue);
struct sched_entry *queue_oldest(const struct sched_queue *queue);

/* sched_class.c: shapes, and which workers may hold them */
struct sched_class *class_find(const struct sched *sched, const struct sched_spec *spec);
int class_get(struct sched *sched, struct sched_pool *pool, const struct sched_spec *spec,
              struct sched_class **ret_class, struct err *err);
void class_put(struct sched *sched, struct sched_class *class);
void class_drop(struct sched *sched, struct sched_class *class);
bool class_matches(const struct sched_class *class, const struct sched_site *site);
void class_meets(struct sched_class *class, struct sched_site *site, bool there);
void class_active(struct sched_class *class);        /* in or out of the pool's active ones */
struct label *labels_copy(const struct label *labels, size_t count);
void labels_free(struct label *labels, size_t count);

/* sched_queue.c: entries */
int64_t entry_since(const struct sched_entry *entry);
void entry_start(struct sched *sched, struct sched_entry *entry, struct sched_site *site,
                 int64_t now_ms);
void entry_park_key(struct sched *sched, struct sched_entry *entry);
void sched_tick(struct sched *sched, int64_t now_ms);        /* what time unblocks */

/* sched.c */
struct sched_site *site_find(const struct sched *sched, const char *name);
struct capacity site_rest(const struct sched_site *site);    /* closed: nothing */
void site_charge(struct sched_site *site, const struct capacity *demand, int sign);
void site_keep(struct sched_site *site, struct sched_queue *queue, bool aged);
void site_served(struct sched_site *site);   /* one of what it was kept for has started */
void site_release(struct sched_site *site);
struct sched_cache *cache_get(struct sched *sched, struct sched_pool *pool, const char *name);
void cache_put(struct sched *sched, struct sched_cache *cache);
bool cache_has_room(const struct sched_cache *cache, const struct sched_class *class);

/* sched_preempt.c: when to ask it again; INT64_MAX: nobody asks for anything */
int64_t sched_next_claim_ms(const struct sched *sched);
void entry_spared(struct sched_entry *entry);        /* named to end or not: now it is not */

/* sched_pick.c */
double node_tokens(const struct sched_node *node, int64_t now_ms);
bool path_has_room(const struct sched_queue *queue);

#endif
