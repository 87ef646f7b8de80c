/* sched_share.c - the Share resources, put on the nodes they are for. Invariant: a node that a
 * Share is for exists, and has what the Share that was set last says. */
#include "common/defs.h"
#include "control/sched_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { WEIGHT_MAX = 1000000, ROW_KEY_MAX = 256 };

static struct sched_row *row_find(const struct sched *sched, const char *tenant, const char *name)
{
	char text[ROW_KEY_MAX];
	snprintf(text, sizeof text, "%s\n%s", tenant, name);
	struct hash_node *node = hashmap_find(&sched->shares, text);
	return node ? HASH_OWNER(node, struct sched_row, by_name) : NULL;
}

static struct sched_row *row_make(struct sched *sched, const char *tenant, const char *name)
{
	char text[ROW_KEY_MAX];
	snprintf(text, sizeof text, "%s\n%s", tenant, name);
	size_t len = strlen(text) + 1;
	struct sched_row *row = calloc(1, sizeof *row + len);
	if (!row)
		return NULL;
	memcpy(row->text, text, len);
	if (!hashmap_add(&sched->shares, &row->by_name, row->text)) {
		free(row);
		return NULL;
	}
	return row;
}

static void row_free(struct sched *sched, struct sched_row *row)
{
	hashmap_remove(&sched->shares, &row->by_name);
	free(row);
}

/* --- what a share does to its node --- */

/* In or out of the sums of the nodes above it. */
static void count_above(struct sched_node *tenant, int sign)
{
	struct sched_node *cohort = tenant->parent;
	capacity_add(&cohort->used, &tenant->used, sign);
	capacity_add(&cohort->idle, &tenant->idle, sign);
	capacity_add(&cohort->kept, &tenant->kept, sign);
	cohort->waiting += (uint32_t)sign * tenant->waiting;
	cohort->running += (uint32_t)sign * tenant->running;
	if (tenant->waiting + tenant->running > 0)
		cohort->weight += sign * tenant->weight;
}

static bool move_cohort(struct sched *sched, struct sched_node *tenant, struct sched_node *to)
{
	struct sched_node *from = tenant->parent;
	if (from == to)
		return true;
	if (!branch_move_cohort(tenant, to))
		return false;
	count_above(tenant, -1);
	*(tenant->prev ? &tenant->prev->next : &from->first) = tenant->next;
	if (tenant->next)
		tenant->next->prev = tenant->prev;
	tenant->parent = to;
	tenant->prev = NULL;
	tenant->next = to->first;
	if (to->first)
		to->first->prev = tenant;
	to->first = tenant;
	tenant->pass = to->clock;
	count_above(tenant, 1);
	for (struct sched_branch *at = tenant->branches; at; at = at->next)
		branch_place(at);
	node_rekey(from);
	node_rekey(to);
	node_put(sched, from);
	return true;
}

static void put_on(struct sched *sched, struct sched_node *node, const struct share *share)
{
	double weight = (double)share->weight;
	if (node->level == LEVEL_TENANT && node->waiting + node->running > 0)
		node->parent->weight += weight - node->weight;
	node->weight = weight;
	node->share = *share;
	node->tokens = share->starts_per_minute > 0 ? (double)share->starts_per_minute : 0;
	node->tokens_ms = sched->now_ms;
	if (node->timer.place)
		heap_remove(&sched->rates, &node->timer);
	if (node->level == LEVEL_TENANT)
		node_protect(node);
	for (struct sched_node *at = node; at->parent; at = at->parent)
		node_rekey(at);
	node_wake(node);
}

static int check(const struct share *share, struct err *err)
{
	if (share->weight < 1 || share->weight > WEIGHT_MAX)
		return err_set(err, E_INVALID, "weight is %" PRId64 "; it may be 1 to %d",
		               share->weight, WEIGHT_MAX);
	for (int r = 0; r < RES_COUNT_; r++)
		if (share->guaranteed.v[r] < 0 || share->most.v[r] < -1 ||
		    share->borrow_most.v[r] < -1 || share->lend_most.v[r] < -1)
			return err_set(err, E_INVALID, "an amount of a share is below 0; say 0 or "
			               "more, or leave it out");
	if (share->starts_per_minute < -1)
		return err_set(err, E_INVALID, "startsPerMinute is %" PRId64 "; say 0 or more, or "
		               "leave it out", share->starts_per_minute);
	return 0;
}

