/* fuzz_certificate.c - whatever is given to `freehold verify`: read within bounds, and what is
 * verified is what was signed. The first byte chooses: the bytes as a note, as a text that is
 * signed here (so that its form is looked at), as a public key, or as a checkpoint. */
#include "common/defs.h"
#include "api/certificate.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct note_verifier make_key(uint8_t secret[SIGN_SECRET_BYTES])
{
	struct note_verifier verifier = { .name = CERTIFICATE_SIGNER };
	const uint8_t seed[KEY_BYTES] = { 1 };
	sign_keypair_from(seed, verifier.key, secret);
	return verifier;
}

static void open_note(const struct note_verifier *verifier, const char *note, size_t len)
{
	AUTO(arena) *arena = NULL;
	struct value *certificate = NULL;
	if (arena_new(64 * MIB, &arena, NULL) < 0)
		return;
	if (certificate_open(arena, verifier, note, len, &certificate, NULL) == 0)
		REQUIRE(value_get_str(certificate, "reason"));
}

static void open_signed(const struct note_verifier *verifier, const uint8_t *secret,
                        const char *text, size_t len)
{
	AUTO_BUF note;
	size_t text_len = 0;
	buf_init(&note, NOTE_BYTES_MAX);
	if (note_sign(verifier->name, verifier->key, secret, text, len, &note, NULL) < 0)
		return;
	REQUIRE(note_open(verifier, (const char *)note.data, note.len, &text_len, NULL) == 0);
	REQUIRE(text_len == len);
	open_note(verifier, (const char *)note.data, note.len);
}

static void read_key(const char *text)
{
	struct note_verifier verifier;
	char again[NOTE_VERIFIER_MAX];
	if (note_verifier_read(text, &verifier, NULL) < 0)
		return;
	note_verifier_print(&verifier, again);
	REQUIRE(strcmp(again, text) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t secret[SIGN_SECRET_BYTES];
	struct note_verifier verifier = make_key(secret);
	struct note_checkpoint checkpoint;
	AUTO_BUF text;
	buf_init(&text, NOTE_BYTES_MAX);
	REQUIRE(crypto_start(NULL) == 0);
	if (len == 0 || buf_put(&text, data + 1, len - 1) < 0 || buf_check(&text, NULL) < 0)
		return 0;
	const char *at = (const char *)text.data;
	switch (data[0] % 4) {
	case 0: open_note(&verifier, at, text.len); break;
	case 1: open_signed(&verifier, secret, at, text.len); break;
	case 2: read_key(at); break;
	default:
		if (note_checkpoint_read(at, text.len, &checkpoint, NULL) == 0)
			REQUIRE(checkpoint.origin_len > 0 && checkpoint.origin_len < text.len);
	}
	return 0;
}
