/* test_certificate.c - certificates of erasure: signed, opened, refused when anything differs. */
#include "common/defs.h"
#include "api/certificate.h"

#include "common/json.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define UID "01hqzx3vxw5n2k8r9d4m6t7b0c"

struct desk {
	struct arena *arena;
	struct certificate_key key;
	uint8_t secret[SIGN_SECRET_BYTES];
	struct value *certificate;
	struct buf note;
	struct err err;
};

static void origin_checkpoint(struct desk *desk, const char *origin, struct buf *out)
{
	struct merkle_range range = { 0 };
	uint8_t leaf[MERKLE_BYTES];
	AUTO_BUF text;
	buf_init(&text, KIB);
	buf_init(out, 4 * KIB);
	merkle_leaf("event", 5, leaf);
	cr_assert_eq(merkle_append(&range, leaf, NULL), 0);
	note_checkpoint_print(origin, &range, &text);
	cr_assert_eq(note_sign(desk->key.verifier.name, desk->key.verifier.key, desk->secret,
	                       (const char *)text.data, text.len, out, NULL), 0);
}

/* The root of the tree over these two, as erasure_keys.c makes it. */
static const char *root_of(struct desk *desk, const char *one, const char *two)
{
	struct merkle_range range = { 0 };
	uint8_t hash[MERKLE_BYTES];
	char *text = arena_alloc(desk->arena, FINGERPRINT_TEXT);
	certificate_leaf(one, hash);
	cr_assert_eq(merkle_append(&range, hash, NULL), 0);
	certificate_leaf(two, hash);
	cr_assert_eq(merkle_append(&range, hash, NULL), 0);
	merkle_root(&range, hash);
	for (size_t i = 0; i < sizeof hash; i++)
		snprintf(text + 2 * i, 3, "%02x", hash[i]);
	return text;
}

static struct value *json(struct desk *desk, const char *text)
{
	struct value *value = NULL;
	char *copy = arena_strdup(desk->arena, text);
	for (char *at = copy; *at; at++)
		*at = *at == '\'' ? '"' : *at;
	cr_assert_eq(json_parse(desk->arena, copy, strlen(copy), &value, &desk->err), 0, "%s\n%s",
	             desk->err.text, copy);
	return value;
}

static void make(struct desk *desk)
{
	AUTO_BUF checkpoint;
	uint8_t seed[KEY_BYTES] = { 7 };
	char one[FINGERPRINT_TEXT], two[FINGERPRINT_TEXT];
	*desk = (struct desk){ .arena = NULL };
	cr_assert_eq(arena_new(64 * MIB, &desk->arena, NULL), 0);
	strcpy(desk->key.verifier.name, CERTIFICATE_SIGNER);
	sign_keypair_from(seed, desk->key.verifier.key, desk->secret);
	desk->key.secret_key = desk->secret;
	certificate_fingerprint("one", 3, one);
	certificate_fingerprint("two", 3, two);
	origin_checkpoint(desk, "freehold/audit/" UID, &checkpoint);
	const char *text = arena_printf(desk->arena,
		"{'apiVersion':'freehold.io/v1','kind':'ErasureCertificate','tenant':{"
		"'name':'acme','uid':'" UID "'},'requestedBy':'platform/ann','requestedAt':"
		"'2026-11-22T12:00:00.000Z','reason':'the contract ended','dueAt':"
		"'2026-11-29T12:00:00.000Z','completedAt':'2026-11-29T12:00:07.000Z','performed':"
		"{'01':{'step':'wait','at':'2026-11-29T12:00:00.000Z'}},'keys':{"
		"'count':2,'root':'%s','listed':{'000001':{'of':'tenant','version':1,"
		"'fingerprint':'%s'},'000002':{'of':'r/dataset/acme/sales/orders',"
		"'uid':'" UID "','version':2,'fingerprint':'%s'}}},"
		"'workers':{'w1':{'confirmedAt':'2026-11-29T12:00:05.000Z','rows':3}},'usage':{},"
		"'audit':{'checkpoint':'','from':1}}", root_of(desk, one, two), one, two);
	desk->certificate = json(desk, text);
	value_set(value_get_mut(desk->certificate, "audit"), "checkpoint",
	          value_strn(desk->arena, (const char *)checkpoint.data, checkpoint.len));
	buf_init(&desk->note, NOTE_BYTES_MAX);
}

static void end(struct desk *desk)
{
	buf_release(&desk->note);
	arena_free(desk->arena);
}

static int sign(struct desk *desk)
{
	buf_clear(&desk->note);
	return certificate_sign(desk->arena, desk->certificate, &desk->key, &desk->note,
	                        &desk->err);
}

static int open_note(struct desk *desk, size_t len)
{
	struct value *certificate = NULL;
	return certificate_open(desk->arena, &desk->key.verifier, (const char *)desk->note.data,
	                        len, &certificate, &desk->err);
}

