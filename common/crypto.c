/* crypto.c - libsodium behind crypto.h.
 * Invariants: what holds a key is in locked, guarded pages or is wiped before its function returns;
 * a failed opening leaves zeroes, never unverified plaintext. */
#include "common/defs.h"
#include "common/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <sys/auxv.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { LOCKBOX_VERSION = 1, LOCKBOX_NONCE = 24, HKDF_BLOCK = 64, SECRET_ALIGN = 16 };

_Static_assert(KEY_BYTES == crypto_aead_aes256gcm_KEYBYTES, "AES key");
_Static_assert(KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "XChaCha20 key");
_Static_assert(AEAD_TAG_BYTES == crypto_aead_aes256gcm_ABYTES, "AES tag");
_Static_assert(AEAD_TAG_BYTES == crypto_aead_xchacha20poly1305_ietf_ABYTES, "XChaCha20 tag");
_Static_assert(LOCKBOX_NONCE == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "lockbox nonce");
_Static_assert(BOX_OVERHEAD == crypto_box_SEALBYTES, "box");
_Static_assert(SIGN_SECRET_BYTES == crypto_sign_SECRETKEYBYTES, "signing key");
_Static_assert(SIGNATURE_BYTES == crypto_sign_BYTES, "signature");

/* What other libraries keep of keys and credentials (TLS its private keys, an HTTP server what was
 * sent) is in no memory of ours to mark. So a core that is forced in spite of all else holds no
 * memory at all; children have it so, too. Where there is no such file there are the two others. */
static void empty_cores(void)
{
	int fd = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)!write(fd, "0", 1);
	close(fd);
}

int crypto_start(struct err *err)
{
	if (sodium_init() < 0)
		return err_set(err, E_UNAVAILABLE, "libsodium finds no source of random bytes");
	const struct rlimit none = { 0, 0 };
	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return err_errno(err, errno, "cannot set RLIMIT_CORE to 0, which keeps keys out of "
				 "core dumps");
	empty_cores();          /* before the file is no longer its own to write */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_errno(err, errno, "cannot make the process undumpable");
	return 0;
}

/* Secret memory. */

struct secret {
	size_t len;
	_Alignas(SECRET_ALIGN) uint8_t data[];
};

static int locked_failed(size_t len, int errno_value, struct err *err)
{
	struct rlimit limit = { 0, 0 };
	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		limit.rlim_cur = 0;
	return err_set(
		err, E_RESOURCES,
		"cannot lock %zu bytes of memory for a key (%s): "
		"RLIMIT_MEMLOCK is %llu KiB; raise it (ulimit -l, or LimitMEMLOCK= in the unit)",
		len, strerrorname_np(errno_value), (unsigned long long)limit.rlim_cur / 1024);
}

/* Zeroed, SECRET_ALIGN-aligned, locked; len is rounded up, since sodium_malloc aligns the end. */
static int locked_new(size_t len, void **ret_data, struct err *err)
{
	if (len > SIZE_MAX / 2)
		return err_set(err, E_TOO_LARGE, "a secret of %zu bytes does not fit into memory",
			       len);
	size_t rounded = (len + SECRET_ALIGN - 1) / SECRET_ALIGN * SECRET_ALIGN;
	errno = 0;
	void *data = sodium_malloc(rounded);
	if (!data)
		return locked_failed(len, errno ? errno : ENOMEM, err);
	/* sodium_malloc ignores a failing mlock; locking again says whether it holds. */
	if (sodium_mlock(data, rounded) < 0) {
		int why = errno;
		sodium_free(data);
		return locked_failed(len, why, err);
	}
	memset(data, 0, rounded);
	*ret_data = data;
	return 0;
}

int secret_new(size_t len, struct secret **ret_secret, struct err *err)
{
	if (len > SIZE_MAX / 4)
		return err_set(err, E_TOO_LARGE, "a secret of %zu bytes does not fit into memory",
			       len);
	void *data = NULL;
	TRY(locked_new(sizeof(struct secret) + len, &data, err));
	struct secret *secret = data;
	secret->len = len;
	*ret_secret = secret;
	return 0;
}

