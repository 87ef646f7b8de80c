/* logtree.c - see logtree.h. Invariant: rows[0].count is size % 256, rows[k].count size / 256^k. */
#include "common/defs.h"
#include "control/logtree.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { ROW_FIRST = 16 };

void logtree_clear(struct logtree *tree)
{
	for (int level = 0; level < TILE_LEVELS; level++)
		free(tree->rows[level].hashes);
	*tree = (struct logtree){ 0 };
}

static int reserve(struct logtree_row *row, struct err *err)
{
	if (row->count < row->cap)
		return 0;
	size_t cap = row->cap ? row->cap * 2 : ROW_FIRST;
	uint8_t (*hashes)[MERKLE_BYTES] = realloc(row->hashes, cap * sizeof *hashes);
	if (!hashes)
		return err_set(err, E_NOMEM, "no memory for an audit log's tree");
	row->hashes = hashes;
	row->cap = cap;
	return 0;
}

/* Goes on with a hash that belongs to a level, and with the roots that are whole by it. */
static void push(struct logtree *tree, int level, const uint8_t hash[MERKLE_BYTES])
{
	uint8_t root[MERKLE_BYTES];
	memcpy(root, hash, MERKLE_BYTES);
	for (; level < TILE_LEVELS; level++) {
		struct logtree_row *row = &tree->rows[level];
		memcpy(row->hashes[row->count++], root, MERKLE_BYTES);
		if (row->count % TILE_WIDTH != 0)
			return;
		tile_fold((const uint8_t(*)[MERKLE_BYTES])row->hashes + row->count - TILE_WIDTH,
		          TILE_HEIGHT, root);
		if (level == 0)
			row->count = 0;
	}
}

int logtree_append(struct logtree *tree, const uint8_t leaf[MERKLE_BYTES], struct err *err)
{
	if ((tree->size + 1) >> MERKLE_DEPTH_MAX)
		return err_set(err, E_TOO_LARGE, "a log holds at most 2^%d entries",
		               MERKLE_DEPTH_MAX);
	for (int level = 0; level < TILE_LEVELS; level++)
		TRY(reserve(&tree->rows[level], err));
	push(tree, 0, leaf);
	tree->size++;
	return 0;
}

/* --- reading --- */

static bool is_tail(const struct logtree *tree, uint64_t bundle)
{
	return bundle == tree->size / TILE_WIDTH;
}

int logtree_tile(const struct logtree *tree, const struct tile *tile, uint8_t *out,
                 struct err *err)
{
	int level = tile->level == TILE_ENTRIES ? 0 : tile->level;
	uint64_t nodes = tree->size >> (TILE_HEIGHT * level);
	uint64_t first = tile->index * TILE_WIDTH;
	if (tile->index >> MERKLE_DEPTH_MAX || first + (uint64_t)tile->width > nodes)
		return err_set(err, E_NOT_FOUND, "a log of %" PRIu64 " entries has no such tile",
		               tree->size);
	if (tile->level == TILE_ENTRIES || (level == 0 && !is_tail(tree, tile->index)))
		return err_set(err, E_CONFLICT, "leaves are not kept");
	memcpy(out, tree->rows[level].hashes + (level == 0 ? 0 : first),
	       (size_t)tile->width * MERKLE_BYTES);
	return 0;
}

bool logtree_has(const struct logtree *tree, uint64_t size)
{
	return size % TILE_WIDTH == 0 || is_tail(tree, size / TILE_WIDTH);
}

void logtree_range(const struct logtree *tree, uint64_t size,
                   const uint8_t (*leaves)[MERKLE_BYTES], struct merkle_range *ret_range)
{
	struct merkle_range range = { .size = size };
	uint64_t from = 0;
	size_t edge = 0;
	REQUIRE(size <= tree->size && (leaves || logtree_has(tree, size)));
	for (int level = MERKLE_DEPTH_MAX - 1; level >= 0; level--) {
		if (!(size >> level & 1))
			continue;
		int row = level / TILE_HEIGHT;
		const uint8_t (*hashes)[MERKLE_BYTES] = (const uint8_t(*)[MERKLE_BYTES])
			tree->rows[row].hashes;
		uint64_t at = from >> (TILE_HEIGHT * row);
		if (row == 0) {
			hashes = leaves ? leaves : hashes;
			at = from % TILE_WIDTH;
		}
		tile_fold(hashes + at, level % TILE_HEIGHT, range.edge[edge++]);
		from += UINT64_C(1) << level;
	}
	*ret_range = range;
}

/* --- from a checkpoint --- */

static int damaged(struct err *err)
{
	return err_set(err, E_CORRUPT, "an audit log's tree is damaged");
}

int logtree_put_nodes(struct logtree *tree, uint64_t from, const void *hashes, size_t len,
                      struct err *err)
{
	const uint8_t (*at)[MERKLE_BYTES] = hashes;
	if (len % MERKLE_BYTES || from != tree->rows[1].count || tree->rows[0].count)
		return damaged(err);
	for (size_t i = 0; i < len / MERKLE_BYTES; i++) {
		for (int level = 1; level < TILE_LEVELS; level++)
			TRY(reserve(&tree->rows[level], err));
		push(tree, 1, at[i]);
		tree->size += TILE_WIDTH;
	}
	return 0;
}

int logtree_put_tail(struct logtree *tree, uint64_t size, const void *hashes, size_t len,
                     struct err *err)
{
	const uint8_t (*at)[MERKLE_BYTES] = hashes;
	if (size % TILE_WIDTH * MERKLE_BYTES != len || size / TILE_WIDTH != tree->rows[1].count ||
	    tree->rows[0].count)
		return damaged(err);
	for (size_t i = 0; i < len / MERKLE_BYTES; i++)
		TRY(logtree_append(tree, at[i], err));
	return 0;
}
