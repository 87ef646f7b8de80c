/* merkle.h - Merkle trees of logs (RFC 6962 section 2.1, RFC 9162 section 2.1): SHA-256, a leaf's
 * hash is of 0x00 and its bytes, a node's of 0x01 and its children's. Pure: any thread.
 *
 * A range is all that appending needs: the size, and the roots of the whole subtrees at the right
 * edge, the largest first; as many as size has bits set. Proofs need the leaves' hashes again,
 * which a source gives. */
#ifndef MERKLE_H
#define MERKLE_H

#include "common/err.h"

enum { MERKLE_BYTES = 32, MERKLE_DEPTH_MAX = 48, MERKLE_PROOF_MAX = 2 * MERKLE_DEPTH_MAX };

void merkle_leaf(const void *data, size_t len, uint8_t out[MERKLE_BYTES]);
void merkle_node(const uint8_t left[MERKLE_BYTES], const uint8_t right[MERKLE_BYTES],
                 uint8_t out[MERKLE_BYTES]);

/* Zeroed: of an empty log. */
struct merkle_range {
	uint64_t size;
	uint8_t edge[MERKLE_DEPTH_MAX][MERKLE_BYTES];
};
size_t merkle_edge_count(uint64_t size);
/* E_TOO_LARGE past 2^MERKLE_DEPTH_MAX - 1 leaves. */
MUST_USE int merkle_append(struct merkle_range *range, const uint8_t leaf[MERKLE_BYTES],
                           struct err *err);
void merkle_root(const struct merkle_range *range, uint8_t out[MERKLE_BYTES]);
/* Out of size and the edge's hashes one after the other; E_CORRUPT when they do not match. */
MUST_USE int merkle_range_read(uint64_t size, const void *edge, size_t len,
                               struct merkle_range *ret_range, struct err *err);

/* --- proofs --- */

/* The hash of leaf index, which is below the size that is asked about. */
typedef int merkle_source_fn(void *context, uint64_t index, uint8_t out[MERKLE_BYTES],
                             struct err *err);
/* The root of the whole subtree of 2^level leaves that begins at leaf index * 2^level. */
typedef int merkle_node_fn(void *context, int level, uint64_t index, uint8_t out[MERKLE_BYTES],
                           struct err *err);
struct merkle_source {
	merkle_source_fn *leaf;
	void *context;
	merkle_node_fn *node;        /* instead of leaf, and then leaf is not asked; or NULL */
};
struct merkle_proof {
	size_t count;
	uint8_t hashes[MERKLE_PROOF_MAX][MERKLE_BYTES];
};
/* That leaf index is in the log of that size; E_INVALID: it is not below it. Reads every leaf,
 * or as many nodes as the proof has hashes and some more. */
MUST_USE int merkle_inclusion(const struct merkle_source *source, uint64_t index, uint64_t size,
                              struct merkle_proof *ret_proof, struct err *err);
/* That the log of size is that of old with more behind it; E_INVALID: old is 0 or past size. */
MUST_USE int merkle_consistency(const struct merkle_source *source, uint64_t old, uint64_t size,
                                struct merkle_proof *ret_proof, struct err *err);

MUST_USE bool merkle_is_included(const struct merkle_proof *proof, uint64_t index, uint64_t size,
                                 const uint8_t leaf[MERKLE_BYTES],
                                 const uint8_t root[MERKLE_BYTES]);
MUST_USE bool merkle_is_consistent(const struct merkle_proof *proof, uint64_t old, uint64_t size,
                                   const uint8_t old_root[MERKLE_BYTES],
                                   const uint8_t root[MERKLE_BYTES]);

#endif
