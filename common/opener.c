/* opener.c - reading sealed objects by chunk, from many threads at once.
 * Invariant: once made an opener is never changed, so opener_chunk needs no lock and no memory. */
#include "common/defs.h"
#include "common/seal_header.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct opener {
	struct chunked body;
	struct chunked_shape shape;
	uint64_t sealed_len;         /* of the whole object */
	size_t body_offset;
};

static int measure(size_t body_offset, uint64_t sealed_len, struct chunked_shape *ret_shape,
		   struct err *err)
{
	return chunked_measure(sealed_len < body_offset ? 0 : sealed_len - body_offset, ret_shape,
			       err);
}

int seal_tail(const uint8_t *head, size_t len, uint64_t sealed_len, struct seal_span *ret_tail,
	      struct err *err)
{
	struct seal_header header;
	struct chunked_shape shape;
	TRY(seal_header_begin(head, len, &header, err));
	TRY(measure(header.len, sealed_len, &shape, err));
	*ret_tail =
		(struct seal_span){header.len + chunked_offset(shape.chunks - 1), shape.tail_len};
	return 0;
}

/* The header's checks and the body's keys. */
static int opener_begin(struct opener *opener, const struct seal_label *label,
			const uint8_t dataset_key[KEY_BYTES], const uint8_t *head, size_t head_len,
			struct err *err)
{
	AUTO(arena) *arena = NULL;
	TRY(arena_new(SEAL_PARSE_BYTES, &arena, err));
	struct seal_header header;
	TRY(seal_header_read(arena, head, head_len, &header, err));
	TRY(seal_header_expect(&header, label, err));
	TRY(measure(header.len, opener->sealed_len, &opener->shape, err));
	if (head_len - header.len < CHUNKED_HEAD)
		return err_set(err, E_CORRUPT,
			       "the sealed object is truncated: its body begins with %d "
			       "bytes, of which %zu are there",
			       CHUNKED_HEAD, head_len - header.len);
	AUTO(secret) *data_key = NULL;
	TRY(seal_header_unwrap(&header, dataset_key, &data_key, err));
	AUTO_BUF context;
	buf_init(&context, SEAL_CONTEXT_MAX);
	TRY(seal_context(label, &context, err));
	opener->body_offset = header.len;
	return chunked_accept(header.kind, secret_bytes(data_key), head + header.len, context.data,
			      context.len, &opener->body, err);
}

int opener_new(const struct seal_label *label, const uint8_t dataset_key[KEY_BYTES],
	       const uint8_t *head, size_t head_len, uint64_t sealed_len, const uint8_t *tail,
	       struct opener **ret_opener, struct err *err)
{
	AUTO(opener) *opener = calloc(1, sizeof *opener);
	if (!opener)
		return err_set(err, E_NOMEM, "no memory for opening a sealed object");
	opener->sealed_len = sealed_len;
	TRY(opener_begin(opener, label, dataset_key, head, head_len, err));
	uint8_t plain[SEAL_CHUNK];
	size_t plain_len = 0;
	int rc = opener_chunk(opener, opener->shape.chunks - 1, tail, opener->shape.tail_len, plain,
			      &plain_len, err);
	secret_wipe(plain, plain_len);
	if (rc < 0)
		return err_set(err, E_CORRUPT,
			       "the sealed object is truncated or changed: its last chunk "
			       "does not verify at a length of %" PRIu64 " bytes",
			       sealed_len);
	*ret_opener = MOVE(opener);
	return 0;
}

void opener_free(struct opener *opener)
{
	if (!opener)
		return;
	chunked_release(&opener->body);
	free(opener);
}

uint64_t opener_len(const struct opener *opener)
{
	return opener->shape.plain_len;
}

struct seal_span opener_span(const struct opener *opener, uint64_t chunk)
{
	if (chunk >= opener->shape.chunks)
		return (struct seal_span){ opener->sealed_len, 0 };
	return (struct seal_span){
		opener->body_offset + chunked_offset(chunk),
		chunk + 1 < opener->shape.chunks ? SEAL_CHUNK_SEALED : opener->shape.tail_len,
	};
}

int opener_chunk(const struct opener *opener, uint64_t chunk, const uint8_t *sealed, size_t len,
		 uint8_t *out, size_t *ret_len, struct err *err)
{
	struct seal_span span = opener_span(opener, chunk);
	if (span.len == 0)
		return err_set(err, E_INVALID,
			       "the sealed object has %" PRIu64 " chunks, there is no chunk "
			       "%" PRIu64,
			       opener->shape.chunks, chunk);
	if (len != span.len)
		return err_set(err, E_CORRUPT,
			       "chunk %" PRIu64 " is truncated: it has %zu bytes, %zu are "
			       "there",
			       chunk, span.len, len);
	if (!chunked_open_chunk(&opener->body, chunk, sealed, len, out))
		return err_set(err, E_CORRUPT,
			       "chunk %" PRIu64 " of %" PRIu64 " does not verify: it was "
			       "changed, or stood elsewhere",
			       chunk, opener->shape.chunks);
	*ret_len = len - AEAD_TAG_BYTES;
	return 0;
}

