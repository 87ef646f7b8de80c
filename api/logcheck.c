/* logcheck.c - see logcheck.h. One pass over the entries, whose tree is made again beside the
 * files: nothing that is read is believed, only compared. */
#include "common/defs.h"
#include "api/logcheck.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct older {
	uint64_t size;
	uint8_t root[MERKLE_BYTES];
};
struct checking {
	const struct logcheck *check;
	struct tile_writer *writer;
	struct merkle_range range;
	struct older *older;         /* in order of size */
	size_t older_count, older_next;
	struct note_checkpoint now;  /* whose root is compared when all tiles have been */
	uint64_t bytes;
};

/* --- files --- */

int logcheck_checkpoint(const struct logcheck *check, struct arena *arena, const char **ret_note,
                        struct note_checkpoint *ret_checkpoint, struct err *err)
{
	AUTO_BUF note;
	buf_init(&note, LOGCHECK_NOTE_MAX);
	TRY(check->files->read(check->files->context, "checkpoint", LOGCHECK_NOTE_MAX, &note, err));
	TRY(buf_check(&note, err));
	const char *text = arena_strndup(arena, (const char *)note.data, note.len);
	if (!text)
		return err_set(err, E_NOMEM, "no memory for a checkpoint");
	if (logproof_checkpoint(&check->verifier, text, note.len, ret_checkpoint, err) < 0)
		return err_prefix(err, "checkpoint");
	*ret_note = text;
	return 0;
}

int logcheck_entries(const struct log_files *files, const struct tile *tile, struct buf *bundle,
                     log_entry_fn *entry, void *context, struct err *err)
{
	char path[TILE_PATH_MAX];
	const uint8_t *data = NULL;
	size_t at = 0, len = 0;
	int count = 0;
	tile_path(tile, path);
	buf_clear(bundle);
	TRY(files->read(files->context, path, LOGCHECK_BUNDLE_MAX, bundle, err));
	TRY(buf_check(bundle, err));
	for (; count < tile->width && tile_entry_next(bundle->data, bundle->len, &at, &data, &len);
	     count++)
		TRY(entry(context, data, len, err));
	if (count == tile->width && at == bundle->len)
		return 0;
	return err_set(err, E_CORRUPT, "%s: it does not hold %d entries and nothing else: some "
	               "were dropped or added, or it was cut", path, tile->width);
}

int logcheck_tile(void *context, const struct tile *tile, uint8_t *out, struct err *err)
{
	const struct log_files *files = context;
	size_t len = (size_t)tile->width * MERKLE_BYTES;
	char path[TILE_PATH_MAX];
	AUTO_BUF bytes;
	tile_path(tile, path);
	buf_init(&bytes, TILE_WIDTH * MERKLE_BYTES + 1);
	TRY(files->read(files->context, path, len + 1, &bytes, err));
	TRY(buf_check(&bytes, err));
	if (bytes.len != len)
		return err_set(err, E_CORRUPT, "%s: it has %zu bytes, not the %zu of %d hashes",
		               path, bytes.len, len, tile->width);
	memcpy(out, bytes.data, len);
	return 0;
}

/* A tile that the entries make: the file must be the same. */
static int compare_tile(void *context, const struct tile *tile, const uint8_t *hashes,
                        struct err *err)
{
	const struct checking *checking = context;
	uint8_t own[TILE_WIDTH * MERKLE_BYTES];
	char path[TILE_PATH_MAX];
	TRY(logcheck_tile((void *)(uintptr_t)checking->check->files, tile, own, err));
	if (bytes_equal(own, hashes, (size_t)tile->width * MERKLE_BYTES))
		return 0;
	tile_path(tile, path);
	return err_set(err, E_CORRUPT, "%s: it is not the tile of the entries: it was changed, or "
	               "one of them was", path);
}

static int no_tiles(void *context, const struct tile *tile, uint8_t *out, struct err *err)
{
	(void)context, (void)tile, (void)out;
	return err_set(err, E_INTERNAL, "an empty log has no tile");
}

/* --- checkpoints that were kept --- */

static int by_size(const void *a, const void *b)
{
	uint64_t one = ((const struct older *)a)->size, two = ((const struct older *)b)->size;
	return one < two ? -1 : one > two;
}

static int read_older(struct checking *checking, struct arena *arena, struct err *err)
{
	const struct logcheck *check = checking->check;
	size_t count = check->older_count;
	if (count > LOGCHECK_OLDER_MAX)
		return err_set(err, E_TOO_LARGE, "%zu kept checkpoints are given; %d are read at "
		               "most", count, LOGCHECK_OLDER_MAX);
	checking->older = arena_alloc(arena, (count + 1) * sizeof *checking->older);
	if (!checking->older)
		return err_set(err, E_NOMEM, "no memory for checkpoints");
	for (size_t i = 0; i < count; i++) {
		struct note_checkpoint one;
		if (logproof_checkpoint(&check->verifier, check->older[i], strlen(check->older[i]),
		                        &one, err) < 0)
			return err_prefix(err, "a checkpoint that was kept");
		checking->older[i].size = one.size;
		memcpy(checking->older[i].root, one.root, MERKLE_BYTES);
	}
	qsort(checking->older, count, sizeof *checking->older, by_size);
	checking->older_count = count;
	return 0;
}

