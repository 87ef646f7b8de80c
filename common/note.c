/* note.c - see note.h. What is signed is the text as it stands; nothing of it is read before its
 * signature is verified. */
#include "common/defs.h"
#include "common/note.h"

#include "common/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ID_BYTES = 4, ALG_ED25519 = 1, SIGNED_BYTES = ID_BYTES + SIGNATURE_BYTES, LINES_MAX = 16 };

#define DASH "\xe2\x80\x94 "

static int no_note(const char *why, struct err *err)
{
	return err_set(err, E_CORRUPT, "it is no signed note: %s", why);
}

/* Not empty, no space, no plus sign, and printable. */
static bool name_good(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] == '+' || name[i] == 0x7f)
			return false;
	return len > 0 && len <= NOTE_NAME_MAX;
}

static void key_id(const char *name, const uint8_t key[SIGN_PUBLIC_BYTES], uint8_t out[ID_BYTES])
{
	uint8_t bytes[NOTE_NAME_MAX + 2 + SIGN_PUBLIC_BYTES], whole[32];
	size_t len = strlen(name);
	memcpy(bytes, name, len);
	bytes[len] = '\n';
	bytes[len + 1] = ALG_ED25519;
	memcpy(bytes + len + 2, key, SIGN_PUBLIC_BYTES);
	sha256(bytes, len + 2 + SIGN_PUBLIC_BYTES, whole);
	memcpy(out, whole, ID_BYTES);
}

/* --- verifiers --- */

void note_verifier_print(const struct note_verifier *verifier, char out[NOTE_VERIFIER_MAX])
{
	uint8_t id[ID_BYTES], bytes[1 + SIGN_PUBLIC_BYTES] = { ALG_ED25519 };
	char hex[2 * ID_BYTES + 1];
	AUTO_BUF base64;
	buf_init(&base64, NOTE_VERIFIER_MAX);
	key_id(verifier->name, verifier->key, id);
	hex_print(id, ID_BYTES, hex);
	memcpy(bytes + 1, verifier->key, SIGN_PUBLIC_BYTES);
	base64_print(bytes, sizeof bytes, &base64);
	bool made = buf_check(&base64, NULL) == 0;
	snprintf(out, NOTE_VERIFIER_MAX, "%s+%s+%s", verifier->name, hex,
	         made ? (const char *)base64.data : "");
}

static int no_verifier(struct err *err)
{
	return err_set(err, E_INVALID, "it is no public key of a signed note; it must be "
	               "NAME+ID+KEY, as `freehold signers` prints it");
}

int note_verifier_read(const char *text, struct note_verifier *ret_verifier, struct err *err)
{
	struct note_verifier verifier = { .name = "" };
	char made[NOTE_VERIFIER_MAX];
	AUTO_BUF bytes;
	const char *first = strchr(text, '+'), *second = first ? strchr(first + 1, '+') : NULL;
	buf_init(&bytes, NOTE_VERIFIER_MAX);
	if (!second || !name_good(text, (size_t)(first - text)))
		return no_verifier(err);
	memcpy(verifier.name, text, (size_t)(first - text));
	if (base64_parse(second + 1, strlen(second + 1), &bytes, NULL) < 0 ||
	    bytes.len != 1 + SIGN_PUBLIC_BYTES || bytes.data[0] != ALG_ED25519)
		return no_verifier(err);
	memcpy(verifier.key, bytes.data + 1, SIGN_PUBLIC_BYTES);
	note_verifier_print(&verifier, made);
	if (strcmp(made, text) != 0)         /* its id is another key's */
		return no_verifier(err);
	*ret_verifier = verifier;
	return 0;
}

/* --- notes --- */

static bool text_good(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' && text[i] != '\n')
			return false;
	return len > 0 && text[len - 1] == '\n' && utf8_valid(text, len);
}

int note_sign(const char *name, const uint8_t public_key[SIGN_PUBLIC_BYTES],
              const uint8_t secret_key[SIGN_SECRET_BYTES], const char *text, size_t len,
              struct buf *out, struct err *err)
{
	uint8_t bytes[SIGNED_BYTES];
	if (!name_good(name, strlen(name)) || !text_good(text, len))
		return err_set(err, E_INVALID, "this text cannot be a signed note's: it must be "
		               "UTF-8 without control characters, and end with a newline");
	key_id(name, public_key, bytes);
	sign_make(secret_key, text, len, bytes + ID_BYTES);
	buf_put(out, text, len);
	buf_printf(out, "\n" DASH "%s ", name);
	base64_print(bytes, sizeof bytes, out);
	buf_putc(out, '\n');
	return buf_check(out, err);
}

struct claim {                       /* a signature line */
	const char *name;
	size_t name_len;
	uint8_t bytes[SIGNED_BYTES];
	bool known;                  /* of the length that Ed25519 signatures have */
};

