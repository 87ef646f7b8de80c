/* schedule_run.c - what a schedule or a backfill does when it is looked at: fires the intervals
 * that are due, as many as may run at one time. */
#include "common/defs.h"
#include "control/schedule_impl.h"

#include "common/log.h"
#include "control/due.h"
#include "control/stop.h"
#include "control/tenancy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	ARENA_MAX = 64 * 1024 * 1024, TURN_MAX = 16, AGAIN_MS = 1000, RETRY_FIRST_MS = 1000,
	RETRY_MOST_MS = 60000
};

/* --- firing --- */

static bool covers(const struct item *backfill, const struct firing *firing)
{
	const struct backfill *of = &backfill->backfill;
	return !of->paused &&
		strcmp(of->schedule, firing->schedule.name) == 0 &&
		strcmp(of->domain, firing->schedule.domain) == 0 &&
		strcmp(of->tenant, firing->schedule.tenant) == 0 &&
		of->from_ms <= firing->interval.from_ms && firing->interval.to_ms <= of->to_ms;
}

/* A backfill that wants the interval too counts it as its own, and does not run it again. */
static void credit(const struct schedules *schedules, struct firing *firing)
{
	for (const struct item *at = schedules->items[1]; at; at = at->next)
		if (covers(at, firing)) {
			firing->backfill = at->backfill.name;
			firing->backfill_uid = at->backfill.uid;
			firing->credited = true;
			return;
		}
}

/* --- what went wrong --- */

static void set_trouble(struct schedules *schedules, struct item *item, int code,
                        const char *text, int64_t retry_ms)
{
	pthread_mutex_lock(&schedules->mutex);
	item->code = code;
	item->retry_ms = retry_ms;
	snprintf(item->text, sizeof item->text, "%s", text);
	pthread_mutex_unlock(&schedules->mutex);
}

/* When to try again. What somebody else did meanwhile (an edit, a claim) is no trouble. */
int64_t item_failed(struct schedules *schedules, struct item *item, int code,
                    const struct err *err)
{
	int64_t now_ms = clock_unix_ms(schedules->control->clock);
	if (code == E_PRECONDITION || code == E_CONFLICT || code == E_NOT_LEADER)
		return now_ms + AGAIN_MS;
	int64_t wait_ms = RETRY_FIRST_MS;
	for (int i = 0; i < item->tries && wait_ms < RETRY_MOST_MS; i++)
		wait_ms *= 2;
	if (wait_ms > RETRY_MOST_MS || !err_retryable(code))
		wait_ms = RETRY_MOST_MS;
	if (item->tries++ == 0)
		log_warn(NULL, "schedule_not_run", "key=%s code=%s reason=\"%s\"", item->key,
		         err_name(code), err->text);
	set_trouble(schedules, item, code, err->text, now_ms + wait_ms);
	return now_ms + wait_ms;
}

static void went_well(struct schedules *schedules, struct item *item)
{
	if (item->tries)
		set_trouble(schedules, item, 0, "", 0);
	item->tries = 0;
}

/* --- schedules --- */

/* 1: fired one; 0: there is nothing to fire now, and ret_next_ms says when to look. */
static int fire_due(struct schedules *schedules, struct item *item, struct arena *arena,
                    int64_t *ret_next_ms, struct err *err)
{
	const struct timetable *timetable = &item->timetable;
	int64_t now_ms = clock_unix_ms(schedules->control->clock), from = 0, until = 0;
	struct view view;
	int64_t next_ms = timetable_next(timetable, now_ms);
	*ret_next_ms = timetable->paused || next_ms > timetable->end_ms ? INT64_MAX : next_ms;
	if (!due_window(timetable, now_ms, &from, &until))
		return 0;
	TRY(shard_interval_view(schedules->part->shard, arena, item->uid, NULL, from, until, &view,
	                        err));
	struct firing firing = { .schedule = item->fired, .now_ms = now_ms };
	if (!due_piece(timetable, view.items, view.len, from, until, &firing.interval.from_ms,
	               &firing.interval.to_ms))
		return 0;
	if (view.running >= timetable->active_max)
		return 0;            /* the end of one of them wakes it */
	credit(schedules, &firing);
	TRY(volley_add(schedules, item, &firing, err));
	return 1;
}

/* Its intervals follow each other: each from the end of the last to the snapshot that made it due.
 * Snapshots that come while it is busy make one interval. */
