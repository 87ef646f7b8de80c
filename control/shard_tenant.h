/* shard_tenant.h - what a tenant's state (control/tenancy.h) means to the leader's memory: which of
 * its tasks wait, which are to be handed back, and how all of it is forgotten. */
#ifndef SHARD_TENANT_H
#define SHARD_TENANT_H

#include "common/merkle.h"
#include "common/text.h"
#include "control/shard.h"

enum tenant_hold {
	HOLD_NONE,
	HOLD_OWN,                    /* its own tasks wait; the platform's in it go on */
	HOLD_ALL,                    /* those too, and what runs is handed back */
	HOLD_ERASE                   /* only what erases it runs */
};
enum { HELD_WHY_MAX = 480, HELD_NAMES_MAX = 16 };

/* From the catalog's changes; why is the sentence that explain gives. 1: it is another hold than
 * before; 0: the same. E_NOMEM: its tasks may still start (their keys do not open). */
MUST_USE int shard_tenant_hold(struct shard *shard, const char *tenant, enum tenant_hold hold,
                               const char *why, struct err *err);
/* Tenants that are held so that nothing may run, and something does; how many of most. */
size_t shard_tenants_running(struct shard *shard, char names[][NAME_MAX_LEN + 1], size_t most);
/* Whether it is the tenant's, and the hold says that it must not run. */
bool shard_task_held(struct shard *shard, const char *id, const char *tenant);

/* How many of its tasks have not ended, and the ids of those that run (in arena; at most 1000). */
MUST_USE int shard_tenant_unfinished(struct shard *shard, const char *tenant, struct arena *arena,
                                     size_t *ret_count, struct value **ret_running,
                                     struct err *err);
/* What an erasure's certificate says of it: {tasks, runs, auditEvents, idempotencyKeys}. */
struct value *shard_tenant_census(struct shard *shard, struct arena *arena, const char *tenant);

/* The Merkle tree over its audit events, from the event numbered `from` on: 1, or where the tree
 * began when an older version's log went on. */
struct audit_tree {
	struct merkle_range range;
	int64_t from;
};
void shard_audit_tree(struct shard *shard, const char *tenant, struct audit_tree *ret_tree);
/* A tenant that was erased was forgotten since this was asked last: until the next checkpoint the
 * journal names it. */
bool shard_tenant_forgot(struct shard *shard);
/* The workers that have reported reads, now or before: names into list. */
MUST_USE int shard_meter_names(struct shard *shard, struct value *list, struct err *err);

#endif
