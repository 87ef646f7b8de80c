/* tasks.h - the task types, from tasks.def, and what every task may say besides its spec:
 * {"type": "ingest", "spec": {...}, "limits": {"deadline": "10m", "memoryBytes": N, "threads": N,
 * "cpuSeconds": N, "attempts": N, "retry": {"firstDelay": "1s", "mostDelay": "1m"}},
 * "placement": {"pool": "gpu", "selector": {"zone": "a"},
 * "priority": "high", "concurrencyKey": "nightly", "concurrency": 1, "notBefore":
 * "2026-01-31T08:00:00Z", "expires": "6h"}}. */
#ifndef TASKS_H
#define TASKS_H

#include "api/field.h"

enum task_type {
	TASK_NONE = -1,
#define TASK(id, name, action, FIELDS) TASK_##id,
#include "api/tasks.def"
#undef TASK
	TASK_COUNT_
};

struct task_info {
	const char *name;
	const struct field *fields;
	bool platform;               /* only control itself submits it */
};

extern const struct task_info task_info[TASK_COUNT_];
extern const struct field task_limit_fields[];

enum task_type task_by_name(const char *name);

/* What one attempt may take. */
struct limits {
	int64_t deadline_ms;         /* of one attempt, from its start */
	uint64_t memory_bytes;       /* of the executor */
	int threads;
	int64_t cpu_ms;              /* reserved at admission; a running attempt is ended at it */
	int attempts_max;
	int retry_first_ms, retry_most_ms;   /* delays before further attempts; 0: by failure */
};
void limits_default(struct limits *limits);     /* 10 min, 1 GiB, 2, 60 s, 3 */
/* Overwrites what the request says. E_INVALID out of bounds. */
MUST_USE int limits_read(const struct value *map, struct limits *limits, struct err *err);

/* Where and when it may run. A demand on a worker is limits.threads cores, limits.memory_bytes and
 * one slot. Texts point into the request. */
enum priority { PRIORITY_LOW, PRIORITY_NORMAL, PRIORITY_HIGH, PRIORITY_URGENT, PRIORITY_COUNT_ };
const char *priority_name(enum priority priority);
int priority_by_name(const char *name);         /* -1: none of them */

enum { LABELS_MAX = 16, LABEL_TEXT_MAX = 63, CONCURRENCY_MAX = 10000 };
struct placement {
	const char *pool;            /* "default" */
	const struct value *selector;        /* text to text; NULL: any worker of the pool */
	enum priority priority;
	const char *key;             /* concurrency key, within the tenant; NULL: none */
	int key_most;                /* tasks of that key that run at one time */
	int64_t not_before_ms;       /* unix; 0: at once */
	int64_t expires_ms;          /* after acceptance it ends, whatever it does; 0: never */
};
extern const struct field task_placement_fields[];
void placement_default(struct placement *placement);
MUST_USE int placement_read(const struct value *map, struct placement *placement, struct err *err);

/* Checks a whole request body. */
struct task_request {
	enum task_type type;
	const struct value *spec;
	struct limits limits;
	const struct value *place;   /* the request's placement as it came; NULL: none */
	struct placement placement;
};
MUST_USE int task_request_read(const struct value *body, struct task_request *ret_request,
                               struct err *err);

#endif
