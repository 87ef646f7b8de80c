/* test_seal.c - sealed objects: they open for whom they were made, whole, and for nothing else. */
#include "common/defs.h"
#include "common/chunked.h"
#include "common/seal.h"
#include "common/seal_header.h"
#include "tests/support/alloc.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES_MAX = 4 << 20 };

static const uint8_t key[KEY_BYTES] = { 1, 2, 3 }, other_key[KEY_BYTES] = { 4, 5, 6 };
static const struct seal_label label = { "acme", "ds01", "acme/ds01/part-0", 3 };

static void start(void)
{
	cr_assert_eq(crypto_start(NULL), 0);
}

TestSuite(seal, .init = start);

/* Plain bytes that differ from place to place. */
static uint8_t *sample(size_t len)
{
	uint8_t *data = malloc(len + 1);
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 31 + i / 251);
	return data;
}

static int into(void *context, const void *data, size_t len, struct err *err)
{
	(void)err;
	return buf_put(context, data, len);
}

static void seal_with(enum aead_kind kind, const uint8_t *data, size_t len, size_t step,
		      struct buf *out)
{
	AUTO(sealer) *sealer = NULL;
	buf_init(out, BYTES_MAX);
	cr_assert_eq(sealer_new_kind(kind, &label, key, into, out, &sealer, NULL), 0);
	for (size_t at = 0; at < len; at += step)
		cr_assert_eq(
			sealer_write(sealer, data + at, len - at < step ? len - at : step, NULL),
			0);
	cr_assert_eq(sealer_finish(sealer, NULL), 0);
}

static int open_as(const struct seal_label *as, const uint8_t with[KEY_BYTES],
		   const struct buf *object, struct err *err)
{
	AUTO_BUF out;
	buf_init(&out, BYTES_MAX);
	*err = (struct err){ 0 };
	int rc = open_bytes(as, with, object->data, object->len, &out, err);
	cr_expect(rc == 0 || out.len == 0, "a failed open gave plaintext");
	return rc;
}

static void try_sizes(enum aead_kind kind)
{
	static const size_t sizes[] = { 0, 1, 5000, 16383, 16384, 16385, 32768, 200000, 163840 };
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		uint8_t *data = sample(sizes[i]);
		AUTO_BUF object, out;
		seal_with(kind, data, sizes[i], 200001, &object);
		buf_init(&out, BYTES_MAX);
		cr_assert_eq(open_bytes(&label, key, object.data, object.len, &out, NULL), 0);
		cr_expect(out.len == sizes[i] && memcmp(out.data, data, out.len) == 0, "%zu",
			  sizes[i]);
		free(data);
	}
}

Test(seal, what_was_sealed_opens_at_every_size)
{
	try_sizes(aead_best());
}

Test(seal, the_variant_without_aes_instructions_does_the_same)
{
	try_sizes(AEAD_XCHACHA20POLY1305);
}

Test(seal, pieces_of_any_size_seal_the_same_content)
{
	static const size_t steps[] = { 1, 7, 16383, 16384, 16385, 40000 };
	uint8_t *data = sample(50000);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		AUTO_BUF object, out;
		seal_with(aead_best(), data, 50000, steps[i], &object);
		buf_init(&out, BYTES_MAX);
		cr_assert_eq(open_bytes(&label, key, object.data, object.len, &out, NULL), 0);
		cr_expect(out.len == 50000 && memcmp(out.data, data, 50000) == 0, "step %zu",
			  steps[i]);
	}
	free(data);
}

Test(seal, nothing_of_the_content_or_the_path_shows)
{
	AUTO_BUF object;
	seal_with(aead_best(), (const uint8_t *)"ATL Hartsfield", 14, 14, &object);
	cr_expect_null(memmem(object.data, object.len, "Hartsfield", 10));
	cr_expect_null(memmem(object.data, object.len, "part-0", 6));
	cr_expect_null(memmem(object.data, object.len, key, KEY_BYTES));
}