int secret_copy(const void *data, size_t len, struct secret **ret_secret, struct err *err)
{
	struct secret *secret = NULL;
	TRY(secret_new(len, &secret, err));
	if (len)
		memcpy(secret->data, data, len);
	*ret_secret = secret;
	return 0;
}

int secret_random(size_t len, struct secret **ret_secret, struct err *err)
{
	struct secret *secret = NULL;
	TRY(secret_new(len, &secret, err));
	randombytes_buf(secret->data, len);
	*ret_secret = secret;
	return 0;
}

void secret_free(struct secret *secret)
{
	sodium_free(secret);
}

uint8_t *secret_data(struct secret *secret)
{
	return secret->data;
}

const uint8_t *secret_bytes(const struct secret *secret)
{
	return secret->data;
}

size_t secret_len(const struct secret *secret)
{
	return secret->len;
}

void secret_wipe(void *data, size_t len)
{
	if (len)
		sodium_memzero(data, len);
}

/* The first round key of AES is the key's first half, and stays in a vector register until another
 * use of it; meanwhile whoever saves the registers (the dynamic linker does) writes it down. */
static void registers_wipe(void)
{
#ifdef __x86_64__
	__asm__ volatile("pxor %%xmm0, %%xmm0\n\tpxor %%xmm1, %%xmm1\n\t"
	                 "pxor %%xmm2, %%xmm2\n\tpxor %%xmm3, %%xmm3\n\t"
	                 "pxor %%xmm4, %%xmm4\n\tpxor %%xmm5, %%xmm5\n\t"
	                 "pxor %%xmm6, %%xmm6\n\tpxor %%xmm7, %%xmm7\n\t"
	                 "pxor %%xmm8, %%xmm8\n\tpxor %%xmm9, %%xmm9\n\t"
	                 "pxor %%xmm10, %%xmm10\n\tpxor %%xmm11, %%xmm11\n\t"
	                 "pxor %%xmm12, %%xmm12\n\tpxor %%xmm13, %%xmm13\n\t"
	                 "pxor %%xmm14, %%xmm14\n\tpxor %%xmm15, %%xmm15" ::: "xmm0", "xmm1",
	                 "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
	                 "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
#endif
}

/* Of the stack below a cipher's caller. */
enum { SPILL_BYTES = 8192, SPILL_MOST = 64 * 1024 };

static void spill_wipe(void)
{
	registers_wipe();
	sodium_stackzero(SPILL_BYTES);
}

void secret_wipe_stack(void)
{
	registers_wipe();
	sodium_stackzero(SPILL_MOST);
}

void random_bytes(void *out, size_t len)
{
	randombytes_buf(out, len);
}

bool bytes_equal(const void *a, const void *b, size_t len)
{
	return len == 0 || sodium_memcmp(a, b, len) == 0;
}

/* Digests. REQUIRE: these fail only on lengths, and ours are constants. */

void digest(const void *data, size_t len, uint8_t out[DIGEST_BYTES])
{
	REQUIRE(crypto_generichash(out, DIGEST_BYTES, data, len, NULL, 0) == 0);
}

void digest_keyed(const uint8_t key[KEY_BYTES], const void *data, size_t len,
		  uint8_t out[DIGEST_BYTES])
{
	REQUIRE(crypto_generichash(out, DIGEST_BYTES, data, len, key, KEY_BYTES) == 0);
}

void digest_keyed_pieces(const uint8_t key[KEY_BYTES], const struct digest_piece *pieces,
                         size_t count, uint8_t out[DIGEST_BYTES])
{
	crypto_generichash_state state;
	REQUIRE(crypto_generichash_init(&state, key, KEY_BYTES, DIGEST_BYTES) == 0);
	for (size_t i = 0; i < count; i++)
		crypto_generichash_update(&state, pieces[i].data, pieces[i].len);
	REQUIRE(crypto_generichash_final(&state, out, DIGEST_BYTES) == 0);
	secret_wipe(&state, sizeof state);
}

struct hash_key hash_key_of_process(void)
{
	struct hash_key key;
	const void *seed = (const void *)getauxval(AT_RANDOM); /* 16 bytes, by the kernel */
	REQUIRE(seed);
	memcpy(key.words, seed, sizeof key.words);
	return key;
}

uint64_t hash_short_by(const struct hash_key *key, uint64_t tweak, const void *data, size_t len)
{
	struct hash_key tweaked = *key;
	uint64_t hash = 0;
	_Static_assert(sizeof tweaked == crypto_shorthash_KEYBYTES, "a key of 16 bytes");
	_Static_assert(sizeof hash == crypto_shorthash_BYTES, "a hash of 8 bytes");
	tweaked.words[0] ^= tweak;
	crypto_shorthash((unsigned char *)&hash, data, len, (const unsigned char *)tweaked.words);
	return hash;
}

uint64_t hash_short(uint64_t tweak, const void *data, size_t len)
{
	const struct hash_key key = hash_key_of_process();
	return hash_short_by(&key, tweak, data, len);
}

void sha256(const void *data, size_t len, uint8_t out[32])
{
	crypto_hash_sha256(out, data, len);
}

void sha256_both(const void *head, size_t head_len, const void *data, size_t len, uint8_t out[32])
{
	crypto_hash_sha256_state state;
	crypto_hash_sha256_init(&state);
	crypto_hash_sha256_update(&state, head, head_len);
	crypto_hash_sha256_update(&state, data, len);
	crypto_hash_sha256_final(&state, out);
}

void hmac_sha256(const void *key, size_t key_len, const void *data, size_t len, uint8_t out[32])
{
	crypto_auth_hmacsha256_state state;
	crypto_auth_hmacsha256_init(&state, key_len ? key : (const void *)"", key_len);
	crypto_auth_hmacsha256_update(&state, data, len);
	crypto_auth_hmacsha256_final(&state, out);
	sodium_memzero(&state, sizeof state);
}

void hmac_sha512(const void *key, size_t key_len, const void *data, size_t len, uint8_t out[64])
{
	crypto_auth_hmacsha512_state state;
	crypto_auth_hmacsha512_init(&state, key_len ? key : (const void *)"", key_len);
	crypto_auth_hmacsha512_update(&state, data, len);
	crypto_auth_hmacsha512_final(&state, out);
	sodium_memzero(&state, sizeof state);
}

/* HKDF (RFC 5869): libsodium 1.0.18 has none. */

void hkdf_sha512_expand(const void *prk, size_t prk_len, const void *info, size_t info_len,
			uint8_t *out, size_t out_len)
{
	REQUIRE(out_len <= 255 * HKDF_BLOCK);
	crypto_auth_hmacsha512_state state;
	uint8_t block[HKDF_BLOCK];
	uint8_t counter = 1;
	for (size_t done = 0; done < out_len; counter++) {
		crypto_auth_hmacsha512_init(&state, prk, prk_len);
		if (done)
			crypto_auth_hmacsha512_update(&state, block, sizeof block);
		crypto_auth_hmacsha512_update(&state, info, info_len);
		crypto_auth_hmacsha512_update(&state, &counter, 1);
		crypto_auth_hmacsha512_final(&state, block);
		size_t part = out_len - done < sizeof block ? out_len - done : sizeof block;
		memcpy(out + done, block, part);
		done += part;
	}
	sodium_memzero(&state, sizeof state);
	sodium_memzero(block, sizeof block);
}

void hkdf_sha512(const void *key, size_t key_len, const void *salt, size_t salt_len,
		 const void *info, size_t info_len, uint8_t *out, size_t out_len)
{
	uint8_t prk[HKDF_BLOCK];
	hmac_sha512(salt, salt_len, key, key_len, prk);
	hkdf_sha512_expand(prk, sizeof prk, info, info_len, out, out_len);
	sodium_memzero(prk, sizeof prk);
}

void key_derive(const uint8_t key[KEY_BYTES], const char *purpose, uint8_t out[KEY_BYTES])
{
	hkdf_sha512(key, KEY_BYTES, NULL, 0, purpose, strlen(purpose), out, KEY_BYTES);
}

/* AEAD. */

struct aead {
	crypto_aead_aes256gcm_state aes;     /* first: it must be 16-byte aligned */
	uint8_t key[KEY_BYTES];
	enum aead_kind kind;
};

bool aead_available(enum aead_kind kind)
{
	switch (kind) {
	case AEAD_AES256GCM: return crypto_aead_aes256gcm_is_available() == 1;
	case AEAD_XCHACHA20POLY1305: return true;
	}
	return false;
}

enum aead_kind aead_best(void)
{
	return aead_available(AEAD_AES256GCM) ? AEAD_AES256GCM : AEAD_XCHACHA20POLY1305;
}

size_t aead_nonce_len(enum aead_kind kind)
{
	return kind == AEAD_AES256GCM ? crypto_aead_aes256gcm_NPUBBYTES
				      : crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
}

int aead_new(enum aead_kind kind, const uint8_t key[KEY_BYTES], struct aead **ret_aead,
	     struct err *err)
{
	if (!aead_available(kind))
		return err_set(err, E_UNAVAILABLE,
			       "this CPU has no AES instructions: what was sealed "
			       "with AES-256-GCM opens only on a CPU that has them");
	void *data = NULL;
	TRY(locked_new(sizeof(struct aead), &data, err));
	struct aead *aead = data;
	aead->kind = kind;
	memcpy(aead->key, key, KEY_BYTES);
	if (kind == AEAD_AES256GCM)
		REQUIRE(crypto_aead_aes256gcm_beforenm(&aead->aes, key) == 0);
	spill_wipe();
	*ret_aead = aead;
	return 0;
}

void aead_free(struct aead *aead)
{
	sodium_free(aead);
}

const uint8_t *aead_key(const struct aead *aead)
{
	return aead->key;
}

void aead_seal(const struct aead *aead, const uint8_t *nonce, const void *ad, size_t ad_len,
	       const void *plain, size_t len, uint8_t *out)
{
	int rc = aead->kind == AEAD_AES256GCM
			 ? crypto_aead_aes256gcm_encrypt_afternm(out, NULL, plain, len, ad, ad_len,
								 NULL, nonce, &aead->aes)
			 : crypto_aead_xchacha20poly1305_ietf_encrypt(
				   out, NULL, plain, len, ad, ad_len, NULL, nonce, aead->key);
	spill_wipe();
	REQUIRE(rc == 0);
}

bool aead_open(const struct aead *aead, const uint8_t *nonce, const void *ad, size_t ad_len,
	       const uint8_t *sealed, size_t len, void *out)
{
	if (len < AEAD_TAG_BYTES)
		return false;
	int rc = aead->kind == AEAD_AES256GCM
			 ? crypto_aead_aes256gcm_decrypt_afternm(out, NULL, NULL, sealed, len, ad,
								 ad_len, nonce, &aead->aes)
			 : crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed, len,
								      ad, ad_len, nonce, aead->key);
	spill_wipe();
	if (rc != 0)
		secret_wipe(out, len - AEAD_TAG_BYTES);
	return rc == 0;
}

