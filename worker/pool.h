/* pool.h - executors: one process per running task, made ready before it is needed.
 * An executor is `freehold-worker executor` with DuckDB open and nobody's data in it; it is used for one
 * job and ends. The agent keeps `ready` of them waiting. */
#ifndef POOL_H
#define POOL_H

#include "api/tasks.h"
#include "api/usage.h"
#include "common/buf.h"
#include "common/clock.h"

struct pool;
struct attempt;

struct pool_conf {
	const char *program;         /* of the executor; NULL: /proc/self/exe */
	int ready;                   /* kept waiting; 0: none, every start is cold */
	struct clock *clock;
};
MUST_USE int pool_new(const struct pool_conf *conf, struct pool **ret_pool, struct err *err);
void pool_free(struct pool *pool);
DEFINE_AUTO(pool)

enum { POOL_FDS_MAX = 240 };

/* One job: a map (common/value.h) and the descriptors it names by index. Runs it to its end in an
 * executor under limits (memory, cpu, deadline; killed beyond), forwarding its progress to attempt.
 * ret_result: the executor's answer, in arena. usage: from the kernel (wait4). E_RESOURCES names the limit
 * and the figure; E_CANCELLED; E_INPUT and others as the executor said. */
MUST_USE int pool_run(struct pool *pool, const struct value *job, const int *fds, size_t fd_count,
                      const struct limits *limits, struct attempt *attempt, struct arena *arena,
                      struct value **ret_result, struct usage *usage, struct err *err);

#endif
