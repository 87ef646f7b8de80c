/* backup_read.c - reading an archive, see backup.h. Invariant: nothing is handed out of an archive
 * that was not read to its end before, and found whole. */
#include "common/defs.h"
#include "control/backup.h"

#include "common/pack.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RECORD_KEY = 1, RECORD_AGAIN = 2, RECORD_END = 3, KEY_HEAD = 7, END_LEN = 57 };
enum { ARENA_MAX = 64 * 1024, HEAD_MAX = BACKUP_PREAMBLE_MAX + SEAL_HEADER_MAX + 64 };

struct backup {
	int fd;
	struct backup_info info;
	struct opener *opener;
	uint64_t at, sealed_len;     /* where the body begins in the file, and its length */
	uint64_t again;              /* how often its writer began anew */
};

static uint64_t get_le(const uint8_t *in, int bytes)
{
	uint64_t number = 0;
	for (int i = bytes; i-- > 0;)
		number = number << 8 | in[i];
	return number;
}

/* --- records --- */

void backup_records_init(struct backup_records *records, struct backup_info *info)
{
	*records = (struct backup_records){ .info = info };
	buf_init(&records->pending, STORE_VALUE_MAX + STORE_KEY_MAX + KEY_HEAD + SEAL_CHUNK);
}

void backup_records_release(struct backup_records *records)
{
	buf_release(&records->pending);
}

static int damaged(struct err *err, const char *what)
{
	return err_set(err, E_CORRUPT, "the archive is damaged: %s; take another copy of it",
	               what);
}

static bool key_good(const struct backup_records *records, const char *key)
{
	for (const char *at = key; *at; at++)
		if (*at < 0x21 || *at > 0x7e)
			return false;
	return *key && strcmp(key, records->last) > 0;
}

/* The length of the record that data begins with; 0: more is needed. */
static int key_take(struct backup_records *records, const uint8_t *data, size_t len,
                    size_t *ret_len, struct err *err)
{
	char key[STORE_KEY_MAX + 1];
	if (len < KEY_HEAD)
		return 0;
	size_t key_len = get_le(data + 1, 2), value_len = get_le(data + 3, 4);
	if (key_len > STORE_KEY_MAX || value_len > STORE_VALUE_MAX)
		return damaged(err, "a key or a value is too long");
	size_t all = KEY_HEAD + key_len + value_len;
	if (len < all)
		return 0;
	memcpy(key, data + KEY_HEAD, key_len);
	key[key_len] = 0;
	if (strlen(key) != key_len || !key_good(records, key))
		return damaged(err, "its keys are out of order");
	memcpy(records->last, key, key_len + 1);
	records->keys++;
	records->bytes += key_len + value_len;
	digest_keyed(records->digest, data, all, records->digest);
	*ret_len = all;
	if (!records->visit || records->again < records->skip)
		return 0;
	const struct store_item item = {
		.key = key, .value = data + KEY_HEAD + key_len, .value_len = value_len,
	};
	int rc = records->visit(records->context, &item, err);
	return rc < 0 ? rc : 0;
}

static int end_take(struct backup_records *records, const uint8_t *data, size_t len,
                    size_t *ret_len, struct err *err)
{
	if (len < END_LEN)
		return 0;
	struct backup_info *info = records->info;
	info->revision = (int64_t)get_le(data + 1, 8);
	info->keys = get_le(data + 9, 8);
	info->bytes = get_le(data + 17, 8);
	memcpy(info->digest, data + 25, DIGEST_BYTES);
	if (info->keys != records->keys || info->bytes != records->bytes || info->revision < 0 ||
	    !bytes_equal(info->digest, records->digest, DIGEST_BYTES))
		return damaged(err, "its keys are not those it was ended with");
	records->ended = true;
	*ret_len = END_LEN;
	return 0;
}

static void again_take(struct backup_records *records)
{
	records->keys = records->bytes = 0;
	records->last[0] = 0;
	memset(records->digest, 0, sizeof records->digest);
	records->again++;
}

