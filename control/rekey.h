/* rekey.h - what follows when a key gets a new version, until nothing refers to the old one.
 * Per tenant, of which r/rotation/TENANT says {task?, retryAt?, all?}: it is there while something
 * is left to do, and whoever makes a new version puts it in the same change.
 *   a tenant's key: every box in the catalog is wrapped anew under it, page by page.
 *   a dataset's: `since` is noted, the newest attempt that may know the old version alone; when all
 *     attempts up to it have ended, a rekey task (worker/t_rekey.c) gives every object under the
 *     old version a new header; when it has succeeded, the old version goes.
 *   a feature view's: what is online is not rewritten; readers use the old version until the view
 *     was materialized under the new one.
 * Each step rests on what is stored, may run twice, and is gone on with by any leader. */
#ifndef REKEY_H
#define REKEY_H

#include "control/control.h"

enum { REKEY_RETRY_MS = 30000 };

/* Does what can be done now for every tenant of the part that has something left to do. */
MUST_USE int rekey_look(struct part *part, struct err *err);
/* Says in change that the tenant has. all_ms: each of its datasets and views is to get a new key,
 * unless it has one from after that time; 0: no. */
MUST_USE int rekey_mark(struct control *control, struct arena *arena, struct change *change,
                        const char *tenant, int64_t all_ms, struct err *err);
const char *rekey_key(char out[STORE_KEY_MAX], const char *tenant);    /* "r/rotation/TENANT" */
/* The id of the task under way; NULL: none is. */
const char *rekey_task(struct control *control, struct arena *arena, const char *tenant);

/* The next of the names in a rekey task's spec, "DOMAIN.NAME@VERSION ..."; false: no more. */
struct rekey_name { char text[160]; uint32_t version; };
bool rekey_next(const char **at, struct rekey_name *ret_name);

#endif