/* *at: a line's start, and then that of the next. */
static int claim_read(const char **at, const char *end, struct claim *ret_claim, struct err *err)
{
	AUTO_BUF bytes;
	const char *line = *at, *stop = memchr(line, '\n', (size_t)(end - line));
	size_t dash = strlen(DASH);
	buf_init(&bytes, 4 * KIB);
	if (!stop || (size_t)(stop - line) < dash || memcmp(line, DASH, dash) != 0)
		return no_note("a line behind its text is no signature", err);
	struct claim claim = { .name = line + dash };
	const char *space = memchr(claim.name, ' ', (size_t)(stop - claim.name));
	claim.name_len = space ? (size_t)(space - claim.name) : 0;
	if (!name_good(claim.name, claim.name_len) ||
	    base64_parse(space + 1, (size_t)(stop - space - 1), &bytes, NULL) < 0 ||
	    bytes.len <= ID_BYTES)
		return no_note("a signature cannot be read", err);
	claim.known = bytes.len == SIGNED_BYTES;
	if (claim.known)
		memcpy(claim.bytes, bytes.data, SIGNED_BYTES);
	*at = stop + 1;
	*ret_claim = claim;
	return 0;
}

static bool is_by(const struct claim *claim, const struct note_verifier *verifier)
{
	uint8_t id[ID_BYTES];
	key_id(verifier->name, verifier->key, id);
	return claim->known && claim->name_len == strlen(verifier->name) &&
		memcmp(claim->name, verifier->name, claim->name_len) == 0 &&
		memcmp(claim->bytes, id, ID_BYTES) == 0;
}

static int verify(const struct note_verifier *verifier, const char *note, size_t text_len,
                  const char *end, struct err *err)
{
	const char *at = note + text_len + 1;
	int verified = 0, lines = 0;
	if (at == end)
		return no_note("it has no signature", err);
	for (; at < end; lines++) {
		struct claim claim;
		if (lines == LINES_MAX)
			return no_note("it has too many signatures", err);
		TRY(claim_read(&at, end, &claim, err));
		if (!is_by(&claim, verifier))
			continue;
		if (!sign_verify(verifier->key, note, text_len, claim.bytes + ID_BYTES))
			return err_set(err, E_CORRUPT, "the signature of %s does not verify: the "
			               "text was changed, or signed by another key",
			               verifier->name);
		verified++;
	}
	if (verified == 0)
		return err_set(err, E_CORRUPT, "it is not signed by the key of %s that was given",
		               verifier->name);
	return 0;
}

int note_open(const struct note_verifier *verifier, const char *note, size_t len, size_t *ret_len,
              struct err *err)
{
	size_t text_len = 0;
	if (len > NOTE_BYTES_MAX)
		return err_set(err, E_TOO_LARGE, "a signed note has at most %d bytes",
		               NOTE_BYTES_MAX);
	for (size_t i = 1; i < len; i++)
		if (note[i] == '\n' && note[i - 1] == '\n')
			text_len = i;
	if (text_len == 0 || !text_good(note, text_len) || note[len - 1] != '\n')
		return no_note("it has no text with an empty line behind", err);
	TRY(verify(verifier, note, text_len, note + len, err));
	*ret_len = text_len;
	return 0;
}

/* --- checkpoints --- */

void note_checkpoint_print(const char *origin, const struct merkle_range *range, struct buf *out)
{
	uint8_t root[MERKLE_BYTES];
	merkle_root(range, root);
	buf_printf(out, "%s\n%" PRIu64 "\n", origin, range->size);
	base64_print(root, sizeof root, out);
	buf_putc(out, '\n');
}

/* The next line without its newline; NULL: there is none. */
static const char *next_line(const char **at, const char *end, size_t *ret_len)
{
	const char *line = *at;
	const char *stop = line < end ? memchr(line, '\n', (size_t)(end - line)) : NULL;
	if (!stop)
		return NULL;
	*ret_len = (size_t)(stop - line);
	*at = stop + 1;
	return line;
}

static bool read_size(const char *line, size_t len, uint64_t *ret_size)
{
	uint64_t size = 0;
	for (size_t i = 0; i < len; i++)
		if (line[i] < '0' || line[i] > '9' || __builtin_mul_overflow(size, 10, &size) ||
		    __builtin_add_overflow(size, (uint64_t)(line[i] - '0'), &size))
			return false;
	*ret_size = size;
	return len > 0 && (len == 1 || line[0] != '0');
}

int note_checkpoint_read(const char *text, size_t len, struct note_checkpoint *ret_checkpoint,
                         struct err *err)
{
	struct note_checkpoint checkpoint = { 0 };
	const char *at = text, *end = text + len;
	size_t size_len = 0, root_len = 0;
	AUTO_BUF root;
	buf_init(&root, KIB);
	checkpoint.origin = next_line(&at, end, &checkpoint.origin_len);
	const char *size = checkpoint.origin ? next_line(&at, end, &size_len) : NULL;
	const char *hash = size ? next_line(&at, end, &root_len) : NULL;
	if (!hash || checkpoint.origin_len == 0 || !read_size(size, size_len, &checkpoint.size) ||
	    base64_parse(hash, root_len, &root, NULL) < 0 || root.len != MERKLE_BYTES)
		return err_set(err, E_CORRUPT, "it is no checkpoint of a log: that is its origin, "
		               "its size and its root, a line each");
	memcpy(checkpoint.root, root.data, MERKLE_BYTES);
	*ret_checkpoint = checkpoint;
	return 0;
}
