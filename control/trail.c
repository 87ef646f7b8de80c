/* trail.c - transitions kept as small steps; their sentences are made when somebody reads. */
#include "common/defs.h"
#include "control/trail.h"

#include "common/clock.h"

#include <stdlib.h>
#include <string.h>

int trail_add(struct trail *trail, const struct trail_step *step, struct err *err)
{
	if (trail->len == TRAIL_MAX) {
		memmove(trail->steps, trail->steps + 1, (TRAIL_MAX - 1) * sizeof *step);
		trail->steps[TRAIL_MAX - 1] = *step;
		trail->cut = true;
		return 0;
	}
	struct trail_step *steps = realloc(trail->steps, (trail->len + 1u) * sizeof *steps);
	if (!steps)
		return err_set(err, E_NOMEM, "no memory for a task's transitions");
	trail->steps = steps;
	trail->steps[trail->len++] = *step;
	return 0;
}

void trail_release(struct trail *trail)
{
	free(trail->steps);
	*trail = (struct trail){ 0 };
}

const struct trail_step *trail_last(const struct trail *trail)
{
	return trail->len > 0 ? &trail->steps[trail->len - 1] : NULL;
}

static const char *failed(struct arena *arena, const struct trail_step *step, const char *follows)
{
	const char *name = step->code ? err_name(step->code) : "no code";
	if (step->attempt == 0)
		return arena_printf(arena, "it failed with %s before an attempt", name);
	return arena_printf(arena, "attempt %d failed with %s (%s) and %s", step->attempt, name,
	                    task_failure_name(task_failure(step->code)), follows);
}

const char *trail_reason(struct arena *arena, const struct trail_step *step)
{
	switch ((enum task_event)step->event) {
	case EVENT_DURABLE: return "accepted, with nothing to wait for";
	case EVENT_BLOCKED: return "accepted; waits for the tasks it depends on";
	case EVENT_UNBLOCKED: return "all it depends on has ended as it wants it";
	case EVENT_ASSIGNED:
		return arena_printf(arena, "attempt %d was handed to a worker", step->attempt);
	case EVENT_RETRY: return failed(arena, step, "is followed by another");
	case EVENT_LOST: return arena_printf(arena, "attempt %d was lost", step->attempt);
	case EVENT_PREEMPTED:
		return arena_printf(arena, "attempt %d gave its place to another task, or was "
		                    "handed back", step->attempt);
	case EVENT_SUCCEEDED:
		return arena_printf(arena, "attempt %d succeeded", step->attempt);
	case EVENT_FAILED: return failed(arena, step, "another would fail as well");
	case EVENT_EXHAUSTED: return failed(arena, step, "was its last");
	case EVENT_CANCELLED: return "it was cancelled";
	case EVENT_REPLAYED: return "it was started anew";
	}
	return "unknown";
}

static struct value *item(struct arena *arena, const struct trail_step *step, const char *reason)
{
	char text[TIME_TEXT_MAX];
	struct value *map = value_map(arena);
	if (!map)
		return NULL;
	value_set_str(map, "state", task_state_name((enum task_state)step->state));
	value_set_str(map, "at", time_print_ms(step->at_ms, text));
	value_set_str(map, "reason", reason);
	return map;
}

struct value *trail_step_value(struct arena *arena, const struct trail_step *step)
{
	return item(arena, step, trail_reason(arena, step));
}

struct value *trail_value(struct arena *arena, const struct trail *trail, int64_t accepted_ms,
                          bool was_blocked, const char *last_text)
{
	struct value *list = value_list(arena);
	const struct trail_step first = {
		.at_ms = accepted_ms,
		.event = was_blocked ? EVENT_BLOCKED : EVENT_DURABLE,
		.state = was_blocked ? STATE_BLOCKED : STATE_QUEUED,
	};
	if (!list)
		return NULL;
	if (!trail->cut)
		value_add(list, trail_step_value(arena, &first));
	for (int i = 0; i < trail->len; i++) {
		const struct trail_step *step = &trail->steps[i];
		bool told = last_text && i == trail->len - 1;
		value_add(list, told ? item(arena, step, last_text) :
		          trail_step_value(arena, step));
	}
	return list;
}

struct value *trail_emit(struct arena *arena, const struct trail *trail)
{
	struct value *list = value_list(arena);
	value_add(list, value_bool(arena, trail->cut));
	for (int i = 0; list && i < trail->len; i++) {
		const struct trail_step *step = &trail->steps[i];
		struct value *item = value_list(arena);
		if (!item)
			return NULL;
		value_add(item, value_int(arena, step->at_ms));
		value_add(item, value_int(arena, step->attempt));
		value_add(item, value_str(arena, step->code ? err_name(step->code) : ""));
		value_add(item, value_int(arena, step->event));
		value_add(item, value_int(arena, step->state));
		value_add(list, item);
	}
	return list;
}

static bool fits(const struct trail_step *step, int64_t event, int64_t state)
{
	return event >= 0 && event <= EVENT_REPLAYED && state >= 0 && state <= STATE_DEAD &&
		step->attempt >= 0;
}

int trail_restore(struct trail *trail, const struct value *list, struct err *err)
{
	trail_release(trail);
	trail->cut = value_as_bool(value_at(list, 0), false);
	for (size_t i = 1; i < value_len(list) && i <= TRAIL_MAX; i++) {
		const struct value *item = value_at(list, i);
		const char *code = value_as_str(value_at(item, 2));
		int64_t event = value_as_int(value_at(item, 3), -1);
		int64_t state = value_as_int(value_at(item, 4), -1);
		struct trail_step step = {
			.at_ms = value_as_int(value_at(item, 0), 0),
			.attempt = (int32_t)value_as_int(value_at(item, 1), 0),
			.code = (int16_t)(code && *code ? err_by_name(code) : 0),
			.event = (uint8_t)event, .state = (uint8_t)state,
		};
		if (!fits(&step, event, state))
			return err_set(err, E_CORRUPT, "a task's transitions are damaged");
		TRY(trail_add(trail, &step, err));
	}
	return 0;
}
