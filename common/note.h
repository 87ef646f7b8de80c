/* note.h - signed notes (C2SP signed-note): a text, an empty line, and a line for each signature,
 * "— NAME BASE64", whose bytes are 4 of the key's id and an Ed25519 signature of the text. The
 * id is the start of SHA-256 of NAME, a newline, 0x01 and the public key. And checkpoints of logs
 * (C2SP tlog-checkpoint): a note whose lines are the log's origin, its size and its root. */
#ifndef NOTE_H
#define NOTE_H

#include "common/buf.h"
#include "common/crypto.h"
#include "common/merkle.h"

enum { NOTE_NAME_MAX = 127, NOTE_BYTES_MAX = 1024 * 1024, NOTE_VERIFIER_MAX = 256 };

/* Whose signatures are believed. */
struct note_verifier {
	char name[NOTE_NAME_MAX + 1];
	uint8_t key[SIGN_PUBLIC_BYTES];
};
/* As NAME+ID+KEY (8 hex digits, base64 of 0x01 and the key). E_INVALID: it is none. */
MUST_USE int note_verifier_read(const char *text, struct note_verifier *ret_verifier,
                                struct err *err);
void note_verifier_print(const struct note_verifier *verifier, char out[NOTE_VERIFIER_MAX]);

/* Appends the signed note of text, which ends with a newline. E_INVALID: a name or text that no
 * note can have. */
MUST_USE int note_sign(const char *name, const uint8_t public_key[SIGN_PUBLIC_BYTES],
                       const uint8_t secret_key[SIGN_SECRET_BYTES], const char *text, size_t len,
                       struct buf *out, struct err *err);
/* *ret_len: of the text, its last newline included, at the start of note. E_CORRUPT: it is no
 * note, or not signed by the verifier's key, or what that signed was another text. */
MUST_USE int note_open(const struct note_verifier *verifier, const char *note, size_t len,
                       size_t *ret_len, struct err *err);

/* A checkpoint's text; origin has no newline. */
void note_checkpoint_print(const char *origin, const struct merkle_range *range, struct buf *out);
struct note_checkpoint {
	const char *origin;          /* in the text; origin_len bytes */
	size_t origin_len;
	uint64_t size;
	uint8_t root[MERKLE_BYTES];
};
MUST_USE int note_checkpoint_read(const char *text, size_t len,
                                  struct note_checkpoint *ret_checkpoint, struct err *err);

#endif
