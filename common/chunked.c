/* chunked.c - c2sp.org/chunked-encryption over the AEADs of crypto.h.
 * Invariant: one (key, nonce) pair seals one chunk: the salt is new for every message and the
 * number new for every chunk. */
#include "common/defs.h"
#include "common/chunked.h"

#include <inttypes.h>
#include <string.h>

enum { CONTEXT_MAX = 4096, AEAD_NAME_MAX = 32 };

static const char info_prefix[] = "c2sp.org/chunked-encryption@v1+";

/* The IANA names; XChaCha20-Poly1305 has none there, its draft's name is used. */
static const char *aead_name(enum aead_kind kind)
{
	return kind == AEAD_AES256GCM ? "AEAD_AES_256_GCM" : "AEAD_XCHACHA20_POLY1305";
}

static size_t put(uint8_t *info, size_t at, const void *data, size_t len)
{
	if (len)
		memcpy(info + at, data, len);
	return at + len;
}

/* key || base nonce || commitment, into out. */
static void expand(enum aead_kind kind, const uint8_t key[KEY_BYTES],
		   const uint8_t salt[CHUNKED_SALT], const void *context, size_t context_len,
		   uint8_t *out, size_t out_len)
{
	uint8_t info[sizeof info_prefix + AEAD_NAME_MAX + CHUNKED_SALT + CONTEXT_MAX];
	const char *name = aead_name(kind);
	size_t len = put(info, 0, info_prefix, sizeof info_prefix - 1);
	len = put(info, len, name, strlen(name) + 1);
	len = put(info, len, salt, CHUNKED_SALT);
	len = put(info, len, context, context_len);
	hkdf_sha512_expand(key, KEY_BYTES, info, len, out, out_len);
}

int chunked_derive(enum aead_kind kind, const uint8_t key[KEY_BYTES],
		   const uint8_t salt[CHUNKED_SALT], const void *context, size_t context_len,
		   struct chunked *ret_chunked, uint8_t ret_commitment[CHUNKED_COMMITMENT],
		   struct err *err)
{
	if (context_len > CONTEXT_MAX)
		return err_set(err, E_TOO_LARGE,
			       "an encryption context has at most %d bytes, this one %zu",
			       CONTEXT_MAX, context_len);
	size_t nonce_len = aead_nonce_len(kind);
	AUTO(secret) *derived = NULL;
	TRY(secret_new(KEY_BYTES + nonce_len + CHUNKED_COMMITMENT, &derived, err));
	uint8_t *bytes = secret_data(derived);
	expand(kind, key, salt, context, context_len, bytes, secret_len(derived));
	struct chunked chunked = { .kind = kind };
	TRY(aead_new(kind, bytes, &chunked.aead, err));
	memcpy(chunked.base_nonce, bytes + KEY_BYTES, nonce_len);
	memcpy(ret_commitment, bytes + KEY_BYTES + nonce_len, CHUNKED_COMMITMENT);
	*ret_chunked = chunked;
	return 0;
}

int chunked_accept(enum aead_kind kind, const uint8_t key[KEY_BYTES],
		   const uint8_t head[CHUNKED_HEAD], const void *context, size_t context_len,
		   struct chunked *ret_chunked, struct err *err)
{
	AUTO_CHUNKED chunked = { 0 };
	uint8_t commitment[CHUNKED_COMMITMENT];
	TRY(chunked_derive(kind, key, head, context, context_len, &chunked, commitment, err));
	if (!bytes_equal(commitment, head + CHUNKED_SALT, sizeof commitment))
		return err_set(err, E_CORRUPT,
			       "the key commitment does not match: the object was moved to "
			       "another path, or its salt or commitment was changed");
	*ret_chunked = chunked;
	chunked.aead = NULL;
	return 0;
}

void chunked_release(struct chunked *chunked)
{
	aead_free(chunked->aead);
	chunked->aead = NULL;
}

static void chunk_nonce(const struct chunked *chunked, uint64_t chunk,
			uint8_t nonce[AEAD_NONCE_MAX])
{
	memcpy(nonce, chunked->base_nonce, AEAD_NONCE_MAX);
	for (size_t i = aead_nonce_len(chunked->kind); chunk; chunk >>= 8)
		nonce[--i] ^= (uint8_t)chunk;
}

