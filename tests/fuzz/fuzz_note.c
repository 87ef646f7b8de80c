/* fuzz_note.c - what `freehold verify` is given: notes, verifiers, checkpoints, proofs and erasure
 * certificates; also texts under a good signature, which reach every check. */
#include "common/defs.h"
#include "api/certificate.h"
#include "common/note.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void read_signed(struct arena *arena, const struct note_verifier *verifier, const char *note,
                        size_t len)
{
	struct value *certificate = NULL;
	struct err err = {0};
	size_t text = 0;
	if (note_open(verifier, note, len, &text, &err) == 0)
		REQUIRE(text > 0 && text < len && note[text - 1] == '\n');
	else
		REQUIRE(err.code == E_CORRUPT && err.text[0]);
	if (certificate_open(arena, verifier, note, len, &certificate, &err) < 0)
		REQUIRE(err.text[0]);
	else
		REQUIRE(certificate);
}

static void read_proof(const uint8_t *data, size_t len)
{
	struct merkle_proof proof = {.count = 0};
	struct merkle_range range;
	uint8_t leaf[MERKLE_BYTES] = {1}, root[MERKLE_BYTES] = {2};
	uint64_t size = 0, index = 0;
	if (len < 17)
		return;
	memcpy(&size, data, 8);
	memcpy(&index, data + 8, 8);
	proof.count = data[16] % (MERKLE_PROOF_MAX + 1);
	data += 17;
	len -= 17;
	memcpy(proof.hashes, data, len < sizeof proof.hashes ? len : sizeof proof.hashes);
	(void)!merkle_is_included(&proof, index, size, leaf, root);
	(void)!merkle_is_consistent(&proof, index, size, leaf, root);
	if (merkle_range_read(size, data, len, &range, NULL) == 0) {
		REQUIRE(merkle_edge_count(size) * MERKLE_BYTES == len);
		merkle_root(&range, root);
		(void)!merkle_append(&range, leaf, NULL);
	}
}

static void read_plain(const char *text, size_t len)
{
	struct note_verifier verifier, again;
	struct note_checkpoint checkpoint;
	char printed[NOTE_VERIFIER_MAX];
	if (note_verifier_read(text, &verifier, NULL) == 0) {
		note_verifier_print(&verifier, printed);
		REQUIRE(note_verifier_read(printed, &again, NULL) == 0);
		REQUIRE(strcmp(verifier.name, again.name) == 0);
	}
	if (note_checkpoint_read(text, len, &checkpoint, NULL) == 0)
		REQUIRE(checkpoint.origin_len > 0 && checkpoint.origin_len < len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO(arena) *arena = NULL;
	AUTO_BUF note;
	struct note_verifier verifier = {.name = CERTIFICATE_SIGNER};
	uint8_t secret[SIGN_SECRET_BYTES];
	REQUIRE(crypto_start(NULL) == 0 && arena_new(32 * MIB, &arena, NULL) == 0);
	buf_init(&note, MIB);
	const char *text = arena_strndup(arena, (const char *)data, len);
	REQUIRE(text);
	sign_keypair(verifier.key, secret);
	read_proof(data, len);
	read_plain(text, strlen(text));
	read_signed(arena, &verifier, text, len);
	if (note_sign(verifier.name, verifier.key, secret, text, strlen(text), &note, NULL) == 0)
		read_signed(arena, &verifier, (const char *)note.data, note.len);
	return 0;
}
