/* seal.c - writing sealed objects, and giving them a new header at rotation.
 * Invariant: the bytes given to the sink depend on how much was written, never on how it was cut.
 */
#include "common/defs.h"
#include "common/seal_header.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Sealed chunks given to the sink at once: 128 KiB, which an L2 cache holds. */
enum { BATCH_CHUNKS = 8 };

_Static_assert((int)SEAL_CHUNK == (int)CHUNK_PLAIN, "chunk");
_Static_assert((int)SEAL_CHUNK_SEALED == (int)CHUNK_SEALED, "sealed chunk");

struct sealer {
	struct chunked body;
	seal_sink_fn *sink;
	void *context;
	uint64_t chunk;              /* number of the next */
	size_t pending_len;          /* < SEAL_CHUNK */
	size_t out_len;
	int failed;                  /* the first failure; nothing is written after it */
	bool finished;
	uint8_t pending[SEAL_CHUNK]; /* plain; wiped when freed */
	uint8_t out[SEAL_HEADER_MAX + CHUNKED_HEAD + BATCH_CHUNKS * SEAL_CHUNK_SEALED];
};

/* Header, salt and commitment go to the front of the first batch. */
static int sealer_begin(struct sealer *sealer, enum aead_kind kind, const struct seal_label *label,
			const uint8_t dataset_key[KEY_BYTES], struct err *err)
{
	struct seal_header header = { .kind = kind, .tenant = label->tenant,
				 .dataset = label->dataset, .version = label->version };
	AUTO(secret) *data_key = NULL;
	TRY(secret_random(KEY_BYTES, &data_key, err));
	TRY(seal_header_wrap(&header, dataset_key, data_key, err));
	AUTO_BUF head, context;
	buf_init(&head, SEAL_HEADER_MAX);
	buf_init(&context, SEAL_CONTEXT_MAX);
	TRY(seal_header_write(&header, &head, err));
	TRY(seal_context(label, &context, err));
	memcpy(sealer->out, head.data, head.len);
	uint8_t *salt = sealer->out + head.len;
	random_bytes(salt, CHUNKED_SALT);
	TRY(chunked_derive(header.kind, secret_bytes(data_key), salt, context.data, context.len,
			   &sealer->body, salt + CHUNKED_SALT, err));
	sealer->out_len = head.len + CHUNKED_HEAD;
	return 0;
}

int sealer_new(const struct seal_label *label, const uint8_t dataset_key[KEY_BYTES],
	       seal_sink_fn *sink, void *context, struct sealer **ret_sealer, struct err *err)
{
	return sealer_new_kind(aead_best(), label, dataset_key, sink, context, ret_sealer, err);
}

int sealer_new_kind(enum aead_kind kind, const struct seal_label *label,
		    const uint8_t dataset_key[KEY_BYTES], seal_sink_fn *sink, void *context,
		    struct sealer **ret_sealer, struct err *err)
{
	TRY(seal_label_check(label, err));
	AUTO(sealer) *sealer = malloc(sizeof *sealer);
	if (!sealer)
		return err_set(err, E_NOMEM, "no memory for sealing an object");
	memset(sealer, 0, offsetof(struct sealer, pending));
	sealer->sink = sink;
	sealer->context = context;
	TRY(sealer_begin(sealer, kind, label, dataset_key, err));
	*ret_sealer = MOVE(sealer);
	return 0;
}

static int sealer_fail(struct sealer *sealer, int code)
{
	sealer->failed = code;
	return code;
}

static int sealer_flush(struct sealer *sealer, struct err *err)
{
	int rc = sealer->sink(sealer->context, sealer->out, sealer->out_len, err);
	sealer->out_len = 0;
	return rc < 0 ? sealer_fail(sealer, rc) : 0;
}

static int sealer_chunk(struct sealer *sealer, const uint8_t *plain, size_t len, struct err *err)
{
	if (sealer->chunk >= CHUNKS_MAX)
		return sealer_fail(sealer, err_set(err, E_TOO_LARGE,
						   "a sealed object has at most %" PRIu64
						   " chunks of %d bytes",
						   CHUNKS_MAX, SEAL_CHUNK));
	if (sealer->out_len + SEAL_CHUNK_SEALED > sizeof sealer->out)
		TRY(sealer_flush(sealer, err));
	chunked_seal_chunk(&sealer->body, sealer->chunk++, plain, len,
			   sealer->out + sealer->out_len);
	sealer->out_len += len + AEAD_TAG_BYTES;
	return 0;
}

static int sealer_usable(const struct sealer *sealer, struct err *err)
{
	REQUIRE(!sealer->finished);
	if (sealer->failed < 0)
		return err_set(err, sealer->failed,
			       "sealing this object failed before; begin it anew");
	return 0;
}