void chunked_seal_chunk(const struct chunked *chunked, uint64_t chunk, const void *plain,
			size_t len, uint8_t *out)
{
	REQUIRE(chunk < CHUNKS_MAX && len <= CHUNK_PLAIN);
	uint8_t nonce[AEAD_NONCE_MAX];
	chunk_nonce(chunked, chunk, nonce);
	aead_seal(chunked->aead, nonce, NULL, 0, plain, len, out);
}

bool chunked_open_chunk(const struct chunked *chunked, uint64_t chunk, const uint8_t *sealed,
			size_t len, uint8_t *out)
{
	uint8_t nonce[AEAD_NONCE_MAX];
	chunk_nonce(chunked, chunk, nonce);
	return aead_open(chunked->aead, nonce, NULL, 0, sealed, len, out);
}

int chunked_measure(uint64_t body_len, struct chunked_shape *ret_shape, struct err *err)
{
	if (body_len < CHUNKED_HEAD + AEAD_TAG_BYTES)
		return err_set(err, E_CORRUPT,
			       "the sealed body is truncated: it has %" PRIu64 " bytes and "
			       "none is shorter than %d",
			       body_len, CHUNKED_HEAD + AEAD_TAG_BYTES);
	uint64_t rest = body_len - CHUNKED_HEAD;
	uint64_t full = rest / CHUNK_SEALED;
	size_t tail = (size_t)(rest % CHUNK_SEALED);
	if (tail < AEAD_TAG_BYTES)
		return err_set(err, E_CORRUPT,
			       "the sealed body is truncated: after %" PRIu64 " full chunks "
			       "%zu bytes are left, and a last chunk has at least %d",
			       full, tail, AEAD_TAG_BYTES);
	if (full >= CHUNKS_MAX)
		return err_set(err, E_TOO_LARGE,
			       "a sealed body has at most %" PRIu64 " chunks, this one "
			       "%" PRIu64,
			       CHUNKS_MAX, full + 1);
	*ret_shape = (struct chunked_shape){
		.chunks = full + 1,
		.plain_len = full * CHUNK_PLAIN + tail - AEAD_TAG_BYTES,
		.tail_len = tail,
	};
	return 0;
}

uint64_t chunked_offset(uint64_t chunk)
{
	return CHUNKED_HEAD + chunk * CHUNK_SEALED;
}

int chunked_open(enum aead_kind kind, const uint8_t *key, size_t key_len, const void *context,
		 size_t context_len, const uint8_t *sealed, size_t len, struct buf *out,
		 struct err *err)
{
	if (key_len != KEY_BYTES)
		return err_set(err, E_INVALID, "a key has %d bytes, this one %zu", KEY_BYTES,
			       key_len);
	struct chunked_shape shape = { 0 };
	TRY(chunked_measure(len, &shape, err));
	AUTO_CHUNKED chunked = { 0 };
	TRY(chunked_accept(kind, key, sealed, context, context_len, &chunked, err));
	uint8_t *plain = buf_room(out, (size_t)shape.plain_len);
	if (!plain)
		return err_set(err, out->len + shape.plain_len > out->max ? E_TOO_LARGE : E_NOMEM,
			       "%" PRIu64 " opened bytes do not fit into %zu", shape.plain_len,
			       out->max);
	for (uint64_t i = 0; i < shape.chunks; i++) {
		bool last = i + 1 == shape.chunks;
		if (!chunked_open_chunk(&chunked, i, sealed + chunked_offset(i),
					last ? shape.tail_len : CHUNK_SEALED,
					plain + i * CHUNK_PLAIN)) {
			secret_wipe(plain, (size_t)(i * CHUNK_PLAIN));
			return err_set(err, E_CORRUPT,
				       "chunk %" PRIu64 " of %" PRIu64 " does not verify: it "
				       "was changed, or stood elsewhere",
				       i, shape.chunks);
		}
	}
	out->len += (size_t)shape.plain_len;
	return 0;
}