static int record_take(struct backup_records *records, const uint8_t *data, size_t len,
                       size_t *ret_len, struct err *err)
{
	*ret_len = 0;
	if (len == 0)
		return 0;
	if (records->ended)
		return damaged(err, "something follows its end");
	if (data[0] == RECORD_KEY)
		return key_take(records, data, len, ret_len, err);
	if (data[0] == RECORD_END)
		return end_take(records, data, len, ret_len, err);
	if (data[0] != RECORD_AGAIN)
		return damaged(err, "there is a record of an unknown kind");
	again_take(records);
	*ret_len = 1;
	return 0;
}

int backup_records_take(struct backup_records *records, const void *data, size_t len,
                        struct err *err)
{
	struct buf *pending = &records->pending;
	size_t at = 0, step = 0;
	buf_put(pending, data, len);
	TRY(buf_check(pending, err));
	do {
		TRY(record_take(records, pending->data + at, pending->len - at, &step, err));
		at += step;
	} while (step > 0);
	pending->len -= at;
	memmove(pending->data, pending->data + at, pending->len);
	return 0;
}

int backup_records_check(const struct backup_records *records, struct err *err)
{
	if (records->ended && records->pending.len == 0)
		return 0;
	return damaged(err, "it has no end");
}

/* --- the file --- */

static int read_at(int fd, void *out, size_t len, uint64_t at, struct err *err)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(fd, (uint8_t *)out + done, len - done, (off_t)(at + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, errno, "cannot read the archive");
		if (n == 0)
			return damaged(err, "it is shorter than it was");
		done += (size_t)n;
	}
	return 0;
}

static int info_read(const struct value *map, struct backup_info *ret_info, struct err *err)
{
	struct backup_info info = { .at_ms = value_get_int(map, "at", -1) };
	const char *product = value_get_str(map, "product");
	const char *installation = value_get_str(map, "installation");
	int64_t shards = value_get_int(map, "shards", 0);
	if (!product || !installation || strlen(installation) != BACKUP_ID_LEN ||
	    strlen(product) >= sizeof info.product || info.at_ms < 0 || shards < 1 ||
	    shards > BACKUP_SHARDS_MAX)
		return damaged(err, "what it says of itself cannot be read");
	info.shards = (int)shards;
	memcpy(info.installation, installation, BACKUP_ID_LEN + 1);
	snprintf(info.product, sizeof info.product, "%s", product);
	*ret_info = info;
	return 0;
}

int backup_preamble_read(const uint8_t *head, size_t len, struct backup_info *ret_info,
                         size_t *ret_len, struct err *err)
{
	AUTO(arena) *arena = NULL;
	struct value *map = NULL;
	if (len < 6 || memcmp(head, "FHB", 3) != 0)
		return err_set(err, E_CORRUPT, "this file is no backup of Freehold");
	if (head[3] != '1')
		return err_set(err, E_INVALID, "the archive is of a format that this version does "
		               "not read (1 is what it reads); restore with the Freehold that "
		               "made it, or a newer one");
	size_t packed = get_le(head + 4, 2);
	if (packed > BACKUP_PREAMBLE_MAX - 6 || packed > len - 6)
		return damaged(err, "what it says of itself is cut off");
	TRY(arena_new(ARENA_MAX, &arena, err));
	if (pack_read(arena, head + 6, packed, &map, NULL) < 0)
		return damaged(err, "what it says of itself cannot be read");
	TRY(info_read(map, ret_info, err));
	*ret_len = 6 + packed;
	return 0;
}

static int trailer_check(int fd, uint64_t len, struct err *err)
{
	uint8_t trailer[BACKUP_TRAILER];
	if (len < BACKUP_TRAILER)
		return damaged(err, "it is cut off");
	TRY(read_at(fd, trailer, sizeof trailer, len - BACKUP_TRAILER, err));
	if (memcmp(trailer, "FHBE", 4) != 0 || get_le(trailer + 4, 8) != len - BACKUP_TRAILER)
		return damaged(err, "it is cut off, or its end is another's");
	return 0;
}

