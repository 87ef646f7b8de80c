/* rules_schedule.h - what a Schedule and a Backfill must agree with besides their fields. */
#ifndef RULES_SCHEDULE_H
#define RULES_SCHEDULE_H

#include "control/admit.h"

/* As rules_put, for these two kinds. E_CONFLICT: what an unfinished backfill rests on is to change;
 * or what a backfill is about. */
MUST_USE int rules_schedule(struct control *control, struct request *request,
                            const struct manifest *manifest, const struct value *before,
                            struct err *err);
MUST_USE int rules_backfill(struct control *control, struct request *request,
                            const struct manifest *manifest, const struct value *before,
                            struct err *err);

#endif
