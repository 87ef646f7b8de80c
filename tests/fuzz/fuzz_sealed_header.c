/* fuzz_sealed_header.c - whatever is read as a header is the only way to write it, and no bytes
 * that were not sealed under the key open. Tickets come from our own process, yet never crash. */
#include "common/defs.h"
#include "common/seal.h"
#include "common/seal_header.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const uint8_t key[KEY_BYTES] = {1};
static const struct seal_label label = {"acme", "ds01", "acme/ds01/part-0", 1};

/* The input as a whole object: it opens never, since nobody sealed it under this key. */
static void as_object(const uint8_t *data, size_t len)
{
	AUTO_BUF out, head;
	struct err err;
	struct seal_span tail;
	buf_init(&out, MIB);
	buf_init(&head, SEAL_HEADER_MAX);
	REQUIRE(open_bytes(&label, key, data, len, &out, &err) < 0 && out.len == 0);
	REQUIRE(seal_rewrap(&label, key, 2, key, data, len, &head, &err) < 0 && head.len == 0);
	if (seal_tail(data, len, len, &tail, &err) == 0)
		REQUIRE(tail.offset + tail.len == len);
}

/* A header that reads has one form; the input behind it does not count. */
static void as_header(const uint8_t *data, size_t len)
{
	AUTO(arena) *arena = NULL;
	AUTO_BUF again;
	struct err err;
	struct seal_header header;
	uint32_t version = 0;
	size_t body = 0;
	REQUIRE(arena_new(SEAL_PARSE_BYTES, &arena, &err) == 0);
	buf_init(&again, SEAL_HEADER_MAX);
	bool reads = seal_header_read(arena, data, len, &header, &err) == 0;
	REQUIRE(reads == (seal_peek(data, len, &version, &body, &err) == 0));
	if (!reads)
		return;
	REQUIRE(header.len <= len && header.len == body && header.version == version);
	REQUIRE(seal_header_write(&header, &again, &err) == 0);
	REQUIRE(again.len == header.len && memcmp(again.data, data, again.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct err err;
	struct opener *opener = NULL;
	REQUIRE(crypto_start(&err) == 0);
	as_header(data, len);
	as_object(data, len);
	if (len == OPENER_TICKET_BYTES && opener_from_ticket(data, &opener, &err) == 0)
		opener_free(opener);
	return 0;
}
