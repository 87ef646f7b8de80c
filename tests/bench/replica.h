/* replica.h - one replica's part 0 on a real etcd, without doors: its shard and its journal. */
#ifndef TESTS_BENCH_REPLICA_H
#define TESTS_BENCH_REPLICA_H

#include "common/crypto.h"
#include "control/journal.h"
#include "control/shard.h"
#include "tests/bench/bench.h"
#include "tests/bench/system.h"

struct replica {
	struct store *store;
	uint8_t key[KEY_BYTES];
	struct shard *shard;         /* NULL: records are only counted */
	struct journal *journal;
	int64_t epoch;
	uint64_t ids;
};

MUST_USE int replica_open(struct replica *replica, const struct bench_system *system,
                          const char *prefix, bool with_shard, struct err *err);
void replica_close(struct replica *replica);
/* For a follow of it. */
void replica_record(void *context, const struct value *record);
void replica_clear(void *context);
/* The leader key is this replica's from now on. */
MUST_USE int replica_take_key(struct replica *replica, struct err *err);
/* Bytes a second as values of 16 KiB, one after another. */
MUST_USE int replica_floor(struct replica *replica, double *ret_rate, struct err *err);

#endif
