/* rig.h - control alone against a real etcd, for benchmarks of the task plane: freehold-control as
 * a process, tenants with one domain and one principal each, and puppets: workers in this process
 * that take every task over the link and report it done at once. */
#ifndef TESTS_BENCH_RIG_H
#define TESTS_BENCH_RIG_H

#include "common/fetch.h"
#include "common/value.h"
#include "tests/bench/bench.h"

#include <stdatomic.h>

enum { RIG_TENANTS_MAX = 128, RIG_BATCH = 500 };

struct rig_tenant {
	const char *authorization; /* of one who may run tasks: a header line */
	const char *path;          /* /v1/tenants/T/domains/d */
};

struct rig {
	struct bench *bench;
	struct arena *arena;
	const char *folder, *url, *etcd_url, *link_url, *second_url;
	int etcd, control, second; /* process ids */
	int port;
	struct fetch *fetch;
	const char *operator_header;
	struct rig_tenant tenants[RIG_TENANTS_MAX];
	int tenant_count;
	_Atomic unsigned *turn;      /* whose queue the next batch goes to */
};
/* more: further arguments of freehold-control, or NULL. */
MUST_USE int rig_new(struct bench *bench, int tenants, const char *const *more,
                     struct rig **ret_rig, struct err *err);
void rig_free(struct rig *rig);
/* One more replica of control, which does not lead; ready when it returns. */
MUST_USE int rig_second(struct rig *rig, struct err *err);
DEFINE_AUTO(rig)

/* One request; an answer other than 2xx is a failure. ret_answer may be NULL. */
MUST_USE int rig_call(const struct rig *rig, const char *authorization, const char *method,
                      const char *path, const char *body, struct arena *arena,
                      struct value **ret_answer, struct err *err);
/* Accepts count tasks that do nothing, spread over the tenants [first, first + tenants), in
 * batches, from two threads. ret_s: how long it took. */
MUST_USE int rig_fill(const struct rig *rig, int first, int tenants, size_t count, double *ret_s,
                      struct err *err);
/* As an operator would: a tenant uses so many slots at one time at most. */
MUST_USE int rig_limit(struct rig *rig, int tenant, int slots, struct err *err);
double rig_memory_mb(const struct rig *rig); /* resident, of control */
double rig_cpu_s(const struct rig *rig);     /* of control, so far */

/* --- puppets --- */
/* Told of every attempt that reached a puppet, in its thread. */
typedef void rig_taken_fn(void *context, const char *task, double at_s);
struct rig_puppets;
MUST_USE int rig_puppets_new(const struct rig *rig, int count, int slots, rig_taken_fn *taken,
                             void *context, struct rig_puppets **ret_puppets, struct err *err);
void rig_puppets_free(struct rig_puppets *puppets);
DEFINE_AUTO(rig_puppets)
size_t rig_puppets_done(const struct rig_puppets *puppets); /* acknowledged */

#endif