static int key_check(const struct backup *backup, const uint8_t *state_key, struct err *err)
{
	char own[BACKUP_ID_LEN + 1];
	backup_installation(state_key, own);
	if (strcmp(own, backup->info.installation) == 0)
		return 0;
	return err_set(err, E_DENIED, "the archive was made under another root key: it is of the "
	               "installation %s, and this root key's is %s; give the root key it was made "
	               "under", backup->info.installation, own);
}

static int unseal(struct backup *backup, const uint8_t *state_key, const uint8_t *preamble,
                  const uint8_t *head, size_t head_len, struct err *err)
{
	struct seal_span tail;
	struct backup_paths paths;
	uint8_t last[SEAL_CHUNK_SEALED];
	AUTO(secret) *key = NULL;
	struct seal_label label = backup_label(preamble, backup->at, &paths);
	TRY(seal_tail(head, head_len, backup->sealed_len, &tail, err));
	TRY(read_at(backup->fd, last, tail.len, backup->at + tail.offset, err));
	TRY(secret_new(KEY_BYTES, &key, err));
	backup_key(state_key, secret_data(key));
	return opener_new(&label, secret_bytes(key), head, head_len, backup->sealed_len, last,
	                  &backup->opener, err);
}

static int open_all(struct backup *backup, const uint8_t *state_key, struct err *err)
{
	uint8_t head[HEAD_MAX];
	struct stat st;
	size_t len = 0;
	if (fstat(backup->fd, &st) < 0)
		return err_errno(err, errno, "cannot inspect the archive");
	uint64_t all = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
	size_t head_len = all < sizeof head ? (size_t)all : sizeof head;
	TRY(read_at(backup->fd, head, head_len, 0, err));
	TRY(backup_preamble_read(head, head_len, &backup->info, &len, err));
	TRY(key_check(backup, state_key, err));
	TRY(trailer_check(backup->fd, all, err));
	backup->at = len;
	backup->sealed_len = all - len - BACKUP_TRAILER;
	head_len -= len;
	if (head_len > backup->sealed_len)
		head_len = (size_t)backup->sealed_len;
	return unseal(backup, state_key, head, head + len, head_len, err);
}

static int chunk_read(struct backup *backup, uint64_t chunk, uint8_t *plain, size_t *ret_len,
                      struct err *err)
{
	uint8_t sealed[SEAL_CHUNK_SEALED];
	struct seal_span span = opener_span(backup->opener, chunk);
	TRY(read_at(backup->fd, sealed, span.len, backup->at + span.offset, err));
	return opener_chunk(backup->opener, chunk, sealed, span.len, plain, ret_len, err);
}

/* All records once, from the first chunk to the last. */
static int read_through(struct backup *backup, struct backup_records *records, struct err *err)
{
	uint8_t plain[SEAL_CHUNK];
	uint64_t left = opener_len(backup->opener);
	for (uint64_t chunk = 0; left > 0; chunk++) {
		size_t len = 0;
		TRY(chunk_read(backup, chunk, plain, &len, err));
		TRY(backup_records_take(records, plain, len, err));
		left -= len;
	}
	return backup_records_check(records, err);
}

int backup_open(int fd, const uint8_t state_key[KEY_BYTES], struct backup **ret_backup,
                struct err *err)
{
	struct backup_records records;
	AUTO(backup) *backup = calloc(1, sizeof *backup);
	if (!backup)
		return err_set(err, E_NOMEM, "no memory for an archive");
	backup->fd = fd;
	TRY(open_all(backup, state_key, err));
	backup_records_init(&records, &backup->info);
	int rc = read_through(backup, &records, err);
	backup->again = records.again;
	backup_records_release(&records);
	TRY(rc);
	*ret_backup = MOVE(backup);
	return 0;
}

void backup_free(struct backup *backup)
{
	if (!backup)
		return;
	opener_free(backup->opener);
	free(backup);
}

const struct backup_info *backup_info(const struct backup *backup)
{
	return &backup->info;
}

int backup_each(struct backup *backup, store_visit_fn *visit, void *context, struct err *err)
{
	struct backup_records records;
	struct backup_info info;
	backup_records_init(&records, &info);
	records.skip = backup->again;
	records.visit = visit;
	records.context = context;
	int rc = read_through(backup, &records, err);
	backup_records_release(&records);
	return rc;
}