static int fire_datasets(struct schedules *schedules, struct item *item, struct arena *arena,
                         int64_t *ret_next_ms, struct err *err)
{
	const struct timetable *timetable = &item->timetable;
	int64_t now_ms = clock_unix_ms(schedules->control->clock), newest_ms = 0;
	struct view view;
	struct value *now = NULL;
	size_t fresh = 0;
	*ret_next_ms = INT64_MAX;
	if (timetable->paused || now_ms >= timetable->end_ms)
		return 0;
	if (now_ms < timetable->start_ms) {
		*ret_next_ms = timetable->start_ms;
		return 0;
	}
	TRY(shard_interval_view(schedules->part->shard, arena, item->uid, NULL, now_ms, now_ms + 1,
	                        &view, err));
	TRY(firing_datasets(schedules->control->catalog, arena, &item->fired, view.seen,
	                    timetable->start_ms, &now, &fresh, &newest_ms, err));
	size_t need = timetable->all ? item->wanted_count : 1;
	if (fresh < need || view.running >= timetable->active_max)
		return 0;
	struct firing firing = { .schedule = item->fired, .seen = now, .now_ms = now_ms };
	firing.interval.from_ms = view.until_ms > timetable->start_ms ? view.until_ms
	                                                               : timetable->start_ms;
	/* Up to the snapshot, which is within it; an interval is never empty. */
	firing.interval.to_ms = newest_ms >= firing.interval.from_ms ? newest_ms + 1
	                                                              : firing.interval.from_ms + 1;
	TRY(volley_add(schedules, item, &firing, err));
	return 1;
}

/* --- backfills --- */

static struct item *schedule_of(const struct schedules *schedules, const struct item *item)
{
	char key[STORE_KEY_MAX];
	const struct backfill *backfill = &item->backfill;
	catalog_key(key, KIND_SCHEDULE, backfill->tenant, backfill->domain, backfill->schedule);
	return item_by_key(schedules, key);
}

static int fire_backfill(struct schedules *schedules, struct item *item, struct arena *arena,
                         int64_t *ret_next_ms, struct err *err)
{
	const struct item *schedule = schedule_of(schedules, item);
	const struct backfill *backfill = &item->backfill;
	struct backfill_state state;
	*ret_next_ms = INT64_MAX;
	if (!schedule || backfill->paused)
		return 0;
	TRY(backfill_look(schedules->part->shard, arena, backfill, schedule->uid,
	                  &schedule->timetable, &state, err));
	struct firing firing = {
		.schedule = schedule->fired, .backfill = backfill->name,
		.backfill_uid = item->uid, .priority = backfill->priority, .redo = backfill->redo,
		.now_ms = clock_unix_ms(schedules->control->clock),
	};
	bool more = state.running < backfill->parallelism &&
		backfill_next(&state, &schedule->timetable, &firing.interval.from_ms,
		              &firing.interval.to_ms);
	backfill_state_release(&state);
	if (!more)
		return 0;
	TRY(volley_add(schedules, item, &firing, err));
	return 1;
}

static bool may_start(const struct schedules *schedules, const struct item *item)
{
	const char *tenant = item->kind == KIND_BACKFILL ? item->backfill.tenant
	                                                 : item->fired.tenant;
	return tenancy_needs(schedules->control, tenant, TENANCY_RUN, NULL) == 0;
}

static int fire_one(struct schedules *schedules, struct item *item, int64_t *ret_next_ms,
                    struct err *err)
{
	AUTO(arena) *arena = NULL;
	if (!may_start(schedules, item)) {   /* its intervals stay missing; it is read again then */
		*ret_next_ms = INT64_MAX;
		return 0;
	}
	TRY(arena_new(ARENA_MAX, &arena, err));
	if (item->kind == KIND_BACKFILL)
		return fire_backfill(schedules, item, arena, ret_next_ms, err);
	if (item->timetable.pace == PACE_DATASETS)
		return fire_datasets(schedules, item, arena, ret_next_ms, err);
	return fire_due(schedules, item, arena, ret_next_ms, err);
}

int64_t item_run(struct schedules *schedules, struct item *item)
{
	int64_t next_ms = INT64_MAX;
	for (int i = 0; i < TURN_MAX; i++) {
		struct err err = { 0 };
		int rc = fire_one(schedules, item, &next_ms, &err);
		if (rc < 0)
			return item_failed(schedules, item, rc, &err);
		went_well(schedules, item);
		if (rc == 0)
			return next_ms;
	}
	return 0;                            /* the others have their turn first */
}

/* --- backfills that are gone --- */

void backfills_cancel_orphans(struct schedules *schedules)
{
	struct part *part = schedules->part;
	AUTO(arena) *arena = NULL;
	struct err err = { 0 };
	int rc = arena_new(ARENA_MAX, &arena, &err);
	struct value *list = NULL;
	if (rc == 0)
		list = shard_interval_running(part->shard, arena, NULL, NULL);
	for (size_t i = 0; rc == 0 && i < value_len(list); i++) {
		const struct value *at = value_at(list, i);
		const char *uid = value_get_str(at, "backfill");
		bool its = uid && !value_get_bool(at, "credited", false);
		if (!its || item_by_uid(schedules, uid))
			continue;
		const struct stop stop = {
			.tenant = value_get_str(at, "tenant"), .id = value_get_str(at, "id"),
			.is_run = value_get_bool(at, "run", false),
			.principal = "system/backfill",
			.now_ms = clock_unix_ms(schedules->control->clock),
		};
		rc = stop_now(part, &stop, &err);
	}
	if (rc < 0)
		log_warn(NULL, "backfill_not_cancelled", "code=%s reason=\"%s\"", err_name(rc),
		         err.text);
}
