/* backfill.h - a Backfill, and how far it is: which intervals of its range it has still to run. It
 * keeps the definition it began with: what its schedule's intervals and task are cannot be changed
 * while it is unfinished (control/rules_schedule.h). Reads the ledger, changes nothing. */
#ifndef BACKFILL_H
#define BACKFILL_H

#include "control/control.h"
#include "control/shard_interval.h"
#include "control/timetable.h"

enum { BACKFILL_INTERVALS_MAX = 100000, PARALLELISM_DEFAULT = 1, PARALLELISM_MOST = 1000 };

struct backfill {
	const char *tenant, *domain, *name, *uid;        /* borrowed from the resource */
	const char *schedule;        /* name; of the same domain */
	const char *priority;
	int64_t from_ms, to_ms;
	int parallelism;
	enum redo redo;
	bool paused;
};
/* resource: as the catalog has it. E_INVALID names the member. */
MUST_USE int backfill_read(const struct value *resource, struct backfill *ret_backfill,
                           struct err *err);

struct backfill_state {
	int64_t from_ms, to_ms;      /* what of its range is whole intervals */
	struct stretches taken;      /* what it does not run now; backfill_state_release */
	struct view own;             /* what it has fired */
	int64_t done, failed, running;       /* of that */
	bool waits;                  /* for what others run, to run it again */
};
/* False in ret_any: its range holds no whole interval. */
MUST_USE int backfill_look(struct shard *shard, struct arena *arena,
                           const struct backfill *backfill, const char *schedule_uid,
                           const struct timetable *timetable, struct backfill_state *ret_state,
                           struct err *err);
void backfill_state_release(struct backfill_state *state);
/* Its next interval; false: there is none to be fired now. */
bool backfill_next(const struct backfill_state *state, const struct timetable *timetable,
                   int64_t *ret_from_ms, int64_t *ret_to_ms);
bool backfill_finished(const struct backfill_state *state, const struct timetable *timetable);
/* {backfill, schedule, state, intervals, done, failed, running, left, perHour?, estimateSeconds?,
 * startedAt?, endedAt?} */
struct value *backfill_progress(struct arena *arena, const struct backfill *backfill,
                                const struct backfill_state *state,
                                const struct timetable *timetable, int64_t now_ms);

#endif