static int check_end(const struct checking *checking, uint64_t size, struct err *err)
{
	if (checking->older_count == 0)
		return 0;
	const struct older *last = &checking->older[checking->older_count - 1];
	if (last->size <= size)
		return 0;
	return err_set(err, E_CORRUPT, "checkpoint: it is of %" PRIu64 " entries, but one of %"
	               PRIu64 " was signed before: the log was taken back", size, last->size);
}

/* Those of the size that the tree has just now. */
static int check_older(struct checking *checking, struct err *err)
{
	uint8_t root[MERKLE_BYTES];
	bool known = false;
	while (checking->older_next < checking->older_count &&
	       checking->older[checking->older_next].size == checking->range.size) {
		const struct older *older = &checking->older[checking->older_next++];
		if (older->size == checking->now.size &&
		    memcmp(older->root, checking->now.root, MERKLE_BYTES) == 0)
			continue;
		if (!known)
			merkle_root(&checking->range, root);
		known = true;
		if (memcmp(root, older->root, MERKLE_BYTES) != 0)
			return err_set(err, E_CORRUPT, "the first %" PRIu64 " entries are not "
			               "those of the checkpoint that was kept: they were "
			               "changed, or the log is forked", older->size);
	}
	return 0;
}

/* --- the pass --- */

static int take_entry(void *context, const uint8_t *data, size_t len, struct err *err)
{
	struct checking *checking = context;
	uint8_t leaf[MERKLE_BYTES];
	merkle_leaf(data, len, leaf);
	checking->bytes += len;
	TRY(tile_append(checking->writer, leaf, err));
	TRY(merkle_append(&checking->range, leaf, err));
	return check_older(checking, err);
}

static int take_all(struct checking *checking, uint64_t size, struct err *err)
{
	AUTO_BUF bundle;
	buf_init(&bundle, LOGCHECK_BUNDLE_MAX);
	TRY(check_older(checking, err));
	for (uint64_t index = 0; index < size; index += TILE_WIDTH) {
		const struct tile tile = tile_of(TILE_ENTRIES, index, size);
		TRY(logcheck_entries(checking->check->files, &tile, &bundle, take_entry, checking,
		                     err));
	}
	return tile_flush(checking->writer, err);
}

int logcheck(const struct logcheck *check, struct arena *arena, struct logchecked *ret_checked,
             struct err *err)
{
	struct checking checking = { .check = check };
	struct note_checkpoint checkpoint;
	struct logchecked checked = { 0 };
	const char *note = NULL;
	TRY(logcheck_checkpoint(check, arena, &note, &checkpoint, err));
	checking.now = checkpoint;
	TRY(read_older(&checking, arena, err));
	TRY(check_end(&checking, checkpoint.size, err));
	checking.writer = arena_alloc(arena, sizeof *checking.writer);
	if (!checking.writer)
		return err_set(err, E_NOMEM, "no memory for a log's tiles");
	TRY(tile_writer_init(checking.writer, 0, no_tiles, compare_tile, &checking, err));
	TRY(take_all(&checking, checkpoint.size, err));
	merkle_root(&checking.range, checked.root);
	if (memcmp(checked.root, checkpoint.root, MERKLE_BYTES) != 0)
		return err_set(err, E_CORRUPT, "the entries are not those that the checkpoint was "
		               "signed of");
	checked.size = checkpoint.size;
	checked.older = checking.older_count;
	checked.bytes = checking.bytes;
	*ret_checked = checked;
	return 0;
}

/* --- two checkpoints --- */

static int forked(const struct note_checkpoint *old, const struct note_checkpoint *now,
                  struct err *err)
{
	return err_set(err, E_CORRUPT, "the log of %" PRIu64 " entries does not go on from the one "
	               "of %" PRIu64 " that was signed before: it is forked", now->size,
	               old->size);
}

int logcheck_consistent(const struct log_files *files, const struct note_checkpoint *old,
                        const struct note_checkpoint *now, struct err *err)
{
	struct merkle_proof proof = { 0 };
	if (old->size > now->size)
		return err_set(err, E_CORRUPT, "the checkpoint is of %" PRIu64 " entries, but one "
		               "of %" PRIu64 " was signed before: the log was taken back",
		               now->size, old->size);
	if (old->size == 0)
		return 0;
	struct tile_reader *reader = calloc(1, sizeof *reader);
	if (!reader)
		return err_set(err, E_NOMEM, "no memory for a log's tiles");
	tile_reader_init(reader, now->size, logcheck_tile, (void *)(uintptr_t)files);
	const struct merkle_source source = tile_source(reader);
	int rc = old->size == now->size ? 0
		: merkle_consistency(&source, old->size, now->size, &proof, err);
	free(reader);
	TRY(rc);
	return merkle_is_consistent(&proof, old->size, now->size, old->root, now->root)
		? 0 : forked(old, now, err);
}
