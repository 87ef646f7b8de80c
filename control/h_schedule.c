/* h_schedule.c - what schedules and backfills have done and will do, and a run by hand. */
#include "common/defs.h"
#include "control/admit.h"

#include "control/backfill.h"
#include "control/dispatch.h"
#include "control/due.h"
#include "control/firing.h"
#include "control/schedule.h"
#include "control/tenancy.h"

#include <stdio.h>
#include <string.h>

handler_fn h_schedule_intervals, h_schedule_trigger, h_backfill_progress;

enum { NEXT_MAX = 5, PIECES_DEFAULT = 100, PIECES_MOST = 1000, WALK_MOST = 100000 };

/* A Schedule of the path's domain, read; release its timetable. */
struct found {
	struct fired_schedule fired;
	struct timetable timetable;
};

static int64_t time_of(const struct value *map, const char *name, int64_t fallback)
{
	int64_t unix_ms = fallback;
	const char *text = value_get_str(map, name);
	return text && time_parse(text, &unix_ms, NULL) == 0 ? unix_ms : fallback;
}

static int find_schedule(struct control *control, struct request *request, const char *name,
                         struct found *ret_found, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *resource = NULL;
	int64_t revision = 0;
	catalog_key(key, KIND_SCHEDULE, request->tenant, request->domain, name);
	TRY(catalog_get(control->catalog, request->arena, key, &resource, &revision, err));
	const struct value *metadata = value_get(resource, "metadata");
	ret_found->fired = (struct fired_schedule){
		.tenant = request->tenant, .domain = request->domain, .name = name,
		.uid = value_get_str(metadata, "uid"), .spec = value_get(resource, "spec"),
		.behalf = behalf_read(resource), .revision = revision,
	};
	return timetable_read(ret_found->fired.spec, time_of(metadata, "createdAt", 0),
	                      &ret_found->timetable, err);
}

static void set_time(struct value *map, const char *name, int64_t unix_ms)
{
	char text[TIME_TEXT_MAX];
	value_set_str(map, name, time_print_ms(unix_ms, text));
}

/* --- intervals --- */

struct range { int64_t from_ms, to_ms, limit; };

/* Where the newest `limit` of them begin; not before its start. */
static int64_t newest_from(const struct timetable *timetable, int64_t to_ms, int64_t limit)
{
	int64_t from = timetable_last(timetable, to_ms);
	for (int64_t i = 0; i < limit && from > timetable->start_ms; i++) {
		int64_t before = timetable_last(timetable, from - 1);
		if (before == INT64_MIN)
			break;
		from = before;
	}
	return from > timetable->start_ms ? from : timetable->start_ms;
}

static int read_range(const struct request *request, const struct timetable *timetable,
                      struct range *range, struct err *err)
{
	const char *from = request_query(request, "from"), *to = request_query(request, "to");
	range->to_ms = request->now_ms;
	range->from_ms = INT64_MIN;
	if (to && time_parse(to, &range->to_ms, err) < 0)
		return err_prefix(err, "to");
	if (from && time_parse(from, &range->from_ms, err) < 0)
		return err_prefix(err, "from");
	if (from && range->from_ms >= range->to_ms)
		return err_set(err, E_INVALID, "to: is not after from; an interval runs forwards");
	TRY(request_number(request, "limit", 1, PIECES_MOST, PIECES_DEFAULT, &range->limit, err));
	if (!from)
		range->from_ms = newest_from(timetable, range->to_ms, range->limit);
	return 0;
}

static struct value *interval_value(struct arena *arena, int64_t from_ms, int64_t to_ms,
                                    enum stretch_state state)
{
	struct value *map = value_map(arena);
	set_time(map, "from", from_ms);
	set_time(map, "to", to_ms);
	value_set_str(map, "state", stretch_state_name(state));
	return map;
}

static const struct value *running_at(const struct value *running, int64_t from_ms)
{
	for (size_t i = 0; i < value_len(running); i++)
		if (value_get_int(value_at(running, i), "from", 0) == from_ms)
			return value_at(running, i);
	return NULL;
}

/* The one that begins at an instant: cut at the timetable's next boundary and where the state
 * changes. rest: the stretches that end after that instant. */
static struct stretch piece_at(const struct timetable *timetable, const struct stretch *rest,
                               size_t len, int64_t at_ms)
{
	struct stretch piece = { .from_ms = at_ms, .state = STRETCH_MISSING };
	int64_t cut = INT64_MAX;
	piece.to_ms = timetable_next(timetable, at_ms);
	if (len && rest->from_ms <= at_ms) {
		piece.state = rest->state;
		cut = rest->to_ms;
	} else if (len) {
		cut = rest->from_ms;
	}
	if (cut < piece.to_ms)
		piece.to_ms = cut;
	return piece;
}

