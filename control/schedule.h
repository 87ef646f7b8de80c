/* schedule.h - runs a part's schedules and backfills while it leads: one thread, which sleeps until
 * the next of them is due, a resource or a dataset changes, or an interval ends. What it decides on
 * is in the catalog and in the ledgers; so after a restart, or under another leader, it goes on
 * where it was. */
#ifndef SCHEDULE_H
#define SCHEDULE_H

#include "control/control.h"

struct schedules;
MUST_USE int schedules_new(struct part *part, struct schedules **ret_schedules, struct err *err);
void schedules_free(struct schedules *schedules);      /* accepts NULL; stops it first */
void schedules_stop(struct schedules *schedules);
DEFINE_AUTO(schedules)

/* Any thread; they only note it. A NULL schedules: nothing. */
void schedules_wake(struct schedules *schedules);      /* the lead changed, an interval ended */
void schedules_reread(struct schedules *schedules);    /* a tenant may start things again */
/* A key of the catalog: of a Schedule, a Backfill, or a dataset's head; others are ignored. */
void schedules_changed(struct schedules *schedules, const char *key);

/* Why the last try to run an interval of a Schedule or Backfill failed, {code, text, retryAt};
 * NULL: it did not. key: of the catalog. */
struct value *schedules_trouble(struct schedules *schedules, struct arena *arena,
                                const char *key);

#endif