Test(certificate, what_was_signed_is_opened_and_says_the_same)
{
	struct desk desk;
	struct value *opened = NULL;
	make(&desk);
	cr_assert_eq(sign(&desk), 0, "%s", desk.err.text);
	cr_assert_eq(certificate_open(desk.arena, &desk.key.verifier,
	                              (const char *)desk.note.data, desk.note.len, &opened,
	                              &desk.err), 0, "%s", desk.err.text);
	cr_assert(value_equal(opened, desk.certificate));
	end(&desk);
}

Test(certificate, not_one_bit_of_it_can_be_another_and_no_end_be_missing)
{
	struct desk desk;
	make(&desk);
	cr_assert_eq(sign(&desk), 0);
	for (size_t i = 0; i < desk.note.len; i++) {
		uint8_t kept = desk.note.data[i];
		desk.note.data[i] ^= (uint8_t)(1 << i % 8);
		cr_assert_lt(open_note(&desk, desk.note.len), 0, "byte %zu", i);
		desk.note.data[i] = kept;
	}
	for (size_t len = 0; len < desk.note.len; len++)
		cr_assert_lt(open_note(&desk, len), 0, "%zu bytes", len);
	cr_assert_eq(open_note(&desk, desk.note.len), 0);
	end(&desk);
}

/* Signed by the right key, and still not what an erasure leaves. */
Test(certificate, what_does_not_fit_together_is_refused_though_it_is_signed)
{
	struct desk desk;
	make(&desk);
	struct value *keys = value_get_mut(desk.certificate, "keys");
	struct value *one = value_get_mut(value_get_mut(keys, "listed"), "000001");
	const char *kept = value_get_str(one, "fingerprint");
	value_set_str(one, "fingerprint", "00");
	cr_assert_eq(sign(&desk), 0);
	cr_assert_eq(open_note(&desk, desk.note.len), E_CORRUPT);
	cr_assert(strstr(desk.err.text, "fingerprints"), "%s", desk.err.text);
	value_set_str(one, "fingerprint", kept);
	value_set_int(keys, "count", 1);
	cr_assert_eq(sign(&desk), 0);
	cr_assert_eq(open_note(&desk, desk.note.len), E_CORRUPT);
	value_set_int(keys, "count", 2);
	AUTO_BUF other;
	origin_checkpoint(&desk, "freehold/audit/01hqzx3vxw5n2k8r9d4m6t7b0d", &other);
	value_set(value_get_mut(desk.certificate, "audit"), "checkpoint",
	          value_strn(desk.arena, (const char *)other.data, other.len));
	cr_assert_eq(sign(&desk), 0);
	cr_assert_eq(open_note(&desk, desk.note.len), E_CORRUPT);
	cr_assert(strstr(desk.err.text, "another log"), "%s", desk.err.text);
	end(&desk);
}

Test(certificate, one_that_lacks_a_member_or_has_one_too_many_is_not_signed)
{
	static const char *const members[] = { "tenant", "reason", "keys", "workers", "audit",
	                                       "performed", "completedAt", "kind" };
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		struct desk desk;
		make(&desk);
		value_remove(desk.certificate, members[i]);
		cr_assert_eq(sign(&desk), E_INVALID, "%s", members[i]);
		end(&desk);
	}
	struct desk desk;
	make(&desk);
	value_set_int(desk.certificate, "rows", 1);
	cr_assert_eq(sign(&desk), E_INVALID);
	end(&desk);
}

Test(certificate, another_order_or_a_space_is_another_text)
{
	struct desk desk;
	make(&desk);
	const char *text = "{\"b\":1,\"a\":2}\n";
	AUTO_BUF note;
	buf_init(&note, NOTE_BYTES_MAX);
	cr_assert_eq(note_sign(desk.key.verifier.name, desk.key.verifier.key, desk.secret, text,
	                       strlen(text), &note, NULL), 0);
	struct value *opened = NULL;
	cr_assert_lt(certificate_open(desk.arena, &desk.key.verifier, (const char *)note.data,
	                              note.len, &opened, &desk.err), 0);
	AUTO_BUF pretty;
	buf_init(&pretty, NOTE_BYTES_MAX);
	json_print_pretty(desk.certificate, &pretty);
	buf_putc(&pretty, '\n');
	buf_clear(&note);
	cr_assert_eq(note_sign(desk.key.verifier.name, desk.key.verifier.key, desk.secret,
	                       (const char *)pretty.data, pretty.len, &note, NULL), 0);
	cr_assert_eq(certificate_open(desk.arena, &desk.key.verifier, (const char *)note.data,
	                              note.len, &opened, &desk.err), E_CORRUPT);
	cr_assert(strstr(desk.err.text, "canonical"), "%s", desk.err.text);
	end(&desk);
}
