/* erasure_impl.h - one look at one erasure. Private to control/erasure*.c. */
#ifndef ERASURE_IMPL_H
#define ERASURE_IMPL_H

#include "common/text.h"
#include "control/erasure.h"

/* What the driver remembers of an erasure from look to look; lost with it. */
struct erasure_note {
	char uid[ID_LEN + 1];
	uint64_t checkpoints;        /* to be waited for; 0: not begun */
	int64_t online_mono_ms;      /* since when this driver waits for workers; 0: not yet */
	int64_t retry_mono_ms;       /* no new task before that */
};

struct erasing {
	struct part *part;
	struct control *control;
	const struct erasure_conf *conf;
	struct erasure_note *note;
	struct arena *arena;
	struct value *record;
	int64_t revision;            /* of the record */
	const char *tenant, *uid;
	int64_t now_ms;
};

/* 1: it is at its next step; 0: it waits for something; else a failure, and it is tried again. */
typedef int erasure_step_fn(struct erasing *erasing, struct err *err);
erasure_step_fn erasure_wait, erasure_stop, erasure_keys, erasure_resources, erasure_objects,
	erasure_online, erasure_forget, erasure_settle;

/* Commits the change with the record as it is now; the change is used up. */
MUST_USE int erasure_save(struct erasing *erasing, struct change *change, struct err *err);
/* The same with the step done: counts (a map of the arena; NULL: none) says how much. */
MUST_USE int erasure_advance(struct erasing *erasing, struct change *change, const char *next,
                             struct value *counts, struct err *err);
/* Deletes what is in the catalog of the tenant; ret_count: how many keys there were. */
MUST_USE int erasure_sweep(struct erasing *erasing, size_t *ret_count, struct err *err);
/* {count, root, listed} of all its wrapped keys. */
MUST_USE int erasure_fingerprints(struct erasing *erasing, struct value **ret_keys,
                                  struct err *err);
/* The signed certificate of a record whose steps are all done. */
MUST_USE int erasure_certificate(struct erasing *erasing, struct buf *out, struct err *err);

#endif
