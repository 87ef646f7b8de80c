/* home.h - the platform's own place in a tenant: the domain PLATFORM_DOMAIN with the datasets
 * "tasks", the history of its tasks, and "audit", its audit events. Made when first needed; clients
 * read them and cannot change them; they go with the tenant. */
#ifndef HOME_H
#define HOME_H

#include "control/control.h"
#include "control/shard_archive.h"
#include "control/snapshots.h"

#define HOME_TASKS "tasks"
#define HOME_AUDIT "audit"

struct home_column { const char *name, *type, *path, *doc; };
extern const struct home_column home_columns[];  /* of tasks; ends with a row of NULLs */
const struct home_column *home_columns_of(const char *name);     /* NULL: it has no such dataset */

struct home_dataset {
	const char *name, *description;
	const struct home_column *columns;
};
/* "freehold.NAME" of a tenant. */
struct dataset_at home_dataset(const char *tenant, const char *name);
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
/* Its rows are for whoever may audit:read, and for nobody else. */
bool home_is_audit(const char *domain, const char *name);
/* The current snapshot's time and files; false: there is no history yet. */
bool home_history(struct control *control, struct arena *arena, const char *tenant,
                  struct snapshot **ret_snapshot);
bool home_current(struct control *control, struct arena *arena, const char *tenant,
                  const char *name, struct snapshot **ret_snapshot);

/* Adds to rows that of a thing: a list of its columns' cells. */
MUST_USE int home_row(struct arena *arena, const struct home_column *columns,
                      const struct value *thing, struct value *rows, struct err *err);
/* As a grant's work has them: JSON, in arena. E_TOO_LARGE. */
MUST_USE int home_rows_print(struct arena *arena, const struct value *rows, const char **ret_rows,
                             struct err *err);

#endif
