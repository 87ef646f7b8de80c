/* shard_audit.h - a tenant's audit events in the leader's memory. Private to control/shard*.c;
 * guarded by shard->mutex. */
#ifndef SHARD_AUDIT_H
#define SHARD_AUDIT_H

#include "common/merkle.h"
#include "control/shard.h"

struct account;

struct audit_entry {
	int64_t seq;
	uint64_t actor, action, result;      /* hashes, to pass over most without unpacking */
	uint8_t *packed;
	size_t len;
};
struct audit_ring {
	struct audit_entry *entries;
	size_t cap, first, len;
	int64_t seq;                 /* of the newest */
	/* Over the packed events, in order. Of a log that began before there was a tree only the
	 * later ones: tree.size is less than seq then. */
	struct merkle_range tree;
};

int audit_append(struct shard *shard, struct account *account, const struct value *record,
                 struct err *err);
void audit_clear(struct shard *shard, struct audit_ring *ring);
int audit_restore_tree(struct shard *shard, const struct value *record, struct err *err);

#endif
