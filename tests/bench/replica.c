/* replica.c - see replica.h. */
#include "common/defs.h"
#include "tests/bench/replica.h"

#include "common/store_etcd.h"
#include "control/shard_emit.h"
#include "control/shard_work.h"

#include <time.h>

enum { FLOOR_PUTS = 400, FLOOR_BYTES = 16384 };

void replica_record(void *context, const struct value *record)
{
	struct replica *replica = context;
	if (replica->shard)
		shard_record(replica->shard, record);
}

static int on_hold(void *context, struct err *err)
{
	return shard_hold(((struct replica *)context)->shard, err);
}

static int on_emit(void *context, emit_fn *emit, void *emit_context, struct err *err)
{
	return shard_emit(((struct replica *)context)->shard, emit, emit_context, err);
}

static void on_let_go(void *context)
{
	shard_let_go(((struct replica *)context)->shard);
}

void replica_clear(void *context)
{
	shard_clear(((struct replica *)context)->shard);
}

void replica_close(struct replica *replica)
{
	journal_free(replica->journal);
	shard_free(replica->shard);
	store_free(replica->store);
}

int replica_open(struct replica *replica, const struct bench_system *system,
			const char *prefix, bool with_shard, struct err *err)
{
	const struct store_etcd_conf etcd = {.endpoints = system->etcd_url, .prefix = prefix};
	*replica = (struct replica){.epoch = 0};
	TRY(store_etcd_new(&etcd, clock_system(), &replica->store, err));
	if (with_shard)
		TRY(shard_new(clock_system(), &replica->shard, err));
	const struct journal_conf conf = {
		.store = replica->store, .clock = clock_system(), .state_key = replica->key,
		.leader_key = "leader/0", .prefix = "journal/0/",
		.checkpoint_prefix = "checkpoint/0/", .checkpoint_ms = 3600000,
		.checkpoint_bytes = SIZE_MAX,
		.ops = {
			.record = replica_record, .context = replica,
			.hold = with_shard ? on_hold : NULL, .emit = on_emit, .let_go = on_let_go,
		},
	};
	return journal_new(&conf, &replica->journal, err);
}

int replica_take_key(struct replica *replica, struct err *err)
{
	for (int put = 0; put < 2; put++) {
		AUTO(store_txn) *txn = NULL;
		TRY(store_txn_new(&txn, err));
		TRY(put ? store_txn_put(txn, "leader/0", "me", 2, err)
			: store_txn_delete(txn, "leader/0", err));
		TRY(store_commit(replica->store, txn, &replica->epoch, err));
	}
	return 0;
}

int replica_floor(struct replica *replica, double *ret_rate, struct err *err)
{
	uint8_t value[FLOOR_BYTES];
	random_bytes(value, sizeof value);
	double began = now_s();
	for (int i = 0; i < FLOOR_PUTS; i++) {
		AUTO(store_txn) *txn = NULL;
		TRY(store_txn_new(&txn, err));
		TRY(store_txn_put(txn, "floor", value, sizeof value, err));
		TRY(store_commit(replica->store, txn, NULL, err));
	}
	*ret_rate = FLOOR_PUTS * (double)FLOOR_BYTES / (now_s() - began);
	return 0;
}
