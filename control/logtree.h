/* logtree.h - the Merkle tree over a tenant's audit events in memory: of its tiles (common/tile.h)
 * all hashes but those of level 0 whose 256 are whole, which are made again out of 256 events. So
 * it takes 32 bytes for each 256 events, and 1/256 of that, and the last 255 leaves: 1.25 MB for
 * 10,000,000 events. */
#ifndef LOGTREE_H
#define LOGTREE_H

#include "common/tile.h"

/* Zeroed: of an empty log. */
struct logtree {
	uint64_t size;
	/* [0]: leaves after the last whole 256 of them; [k]: roots of each whole 256^k. */
	struct logtree_row {
		uint8_t (*hashes)[MERKLE_BYTES];
		size_t count, cap;
	} rows[TILE_LEVELS];
};
void logtree_clear(struct logtree *tree);        /* frees all */
/* A failure changes nothing. */
MUST_USE int logtree_append(struct logtree *tree, const uint8_t leaf[MERKLE_BYTES],
                            struct err *err);

/* The hashes of a tile that a log of this size or a smaller one has. E_NOT_FOUND: it has not;
 * E_CONFLICT: it is of leaves that are not kept here. */
MUST_USE int logtree_tile(const struct logtree *tree, const struct tile *tile, uint8_t *out,
                          struct err *err);
/* The range of the first `size` leaves. leaves: the last size % 256 of these, which are not needed
 * where logtree_has says so, and then may be NULL. */
bool logtree_has(const struct logtree *tree, uint64_t size);
void logtree_range(const struct logtree *tree, uint64_t size,
                   const uint8_t (*leaves)[MERKLE_BYTES], struct merkle_range *ret_range);

/* From a checkpoint: row 1 is put in order, piece by piece, then the leaves after it. E_CORRUPT. */
MUST_USE int logtree_put_nodes(struct logtree *tree, uint64_t from, const void *hashes, size_t len,
                               struct err *err);
MUST_USE int logtree_put_tail(struct logtree *tree, uint64_t size, const void *hashes, size_t len,
                              struct err *err);

#endif
