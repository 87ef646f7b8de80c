/* replay.h - a part's state from the store: the checkpoint's records, then the journal's after it,
 * in order. Each batch names the one before it, so a hole is found wherever it is. For the journal,
 * which leads then, and for a replica that follows. */
#ifndef REPLAY_H
#define REPLAY_H

#include "control/checkpoint.h"
#include "control/spans.h"

struct replay {
	struct store *store;
	const uint8_t *state_key;
	const char *prefix;          /* the journal's */
	const char *checkpoint_prefix;       /* NULL: there are no checkpoints */
	record_fn *record;
	void *context;
	struct arena *arena;         /* one batch's; reset for each */
	struct position at;          /* the state stands there */
	struct spans spans;          /* the journal's keys that were seen */
	struct checkpoint_head head; /* the one the state began with */
	int64_t revision;            /* of the last listing */
	size_t bytes;                /* of the batches that were applied, as stored */
};

struct checkpoint_place replay_place(const struct replay *replay);       /* to read */
/* at is zeroed, the state empty. E_CORRUPT: a batch is missing. E_CONFLICT: a newer checkpoint was
 * written meanwhile, which only a reader that does not lead can see: begin again. */
MUST_USE int replay_whole(struct replay *replay, struct err *err);
/* What came after at; head is the one in force. E_CONFLICT: some of it is gone already; nothing was
 * applied past the hole. */
MUST_USE int replay_rest(struct replay *replay, struct err *err);
/* Whether a checkpoint in force covers more than the state has. */
MUST_USE int replay_covered(const struct replay *replay, bool *ret_covered, struct err *err);
/* One key of the journal. 1: applied; 0: it is not after at. E_CONFLICT: it is not the next. */
MUST_USE int replay_batch(struct replay *replay, const struct store_item *item, struct err *err);

#endif
