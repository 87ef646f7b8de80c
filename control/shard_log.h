/* shard_log.h - a tenant's audit log in the leader's memory, as a Merkle tree with signed heads:
 * what control/auditlog.h serves proofs out of. A leaf is the hash of an event's line
 * (control/ocsf.h), its index in the log the event's number less that of the first one.
 *
 * A head is a size and a root that were signed and are durable. When its record is applied, and
 * when a checkpoint brings it, the tree is compared with it: a log that does not hold what was
 * signed is forked from then on, and nothing of it is signed any more. Heads are thinned: of the
 * newest 8 all stay, of those before ever fewer (4 in each twice as long stretch), and the first.
 */
#ifndef SHARD_LOG_H
#define SHARD_LOG_H

#include "common/tile.h"
#include "control/shard.h"

/* What stood before this tree: of a log that an older version hashed otherwise. */
struct log_before {
	uint64_t size;               /* 0: nothing */
	int64_t from;                /* number of its first event */
	uint8_t root[MERKLE_BYTES];
};
struct log_state {
	uint64_t size;
	int64_t from;                /* number of the event that is entry 0 */
	uint64_t held;               /* entries from this index on are in memory */
	struct merkle_range range;
	bool erasing;                /* its tenant is: it is signed once more, by that */
	bool forked;
	uint64_t forked_size;        /* of the head that it does not fit */
	struct log_before before;
	uint64_t head_size;          /* of the newest head; 0: there is none */
	int64_t head_at_ms;
	const char *note;            /* of the newest head, in arena; NULL: there is none */
};
/* An empty log where there is none. E_NOMEM. */
MUST_USE int shard_log(struct shard *shard, struct arena *arena, const char *tenant,
                       struct log_state *ret_state, struct err *err);
/* [{size, at, note}], the newest first. */
MUST_USE int shard_log_heads(struct shard *shard, struct arena *arena, const char *tenant,
                             struct value **ret_list, struct err *err);
/* A tile's hashes; E_NOT_FOUND, E_CONFLICT: as logtree_tile. */
MUST_USE int shard_log_tile(struct shard *shard, const char *tenant, const struct tile *tile,
                            uint8_t *out, struct err *err);
/* The events of entries [index, index + count), as they are kept. E_CONFLICT: an older one of them
 * is not in memory; E_NOT_FOUND: the log is shorter. */
MUST_USE int shard_log_events(struct shard *shard, struct arena *arena, const char *tenant,
                              uint64_t index, size_t count, struct value **ret_list,
                              struct err *err);
/* Tenants with events that no head tells of, for max_age_ms or max_behind of them; how many of
 * most. */
struct log_name { char tenant[64]; };
size_t shard_logs_due(struct shard *shard, int64_t now_ms, int64_t max_age_ms, uint64_t max_behind,
                      struct log_name *names, size_t most);
/* Those whose log does not hold what was signed. */
size_t shard_logs_forked(struct shard *shard, struct log_name *names, size_t most);

#endif
