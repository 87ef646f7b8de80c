/* crypto.h - the only door to libsodium: primitives, secret memory, random bytes.
 * Sources: RFC 5869 (HKDF), RFC 8032 (Ed25519), NIST SP 800-38D (AES-GCM),
 * draft-irtf-cfrg-xchacha (XChaCha20-Poly1305), RFC 7693 (BLAKE2b). */
#ifndef CRYPTO_H
#define CRYPTO_H

#include "common/err.h"

enum {
	KEY_BYTES = 32,
	DIGEST_BYTES = 32,
	SIGN_PUBLIC_BYTES = 32,
	SIGN_SECRET_BYTES = 64,
	SIGNATURE_BYTES = 64,
	BOX_PUBLIC_BYTES = 32,
	BOX_SECRET_BYTES = 32,
	BOX_OVERHEAD = 48,
	AEAD_TAG_BYTES = 16,
	AEAD_NONCE_MAX = 24,
	LOCKBOX_OVERHEAD = 1 + 24 + 16
};

/* Once per process, before anything else here; also turns core dumps off (PR_SET_DUMPABLE 0,
 * RLIMIT_CORE 0) and empties those that are forced (coredump_filter). Safe to call again. */
MUST_USE int crypto_start(struct err *err);

/* Secret memory: guarded, locked, left out of core dumps, zeroed when freed (sodium_malloc).
 * E_RESOURCES names RLIMIT_MEMLOCK when it cannot be locked. */
struct secret;
MUST_USE int secret_new(size_t len, struct secret **ret_secret, struct err *err); /* zeroed */
MUST_USE int secret_copy(const void *data, size_t len, struct secret **ret_secret, struct err *err);
MUST_USE int secret_random(size_t len, struct secret **ret_secret, struct err *err);
void secret_free(struct secret *secret); /* accepts NULL */
uint8_t *secret_data(struct secret *secret);
const uint8_t *secret_bytes(const struct secret *secret);
size_t secret_len(const struct secret *secret);
DEFINE_AUTO(secret)
void secret_wipe(void *data, size_t len); /* not optimised away */
/* The stack below the caller, 64 KiB of it: where key material was spilled by what it called. */
void secret_wipe_stack(void);

void random_bytes(void *out, size_t len);
bool bytes_equal(const void *a, const void *b, size_t len); /* constant time */

void digest(const void *data, size_t len, uint8_t out[DIGEST_BYTES]); /* BLAKE2b-256 */
void digest_keyed(const uint8_t key[KEY_BYTES], const void *data, size_t len,
                  uint8_t out[DIGEST_BYTES]);
/* The same over pieces, one behind the other. */
struct digest_piece { const void *data; size_t len; };
void digest_keyed_pieces(const uint8_t key[KEY_BYTES], const struct digest_piece *pieces,
                         size_t count, uint8_t out[DIGEST_BYTES]);
/* SipHash-2-4 under a key that is this process's alone (AT_RANDOM): for tables that strangers fill,
 * never for what is stored. The tweak sets one use apart from another. */
uint64_t hash_short(uint64_t tweak, const void *data, size_t len);
/* The same for who has fetched the key before, which is half the work. */
struct hash_key { uint64_t words[2]; };
struct hash_key hash_key_of_process(void);
uint64_t hash_short_by(const struct hash_key *key, uint64_t tweak, const void *data, size_t len);
void sha256(const void *data, size_t len, uint8_t out[32]);
/* Of head and then data. */
void sha256_both(const void *head, size_t head_len, const void *data, size_t len, uint8_t out[32]);
void hmac_sha256(const void *key, size_t key_len, const void *data, size_t len, uint8_t out[32]);
void hmac_sha512(const void *key, size_t key_len, const void *data, size_t len, uint8_t out[64]);
/* HKDF with SHA-512: out_len at most 255 * 64. */
void hkdf_sha512(const void *key, size_t key_len, const void *salt, size_t salt_len,
                 const void *info, size_t info_len, uint8_t *out, size_t out_len);
void hkdf_sha512_expand(const void *prk, size_t prk_len, const void *info, size_t info_len,
                        uint8_t *out, size_t out_len);
/* A sub-key for one purpose: HKDF-SHA-512 of key with info = purpose. */
void key_derive(const uint8_t key[KEY_BYTES], const char *purpose, uint8_t out[KEY_BYTES]);

