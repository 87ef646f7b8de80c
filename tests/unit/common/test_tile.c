/* test_tile.c - the tree out of tiles is the tree out of leaves: roots, proofs, after growth. */
#include "common/defs.h"
#include "common/crypto.h"
#include "common/tile.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TILES_MAX = 2000, LEAVES = 70000 };

/* --- a folder of tiles --- */

struct shelf {
	char path[TILES_MAX][TILE_PATH_MAX];
	uint8_t *hashes[TILES_MAX];
	size_t count;
	int reads, changed;          /* changed: one was written again with other bytes */
};

static struct shelf *shelf;
static struct tile_reader *reader;
static struct tile_writer *writer;
static struct err err;

static void setup(void)
{
	cr_assert_eq(crypto_start(&err), 0);
	shelf = calloc(1, sizeof *shelf);
	reader = calloc(1, sizeof *reader);
	writer = calloc(1, sizeof *writer);
	cr_assert(shelf && reader && writer);
}

static void teardown(void)
{
	for (size_t i = 0; i < shelf->count; i++)
		free(shelf->hashes[i]);
	free(shelf);
	free(reader);
	free(writer);
}
TestSuite(tile, .init = setup, .fini = teardown);

static size_t place_of(const char *path)
{
	size_t i = 0;
	while (i < shelf->count && strcmp(shelf->path[i], path) != 0)
		i++;
	return i;
}

static int read_tile(void *context, const struct tile *tile, uint8_t *out, struct err *error)
{
	char path[TILE_PATH_MAX];
	(void)context;
	tile_path(tile, path);
	size_t i = place_of(path);
	shelf->reads++;
	if (i == shelf->count)
		return err_set(error, E_NOT_FOUND, "no tile %s", path);
	memcpy(out, shelf->hashes[i], (size_t)tile->width * MERKLE_BYTES);
	return 0;
}

static int write_tile(void *context, const struct tile *tile, const uint8_t *hashes,
                      struct err *error)
{
	char path[TILE_PATH_MAX];
	size_t len = (size_t)tile->width * MERKLE_BYTES;
	(void)context;
	(void)error;
	tile_path(tile, path);
	size_t i = place_of(path);
	if (i < shelf->count) {
		shelf->changed += memcmp(shelf->hashes[i], hashes, len) != 0;
		return 0;
	}
	cr_assert_lt(shelf->count, TILES_MAX);
	snprintf(shelf->path[i], TILE_PATH_MAX, "%s", path);
	shelf->hashes[i] = malloc(len);
	memcpy(shelf->hashes[i], hashes, len);
	shelf->count++;
	return 0;
}

/* --- its leaves --- */

static int leaf_of(void *context, uint64_t index, uint8_t out[MERKLE_BYTES], struct err *error)
{
	(void)context;
	(void)error;
	merkle_leaf(&index, sizeof index, out);
	return 0;
}

static void grow(uint64_t from, uint64_t to)
{
	uint8_t leaf[MERKLE_BYTES];
	cr_assert_eq(tile_writer_init(writer, from, read_tile, write_tile, NULL, &err), 0, "%s",
	             err.text);
	for (uint64_t i = from; i < to; i++) {
		leaf_of(NULL, i, leaf, NULL);
		cr_assert_eq(tile_append(writer, leaf, &err), 0, "%s", err.text);
	}
	cr_assert_eq(tile_flush(writer, &err), 0);
}

static struct merkle_range range_of(uint64_t size)
{
	struct merkle_range range = { 0 };
	uint8_t leaf[MERKLE_BYTES];
	for (uint64_t i = 0; i < size; i++) {
		leaf_of(NULL, i, leaf, NULL);
		cr_assert_eq(merkle_append(&range, leaf, &err), 0);
	}
	return range;
}

Test(tile, has_the_paths_of_the_specification)
{
	static const struct {
		struct tile tile;
		const char *path;
	} known[] = {
		{ { 0, 0, 256 }, "tile/0/000" },
		{ { 3, 42, 256 }, "tile/3/042" },
		{ { 0, 1234067, 256 }, "tile/0/x001/x234/067" },
		{ { 1, 0, 17 }, "tile/1/000.p/17" },
		{ { 0, 1234, 8 }, "tile/0/x001/234.p/8" },
		{ { TILE_ENTRIES, 273, 112 }, "tile/entries/273.p/112" },
		{ { TILE_ENTRIES, 1000, 256 }, "tile/entries/x001/000" },
	};
	char path[TILE_PATH_MAX];
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		tile_path(&known[i].tile, path);
		cr_expect_str_eq(path, known[i].path);
	}
}

