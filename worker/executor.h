/* executor.h - the process that runs one task's SQL: `freehold-worker executor`, started by
 * pool.h with its channel as descriptor 3. It opens the engine, goes into its cage, says so,
 * takes one job, does it, and ends. It holds no key but those of the files it was given, and can
 * write nothing but its pipes.
 *
 * Loading and opening the engine takes tens of milliseconds, forking a process that has done so a
 * quarter of one. So the pool keeps `freehold-worker zygote`, which never gets a job and is asked
 * to fork instead: {event: "fork"} with a channel's end; the child becomes the agent's own child
 * (PR_SET_CHILD_SUBREAPER), goes into a cage of its own, and says "ready" on that channel.
 * ready   {event, pid, cage: {layer: "" or why not}}; the zygote's has no cage
 * failed  {event, code, text}: it cannot be one */
#ifndef EXECUTOR_H
#define EXECUTOR_H

#include "worker/shop.h"

enum { EXECUTOR_SOCKET = 3 };

typedef int executor_work_fn(struct shop *shop, struct err *err);
/* A job of any type of tasks.def. */
MUST_USE int executor_work(struct shop *shop, struct err *err);

/* The role that a command line asks for; NULL: it is no executor's. */
const char *executor_role(int argc, char *const *argv);
/* Never returns. */
__attribute__((noreturn)) void executor_main(const char *role, executor_work_fn *work);

#endif
