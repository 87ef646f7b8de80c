/* batch.c - one store transaction of the journal. Invariant: the journal key is written with the
 * changes and compared to be absent, so a transaction whose answer was lost can be sent again:
 * it happens once, whichever copy arrives. */
#include "common/defs.h"
#include "control/batch.h"

#include "control/change_impl.h"
#include "common/pack.h"

#include <inttypes.h>
#include <string.h>

/* A store that was slow to say so has looked for the answer itself: whoever asked is told before
 * its patience ends, and the journal is read again. */
enum { RESOLVE_WITHIN_MS = 1000 };

static struct value *position_value(struct arena *arena, const struct position *position)
{
	struct value *list = value_list(arena);
	if (list) {
		value_add(list, value_int(arena, position->epoch));
		value_add(list, value_int(arena, (int64_t)position->seq));
	}
	return list;
}

/* A batch's value: its format, where it follows, the packed records of each change. */
static int batch_value(const struct batch_place *place, struct change *const *changes, size_t count,
                       struct buf *out, struct err *err)
{
	AUTO(arena) *arena = NULL;
	AUTO_BUF packed;
	buf_init(&packed, CHANGE_UNPACKED_MAX);
	TRY(arena_new(CHANGE_UNPACKED_MAX, &arena, err));
	struct value *list = value_list(arena);
	TRY(value_check(list, err));
	value_add(list, value_int(arena, BATCH_FORMAT));
	value_add(list, position_value(arena, &place->after));
	for (size_t i = 0; i < count; i++)
		value_add(list, value_bin(arena, changes[i]->packed.data, changes[i]->packed.len));
	TRY(value_check(list, err));
	TRY(pack_write(list, &packed, err));
	TRY(buf_check(&packed, err));
	return state_seal(place->state_key, place->key, packed.data, packed.len, out, err);
}

static int batch_txn(const struct batch_place *place, struct change *const *changes, size_t count,
                     const struct buf *value, struct store_txn *txn, struct err *err)
{
	TRY(store_txn_if_create(txn, place->leader_key, place->epoch, err));
	TRY(store_txn_if_mod(txn, place->key, 0, err));
	TRY(store_txn_put(txn, place->key, value->data, value->len, err));
	for (size_t i = 0; i < count; i++)
		TRY(change_add_to(changes[i], txn, err));
	return 0;
}

struct look {
	const struct buf *value;     /* what we wrote; NULL: not compared */
	bool there, ours;
	int64_t mod_revision, create_revision;
};

static int look_visit(void *context, const struct store_item *item, struct err *err)
{
	struct look *look = context;
	(void)err;
	look->there = item->mod_revision != 0;
	look->mod_revision = item->mod_revision;
	look->create_revision = item->create_revision;
	look->ours = look->there && look->value && item->value_len == look->value->len &&
		memcmp(item->value, look->value->data, item->value_len) == 0;
	return 0;
}

static int foreign(struct err *err)
{
	return err_set(err, E_UNKNOWN_OUTCOME, "the journal holds a batch under this leader's next "
	               "key that an earlier write left there; the journal is read again before it "
	               "goes on");
}

/* Why a compare failed: was it deposed, was it written after all, or is it a resource's compare? */
static int refusal(const struct batch_place *place, const struct buf *value, int64_t *ret_revision,
                   struct err *err)
{
	struct look leader = { 0 }, journal = { .value = value };
	TRY(store_get(place->store, place->key, look_visit, &journal, err));
	if (journal.ours) {
		*ret_revision = journal.mod_revision;
		return 0;
	}
	TRY(store_get(place->store, place->leader_key, look_visit, &leader, err));
	if (leader.create_revision != place->epoch)
		return err_set(err, E_NOT_LEADER, "another replica leads now; ask again, the "
		               "request goes there");
	if (journal.there)
		return foreign(err);
	return err_set(err, E_PRECONDITION, "it was changed by another request in between; read it "
	               "again and repeat with its new ETag");
}

