/* chunked.h - the body of a sealed object: c2sp.org/chunked-encryption.
 *
 * salt 24, commitment 32, then chunks of 16 KiB + 16 tag; the last is shorter than 16 KiB. Key,
 * base nonce and commitment come from HKDF-Expand-SHA-512; a chunk's nonce is the base nonce XOR
 * its number. AES-256-GCM makes it Cobblestone-256; XChaCha20-Poly1305 is the same construction
 * with a nonce of 24 bytes. A chunk is bound to its place, its key to the context, the last to the
 * length. */
#ifndef CHUNKED_H
#define CHUNKED_H

#include "common/buf.h"
#include "common/crypto.h"

enum {
	CHUNK_PLAIN = 16384, CHUNK_SEALED = CHUNK_PLAIN + AEAD_TAG_BYTES,
	CHUNKED_SALT = 24, CHUNKED_COMMITMENT = 32, CHUNKED_HEAD = CHUNKED_SALT + CHUNKED_COMMITMENT
};
#define CHUNKS_MAX ((uint64_t)1 << 38)

/* Seals and opens chunks; from many threads at once. Freed with chunked_release. */
struct chunked {
	enum aead_kind kind;
	struct aead *aead;
	uint8_t base_nonce[AEAD_NONCE_MAX];
};

/* Derives what seals one message. The commitment goes behind the salt. */
MUST_USE int chunked_derive(enum aead_kind kind, const uint8_t key[KEY_BYTES],
			    const uint8_t salt[CHUNKED_SALT], const void *context,
			    size_t context_len, struct chunked *ret_chunked,
			    uint8_t ret_commitment[CHUNKED_COMMITMENT], struct err *err);
/* The same for reading: head is salt and commitment; E_CORRUPT when the commitment is another. */
MUST_USE int chunked_accept(enum aead_kind kind, const uint8_t key[KEY_BYTES],
			    const uint8_t head[CHUNKED_HEAD], const void *context,
			    size_t context_len, struct chunked *ret_chunked, struct err *err);
void chunked_release(struct chunked *chunked);

/* out holds len + AEAD_TAG_BYTES; len is CHUNK_PLAIN but for the last, shorter chunk. */
void chunked_seal_chunk(const struct chunked *chunked, uint64_t chunk, const void *plain,
			size_t len, uint8_t *out);
/* out holds len - AEAD_TAG_BYTES. */
MUST_USE bool chunked_open_chunk(const struct chunked *chunked, uint64_t chunk,
				 const uint8_t *sealed, size_t len, uint8_t *out);

/* Where everything lies in a body of body_len bytes, head included. Offsets count from the body. */
struct chunked_shape {
	uint64_t chunks;        /* at least 1 */
	uint64_t plain_len;
	size_t tail_len;        /* of the last chunk, sealed: 16 .. 16399 */
};
MUST_USE int chunked_measure(uint64_t body_len, struct chunked_shape *ret_shape, struct err *err);
uint64_t chunked_offset(uint64_t chunk);

/* A whole body in memory. Any length of key is accepted and all but KEY_BYTES refused. */
MUST_USE int chunked_open(enum aead_kind kind, const uint8_t *key, size_t key_len,
			  const void *context, size_t context_len, const uint8_t *sealed,
			  size_t len, struct buf *out, struct err *err);

static inline void chunked_cleanup(struct chunked *chunked) { chunked_release(chunked); }
#define AUTO_CHUNKED __attribute__((cleanup(chunked_cleanup))) struct chunked

#endif