/* Lockbox. */

void lockbox_seal(const uint8_t key[KEY_BYTES], const void *ad, size_t ad_len, const void *plain,
		  size_t len, uint8_t *out)
{
	uint8_t *nonce = out + 1;
	out[0] = LOCKBOX_VERSION;
	randombytes_buf(nonce, LOCKBOX_NONCE);
	REQUIRE(crypto_aead_xchacha20poly1305_ietf_encrypt(nonce + LOCKBOX_NONCE, NULL, plain, len,
							   ad, ad_len, NULL, nonce, key) == 0);
}

int lockbox_open(const uint8_t key[KEY_BYTES], const void *ad, size_t ad_len, const uint8_t *box,
		 size_t len, void *out, struct err *err)
{
	if (len < LOCKBOX_OVERHEAD)
		return err_set(err, E_CORRUPT, "a lockbox has at least %d bytes, this one %zu",
			       LOCKBOX_OVERHEAD, len);
	if (box[0] != LOCKBOX_VERSION)
		return err_set(err, E_CORRUPT,
			       "a lockbox of version %d cannot be read; this release reads "
			       "version %d",
			       box[0], LOCKBOX_VERSION);
	const uint8_t *nonce = box + 1, *sealed = nonce + LOCKBOX_NONCE;
	size_t sealed_len = len - 1 - LOCKBOX_NONCE;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed, sealed_len, ad,
						       ad_len, nonce, key) == 0)
		return 0;
	secret_wipe(out, len - LOCKBOX_OVERHEAD);
	return err_set(err, E_CORRUPT,
		       "a lockbox of %zu bytes does not verify: it was changed, or it "
		       "belongs to another key or place",
		       len);
}