static int open_chunks(const struct opener *opener, const uint8_t *sealed, uint8_t *plain,
		       struct err *err)
{
	for (uint64_t i = 0; i < opener->shape.chunks; i++) {
		struct seal_span span = opener_span(opener, i);
		size_t got = 0;
		int rc = opener_chunk(opener, i, sealed + span.offset, span.len,
				      plain + i * SEAL_CHUNK, &got, err);
		if (rc < 0) {
			secret_wipe(plain, (size_t)(i * SEAL_CHUNK));
			return rc;
		}
	}
	return 0;
}

int open_bytes(const struct seal_label *label, const uint8_t dataset_key[KEY_BYTES],
	       const void *data, size_t len, struct buf *out, struct err *err)
{
	struct seal_span tail;
	TRY(seal_tail(data, len, len, &tail, err));
	AUTO(opener) *opener = NULL;
	TRY(opener_new(label, dataset_key, data, len, len, (const uint8_t *)data + tail.offset,
		       &opener, err));
	uint64_t plain_len = opener_len(opener);
	uint8_t *plain = buf_room(out, (size_t)plain_len);
	if (!plain)
		return err_set(err, plain_len > out->max - out->len ? E_TOO_LARGE : E_NOMEM,
			       "%" PRIu64 " opened bytes do not fit into %zu", plain_len, out->max);
	TRY(open_chunks(opener, data, plain, err));
	out->len += (size_t)plain_len;
	return 0;
}

/* Tickets: "FHT1", suite, 3 zero, body offset u32, sealed length u64 (little-endian), key 32, base
 * nonce 24, then zeroes. */

enum { TICKET_SUITE = 4, TICKET_OFFSET = 8, TICKET_LEN = 12, TICKET_KEY = 20, TICKET_NONCE = 52,
       TICKET_END = 76 };

static const uint8_t ticket_magic[] = { 'F', 'H', 'T', '1' };

static void put_le(uint8_t *out, uint64_t number, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(number >> (8 * i));
}

static uint64_t get_le(const uint8_t *in, size_t len)
{
	uint64_t number = 0;
	for (size_t i = 0; i < len; i++)
		number |= (uint64_t)in[i] << (8 * i);
	return number;
}

void opener_ticket(const struct opener *opener, uint8_t out[OPENER_TICKET_BYTES])
{
	memset(out, 0, OPENER_TICKET_BYTES);
	memcpy(out, ticket_magic, sizeof ticket_magic);
	out[TICKET_SUITE] = opener->body.kind == AEAD_AES256GCM ? 1 : 2;
	put_le(out + TICKET_OFFSET, opener->body_offset, 4);
	put_le(out + TICKET_LEN, opener->sealed_len, 8);
	memcpy(out + TICKET_KEY, aead_key(opener->body.aead), KEY_BYTES);
	memcpy(out + TICKET_NONCE, opener->body.base_nonce, AEAD_NONCE_MAX);
}

static bool ticket_sound(const uint8_t ticket[OPENER_TICKET_BYTES])
{
	uint8_t suite = ticket[TICKET_SUITE], others = 0;
	for (size_t i = TICKET_SUITE + 1; i < TICKET_OFFSET; i++)
		others |= ticket[i];
	for (size_t i = TICKET_END; i < OPENER_TICKET_BYTES; i++)
		others |= ticket[i];
	return memcmp(ticket, ticket_magic, sizeof ticket_magic) == 0 &&
	       (suite == 1 || suite == 2) && others == 0 &&
	       get_le(ticket + TICKET_OFFSET, 4) <= SEAL_HEADER_MAX;
}

int opener_from_ticket(const uint8_t ticket[OPENER_TICKET_BYTES], struct opener **ret_opener,
		       struct err *err)
{
	if (!ticket_sound(ticket))
		return err_set(err, E_INVALID,
			       "this is no ticket of an open object, or one of another "
			       "release");
	AUTO(opener) *opener = calloc(1, sizeof *opener);
	if (!opener)
		return err_set(err, E_NOMEM, "no memory for opening a sealed object");
	opener->body_offset = (size_t)get_le(ticket + TICKET_OFFSET, 4);
	opener->sealed_len = get_le(ticket + TICKET_LEN, 8);
	TRY(measure(opener->body_offset, opener->sealed_len, &opener->shape, err));
	opener->body.kind = ticket[TICKET_SUITE] == 1 ? AEAD_AES256GCM : AEAD_XCHACHA20POLY1305;
	memcpy(opener->body.base_nonce, ticket + TICKET_NONCE, AEAD_NONCE_MAX);
	TRY(aead_new(opener->body.kind, ticket + TICKET_KEY, &opener->body.aead, err));
	*ret_opener = MOVE(opener);
	return 0;
}
