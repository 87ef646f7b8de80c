/* shard_audit.h - a tenant's audit events in the leader's memory. Private to control/shard*.c;
 * guarded by shard->mutex. */
#ifndef SHARD_AUDIT_H
#define SHARD_AUDIT_H

#include "control/logtree.h"
#include "control/shard_log.h"

struct account;

struct audit_entry {
	int64_t seq, at_ms;
	uint64_t actor, action, result;      /* hashes, to pass over most without unpacking */
	uint8_t *packed;
	size_t len;
};
struct kept_head {
	uint64_t number;             /* they are counted from 0 */
	uint64_t size;
	int64_t at_ms;
	uint8_t root[MERKLE_BYTES];
	char *note;
};
struct audit_ring {
	struct audit_entry *entries;
	size_t cap, first, len;
	int64_t seq;                 /* of the newest */
	int64_t stored;              /* number of the newest that is in freehold.audit */
	int64_t store_after_mono_ms; /* storing failed: not before that */
	/* Over the events' lines, in order, from event number tree_from on. */
	struct logtree tree;
	int64_t tree_from;
	struct log_before before;
	struct kept_head *heads;     /* oldest first */
	size_t head_count;
	int64_t waiting_ms;          /* unix: of the first event that no head tells of */
	bool forked;
	uint64_t forked_size;
};

int audit_append(struct shard *shard, struct account *account, const struct value *record,
                 struct err *err);
void audit_clear(struct shard *shard, struct audit_ring *ring);
struct audit_entry *audit_entry_at(const struct audit_ring *ring, size_t i);
/* How many of those in memory are stored as well: the oldest, and they go first. */
size_t audit_stored_count(const struct audit_ring *ring);
void audit_drop_oldest(struct shard *shard, struct audit_ring *ring);

/* shard_log.c: a checkpoint's records, and a head's */
int log_restore(struct shard *shard, const struct value *record, struct err *err);
int log_restore_nodes(struct shard *shard, const struct value *record, struct err *err);
int log_apply_head(struct shard *shard, const struct value *record, struct err *err);
void log_clear(struct audit_ring *ring);
int log_grow(struct audit_ring *ring, const struct value *event, struct err *err);
/* Takes what the arena holds: it is empty afterwards. */
typedef int log_emit_fn(void *context, struct value *record, struct err *err);
int log_emit(struct arena *arena, const char *tenant, const struct audit_ring *ring, int64_t at_ms,
             log_emit_fn *emit, void *context, struct err *err);

#endif
