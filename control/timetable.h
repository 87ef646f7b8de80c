/* timetable.h - when a schedule is due: its spec, read. Its boundaries are the instants at which
 * its cron expression fires, or every so often from its start; an interval lies between two of them
 * that follow each other, and is due at its end. Pure. */
#ifndef TIMETABLE_H
#define TIMETABLE_H

#include "common/cron.h"
#include "common/value.h"

enum pace { PACE_CRON, PACE_EVERY, PACE_DATASETS };
enum catch_up { CATCH_UP_ALL, CATCH_UP_LATEST, CATCH_UP_NONE };

enum { EVERY_LEAST_MS = 1000, ACTIVE_MOST = 1000 };

struct timetable {
	enum pace pace;
	struct cron cron;
	struct zone *zone;           /* with PACE_CRON */
	int64_t every_ms;            /* with PACE_EVERY */
	bool all;                    /* with PACE_DATASETS: of all of them, not of any */
	int64_t start_ms, end_ms;    /* unix; INT64_MAX: it does not end */
	enum catch_up catch_up;
	int active_max;
	bool paused;
};

/* spec: of a Schedule, its fields checked; created_ms: where it begins if it does not say.
 * E_INVALID names the member, in a cron expression also the character. */
MUST_USE int timetable_read(const struct value *spec, int64_t created_ms,
                            struct timetable *ret_timetable, struct err *err);
void timetable_release(struct timetable *timetable);

/* The first boundary after an instant, the last one at or before it; INT64_MAX and INT64_MIN where
 * there is none (on datasets: always). Also before start and after end. */
int64_t timetable_next(const struct timetable *timetable, int64_t after_ms);
int64_t timetable_last(const struct timetable *timetable, int64_t until_ms);
/* The boundaries that [from, to) holds whole intervals between. False: there is none. */
bool timetable_whole(const struct timetable *timetable, int64_t from_ms, int64_t to_ms,
                     int64_t *ret_from_ms, int64_t *ret_to_ms);

#endif