/* The example of the specification: a log of 70,000 entries. */
Test(tile, is_read_from_its_path_and_from_no_other)
{
	static const char *const good[] = { "tile/0/x001/x234/067", "tile/1/000.p/17",
		                            "tile/entries/x001/234", "tile/5/999", "tile/0/000.p/1",
		                            "tile/0/x001/000.p/255" };
	static const char *const bad[] = { "", "tile", "tile/", "tile/0", "tile/0/", "tile/6/000",
		"tile/00/000", "tile/0/00", "tile/0/0000", "tile/0/x000/001", "tile/0/x001",
		"tile/0/x001/", "tile/0/001/002", "tile/0/000.p/0", "tile/0/000.p/256",
		"tile/0/000.p/017", "tile/0/000.p/", "tile/0/000.p/1/", "tile/-1/000",
		"tile/entries/../000", "/tile/0/000", "tile/0/000 ", "entries/000",
		"tile/0/x999/x999/x999/x999/x999/x999/x999/x999/999" };
	struct tile tile;
	char made[TILE_PATH_MAX];
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		cr_assert_eq(tile_path_read(good[i], &tile, NULL), 0, "%s", good[i]);
		tile_path(&tile, made);
		cr_expect_str_eq(made, good[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_expect_eq(tile_path_read(bad[i], &tile, NULL), E_INVALID, "%s", bad[i]);
}

Test(tile, is_as_wide_as_the_log_has_it)
{
	cr_expect_eq(tile_of(0, 69999, LEAVES).index, 273);
	cr_expect_eq(tile_of(0, 69999, LEAVES).width, 112);
	cr_expect_eq(tile_of(0, 0, LEAVES).width, 256);
	cr_expect_eq(tile_of(1, 272, LEAVES).index, 1);
	cr_expect_eq(tile_of(1, 272, LEAVES).width, 17);
	cr_expect_eq(tile_of(2, 0, LEAVES).width, 1);
	cr_expect_eq(tile_of(1, 273, LEAVES).width, 0);
	cr_expect_eq(tile_of(TILE_ENTRIES, 300, LEAVES).width, 256);
}

Test(tile, gives_the_range_that_the_leaves_give_however_the_log_grew)
{
	static const uint64_t stops[] = { 1, 2, 255, 256, 257, 511, 1000, 65535, 65536, 66000 };
	uint64_t size = 0;
	for (size_t i = 0; i < ARRAY_LEN(stops); i++) {
		struct merkle_range range, wanted = range_of(stops[i]);
		grow(size, stops[i]);
		size = stops[i];
		tile_reader_init(reader, size, read_tile, NULL);
		cr_assert_eq(tile_range(reader, &range, &err), 0, "%s", err.text);
		cr_expect_eq(range.size, size);
		cr_expect_eq(memcmp(range.edge, wanted.edge,
		                    merkle_edge_count(size) * MERKLE_BYTES),
		             0, "size %d", (int)size);
	}
	cr_expect_eq(shelf->changed, 0);
	char path[TILE_PATH_MAX];
	tile_path(&(struct tile){ 2, 0, 1 }, path);
	cr_expect_lt(place_of(path), shelf->count);
}

Test(tile, proves_what_the_leaves_prove)
{
	uint64_t seed = 11;
	grow(0, 1500);
	const struct merkle_source leaves = { .leaf = leaf_of };
	for (int i = 0; i < 60; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		uint64_t size = 1 + (seed >> 33) % 1500, index = (seed >> 20) % size;
		struct merkle_proof proof, wanted;
		grow(0, size);
		tile_reader_init(reader, size, read_tile, NULL);
		struct merkle_source tiles = tile_source(reader);
		cr_assert_eq(merkle_inclusion(&tiles, index, size, &proof, &err), 0, "%s",
		             err.text);
		cr_assert_eq(merkle_inclusion(&leaves, index, size, &wanted, &err), 0);
		cr_expect(proof.count == wanted.count &&
		          memcmp(proof.hashes, wanted.hashes, proof.count * MERKLE_BYTES) == 0);
		cr_assert_eq(merkle_consistency(&tiles, index + 1, size, &proof, &err), 0);
		cr_assert_eq(merkle_consistency(&leaves, index + 1, size, &wanted, &err), 0);
		cr_expect(proof.count == wanted.count &&
		          memcmp(proof.hashes, wanted.hashes, proof.count * MERKLE_BYTES) == 0);
	}
}

Test(tile, needs_few_tiles_for_a_proof_in_a_long_log)
{
	struct merkle_range range;
	struct merkle_proof proof;
	uint8_t leaf[MERKLE_BYTES], root[MERKLE_BYTES];
	grow(0, LEAVES);
	tile_reader_init(reader, LEAVES, read_tile, NULL);
	cr_assert_eq(tile_range(reader, &range, &err), 0, "%s", err.text);
	merkle_root(&range, root);
	shelf->reads = 0;
	struct merkle_source tiles = tile_source(reader);
	cr_assert_eq(merkle_inclusion(&tiles, 12345, LEAVES, &proof, &err), 0, "%s", err.text);
	cr_expect_leq(shelf->reads, 8);
	leaf_of(NULL, 12345, leaf, NULL);
	cr_expect(merkle_is_included(&proof, 12345, LEAVES, leaf, root));
	leaf[3] ^= 1;
	cr_expect_not(merkle_is_included(&proof, 12345, LEAVES, leaf, root));
}

Test(tile, that_is_missing_or_changed_proves_nothing)
{
	struct merkle_proof proof;
	struct merkle_range range = range_of(700);
	uint8_t leaf[MERKLE_BYTES], root[MERKLE_BYTES];
	char path[TILE_PATH_MAX];
	merkle_root(&range, root);
	grow(0, 700);
	tile_reader_init(reader, 700, read_tile, NULL);
	struct merkle_source tiles = tile_source(reader);
	tile_path(&(struct tile){ 0, 1, 256 }, path);
	size_t place = place_of(path);
	shelf->hashes[place][40] ^= 1;
	leaf_of(NULL, 300, leaf, NULL);
	cr_assert_eq(merkle_inclusion(&tiles, 300, 700, &proof, &err), 0);
	cr_expect_not(merkle_is_included(&proof, 300, 700, leaf, root));
	shelf->path[place][0] = '-';
	tile_reader_init(reader, 700, read_tile, NULL);
	cr_expect_eq(merkle_inclusion(&tiles, 300, 700, &proof, &err), E_NOT_FOUND);
	cr_expect_eq(merkle_inclusion(&tiles, 699, 701, &proof, &err), E_INVALID);
}

Test(tile, holds_entries_with_their_lengths)
{
	AUTO_BUF bundle;
	const uint8_t *data = NULL;
	size_t at = 0, len = 0;
	uint8_t *large = calloc(1, TILE_ENTRY_MAX + 1);
	buf_init(&bundle, MIB);
	cr_assert_eq(tile_entry_put(&bundle, "one", 3, &err), 0);
	cr_assert_eq(tile_entry_put(&bundle, "", 0, &err), 0);
	cr_assert_eq(tile_entry_put(&bundle, large, TILE_ENTRY_MAX, &err), 0);
	cr_expect_eq(tile_entry_put(&bundle, large, TILE_ENTRY_MAX + 1, &err), E_TOO_LARGE);
	cr_assert(tile_entry_next(bundle.data, bundle.len, &at, &data, &len));
	cr_expect(len == 3 && memcmp(data, "one", 3) == 0);
	cr_assert(tile_entry_next(bundle.data, bundle.len, &at, &data, &len));
	cr_expect_eq(len, 0);
	size_t last = at;
	cr_assert(tile_entry_next(bundle.data, bundle.len, &at, &data, &len));
	cr_expect_eq(len, TILE_ENTRY_MAX);
	cr_expect_not(tile_entry_next(bundle.data, bundle.len, &at, &data, &len));
	cr_expect_eq(at, bundle.len);
	cr_expect_not(tile_entry_next(bundle.data, bundle.len - 1, &last, &data, &len));
	cr_expect_lt(last, bundle.len - 1);
	free(large);
}
