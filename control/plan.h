/* plan.h - from a task to the grant of one attempt: its spec's references resolved to what the
 * catalog says now, its inputs' current snapshots, its datasets' keys. */
#ifndef PLAN_H
#define PLAN_H

#include "control/control.h"
#include "control/shard_work.h"

/* ret_grant and all in it lie in the arena, keys opened: grant_wipe it when it is signed. work
 * must be running under its token. E_NOT_FOUND, E_INPUT: it cannot run as things are, and the
 * sentence is the user's. */
MUST_USE int plan_grant(struct control *control, struct arena *arena, const struct work *work,
                        const char *worker, struct grant **ret_grant, struct err *err);

/* The same, and which of its inputs another tenant shares: an event of both logs each. */
struct shared_read;
struct plan_reads {
	const struct shared_read *items;     /* in the arena */
	size_t count;
};
MUST_USE int plan_grant_reads(struct control *control, struct arena *arena,
                              const struct work *work, const char *worker,
                              struct grant **ret_grant, struct plan_reads *ret_reads,
                              struct err *err);

/* The dataset a task writes, as things are now. */
struct plan_output {
	const char *domain, *name, *uid;     /* uid NULL: the task writes no dataset */
	const char *key;             /* of its resource, */
	int64_t revision;            /* and that one's revision */
	bool replace;
};
MUST_USE int plan_output(struct control *control, struct arena *arena, const struct work *work,
                         struct plan_output *ret_output, struct err *err);

#endif
