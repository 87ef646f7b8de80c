/* merkle.c - see merkle.h. Invariant: edge[i] is the root of a whole subtree whose size is the i-th
 * highest bit of the range's size. Subtrees are computed leaf by leaf through a range of their own,
 * so nothing here needs more memory than one. */
#include "common/defs.h"
#include "common/merkle.h"

#include "common/crypto.h"

#include <inttypes.h>
#include <string.h>

enum { LEAF_PREFIX = 0, NODE_PREFIX = 1 };

/* --- hashes --- */

void merkle_leaf(const void *data, size_t len, uint8_t out[MERKLE_BYTES])
{
	const uint8_t prefix = LEAF_PREFIX;
	sha256_both(&prefix, 1, data, len, out);
}

void merkle_node(const uint8_t left[MERKLE_BYTES], const uint8_t right[MERKLE_BYTES],
                 uint8_t out[MERKLE_BYTES])
{
	uint8_t both[1 + 2 * MERKLE_BYTES] = { NODE_PREFIX };
	memcpy(both + 1, left, MERKLE_BYTES);
	memcpy(both + 1 + MERKLE_BYTES, right, MERKLE_BYTES);
	sha256(both, sizeof both, out);
}

/* --- ranges --- */

size_t merkle_edge_count(uint64_t size)
{
	return (size_t)__builtin_popcountll(size);
}

int merkle_append(struct merkle_range *range, const uint8_t leaf[MERKLE_BYTES], struct err *err)
{
	if (range->size + 1 >= UINT64_C(1) << MERKLE_DEPTH_MAX)
		return err_set(err, E_TOO_LARGE, "a log holds at most 2^%d entries",
		               MERKLE_DEPTH_MAX);
	size_t count = merkle_edge_count(range->size);
	uint8_t hash[MERKLE_BYTES];
	memcpy(hash, leaf, MERKLE_BYTES);
	for (uint64_t bits = range->size; bits & 1; bits >>= 1)
		merkle_node(range->edge[--count], hash, hash);
	memcpy(range->edge[count], hash, MERKLE_BYTES);
	range->size++;
	return 0;
}

void merkle_root(const struct merkle_range *range, uint8_t out[MERKLE_BYTES])
{
	size_t count = merkle_edge_count(range->size);
	if (count == 0) {
		sha256("", 0, out);
		return;
	}
	memcpy(out, range->edge[--count], MERKLE_BYTES);
	while (count > 0)
		merkle_node(range->edge[--count], out, out);
}

int merkle_range_read(uint64_t size, const void *edge, size_t len, struct merkle_range *ret_range,
                      struct err *err)
{
	if (size >> MERKLE_DEPTH_MAX || len != merkle_edge_count(size) * MERKLE_BYTES)
		return err_set(err, E_CORRUPT, "a log of %" PRIu64 " entries has not %zu bytes at "
		               "its edge", size, len);
	*ret_range = (struct merkle_range){ .size = size };
	if (len)
		memcpy(ret_range->edge, edge, len);
	return 0;
}

/* --- proofs, made --- */

/* `from` is a multiple of each of the powers of two that count is the sum of. */
static int subtree_of_nodes(const struct merkle_source *source, uint64_t from, uint64_t count,
                            uint8_t out[MERKLE_BYTES], struct err *err)
{
	struct merkle_range range = { .size = count };
	size_t edge = 0;
	for (int level = MERKLE_DEPTH_MAX - 1; level >= 0; level--) {
		if (!(count >> level & 1))
			continue;
		TRY(source->node(source->context, level, from >> level, range.edge[edge++], err));
		from += UINT64_C(1) << level;
	}
	merkle_root(&range, out);
	return 0;
}

static int subtree(const struct merkle_source *source, uint64_t from, uint64_t count,
                   uint8_t out[MERKLE_BYTES], struct err *err)
{
	struct merkle_range range = { 0 };
	if (source->node)
		return subtree_of_nodes(source, from, count, out, err);
	uint8_t leaf[MERKLE_BYTES];
	for (uint64_t i = 0; i < count; i++) {
		TRY(source->leaf(source->context, from + i, leaf, err));
		TRY(merkle_append(&range, leaf, err));
	}
	merkle_root(&range, out);
	return 0;
}

/* The largest power of two below n, which is 2 or more. */
static uint64_t split(uint64_t n)
{
	return UINT64_C(1) << (63 - __builtin_clzll(n - 1));
}

/* Found from the root down, told from the leaf up. */
static void turn_round(struct merkle_proof *proof)
{
	uint8_t swap[MERKLE_BYTES];
	for (size_t i = 0; i < proof->count / 2; i++) {
		uint8_t *one = proof->hashes[i], *two = proof->hashes[proof->count - 1 - i];
		memcpy(swap, one, MERKLE_BYTES);
		memcpy(one, two, MERKLE_BYTES);
		memcpy(two, swap, MERKLE_BYTES);
	}
}

static bool is_small(uint64_t size)
{
	return size >> MERKLE_DEPTH_MAX == 0;
}

