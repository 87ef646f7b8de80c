/* types.h - the worker's side of every task type: one row of api/tasks.def, one file t_NAME.c.
 * Half of it runs in the agent (struct run: has keys and the object store), half in the executor
 * (struct shop: has the engine and descriptors, and nothing else). */
#ifndef TYPES_H
#define TYPES_H

#include "api/tasks.h"

struct run;
struct shop;

struct task_side {
	/* Agent: puts into the job what the executor needs, descriptors included. */
	int (*open)(struct run *run, struct err *err);
	/* Executor: does it, and says what came of it in shop->result. */
	int (*work)(struct shop *shop, struct err *err);
	/* Agent: rows that the executor sent on the way; NULL: none are taken. */
	int (*rows)(struct run *run, const struct value *rows, struct err *err);
	/* Agent: makes what came of it durable and adds it to the report; NULL: nothing to do. */
	int (*seal)(struct run *run, struct err *err);
};

const struct task_side *task_side(enum task_type type);

#define TASK(id, name, action, FIELDS) extern const struct task_side name##_side;
#include "api/tasks.def"
#undef TASK

#endif
