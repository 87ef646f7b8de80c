/* graph.h - a run's tasks and what each waits for, as a client or a Pipeline says it:
 * {"tasks": [{"name": "load", "type": "ingest", "spec": {...}, "limits": {...}, "placement": {...},
 * "dependsOn": [{"task": "extract", "on": "success"}]}]}. */
#ifndef GRAPH_H
#define GRAPH_H

#include "api/tasks.h"

enum { GRAPH_TASKS_MAX = 1000, GRAPH_DEPS_MAX = 10000 };

/* What the other must have come to. Cancelled is neither success nor failure. */
enum graph_on { ON_SUCCESS, ON_FAILURE, ON_ALWAYS };
const char *graph_on_name(enum graph_on on);
int graph_on_by_name(const char *name);          /* -1: none of them; NULL: ON_SUCCESS */

struct graph_dep {
	size_t task;                 /* index into the graph's tasks */
	enum graph_on on;
};
struct graph_task {
	const char *name;
	struct task_request request;
	const struct graph_dep *deps;
	size_t dep_count;
};
/* Lies in an arena and points into what was read. */
struct graph {
	struct graph_task *tasks;
	size_t count;
};

extern const struct field graph_dependency_fields[];
extern const struct field graph_task_fields[];   /* of one of tasks */
extern const struct field run_request_fields[];  /* {name, pipeline} or {name, tasks} */

/* tasks: the list; path: its name in errors ("spec.tasks"). E_INVALID names what is wrong: an
 * unknown dependency with the nearest name, a name used twice, a cycle by its path, a task's own
 * members. */
MUST_USE int graph_read(struct arena *arena, const struct value *tasks, const char *path,
                        struct graph *ret_graph, struct err *err);

#endif
