/* backup.h - a backup's archive: the store's keys at one revision, sealed as a whole.
 *
 *   preamble  "FHB1", u16 length of the rest (little-endian), then canonical msgpack {product, at,
 *             installation, shards}: plain. installation is a fingerprint of the root key, so that
 *             another root key is told from damage.
 *   body      a sealed object (common/seal.h) under a key derived from the state key; its path is
 *             the digest of the preamble, which so is authentic too. In it, records:
 *               1  u16 key length, u32 value length, key, value     in the order of the keys
 *               2  all before is void: the reading was begun anew
 *               3  i64 revision, u64 keys, u64 bytes of them, digest of them: the end
 *   trailer   "FHBE", u64 length of all before: what tells a whole file without any key
 *
 * The values are the store's, each sealed on its own already. Numbers are little-endian. */
#ifndef BACKUP_H
#define BACKUP_H

#include "common/seal.h"
#include "common/store.h"

enum {
	BACKUP_PREAMBLE_MAX = 1024, BACKUP_ID_LEN = 16, BACKUP_TRAILER = 12,
	BACKUP_SHARDS_MAX = 64
};

struct backup_info {
	char product[32];                        /* version that wrote it */
	char installation[BACKUP_ID_LEN + 1];
	int64_t at_ms;                           /* unix, when it was begun */
	int shards;
	/* of its end */
	int64_t revision;
	uint64_t keys, bytes;
	uint8_t digest[DIGEST_BYTES];
};

/* --- writing --- */
struct backup_writer;
/* sink is given the archive's bytes in order. */
MUST_USE int backup_writer_new(const uint8_t state_key[KEY_BYTES], int shards, int64_t at_ms,
                               seal_sink_fn *sink, void *context,
                               struct backup_writer **ret_writer, struct err *err);
void backup_writer_free(struct backup_writer *writer);
DEFINE_AUTO(backup_writer)
MUST_USE int backup_add(struct backup_writer *writer, const struct store_item *item,
                        struct err *err);
MUST_USE int backup_again(struct backup_writer *writer, struct err *err);
MUST_USE int backup_end(struct backup_writer *writer, int64_t revision, struct err *err);
/* Whether a key belongs into a backup: leases and what a restore itself leaves do not. */
bool backup_keeps(const char *key);

/* --- reading --- */
struct backup;
/* Reads all of it, so that it is known to be whole. fd stays the caller's and outlives the backup.
 * E_CORRUPT: it is damaged, truncated or none. E_DENIED: it was made under another root key.
 * E_INVALID: of a format that only a newer Freehold reads. */
MUST_USE int backup_open(int fd, const uint8_t state_key[KEY_BYTES], struct backup **ret_backup,
                         struct err *err);
void backup_free(struct backup *backup);
DEFINE_AUTO(backup)
const struct backup_info *backup_info(const struct backup *backup);
/* Every key with its value, in order; revisions are 0. */
MUST_USE int backup_each(struct backup *backup, store_visit_fn *visit, void *context,
                         struct err *err);
/* The preamble alone, from the first bytes of a file; for fuzzing. ret_len: of the preamble. */
MUST_USE int backup_preamble_read(const uint8_t *head, size_t len, struct backup_info *ret_info,
                                  size_t *ret_len, struct err *err);

/* The records alone, as they come out of the seal, in pieces of any size. Begin with zero_init. */
struct backup_records {
	struct buf pending;
	uint8_t digest[DIGEST_BYTES];
	char last[STORE_KEY_MAX + 1];
	uint64_t keys, bytes;
	uint64_t skip, again;        /* records of kind 2: to be passed by; seen so far */
	bool ended;
	struct backup_info *info;    /* gets what the end says */
	store_visit_fn *visit;       /* NULL: only checked. Called once `skip` were passed by */
	void *context;
};
void backup_records_init(struct backup_records *records, struct backup_info *info);
void backup_records_release(struct backup_records *records);
MUST_USE int backup_records_take(struct backup_records *records, const void *data, size_t len,
                                 struct err *err);
/* After the last piece. */
MUST_USE int backup_records_check(const struct backup_records *records, struct err *err);

/* For both sides. */
void backup_key(const uint8_t state_key[KEY_BYTES], uint8_t out[KEY_BYTES]);
void backup_installation(const uint8_t state_key[KEY_BYTES], char out[BACKUP_ID_LEN + 1]);
struct backup_paths { char path[2 * DIGEST_BYTES + 1]; };
struct seal_label backup_label(const uint8_t *preamble, size_t len, struct backup_paths *paths);

#endif