/* One by one; what is not over yet is none. */
static struct value *pieces(struct arena *arena, const struct found *found,
                            const struct view *view, const struct value *running,
                            const struct range *range)
{
	struct value *list = value_list(arena);
	int64_t at = timetable_next(&found->timetable, range->from_ms - 1);
	if (view->len && view->items[0].from_ms >= range->from_ms && view->items[0].from_ms < at)
		at = view->items[0].from_ms;
	for (size_t i = 0; value_len(list) < (size_t)range->limit && at < range->to_ms;) {
		while (i < view->len && view->items[i].to_ms <= at)
			i++;
		struct stretch piece = piece_at(&found->timetable, view->items + i, view->len - i,
		                                at);
		if (piece.state == STRETCH_MISSING && piece.to_ms > range->to_ms)
			break;
		struct value *map = interval_value(arena, at, piece.to_ms, piece.state);
		const struct value *of = running_at(running, at);
		value_set_str(map, value_get_bool(of, "run", false) ? "run" : "task",
		              value_get_str(of, "id"));
		value_add(list, map);
		at = piece.to_ms;
		if (value_check(list, NULL) < 0)
			break;
	}
	return list;
}

static struct value *ranges(struct arena *arena, const struct view *view)
{
	struct value *list = value_list(arena);
	for (size_t i = 0; i < view->len; i++) {
		const struct stretch *at = &view->items[i];
		struct value *map = interval_value(arena, at->from_ms, at->to_ms, at->state);
		value_set_int(map, "intervals", at->count);
		value_add(list, map);
	}
	return list;
}

static struct value *next_times(struct arena *arena, const struct timetable *timetable,
                                int64_t now_ms)
{
	struct value *list = value_list(arena);
	char text[TIME_TEXT_MAX];
	int64_t at = now_ms > timetable->start_ms ? now_ms : timetable->start_ms;
	for (int i = 0; i < NEXT_MAX && !timetable->paused; i++) {
		at = timetable_next(timetable, at);
		if (at == INT64_MAX || at > timetable->end_ms)
			break;
		value_add_str(list, time_print_ms(at, text));
	}
	return list;
}

static struct value *counts(struct arena *arena, const struct view *view,
                            const struct timetable *timetable, int64_t now_ms)
{
	int64_t by_state[STRETCH_STATE_COUNT_] = { 0 }, from = 0, until = 0;
	struct timetable whole = *timetable;
	struct value *map = value_map(arena);
	whole.catch_up = CATCH_UP_ALL;
	whole.paused = false;
	for (size_t i = 0; i < view->len; i++)
		by_state[view->items[i].state] += view->items[i].count;
	if (due_window(&whole, now_ms, &from, &until))
		by_state[STRETCH_MISSING] = due_count(&whole, view->items, view->len, from, until,
		                                      WALK_MOST);
	for (int i = 0; i < STRETCH_STATE_COUNT_; i++)
		value_set_int(map, stretch_state_name((enum stretch_state)i), by_state[i]);
	return map;
}

static int show_intervals(struct control *control, struct request *request,
                          const struct found *found, struct err *err)
{
	struct arena *arena = request->arena;
	struct shard *shard = request->part->shard;
	struct range range;
	struct view all, view;
	char key[STORE_KEY_MAX];
	TRY(read_range(request, &found->timetable, &range, err));
	TRY(shard_interval_view(shard, arena, found->fired.uid, NULL, INT64_MIN, INT64_MAX, &all,
	                        err));
	TRY(shard_interval_view(shard, arena, found->fired.uid, NULL, range.from_ms, range.to_ms,
	                        &view, err));
	struct value *running = shard_interval_running(shard, arena, found->fired.uid, NULL);
	struct value *body = value_map(arena);
	value_set_str(body, "schedule", found->fired.name);
	value_set_bool(body, "paused", found->timetable.paused);
	value_set(body, "counts", counts(arena, &all, &found->timetable, request->now_ms));
	value_set(body, "next", next_times(arena, &found->timetable, request->now_ms));
	value_set(body, "ranges", ranges(arena, &view));
	value_set(body, "intervals", pieces(arena, found, &view, running, &range));
	catalog_key(key, KIND_SCHEDULE, request->tenant, request->domain, found->fired.name);
	struct value *trouble = schedules_trouble(request->part->schedules, arena, key);
	if (trouble)
		value_set(body, "trouble", trouble);
	(void)control;
	TRY(value_check(body, err));
	return request_reply(request, 200, body, err);
}

