/* intents.h - writes under way, so that no reference dangles: who deletes says what it deletes, who
 * writes says what it rests on, each BEFORE it looks whether the other is there. Of a delete and a
 * write that meet, at least one sees the other and gives way. In memory: all writes go through the
 * leader. Any thread. */
#ifndef INTENTS_H
#define INTENTS_H

#include "common/err.h"

struct intents;
struct intent;                   /* what one request does; from begin to end */

MUST_USE int intents_new(struct intents **ret_intents, struct err *err);
void intents_free(struct intents *intents);
DEFINE_AUTO(intents)

/* keys: of the catalog, copied. deletes: they are to be gone; else they must stay. E_CONFLICT when
 * an intent of the other sort names one of them. */
MUST_USE int intents_begin(struct intents *intents, bool deletes, const char *const *keys,
                           size_t count, struct intent **ret_intent, struct err *err);
/* Accepts a NULL intent. */
void intents_end(struct intents *intents, struct intent *intent);

#endif
