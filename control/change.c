/* change.c - what is to become true together, and how it is sealed for the store. */
#include "common/defs.h"
#include "control/change_impl.h"

#include "common/compress.h"
#include "common/crypto.h"
#include "common/pack.h"

#include <stdlib.h>
#include <string.h>

enum { ARENA_MAX = 32 * 1024 * 1024 };

int change_new(struct change **ret_change, struct err *err)
{
	AUTO(change) *change = calloc(1, sizeof *change);
	if (!change)
		return err_set(err, E_NOMEM, "no memory for a change");
	buf_init(&change->packed, CHANGE_BYTES_MAX);
	TRY(arena_new(ARENA_MAX, &change->arena, err));
	change->records = value_list(change->arena);
	if (!change->records)
		return err_set(err, E_NOMEM, "no memory for a change");
	*ret_change = MOVE(change);
	return 0;
}

void change_free(struct change *change)
{
	if (!change)
		return;
	for (size_t i = 0; i < change->op_count; i++)
		buf_release(&change->ops[i].sealed);
	free(change->ops);
	buf_release(&change->packed);
	arena_free(change->arena);
	free(change);
}

struct arena *change_arena(struct change *change)
{
	return change->arena;
}

int change_record(struct change *change, struct value *record, struct err *err)
{
	size_t count = value_len(change->records);
	TRY(value_check(record, err));
	value_add(change->records, record);
	/* Those before it were looked at when they came: a change may have thousands. */
	return value_len(change->records) > count ? 0 : value_check(change->records, err);
}

static int grow(struct change *change, struct err *err)
{
	if (change->op_count < change->op_cap)
		return 0;
	if (change->op_count >= STORE_OPS_MAX)
		return err_set(err, E_TOO_LARGE, "a change writes over %d keys; split it",
		               STORE_OPS_MAX);
	size_t cap = change->op_cap ? change->op_cap * 2 : 4;
	struct change_op *ops = realloc(change->ops, cap * sizeof *ops);
	if (!ops)
		return err_set(err, E_NOMEM, "no memory for a change");
	change->ops = ops;
	change->op_cap = cap;
	return 0;
}

static bool writes(const struct change_op *op)
{
	return op->kind != CHANGE_EXPECT;
}

static int add_op(struct change *change, const struct change_op *op, struct err *err)
{
	for (size_t i = 0; writes(op) && i < change->op_count; i++)
		if (writes(&change->ops[i]) && strcmp(change->ops[i].key, op->key) == 0)
			return err_set(err, E_CONFLICT, "a change writes one resource twice");
	TRY(grow(change, err));
	struct change_op copy = *op;
	copy.key = arena_strdup(change->arena, op->key);
	if (!copy.key)
		return err_set(err, E_NOMEM, "no memory for a change");
	if (op->kind == CHANGE_PUT) {
		copy.value = value_copy(change->arena, op->value);
		TRY(value_check(copy.value, err));
	}
	buf_init(&copy.sealed, STORE_VALUE_MAX);
	change->ops[change->op_count++] = copy;
	return 0;
}

int change_put(struct change *change, const char *key, const struct value *value, int64_t expect,
               struct err *err)
{
	struct change_op op = { .kind = CHANGE_PUT, .key = key, .value = value, .expect = expect };
	return add_op(change, &op, err);
}

int change_delete(struct change *change, const char *key, int64_t expect, struct err *err)
{
	struct change_op op = { .kind = CHANGE_DELETE, .key = key, .expect = expect };
	return add_op(change, &op, err);
}

int change_expect(struct change *change, const char *key, int64_t mod_revision, struct err *err)
{
	struct change_op op = { .kind = CHANGE_EXPECT, .key = key, .expect = mod_revision };
	return add_op(change, &op, err);
}

int change_store(struct change *change, struct store *store, const uint8_t *state_key,
                 struct err *err)
{
	AUTO(store_txn) *txn = NULL;
	REQUIRE(value_len(change->records) == 0);
	TRY(store_txn_new(&txn, err));
	TRY(change_seal(change, state_key, err));
	TRY(change_add_to(change, txn, err));
	return store_commit(store, txn, NULL, err);
}

/* --- for the journal --- */

