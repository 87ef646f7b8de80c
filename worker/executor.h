/* executor.h - the process that runs one task's SQL: `freehold-worker executor`, started by pool.h
 * with its channel as descriptor 3. It opens the engine, says so, takes one job, does it, and ends.
 * It holds no key but those of the files it was given, and can write nothing but its pipes. */
#ifndef EXECUTOR_H
#define EXECUTOR_H

enum { EXECUTOR_SOCKET = 3 };

/* Never returns. */
__attribute__((noreturn)) void executor_main(void);

#endif
