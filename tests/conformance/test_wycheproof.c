/* test_wycheproof.c - other people's vectors against crypto.h and chunked.h: every one is tried,
 * and a file whose count is not the one below fails. */
#include "common/defs.h"
#include "common/chunked.h"
#include "common/crypto.h"
#include "common/json.h"

#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER "tests/conformance/wycheproof/"
enum { ARENA_MAX = 128 << 20, BYTES_MAX = 8 << 20 };

struct bytes { uint8_t *data; size_t len; };

static struct arena *arena;

static void start(void)
{
	struct err err;
	cr_assert_eq(crypto_start(&err), 0, "%s", err.text);
	cr_assert_eq(arena_new(ARENA_MAX, &arena, &err), 0);
}

static void stop(void)
{
	arena_free(arena);
}

static const struct value *groups_of(const char *name)
{
	char path[128];
	snprintf(path, sizeof path, FOLDER "%s", name);
	FILE *file = fopen(path, "r");
	cr_assert_not_null(file, "%s is missing", path);
	char *text = malloc(1 << 20);
	size_t len = fread(text, 1, 1 << 20, file);
	fclose(file);
	struct value *document = NULL;
	struct err err;
	cr_assert_eq(json_parse(arena, text, len, &document, &err), 0, "%s", err.text);
	free(text);
	return value_get(document, "testGroups");
}

static void hex_into(const char *hex, struct bytes *out)
{
	size_t len = strlen(hex) / 2, got = 0;
	cr_assert_eq(sodium_hex2bin(out->data + out->len, len, hex, 2 * len, NULL, &got, NULL), 0);
	cr_assert_eq(got, len);
	out->len += len;
}

static struct bytes field(const struct value *test, const char *name)
{
	const char *hex = value_get_str(test, name);
	struct bytes out = { arena_alloc(arena, strlen(hex) / 2 + 1), 0 };
	hex_into(hex, &out);
	return out;
}

/* Calls try for each test of each group; its result says whether the vector was applicable. */
typedef bool try_fn(const struct value *group, const struct value *test, bool valid);

static void each(const char *file, try_fn *try, size_t expected)
{
	const struct value *groups = groups_of(file);
	size_t tried = 0;
	for (size_t g = 0; g < value_len(groups); g++) {
		const struct value *tests = value_get(value_at(groups, g), "tests");
		for (size_t t = 0; t < value_len(tests); t++) {
			const struct value *test = value_at(tests, t);
			bool valid = strcmp(value_get_str(test, "result"), "valid") == 0;
			tried += try(value_at(groups, g), test, valid);
		}
	}
	cr_assert_eq(tried, expected, "%zu vectors of %s were tried", tried, file);
}

#define ID(test) (int)value_get_int(test, "tcId", -1)

TestSuite(wycheproof, .init = start, .fini = stop);

/* AEADs. */

static void try_aead(enum aead_kind kind, const struct value *test, bool valid)
{
	struct bytes key = field(test, "key"), iv = field(test, "iv"), ad = field(test, "aad");
	struct bytes msg = field(test, "msg"), ct = field(test, "ct"), tag = field(test, "tag");
	struct bytes sealed = { arena_alloc(arena, ct.len + tag.len), ct.len + tag.len };
	memcpy(sealed.data, ct.data, ct.len);
	memcpy(sealed.data + ct.len, tag.data, tag.len);
	AUTO(aead) *aead = NULL;
	cr_assert_eq(aead_new(kind, key.data, &aead, NULL), 0);
	uint8_t *out = arena_alloc(arena, sealed.len + 1);
	memset(out, 0xaa, sealed.len + 1);
	cr_expect_eq(aead_open(aead, iv.data, ad.data, ad.len, sealed.data, sealed.len, out), valid,
		     "vector %d opens", ID(test));
	if (!valid) {
		for (size_t i = 0; i < ct.len; i++)
			cr_assert_eq(out[i], 0, "vector %d leaves plaintext behind", ID(test));
		return;
	}
	cr_expect(msg.len == ct.len && memcmp(out, msg.data, msg.len) == 0, "vector %d", ID(test));
	aead_seal(aead, iv.data, ad.data, ad.len, msg.data, msg.len, out);
	cr_expect_arr_eq(out, sealed.data, sealed.len, "vector %d seals", ID(test));
}

/* Other key and nonce sizes cannot be asked for through crypto.h. */
static bool try_gcm(const struct value *group, const struct value *test, bool valid)
{
	if (value_get_int(group, "keySize", 0) != 256 || value_get_int(group, "ivSize", 0) != 96)
		return false;
	try_aead(AEAD_AES256GCM, test, valid);
	return true;
}

static bool try_xchacha(const struct value *group, const struct value *test, bool valid)
{
	if (value_get_int(group, "ivSize", 0) != 192)
		return false;
	try_aead(AEAD_XCHACHA20POLY1305, test, valid);
	return true;
}

