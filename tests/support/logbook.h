/* logbook.h - a journal whose state is the list of the numbers that were committed, in order: what
 * a test compares after a replay. With checkpoints. Every function fails the test when it cannot
 * do what it says. */
#ifndef TESTS_SUPPORT_LOGBOOK_H
#define TESTS_SUPPORT_LOGBOOK_H

#include "control/journal.h"

#include "common/crypto.h"

#include <pthread.h>

enum { LOGBOOK_MAX = 200000 };

struct logbook {
	struct store *store;         /* borrowed */
	struct clock *clock;
	struct journal *journal;
	int64_t epoch;
	uint8_t key[KEY_BYTES];
	size_t padding;              /* random bytes in each record, so that pages fill */
	bool unfit;                  /* hold refuses */
	struct err err;
	pthread_mutex_t mutex;       /* guards what follows */
	int64_t *seen;
	size_t count;
	int lost, clears, wholes;
};

/* checkpoint_bytes 0: only when asked. Leads at once. */
struct logbook *logbook_open(struct store *store, size_t checkpoint_bytes);
/* The same without a journal: for a replica that follows. */
struct logbook *logbook_blank(struct store *store);
void logbook_close(struct logbook *book);
int64_t logbook_depose(struct store *store);     /* takes the leader key; its new epoch */

int logbook_commit(struct logbook *book, int64_t n);
/* n, n + 1, ... each in a change of its own. */
void logbook_fill(struct logbook *book, int64_t first, int64_t count);
/* Makes a checkpoint and waits until it is over; true: it is in force. */
bool logbook_checkpoint(struct logbook *book);
/* Empties the state and reads it again under that epoch. */
int logbook_replay(struct logbook *book);
/* Each has the same numbers in the same order. */
void logbook_same(struct logbook *a, struct logbook *b);
/* A new process's replay of the same store has them too. */
void logbook_survives(struct logbook *book);
size_t logbook_count(struct logbook *book);
size_t logbook_keys(struct logbook *book, const char *prefix);   /* in the store */

/* For a follow: context is the logbook. */
void logbook_clear(void *context);
void logbook_record(void *context, const struct value *record);
void logbook_whole(void *context);

#endif
