/* logcheck.h - a log's files (C2SP tlog-tiles) checked with nothing but its public key: the
 * signature of its checkpoint, and that every tile and the root are those of the entries, each of
 * which is hashed again; and that each checkpoint that was kept is of the first entries of it. */
#ifndef LOGCHECK_H
#define LOGCHECK_H

#include "api/logproof.h"
#include "common/tile.h"

enum { LOGCHECK_BUNDLE_MAX = TILE_WIDTH * (TILE_ENTRY_MAX + 2), LOGCHECK_NOTE_MAX = 64 * 1024,
       LOGCHECK_OLDER_MAX = 100000 };

/* Where the files are: appends the bytes of one, at most `most`. E_NOT_FOUND: it is not there. */
struct log_files {
	int (*read)(void *context, const char *path, size_t most, struct buf *out,
	            struct err *err);
	void *context;
};
struct logcheck {
	struct note_verifier verifier;
	const struct log_files *files;
	const char *const *older;    /* checkpoints that were kept, as text */
	size_t older_count;
};
struct logchecked {
	uint64_t size;
	uint8_t root[MERKLE_BYTES];
	size_t older;                /* kept checkpoints that it goes on from */
	uint64_t bytes;              /* of entries */
};
/* E_CORRUPT names the file, or the checkpoint, that does not hold. */
MUST_USE int logcheck(const struct logcheck *check, struct arena *arena,
                      struct logchecked *ret_checked, struct err *err);

/* The checkpoint, its signature verified; ret_note in arena. */
MUST_USE int logcheck_checkpoint(const struct logcheck *check, struct arena *arena,
                                 const char **ret_note, struct note_checkpoint *ret_checkpoint,
                                 struct err *err);
/* One bundle of entries: calls entry for each. E_CORRUPT unless it has just tile->width. */
typedef int log_entry_fn(void *context, const uint8_t *data, size_t len, struct err *err);
MUST_USE int logcheck_entries(const struct log_files *files, const struct tile *tile,
                              struct buf *bundle, log_entry_fn *entry, void *context,
                              struct err *err);
/* For tile_reader_init and tile_writer_init; context: struct log_files. E_CORRUPT: it has not the
 * length of a tile. */
int logcheck_tile(void *context, const struct tile *tile, uint8_t *out, struct err *err);
/* That the log of the later checkpoint is that of the earlier one with more behind it, by some of
 * its tiles. E_CORRUPT: it is another log. */
MUST_USE int logcheck_consistent(const struct log_files *files, const struct note_checkpoint *old,
                                 const struct note_checkpoint *now, struct err *err);

#endif
