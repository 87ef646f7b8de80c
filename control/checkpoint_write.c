/* checkpoint_write.c - writing a checkpoint: pages under a new generation, then the head, then the
 * deletion of older generations. Invariant: nothing that the head in force names is touched. */
#include "common/defs.h"
#include "control/checkpoint_impl.h"

#include "common/crypto.h"
#include "common/pack.h"
#include "control/change_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	TRIES = 3,
	/* What the list, the frame and the seal add to the records. */
	PAGE_RECORDS = CHECKPOINT_PAGE_BYTES - 4096, RECORD_FRAME = 5,
	PAGE_UNPACKED_MAX = 8 * 1024 * 1024
};

struct checkpoint_writer {
	struct checkpoint_place place;
	struct position generation;
	struct arena *arena;         /* the page's records, packed */
	struct value *list;          /* the page; NULL: none is begun */
	size_t list_bytes;
	struct checkpoint_stats stats;
};

static int deposed(struct err *err)
{
	return err_set(err, E_NOT_LEADER, "another replica leads now");
}

int checkpoint_commit(const struct checkpoint_place *place, struct store_txn *txn,
                      int64_t *ret_revision, struct err *err)
{
	TRY(store_txn_if_create(txn, place->leader_key, place->epoch, err));
	int rc = E_UNKNOWN_OUTCOME;
	for (int i = 0; i < TRIES && rc == E_UNKNOWN_OUTCOME; i++)
		rc = store_commit(place->store, txn, ret_revision, err);
	return rc == E_PRECONDITION ? deposed(err) : rc;
}

static int begin_page(struct checkpoint_writer *writer, struct err *err)
{
	arena_reset(writer->arena);
	writer->list = value_list(writer->arena);
	writer->list_bytes = 0;
	TRY(value_check(writer->list, err));
	value_add(writer->list, value_int(writer->arena, CHECKPOINT_FORMAT));
	return value_check(writer->list, err);
}

static int seal(const struct checkpoint_writer *writer, const char *key, const struct value *value,
                struct buf *out, struct err *err)
{
	AUTO_BUF packed;
	buf_init(&packed, PAGE_UNPACKED_MAX);
	TRY(pack_write(value, &packed, err));
	return state_seal(writer->place.state_key, key, packed.data, packed.len, out, err);
}

static int put_page(struct checkpoint_writer *writer, const char *key, struct err *err)
{
	AUTO_BUF sealed;
	AUTO(store_txn) *txn = NULL;
	buf_init(&sealed, STORE_VALUE_MAX);
	TRY(seal(writer, key, writer->list, &sealed, err));
	TRY(store_txn_new(&txn, err));
	TRY(store_txn_put(txn, key, sealed.data, sealed.len, err));
	TRY(checkpoint_commit(&writer->place, txn, NULL, err));
	writer->stats.bytes += (int64_t)sealed.len;
	return 0;
}

static int end_page(struct checkpoint_writer *writer, struct err *err)
{
	char key[JOURNAL_KEY_MAX];
	if (!writer->list)
		return 0;
	checkpoint_page_key(writer->place.prefix, &writer->generation, writer->stats.pages, key);
	TRY(value_check(writer->list, err));
	TRY(put_page(writer, key, err));
	writer->list = NULL;
	writer->stats.pages++;
	return 0;
}

int checkpoint_begin(const struct checkpoint_place *place, uint64_t attempt,
                     struct checkpoint_writer **ret_writer, struct err *err)
{
	AUTO(checkpoint_writer) *writer = calloc(1, sizeof *writer);
	if (!writer)
		return err_set(err, E_NOMEM, "no memory to write a checkpoint");
	writer->place = *place;
	writer->generation = (struct position){ place->epoch, attempt };
	TRY(arena_new(PAGE_UNPACKED_MAX, &writer->arena, err));
	*ret_writer = MOVE(writer);
	return 0;
}

int checkpoint_add(struct checkpoint_writer *writer, const void *packed, size_t len,
                   struct err *err)
{
	if (writer->list && writer->list_bytes + len + RECORD_FRAME > PAGE_RECORDS)
		TRY(end_page(writer, err));
	if (!writer->list)
		TRY(begin_page(writer, err));
	value_add(writer->list, value_bin(writer->arena, packed, len));
	writer->list_bytes += len + RECORD_FRAME;
	writer->stats.records++;
	return value_check(writer->list, err);
}

