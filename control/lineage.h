/* lineage.h - what a dataset's data is made of: kept with the snapshot by the same commit, in
 * r/lineage/TENANT/DOMAIN/DATASET, a map
 *
 *	{uid, snapshot, task, at, by: "DOMAIN.TRANSFORMATION", sql: hex of its SHA-256,
 *	 inputs: [{tenant, domain, name, uid, snapshot, alias?, reads, known}], exact,
 *	 columns?: {NAME: [[input, "column" ...] ...]}, influence?: [[input, "column" ...] ...]}
 *
 * as worker/sql_lineage.h says: [input] alone is all of it; not exact: every column is made of
 * everything. uid: of the dataset. alias: what another tenant's is called here. known: its tags
 * when it was read (control/tagging.h), for when it cannot be seen any more. A dataset that was
 * loaded from outside has none. */
#ifndef LINEAGE_H
#define LINEAGE_H

#include "api/poll.h"
#include "control/control.h"
#include "control/plan.h"
#include "control/snapshots.h"

struct change;

const char *lineage_key(char out[STORE_KEY_MAX], const struct dataset_at *at);

/* Adds to change what a succeeded attempt's output is made of; an ingest that replaces everything
 * takes away what was kept. E_CONFLICT: what it read is another thing now; a new attempt sees it.
 */
MUST_USE int lineage_publish(struct control *control, struct arena *arena, struct change *change,
                             const struct work *work, const struct plan_output *planned,
                             const struct output *output, const struct snapshot *next,
                             struct err *err);

/* Of the dataset with that uid; NULL: it has none. */
MUST_USE int lineage_get(struct control *control, struct arena *arena, const struct dataset_at *at,
                         const char *uid, const struct value **ret_lineage, struct err *err);
/* Whether an input is read at all, where that was said. */
bool lineage_reads(const struct value *input);
/* The domain in which another tenant's input has its alias. */
const char *lineage_domain(struct arena *arena, const struct value *lineage);
/* Deletes what is kept, with the dataset. */
MUST_USE int lineage_delete(struct control *control, struct change *change,
                            const struct dataset_at *at, struct err *err);

#endif
