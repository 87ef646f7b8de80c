/* backfill.c - see backfill.h. */
#include "common/defs.h"
#include "control/backfill.h"

#include "control/due.h"

static int read_time(const struct value *spec, const char *name, int64_t *ret_ms, struct err *err)
{
	if (time_parse(value_get_str(spec, name), ret_ms, err) == 0)
		return 0;
	return err_prefix(err, "spec.%s", name);
}

int backfill_read(const struct value *resource, struct backfill *ret_backfill, struct err *err)
{
	const struct value *metadata = value_get(resource, "metadata");
	const struct value *spec = value_get(resource, "spec");
	const char *priority = value_get_str(spec, "priority");
	const char *redo = value_get_str(spec, "redo");
	int64_t parallelism = value_get_int(spec, "parallelism", PARALLELISM_DEFAULT);
	struct backfill backfill = {
		.tenant = value_get_str(metadata, "tenant"),
		.domain = value_get_str(metadata, "domain"),
		.name = value_get_str(metadata, "name"), .uid = value_get_str(metadata, "uid"),
		.schedule = value_get_str(spec, "schedule"),
		.priority = priority ? priority : "low",
		.redo = redo ? (enum redo)redo_by_name(redo) : REDO_MISSING,
		.paused = value_get_bool(spec, "paused", false),
	};
	TRY(read_time(spec, "from", &backfill.from_ms, err));
	TRY(read_time(spec, "to", &backfill.to_ms, err));
	if (backfill.to_ms <= backfill.from_ms)
		return err_set(err, E_INVALID, "spec.to: is not after spec.from; an interval runs "
		               "forwards");
	if (parallelism < 1 || parallelism > PARALLELISM_MOST)
		return err_set(err, E_INVALID, "spec.parallelism: is 1 to %d", PARALLELISM_MOST);
	backfill.parallelism = (int)parallelism;
	*ret_backfill = backfill;
	return 0;
}

/* Whether somebody else runs an interval of it that is to be run again afterwards. */
static bool others_run(const struct view *schedule, const struct view *own)
{
	for (size_t i = 0; i < schedule->len; i++) {
		int64_t from = 0, to = 0;
		const struct stretch *at = &schedule->items[i];
		if (at->state == STRETCH_RUNNING &&
		    stretches_hole(own->items, own->len, at->from_ms, at->to_ms, &from, &to))
			return true;
	}
	return false;
}

static void count_own(struct backfill_state *state)
{
	for (size_t i = 0; i < state->own.len; i++) {
		const struct stretch *at = &state->own.items[i];
		state->done += at->state == STRETCH_DONE ? at->count : 0;
		state->failed += at->state == STRETCH_FAILED ? at->count : 0;
	}
	state->running = state->own.running;
}

int backfill_look(struct shard *shard, struct arena *arena, const struct backfill *backfill,
                  const char *schedule_uid, const struct timetable *timetable,
                  struct backfill_state *ret_state, struct err *err)
{
	struct backfill_state state = { .done = 0 };
	struct view schedule;
	if (!timetable_whole(timetable, backfill->from_ms, backfill->to_ms, &state.from_ms,
	                     &state.to_ms))
		state.from_ms = state.to_ms = backfill->from_ms;
	TRY(shard_interval_view(shard, arena, schedule_uid, NULL, state.from_ms, state.to_ms,
	                        &schedule, err));
	TRY(shard_interval_view(shard, arena, schedule_uid, backfill->uid, state.from_ms,
	                        state.to_ms, &state.own, err));
	TRY(due_taken(&schedule, &state.own, backfill->redo, &state.taken, err));
	state.waits = backfill->redo == REDO_ALL && others_run(&schedule, &state.own);
	count_own(&state);
	*ret_state = state;
	return 0;
}

void backfill_state_release(struct backfill_state *state)
{
	stretches_release(&state->taken);
}

bool backfill_next(const struct backfill_state *state, const struct timetable *timetable,
                   int64_t *ret_from_ms, int64_t *ret_to_ms)
{
	return due_piece(timetable, state->taken.items, state->taken.len, state->from_ms,
	                 state->to_ms, ret_from_ms, ret_to_ms);
}

bool backfill_finished(const struct backfill_state *state, const struct timetable *timetable)
{
	int64_t from = 0, to = 0;
	return !state->running && !state->waits && !backfill_next(state, timetable, &from, &to);
}

static const char *state_name(const struct backfill *backfill, const struct backfill_state *state,
                              int64_t left)
{
	if (!left && !state->running && !state->waits)
		return state->failed ? "failed" : "done";
	if (backfill->paused)
		return "paused";
	return state->running ? "running" : "waiting";
}

static void set_rate(struct value *map, const struct backfill_state *state, int64_t left,
                     int64_t now_ms)
{
	int64_t ended = state->done + state->failed;
	int64_t last_ms = left + state->running ? now_ms : state->own.last_ms;
	double hours = (double)(last_ms - state->own.first_ms) / 3600000.0;
	if (!ended || hours <= 0)
		return;
	double per_hour = (double)ended / hours;
	value_set_real(map, "perHour", per_hour);
	if (left + state->running)
		value_set_int(map, "estimateSeconds",
		              (int64_t)((double)(left + state->running) / per_hour * 3600.0));
}

struct value *backfill_progress(struct arena *arena, const struct backfill *backfill,
                                const struct backfill_state *state,
                                const struct timetable *timetable, int64_t now_ms)
{
	char text[TIME_TEXT_MAX];
	struct value *map = value_map(arena);
	int64_t left = due_count(timetable, state->taken.items, state->taken.len, state->from_ms,
	                         state->to_ms, BACKFILL_INTERVALS_MAX);
	const char *name = state_name(backfill, state, left);
	bool ended = !left && !state->running && !state->waits;
	value_set_str(map, "backfill", backfill->name);
	value_set_str(map, "schedule", backfill->schedule);
	value_set_str(map, "state", name);
	value_set_int(map, "intervals", state->done + state->failed + state->running + left);
	value_set_int(map, "done", state->done);
	value_set_int(map, "failed", state->failed);
	value_set_int(map, "running", state->running);
	value_set_int(map, "left", left);
	if (state->own.first_ms) {
		value_set_str(map, "startedAt", time_print_ms(state->own.first_ms, text));
		set_rate(map, state, left, now_ms);
	}
	if (ended && state->own.last_ms)
		value_set_str(map, "endedAt", time_print_ms(state->own.last_ms, text));
	return map;
}