int merkle_inclusion(const struct merkle_source *source, uint64_t index, uint64_t size,
                     struct merkle_proof *ret_proof, struct err *err)
{
	struct merkle_proof proof = { 0 };
	uint64_t from = 0, count = size;
	if (index >= size || !is_small(size))
		return err_set(err, E_INVALID, "a log of %" PRIu64 " entries has none of index %"
		               PRIu64, size, index);
	while (count > 1) {
		uint64_t left = split(count);
		bool goes_left = index - from < left;
		TRY(subtree(source, goes_left ? from + left : from,
		            goes_left ? count - left : left, proof.hashes[proof.count++], err));
		from += goes_left ? 0 : left;
		count = goes_left ? left : count - left;
	}
	turn_round(&proof);
	*ret_proof = proof;
	return 0;
}

int merkle_consistency(const struct merkle_source *source, uint64_t old, uint64_t size,
                       struct merkle_proof *ret_proof, struct err *err)
{
	struct merkle_proof proof = { 0 };
	uint64_t from = 0, count = size, rest = old;
	bool known = true;           /* the subtree is one that the old root is made of alone */
	if (old == 0 || old > size || !is_small(size))
		return err_set(err, E_INVALID, "a log of %" PRIu64 " entries does not follow one "
		               "of %" PRIu64, size, old);
	while (rest != count) {
		uint64_t left = split(count);
		bool goes_left = rest <= left;
		TRY(subtree(source, goes_left ? from + left : from,
		            goes_left ? count - left : left, proof.hashes[proof.count++], err));
		known &= goes_left;
		from += goes_left ? 0 : left;
		rest -= goes_left ? 0 : left;
		count = goes_left ? left : count - left;
	}
	if (!known)
		TRY(subtree(source, from, count, proof.hashes[proof.count++], err));
	turn_round(&proof);
	*ret_proof = proof;
	return 0;
}

/* --- proofs, checked: RFC 9162 sections 2.1.3.2 and 2.1.4.2 --- */

static bool same(const uint8_t *a, const uint8_t *b)
{
	return memcmp(a, b, MERKLE_BYTES) == 0;
}

bool merkle_is_included(const struct merkle_proof *proof, uint64_t index, uint64_t size,
                        const uint8_t leaf[MERKLE_BYTES], const uint8_t root[MERKLE_BYTES])
{
	uint64_t at = index, last = size - 1;
	uint8_t hash[MERKLE_BYTES];
	if (index >= size || proof->count > MERKLE_PROOF_MAX)
		return false;
	memcpy(hash, leaf, MERKLE_BYTES);
	for (size_t i = 0; i < proof->count; i++, at >>= 1, last >>= 1) {
		if (last == 0)
			return false;
		if (!(at & 1) && at != last) {
			merkle_node(hash, proof->hashes[i], hash);
			continue;
		}
		merkle_node(proof->hashes[i], hash, hash);
		for (; !(at & 1) && at; last >>= 1)
			at >>= 1;
	}
	return last == 0 && same(hash, root);
}

/* Both roots at once, from the largest subtree that both have. */
struct climb {
	uint64_t at, last;
	uint8_t old[MERKLE_BYTES], now[MERKLE_BYTES];
};

static bool climb(struct climb *climb, const uint8_t hash[MERKLE_BYTES])
{
	if (climb->last == 0)
		return false;
	if (!(climb->at & 1) && climb->at != climb->last) {
		merkle_node(climb->now, hash, climb->now);
	} else {
		merkle_node(hash, climb->old, climb->old);
		merkle_node(hash, climb->now, climb->now);
		for (; !(climb->at & 1) && climb->at; climb->last >>= 1)
			climb->at >>= 1;
	}
	climb->at >>= 1;
	climb->last >>= 1;
	return true;
}

/* Begins with `first`: the old root, or the proof's first where that is of no whole subtree. */
static bool climb_all(struct climb *both, const struct merkle_proof *proof, size_t first)
{
	size_t i = first;
	for (; both->at & 1; both->last >>= 1)
		both->at >>= 1;
	while (i < proof->count && climb(both, proof->hashes[i]))
		i++;
	return i == proof->count && both->last == 0;
}

bool merkle_is_consistent(const struct merkle_proof *proof, uint64_t old, uint64_t size,
                          const uint8_t old_root[MERKLE_BYTES], const uint8_t root[MERKLE_BYTES])
{
	struct climb both = { .at = old - 1, .last = size - 1 };
	bool whole = (old & (old - 1)) == 0;
	if (old == 0 || old > size || proof->count > MERKLE_PROOF_MAX)
		return false;
	if (old == size || proof->count + whole == 0)
		return old == size && proof->count == 0 && same(old_root, root);
	const uint8_t *first = whole ? old_root : proof->hashes[0];
	memcpy(both.old, first, MERKLE_BYTES);
	memcpy(both.now, first, MERKLE_BYTES);
	return climb_all(&both, proof, whole ? 0 : 1) && same(both.old, old_root) &&
		same(both.now, root);
}
