/* shard_emit.h - the shard's state as records: applied in order to an empty shard (shard_clear,
 * shard_record, shard_ready) they give the same state. What a checkpoint holds; bounded as the
 * shard's memory is. What is not durable is in none: assignments, progress, what is not yet
 * committed. */
#ifndef SHARD_EMIT_H
#define SHARD_EMIT_H

#include "control/journal.h"

struct shard;
/* Between the two nothing changes the shard. E_UNAVAILABLE, holding nothing: it is being replayed,
 * or memory ran out while a record was applied. */
MUST_USE int shard_hold(struct shard *shard, struct err *err);
void shard_let_go(struct shard *shard);
/* While it is held: calls emit with each record. Takes no lock. */
MUST_USE int shard_emit(struct shard *shard, emit_fn *emit, void *context, struct err *err);

#endif
