/* store.c - the store's arguments, checked once for every backing; the transaction under
 * construction; and the way to the backing. A failed call leaves a transaction as it was. */
#include "common/defs.h"
#include "common/store_impl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

bool store_has_prefix(const char *key, const char *prefix)
{
	return strncmp(key, prefix, strlen(prefix)) == 0;
}

static int text_check(const char *what, const char *text, size_t len_min, struct err *err)
{
	size_t len = strlen(text);
	if (len < len_min || len > STORE_KEY_MAX)
		return err_set(err, E_INVALID,
			       "a store %s has %zu bytes; it may have %zu to %d", what,
			       len, len_min, STORE_KEY_MAX);
	for (size_t i = 0; i < len; i++)
		if (text[i] < 0x21 || text[i] > 0x7e)
			return err_set(err, E_INVALID, "a store %s holds byte 0x%02x at %zu; only "
				       "printable ASCII without spaces is allowed", what,
				       (unsigned char)text[i], i);
	return 0;
}

static int key_check(const char *key, struct err *err)
{
	return text_check("key", key, 1, err);
}

/* --- the transaction --- */

int store_txn_new(struct store_txn **ret_txn, struct err *err)
{
	struct store_txn *txn = calloc(1, sizeof *txn);
	if (!txn)
		return err_set(err, E_NOMEM, "no memory for a store transaction");
	*ret_txn = txn;
	return 0;
}

static void txn_cut(struct store_txn *txn, size_t count)
{
	while (txn->count > count) {
		struct store_op *op = &txn->ops[--txn->count];
		txn->bytes -= strlen(op->key) + op->value_len;
		free(op->key);
	}
}

void store_txn_free(struct store_txn *txn)
{
	if (!txn)
		return;
	txn_cut(txn, 0);
	free(txn->ops);
	free(txn);
}

size_t store_txn_ops(const struct store_txn *txn)
{
	return txn->count;
}

size_t store_txn_bytes(const struct store_txn *txn)
{
	return txn->bytes;
}

static bool same_compare(const struct store_op *a, const struct store_op *b)
{
	return a->kind == b->kind && a->revision == b->revision && strcmp(a->key, b->key) == 0;
}

bool store_op_covers(const struct store_op *write, const char *key)
{
	if (write->kind == STORE_DELETE_PREFIX)
		return store_has_prefix(key, write->key);
	if (write->kind == STORE_DELETE_RANGE)
		return strcmp(key, write->key) >= 0 &&
			strcmp(key, (const char *)write->value) < 0;
	return strcmp(write->key, key) == 0;
}

/* The key of a range or prefix is the first it covers, so one of two that clash covers the
 * other's. */
static bool writes_clash(const struct store_op *a, const struct store_op *b)
{
	return store_op_covers(a, b->key) || store_op_covers(b, a->key);
}

/* 1: a compare that is there already; 0: it may be added; or a failure. */
static int op_check(const struct store_txn *txn, const struct store_op *op, struct err *err)
{
	for (size_t i = 0; i < txn->count; i++) {
		const struct store_op *have = &txn->ops[i];
		if (!store_op_writes(op) && same_compare(have, op))
			return 1;
		if (store_op_writes(op) && store_op_writes(have) && writes_clash(have, op))
			return err_set(err, E_CONFLICT, "a store transaction writes one key twice; "
				       "merge the two writes before they are added");
	}
	size_t bytes = strlen(op->key) + op->value_len;
	if (txn->count == STORE_OPS_MAX)
		return err_set(err, E_TOO_LARGE, "a store transaction has at most %d compares and "
			       "operations; split it", STORE_OPS_MAX);
	if (bytes > STORE_TXN_BYTES_MAX - txn->bytes)
		return err_set(err, E_TOO_LARGE,
			       "a store transaction would have %zu bytes; at most "
			       "%d are allowed; split it", txn->bytes + bytes, STORE_TXN_BYTES_MAX);
	return 0;
}

static int txn_reserve(struct store_txn *txn, struct err *err)
{
	if (txn->count < txn->cap)
		return 0;
	size_t cap = txn->cap ? txn->cap * 2 : 8;
	struct store_op *ops = realloc(txn->ops, cap * sizeof *ops);
	if (!ops)
		return err_set(err, E_NOMEM, "no memory for a store transaction");
	txn->ops = ops;
	txn->cap = cap;
	return 0;
}

/* Copies *op, whose pointers are borrowed. */
static int txn_add(struct store_txn *txn, const struct store_op *op, struct err *err)
{
	int known = op_check(txn, op, err);
	if (known != 0)
		return known < 0 ? known : 0;
	TRY(txn_reserve(txn, err));
	size_t key_size = strlen(op->key) + 1;
	struct store_op copy = *op;
	copy.key = malloc(key_size + op->value_len);
	if (!copy.key)
		return err_set(err, E_NOMEM, "no memory for a store transaction");
	memcpy(copy.key, op->key, key_size);
	copy.value = (uint8_t *)copy.key + key_size;
	if (op->value_len)
		memcpy(copy.value, op->value, op->value_len);
	txn->ops[txn->count++] = copy;
	txn->bytes += strlen(op->key) + op->value_len;
	return 0;
}

static int add_compare(struct store_txn *txn, enum store_op_kind kind, const char *key,
		       int64_t revision, struct err *err)
{
	TRY(key_check(key, err));
	if (revision < 0)
		return err_set(err, E_INVALID, "a compared revision is %" PRId64 "; it may not be "
			       "negative", revision);
	struct store_op op = { .kind = kind, .key = (char *)key, .revision = revision };
	return txn_add(txn, &op, err);
}

