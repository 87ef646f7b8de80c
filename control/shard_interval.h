/* shard_interval.h - the ledgers of a shard's schedules, under its mutex. What they are:
 * control/interval.h. */
#ifndef SHARD_INTERVAL_H
#define SHARD_INTERVAL_H

#include "control/interval.h"
#include "control/shard.h"

/* book_claim; E_UNAVAILABLE while the journal is replayed. */
MUST_USE int shard_interval_claim(struct shard *shard, const struct claim *claim,
                                  struct change *change, struct err *err);
void shard_interval_withdraw(struct shard *shard, const char *id);
MUST_USE int shard_interval_view(struct shard *shard, struct arena *arena, const char *uid,
                                 const char *own, int64_t from_ms, int64_t to_ms,
                                 struct view *ret_view, struct err *err);
struct value *shard_interval_running(struct shard *shard, struct arena *arena, const char *uid,
                                     const char *backfill);
/* Whether an interval has ended since the last time this was true: cheap, for after each record. */
bool shard_interval_moved(struct shard *shard);
bool shard_interval_take_moved(struct shard *shard, char uid[ID_LEN + 1]);
/* Adds the record by which a deleted schedule's or backfill's ledger goes. */
MUST_USE int interval_forget(struct change *change, const char *uid, int64_t now_ms,
                             struct err *err);

#endif
