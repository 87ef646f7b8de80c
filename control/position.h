/* position.h - a place in a part's journal, and the key of the batch that is there. Keys sort as
 * positions do: "journal/0/EPOCH-SEQ", both as 16 hex digits. */
#ifndef POSITION_H
#define POSITION_H

#include "common/store.h"

/* Where a state stands: after that batch. Epoch 0: before the first. Within an epoch the batches
 * count from 0 without a hole. */
struct position { int64_t epoch; uint64_t seq; };

enum { JOURNAL_KEY_MAX = STORE_KEY_MAX };

int position_compare(const struct position *a, const struct position *b);    /* as strcmp */
const char *position_key(const char *prefix, const struct position *position,
                         char out[JOURNAL_KEY_MAX]);
/* E_CORRUPT unless the key is exactly what position_key makes. */
MUST_USE int position_read(const char *prefix, const char *key, struct position *ret_position,
                           struct err *err);

#endif