/* Another share of the node, if there is one, is in force again. */
static void row_leave(struct sched *sched, struct sched_row *row)
{
	struct sched_node *node = row->node;
	const struct sched_row *other = NULL;
	row->node = NULL;
	if (!node)
		return;
	for (size_t i = 0; i < sched->shares.cap && node->pins > 1; i++)
		for (struct hash_node *at = sched->shares.slots[i]; at; at = at->next) {
			const struct sched_row *made = HASH_OWNER(at, struct sched_row, by_name);
			other = made->node == node ? made : other;
		}
	node->pins--;
	sched->rated--;
	put_on(sched, node, other ? &other->share : &share_default);
	if (node->level == LEVEL_TENANT && !other) {
		struct sched_node *cohort = cohort_get(sched, node->pool, NULL);
		if (cohort && !move_cohort(sched, node, cohort))
			node_put(sched, cohort);
	}
	node_put(sched, node);
}

static struct sched_node *node_for(struct sched *sched, const struct share *share)
{
	struct sched_pool *pool = pool_get(sched, share->pool);
	return pool ? node_get(sched, pool, share->tenant, share->domain) : NULL;
}

static int row_enter(struct sched *sched, struct sched_row *row, const struct share *share,
                     struct err *err)
{
	struct sched_node *node = node_for(sched, share), *cohort = NULL;
	if (!node)
		return err_set(err, E_NOMEM, "no memory for a share");
	node->pins++;                        /* so that a move leaves it */
	if (!share->domain)
		cohort = cohort_get(sched, node->pool, share->cohort);
	bool whole = (share->domain || (cohort && move_cohort(sched, node, cohort))) &&
		heap_reserve(&sched->rates, sched->rated + 2);
	if (whole) {
		row_leave(sched, row);
		row->node = node;
		row->share = *share;
		row->share.tenant = row->share.domain = NULL;
		row->share.pool = row->share.cohort = NULL;
		sched->rated++;
		put_on(sched, node, &row->share);
		return 0;
	}
	if (cohort)
		node_put(sched, cohort);
	node->pins--;
	node_put(sched, node);
	return err_set(err, E_NOMEM, "no memory for a share");
}

int sched_share_set(struct sched *sched, const char *name, const struct share *share,
                    struct err *err)
{
	TRY(check(share, err));
	struct sched_row *row = row_find(sched, share->tenant, name);
	bool made = !row;
	if (!row)
		row = row_make(sched, share->tenant, name);
	if (!row)
		return err_set(err, E_NOMEM, "no memory for a share");
	int rc = row_enter(sched, row, share, err);
	if (rc < 0 && made)
		row_free(sched, row);
	return rc;
}

void sched_share_drop(struct sched *sched, const char *tenant, const char *name)
{
	struct sched_row *row = row_find(sched, tenant, name);
	if (!row)
		return;
	row_leave(sched, row);
	row_free(sched, row);
}

/* --- quotas --- */

static void tenant_kick(struct sched_node *tenant)
{
	for (struct sched_node *at = tenant->first; at; at = at->next) {
		if (!at->quota_held)
			continue;
		at->quota_held = false;
		node_wake(at);
	}
}

void sched_kick(struct sched *sched, const char *tenant)
{
	for (struct sched_pool *pool = sched->pools; pool; pool = pool->next) {
		struct sched_node *node =
			tenant ? node_find(sched, pool->root->name, tenant, NULL) : NULL;
		if (node)
			tenant_kick(node);
		for (struct sched_node *cohort = tenant ? NULL : pool->root->first; cohort;
		     cohort = cohort->next)
			for (node = cohort->first; node; node = node->next)
				tenant_kick(node);
	}
}
