/* auditstore.h - a tenant's audit events beyond memory: the dataset freehold.audit, sealed
 * Parquet, which SQL reads like any other. Audit tasks put them there (control/shard_auditstore.h),
 * workers read pages of it (control/question.h). With a bound on their age, older ones are left out
 * when the files are joined; the log's hashes and signed checkpoints stay. */
#ifndef AUDITSTORE_H
#define AUDITSTORE_H

#include "control/home.h"
#include "control/shard_auditstore.h"

/* Submits what is due. */
MUST_USE int auditstore_look(struct part *part, const struct store_rules *rules,
                             size_t *ret_submitted, struct err *err);

/* For planning: the rows of the events that an audit task names, whether its files are to be
 * joined, and what is then left out (RFC 3339; NULL: nothing). E_CONFLICT: they are not in memory
 * any more. */
struct audit_rows { const char *rows, *since; bool joins; };
MUST_USE int auditstore_rows(struct control *control, struct arena *arena, const struct work *work,
                             struct audit_rows *ret_rows, struct err *err);
bool auditstore_joins(struct control *control, struct arena *arena, const char *tenant);

/* Events as they are kept, the newest first: those with filters' members (api/tasks.def, EVENTS)
 * and limit of them at most (1 to 1000); fewer where they are large. more: there are others behind
 * the last one. Empty where nothing is stored yet. Blocks. E_UNAVAILABLE: no worker answered. */
MUST_USE int auditstore_page(struct part *part, struct arena *arena, const char *tenant,
                             const struct value *filters, size_t limit, struct value **ret_events,
                             bool *ret_more, struct err *err);
/* Those that a query finds, in memory first and then in the dataset: one page of them. ret_before
 * (control/shard.h) says where the next one goes on. */
MUST_USE int auditstore_search(struct part *part, struct arena *arena,
                               const struct audit_query *query, struct value **ret_list,
                               bool *ret_more, struct err *err);
/* The events numbered from to to (512 of them at most), in order. E_NOT_FOUND: some are not kept
 * any more. */
enum { AUDITSTORE_RANGE_MAX = 512 };
MUST_USE int auditstore_range(struct part *part, struct arena *arena, const char *tenant,
                              int64_t from, int64_t to, struct value **ret_events,
                              struct err *err);

/* Where the log (control/auditlog.h) finds the lines of events that have left memory. */
struct audit_older;
MUST_USE int auditstore_older_new(struct control *control, struct audit_older **ret_older,
                                  struct err *err);
void auditstore_older_free(struct audit_older *older);

#endif
