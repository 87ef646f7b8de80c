/* sweep.h - which objects of a tenant stay: what a sweep task's grant says, and when one is due. A
 * sweep deletes folders of attempts (worker/t_sweep.c) that no head of the catalog keeps
 * (control/snapshots.h) and that no attempt can come to publish. Stored bytes are charged and
 * credited when a snapshot replaces another, not here: the books hold what is current. */
#ifndef SWEEP_H
#define SWEEP_H

#include "control/control.h"
#include "control/shard_archive.h"

enum { SWEEP_GRACE_MS = 3600000, SWEEP_FOLDERS_MAX = 80000 };

/* Adds kept, from, below and graceMs to a grant's work. */
MUST_USE int sweep_plan(struct control *control, struct arena *arena, const struct work *work,
                        struct value *done, struct err *err);
/* Submits a sweep of each tenant of the part whose turn, once in every_ms, came in (from_ms,
 * to_ms]. */
MUST_USE int sweep_look(struct part *part, int64_t every_ms, int64_t from_ms, int64_t to_ms,
                        struct err *err);
/* The spec of a sweep task. NULL: the arena is full. */
struct value *sweep_spec(struct arena *arena);

#endif
