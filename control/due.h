/* due.h - which interval is to run next: what a timetable asks for, less what its ledger has. Pure.
 *
 * Intervals are cut at the timetable's boundaries, and never overlap one that has run: after an
 * edit the first new one begins where the last old one ended. */
#ifndef DUE_H
#define DUE_H

#include "control/interval.h"
#include "control/timetable.h"

/* Of catchUp none: what is later than this is not run by itself any more. */
enum { DUE_LATE_MS = 60000 };

/* What a schedule asks for now, by its catch-up policy: whole intervals of [from, until). all: from
 * its start; latest: the newest; none: the newest, if it has just become due. False: nothing. A
 * paused one asks for nothing. */
bool due_window(const struct timetable *timetable, int64_t now_ms, int64_t *ret_from_ms,
                int64_t *ret_until_ms);
/* The first interval of [from, until) of which nothing is in items. False: there is none. */
bool due_piece(const struct timetable *timetable, const struct stretch *items, size_t len,
               int64_t from_ms, int64_t until_ms, int64_t *ret_from_ms, int64_t *ret_to_ms);
/* How many there are; not more than `most` are counted. */
int64_t due_count(const struct timetable *timetable, const struct stretch *items, size_t len,
                  int64_t from_ms, int64_t until_ms, int64_t most);
/* What a backfill does not run: what runs, what it has fired itself, and what it is not to redo.
 * Release it. */
MUST_USE int due_taken(const struct view *schedule, const struct view *own, enum redo redo,
                       struct stretches *ret_taken, struct err *err);

#endif
