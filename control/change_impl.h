/* change_impl.h - what a change holds, for the journal that commits it. Private to
 * control/journal*.c and change.c. */
#ifndef CHANGE_IMPL_H
#define CHANGE_IMPL_H

#include "control/journal.h"

enum { CHANGE_BYTES_MAX = 900 * 1024, CHANGE_UNPACKED_MAX = 64 * 1024 * 1024 };

enum change_op_kind { CHANGE_PUT, CHANGE_DELETE, CHANGE_EXPECT };

struct change_op {
	enum change_op_kind kind;
	const char *key;             /* in the arena, as all below */
	const struct value *value;   /* CHANGE_PUT */
	int64_t expect;              /* -1: any */
	struct buf sealed;           /* CHANGE_PUT, after change_seal; owned */
};

struct change {
	struct arena *arena;
	struct value *records;       /* list */
	struct change_op *ops;
	size_t op_count, op_cap;
	struct buf packed;           /* the records, after change_seal */
};

/* Packs the records and seals the values: what can fail for a change alone fails here. */
MUST_USE int change_seal(struct change *change, const uint8_t *state_key, struct err *err);
size_t change_bytes(const struct change *change);      /* after change_seal */
size_t change_store_ops(const struct change *change);
/* Whether one of them writes a key the other names: they cannot share a transaction. */
bool change_overlaps(const struct change *a, const struct change *b);
MUST_USE int change_add_to(const struct change *change, struct store_txn *txn, struct err *err);

/* A value's bytes as they are stored: msgpack, LZ4, lockbox under the state key, bound to the
 * key. */
MUST_USE int state_seal(const uint8_t *state_key, const char *key, const void *packed, size_t len,
                        struct buf *out, struct err *err);

#endif
