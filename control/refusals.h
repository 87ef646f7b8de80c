/* refusals.h - refusals that anybody may cause as often as it likes: credentials that are nobody's,
 * and requests over a quota. The first of a kind is an event at once; those like it within a minute
 * are counted, and the count is one event. Of all kinds together only so many events are written a
 * second, so that nobody fills a log or the journal with them; what is over is in the counts. */
#ifndef REFUSALS_H
#define REFUSALS_H

#include "control/audit.h"
#include "control/control.h"

enum { REFUSALS_WINDOW_MS = 60000, REFUSALS_KINDS_MAX = 256, REFUSALS_PER_SECOND = 10 };

struct refusals;
MUST_USE int refusals_new(struct refusals **ret_refusals, struct err *err);
void refusals_free(struct refusals *refusals);
DEFINE_AUTO(refusals)

/* Alike are events of one log, actor, address, action and code. The event is written now
 * (control/late.h), or counted. */
MUST_USE int refusals_post(struct control *control, const struct audit_event *event,
                           struct err *err);
/* A credential that identity_check refused; its id is told only if such a key was given out. */
void refusals_sign_in(struct control *control, const char *credential, const char *address,
                      const char *path, int64_t now_ms);
/* Writes the counts whose minute is over: now and then, from a thread that may block. */
void refusals_flush(struct control *control);

#endif