/* Signatures and anonymous boxes. */

void sign_keypair(uint8_t public_key[SIGN_PUBLIC_BYTES], uint8_t secret_key[SIGN_SECRET_BYTES])
{
	REQUIRE(crypto_sign_keypair(public_key, secret_key) == 0);
}

void sign_keypair_from(const uint8_t seed[KEY_BYTES], uint8_t public_key[SIGN_PUBLIC_BYTES],
		       uint8_t secret_key[SIGN_SECRET_BYTES])
{
	REQUIRE(crypto_sign_seed_keypair(public_key, secret_key, seed) == 0);
}

void sign_make(const uint8_t secret_key[SIGN_SECRET_BYTES], const void *data, size_t len,
	       uint8_t signature[SIGNATURE_BYTES])
{
	REQUIRE(crypto_sign_detached(signature, NULL, data, len, secret_key) == 0);
}

bool sign_verify(const uint8_t public_key[SIGN_PUBLIC_BYTES], const void *data, size_t len,
		 const uint8_t signature[SIGNATURE_BYTES])
{
	return crypto_sign_verify_detached(signature, data, len, public_key) == 0;
}

void box_keypair(uint8_t public_key[BOX_PUBLIC_BYTES], uint8_t secret_key[BOX_SECRET_BYTES])
{
	REQUIRE(crypto_box_keypair(public_key, secret_key) == 0);
}

