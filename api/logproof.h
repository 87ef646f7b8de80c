/* logproof.h - what proves that an event is in an audit log: a text (C2SP tlog-proof) of the
 * entry's line, its index, the hashes up to the root and the signed checkpoint, which anybody
 * checks with the log's public key alone:
 *
 *   c2sp.org/tlog-proof@v1
 *   extra BASE64             the line
 *   index 73894
 *   BASE64                   a hash a line, from the leaf's sibling up
 *
 *   the checkpoint */
#ifndef LOGPROOF_H
#define LOGPROOF_H

#include "common/arena.h"
#include "common/note.h"

#define LOGPROOF_FIRST_LINE "c2sp.org/tlog-proof@v1"
enum { LOGPROOF_BYTES_MAX = 128 * 1024 };

struct logproof {
	uint64_t index;
	const char *line;            /* NUL-terminated; may hold any byte but is hashed whole */
	size_t line_len;
	struct merkle_proof hashes;
	const char *note;
	size_t note_len;
};
MUST_USE int logproof_print(const struct logproof *proof, struct buf *out, struct err *err);
/* Into arena. E_CORRUPT unless it is exactly what logproof_print makes. */
MUST_USE int logproof_read(struct arena *arena, const char *text, size_t len,
                           struct logproof *ret_proof, struct err *err);
/* A log's checkpoint: signed by the verifier, whose name is the log's origin. ret_checkpoint
 * borrows note. E_CORRUPT. */
MUST_USE int logproof_checkpoint(const struct note_verifier *verifier, const char *note,
                                 size_t len, struct note_checkpoint *ret_checkpoint,
                                 struct err *err);
/* That the line is entry index of the log that the checkpoint was signed of. E_CORRUPT. */
MUST_USE int logproof_verify(const struct note_verifier *verifier, const struct logproof *proof,
                             struct note_checkpoint *ret_checkpoint, struct err *err);

#endif
