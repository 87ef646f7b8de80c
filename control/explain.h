/* explain.h - what the scheduler says of a task (control/sched.h: sched_explain), in one sentence,
 * and as a refusal where it can never run. Pure: any thread. */
#ifndef EXPLAIN_H
#define EXPLAIN_H

#include "common/value.h"

/* "it waits: ..., and 3 tasks are before it; about 40 s". asked: nothing was submitted yet. In
 * arena. */
const char *explain_summary(struct arena *arena, const struct value *explained, bool asked);
/* What would become of a task if it were submitted now; with its summary. */
struct value *explain_asked(struct arena *arena, struct value *explained);
/* Why it can never start; NULL: it can, or that is not known. */
const char *explain_never(const struct value *explained);
/* One table of what the leaders of several shards said of their pools (sched_pools): what waits and
 * is used adds up; workers are the same ones everywhere. */
struct value *explain_pools(struct arena *arena, const struct value *const *parts, size_t count);

#endif
