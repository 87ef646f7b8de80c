/* paperlog.c - see paperlog.h. Tiles are folded out of leaves here, apart from the code under test
 * that writes them. */
#include "common/defs.h"
#include "tests/support/paperlog.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

void paperlog_open(struct paperlog *log, const char *origin, int seed)
{
	const uint8_t bytes[32] = {(uint8_t)seed, 7};
	memset(log, 0, sizeof *log);
	cr_assert_eq(crypto_start(NULL), 0);
	cr_assert_eq(arena_new(256 * MIB, &log->arena, NULL), 0);
	snprintf(log->verifier.name, sizeof log->verifier.name, "%s", origin);
	sign_keypair_from(bytes, log->verifier.key, log->secret);
	note_verifier_print(&log->verifier, log->verifier_text);
}

void paperlog_grow(struct paperlog *log, uint64_t size, const char *salt)
{
	cr_assert_leq(size, (uint64_t)PAPERLOG_MAX);
	for (; log->size < size; log->size++)
		log->lines[log->size] = arena_printf(log->arena, "{\"n\":%d,\"%s\":1}",
		                                     (int)log->size, salt);
}

void paperlog_close(struct paperlog *log)
{
	arena_free(log->arena);
}

static int leaf_of(void *context, uint64_t index, uint8_t out[MERKLE_BYTES], struct err *err)
{
	const struct paperlog *log = context;
	(void)err;
	merkle_leaf(log->lines[index], strlen(log->lines[index]), out);
	return 0;
}

static void range_of(const struct paperlog *log, uint64_t from, uint64_t count,
                     struct merkle_range *range)
{
	uint8_t leaf[MERKLE_BYTES];
	*range = (struct merkle_range){0};
	for (uint64_t i = from; i < from + count; i++) {
		cr_assert_eq(leaf_of((void *)(uintptr_t)log, i, leaf, NULL), 0);
		cr_assert_eq(merkle_append(range, leaf, NULL), 0);
	}
}

const char *paperlog_checkpoint(const struct paperlog *log, uint64_t size)
{
	struct merkle_range range;
	AUTO_BUF text, note;
	buf_init(&text, KIB);
	buf_init(&note, 4 * KIB);
	range_of(log, 0, size, &range);
	note_checkpoint_print(log->verifier.name, &range, &text);
	cr_assert_eq(note_sign(log->verifier.name, log->verifier.key, log->secret,
	                       (const char *)text.data, text.len, &note, NULL), 0);
	cr_assert_eq(buf_check(&note, NULL), 0);
	return arena_strdup(log->arena, (const char *)note.data);
}

void paperlog_prove(const struct paperlog *log, uint64_t index, uint64_t size,
                    struct logproof *ret_proof)
{
	const struct merkle_source source = {.leaf = leaf_of, .context = (void *)(uintptr_t)log};
	const char *note = paperlog_checkpoint(log, size);
	*ret_proof = (struct logproof){.index = index, .line = log->lines[index],
	                               .line_len = strlen(log->lines[index]), .note = note,
	                               .note_len = strlen(note)};
	cr_assert_eq(merkle_inclusion(&source, index, size, &ret_proof->hashes, NULL), 0);
}

void paperlog_file(const struct paperlog *log, uint64_t size, const char *path, struct buf *out)
{
	struct tile tile;
	if (strcmp(path, "checkpoint") == 0) {
		buf_puts(out, paperlog_checkpoint(log, size));
		return;
	}
	cr_assert_eq(tile_path_read(path, &tile, NULL), 0, "%s", path);
	for (uint64_t i = 0; i < (uint64_t)tile.width; i++) {
		uint64_t node = tile.index * TILE_WIDTH + i, span = 1;
		struct merkle_range range;
		uint8_t hash[MERKLE_BYTES];
		if (tile.level == TILE_ENTRIES) {
			cr_assert_eq(tile_entry_put(out, log->lines[node],
			                            strlen(log->lines[node]), NULL), 0);
			continue;
		}
		span <<= TILE_HEIGHT * tile.level;
		range_of(log, node * span, span, &range);
		merkle_root(&range, hash);
		buf_put(out, hash, sizeof hash);
	}
}
