/* journal.h - the group-commit journal: how everything becomes durable, in one order.
 *
 * A change is what must become true together: records for the journal and puts/deletes of
 * resource keys with their compares. Committers queue changes; one thread merges what waits into
 * ONE store transaction: compares the leader key's create_revision and the journal key's
 * absence, puts the journal key (sealed, LZ4, msgpack list with the records of each change) and
 * the resource ops. If a compare of one change fails, the batch is committed one by one, and
 * only that change is refused (E_PRECONDITION). After the store's answer, and before the
 * committer's call returns, `ops.record` is called for each record, in commit order, in the
 * journal's thread. Replay calls it the same way.
 *
 * Every few minutes or megabytes the state is written as a checkpoint (control/checkpoint.h), and
 * the journal before it is deleted: replay is the checkpoint's records, then the journal's. */
#ifndef JOURNAL_H
#define JOURNAL_H

#include "common/clock.h"
#include "common/value.h"
#include "control/position.h"

struct change;
MUST_USE int change_new(struct change **ret_change, struct err *err);
void change_free(struct change *change);
DEFINE_AUTO(change)
struct arena *change_arena(struct change *change);       /* build records here */
MUST_USE int change_record(struct change *change, struct value *record, struct err *err);
/* Sealed with the state key, bound to the resource key. expect: mod_revision, 0 absent, -1 any. */
MUST_USE int change_put(struct change *change, const char *key, const struct value *value,
                        int64_t expect, struct err *err);
MUST_USE int change_delete(struct change *change, const char *key, int64_t expect, struct err *err);
/* Only a compare: the change holds only if the key's mod_revision is still that. */
MUST_USE int change_expect(struct change *change, const char *key, int64_t mod_revision,
                           struct err *err);

/* Commits a change without records by itself, led or not: for hints that no decision rests on.
 * E_PRECONDITION as in journal_commit. */
struct store;
MUST_USE int change_store(struct change *change, struct store *store, const uint8_t *state_key,
                          struct err *err);

typedef int emit_fn(void *context, const struct value *record, struct err *err);

struct journal_ops {
	/* A record that is durable. at_revision: of its transaction. */
	void (*record)(void *context, const struct value *record);
	/* A resource key written or (value NULL) deleted by a change, and its new mod_revision. */
	void (*resource)(void *context, const char *key, const struct value *value,
	                 int64_t revision);
	/* The journal stopped leading by itself (deposed, or an outcome that stays unknown): it
	 * is to be led anew, from another thread. NULL: nobody needs to know. */
	void (*lost)(void *context);
	void *context;
	/* For checkpoints; all NULL: none are made. hold: nothing changes the state until let_go;
	 * a failure: it is not fit to be kept, later perhaps. emit: gives each record that rebuilds
	 * the state, applied to an empty one. Called while it is held, in a forked child that has
	 * this one thread: it takes no lock, and what it changes nobody sees. */
	int (*hold)(void *context, struct err *err);
	int (*emit)(void *context, emit_fn *emit, void *emit_context, struct err *err);
	void (*let_go)(void *context);
};

struct journal;
struct journal_conf {
	struct store *store;
	struct clock *clock;
	const uint8_t *state_key;    /* KEY_BYTES; outlives the journal */
	const char *leader_key;      /* "leader/0" */
	const char *prefix;          /* "journal/0/" */
	int window_ms;               /* longest wait for company; 0: what waits goes at once */
	size_t batch_bytes;          /* packed records of one, before LZ4; 0: 256 KiB */
	size_t queue_max;            /* waiting changes; 0: 4096. More: E_BUSY */
	const char *checkpoint_prefix;       /* "checkpoint/0/"; NULL: there are none */
	int64_t checkpoint_ms;       /* between checkpoints; 0: 5 minutes */
	size_t checkpoint_bytes;     /* of the journal between them; 0: 64 MiB */
	struct journal_ops ops;
};
MUST_USE int journal_new(const struct journal_conf *conf, struct journal **ret_journal,
                         struct err *err);
void journal_free(struct journal *journal);
DEFINE_AUTO(journal)

/* Leads from now on: reads the journal in order (calls ops.record for each, in this thread),
 * then accepts changes under this epoch. 0: leads no more; what waits is refused with
 * E_NOT_LEADER, and no call of ops is under way when it returns. One caller at a time, never
 * from ops. */
MUST_USE int journal_lead(struct journal *journal, int64_t epoch, struct err *err);
/* The same for a state that is whole up to a position (control/follow.h): reads only what came
 * after it. E_CONFLICT: some of that is gone already; empty the state and call journal_lead. */
MUST_USE int journal_lead_from(struct journal *journal, int64_t epoch,
                               const struct position *position, struct err *err);
int64_t journal_epoch(struct journal *journal);          /* 0: does not lead */

/* Blocks until durable and applied. E_NOT_LEADER, E_PRECONDITION, E_BUSY, E_UNAVAILABLE,
 * E_UNKNOWN_OUTCOME (the journal then stops leading and is to be led anew, so that memory never
 * differs from what is stored). A store that is slow to fail is waited for once: what waits behind
 * it ends with it. Takes the change's contents; free it afterwards all the same. */
MUST_USE int journal_commit(struct journal *journal, struct change *change, struct err *err);

/* Writes a checkpoint as soon as it can, whatever was written since the last: before a backup. */
void journal_checkpoint(struct journal *journal);

/* Opens a value that change_put stored (for the catalog's list and watch). */
MUST_USE int journal_open_value(const uint8_t *state_key, const char *key, const uint8_t *sealed,
                                size_t len, struct arena *arena, struct value **ret_value,
                                struct err *err);

struct journal_stats {
	uint64_t commits, changes, records, bytes;
	int64_t last_commit_us;
	uint64_t checkpoints, checkpoints_failed;
	int64_t pause_us, pause_most_us;     /* commits waited for the last image; for any */
	int64_t checkpoint_us;       /* the last one, until all it covers was deleted */
	int64_t checkpoint_records, checkpoint_bytes;    /* of the last one */
	int64_t store_bytes;         /* the whole store after the last one; 0: not known */
};
void journal_stats(struct journal *journal, struct journal_stats *ret_stats);

#endif
