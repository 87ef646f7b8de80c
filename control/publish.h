/* publish.h - a succeeded attempt's output becomes its dataset's current snapshot, by
 * compare-and-swap. */
#ifndef PUBLISH_H
#define PUBLISH_H

#include "control/control.h"
#include "control/shard_work.h"

struct published {
	struct value *outputs;       /* list of {dataset, snapshot, rows, rejectedRows} */
	int64_t stored_delta;        /* sealed bytes the tenant holds more (or less) by it */
};
/* Adds to change the new head with its compares; adds nothing on failure. E_CONFLICT: the
 * dataset moved on, or is another now: a new attempt sees it. E_INPUT: another schema.
 * E_INVALID: the report is not what its grant allows. */
MUST_USE int publish(struct control *control, struct arena *arena, struct change *change,
                     const struct work *work, const struct report *report,
                     struct published *ret_published, struct err *err);

#endif