int h_schedule_intervals(struct control *control, struct request *request, struct err *err)
{
	struct found found;
	TRY(request_needs_lead(request, err));
	TRY(find_schedule(control, request, request->name, &found, err));
	int rc = show_intervals(control, request, &found, err);
	timetable_release(&found.timetable);
	return rc;
}

/* --- by hand --- */

static const struct field interval_fields[] = {
	{ FIELD_TEXT, true, "from", "32", NULL, "RFC 3339" },
	{ FIELD_TEXT, true, "to", "32", NULL, "RFC 3339" },
	{ FIELD_TEXT, false, NULL, NULL, NULL, NULL },
};
static const struct field trigger_fields[] = {
	{ FIELD_OBJECT, false, "interval", NULL, interval_fields, "which; absent: the newest" },
	{ FIELD_BOOL, false, "redo", NULL, NULL, "also if it was done" },
	{ FIELD_TEXT, false, NULL, NULL, NULL, NULL },
};

static int asked_interval(const struct value *map, struct interval *interval, struct err *err)
{
	if (time_parse(value_get_str(map, "from"), &interval->from_ms, err) < 0)
		return err_prefix(err, "interval.from");
	if (time_parse(value_get_str(map, "to"), &interval->to_ms, err) < 0)
		return err_prefix(err, "interval.to");
	if (interval->to_ms > interval->from_ms)
		return 0;
	return err_set(err, E_INVALID, "interval.to: is not after interval.from; an interval runs "
	               "forwards");
}

/* One of the schedule's own, and over. */
static int is_own(const struct found *found, const struct interval *interval, int64_t now_ms,
                  struct err *err)
{
	char from[TIME_TEXT_MAX], to[TIME_TEXT_MAX];
	int64_t begin = timetable_last(&found->timetable, interval->from_ms);
	int64_t end = timetable_next(&found->timetable, interval->from_ms);
	if (begin != interval->from_ms || end != interval->to_ms)
		return err_set(err, E_INVALID, "interval: is none of the schedule's; the one that "
		               "holds its begin is %s to %s", time_print_s(begin, from),
		               time_print_s(end, to));
	if (end > now_ms)
		return err_set(err, E_INVALID, "interval: is not over yet; it ends at %s",
		               time_print_s(end, to));
	return 0;
}

static int newest_interval(const struct found *found, int64_t now_ms, struct interval *interval,
                           struct err *err)
{
	interval->to_ms = timetable_last(&found->timetable, now_ms);
	interval->from_ms = interval->to_ms == INT64_MIN ? INT64_MIN
	                    : timetable_last(&found->timetable, interval->to_ms - 1);
	if (interval->from_ms != INT64_MIN)
		return 0;
	return err_set(err, E_INVALID, "interval: the schedule has none that is over");
}

/* From the end of the last one until now, and all that is there is taken note of. */
static int datasets_interval(struct control *control, struct request *request,
                             const struct found *found, struct firing *firing, struct err *err)
{
	struct view view;
	struct value *now = NULL;
	size_t fresh = 0;
	int64_t newest_ms = 0, from_ms = found->timetable.start_ms;
	if (value_get(request->body, "interval"))
		return err_set(err, E_INVALID, "interval: a schedule on datasets has none to "
		               "choose; leave it out");
	TRY(shard_interval_view(request->part->shard, request->arena, found->fired.uid, NULL,
	                        request->now_ms, request->now_ms + 1, &view, err));
	TRY(firing_datasets(control->catalog, request->arena, &found->fired, view.seen, from_ms,
	                    &now, &fresh, &newest_ms, err));
	if (view.until_ms > from_ms)
		from_ms = view.until_ms;
	firing->seen = now;
	firing->interval.from_ms = from_ms;
	firing->interval.to_ms = request->now_ms > from_ms ? request->now_ms : from_ms + 1;
	return 0;
}

static int choose(struct control *control, struct request *request, const struct found *found,
                  struct firing *firing, struct err *err)
{
	const struct value *asked = value_get(request->body, "interval");
	if (found->timetable.pace == PACE_DATASETS)
		return datasets_interval(control, request, found, firing, err);
	if (!asked)
		return newest_interval(found, request->now_ms, &firing->interval, err);
	TRY(asked_interval(asked, &firing->interval, err));
	return is_own(found, &firing->interval, request->now_ms, err);
}

static void undo(struct request *request)
{
	firing_withdraw(request->part, request->state);
}

