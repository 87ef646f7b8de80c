/* schedule_volley.c - intervals on their way to be durable, many in one change. Invariant: every
 * interval that was added is committed or taken back before the thread sleeps. */
#include "common/defs.h"
#include "control/schedule_impl.h"

#include "control/audit.h"
#include "control/dispatch.h"

#include <stdio.h>

enum { ARENA_MAX = 256 * 1024 * 1024 };

static int begin(struct volley *volley, struct err *err)
{
	if (volley->change)
		return 0;
	if (!volley->arena)
		TRY(arena_new(ARENA_MAX, &volley->arena, err));
	return change_new(&volley->change, err);
}

static void end(struct volley *volley)
{
	change_free(MOVE(volley->change));
	arena_reset(volley->arena);
	volley->count = 0;
}

/* They are looked at again, each alone. */
static void take_back(struct schedules *schedules)
{
	struct volley *volley = &schedules->volley;
	volley->most = 1;
	for (int i = 0; i < volley->count; i++) {
		firing_withdraw(schedules->part, &volley->submitted[i]);
		item_due(schedules, volley->items[i], 0);
	}
	end(volley);
}

static int add_event(const struct firing *firing, const struct submitted *submitted,
                     struct change *change, struct err *err)
{
	char actor[160];
	bool backfill = firing->backfill && !firing->credited;
	snprintf(actor, sizeof actor, "system/%s/%s", backfill ? "backfill" : "schedule",
	         backfill ? firing->backfill : firing->schedule.name);
	const struct audit_event event = {
		.tenant = firing->schedule.tenant, .actor = actor, .action = "task:run",
		.resource = submitted->id, .result = "allowed", .rule = "schedule",
		.task = submitted->id, .at_ms = firing->now_ms,
	};
	return audit_add(change, &event, err);
}

/* Refusals that come before anything is in the change. */
static bool leaves_change(int code)
{
	return code == E_QUOTA || code == E_BUSY || code == E_INVALID || code == E_NOT_FOUND;
}

int volley_add(struct schedules *schedules, struct item *item, const struct firing *firing,
               struct err *err)
{
	struct volley *volley = &schedules->volley;
	struct submitted submitted;
	TRY(begin(volley, err));
	int rc = firing_add(schedules->part, firing, volley->change, volley->arena, &submitted,
	                    err);
	if (rc < 0) {
		if (!leaves_change(rc))
			take_back(schedules);
		return rc;
	}
	volley->items[volley->count] = item;
	volley->submitted[volley->count++] = submitted;
	rc = add_event(firing, &submitted, volley->change, err);
	if (rc < 0) {
		take_back(schedules);
		return rc;
	}
	if (volley->count < volley->most)
		return 0;
	bool alone = volley->most == 1;
	rc = volley_commit(schedules, err);
	return alone ? rc : 0;       /* of many, each is told when it is looked at again */
}

int volley_commit(struct schedules *schedules, struct err *err)
{
	struct volley *volley = &schedules->volley;
	if (!volley->count)
		return 0;
	int rc = journal_commit(schedules->part->journal, volley->change, err);
	if (rc == 0)
		dispatch_wake(schedules->part->dispatch);
	/* After an unknown outcome the journal is led anew and tells what has happened. */
	if (rc == 0 || rc == E_UNKNOWN_OUTCOME)
		end(volley);
	else
		take_back(schedules);
	return rc;
}