/* The answer was lost: reads the key, and writes again where it is absent. */
static int resolve(const struct batch_place *place, const struct store_txn *txn,
                   const struct buf *value, int64_t until_mono_ms, int64_t *ret_revision,
                   struct err *err)
{
	int rc = E_UNKNOWN_OUTCOME;
	if (clock_mono_ms(place->clock) < until_mono_ms)
		rc = store_commit(place->store, txn, ret_revision, err);
	if (rc == E_PRECONDITION)
		rc = refusal(place, value, ret_revision, err);
	if (rc == 0 || rc == E_PRECONDITION || rc == E_NOT_LEADER)
		return rc;
	return err_set(err, E_UNKNOWN_OUTCOME, "the store did not say whether the write happened; "
	               "look at the resource before repeating the request");
}

int batch_commit(const struct batch_place *place, struct change *const *changes, size_t count,
                 int64_t *ret_revision, size_t *ret_bytes, struct err *err)
{
	AUTO_BUF value;
	AUTO(store_txn) *txn = NULL;
	buf_init(&value, STORE_VALUE_MAX);
	TRY(store_txn_new(&txn, err));
	TRY(batch_value(place, changes, count, &value, err));
	TRY(batch_txn(place, changes, count, &value, txn, err));
	*ret_bytes = store_txn_bytes(txn);
	int64_t until_mono_ms = clock_mono_ms(place->clock) + RESOLVE_WITHIN_MS;
	int rc = store_commit(place->store, txn, ret_revision, err);
	if (rc == E_UNKNOWN_OUTCOME)
		return resolve(place, txn, &value, until_mono_ms, ret_revision, err);
	return rc == E_PRECONDITION ? refusal(place, &value, ret_revision, err) : rc;
}

/* --- reading --- */

static int read_after(const struct value *list, struct batch_view *batch, struct err *err)
{
	const struct value *after = value_at(list, 1);
	batch->after.epoch = value_as_int(value_at(after, 0), -1);
	batch->after.seq = (uint64_t)value_as_int(value_at(after, 1), 0);
	if (value_kind(after) != VALUE_LIST || value_len(after) != 2 || batch->after.epoch < 0)
		return err_set(err, E_CORRUPT, "a batch of the journal does not say which is "
		               "before it");
	return 0;
}

int batch_read(const struct value *value, struct batch_view *ret_batch, struct err *err)
{
	struct batch_view batch = { .format = 1, .list = value };
	if (value_kind(value) != VALUE_LIST || value_len(value) == 0)
		return err_set(err, E_CORRUPT, "a batch of the journal is no list");
	if (value_kind(value_at(value, 0)) == VALUE_INT) {
		batch.format = value_as_int(value_at(value, 0), 0);
		batch.first = 2;
	}
	if (batch.first && batch.format > BATCH_FORMAT)
		return err_set(err, E_INVALID, "a batch of the journal has format %" PRId64 ", "
		               "which a newer Freehold wrote; this one reads up to %d: start the "
		               "newer version, or restore the store from before it ran",
		               batch.format, BATCH_FORMAT);
	if (batch.first && batch.format != BATCH_FORMAT)
		return err_set(err, E_CORRUPT, "a batch of the journal has format %" PRId64 ", "
		               "which there never was", batch.format);
	if (batch.first)
		TRY(read_after(value, &batch, err));
	batch.count = value_len(value) - batch.first;
	*ret_batch = batch;
	return 0;
}

int batch_records(const struct batch_view *batch, size_t i, struct arena *arena,
                  const struct value **ret_records, struct err *err)
{
	size_t len = 0;
	const struct value *packed = value_at(batch->list, batch->first + i);
	const void *data = value_as_bin(packed, &len);
	struct value *records = NULL;
	if (value_kind(packed) != VALUE_BIN)
		return err_set(err, E_CORRUPT, "a change in a batch of the journal is no bytes");
	TRY(pack_read(arena, data, len, &records, err));
	if (value_kind(records) != VALUE_LIST)
		return err_set(err, E_CORRUPT, "a change in a batch of the journal is no list");
	*ret_records = records;
	return 0;
}
