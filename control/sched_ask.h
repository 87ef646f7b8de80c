/* sched_ask.h - two questions to the scheduler from who admits tasks (control/sched.h). */
#ifndef SCHED_ASK_H
#define SCHED_ASK_H

#include "control/sched.h"

/* In how many seconds so many tasks start at the present rate, for whoever is to ask again: 1 to
 * 30; where nothing starts, 10. */
int64_t sched_soon_s(const struct sched *sched, size_t starts, int64_t now_ms);
/* Whether the pool has workers and none of them could ever hold it: by how much; else NULL. Looks
 * no further than the first that could. */
const char *sched_never(struct sched *sched, const struct sched_spec *spec, struct arena *arena);

#endif
