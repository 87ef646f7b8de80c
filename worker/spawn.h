/* spawn.h - one executor's process: started, watched, ended. Used by pool.c only. */
#ifndef SPAWN_H
#define SPAWN_H

#include "api/usage.h"
#include "common/err.h"

#include <sys/types.h>

struct child {
	pid_t pid;
	int pidfd;
	int socket;
};

/* Starts `program executor` in a process group of its own, with no environment of ours. */
MUST_USE int child_start(const char *program, struct child *ret_child, struct err *err);
/* Waits for its first message, "ready". */
MUST_USE int child_ready(struct child *child, struct err *err);
bool child_alive(const struct child *child);
/* What it takes now; negative when it has ended. */
int64_t child_cpu_ms(const struct child *child);
int64_t child_memory_bytes(const struct child *child); /* resident, without pages of files */
void child_limit_cpu(const struct child *child, int64_t cpu_ms);
void child_kill(const struct child *child);
/* Kills, waits and closes; usage (may be NULL) gets cpu and memory of its whole life; ret_status
 * (may be NULL) as from wait. */
void child_end(struct child *child, struct usage *usage, int *ret_status);

#endif
