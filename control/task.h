/* task.h - one task's life: a pure function of state and event. No I/O, no locks, no clock. */
#ifndef TASK_H
#define TASK_H

#include "api/poll.h"
#include "api/tasks.h"

enum task_state { STATE_QUEUED, STATE_RUNNING, STATE_SUCCEEDED, STATE_FAILED, STATE_CANCELLED };
const char *task_state_name(enum task_state state);
bool task_state_final(enum task_state state);

enum task_event {
	EVENT_ASSIGNED,     /* an attempt was handed to a worker */
	EVENT_RETRY,        /* the attempt failed and may be tried again */
	EVENT_LOST,         /* its worker is gone */
	EVENT_SUCCEEDED,
	EVENT_FAILED,
	EVENT_CANCELLED
};
/* The next state; E_CONFLICT when the event does not apply to the state. */
MUST_USE int task_apply(enum task_state state, enum task_event event, enum task_state *ret_next,
                        struct err *err);
/* Whether a failed attempt is worth another: by code (common/errors.def's retry column,
 * E_CONFLICT of a moved snapshot included) and attempts left. */
bool task_may_retry(int code, int attempt, int attempts_max);
/* Delay before attempt n (2, 3, ...): exponential from 200 ms to 30 s, jitter from seed. */
int64_t task_backoff_ms(int attempt, uint64_t seed);

#endif