Test(wycheproof, aes_256_gcm_agrees)
{
	if (aead_available(AEAD_AES256GCM))
		each("aes_gcm_test.json", try_gcm, 66);
}

Test(wycheproof, xchacha20_poly1305_agrees)
{
	each("xchacha20_poly1305_test.json", try_xchacha, 306);
}

/* Hashes and signatures. */

static bool try_hkdf(const struct value *group, const struct value *test, bool valid)
{
	(void)group;
	if (!valid)     /* longer than 255 blocks: an assertion, tried in the unit tests */
		return false;
	struct bytes ikm = field(test, "ikm"), salt = field(test, "salt"),
		     info = field(test, "info");
	struct bytes okm = field(test, "okm");
	uint8_t *out = arena_alloc(arena, okm.len + 1);
	hkdf_sha512(ikm.data, ikm.len, salt.data, salt.len, info.data, info.len, out, okm.len);
	cr_expect_arr_eq(out, okm.data, okm.len, "vector %d", ID(test));
	return true;
}

Test(wycheproof, hkdf_sha512_agrees)
{
	each("hkdf_sha512_test.json", try_hkdf, 80);
}

static bool try_hmac(const struct value *group, const struct value *test, bool valid)
{
	(void)group;
	struct bytes key = field(test, "key"), msg = field(test, "msg"), tag = field(test, "tag");
	uint8_t out[64];
	hmac_sha512(key.data, key.len, msg.data, msg.len, out);
	cr_expect_eq(bytes_equal(out, tag.data, tag.len), valid, "vector %d", ID(test));
	return true;
}

Test(wycheproof, hmac_sha512_agrees)
{
	each("hmac_sha512_test.json", try_hmac, 174);
}

static bool try_ed25519(const struct value *group, const struct value *test, bool valid)
{
	struct bytes key = field(value_get(group, "publicKey"), "pk");
	struct bytes msg = field(test, "msg"), sig = field(test, "sig");
	if (sig.len != SIGNATURE_BYTES) {       /* the type refuses it */
		cr_expect(!valid);
		return true;
	}
	cr_expect_eq(sign_verify(key.data, msg.data, msg.len, sig.data), valid, "vector %d",
		     ID(test));
	return true;
}

Test(wycheproof, ed25519_agrees)
{
	each("ed25519_test.json", try_ed25519, 151);
}

/* Chunked encryption: whole, by chunk, and sealing again. */

struct chunked_case {
	struct bytes key, context, sealed;
	size_t message_len;             /* of the valid message, or of the longest valid prefix */
	const char *message_hash;       /* NULL: nothing opens */
	bool valid, head_fails, tail_holds;
};

static bool has_flag(const struct value *test, const char *flag)
{
	const struct value *flags = value_get(test, "flags");
	for (size_t i = 0; i < value_len(flags); i++)
		if (strcmp(value_as_str(value_at(flags, i)), flag) == 0)
			return true;
	return false;
}

static struct chunked_case case_of(const struct value *test, bool valid)
{
	struct chunked_case made = {
		.key = field(test, "key"), .context = field(test, "ctx"),
		.sealed = { malloc(BYTES_MAX), 0 },
		.message_len = (size_t)value_get_int(test, "msgLength", 0),
		.message_hash = value_get_str(test, "msgSha512"),
		.valid = valid, .head_fails = has_flag(test, "HeaderFailure"),
		.tail_holds = valid || has_flag(test, "ValidFinalChunk"),
	};
	const struct value *runs = value_get(test, "ct");
	for (size_t i = 0; i < value_len(runs); i++) {
		const struct value *run = value_at(runs, i);
		size_t zeroes = (size_t)value_as_int(run, 0);
		if (value_as_str(run))
			hex_into(value_as_str(run), &made.sealed);
		else
			memset(made.sealed.data + made.sealed.len, 0, zeroes);
		made.sealed.len += zeroes;
	}
	return made;
}

static void check_message(const struct chunked_case *wanted, const uint8_t *data, size_t len,
			  int id)
{
	uint8_t hash[64];
	char hex[129];
	crypto_hash_sha512(hash, data, len);
	sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
	cr_expect_eq(len, wanted->message_len, "vector %d has %zu bytes", id, len);
	cr_expect_str_eq(hex, wanted->message_hash, "vector %d", id);
}

static bool try_whole(const struct value *group, const struct value *test, bool valid)
{
	(void)group;
	struct chunked_case c = case_of(test, valid);
	AUTO_BUF out;
	buf_init(&out, BYTES_MAX);
	int rc = chunked_open(AEAD_AES256GCM, c.key.data, c.key.len, c.context.data, c.context.len,
			      c.sealed.data, c.sealed.len, &out, NULL);
	cr_expect_eq(rc == 0, valid, "vector %d: %d", ID(test), rc);
	if (valid)
		check_message(&c, out.data, out.len, ID(test));
	else
		cr_expect_eq(out.len, 0, "vector %d gives plaintext", ID(test));
	free(c.sealed.data);
	return true;
}

