/* pool.h - executors: one process per running task, made ready before it is needed.
 * An executor is `freehold-worker executor` with DuckDB open and nobody's data in it; it is used
 * for one job and ends. The agent keeps `ready` of them waiting. */
#ifndef POOL_H
#define POOL_H

#include "api/tasks.h"
#include "api/usage.h"
#include "common/buf.h"
#include "common/clock.h"
#include "worker/cage_report.h"

struct pool;
struct attempt;

struct pool_conf {
	const char *program; /* of the executor; NULL: /proc/self/exe */
	int ready;           /* kept waiting; 0: none, every start is cold */
	struct clock *clock;
	unsigned required;   /* layers of the cage without which nothing runs, 1 << cage_layer */
	bool groups;         /* a control group for each, where this process may make them */
};
MUST_USE int pool_new(const struct pool_conf *conf, struct pool **ret_pool, struct err *err);
void pool_free(struct pool *pool);
DEFINE_AUTO(pool)

enum { POOL_FDS_MAX = 2048, POOL_DRAINS_MAX = 2 };

/* A pipe's read end, read to its end while the job runs. */
typedef int pool_sink_fn(void *context, const void *data, size_t len, struct err *err);
struct pool_drain {
	int fd; /* stays the caller's */
	pool_sink_fn *sink;
	bool (*room)(void *context); /* waits a little for room; false: not yet; NULL: always */
	void *context;
};

typedef int pool_rows_fn(void *context, const struct value *rows, struct err *err);
struct pool_job;
/* Answers the executor's one question with the job to go on with: sets message, fds, fd_count and
 * maybe drains. May block. */
typedef int pool_ask_fn(void *context, const struct value *question, struct pool_job *job,
                        struct err *err);
/* False: nobody waits for the job any more. */
typedef bool pool_wanted_fn(void *context);
struct pool_job {
	const struct value *message; /* see worker/shop.h; names descriptors by index */
	int *fds;                    /* pool_run closes them, whatever its outcome, */
	size_t fd_count;             /* and sets this to 0 */
	struct pool_drain drains[POOL_DRAINS_MAX];
	size_t drain_count;
	pool_rows_fn *rows;          /* NULL: rows are refused */
	pool_ask_fn *ask;            /* NULL: so are questions */
	pool_wanted_fn *wanted;      /* asked now and then; NULL: it always is */
	void *context;               /* of these */
	const struct limits *limits; /* memory, cpu, deadline: killed beyond */
};

/* Runs a job to its end in an executor of its own, forwarding its progress to attempt. ret_result:
 * the executor's answer, in arena. usage: from the kernel (wait4), filled on failure too.
 * E_RESOURCES names the limit (the deadline too) and the figure; E_CANCELLED; others as the
 * executor or a sink said. */
MUST_USE int pool_run(struct pool *pool, struct pool_job *job, struct attempt *attempt,
                      struct arena *arena, struct value **ret_result, struct usage *usage,
                      struct err *err);
/* Waits for the first executor: what its cage is, which all others' is too. Fails as that did:
 * where a required layer is missing, the error names it. */
MUST_USE int pool_cage(struct pool *pool, struct cage_report *ret_cage, struct err *err);
/* Executors that are waiting now. */
int pool_ready(struct pool *pool);

#endif
