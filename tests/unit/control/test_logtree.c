/* test_logtree.c - a log's tree that keeps one hash of 256: against the tree of all leaves. */
#include "common/defs.h"
#include "control/logtree.h"

#include "common/crypto.h"

#include <criterion/criterion.h>
#include <string.h>

enum { SIZE = 70000 };               /* as in C2SP tlog-tiles' example */

static void leaf_of(uint64_t index, uint8_t out[MERKLE_BYTES])
{
	merkle_leaf(&index, sizeof index, out);
}

static void grow(struct logtree *tree, uint64_t size)
{
	uint8_t leaf[MERKLE_BYTES];
	while (tree->size < size) {
		leaf_of(tree->size, leaf);
		cr_assert_eq(logtree_append(tree, leaf, NULL), 0);
	}
}

static void same_root(const struct merkle_range *a, const struct merkle_range *b)
{
	uint8_t one[MERKLE_BYTES], two[MERKLE_BYTES];
	merkle_root(a, one);
	merkle_root(b, two);
	cr_assert_eq(a->size, b->size);
	cr_assert_arr_eq(one, two, MERKLE_BYTES);
}

Test(logtree, has_the_range_of_all_leaves_at_every_size_and_at_earlier_ones)
{
	struct logtree tree = {0};
	struct merkle_range all = {0}, range;
	uint8_t leaf[MERKLE_BYTES], bundle[TILE_WIDTH][MERKLE_BYTES];
	struct merkle_range at_700 = {0};
	while (tree.size < SIZE) {
		if (tree.size % 97 == 0 || tree.size % 256 < 2) {
			logtree_range(&tree, tree.size, NULL, &range);
			same_root(&range, &all);
		}
		if (tree.size == 700)
			at_700 = all;
		leaf_of(tree.size, leaf);
		cr_assert_eq(merkle_append(&all, leaf, NULL), 0);
		cr_assert_eq(logtree_append(&tree, leaf, NULL), 0);
	}
	for (uint64_t i = 0; i < 700 % 256; i++)
		leaf_of(512 + i, bundle[i]);
	cr_assert_not(logtree_has(&tree, 700));
	logtree_range(&tree, 700, (const uint8_t(*)[MERKLE_BYTES])bundle, &range);
	same_root(&range, &at_700);
	logtree_clear(&tree);
}

Test(logtree, has_the_tiles_that_the_specification_counts_for_70000_entries)
{
	struct logtree tree = {0};
	uint8_t out[TILE_WIDTH][MERKLE_BYTES], leaf[MERKLE_BYTES];
	const struct tile tail = {0, 273, 112}, first = {1, 0, 256}, last = {1, 1, 17};
	const struct tile top = {2, 0, 1}, whole = {0, 272, 256}, wide = {1, 1, 18};
	const struct tile entries = {TILE_ENTRIES, 273, 112};
	grow(&tree, SIZE);
	cr_assert_eq(logtree_tile(&tree, &tail, out[0], NULL), 0);
	leaf_of(SIZE - 1, leaf);
	cr_assert_arr_eq(out[111], leaf, MERKLE_BYTES);
	cr_assert_eq(logtree_tile(&tree, &first, out[0], NULL), 0);
	tile_fold((const uint8_t(*)[MERKLE_BYTES])out, 8, leaf);
	cr_assert_eq(logtree_tile(&tree, &top, out[0], NULL), 0);
	cr_assert_arr_eq(out[0], leaf, MERKLE_BYTES);
	cr_assert_eq(logtree_tile(&tree, &last, out[0], NULL), 0);
	cr_assert_eq(logtree_tile(&tree, &wide, out[0], NULL), E_NOT_FOUND);
	cr_assert_eq(logtree_tile(&tree, &whole, out[0], NULL), E_CONFLICT);
	cr_assert_eq(logtree_tile(&tree, &entries, out[0], NULL), E_CONFLICT);
	logtree_clear(&tree);
}

Test(logtree, takes_a_hash_for_256_events)
{
	struct logtree tree = {0};
	size_t held = 0;
	grow(&tree, SIZE);
	for (int level = 0; level < TILE_LEVELS; level++)
		held += tree.rows[level].count;
	cr_assert_eq(held, SIZE / 256 + SIZE % 256 + SIZE / 65536);
	logtree_clear(&tree);
}

Test(logtree, is_made_again_of_its_nodes_and_goes_on_alike_and_refuses_what_does_not_fit)
{
	struct logtree tree = {0}, again = {0};
	struct merkle_range a, b;
	grow(&tree, SIZE);
	const uint8_t *nodes = tree.rows[1].hashes[0], *tail = tree.rows[0].hashes[0];
	size_t count = tree.rows[1].count;
	cr_assert_eq(logtree_put_nodes(&again, 1, nodes, 32, NULL), E_CORRUPT, "begins later");
	cr_assert_eq(logtree_put_nodes(&again, 0, nodes, 33, NULL), E_CORRUPT);
	cr_assert_eq(logtree_put_nodes(&again, 0, nodes, 100 * 32, NULL), 0);
	cr_assert_eq(logtree_put_tail(&again, SIZE, tail, 112 * 32, NULL), E_CORRUPT, "a hole");
	cr_assert_eq(logtree_put_nodes(&again, 100, nodes + 100 * 32, (count - 100) * 32, NULL), 0);
	cr_assert_eq(logtree_put_tail(&again, SIZE, tail, 111 * 32, NULL), E_CORRUPT);
	cr_assert_eq(logtree_put_tail(&again, SIZE, tail, 112 * 32, NULL), 0);
	grow(&tree, SIZE + 300);
	grow(&again, SIZE + 300);
	logtree_range(&tree, tree.size, NULL, &a);
	logtree_range(&again, again.size, NULL, &b);
	same_root(&a, &b);
	logtree_clear(&tree);
	logtree_clear(&again);
}
