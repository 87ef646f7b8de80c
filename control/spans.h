/* spans.h - which keys of a journal are in the store, without a list of them: of each epoch the
 * first and the last number. So few that they are kept for years: an epoch is a leader. */
#ifndef SPANS_H
#define SPANS_H

#include "control/position.h"

struct span { int64_t epoch; uint64_t first, last; };
struct spans { struct span *at; size_t count, cap; };    /* in order; zeroed: empty */

void spans_release(struct spans *spans);
/* The next key; it sorts after all that are there. */
MUST_USE int spans_add(struct spans *spans, const struct position *position, struct err *err);
/* Forgets all up to and with a position. */
void spans_trim(struct spans *spans, const struct position *upto);
/* Those up to and with a position, as a copy. */
MUST_USE int spans_copy(const struct spans *spans, const struct position *upto,
                        struct spans *ret_spans, struct err *err);

#endif
