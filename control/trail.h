/* trail.h - a task's last transitions, for people: when it came to which state, and why. Bounded;
 * what every task goes through at first (accepted, then queued or blocked) takes no memory. */
#ifndef TRAIL_H
#define TRAIL_H

#include "common/value.h"
#include "control/task.h"

enum { TRAIL_MAX = 16 };

struct trail_step {
	int64_t at_ms;
	int32_t attempt;             /* the one it is about; 0: none */
	int16_t code;                /* of the failure; 0: none */
	uint8_t event, state;        /* enum task_event; enum task_state that it led to */
};
struct trail {
	struct trail_step *steps;          /* oldest first */
	uint8_t len;
	bool cut;                    /* older ones were left out */
};

/* Beyond TRAIL_MAX the oldest goes. */
MUST_USE int trail_add(struct trail *trail, const struct trail_step *step, struct err *err);
void trail_release(struct trail *trail);
/* NULL: there are none. */
const struct trail_step *trail_last(const struct trail *trail);
/* "attempt 2 failed with IO (transient) and is tried again". NULL: the arena is full. */
const char *trail_reason(struct arena *arena, const struct trail_step *step);
/* {state, at, reason}. */
struct value *trail_step_value(struct arena *arena, const struct trail_step *step);
/* A list of these; last_text: what is known of the last one beyond its step; NULL: nothing. */
struct value *trail_value(struct arena *arena, const struct trail *trail, int64_t accepted_ms,
                          bool was_blocked, const char *last_text);
/* For a checkpoint, and from one: a list of cut and then [at, attempt, code, event, state] for each
 * step, the last two as numbers: new events and states are added at the end of their enums. */
struct value *trail_emit(struct arena *arena, const struct trail *trail);
MUST_USE int trail_restore(struct trail *trail, const struct value *list, struct err *err);

#endif