/* The longest prefix of whole chunks that opens; what lies behind it must fail. */
static size_t open_prefix(const struct chunked *chunked, const struct chunked_case *c, uint8_t *out)
{
	size_t len = 0;
	for (uint64_t i = 0; chunked_offset(i) < c->sealed.len; i++) {
		size_t left = c->sealed.len - chunked_offset(i);
		size_t take = left < CHUNK_SEALED ? left : CHUNK_SEALED;
		if (!chunked_open_chunk(chunked, i, c->sealed.data + chunked_offset(i), take,
					out + len))
			break;
		len += take - AEAD_TAG_BYTES;
	}
	return len;
}

static void try_backwards(const struct chunked *chunked, const struct chunked_case *c, int id)
{
	struct chunked_shape shape;
	bool sound = chunked_measure(c->sealed.len, &shape, NULL) == 0;
	bool all = sound, tail = false;
	uint8_t out[CHUNK_PLAIN];
	for (uint64_t i = sound ? shape.chunks : 0; i > 0; i--) {
		bool last = i == shape.chunks;
		bool opens =
			chunked_open_chunk(chunked, i - 1, c->sealed.data + chunked_offset(i - 1),
					   last ? shape.tail_len : CHUNK_SEALED, out);
		tail = last ? opens : tail;
		all = all && opens;
	}
	cr_expect_eq(all, c->valid, "vector %d, chunk by chunk", id);
	cr_expect_eq(tail, c->tail_holds, "vector %d, last chunk", id);
}

static bool try_random_access(const struct value *group, const struct value *test, bool valid)
{
	(void)group;
	struct chunked_case c = case_of(test, valid);
	AUTO_CHUNKED chunked = { 0 };
	bool head = c.key.len == KEY_BYTES && c.sealed.len >= CHUNKED_HEAD &&
		    chunked_accept(AEAD_AES256GCM, c.key.data, c.sealed.data, c.context.data,
				   c.context.len, &chunked, NULL) == 0;
	cr_expect_eq(!head, c.head_fails, "vector %d, head", ID(test));
	if (head) {
		uint8_t *out = malloc(BYTES_MAX);
		size_t len = open_prefix(&chunked, &c, out);
		if (c.message_hash)
			check_message(&c, out, len, ID(test));
		else
			cr_expect_eq(len, 0, "vector %d gives plaintext", ID(test));
		try_backwards(&chunked, &c, ID(test));
		free(out);
	}
	free(c.sealed.data);
	return true;
}

static bool try_seal_again(const struct value *group, const struct value *test, bool valid)
{
	(void)group;
	if (!valid)
		return false;
	struct chunked_case c = case_of(test, valid);
	AUTO_BUF plain;
	buf_init(&plain, BYTES_MAX);
	cr_assert_eq(chunked_open(AEAD_AES256GCM, c.key.data, c.key.len, c.context.data,
				  c.context.len, c.sealed.data, c.sealed.len, &plain, NULL),
		     0);
	uint8_t *again = malloc(BYTES_MAX);
	AUTO_CHUNKED chunked = { 0 };
	memcpy(again, c.sealed.data, CHUNKED_SALT);
	cr_assert_eq(chunked_derive(AEAD_AES256GCM, c.key.data, again, c.context.data,
				    c.context.len, &chunked, again + CHUNKED_SALT, NULL),
		     0);
	for (size_t at = 0, chunk = 0; at <= plain.len; at += CHUNK_PLAIN, chunk++) {
		size_t left = plain.len - at;
		chunked_seal_chunk(&chunked, chunk, plain.data + at,
				   left < CHUNK_PLAIN ? left : CHUNK_PLAIN,
				   again + chunked_offset(chunk));
	}
	cr_expect_eq(memcmp(again, c.sealed.data, c.sealed.len), 0, "vector %d seals", ID(test));
	free(again);
	free(c.sealed.data);
	return true;
}

#define CHUNKED_FILE "chunked_aes_256_gcm_test.json"

Test(wycheproof, cobblestone_256_agrees_on_whole_messages)
{
	if (aead_available(AEAD_AES256GCM))
		each(CHUNKED_FILE, try_whole, 35);
}

Test(wycheproof, cobblestone_256_agrees_in_streaming_and_random_access)
{
	if (aead_available(AEAD_AES256GCM))
		each(CHUNKED_FILE, try_random_access, 35);
}

Test(wycheproof, cobblestone_256_seals_the_same_bytes)
{
	if (aead_available(AEAD_AES256GCM))
		each(CHUNKED_FILE, try_seal_again, 10);
}
