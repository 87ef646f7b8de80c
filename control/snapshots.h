/* snapshots.h - a dataset's current snapshot, in r/head/TENANT/DOMAIN/DATASET: a map {snapshot:
 * bytes of snapshot_encode, history: list of snapshot_summary, newest first, at most
 * SNAPSHOTS_KEPT, retired: list of {id, until, folders}, newest first: snapshots that were
 * replaced, when, and the last parts of the folders that their files lie in, "EPOCH-COUNTER ...".
 * Their files stay: of the last SNAPSHOTS_READABLE, and of whatever was current RETIRED_MS ago. */
#ifndef SNAPSHOTS_H
#define SNAPSHOTS_H

#include "api/grant.h"
#include "api/table.h"
#include "control/catalog.h"
#include "control/journal.h"

enum { SNAPSHOTS_KEPT = 100, SNAPSHOTS_READABLE = 10, RETIRED_MAX = 128 };
#define RETIRED_MS INT64_C(3600000)

struct dataset_at { const char *tenant, *domain, *name; };

const char *snapshots_key(char out[STORE_KEY_MAX], const struct dataset_at *at);
/* ret_snapshot NULL and ret_revision 0: there is no data yet. ret_history may be NULL. */
MUST_USE int snapshots_current(struct catalog *catalog, struct arena *arena,
                               const struct dataset_at *at, struct snapshot **ret_snapshot,
                               const struct value **ret_history, int64_t *ret_revision,
                               struct err *err);
/* Makes next the current one, if the head's revision is still that. */
MUST_USE int snapshots_put(struct catalog *catalog, struct change *change,
                           const struct dataset_at *at, const struct snapshot *next,
                           int64_t revision, struct err *err);

/* The token of the attempt in whose folder "TENANT/DOMAIN/EPOCH-COUNTER/FILE" lies; false: it is no
 * such path. */
bool snapshots_token(const char *path, struct token *ret_token);
/* The folders of every file that a head's value keeps: each may come several times. */
typedef int snapshots_token_fn(void *context, const struct token *token, struct err *err);
MUST_USE int snapshots_kept(struct arena *arena, const struct value *head,
                            snapshots_token_fn *visit, void *context, struct err *err);

#endif
