/* executor.h - the process that runs one task's SQL: `freehold-worker executor`, started by pool.h
 * with its channel as descriptor 3. It opens the engine, says so, takes one job, does it, and ends.
 * It holds no key but those of the files it was given, and can write nothing but its pipes.
 *
 * Loading and opening the engine takes tens of milliseconds, forking a process that has done so a
 * quarter of one. So the pool keeps one executor that never gets a job and is asked to fork instead
 * ("zygote"): {event: "fork"} with a channel's end; the child becomes the agent's own child
 * (PR_SET_CHILD_SUBREAPER), goes into a cage of its own, and says "ready" on that channel. */
#ifndef EXECUTOR_H
#define EXECUTOR_H

enum { EXECUTOR_SOCKET = 3 };

/* Never returns. */
__attribute__((noreturn)) void executor_main(void);

#endif
