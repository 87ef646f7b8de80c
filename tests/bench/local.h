/* local.h - a worker without its link: grants signed here and run by worker/run.h in real
 * executors. */
#ifndef TESTS_BENCH_LOCAL_H
#define TESTS_BENCH_LOCAL_H

#include "tests/bench/bench.h"
#include "worker/pool.h"
#include "worker/run.h"

#define LOCAL_TENANT "bench"
#define LOCAL_DOMAIN "bench"

struct local {
	struct object_store *objects;
	struct pool *pool;
	struct grant_signer *signer;
	struct secret *box_secret;
	struct runner runner;
	int64_t *tokens; /* of the whole run */
};
/* ready: executors kept waiting. Files of connector "file" lie in bench->data/LOCAL_TENANT. */
MUST_USE int local_new(struct bench *bench, int ready, struct local **ret_local, struct err *err);
void local_free(struct local *local);
/* A dataset's key, of chance. */
const uint8_t *local_key(struct arena *arena);
DEFINE_AUTO(local)

/* Signs and runs it: type, work, inputs and outputs are the caller's, the rest is filled in. Fails
 * when the attempt does. ret_rows: as metered. */
MUST_USE int local_run(struct local *local, struct arena *arena, struct grant *grant,
		       int64_t *ret_rows, struct err *err);

#endif
