/* seal_header.c - the header of a sealed object.
 * Invariants: a header has one form only (canonical, checked by writing it again), so no changed
 * byte is overlooked; every part of a context is preceded by its length, so no two labels give the
 * same bytes. */
#include "common/defs.h"
#include "common/seal_header.h"
#include "common/pack.h"

#include <inttypes.h>
#include <string.h>

enum {
	MAGIC_LEN = 4, PROLOGUE = MAGIC_LEN + 1 + 2, NAME_LEN_MAX = 255, PATH_LEN_MAX = 400,
	VERSION_LEN = 4
};

static const char magic[MAGIC_LEN + 1] = "FHS1";

static uint8_t suite_of(enum aead_kind kind)
{
	return kind == AEAD_AES256GCM ? 1 : 2;
}

/* Contexts. Every part is preceded by its length, so no two labels give the same bytes. */

static void part(struct buf *out, const void *data, size_t len)
{
	const uint8_t size[2] = { (uint8_t)len, (uint8_t)(len >> 8) };
	buf_put(out, size, sizeof size);
	buf_put(out, data, len);
}

static int check_text(const char *what, const char *text, size_t max, struct err *err)
{
	size_t len = text ? strlen(text) : 0;
	if (len == 0 || len > max)
		return err_set(err, E_INVALID,
			       "the label of a sealed object needs a %s of 1 to %zu bytes, "
			       "this one has %zu",
			       what, max, len);
	return 0;
}

int seal_label_check(const struct seal_label *label, struct err *err)
{
	TRY(check_text("tenant", label->tenant, NAME_LEN_MAX, err));
	TRY(check_text("dataset", label->dataset, NAME_LEN_MAX, err));
	return check_text("path", label->path, PATH_LEN_MAX, err);
}

/* What binds the body: tenant, dataset and path. */
int seal_context(const struct seal_label *label, struct buf *out, struct err *err)
{
	buf_puts(out, "freehold object 1");
	part(out, label->tenant, strlen(label->tenant));
	part(out, label->dataset, strlen(label->dataset));
	part(out, label->path, strlen(label->path));
	return buf_check(out, err);
}

static void version_bytes(uint32_t version, uint8_t out[VERSION_LEN])
{
	for (int i = 0; i < VERSION_LEN; i++)
		out[i] = (uint8_t)(version >> (8 * (VERSION_LEN - 1 - i)));
}

/* What binds the wrapped data key: suite, tenant, dataset and version of the dataset key. */
static int wrap_context(const struct seal_header *header, struct buf *out, struct err *err)
{
	uint8_t version[VERSION_LEN], suite = suite_of(header->kind);
	version_bytes(header->version, version);
	buf_puts(out, "freehold data key 1");
	part(out, &suite, 1);
	part(out, header->tenant, strlen(header->tenant));
	part(out, header->dataset, strlen(header->dataset));
	part(out, version, sizeof version);
	return buf_check(out, err);
}

int seal_header_wrap(struct seal_header *header, const uint8_t dataset_key[KEY_BYTES],
		const struct secret *data_key, struct err *err)
{
	AUTO_BUF context;
	buf_init(&context, SEAL_CONTEXT_MAX);
	TRY(wrap_context(header, &context, err));
	lockbox_seal(dataset_key, context.data, context.len, secret_bytes(data_key), KEY_BYTES,
		     header->wrapped);
	return 0;
}

int seal_header_unwrap(const struct seal_header *header, const uint8_t dataset_key[KEY_BYTES],
		  struct secret **ret_key, struct err *err)
{
	AUTO_BUF context;
	buf_init(&context, SEAL_CONTEXT_MAX);
	TRY(wrap_context(header, &context, err));
	AUTO(secret) *key = NULL;
	TRY(secret_new(KEY_BYTES, &key, err));
	if (lockbox_open(dataset_key, context.data, context.len, header->wrapped, SEAL_WRAPPED,
			 secret_data(key), NULL) < 0)
		return err_set(
			err, E_CORRUPT,
			"the object's data key does not open under version %" PRIu32
			" of its dataset's key: the header was changed, or the key is another",
			header->version);
	*ret_key = MOVE(key);
	return 0;
}

/* The header's bytes. */

