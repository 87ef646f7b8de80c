/* ledger.h - what must hold of a control plane whatever happened to it, read from the journal
 * itself and compared with what clients were told, what puppets reported and what the leader has in
 * memory. */
#ifndef TESTS_SUPPORT_LEDGER_H
#define TESTS_SUPPORT_LEDGER_H

#include "tests/support/stage.h"

enum { LEDGER_TASKS_MAX = 4096 };

/* A task whose submission was answered with its id. */
struct promised {
	char id[ID_LEN + 1], key[32];
	const char *tenant;
};

/* The first rule that does not hold, as a sentence in arena; NULL: all hold. Every promised task
 * must have ended. companies end with a NULL tenant.
 * - a promised task was accepted once and has one outcome; no task has more;
 * - a report is billed once, to its task, as it was reported; the sum of usage records is the bill;
 * - nothing is reserved any more;
 * - a dataset's current snapshot has the rows of the succeeded attempts, each once (this and what
 * was reported: where puppets worked);
 * - the journal replayed into a fresh shard gives the same tasks, usage and audit. */
const char *ledger_check(struct stage *stage, struct arena *arena, const struct promised *promised,
                         size_t count, const struct company *companies);

#endif
