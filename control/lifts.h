/* lifts.h - decisions that a derived dataset, or a column of it, does not carry a tag that it
 * inherits: in r/lift/TENANT/DOMAIN/DATASET, {lifts: [{tag, column?, by, at, reason, state,
 * origins: [text ...]}]}, newest last.
 *
 * A lift is for the data as it was when it was given: it holds as long as the dataset's lineage is
 * what it was (`state`: the SQL and the inputs of the dataset and of all that it is made of), and
 * for a tag that comes from where it came from then. Otherwise it has lapsed, and stays to be seen
 * until it is given anew or taken back. */
#ifndef LIFTS_H
#define LIFTS_H

#include "control/control.h"
#include "control/snapshots.h"

struct change;

enum { LIFTS_MAX = 256, LIFT_REASON_MAX = 1024 };

const char *lifts_key(char out[STORE_KEY_MAX], const struct dataset_at *at);
/* A list, NULL: none. */
MUST_USE int lifts_get(struct control *control, struct arena *arena, const struct dataset_at *at,
                       const struct value **ret_lifts, int64_t *ret_revision, struct err *err);
/* The one for that tag of the column (NULL: of the whole dataset); NULL: there is none. */
const struct value *lifts_find(const struct value *lifts, const char *column, const char *tag);
/* Whether it holds where the lineage is in that state, and the tag comes from there. */
bool lifts_holds(const struct value *lift, const char *state, const struct value *origins);

/* In place of one for the same. lift NULL: takes that one away. E_QUOTA beyond LIFTS_MAX. */
MUST_USE int lifts_put(struct control *control, struct change *change, const struct dataset_at *at,
                       const char *column, const char *tag, const struct value *lift,
                       struct err *err);
/* With the dataset. */
MUST_USE int lifts_delete(struct control *control, struct change *change,
                          const struct dataset_at *at, struct err *err);

#endif
