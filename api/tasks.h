/* tasks.h - the task types, from tasks.def, and what every task may say besides its spec:
 * {"type": "ingest", "spec": {...}, "limits": {"deadline": "10m", "memoryBytes": N, "threads": N,
 * "cpuSeconds": N, "attempts": N}}. */
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
};
void limits_default(struct limits *limits);     /* 10 min, 1 GiB, 2, 60 s, 3 */
/* Overwrites what the request says. E_INVALID out of bounds. */
MUST_USE int limits_read(const struct value *map, struct limits *limits, struct err *err);

/* Checks a whole request body. */
struct task_request {
	enum task_type type;
	const struct value *spec;
	struct limits limits;
};
MUST_USE int task_request_read(const struct value *body, struct task_request *ret_request,
                               struct err *err);

#endif
