/* task.c - one task's life as a table: which event leads where, and what follows a failure. */
#include "common/defs.h"
#include "control/task.h"

#include <string.h>

static const char *const state_names[] = {
	[STATE_ACCEPTED] = "accepted", [STATE_BLOCKED] = "blocked", [STATE_QUEUED] = "queued",
	[STATE_RUNNING] = "running", [STATE_SUCCEEDED] = "succeeded", [STATE_FAILED] = "failed",
	[STATE_CANCELLED] = "cancelled", [STATE_DEAD] = "dead",
};

static const char *const event_names[] = {
	[EVENT_DURABLE] = "accepted", [EVENT_BLOCKED] = "blocked", [EVENT_UNBLOCKED] = "unblocked",
	[EVENT_ASSIGNED] = "assigned", [EVENT_RETRY] = "to be retried", [EVENT_LOST] = "lost",
	[EVENT_PREEMPTED] = "preempted", [EVENT_SUCCEEDED] = "succeeded",
	[EVENT_FAILED] = "failed", [EVENT_EXHAUSTED] = "dead", [EVENT_CANCELLED] = "cancelled",
	[EVENT_REPLAYED] = "replayed",
};

struct move {
	enum task_state from;
	enum task_event event;
	enum task_state to;
};

static const struct move moves[] = {
	{ STATE_ACCEPTED,  EVENT_DURABLE,   STATE_QUEUED },
	{ STATE_ACCEPTED,  EVENT_BLOCKED,   STATE_BLOCKED },
	{ STATE_BLOCKED,   EVENT_UNBLOCKED, STATE_QUEUED },
	{ STATE_BLOCKED,   EVENT_FAILED,    STATE_FAILED },      /* it expired */
	{ STATE_BLOCKED,   EVENT_CANCELLED, STATE_CANCELLED },
	{ STATE_QUEUED,    EVENT_ASSIGNED,  STATE_RUNNING },
	{ STATE_QUEUED,    EVENT_FAILED,    STATE_FAILED },      /* it expired */
	{ STATE_QUEUED,    EVENT_CANCELLED, STATE_CANCELLED },
	{ STATE_RUNNING,   EVENT_RETRY,     STATE_QUEUED },
	{ STATE_RUNNING,   EVENT_LOST,      STATE_QUEUED },
	{ STATE_RUNNING,   EVENT_PREEMPTED, STATE_QUEUED },
	{ STATE_RUNNING,   EVENT_SUCCEEDED, STATE_SUCCEEDED },
	{ STATE_RUNNING,   EVENT_FAILED,    STATE_FAILED },
	{ STATE_RUNNING,   EVENT_EXHAUSTED, STATE_DEAD },
	{ STATE_RUNNING,   EVENT_CANCELLED, STATE_CANCELLED },
	{ STATE_FAILED,    EVENT_REPLAYED,  STATE_ACCEPTED },
	{ STATE_CANCELLED, EVENT_REPLAYED,  STATE_ACCEPTED },
	{ STATE_DEAD,      EVENT_REPLAYED,  STATE_ACCEPTED },
};

const char *task_state_name(enum task_state state)
{
	return state_names[state];
}

int task_state_by_name(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_LEN(state_names); i++)
		if (strcmp(name, state_names[i]) == 0)
			return (int)i;
	return -1;
}

bool task_state_final(enum task_state state)
{
	return state >= STATE_SUCCEEDED;
}

int task_apply(enum task_state state, enum task_event event, enum task_state *ret_next,
               struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(moves); i++) {
		if (moves[i].from != state || moves[i].event != event)
			continue;
		*ret_next = moves[i].to;
		return 0;
	}
	return err_set(err, E_CONFLICT, "a task that is %s cannot be %s", state_names[state],
	               event_names[event]);
}

/* --- failures --- */

/* By category: how many attempts at most, what follows the last, and the delays between. */
struct manner {
	const char *name;
	int attempts_most;
	enum task_event last;
	int64_t first_ms, most_ms;
};

static const struct manner manners[] = {
	[FAILURE_TRANSIENT] = { "transient", INT32_MAX, EVENT_EXHAUSTED, 200, 30000 },
	[FAILURE_RESOURCES] = { "resources", 2, EVENT_FAILED, 2000, 60000 },
	[FAILURE_INPUT] = { "input", 1, EVENT_FAILED, 200, 200 },
	[FAILURE_POLICY] = { "policy", 1, EVENT_FAILED, 200, 200 },
	[FAILURE_INTERNAL] = { "internal", 3, EVENT_EXHAUSTED, 1000, 30000 },
};

enum failure task_failure(int code)
{
	switch (code) {
#define ERROR(code, http, retry, category, title) case E_##code: return FAILURE_##category;
#include "common/errors.def"
#undef ERROR
	default: return FAILURE_INTERNAL;
	}
}

const char *task_failure_name(enum failure failure)
{
	return manners[failure].name;
}

enum task_event task_after(int code, int attempt, int attempts_max)
{
	const struct manner *manner = &manners[task_failure(code)];
	bool again = attempt < attempts_max && attempt < manner->attempts_most;
	return again ? EVENT_RETRY : manner->last;
}

/* splitmix64 (Steele, Lea, Flood 2014): a seed's next number. */
static uint64_t mix(uint64_t seed)
{
	seed += 0x9e3779b97f4a7c15u;
	seed = (seed ^ seed >> 30) * 0xbf58476d1ce4e5b9u;
	seed = (seed ^ seed >> 27) * 0x94d049bb133111ebu;
	return seed ^ seed >> 31;
}

/* Half of it is certain, half is jitter. */
static int64_t backoff(int64_t first_ms, int64_t most_ms, int attempt, uint64_t seed)
{
	int64_t ms = first_ms;
	for (int i = 2; i < attempt && ms < most_ms; i++)
		ms *= 2;
	if (ms > most_ms)
		ms = most_ms;
	return ms / 2 + (int64_t)(mix(seed + (uint64_t)attempt) % (uint64_t)(ms / 2 + 1));
}

int64_t task_backoff_ms(int code, int attempt, uint64_t seed)
{
	const struct manner *manner = &manners[task_failure(code)];
	return backoff(manner->first_ms, manner->most_ms, attempt, seed);
}

int64_t task_delay_ms(const struct limits *limits, int code, int attempt, uint64_t seed)
{
	const struct manner *manner = &manners[task_failure(code)];
	int64_t first_ms = limits->retry_first_ms ? limits->retry_first_ms : manner->first_ms;
	int64_t most_ms = limits->retry_most_ms ? limits->retry_most_ms : manner->most_ms;
	return backoff(first_ms, most_ms > first_ms ? most_ms : first_ms, attempt, seed);
}
