/* restore.c - see restore.h. Invariants: the unfinished mark is written first, compared by every
 * transaction and deleted by the last, which also begins the new era; every put may happen
 * twice. */
#include "common/defs.h"
#include "control/restore.h"

#include "control/change_impl.h"

#include <inttypes.h>
#include <string.h>

enum { MARK_LEN = DIGEST_BYTES + LOCKBOX_OVERHEAD, OPS_MOST = 100 };
#define BYTES_MOST (900 * KIB)

struct restoring {
	struct store *store;
	const uint8_t *state_key;
	struct backup *backup;
	int64_t mark_revision;       /* of the unfinished mark; 0: there is none */
	bool ours;                   /* it is of this archive */
	struct store_txn *txn;
};

/* --- is it empty? --- */

static int other_content(struct err *err)
{
	return err_set(err, E_CONFLICT, "the store is not empty; restore into a new one, or under "
	               "another --etcd-prefix");
}

static int look_at(void *context, const struct store_item *item, struct err *err)
{
	struct restoring *restoring = context;
	if (!restoring->ours)
		return other_content(err);
	(void)item;
	return 0;
}

static int look_at_mark(void *context, const struct store_item *item, struct err *err)
{
	uint8_t of[DIGEST_BYTES];
	struct restoring *restoring = context;
	const char *key = ERA_UNFINISHED_KEY;
	restoring->mark_revision = item->mod_revision;
	if (!item->mod_revision)
		return 0;
	if (item->value_len == MARK_LEN &&
	    lockbox_open(restoring->state_key, key, strlen(key), item->value, MARK_LEN, of,
	                 NULL) == 0)
		restoring->ours = bytes_equal(of, backup_info(restoring->backup)->digest,
		                              DIGEST_BYTES);
	if (restoring->ours)
		return 0;
	return err_set(err, E_CONFLICT, "a restore of another archive into this store was begun "
	               "and has not ended; end that one, or restore into a new store");
}

static int check_empty(struct restoring *restoring, struct err *err)
{
	TRY(store_get(restoring->store, ERA_UNFINISHED_KEY, look_at_mark, restoring, err));
	return store_list(restoring->store, "", look_at, restoring, NULL, err);
}

static int mark(struct restoring *restoring, struct err *err)
{
	uint8_t box[MARK_LEN];
	const char *key = ERA_UNFINISHED_KEY;
	AUTO(store_txn) *txn = NULL;
	if (restoring->mark_revision)
		return 0;
	lockbox_seal(restoring->state_key, key, strlen(key),
	             backup_info(restoring->backup)->digest, DIGEST_BYTES, box);
	TRY(store_txn_new(&txn, err));
	TRY(store_txn_if_mod(txn, key, 0, err));
	TRY(store_txn_put(txn, key, box, sizeof box, err));
	return store_commit(restoring->store, txn, &restoring->mark_revision, err);
}

/* --- writing --- */

static int txn_begin(struct restoring *restoring, struct err *err)
{
	TRY(store_txn_new(&restoring->txn, err));
	return store_txn_if_mod(restoring->txn, ERA_UNFINISHED_KEY, restoring->mark_revision, err);
}

static int txn_end(struct restoring *restoring, struct err *err)
{
	AUTO(store_txn) *txn = MOVE(restoring->txn);
	return store_commit(restoring->store, txn, NULL, err);
}

static int write_key(void *context, const struct store_item *item, struct err *err)
{
	struct restoring *restoring = context;
	if (!backup_keeps(item->key))
		return 0;
	if (store_txn_ops(restoring->txn) >= OPS_MOST ||
	    store_txn_bytes(restoring->txn) + item->value_len > BYTES_MOST) {
		TRY(txn_end(restoring, err));
		TRY(txn_begin(restoring, err));
	}
	return store_txn_put(restoring->txn, item->key, item->value, item->value_len, err);
}

static int write_all(struct restoring *restoring, const struct era *era, struct err *err)
{
	TRY(txn_begin(restoring, err));
	TRY(backup_each(restoring->backup, write_key, restoring, err));
	TRY(txn_end(restoring, err));
	TRY(txn_begin(restoring, err));
	TRY(era_put(restoring->txn, restoring->state_key, era, err));
	TRY(store_txn_delete(restoring->txn, ERA_UNFINISHED_KEY, err));
	return txn_end(restoring, err);
}

int restore(struct store *store, const uint8_t state_key[KEY_BYTES], struct backup *backup,
            int64_t now_ms, struct era *ret_era, struct err *err)
{
	struct restoring restoring = {
		.store = store, .state_key = state_key, .backup = backup,
	};
	const struct backup_info *info = backup_info(backup);
	struct era era;
	TRY(era_begin(now_ms, info->at_ms, info->revision, &era, err));
	TRY(check_empty(&restoring, err));
	TRY(mark(&restoring, err));
	int rc = write_all(&restoring, &era, err);
	store_txn_free(restoring.txn);
	TRY(rc);
	*ret_era = era;
	return 0;
}
