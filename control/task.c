/* task.c - one task's life as a table: which event leads where. */
#include "common/defs.h"
#include "control/task.h"

enum { BACKOFF_FIRST_MS = 200, BACKOFF_MOST_MS = 30000 };

static const char *const state_names[] = {
	[STATE_QUEUED] = "queued", [STATE_RUNNING] = "running", [STATE_SUCCEEDED] = "succeeded",
	[STATE_FAILED] = "failed", [STATE_CANCELLED] = "cancelled",
};

static const char *const event_names[] = {
	[EVENT_ASSIGNED] = "assigned", [EVENT_RETRY] = "to be retried", [EVENT_LOST] = "lost",
	[EVENT_SUCCEEDED] = "succeeded", [EVENT_FAILED] = "failed", [EVENT_CANCELLED] = "cancelled",
};

struct move {
	enum task_state from;
	enum task_event event;
	enum task_state to;
};

static const struct move moves[] = {
	{ STATE_QUEUED,  EVENT_ASSIGNED,  STATE_RUNNING },
	{ STATE_QUEUED,  EVENT_CANCELLED, STATE_CANCELLED },
	{ STATE_RUNNING, EVENT_RETRY,     STATE_QUEUED },
	{ STATE_RUNNING, EVENT_LOST,      STATE_QUEUED },
	{ STATE_RUNNING, EVENT_SUCCEEDED, STATE_SUCCEEDED },
	{ STATE_RUNNING, EVENT_FAILED,    STATE_FAILED },
	{ STATE_RUNNING, EVENT_CANCELLED, STATE_CANCELLED },
};

const char *task_state_name(enum task_state state)
{
	return state_names[state];
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

/* A moved snapshot (E_CONFLICT) is worth another attempt: it reads the new one. */
bool task_may_retry(int code, int attempt, int attempts_max)
{
	return attempt < attempts_max && (err_retryable(code) || code == E_CONFLICT);
}

/* splitmix64 (Steele, Lea, Flood 2014): a seed's next number. */
static uint64_t mix(uint64_t seed)
{
	seed += 0x9e3779b97f4a7c15u;
	seed = (seed ^ seed >> 30) * 0xbf58476d1ce4e5b9u;
	seed = (seed ^ seed >> 27) * 0x94d049bb133111ebu;
	return seed ^ seed >> 31;
}

int64_t task_backoff_ms(int attempt, uint64_t seed)
{
	int64_t most = BACKOFF_FIRST_MS;
	for (int i = 2; i < attempt && most < BACKOFF_MOST_MS; i++)
		most *= 2;
	if (most > BACKOFF_MOST_MS)
		most = BACKOFF_MOST_MS;
	return most / 2 + (int64_t)(mix(seed + (uint64_t)attempt) % (uint64_t)(most / 2 + 1));
}
