/* outflow.h - bytes on their way from a writer in any thread into an answer that stays open. Two
 * hold it, its writer and its reader; the second of outflow_end and outflow_leave frees it. What
 * the reader has not taken is kept up to a bound, and beyond that it is dropped; it is waited for
 * only by a writer that asks to (outflow_wait). */
#ifndef OUTFLOW_H
#define OUTFLOW_H

#include "common/err.h"

struct outflow;
/* How its reader waits without a thread: park when there is nothing to take, wake when that has
 * changed. Called with the outflow's mutex held; both must not block or call it. */
struct outflow_reader {
	void (*park)(void *context);
	void (*wake)(void *context);
	void *context;
};
MUST_USE int outflow_new(size_t kept_max, const struct outflow_reader *reader,
                         struct outflow **ret_outflow, struct err *err);

/* The writer's. False: nothing more arrives (the reader left or was dropped); only end remains. */
bool outflow_put(struct outflow *outflow, const void *data, size_t len);
/* Waits until all that was put is taken: for a writer with a thread of its own, which thus goes as
 * fast as its reader. False as above. */
bool outflow_wait(struct outflow *outflow);
/* The same, waiting that long at most: whether there is nothing left to take. A writer that is told
 * so of an outflow whose reader has left learns that from outflow_put. */
bool outflow_room(struct outflow *outflow, int wait_ms);
/* Waits, that long at most, until the reader has asked for more and there is nothing: what it took
 * is then out of its hands, with the kernel. */
bool outflow_idle(struct outflow *outflow, int wait_ms);
void outflow_end(struct outflow *outflow);

/* The reader's. Bytes taken; 0: none yet, and it is parked; OUTFLOW_OVER: all was said;
 * OUTFLOW_BROKEN: it was dropped. */
enum { OUTFLOW_OVER = -1, OUTFLOW_BROKEN = -2 };
int outflow_take(struct outflow *outflow, char *out, size_t most);
void outflow_drop(struct outflow *outflow);    /* any thread that knows the reader is there */
void outflow_leave(struct outflow *outflow);

#endif
