/* supervisor.h - child processes that are kept running: started in order, started again when they
 * die, ended in reverse. They die with this process, however it dies. One thread; signals are
 * blocked by supervisor_new and taken in supervisor_run. */
#ifndef SUPERVISOR_H
#define SUPERVISOR_H

#include "common/err.h"

#include <sys/types.h>

enum { CHILDREN_MAX = 8, CHILD_ARGS_MAX = 48 };

struct child {
	const char *name;
	const char *const *argv; /* NULL-terminated; argv[0] is the program's path or name */
	const char *log_file;    /* standard output and error are appended there */
	int stop_ms;             /* how long SIGTERM may take before SIGKILL */
};

struct supervisor;
MUST_USE int supervisor_new(struct supervisor **ret_supervisor, struct err *err);
void supervisor_free(struct supervisor *supervisor); /* ends the children, last one first */
DEFINE_AUTO(supervisor)

/* Starts a child; argv and names are borrowed for the supervisor's life. */
MUST_USE int supervisor_start(struct supervisor *supervisor, const struct child *child,
                              struct err *err);
/* Calls ready until it returns 0 or the time is over, or the child has died. */
typedef int supervisor_ready_fn(void *context, struct err *err);
MUST_USE int supervisor_await(struct supervisor *supervisor, const char *name,
                              supervisor_ready_fn *ready, void *context, int timeout_ms,
                              struct err *err);
/* Keeps the children running until SIGINT or SIGTERM. E_UNAVAILABLE: one cannot be kept running. */
MUST_USE int supervisor_run(struct supervisor *supervisor, struct err *err);

#endif
