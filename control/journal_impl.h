/* journal_impl.h - what the parts of the journal share. Private to control/journal*.c. */
#ifndef JOURNAL_IMPL_H
#define JOURNAL_IMPL_H

#include "control/journal.h"
#include "control/keeper.h"

struct pending {                     /* on the stack of the thread in journal_commit */
	struct pending *next;
	struct change *change;
	pthread_cond_t done_cond;
	bool done;
	int rc;
	struct err err;
};

struct journal {
	struct journal_conf conf;
	char *leader_key, *prefix, *checkpoint_prefix;
	struct keeper *keeper;       /* NULL: no checkpoints are made */
	pthread_t thread;
	bool started;
	pthread_mutex_t mutex;       /* guards what follows */
	pthread_cond_t work;         /* something waits, or it ends */
	pthread_cond_t idle;         /* no batch is under way */
	struct pending *first, **last;
	size_t waiting;
	int64_t epoch;
	struct position at;          /* the last durable batch */
	struct spans spans;          /* the keys that a checkpoint is yet to cover */
	bool busy, ending;
	bool keeping;                /* the keeper has a job */
	uint64_t attempt;            /* of the next checkpoint */
	size_t since_bytes;          /* of the journal since the last checkpoint */
	int64_t due_mono_ms;         /* a checkpoint by time; INT64_MAX: there is nothing to keep */
	int64_t retry_mono_ms;       /* none before that: one has failed */
	struct journal_stats stats;
};

int journal_not_leader(struct err *err);
void journal_refuse_waiting(struct journal *journal);    /* mutex held */

/* journal_keep.c */
int journal_keep_start(struct journal *journal, struct err *err);
/* Mutex held on entry and return; let go of between. Takes an image if it is time for one. */
void journal_keep(struct journal *journal);
/* Mutex held: when journal_keep may have something to do. */
int64_t journal_keep_due(const struct journal *journal);
/* Mutex held: bytes more are in the journal. */
void journal_keep_count(struct journal *journal, size_t bytes);
/* Mutex held: it leads from a checkpoint and the journal after it. */
struct replay;
void journal_keep_led(struct journal *journal, const struct replay *replay);

#endif
