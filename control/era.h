/* era.h - which era of the installation this is. Every restore begins one, on a store whose
 * revisions begin anew: its base is added to all of them (common/store_shift.h), so that leaders'
 * epochs, fencing tokens and ETags go on rising over all eras, whatever the one before did after
 * its backup. The base is the time of the restore in units of 1/1024 ms: no store writes that fast,
 * so it is beyond all that was ever given out. Workers are told the base with each answer, and take
 * no grant and no answer of an era before (api/poll.h). */
#ifndef ERA_H
#define ERA_H

#include "common/crypto.h"
#include "common/store.h"

#define ERA_KEY "era"
#define ERA_UNFINISHED_KEY "era-unfinished"

struct era {
	int64_t base;                /* 0: it was never restored */
	int64_t at_ms;               /* unix: of the restore */
};

/* Zeroes when there is none. E_CONFLICT: a restore into this store was begun and not ended. */
MUST_USE int era_load(struct store *store, const uint8_t state_key[KEY_BYTES],
                       struct era *ret_era, struct err *err);
/* Puts it into a transaction. */
MUST_USE int era_put(struct store_txn *txn, const uint8_t state_key[KEY_BYTES],
                      const struct era *era, struct err *err);
/* Of a restore now: E_PRECONDITION when the clock is before the archive's time or revision. */
MUST_USE int era_begin(int64_t now_ms, int64_t backup_at_ms, int64_t revision,
                        struct era *ret_era, struct err *err);

#endif
