/* checkpoint.h - a part's state at one position of its journal, kept in the store, so that what is
 * before that position can be deleted.
 *
 *   checkpoint/0/GENERATION/PAGE   [1, record...], each record packed; sealed as all state is,
 *                                  LZ4, bound to its key; 256 KiB at most unless one record alone
 *                                  has more
 *   checkpoint/0/head              {format, generation: [epoch, n], pages, records, epoch, seq,
 *                                  at}
 *
 * A new generation is written beside the one in force; one transaction on the head puts it in
 * force; then the journal up to (epoch, seq) and older generations are deleted. Each transaction is
 * fenced by the leader key. So a crash anywhere leaves a head whose pages are whole and every batch
 * after it. A generation is (epoch, attempt), which is never used again, and every deletion is of
 * what sorts before the one in force: a write that was given up and arrives late does no harm. */
#ifndef CHECKPOINT_H
#define CHECKPOINT_H

#include "common/value.h"
#include "control/position.h"

enum { CHECKPOINT_FORMAT = 1, CHECKPOINT_PAGE_BYTES = 256 * 1024 };

struct checkpoint_place {
	struct store *store;
	const uint8_t *state_key;
	const char *prefix;          /* "checkpoint/0/" */
	const char *leader_key;      /* to write: every transaction compares it */
	int64_t epoch;
};

struct checkpoint_head {
	struct position generation;  /* of epoch 0: there is no checkpoint */
	int64_t pages, records, at_ms;
	struct position covers;
};

/* --- reading --- */
MUST_USE int checkpoint_head_get(const struct checkpoint_place *place,
                                 struct checkpoint_head *ret_head, struct err *err);
/* Calls record for each, in order. E_CONFLICT: a page is gone, as when a newer checkpoint took its
 * place meanwhile. */
typedef void record_fn(void *context, const struct value *record);
MUST_USE int checkpoint_read(const struct checkpoint_place *place,
                             const struct checkpoint_head *head, record_fn *record, void *context,
                             struct err *err);
/* Of the unpacked values. E_INVALID: of a format that only a newer Freehold reads. */
MUST_USE int checkpoint_head_read(const struct value *value, struct checkpoint_head *ret_head,
                                  struct err *err);
MUST_USE int checkpoint_page_read(const struct value *value, struct arena *arena,
                                  record_fn *record, void *context, struct err *err);

/* --- writing; E_NOT_LEADER when the leader key is another's --- */
struct checkpoint_writer;
/* Of place's epoch; after every generation there was. place's pointers outlive the writer. */
MUST_USE int checkpoint_begin(const struct checkpoint_place *place, uint64_t attempt,
                              struct checkpoint_writer **ret_writer, struct err *err);
MUST_USE int checkpoint_add(struct checkpoint_writer *writer, const void *packed, size_t len,
                            struct err *err);
/* Writes what is left and puts it in force. E_UNKNOWN_OUTCOME: it may be in force or not; nothing
 * is to be deleted then. */
MUST_USE int checkpoint_end(struct checkpoint_writer *writer, const struct position *covers,
                            int64_t at_ms, struct err *err);
/* After that: deletes every older generation. */
MUST_USE int checkpoint_clean(struct checkpoint_writer *writer, struct err *err);
void checkpoint_writer_free(struct checkpoint_writer *writer);
DEFINE_AUTO(checkpoint_writer)
struct checkpoint_stats { int64_t pages, records, bytes; };      /* bytes: as stored */
void checkpoint_stats(const struct checkpoint_writer *writer, struct checkpoint_stats *ret_stats);

/* Commits a transaction that may happen twice, fenced by the place's leader key. */
MUST_USE int checkpoint_commit(const struct checkpoint_place *place, struct store_txn *txn,
                               int64_t *ret_revision, struct err *err);

#endif
