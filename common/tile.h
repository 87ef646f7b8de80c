/* tile.h - a log's Merkle tree as files that never change (C2SP tlog-tiles): tiles of 256 hashes.
 *
 * Tile N of level L holds the roots of 256 whole subtrees of 256^L leaves, from subtree 256 N on; a
 * partial one the first `width` of them, until the log has grown. Entries lie in bundles of 256,
 * each with its length (16 bits, big-endian) before it. Paths: "tile/0/x001/x234/067",
 * "tile/1/000.p/17", "tile/entries/x001/234". Nothing here trusts what it reads: who checks a proof
 * compares it with a signed root. */
#ifndef TILE_H
#define TILE_H

#include "common/buf.h"
#include "common/merkle.h"

enum { TILE_HEIGHT = 8, TILE_WIDTH = 256, TILE_LEVELS = 6, TILE_PATH_MAX = 64,
       TILE_ENTRY_MAX = 65535 };
enum { TILE_ENTRIES = -1 };          /* as a level: the bundle of entries */

struct tile {
	int level;                   /* TILE_ENTRIES, or 0 to TILE_LEVELS - 1 */
	uint64_t index;
	int width;                   /* 1 to TILE_WIDTH */
};
void tile_path(const struct tile *tile, char out[TILE_PATH_MAX]);
/* E_INVALID unless it is exactly what tile_path makes. */
MUST_USE int tile_path_read(const char *path, struct tile *ret_tile, struct err *err);
/* The tile that holds node `node` of that level, as wide as a log of size has it; width 0: the log
 * has no such node. */
struct tile tile_of(int level, uint64_t node, uint64_t size);
/* The root of 2^height hashes; height is TILE_HEIGHT at most. */
void tile_fold(const uint8_t (*hashes)[MERKLE_BYTES], int height, uint8_t out[MERKLE_BYTES]);

/* --- reading --- */

/* tile->width * MERKLE_BYTES of a tile's hashes. E_NOT_FOUND: it is not there. */
typedef int tile_read_fn(void *context, const struct tile *tile, uint8_t *out, struct err *err);
struct tile_reader {
	tile_read_fn *read;
	void *context;
	uint64_t size;               /* of the log */
	struct tile kept[TILE_LEVELS];   /* the last one read of each level; width 0: none */
	uint8_t hashes[TILE_LEVELS][TILE_WIDTH][MERKLE_BYTES];
};
void tile_reader_init(struct tile_reader *reader, uint64_t size, tile_read_fn *read,
                      void *context);
/* For proofs (common/merkle.h) about a log of at most that size: logarithmic many tiles. One thread
 * at a time; borrows the reader. */
struct merkle_source tile_source(struct tile_reader *reader);
/* The range of the whole log: its root, and what appending needs. */
MUST_USE int tile_range(struct tile_reader *reader, struct merkle_range *ret_range,
                        struct err *err);

/* --- writing --- */

/* Makes a tile durable; may be asked for one that is there already, with the same bytes. */
typedef int tile_write_fn(void *context, const struct tile *tile, const uint8_t *hashes,
                          struct err *err);
struct tile_writer {
	tile_write_fn *write;
	void *context;
	uint64_t size;
	uint8_t hashes[TILE_LEVELS][TILE_WIDTH][MERKLE_BYTES];   /* of the last tile, so far */
};
/* Goes on where a log of that size ended, whose partial tiles are read. */
MUST_USE int tile_writer_init(struct tile_writer *writer, uint64_t size, tile_read_fn *read,
                              tile_write_fn *write, void *context, struct err *err);
/* Writes each tile that is whole by it. After a failure the writer is of no use. */
MUST_USE int tile_append(struct tile_writer *writer, const uint8_t leaf[MERKLE_BYTES],
                         struct err *err);
/* Writes the partial ones: from then on a log of writer->size can be read. */
MUST_USE int tile_flush(struct tile_writer *writer, struct err *err);

/* --- entries --- */

/* Appends one to a bundle. E_TOO_LARGE. */
MUST_USE int tile_entry_put(struct buf *bundle, const void *data, size_t len, struct err *err);
/* The entry at *at of a bundle, and past it. False: there are no more, or it ends within one
 * (*at < len then). */
bool tile_entry_next(const uint8_t *bundle, size_t len, size_t *at, const uint8_t **ret_data,
                     size_t *ret_len);

#endif
