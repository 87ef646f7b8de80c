/* test_note.c - signed notes and checkpoints of logs. */
#include "common/defs.h"
#include "common/note.h"

#include <criterion/criterion.h>
#include <string.h>

#define TEXT "freehold/example\n3\nqw==\n"

struct signer {
	struct note_verifier verifier;
	uint8_t secret[SIGN_SECRET_BYTES];
};

static struct signer signer_of(const char *name, uint8_t seed_byte)
{
	struct signer signer = { .verifier = { .name = "" } };
	uint8_t seed[KEY_BYTES];
	memset(seed, seed_byte, sizeof seed);
	strcpy(signer.verifier.name, name);
	sign_keypair_from(seed, signer.verifier.key, signer.secret);
	return signer;
}

static void sign(const struct signer *signer, const char *text, struct buf *out)
{
	buf_init(out, NOTE_BYTES_MAX);
	cr_assert_eq(note_sign(signer->verifier.name, signer->verifier.key, signer->secret, text,
	                       strlen(text), out, NULL), 0);
}

static int open_with(const struct signer *signer, const struct buf *note)
{
	size_t len = 0;
	return note_open(&signer->verifier, (const char *)note->data, note->len, &len, NULL);
}

Test(note, what_was_signed_is_opened_with_its_text)
{
	struct signer signer = signer_of("example.com/erasure", 1);
	AUTO_BUF note;
	size_t len = 0;
	sign(&signer, TEXT, &note);
	cr_assert_eq(note_open(&signer.verifier, (const char *)note.data, note.len, &len, NULL), 0);
	cr_assert_eq(len, strlen(TEXT));
	cr_assert_not_null(strstr((const char *)note.data,
	                          "\n\n\xe2\x80\x94 example.com/erasure "));
}

Test(note, no_byte_of_it_can_be_changed_left_out_or_added)
{
	struct signer signer = signer_of("example.com/erasure", 1);
	AUTO_BUF note;
	sign(&signer, TEXT, &note);
	for (size_t i = 0; i < note.len; i++) {
		note.data[i] ^= 1;
		cr_assert_lt(open_with(&signer, &note), 0, "byte %zu", i);
		note.data[i] ^= 1;
	}
	for (size_t len = note.len; note.len > 0;) {
		note.len--;
		cr_assert_lt(open_with(&signer, &note), 0, "%zu of %zu bytes", note.len, len);
	}
}

Test(note, another_key_or_name_does_not_open_it)
{
	struct signer signer = signer_of("example.com/erasure", 1);
	struct signer other = signer_of("example.com/erasure", 2);
	struct signer named = signer_of("example.com/other", 1);
	AUTO_BUF note;
	sign(&signer, TEXT, &note);
	cr_assert_eq(open_with(&other, &note), E_CORRUPT);
	cr_assert_eq(open_with(&named, &note), E_CORRUPT);
}

Test(note, others_may_have_signed_it_as_well)
{
	struct signer signer = signer_of("example.com/erasure", 1);
	struct signer other = signer_of("example.com/witness", 2);
	AUTO_BUF one, two, both;
	sign(&signer, TEXT, &one);
	sign(&other, TEXT, &two);
	buf_init(&both, NOTE_BYTES_MAX);
	buf_put(&both, one.data, one.len);
	buf_put(&both, two.data + strlen(TEXT) + 1, two.len - strlen(TEXT) - 1);
	cr_assert_eq(open_with(&signer, &both), 0);
	cr_assert_eq(open_with(&other, &both), 0);
}

Test(note, a_text_without_an_end_or_with_control_characters_is_not_signed)
{
	struct signer signer = signer_of("example.com/erasure", 1);
	static const char *const bad[] = { "", "no end", "bell\a\n", "\xff\xfe\n" };
	AUTO_BUF note;
	buf_init(&note, NOTE_BYTES_MAX);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_assert_eq(note_sign(signer.verifier.name, signer.verifier.key, signer.secret,
		                       bad[i], strlen(bad[i]), &note, NULL), E_INVALID);
}

Test(note, a_verifier_is_printed_and_read_and_a_changed_one_refused)
{
	struct signer signer = signer_of("example.com/erasure", 1);
	struct note_verifier verifier;
	char text[NOTE_VERIFIER_MAX];
	note_verifier_print(&signer.verifier, text);
	cr_assert_eq(note_verifier_read(text, &verifier, NULL), 0);
	cr_assert_str_eq(verifier.name, signer.verifier.name);
	cr_assert_arr_eq(verifier.key, signer.verifier.key, SIGN_PUBLIC_BYTES);
	for (size_t i = 0; i < strlen(text); i++) {
		char kept = text[i];
		text[i] = (char)(text[i] == 'x' ? 'y' : 'x');
		cr_assert_eq(note_verifier_read(text, &verifier, NULL), E_INVALID, "byte %zu", i);
		text[i] = kept;
	}
	cr_assert_eq(note_verifier_read("", &verifier, NULL), E_INVALID);
}

/* The verifier of the specification's own example. */
Test(note, the_published_verifier_is_read)
{
	struct note_verifier verifier;
	cr_assert_eq(note_verifier_read("PeterNeumann+c74f20a3+"
	                                "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", &verifier,
	                                NULL), 0);
	cr_assert_str_eq(verifier.name, "PeterNeumann");
}

Test(note, the_published_note_verifies)
{
	static const char note[] =
		"If you think cryptography is the answer to your problem,\n"
		"then you don't know what your problem is.\n\n"
		"\xe2\x80\x94 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN"
		"1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
	struct note_verifier verifier;
	size_t len = 0;
	cr_assert_eq(note_verifier_read("PeterNeumann+c74f20a3+"
	                                "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", &verifier,
	                                NULL), 0);
	cr_assert_eq(note_open(&verifier, note, sizeof note - 1, &len, NULL), 0);
}

Test(note, a_checkpoint_is_printed_and_read)
{
	struct merkle_range range = { 0 };
	uint8_t leaf[MERKLE_BYTES], root[MERKLE_BYTES];
	struct note_checkpoint checkpoint;
	AUTO_BUF text;
	buf_init(&text, KIB);
	merkle_leaf("a", 1, leaf);
	cr_assert_eq(merkle_append(&range, leaf, NULL), 0);
	merkle_root(&range, root);
	note_checkpoint_print("freehold/acme", &range, &text);
	cr_assert_eq(note_checkpoint_read((const char *)text.data, text.len, &checkpoint, NULL), 0);
	cr_assert_eq(checkpoint.size, 1);
	cr_assert_arr_eq(checkpoint.root, root, MERKLE_BYTES);
	cr_assert_eq(checkpoint.origin_len, strlen("freehold/acme"));
	static const char *const bad[] = { "", "a\n", "a\n1\n", "a\nx\nqw==\n", "a\n01\nqw==\n",
	                                   "\n1\nqw==\n" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_assert_eq(note_checkpoint_read(bad[i], strlen(bad[i]), &checkpoint, NULL),
		             E_CORRUPT);
}
