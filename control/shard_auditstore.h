/* shard_auditstore.h - how audit events get from the leader's memory into the tenant's dataset
 * freehold.audit. Invariant: an event is counted as stored by the outcome of an audit task that
 * names it, and by nothing else; only stored ones leave memory, as long as there is room. */
#ifndef SHARD_AUDITSTORE_H
#define SHARD_AUDITSTORE_H

#include "control/shard.h"

/* Enough of them, or any that are that old. */
struct store_rules { size_t enough; int64_t old_ms; };
struct store_batch { char tenant[64]; int64_t from, to; };      /* numbers; both included */
enum { STORE_MOST = 16, STORE_KEEP = 2000 /* newest that stay in memory though stored */ };

/* A batch of each of at most STORE_MOST tenants without an audit task under way; how many. */
size_t shard_store_due(struct shard *shard, const struct store_rules *rules, int64_t now_ms,
                       struct store_batch batches[STORE_MOST]);
/* The events numbered from to to, as they are kept. E_CONFLICT: one is not in memory. */
MUST_USE int shard_store_events(struct shard *shard, struct arena *arena, const char *tenant,
                                int64_t from, int64_t to, struct value **ret_list,
                                struct err *err);
/* What is not stored yet, and the number of the oldest event in memory (0: none). */
struct store_state { size_t waiting; int64_t oldest, stored; };
void shard_store_state(struct shard *shard, const char *tenant, struct store_state *ret_state);

#endif