int store_txn_if_mod(struct store_txn *txn, const char *key, int64_t mod_revision, struct err *err)
{
	return add_compare(txn, STORE_IF_MOD, key, mod_revision, err);
}

int store_txn_if_create(struct store_txn *txn, const char *key, int64_t create_revision,
			struct err *err)
{
	return add_compare(txn, STORE_IF_CREATE, key, create_revision, err);
}

int store_txn_put(struct store_txn *txn, const char *key, const void *value, size_t len,
		  struct err *err)
{
	TRY(key_check(key, err));
	if (len > STORE_VALUE_MAX)
		return err_set(err, E_TOO_LARGE,
			       "a store value has %zu bytes; at most %d are allowed",
			       len, STORE_VALUE_MAX);
	struct store_op op = {
		.kind = STORE_PUT, .key = (char *)key, .value = (uint8_t *)value, .value_len = len,
	};
	return txn_add(txn, &op, err);
}

int store_txn_delete(struct store_txn *txn, const char *key, struct err *err)
{
	TRY(key_check(key, err));
	struct store_op op = { .kind = STORE_DELETE, .key = (char *)key };
	return txn_add(txn, &op, err);
}

int store_txn_delete_prefix(struct store_txn *txn, const char *prefix, struct err *err)
{
	TRY(text_check("prefix", prefix, 1, err));
	struct store_op op = { .kind = STORE_DELETE_PREFIX, .key = (char *)prefix };
	return txn_add(txn, &op, err);
}

int store_txn_delete_range(struct store_txn *txn, const char *first, const char *end,
			   struct err *err)
{
	TRY(key_check(first, err));
	TRY(text_check("range's end", end, 1, err));
	if (strcmp(first, end) >= 0)
		return err_set(err, E_INVALID, "a store range must end after it begins");
	struct store_op op = {
		.kind = STORE_DELETE_RANGE, .key = (char *)first, .value = (uint8_t *)end,
		.value_len = strlen(end) + 1,
	};
	return txn_add(txn, &op, err);
}

int store_txn_merge(struct store_txn *into, const struct store_txn *from, struct err *err)
{
	size_t before = into->count;
	for (size_t i = 0; i < from->count; i++) {
		int rc = txn_add(into, &from->ops[i], err);
		if (rc < 0) {
			txn_cut(into, before);
			return rc;
		}
	}
	return 0;
}

/* --- the way to the backing --- */

int store_get(struct store *store, const char *key, store_visit_fn *visit, void *context,
	      struct err *err)
{
	TRY(key_check(key, err));
	return store->ops->get(store, key, visit, context, err);
}

int store_list(struct store *store, const char *prefix, store_visit_fn *visit, void *context,
	       int64_t *ret_revision, struct err *err)
{
	TRY(text_check("prefix", prefix, 0, err));
	return store->ops->list(store, prefix, NULL, visit, context, ret_revision, err);
}

int store_list_after(struct store *store, const char *prefix, const char *after,
		     store_visit_fn *visit, void *context, int64_t *ret_revision, struct err *err)
{
	TRY(text_check("prefix", prefix, 0, err));
	TRY(key_check(after, err));
	if (!store_has_prefix(after, prefix))
		return err_set(err, E_INVALID, "a listing can only begin after a key that begins "
			       "with its prefix");
	return store->ops->list(store, prefix, after, visit, context, ret_revision, err);
}

int store_commit(struct store *store, const struct store_txn *txn, int64_t *ret_revision,
		 struct err *err)
{
	return store->ops->commit(store, txn, ret_revision, err);
}

int store_watch_new(struct store *store, const char *prefix, const struct store_watch_ops *ops,
		    int64_t relist_ms, struct store_watch **ret_watch, struct err *err)
{
	TRY(text_check("prefix", prefix, 0, err));
	if (relist_ms <= 0)
		return err_set(err, E_INVALID, "relist_ms is %" PRId64 "; it must be at least 1",
			       relist_ms);
	return store->ops->watch_new(store, prefix, ops, relist_ms, ret_watch, err);
}

void store_watch_free(struct store_watch *watch)
{
	if (watch)
		watch->store->ops->watch_free(watch);
}

int store_lead_new(struct store *store, const char *key, const char *id, int ttl_s,
		   store_lead_fn *change, void *context, struct store_lead **ret_lead,
		   struct err *err)
{
	TRY(key_check(key, err));
	if (ttl_s < STORE_TTL_MIN_S || ttl_s > STORE_TTL_MAX_S)
		return err_set(err, E_INVALID,
			       "a leader's lease is %d s; it may be %d to %d", ttl_s,
			       STORE_TTL_MIN_S, STORE_TTL_MAX_S);
	if (!*id || strlen(id) > STORE_KEY_MAX)
		return err_set(err, E_INVALID,
			       "a campaigner's id has %zu bytes; it may have 1 to %d",
			       strlen(id), STORE_KEY_MAX);
	return store->ops->lead_new(store, key, id, ttl_s, change, context, ret_lead, err);
}

void store_lead_free(struct store_lead *lead)
{
	if (lead)
		lead->store->ops->lead_free(lead);
}

int store_compact(struct store *store, int64_t revision, struct err *err)
{
	if (revision <= 0)
		return err_set(err, E_INVALID,
			       "a compaction's revision is %" PRId64 "; it must be at "
			       "least 1", revision);
	return store->ops->compact(store, revision, err);
}

int store_size(struct store *store, int64_t *ret_bytes, struct err *err)
{
	return store->ops->size(store, ret_bytes, err);
}

void store_free(struct store *store)
{
	if (store)
		store->ops->free(store);
}
