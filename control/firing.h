/* firing.h - one interval of a schedule on its way to be run: the ledger's record and the accepted
 * records of its task or run, in one change, which holds only if the schedule is still the one that
 * was decided on. */
#ifndef FIRING_H
#define FIRING_H

#include "control/shard_interval.h"
#include "control/submit.h"

/* A Schedule as the catalog has it. All borrowed. */
struct fired_schedule {
	const char *tenant, *domain, *name, *uid;
	const struct value *spec;
	struct behalf behalf;        /* of who wrote it */
	int64_t revision;
};
struct firing {
	struct fired_schedule schedule;
	struct interval interval;
	const char *principal;       /* NULL: "system/schedule/NAME" */
	const struct behalf *behalf; /* of who triggers it; NULL: of who wrote the schedule */
	const char *backfill;        /* its name; NULL: none */
	const char *backfill_uid;    /* NULL: none */
	bool credited;               /* as of struct claim */
	const char *priority;        /* instead of the schedule's; NULL: as it says */
	enum redo redo;
	const struct value *seen;    /* NULL: as it was */
	int64_t now_ms;
};
/* As submit_add and book_claim. If the change is not committed afterwards: firing_withdraw. */
MUST_USE int firing_add(struct part *part, const struct firing *firing, struct change *change,
                        struct arena *arena, struct submitted *ret_submitted, struct err *err);
void firing_withdraw(struct part *part, const struct submitted *submitted);

/* {DOMAIN.NAME: snapshot} of what an onDatasets schedule waits for, as it is now: in arena.
 * ret_fresh: how many have a snapshot that `seen` does not name and that is younger than since_ms;
 * ret_newest_ms: of the youngest of those. */
MUST_USE int firing_datasets(struct catalog *catalog, struct arena *arena,
                             const struct fired_schedule *schedule, const struct value *seen,
                             int64_t since_ms, struct value **ret_now, size_t *ret_fresh,
                             int64_t *ret_newest_ms, struct err *err);

#endif