/* --- the head --- */

static int head_value(struct checkpoint_writer *writer, const struct position *covers,
                      int64_t at_ms, struct value **ret_head, struct err *err)
{
	arena_reset(writer->arena);
	struct value *head = value_map(writer->arena), *generation = value_list(writer->arena);
	TRY(value_check(head, err));
	TRY(value_check(generation, err));
	value_add(generation, value_int(writer->arena, writer->generation.epoch));
	value_add(generation, value_int(writer->arena, (int64_t)writer->generation.seq));
	value_set_int(head, "format", CHECKPOINT_FORMAT);
	value_set(head, "generation", generation);
	value_set_int(head, "pages", writer->stats.pages);
	value_set_int(head, "records", writer->stats.records);
	value_set_int(head, "epoch", covers->epoch);
	value_set_int(head, "seq", (int64_t)covers->seq);
	value_set_int(head, "at", at_ms);
	*ret_head = head;
	return value_check(head, err);
}

struct head_look {
	const struct buf *ours;
	int64_t mod_revision;
	bool is_ours;
};

static int look_at_head(void *context, const struct store_item *item, struct err *err)
{
	struct head_look *look = context;
	(void)err;
	look->mod_revision = item->mod_revision;
	look->is_ours = item->mod_revision != 0 && item->value_len == look->ours->len &&
		memcmp(item->value, look->ours->data, item->value_len) == 0;
	return 0;
}

/* Compares what is there, so that it happens once at most, and never after a later head. */
static int put_head(const struct checkpoint_place *place, const char *key, const struct buf *sealed,
                    int64_t mod_revision, struct err *err)
{
	AUTO(store_txn) *txn = NULL;
	TRY(store_txn_new(&txn, err));
	TRY(store_txn_if_create(txn, place->leader_key, place->epoch, err));
	TRY(store_txn_if_mod(txn, key, mod_revision, err));
	TRY(store_txn_put(txn, key, sealed->data, sealed->len, err));
	return store_commit(place->store, txn, NULL, err);
}

int checkpoint_end(struct checkpoint_writer *writer, const struct position *covers, int64_t at_ms,
                   struct err *err)
{
	const struct checkpoint_place *place = &writer->place;
	char key[JOURNAL_KEY_MAX];
	AUTO_BUF sealed;
	struct head_look look = { .ours = &sealed };
	struct value *head = NULL;
	buf_init(&sealed, STORE_VALUE_MAX);
	TRY(end_page(writer, err));
	TRY(head_value(writer, covers, at_ms, &head, err));
	checkpoint_head_key(place->prefix, key);
	TRY(seal(writer, key, head, &sealed, err));
	TRY(store_get(place->store, key, look_at_head, &look, err));
	int64_t mod_revision = look.mod_revision;
	int rc = put_head(place, key, &sealed, mod_revision, err);
	for (int i = 1; i < TRIES && rc == E_UNKNOWN_OUTCOME; i++)
		rc = put_head(place, key, &sealed, mod_revision, err);
	if (rc != E_PRECONDITION)
		return rc;
	if (store_get(place->store, key, look_at_head, &look, err) < 0)
		return err_set(err, E_UNKNOWN_OUTCOME, "the store did not say whether a "
		               "checkpoint's head was written");
	return look.is_ours ? 0 : deposed(err);
}

int checkpoint_clean(struct checkpoint_writer *writer, struct err *err)
{
	const char *prefix = writer->place.prefix;
	char first[JOURNAL_KEY_MAX], own[JOURNAL_KEY_MAX];
	AUTO(store_txn) *txn = NULL;
	snprintf(first, sizeof first, "%s0", prefix);
	TRY(store_txn_new(&txn, err));
	position_key(prefix, &writer->generation, own);
	TRY(store_txn_delete_range(txn, first, own, err));
	return checkpoint_commit(&writer->place, txn, NULL, err);
}

void checkpoint_stats(const struct checkpoint_writer *writer, struct checkpoint_stats *ret_stats)
{
	*ret_stats = writer->stats;
}

void checkpoint_writer_free(struct checkpoint_writer *writer)
{
	if (!writer)
		return;
	arena_free(writer->arena);
	free(writer);
}