int sealer_write(struct sealer *sealer, const void *data, size_t len, struct err *err)
{
	TRY(sealer_usable(sealer, err));
	const uint8_t *at = data;
	if (sealer->pending_len) {
		size_t room = SEAL_CHUNK - sealer->pending_len;
		size_t take = len < room ? len : room;
		memcpy(sealer->pending + sealer->pending_len, at, take);
		sealer->pending_len += take;
		at += take;
		len -= take;
		if (sealer->pending_len < SEAL_CHUNK)
			return 0;
		sealer->pending_len = 0;
		TRY(sealer_chunk(sealer, sealer->pending, SEAL_CHUNK, err));
	}
	for (; len >= SEAL_CHUNK; at += SEAL_CHUNK, len -= SEAL_CHUNK)
		TRY(sealer_chunk(sealer, at, SEAL_CHUNK, err));
	if (len)
		memcpy(sealer->pending, at, len);
	sealer->pending_len = len;
	return 0;
}

int sealer_finish(struct sealer *sealer, struct err *err)
{
	TRY(sealer_usable(sealer, err));
	TRY(sealer_chunk(sealer, sealer->pending, sealer->pending_len, err));
	TRY(sealer_flush(sealer, err));
	sealer->finished = true;
	return 0;
}

void sealer_free(struct sealer *sealer)
{
	if (!sealer)
		return;
	chunked_release(&sealer->body);
	secret_wipe(sealer->pending, sizeof sealer->pending);
	free(sealer);
}

static int into_buf(void *context, const void *data, size_t len, struct err *err)
{
	struct buf *out = context;
	int rc = buf_put(out, data, len);
	return rc < 0 ? err_set(err, rc, "the sealed object does not fit into %zu bytes", out->max)
		      : 0;
}

int seal_bytes(const struct seal_label *label, const uint8_t dataset_key[KEY_BYTES],
	       const void *data, size_t len, struct buf *out, struct err *err)
{
	size_t before = out->len;
	AUTO(sealer) *sealer = NULL;
	TRY(sealer_new(label, dataset_key, into_buf, out, &sealer, err));
	int rc = sealer_write(sealer, data, len, err);
	if (rc == 0)
		rc = sealer_finish(sealer, err);
	if (rc < 0)
		out->len = before;
	return rc;
}

int seal_peek(const uint8_t *head, size_t len, uint32_t *ret_version, size_t *ret_body_offset,
	      struct err *err)
{
	AUTO(arena) *arena = NULL;
	TRY(arena_new(SEAL_PARSE_BYTES, &arena, err));
	struct seal_header header;
	TRY(seal_header_read(arena, head, len, &header, err));
	*ret_version = header.version;
	*ret_body_offset = header.len;
	return 0;
}

int seal_whose(const uint8_t *head, size_t len, char ret_dataset[SEAL_NAME_MAX + 1],
	       uint32_t *ret_version, size_t *ret_body_offset, struct err *err)
{
	AUTO(arena) *arena = NULL;
	TRY(arena_new(SEAL_PARSE_BYTES, &arena, err));
	struct seal_header header;
	TRY(seal_header_read(arena, head, len, &header, err));
	if (strlen(header.dataset) > SEAL_NAME_MAX)
		return err_set(err, E_CORRUPT, "the sealed object's dataset has a name of %zu "
			       "bytes; at most %d are allowed",
			       strlen(header.dataset), SEAL_NAME_MAX);
	strcpy(ret_dataset, header.dataset);
	*ret_version = header.version;
	*ret_body_offset = header.len;
	return 0;
}

bool seal_is(const uint8_t *head, size_t len)
{
	return len > 3 && memcmp(head, "FHS1", 4) == 0;
}

int seal_rewrap(const struct seal_label *label, const uint8_t old_key[KEY_BYTES],
		uint32_t new_version, const uint8_t new_key[KEY_BYTES], const uint8_t *head,
		size_t head_len, struct buf *ret_head, struct err *err)
{
	AUTO(arena) *arena = NULL;
	TRY(arena_new(SEAL_PARSE_BYTES, &arena, err));
	struct seal_header header;
	TRY(seal_header_read(arena, head, head_len, &header, err));
	TRY(seal_header_expect(&header, label, err));
	AUTO(secret) *data_key = NULL;
	TRY(seal_header_unwrap(&header, old_key, &data_key, err));
	header.version = new_version;
	TRY(seal_header_wrap(&header, new_key, data_key, err));
	AUTO_BUF fresh;
	buf_init(&fresh, SEAL_HEADER_MAX);
	TRY(seal_header_write(&header, &fresh, err));
	if (fresh.len != header.len)
		return err_set(err, E_CONFLICT,
			       "the new header has %zu bytes, the old one %zu: seal the "
			       "object anew",
			       fresh.len, header.len);
	int rc = buf_put(ret_head, fresh.data, fresh.len);
	return rc < 0 ? err_set(err, rc, "no room for a header of %zu bytes", fresh.len) : 0;
}
