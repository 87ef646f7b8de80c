/* task.h - one task's life: a pure function of state and event. No I/O, no locks, no clock. */
#ifndef TASK_H
#define TASK_H

#include "api/poll.h"
#include "api/tasks.h"

enum task_state {
	STATE_ACCEPTED,     /* reserved, its record not durable yet: nobody sees it */
	STATE_BLOCKED,      /* waits for tasks it depends on */
	STATE_QUEUED,       /* may be handed out, or waits for its retry's time */
	STATE_RUNNING,
	STATE_SUCCEEDED,
	STATE_FAILED,       /* by its own fault: another attempt would fail as well */
	STATE_CANCELLED,
	STATE_DEAD          /* its attempts are used up; it may be replayed */
};
const char *task_state_name(enum task_state state);
int task_state_by_name(const char *name);        /* -1: none of them */
bool task_state_final(enum task_state state);

enum task_event {
	EVENT_DURABLE,      /* accepted, with nothing to wait for */
	EVENT_BLOCKED,      /* accepted, and depends on others */
	EVENT_UNBLOCKED,    /* all it depends on is as it wants it */
	EVENT_ASSIGNED,     /* an attempt was handed to a worker */
	EVENT_RETRY,        /* the attempt failed and may be tried again */
	EVENT_LOST,         /* its worker is gone */
	EVENT_PREEMPTED,    /* it gave its place to another; costs it no attempt */
	EVENT_SUCCEEDED,
	EVENT_FAILED,
	EVENT_EXHAUSTED,    /* it failed and has no attempt left */
	EVENT_CANCELLED,    /* asked for, or what it depends on went the other way */
	EVENT_REPLAYED      /* an ended one starts anew */
};
/* The next state; E_CONFLICT when the event does not apply to the state. */
MUST_USE int task_apply(enum task_state state, enum task_event event, enum task_state *ret_next,
                        struct err *err);

/* Why attempts fail, and what follows (common/errors.def's category column). */
enum failure {
	FAILURE_TRANSIENT,  /* may pass by itself: tried again while attempts are left, then dead */
	FAILURE_RESOURCES,  /* it outgrew something: once more, then failed */
	FAILURE_INPUT,      /* what it was given is wrong: failed */
	FAILURE_POLICY,     /* it may not: failed */
	FAILURE_INTERNAL    /* a bug: at most three attempts, then dead */
};
enum failure task_failure(int code);     /* of no code of ours: internal */
const char *task_failure_name(enum failure failure);
/* What becomes of a failed attempt: EVENT_RETRY, EVENT_FAILED or EVENT_EXHAUSTED. */
enum task_event task_after(int code, int attempt, int attempts_max);
/* Delay before attempt n (2, 3, ...): exponential by category, jitter from seed. */
int64_t task_backoff_ms(int code, int attempt, uint64_t seed);
/* The same where the task's limits may say other delays than the category's. */
int64_t task_delay_ms(const struct limits *limits, int code, int attempt, uint64_t seed);

#endif
