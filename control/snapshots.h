/* snapshots.h - a dataset's current snapshot, in r/head/TENANT/DOMAIN/DATASET: a map {snapshot:
 * bytes of snapshot_encode, history: list of snapshot_summary, newest first, at most
 * SNAPSHOTS_KEPT}. */
#ifndef SNAPSHOTS_H
#define SNAPSHOTS_H

#include "api/table.h"
#include "control/catalog.h"
#include "control/journal.h"

enum { SNAPSHOTS_KEPT = 100 };

struct dataset_at { const char *tenant, *domain, *name; };

const char *snapshots_key(char out[STORE_KEY_MAX], const struct dataset_at *at);
/* ret_snapshot NULL and ret_revision 0: there is no data yet. ret_history may be NULL. */
MUST_USE int snapshots_current(struct catalog *catalog, struct arena *arena,
                               const struct dataset_at *at, struct snapshot **ret_snapshot,
                               const struct value **ret_history, int64_t *ret_revision,
                               struct err *err);
/* Makes next the current one, if the head's revision is still that. */
MUST_USE int snapshots_put(struct change *change, const struct dataset_at *at,
                           const struct snapshot *next, const struct value *history,
                           int64_t revision, struct err *err);

#endif
