/* run_impl.h - one attempt's state between the steps of run.c; used by run.c, tables.c and the
 * t_*.c. Everything lies in the arena or is released by run.c when the attempt ends. */
#ifndef RUN_IMPL_H
#define RUN_IMPL_H

#include "worker/outlet.h"
#include "worker/pool.h"
#include "worker/run.h"
#include "worker/types.h"

struct online_batch;
struct online_view;

struct run {
	struct runner *runner;
	struct attempt *attempt;
	struct arena *arena;
	const uint8_t *bytes; /* the grant's */
	size_t len;
	struct grant *grant;   /* NULL before it is verified */
	struct value *job;     /* see shop.h */
	int fds[POOL_FDS_MAX]; /* what the job brings; closed when sent */
	size_t fd_count;
	struct outlet data, rejects;
	struct online_view *view; /* materialize */
	struct online_batch *batch;
	const struct value *result;
	struct usage usage;
	struct output output; /* what is reported when `produced` */
	bool produced;
	const struct value *told; /* the report's result; NULL: none */
};

/* For task_side's open, of types whose executor needs no more than run.c puts into every job. It is
 * said, so that a type which says nothing has forgotten it. */
MUST_USE int run_open_nothing(struct run *run, struct err *err);
/* Puts fd (taken) into the job, as member when that is not NULL; its index. */
MUST_USE int run_add_fd(struct run *run, const char *member, int fd, struct err *err);
/* The grant's inputs, as the job's tables: each file verified and opened for the executor. */
MUST_USE int run_add_tables(struct run *run, struct err *err);
/* Makes `member` a way out into the object "output_prefix/file", sealed for the grant's output 0.
 */
MUST_USE int run_add_outlet(struct run *run, struct outlet *outlet, const char *member,
                            const char *file, struct err *err);
/* Commits the data outlet, and the rejects when there are any, into run->output. */
MUST_USE int run_seal_output(struct run *run, bool replace, struct err *err);

#endif
