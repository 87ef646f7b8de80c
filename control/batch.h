/* batch.h - one store transaction of the journal: built from several changes, committed, and its
 * outcome found out. Used by the journal's own thread alone. */
#ifndef BATCH_H
#define BATCH_H

#include "control/journal.h"

enum { BATCH_CHANGES_MAX = 64, JOURNAL_KEY_MAX = STORE_KEY_MAX };

struct batch_place {
	struct store *store;
	const uint8_t *state_key;
	const char *leader_key;
	int64_t epoch;
	const char *key;             /* of this batch in the journal */
};

/* 0: all changes are durable at ret_revision. E_PRECONDITION: a compare of some change does not
 * hold and nothing happened. E_NOT_LEADER: the leader key is another's; nothing happened and
 * nothing will. E_UNKNOWN_OUTCOME: it may have happened, or happen yet. Others: nothing
 * happened. */
MUST_USE int batch_commit(const struct batch_place *place, struct change *const *changes,
                          size_t count, int64_t *ret_revision, size_t *ret_bytes, struct err *err);

#endif
