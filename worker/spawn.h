/* spawn.h - one executor's process: started, watched, ended. Used by pool.c only. */
#ifndef SPAWN_H
#define SPAWN_H

#include "api/tasks.h"
#include "api/usage.h"
#include "common/err.h"
#include "worker/cage_report.h"

#include <sys/types.h>

struct child {
	pid_t pid;
	int pidfd;
	int socket;
	int errors; /* what it prints until it is ready; -1: nowhere */
	struct cage_report cage; /* an executor's, once it is ready */
};

/* Once a process, before child_fork: what a child's child leaves behind becomes ours. */
MUST_USE int child_adopt(struct err *err);

/* Starts `program role` (executor.h) in a process group of its own, with no environment of ours. */
MUST_USE int child_start(const char *program, const char *role, struct child *ret_child,
                         struct err *err);
/* Waits for its first message, "ready"; what it said instead is in the error. */
MUST_USE int child_ready(struct child *child, struct err *err);
/* The same out of one that is ready and has no job (executor.h), ready at once. One caller at a
 * time. */
MUST_USE int child_fork(const struct child *zygote, struct child *ret_child, struct err *err);
bool child_alive(const struct child *child);
/* What it takes now; negative when it has ended. */
int64_t child_cpu_ms(const struct child *child);
int64_t child_memory_bytes(const struct child *child); /* resident, without pages of files */
/* Both of its life so far, for one that has answered and has nothing left to do. */
void child_usage(const struct child *child, struct usage *usage);
/* The kernel's limits of a job. */
void child_limit(const struct child *child, const struct limits *limits);
void child_kill(const struct child *child);
/* Kills, waits and closes; usage (may be NULL) gets cpu and memory of its whole life; ret_status
 * (may be NULL) as from wait. */
void child_end(struct child *child, struct usage *usage, int *ret_status);

#endif
