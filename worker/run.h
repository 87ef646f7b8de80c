/* run.h - RUN: one attempt of a task, from its grant to its report. One step table, one slot
 * thread. verify grant -> open (keys into locked memory, inputs) -> run -> seal -> report */
#ifndef RUN_H
#define RUN_H

#include "api/poll.h"
#include "common/clock.h"
#include "common/object.h"

#include <pthread.h>
#include <stdatomic.h>

struct pool;
struct egress;
struct online;
struct recent;

/* What every attempt on this worker works with; built by main.c. */
struct runner {
	struct clock *clock;
	struct object_store *objects;
	struct pool *pool;     /* executors, see worker/pool.h */
	struct online *online; /* NULL: this worker serves nothing, and refuses to materialize */
	struct grant_opener opener;
	_Atomic int64_t era;   /* grants of an epoch up to that are of before a restore */
	struct recent *recent; /* the datasets it has had in its hands; NULL: nobody asks */
	struct egress *egress; /* connector "http"; NULL: this worker calls no hosts */
	const char *files_root; /* connector "file": below files_root/TENANT/; NULL: none */
};

/* Shared between an attempt's slot thread and the poll loop. */
struct attempt {
	pthread_mutex_t mutex;
	struct progress progress; /* guarded by mutex */
	char phase[32];
	bool cancelled;  /* guarded by mutex; set with attempt_cancel */
	int stop;        /* the same, atomic, for who cannot wait for the mutex */
	int executor_fd; /* pidfd of the running executor, -1: none; guarded by mutex */
};
void attempt_init(struct attempt *attempt);
void attempt_release(struct attempt *attempt);
/* Ends the attempt within a second: its executor is killed. Any thread. */
void attempt_cancel(struct attempt *attempt);
MUST_USE int attempt_goes_on(struct attempt *attempt, struct err *err);  /* E_CANCELLED: not so */
void attempt_progress(struct attempt *attempt, const char *phase, int64_t rows, int64_t bytes,
                      int percent);

/* Runs one grant to its end. Always fills ret_report (in arena), also for a grant that is refused
 * (task and token are then taken from the bytes when they can be read; otherwise returns the
 * failure and there is nothing to report). */
MUST_USE int run_grant(struct runner *runner, struct attempt *attempt, struct arena *arena,
                       const uint8_t *grant, size_t len, struct report *ret_report,
                       struct err *err);

#endif