int seal_header_write(const struct seal_header *header, struct buf *out, struct err *err)
{
	AUTO(arena) *arena = NULL;
	TRY(arena_new(SEAL_PARSE_BYTES, &arena, err));
	uint8_t version[VERSION_LEN];
	version_bytes(header->version, version);
	struct value *map = value_map(arena);
	value_set_str(map, "tenant", header->tenant);
	value_set_str(map, "dataset", header->dataset);
	value_set_bin(map, "version", version, sizeof version);
	value_set_bin(map, "wrapped", header->wrapped, SEAL_WRAPPED);
	TRY(value_check(map, err));
	AUTO_BUF rest;
	buf_init(&rest, SEAL_HEADER_MAX - PROLOGUE);
	TRY(pack_write(map, &rest, err));
	const uint8_t prologue[] = { suite_of(header->kind), (uint8_t)rest.len,
				     (uint8_t)(rest.len >> 8) };
	buf_put(out, magic, MAGIC_LEN);
	buf_put(out, prologue, sizeof prologue);
	buf_put(out, rest.data, rest.len);
	return buf_check(out, err);
}

int seal_header_begin(const uint8_t *head, size_t len, struct seal_header *ret_header,
			 struct err *err)
{
	if (len < PROLOGUE || memcmp(head, magic, MAGIC_LEN) != 0)
		return err_set(err, E_CORRUPT,
			       "this is no sealed object: it does not begin with %s", magic);
	uint8_t suite = head[MAGIC_LEN];
	if (suite != 1 && suite != 2)
		return err_set(err, E_CORRUPT,
			       "the sealed object names suite %d; this release reads 1 and "
			       "2",
			       suite);
	size_t rest = head[MAGIC_LEN + 1] | (size_t)head[MAGIC_LEN + 2] << 8;
	if (rest > SEAL_HEADER_MAX - PROLOGUE)
		return err_set(err, E_CORRUPT,
			       "the sealed object's header has %zu bytes, over the limit of "
			       "%d",
			       rest + PROLOGUE, SEAL_HEADER_MAX);
	if (rest > len - PROLOGUE)
		return err_set(err, E_CORRUPT,
			       "the sealed object is truncated: its header has %zu bytes, "
			       "of which %zu are there",
			       rest + PROLOGUE, len);
	*ret_header = (struct seal_header){
		.kind = suite == 1 ? AEAD_AES256GCM : AEAD_XCHACHA20POLY1305,
		.len = PROLOGUE + rest,
	};
	return 0;
}

static int header_fields(const struct value *map, struct seal_header *header)
{
	size_t version_len = 0, wrapped_len = 0;
	const uint8_t *version = value_get_bin(map, "version", &version_len);
	const uint8_t *wrapped = value_get_bin(map, "wrapped", &wrapped_len);
	header->tenant = value_get_str(map, "tenant");
	header->dataset = value_get_str(map, "dataset");
	if (!header->tenant || !header->dataset || !version || version_len != VERSION_LEN ||
	    !wrapped || wrapped_len != SEAL_WRAPPED)
		return E_CORRUPT;
	header->version = (uint32_t)version[0] << 24 | (uint32_t)version[1] << 16 |
			  (uint32_t)version[2] << 8 | version[3];
	memcpy(header->wrapped, wrapped, SEAL_WRAPPED);
	return 0;
}

/* An error of the decoder would be about msgpack; only running out of memory is passed on. */
static int header_damaged(int code, struct err *err)
{
	if (code == E_NOMEM)
		return err_set(err, E_NOMEM, "no memory for reading the header of a sealed object");
	return err_set(err, E_CORRUPT,
		       "the sealed object's header was changed: it is not what a seal "
		       "writes");
}

int seal_header_read(struct arena *arena, const uint8_t *head, size_t len,
		       struct seal_header *ret_header, struct err *err)
{
	struct seal_header header;
	TRY(seal_header_begin(head, len, &header, err));
	struct value *map = NULL;
	int rc = pack_read(arena, head + PROLOGUE, header.len - PROLOGUE, &map, NULL);
	if (rc == 0)
		rc = header_fields(map, &header);
	if (rc < 0)
		return header_damaged(rc, err);
	AUTO_BUF again;
	buf_init(&again, SEAL_HEADER_MAX);
	TRY(seal_header_write(&header, &again, err));
	if (again.len != header.len || memcmp(again.data, head, again.len) != 0)
		return header_damaged(E_CORRUPT, err);
	*ret_header = header;
	return 0;
}

int seal_header_expect(const struct seal_header *header, const struct seal_label *label,
			 struct err *err)
{
	TRY(seal_label_check(label, err));
	if (strcmp(header->tenant, label->tenant) != 0)
		return err_set(err, E_CORRUPT, "the sealed object belongs to another tenant");
	if (strcmp(header->dataset, label->dataset) != 0)
		return err_set(err, E_CORRUPT, "the sealed object belongs to another dataset");
	if (header->version != label->version)
		return err_set(err, E_CORRUPT, "the sealed object needs version %" PRIu32 " of its "
			       "dataset's key, version %" PRIu32 " was given", header->version,
			       label->version);
	return 0;
}