static int triggered(struct control *control, struct request *request, struct err *err)
{
	const struct submitted *submitted = request->state;
	const char *kind = submitted->is_run ? "run" : "task";
	struct value *body = value_map(request->arena);
	(void)control;
	dispatch_wake(request->part->dispatch);
	value_set_str(body, "schedule", request->name);
	value_set_str(body, kind, submitted->id);
	request->reply->location =
		arena_printf(request->arena, "/v1/tenants/%s/domains/%s/%ss/%s", request->tenant,
		             request->domain, kind, submitted->id);
	TRY(value_check(body, err));
	return request_reply(request, 202, body, err);
}

static int would(struct request *request, const struct firing *firing, struct err *err)
{
	struct value *body = value_map(request->arena);
	value_set_str(body, "result", "accepted");
	value_set_bool(body, "dryRun", true);
	set_time(body, "from", firing->interval.from_ms);
	set_time(body, "to", firing->interval.to_ms);
	TRY(value_check(body, err));
	return request_reply(request, 200, body, err);
}

/* A dry run claims, and gives back at once: what would be refused is refused. */
static int trigger(struct request *request, const struct firing *firing, struct err *err)
{
	struct submitted *submitted = arena_alloc(request->arena, sizeof *submitted);
	struct change *change = NULL;
	if (!submitted)
		return err_set(err, E_NOMEM, "no memory to run a schedule");
	TRY(request_change(request, &change, err));
	TRY(firing_add(request->part, firing, change, request->arena, submitted, err));
	if (request->dry_run) {
		firing_withdraw(request->part, submitted);
		change_free(MOVE(request->change));
		return would(request, firing, err);
	}
	request->state = submitted;
	request->submitted = submitted->id;
	request->undo = undo;
	request->finish = triggered;
	return 0;
}

static int trigger_found(struct control *control, struct request *request,
                         const struct found *found, struct err *err)
{
	const char *principal = arena_printf(request->arena, "%s/%s", request->asker.tenant,
	                                     request->asker.principal);
	struct behalf behalf;
	struct firing firing = {
		.schedule = found->fired, .principal = principal, .now_ms = request->now_ms,
		.behalf = &behalf,
		.redo = value_get_bool(request->body, "redo", false) ? REDO_ALL : REDO_FAILED,
	};
	if (!principal)
		return err_set(err, E_NOMEM, "no memory to run a schedule");
	TRY(behalf_of(request, false, &behalf, err));
	TRY(choose(control, request, found, &firing, err));
	int rc = trigger(request, &firing, err);
	if (rc == E_CONFLICT && firing.redo != REDO_ALL && strstr(err->text, "done"))
		return err_set(err, rc, "this interval of the schedule %s is done; say redo: true "
		               "to run it again", found->fired.name);
	return rc;
}

int h_schedule_trigger(struct control *control, struct request *request, struct err *err)
{
	struct found found;
	TRY(request_needs_lead(request, err));
	TRY(tenancy_needs(control, request->tenant, TENANCY_RUN, err));
	TRY(fields_check(trigger_fields, request->body, "", err));
	TRY(find_schedule(control, request, request->name, &found, err));
	int rc = trigger_found(control, request, &found, err);
	timetable_release(&found.timetable);
	return rc;
}

/* --- backfills --- */

static int show_progress(struct request *request, const struct backfill *backfill,
                         const struct found *found, const char *key, struct err *err)
{
	struct backfill_state state;
	struct arena *arena = request->arena;
	TRY(backfill_look(request->part->shard, arena, backfill, found->fired.uid,
	                  &found->timetable, &state, err));
	struct value *body = backfill_progress(arena, backfill, &state, &found->timetable,
	                                       request->now_ms);
	backfill_state_release(&state);
	value_set(body, "ranges", ranges(arena, &state.own));
	struct value *trouble = schedules_trouble(request->part->schedules, arena, key);
	if (trouble)
		value_set(body, "trouble", trouble);
	TRY(value_check(body, err));
	return request_reply(request, 200, body, err);
}

int h_backfill_progress(struct control *control, struct request *request, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *resource = NULL;
	struct backfill backfill;
	struct found found;
	TRY(request_needs_lead(request, err));
	catalog_key(key, KIND_BACKFILL, request->tenant, request->domain, request->name);
	TRY(catalog_get(control->catalog, request->arena, key, &resource, NULL, err));
	TRY(backfill_read(resource, &backfill, err));
	TRY(find_schedule(control, request, backfill.schedule, &found, err));
	int rc = show_progress(request, &backfill, &found, key, err);
	timetable_release(&found.timetable);
	return rc;
}
