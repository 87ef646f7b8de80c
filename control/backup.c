/* backup.c - writing an archive, see backup.h. */
#include "common/defs.h"
#include "control/backup.h"

#include "common/pack.h"
#include "common/text.h"
#include "control/era.h"

#include <stdlib.h>
#include <string.h>

enum { RECORD_KEY = 1, RECORD_AGAIN = 2, RECORD_END = 3, ARENA_MAX = 16 * 1024 };

struct backup_writer {
	seal_sink_fn *sink;
	void *context;
	struct sealer *sealer;
	uint64_t written;            /* bytes given to the sink */
	uint64_t keys, bytes;
	uint8_t digest[DIGEST_BYTES];
	struct buf record;
};

/* --- for both sides --- */

void backup_key(const uint8_t state_key[KEY_BYTES], uint8_t out[KEY_BYTES])
{
	key_derive(state_key, "freehold seal backups v1", out);
}

void backup_installation(const uint8_t state_key[KEY_BYTES], char out[BACKUP_ID_LEN + 1])
{
	uint8_t print[KEY_BYTES];
	key_derive(state_key, "freehold installation fingerprint v1", print);
	hex_print(print, BACKUP_ID_LEN / 2, out);
}

struct seal_label backup_label(const uint8_t *preamble, size_t len, struct backup_paths *paths)
{
	uint8_t sum[DIGEST_BYTES];
	digest(preamble, len, sum);
	hex_print(sum, sizeof sum, paths->path);
	return (struct seal_label){ "platform", "backup", paths->path, 1 };
}

bool backup_keeps(const char *key)
{
	return strncmp(key, "leader/", 7) != 0 && strcmp(key, ERA_KEY) != 0 &&
		strcmp(key, ERA_UNFINISHED_KEY) != 0;
}

/* --- writing --- */

static void put_le(struct buf *out, uint64_t number, int bytes)
{
	for (int i = 0; i < bytes; i++)
		buf_putc(out, (char)(uint8_t)(number >> (8 * i)));
}

static int sink(void *context, const void *data, size_t len, struct err *err)
{
	struct backup_writer *writer = context;
	writer->written += len;
	return writer->sink(writer->context, data, len, err);
}

static int preamble_print(const uint8_t *state_key, int shards, int64_t at_ms, struct buf *out,
                          struct err *err)
{
	char installation[BACKUP_ID_LEN + 1];
	AUTO(arena) *arena = NULL;
	AUTO_BUF packed;
	buf_init(&packed, BACKUP_PREAMBLE_MAX);
	TRY(arena_new(ARENA_MAX, &arena, err));
	struct value *map = value_map(arena);
	backup_installation(state_key, installation);
	value_set_str(map, "product", FREEHOLD_VERSION);
	value_set_int(map, "at", at_ms);
	value_set_str(map, "installation", installation);
	value_set_int(map, "shards", shards);
	TRY(value_check(map, err));
	TRY(pack_write(map, &packed, err));
	buf_puts(out, "FHB1");
	put_le(out, packed.len, 2);
	buf_put(out, packed.data, packed.len);
	return buf_check(out, err);
}

static int begin(struct backup_writer *writer, const uint8_t *state_key, int shards, int64_t at_ms,
                 struct err *err)
{
	AUTO_BUF preamble;
	AUTO(secret) *key = NULL;
	struct backup_paths paths;
	buf_init(&preamble, BACKUP_PREAMBLE_MAX);
	TRY(preamble_print(state_key, shards, at_ms, &preamble, err));
	TRY(secret_new(KEY_BYTES, &key, err));
	backup_key(state_key, secret_data(key));
	struct seal_label label = backup_label(preamble.data, preamble.len, &paths);
	TRY(sealer_new(&label, secret_bytes(key), sink, writer, &writer->sealer, err));
	return sink(writer, preamble.data, preamble.len, err);
}

int backup_writer_new(const uint8_t state_key[KEY_BYTES], int shards, int64_t at_ms,
                      seal_sink_fn *own_sink, void *context, struct backup_writer **ret_writer,
                      struct err *err)
{
	AUTO(backup_writer) *writer = calloc(1, sizeof *writer);
	if (!writer)
		return err_set(err, E_NOMEM, "no memory for a backup");
	writer->sink = own_sink;
	writer->context = context;
	buf_init(&writer->record, STORE_VALUE_MAX + STORE_KEY_MAX + 16);
	TRY(begin(writer, state_key, shards, at_ms, err));
	*ret_writer = MOVE(writer);
	return 0;
}

void backup_writer_free(struct backup_writer *writer)
{
	if (!writer)
		return;
	sealer_free(writer->sealer);
	buf_release(&writer->record);
	free(writer);
}

int backup_add(struct backup_writer *writer, const struct store_item *item, struct err *err)
{
	struct buf *record = &writer->record;
	size_t key_len = strlen(item->key);
	buf_clear(record);
	buf_putc(record, RECORD_KEY);
	put_le(record, key_len, 2);
	put_le(record, item->value_len, 4);
	buf_put(record, item->key, key_len);
	buf_put(record, item->value, item->value_len);
	TRY(buf_check(record, err));
	digest_keyed(writer->digest, record->data, record->len, writer->digest);
	writer->keys++;
	writer->bytes += key_len + item->value_len;
	return sealer_write(writer->sealer, record->data, record->len, err);
}

int backup_again(struct backup_writer *writer, struct err *err)
{
	const uint8_t record = RECORD_AGAIN;
	writer->keys = writer->bytes = 0;
	memset(writer->digest, 0, sizeof writer->digest);
	return sealer_write(writer->sealer, &record, 1, err);
}

int backup_end(struct backup_writer *writer, int64_t revision, struct err *err)
{
	struct buf *record = &writer->record;
	buf_clear(record);
	buf_putc(record, RECORD_END);
	put_le(record, (uint64_t)revision, 8);
	put_le(record, writer->keys, 8);
	put_le(record, writer->bytes, 8);
	buf_put(record, writer->digest, DIGEST_BYTES);
	TRY(buf_check(record, err));
	TRY(sealer_write(writer->sealer, record->data, record->len, err));
	TRY(sealer_finish(writer->sealer, err));
	buf_clear(record);
	buf_puts(record, "FHBE");
	put_le(record, writer->written, 8);
	TRY(buf_check(record, err));
	return sink(writer, record->data, record->len, err);
}
