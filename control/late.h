/* late.h - audit events that this replica may not put into their journal itself: another replica
 * leads the shard of the log they go to, or none does at the moment. Each is written to the store
 * under r/late/TENANT/ID, sealed, before what it tells of is acknowledged; whoever leads the shard
 * next moves it into the journal, in one transaction with the key's end: no event is lost, and none
 * is there twice. It keeps its own time, and gets its number when it is moved. */
#ifndef LATE_H
#define LATE_H

#include "control/audit.h"
#include "control/control.h"

enum { LATE_PER_SECOND = 200 /* of one replica */ };

/* An event of its own: durable when this returns 0, through the journal where its shard is led
 * here. E_UNAVAILABLE: it is not, and neither may happen what it tells of. */
MUST_USE int late_post(struct control *control, const struct audit_event *event, struct err *err);
/* Moves what waits for logs of this part, which is led here, into its journal. What is
 * left, and what failed, is for the next call. */
void late_collect(struct part *part);
/* Whether there is a log of that tenant: one that is gone, or is being erased this moment, gets
 * no events any more. */
bool late_keeps(struct control *control, struct arena *arena, const char *tenant);
/* A key of the catalog has changed: "r/late/..." makes the leader look. */
void late_changed(struct control *control, const char *key, const struct value *value);

#endif
