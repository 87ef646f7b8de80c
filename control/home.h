/* home.h - the platform's own place in a tenant: the domain PLATFORM_DOMAIN with the dataset
 * "tasks", the history of its tasks. Made when first needed; clients read it and cannot change it;
 * it goes with the tenant. */
#ifndef HOME_H
#define HOME_H

#include "control/control.h"
#include "control/shard_archive.h"
#include "control/snapshots.h"

#define HOME_TASKS "tasks"

struct home_column { const char *name, *type, *path, *doc; };
extern const struct home_column home_columns[];  /* ends with a row of NULLs */

/* "freehold.tasks" of a tenant. */
struct dataset_at home_tasks(const char *tenant);
/* Adds to change what is missing of it; the change then holds only while the tenant is as it is
 * now. E_NOT_FOUND: there is no such tenant. */
MUST_USE int home_make(struct control *control, struct arena *arena, const char *tenant,
                       struct change *change, struct err *err);
/* Adds its end to the change that deletes the tenant. */
MUST_USE int home_delete(struct control *control, const char *tenant, struct change *change,
                         struct err *err);
/* Whether the tenant has domains of its own. */
bool home_has_others(struct control *control, const char *tenant);
bool home_is(const char *domain);
/* The current snapshot's time and files; false: there is no history yet. */
bool home_history(struct control *control, struct arena *arena, const char *tenant,
                  struct snapshot **ret_snapshot);

#endif
