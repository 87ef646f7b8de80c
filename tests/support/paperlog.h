/* paperlog.h - a log for tests, signed by a key that is always the same: its entries, tree and
 * checkpoints, as an installation would have them. */
#ifndef TESTS_SUPPORT_PAPERLOG_H
#define TESTS_SUPPORT_PAPERLOG_H

#include "api/logproof.h"
#include "common/tile.h"

enum { PAPERLOG_MAX = 1200 };

struct paperlog {
	struct note_verifier verifier;
	char verifier_text[NOTE_VERIFIER_MAX];
	uint8_t secret[SIGN_SECRET_BYTES];
	struct arena *arena;
	uint64_t size;
	const char *lines[PAPERLOG_MAX];
};
/* Entries are JSON lines of their number and `salt`. */
void paperlog_open(struct paperlog *log, const char *origin, int seed);
void paperlog_grow(struct paperlog *log, uint64_t size, const char *salt);
void paperlog_close(struct paperlog *log);
/* The signed checkpoint of its first `size` entries; in the log's arena. */
const char *paperlog_checkpoint(const struct paperlog *log, uint64_t size);
/* The proof of an entry in the first `size`. */
void paperlog_prove(const struct paperlog *log, uint64_t index, uint64_t size,
                    struct logproof *ret_proof);
/* A file of the log at that size: "checkpoint", "tile/0/000.p/7", "tile/entries/000.p/7". */
void paperlog_file(const struct paperlog *log, uint64_t size, const char *path, struct buf *out);

#endif
