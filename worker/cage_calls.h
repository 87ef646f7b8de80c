/* cage_calls.h - the system calls that an executor may make, as a filter of its kernel
 * (seccomp(2)). Three answers: what DuckDB and libc need is done; what is dangerous ends the
 * process at once (SIGSYS); anything else fails with EPERM. Nothing that takes a path is done. */
#ifndef CAGE_CALLS_H
#define CAGE_CALLS_H

#include "common/err.h"

struct cage_calls;

/* socket: the only descriptor that messages are sent to and received from. */
MUST_USE int cage_calls_new(int socket, struct cage_calls **ret_calls, struct err *err);
void cage_calls_free(struct cage_calls *calls);
DEFINE_AUTO(cage_calls)
/* For good, and for all that this thread starts; the process must have no new privileges. */
MUST_USE int cage_calls_enter(const struct cage_calls *calls, struct err *err);

#endif
