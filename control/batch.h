/* batch.h - one store transaction of the journal: built from several changes, committed, and its
 * outcome found out. Used by the journal's own thread alone. */
#ifndef BATCH_H
#define BATCH_H

#include "control/journal.h"

enum {
	BATCH_CHANGES_MAX = 256,
	/* 1: [records...]; 2: [2, [epoch, seq] of the batch before, records...], where records is
	 * a change's list, packed. */
	BATCH_FORMAT = 2
};

struct batch_place {
	struct store *store;
	const uint8_t *state_key;
	const char *leader_key;
	int64_t epoch;
	const char *key;             /* of this batch in the journal */
	struct position after;       /* the batch before it */
	struct clock *clock;         /* bounds how long a lost answer is looked for */
};

/* 0: all changes are durable at ret_revision. E_PRECONDITION: a compare of some change does not
 * hold and nothing happened. E_NOT_LEADER: the leader key is another's; nothing happened and
 * nothing will. E_UNKNOWN_OUTCOME: it may have happened, or happen yet. Others: nothing
 * happened. */
MUST_USE int batch_commit(const struct batch_place *place, struct change *const *changes,
                          size_t count, int64_t *ret_revision, size_t *ret_bytes, struct err *err);

/* What a batch's value holds; borrowed from that. */
struct batch_view {
	int64_t format;
	struct position after;       /* from format 2 on */
	const struct value *list;
	size_t first, count;         /* of the changes in the list */
};
/* From the unpacked value. E_INVALID: of a format that only a newer Freehold reads. */
MUST_USE int batch_read(const struct value *value, struct batch_view *ret_batch, struct err *err);
/* The records of change i, a list. */
MUST_USE int batch_records(const struct batch_view *batch, size_t i, struct arena *arena,
                           const struct value **ret_records, struct err *err);

#endif