static void flip_everywhere(enum aead_kind kind, size_t len)
{
	uint8_t *data = sample(len);
	AUTO_BUF object;
	seal_with(kind, data, len, len, &object);
	struct err err;
	cr_assert_eq(open_as(&label, key, &object, &err), 0);
	for (size_t bit = 0; bit < 8 * object.len; bit++) {
		object.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		int rc = open_as(&label, key, &object, &err);
		cr_assert(rc == E_CORRUPT, "bit %zu: %d %s", bit, rc, err.text);
		object.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	cr_assert_eq(open_as(&label, key, &object, &err), 0);
	free(data);
}

Test(seal, a_flipped_bit_anywhere_is_refused)
{
	flip_everywhere(aead_best(), 100);
}

Test(seal, a_flipped_bit_anywhere_is_refused_without_aes_too)
{
	flip_everywhere(AEAD_XCHACHA20POLY1305, 60);
}

static void refused(const struct seal_label *as, const uint8_t *with, const char *word)
{
	AUTO_BUF object;
	struct err err;
	seal_with(aead_best(), (const uint8_t *)"x", 1, 1, &object);
	cr_expect_eq(open_as(as, with, &object, &err), E_CORRUPT);
	cr_expect_not_null(strstr(err.text, word), "%s", err.text);
}

Test(seal, refuses_an_object_moved_to_another_tenant)
{
	refused(&(struct seal_label){"globex", "ds01", "acme/ds01/part-0", 3}, key,
		"another tenant");
}

Test(seal, refuses_an_object_moved_to_another_dataset)
{
	refused(&(struct seal_label){"acme", "ds02", "acme/ds01/part-0", 3}, key,
		"another dataset");
}

Test(seal, refuses_an_object_moved_to_another_path)
{
	refused(&(struct seal_label){ "acme", "ds01", "acme/ds01/part-1", 3 }, key, "another path");
}

Test(seal, refuses_another_version_of_the_key)
{
	refused(&(struct seal_label){ "acme", "ds01", "acme/ds01/part-0", 2 }, key, "version 3");
}

Test(seal, refuses_another_key)
{
	refused(&label, other_key, "data key does not open");
}

/* Someone with write access puts other names into the header; the key is even the right one. */
static void rewritten(const char *old, const char *new, size_t len, const struct seal_label *as)
{
	AUTO_BUF object;
	struct err err;
	seal_with(aead_best(), (const uint8_t *)"x", 1, 1, &object);
	uint8_t *at = memmem(object.data, object.len, old, len);
	cr_assert_not_null(at);
	memcpy(at, new, len);
	cr_expect_eq(open_as(as, key, &object, &err), E_CORRUPT);
	cr_expect_not_null(strstr(err.text, "data key does not open"), "%s", err.text);
}

Test(seal, refuses_a_header_rewritten_for_another_tenant)
{
	rewritten("acme", "evil", 4, &(struct seal_label){"evil", "ds01", "acme/ds01/part-0", 3});
}

Test(seal, refuses_a_header_rewritten_for_another_dataset)
{
	rewritten("ds01", "ds02", 4, &(struct seal_label){"acme", "ds02", "acme/ds01/part-0", 3});
}

Test(seal, refuses_a_header_rewritten_for_another_version)
{
	rewritten("\0\0\0\3", "\0\0\0\4", 4,
		  &(struct seal_label){"acme", "ds01", "acme/ds01/part-0", 4});
}

/* The header of one object before the body of another of the same dataset. */
Test(seal, refuses_a_body_under_another_header)
{
	AUTO_BUF a, b;
	struct err err;
	uint32_t version = 0;
	size_t body = 0;
	seal_with(aead_best(), (const uint8_t *)"one", 3, 3, &a);
	seal_with(aead_best(), (const uint8_t *)"two", 3, 3, &b);
	cr_assert_eq(seal_peek(a.data, a.len, &version, &body, NULL), 0);
	memcpy(a.data + body, b.data + body, a.len - body);
	cr_expect_eq(open_as(&label, key, &a, &err), E_CORRUPT);
}

Test(seal, refuses_truncation_at_every_border_and_beside_it)
{
	AUTO_BUF object;
	uint8_t *data = sample(60000);
	uint32_t version = 0;
	size_t body = 0, whole;
	seal_with(aead_best(), data, 60000, 60000, &object);
	cr_assert_eq(seal_peek(object.data, object.len, &version, &body, NULL), 0);
	whole = object.len;
	struct err err;
	for (size_t chunk = 0; chunk <= 3; chunk++) {
		size_t border = body + chunked_offset(chunk);
		static const int beside[] = { -17, -16, -1, 0, 1, 15, 16, 17 };
		for (size_t i = 0; i < ARRAY_LEN(beside); i++) {
			object.len = border + (size_t)(ptrdiff_t)beside[i];
			cr_expect_eq(open_as(&label, key, &object, &err), E_CORRUPT, "at %zu",
				     object.len);
			cr_expect_not_null(strstr(err.text, "truncated"), "%s", err.text);
		}
	}
	for (object.len = 0; object.len < body + CHUNKED_HEAD; object.len++)
		cr_expect_eq(open_as(&label, key, &object, &err), E_CORRUPT, "at %zu", object.len);
	object.len = whole - 1;
	cr_expect_eq(open_as(&label, key, &object, &err), E_CORRUPT);
	object.len = whole;
	cr_expect_eq(open_as(&label, key, &object, &err), 0);
	free(data);
}

Test(seal, refuses_bytes_behind_the_end)
{
	AUTO_BUF object;
	struct err err;
	seal_with(aead_best(), (const uint8_t *)"x", 1, 1, &object);
	buf_putc(&object, 0);
	cr_expect_eq(open_as(&label, key, &object, &err), E_CORRUPT);
}

Test(seal, refuses_chunks_in_another_order)
{
	AUTO_BUF object;
	uint8_t *data = sample(40000), *swap = malloc(SEAL_CHUNK_SEALED);
	uint32_t version = 0;
	size_t body = 0;
	struct err err;
	seal_with(aead_best(), data, 40000, 40000, &object);
	cr_assert_eq(seal_peek(object.data, object.len, &version, &body, NULL), 0);
	uint8_t *first = object.data + body + CHUNKED_HEAD, *second = first + SEAL_CHUNK_SEALED;
	memcpy(swap, first, SEAL_CHUNK_SEALED);
	memcpy(first, second, SEAL_CHUNK_SEALED);
	memcpy(second, swap, SEAL_CHUNK_SEALED);
	cr_expect_eq(open_as(&label, key, &object, &err), E_CORRUPT);
	cr_expect_not_null(strstr(err.text, "stood elsewhere"), "%s", err.text);
	free(data);
	free(swap);
}

Test(seal, without_finish_nothing_opens)
{
	AUTO_BUF object;
	AUTO(sealer) *sealer = NULL;
	uint8_t *data = sample(300000);
	struct err err;
	buf_init(&object, BYTES_MAX);
	cr_assert_eq(sealer_new(&label, key, into, &object, &sealer, NULL), 0);
	cr_assert_eq(sealer_write(sealer, data, 300000, NULL), 0);
	cr_assert_gt(object.len, 0);
	cr_expect_eq(open_as(&label, key, &object, &err), E_CORRUPT);
	free(data);
}

static int full_sink(void *context, const void *data, size_t len, struct err *err)
{
	(void)context, (void)data;
	return err_set(err, E_NO_SPACE, "no room for %zu", len);
}

Test(seal, a_failing_sink_ends_the_object)
{
	AUTO(sealer) *sealer = NULL;
	uint8_t *data = sample(300000);
	struct err err;
	cr_assert_eq(sealer_new(&label, key, full_sink, NULL, &sealer, NULL), 0);
	cr_expect_eq(sealer_write(sealer, data, 300000, &err), E_NO_SPACE);
	cr_expect_eq(sealer_write(sealer, data, 1, &err), E_NO_SPACE);
	cr_expect_eq(sealer_finish(sealer, &err), E_NO_SPACE);
	free(data);
}

Test(seal, labels_without_a_name_or_too_long_are_refused)
{
	char lengthy[500];
	AUTO_BUF out;
	struct err err;
	memset(lengthy, 'a', sizeof lengthy - 1);
	lengthy[sizeof lengthy - 1] = 0;
	const struct seal_label bad[] = {
		{"", "d", "p", 1},	{"t", NULL, "p", 1},	{"t", "d", "", 1},
		{lengthy, "d", "p", 1}, {"t", lengthy, "p", 1}, {"t", "d", lengthy, 1},
	};
	buf_init(&out, BYTES_MAX);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_expect_eq(seal_bytes(&bad[i], key, "x", 1, &out, &err), E_INVALID, "label %zu",
			     i);
	lengthy[255] = 0;
	const struct seal_label longest = { lengthy, lengthy, lengthy, UINT32_MAX };
	cr_expect_eq(seal_bytes(&longest, key, "x", 1, &out, &err), 0, "%s", err.text);
	cr_expect_eq(open_as(&longest, key, &out, &err), 0, "%s", err.text);
}

/* Random access. */

static struct opener *open_object(const struct buf *object)
{
	struct opener *opener = NULL;
	struct seal_span tail;
	cr_assert_eq(seal_tail(object->data, object->len, object->len, &tail, NULL), 0);
	cr_assert_eq(opener_new(&label, key, object->data, SEAL_HEADER_MAX, object->len,
				object->data + tail.offset, &opener, NULL), 0);
	return opener;
}

static bool chunk_holds(const struct opener *opener, const struct buf *object, uint64_t chunk,
			const uint8_t *data)
{
	uint8_t out[SEAL_CHUNK];
	size_t len = 0;
	struct seal_span span = opener_span(opener, chunk);
	if (opener_chunk(opener, chunk, object->data + span.offset, span.len, out, &len, NULL) < 0)
		return false;
	return memcmp(out, data + chunk * SEAL_CHUNK, len) == 0;
}

Test(seal, any_chunk_opens_by_itself)
{
	AUTO_BUF object;
	uint8_t *data = sample(100000);
	seal_with(aead_best(), data, 100000, 100000, &object);
	AUTO(opener) *opener = open_object(&object);
	uint8_t out[SEAL_CHUNK];
	size_t len = 0;
	struct err err;
	cr_expect_eq(opener_len(opener), 100000);
	for (uint64_t chunk = 7; chunk-- > 0;)
		cr_expect(chunk_holds(opener, &object, chunk, data), "chunk %d", (int)chunk);
	struct seal_span second = opener_span(opener, 1);
	cr_expect_eq(opener_span(opener, 7).len, 0);
	cr_expect_eq(opener_chunk(opener, 7, object.data, 16, out, &len, &err), E_INVALID);
	cr_expect_eq(opener_chunk(opener, 1, object.data + second.offset, 100, out, &len, &err),
		     E_CORRUPT);
	cr_expect_not_null(strstr(err.text, "truncated"), "%s", err.text);
	cr_expect_eq(
		opener_chunk(opener, 2, object.data + second.offset, second.len, out, &len, &err),
		E_CORRUPT);
	free(data);
}

Test(seal, a_ticket_opens_the_same_object_without_the_dataset_key)
{
	static const enum aead_kind kinds[] = { AEAD_XCHACHA20POLY1305, AEAD_AES256GCM };
	uint8_t *data = sample(40000), ticket[OPENER_TICKET_BYTES];
	for (size_t i = 0; i < ARRAY_LEN(kinds) && aead_available(kinds[i]); i++) {
		AUTO_BUF object;
		seal_with(kinds[i], data, 40000, 40000, &object);
		AUTO(opener) *first = open_object(&object), *second = NULL;
		opener_ticket(first, ticket);
		cr_assert_eq(opener_from_ticket(ticket, &second, NULL), 0);
		cr_expect_eq(opener_len(second), 40000);
		for (uint64_t chunk = 0; chunk < 3; chunk++)
			cr_expect(chunk_holds(second, &object, chunk, data));
	}
	free(data);
}

Test(seal, a_damaged_ticket_is_refused)
{
	AUTO_BUF object;
	uint8_t ticket[OPENER_TICKET_BYTES];
	seal_with(aead_best(), (const uint8_t *)"x", 1, 1, &object);
	AUTO(opener) *opener = open_object(&object);
	opener_ticket(opener, ticket);
	static const size_t framing[] = { 0, 4, 5, 11, 76, 95 };
	for (size_t i = 0; i < ARRAY_LEN(framing); i++) {
		struct opener *other = NULL;
		ticket[framing[i]] ^= 0x80;
		cr_expect_lt(opener_from_ticket(ticket, &other, NULL), 0, "byte %zu", framing[i]);
		cr_expect_null(other);
		ticket[framing[i]] ^= 0x80;
	}
}

struct reader {
	const struct opener *opener;
	const struct buf *object;
	const uint8_t *data;
	bool ok;
};

static void *read_all(void *arg)
{
	struct reader *reader = arg;
	reader->ok = true;
	for (int i = 0; i < 200; i++)
		reader->ok &= chunk_holds(reader->opener, reader->object, (uint64_t)(i * 5 % 7),
					  reader->data);
	return NULL;
}

Test(seal, many_threads_read_one_opener)
{
	AUTO_BUF object;
	uint8_t *data = sample(100000);
	seal_with(aead_best(), data, 100000, 100000, &object);
	AUTO(opener) *opener = open_object(&object);
	pthread_t threads[4];
	struct reader readers[4];
	for (int i = 0; i < 4; i++) {
		readers[i] = (struct reader){ opener, &object, data, false };
		cr_assert_eq(pthread_create(&threads[i], NULL, read_all, &readers[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		cr_expect(readers[i].ok);
	}
	free(data);
}

Test(seal, reading_a_chunk_allocates_nothing)
{
	AUTO_BUF object;
	seal_with(aead_best(), (const uint8_t *)"x", 1, 1, &object);
	AUTO(opener) *opener = open_object(&object);
	long before = alloc_count();
	cr_expect(chunk_holds(opener, &object, 0, (const uint8_t *)"x"));
	cr_expect_eq(alloc_count(), before);
}

/* Rotation. */

static void rotate(uint32_t from, uint32_t to)
{
	const struct seal_label old = { "acme", "ds01", "acme/ds01/part-0", from };
	const struct seal_label new = { "acme", "ds01", "acme/ds01/part-0", to };
	AUTO_BUF object, head, out;
	uint32_t version = 0;
	size_t body = 0, new_body = 0;
	struct err err;
	buf_init(&object, BYTES_MAX);
	buf_init(&head, SEAL_HEADER_MAX);
	buf_init(&out, BYTES_MAX);
	cr_assert_eq(seal_bytes(&old, key, "hello", 5, &object, NULL), 0);
	cr_assert_eq(seal_peek(object.data, object.len, &version, &body, NULL), 0);
	cr_expect_eq(version, from);
	cr_assert_eq(seal_rewrap(&old, key, to, other_key, object.data, object.len, &head, &err), 0,
		     "%s", err.text);
	cr_assert_eq(head.len, body);
	memcpy(object.data, head.data, head.len);
	cr_assert_eq(seal_peek(object.data, object.len, &version, &new_body, NULL), 0);
	cr_expect(version == to && new_body == body);
	cr_assert_eq(open_bytes(&new, other_key, object.data, object.len, &out, NULL), 0);
	cr_expect(out.len == 5 && memcmp(out.data, "hello", 5) == 0);
	cr_expect_eq(open_as(&old, key, &object, &err), E_CORRUPT,
		     "the old key is of no use any more");
}

Test(seal, rotation_keeps_the_body_and_the_length_of_the_header)
{
	rotate(1, 2);
	rotate(127, 128);
	rotate(255, 70000);
}

Test(seal, rotation_needs_the_old_key)
{
	AUTO_BUF object, head;
	struct err err;
	buf_init(&head, SEAL_HEADER_MAX);
	seal_with(aead_best(), (const uint8_t *)"x", 1, 1, &object);
	cr_expect_eq(seal_rewrap(&label, other_key, 4, key, object.data, object.len, &head, &err),
		     E_CORRUPT);
	cr_expect_eq(head.len, 0);
}

Test(seal, is_told_apart_from_other_bytes)
{
	static const char *const strange[] = {
		"", "FHS", "FHS1", "PAR1\1\0\0", "FHS1\3\0\0", "FHS1\1\xff\xff", "FHS1\1\0\0"};
	for (size_t i = 0; i < ARRAY_LEN(strange); i++) {
		uint32_t version = 77;
		size_t body = 77, len = i > 2 ? 7 : strlen(strange[i]);
		struct err err;
		cr_expect_eq(seal_peek((const uint8_t *)strange[i], len, &version, &body, &err),
			     E_CORRUPT);
		cr_expect(version == 77 && body == 77);
	}
}

static void header_refused(const struct buf *object)
{
	AUTO(arena) *arena = NULL;
	struct seal_header header;
	struct err err;
	cr_assert_eq(arena_new(SEAL_PARSE_BYTES, &arena, NULL), 0);
	cr_expect_eq(seal_header_read(arena, object->data, object->len, &header, &err), E_CORRUPT);
	cr_expect_not_null(strstr(err.text, "header was changed"), "%s", err.text);
}

/* The same header in other words: a longer form of a length, members in another order. */
Test(seal, a_header_has_one_form_only)
{
	static const char members[] = "\xa7" "dataset\xa4" "ds01\xa6" "tenant\xa4" "acme";
	static const char swapped[] = "\xa6" "tenant\xa4" "acme\xa7" "dataset\xa4" "ds01";
	AUTO_BUF object, other;
	seal_with(aead_best(), (const uint8_t *)"x", 1, 1, &object);
	uint8_t *at = memmem(object.data, object.len, members, sizeof members - 1);
	cr_assert_not_null(at);
	size_t before = (size_t)(at - object.data) + 8;
	buf_init(&other, BYTES_MAX);
	buf_put(&other, object.data, before);
	buf_put(&other, "\xd9\x04", 2);
	buf_put(&other, object.data + before + 1, object.len - before - 1);
	other.data[5]++;
	header_refused(&other);
	memcpy(at, swapped, sizeof swapped - 1);
	header_refused(&object);
}

/* Every allocation fails once. */

static int everything(void)
{
	AUTO_BUF object, out, head;
	uint8_t ticket[OPENER_TICKET_BYTES];
	buf_init(&object, BYTES_MAX);
	buf_init(&out, BYTES_MAX);
	buf_init(&head, SEAL_HEADER_MAX);
	AUTO(opener) *opener = NULL, *second = NULL;
	struct seal_span tail;
	uint32_t version;
	size_t body;
	TRY(seal_bytes(&label, key, "hello", 5, &object, NULL));
	TRY(open_bytes(&label, key, object.data, object.len, &out, NULL));
	TRY(seal_peek(object.data, object.len, &version, &body, NULL));
	TRY(seal_tail(object.data, object.len, object.len, &tail, NULL));
	TRY(opener_new(&label, key, object.data, object.len, object.len, object.data + tail.offset,
		       &opener, NULL));
	opener_ticket(opener, ticket);
	TRY(opener_from_ticket(ticket, &second, NULL));
	return seal_rewrap(&label, key, 4, other_key, object.data, object.len, &head, NULL);
}

Test(seal, each_failing_allocation_is_an_error)
{
	long n = 0;
	for (;; n++) {
		alloc_fail_after(n);
		int rc = everything();
		if (!alloc_fired())
			break;
		cr_expect_eq(rc, E_NOMEM, "allocation %ld: %d", n, rc);
	}
	alloc_fail_after(-1);
	cr_expect_gt(n, 10);
}