bool box_seal(const uint8_t public_key[BOX_PUBLIC_BYTES], const void *plain, size_t len,
	      uint8_t *out)
{
	return crypto_box_seal(out, plain, len, public_key) == 0;
}

bool box_agree(const uint8_t their_public[BOX_PUBLIC_BYTES],
	       const uint8_t own_secret[BOX_SECRET_BYTES], uint8_t ret_key[KEY_BYTES])
{
	return crypto_box_beforenm(ret_key, their_public, own_secret) == 0;
}

bool sign_to_box(const uint8_t sign_public[SIGN_PUBLIC_BYTES], uint8_t ret_public[BOX_PUBLIC_BYTES])
{
	return crypto_sign_ed25519_pk_to_curve25519(ret_public, sign_public) == 0;
}

void sign_to_box_secret(const uint8_t sign_secret[SIGN_SECRET_BYTES],
                        uint8_t ret_secret[BOX_SECRET_BYTES])
{
	REQUIRE(crypto_sign_ed25519_sk_to_curve25519(ret_secret, sign_secret) == 0);
}

void box_public_of(const uint8_t secret_key[BOX_SECRET_BYTES], uint8_t ret_public[BOX_PUBLIC_BYTES])
{
	REQUIRE(crypto_scalarmult_base(ret_public, secret_key) == 0);
}

bool box_open(const uint8_t public_key[BOX_PUBLIC_BYTES],
	      const uint8_t secret_key[BOX_SECRET_BYTES], const uint8_t *box, size_t len, void *out)
{
	if (len < BOX_OVERHEAD)
		return false;
	if (crypto_box_seal_open(out, box, len, public_key, secret_key) == 0)
		return true;
	secret_wipe(out, len - BOX_OVERHEAD);
	return false;
}