enum aead_kind { AEAD_AES256GCM, AEAD_XCHACHA20POLY1305 };
enum aead_kind aead_best(void); /* AES where the CPU has it */
bool aead_available(enum aead_kind kind);
size_t aead_nonce_len(enum aead_kind kind); /* 12 or 24 */

/* A key made ready once (AES key schedule) and used often, from many threads at once. Lives in
 * secret memory. */
struct aead;
MUST_USE int aead_new(enum aead_kind kind, const uint8_t key[KEY_BYTES], struct aead **ret_aead,
                      struct err *err);
void aead_free(struct aead *aead);
DEFINE_AUTO(aead)
const uint8_t *aead_key(const struct aead *aead); /* KEY_BYTES; lives as long as aead */
/* out holds len + AEAD_TAG_BYTES. Never the same nonce twice under one key. */
void aead_seal(const struct aead *aead, const uint8_t *nonce, const void *ad, size_t ad_len,
               const void *plain, size_t len, uint8_t *out);
/* out holds len - AEAD_TAG_BYTES; len counts the tag. If it does not verify: false, out zeroed. */
MUST_USE bool aead_open(const struct aead *aead, const uint8_t *nonce, const void *ad,
                        size_t ad_len, const uint8_t *sealed, size_t len, void *out);

/* A lockbox: one small secret or record under a key: version byte, random 24-byte nonce,
 * XChaCha20-Poly1305. ad binds it to its place. out holds len + LOCKBOX_OVERHEAD. */
void lockbox_seal(const uint8_t key[KEY_BYTES], const void *ad, size_t ad_len, const void *plain,
                  size_t len, uint8_t *out);
MUST_USE int lockbox_open(const uint8_t key[KEY_BYTES], const void *ad, size_t ad_len,
                          const uint8_t *box, size_t len, void *out, struct err *err);

void sign_keypair(uint8_t public_key[SIGN_PUBLIC_BYTES], uint8_t secret_key[SIGN_SECRET_BYTES]);
/* The pair that belongs to a seed; always the same. */
void sign_keypair_from(const uint8_t seed[KEY_BYTES], uint8_t public_key[SIGN_PUBLIC_BYTES],
                       uint8_t secret_key[SIGN_SECRET_BYTES]);
void sign_make(const uint8_t secret_key[SIGN_SECRET_BYTES], const void *data, size_t len,
               uint8_t signature[SIGNATURE_BYTES]);
MUST_USE bool sign_verify(const uint8_t public_key[SIGN_PUBLIC_BYTES], const void *data, size_t len,
                          const uint8_t signature[SIGNATURE_BYTES]);

/* Anonymous public-key box (X25519, crypto_box_seal). out holds len + BOX_OVERHEAD. box_seal is
 * false for a key that is no proper point of the curve: whoever announced it chose it so. */
void box_keypair(uint8_t public_key[BOX_PUBLIC_BYTES], uint8_t secret_key[BOX_SECRET_BYTES]);
bool box_seal(const uint8_t public_key[BOX_PUBLIC_BYTES], const void *plain, size_t len,
              uint8_t *out);
/* The key that the owners of two pairs agree on (X25519, HSalsa20: crypto_box_beforenm); false as
 * in box_seal. */
MUST_USE bool box_agree(const uint8_t their_public[BOX_PUBLIC_BYTES],
                        const uint8_t own_secret[BOX_SECRET_BYTES], uint8_t ret_key[KEY_BYTES]);
/* The X25519 pair that belongs to an Ed25519 pair (birational map, RFC 7748): whoever knows the key
 * that signs also knows whom to agree with. False for a key that is no proper point. */
MUST_USE bool sign_to_box(const uint8_t sign_public[SIGN_PUBLIC_BYTES],
                          uint8_t ret_public[BOX_PUBLIC_BYTES]);
void sign_to_box_secret(const uint8_t sign_secret[SIGN_SECRET_BYTES],
                        uint8_t ret_secret[BOX_SECRET_BYTES]);
/* The public half of a secret. */
void box_public_of(const uint8_t secret_key[BOX_SECRET_BYTES],
                   uint8_t ret_public[BOX_PUBLIC_BYTES]);
MUST_USE bool box_open(const uint8_t public_key[BOX_PUBLIC_BYTES],
                       const uint8_t secret_key[BOX_SECRET_BYTES], const uint8_t *box, size_t len,
                       void *out);

#endif