int state_seal(const uint8_t *state_key, const char *key, const void *packed, size_t len,
               struct buf *out, struct err *err)
{
	AUTO_BUF squeezed;
	buf_init(&squeezed, STORE_VALUE_MAX);
	TRY(compress_write(packed, len, &squeezed, err));
	TRY(buf_check(&squeezed, err));
	uint8_t *room = buf_room(out, squeezed.len + LOCKBOX_OVERHEAD);
	TRY(buf_check(out, err));
	lockbox_seal(state_key, key, strlen(key), squeezed.data, squeezed.len, room);
	out->len += squeezed.len + LOCKBOX_OVERHEAD;
	return 0;
}

int journal_open_value(const uint8_t *state_key, const char *key, const uint8_t *sealed, size_t len,
                       struct arena *arena, struct value **ret_value, struct err *err)
{
	AUTO_BUF squeezed, packed;
	buf_init(&squeezed, STORE_VALUE_MAX);
	buf_init(&packed, CHANGE_UNPACKED_MAX);
	if (len <= LOCKBOX_OVERHEAD)
		return err_set(err, E_CORRUPT, "the stored value of %s has %zu bytes, which is too "
		               "few", key, len);
	size_t plain = len - LOCKBOX_OVERHEAD;
	uint8_t *room = buf_room(&squeezed, plain);
	TRY(buf_check(&squeezed, err));
	int rc = lockbox_open(state_key, key, strlen(key), sealed, len, room, err);
	if (rc == 0)
		rc = compress_read(room, plain, &packed, err);
	if (rc == 0)
		rc = pack_read(arena, packed.data, packed.len, ret_value, err);
	if (rc < 0)
		err_prefix(err, "the stored value of %s", key);
	return rc;
}

static int op_seal(struct change_op *op, const uint8_t *state_key, struct err *err)
{
	AUTO_BUF packed;
	buf_init(&packed, CHANGE_UNPACKED_MAX);
	TRY(pack_write(op->value, &packed, err));
	TRY(buf_check(&packed, err));
	buf_clear(&op->sealed);
	return state_seal(state_key, op->key, packed.data, packed.len, &op->sealed, err);
}

int change_seal(struct change *change, const uint8_t *state_key, struct err *err)
{
	buf_clear(&change->packed);
	TRY(pack_write(change->records, &change->packed, err));
	TRY(buf_check(&change->packed, err));
	for (size_t i = 0; i < change->op_count; i++)
		if (change->ops[i].kind == CHANGE_PUT)
			TRY(op_seal(&change->ops[i], state_key, err));
	if (change_bytes(change) > CHANGE_BYTES_MAX)
		return err_set(err, E_TOO_LARGE, "a change has %zu bytes; at most %d become "
		               "durable together", change_bytes(change), CHANGE_BYTES_MAX);
	return 0;
}

size_t change_bytes(const struct change *change)
{
	size_t bytes = change->packed.len;
	for (size_t i = 0; i < change->op_count; i++)
		bytes += strlen(change->ops[i].key) + change->ops[i].sealed.len;
	return bytes;
}

size_t change_store_ops(const struct change *change)
{
	size_t count = 0;
	for (size_t i = 0; i < change->op_count; i++)
		count += (size_t)writes(&change->ops[i]) + (size_t)(change->ops[i].expect >= 0);
	return count;
}

bool change_overlaps(const struct change *a, const struct change *b)
{
	for (size_t i = 0; i < a->op_count; i++)
		for (size_t j = 0; j < b->op_count; j++)
			if ((writes(&a->ops[i]) || writes(&b->ops[j])) &&
			    strcmp(a->ops[i].key, b->ops[j].key) == 0)
				return true;
	return false;
}

int change_add_to(const struct change *change, struct store_txn *txn, struct err *err)
{
	for (size_t i = 0; i < change->op_count; i++) {
		const struct change_op *op = &change->ops[i];
		if (op->expect >= 0)
			TRY(store_txn_if_mod(txn, op->key, op->expect, err));
		if (op->kind == CHANGE_PUT)
			TRY(store_txn_put(txn, op->key, op->sealed.data, op->sealed.len, err));
		else if (op->kind == CHANGE_DELETE)
			TRY(store_txn_delete(txn, op->key, err));
	}
	return 0;
}
