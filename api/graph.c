/* graph.c - reads a run's graph: names first, then each task, then what depends on what. */
#include "common/defs.h"
#include "api/graph.h"

#include "common/text.h"

#include <stdio.h>
#include <string.h>

#define FIELD_END { FIELD_TEXT, false, NULL, NULL, NULL, NULL }

static const char *const on_names[] = { "success", "failure", "always" };

const struct field graph_dependency_fields[] = {
	{ FIELD_NAME, true, "task", NULL, NULL, "another task of the run, by its name" },
	{ FIELD_ENUM, false, "on", "success|failure|always", NULL,
	  "how that one must have ended; default success; failure: failed or dead" },
	FIELD_END
};

const struct field graph_task_fields[] = {
	{ FIELD_NAME, true, "name", NULL, NULL, "unique in the run" },
	{ FIELD_TEXT, true, "type", "64", NULL, "the task type, for example ingest" },
	{ FIELD_OBJECT, false, "spec", NULL, NULL, "what to do, by type" },
	{ FIELD_OBJECT, false, "limits", NULL, task_limit_fields, "what an attempt may take" },
	{ FIELD_OBJECT, false, "placement", NULL, task_placement_fields,
	  "where and when it may run" },
	{ FIELD_OBJECTS, false, "dependsOn", NULL, graph_dependency_fields,
	  "what it waits for; absent: nothing" },
	FIELD_END
};

const struct field run_request_fields[] = {
	{ FIELD_NAME, false, "name", NULL, NULL, "of the run, for people" },
	{ FIELD_NAME, false, "pipeline", NULL, NULL, "the Pipeline to run; else tasks" },
	{ FIELD_OBJECTS, false, "tasks", NULL, graph_task_fields,
	  "the tasks to run, at most 1000; else pipeline" },
	FIELD_END
};

const char *graph_on_name(enum graph_on on)
{
	return on_names[on];
}

int graph_on_by_name(const char *name)
{
	if (!name)
		return ON_SUCCESS;
	for (int i = 0; i < (int)ARRAY_LEN(on_names); i++)
		if (strcmp(name, on_names[i]) == 0)
			return i;
	return -1;
}

/* --- reading --- */

struct reading {
	struct arena *arena;
	const struct value *list;
	const char *path;
	const char **names;
	struct graph_task *tasks;
	size_t count, deps;
};

static int nomem(struct err *err)
{
	return err_set(err, E_NOMEM, "no memory for a run's graph");
}

static int read_names(struct reading *reading, struct err *err)
{
	char item[160];
	for (size_t i = 0; i < reading->count; i++) {
		const struct value *task = value_at(reading->list, i);
		snprintf(item, sizeof item, "%s[%zu]", reading->path, i);
		TRY(fields_check(graph_task_fields, task, item, err));
		reading->names[i] = value_get_str(task, "name");
		for (size_t j = 0; j < i; j++)
			if (strcmp(reading->names[i], reading->names[j]) == 0)
				return err_set(err, E_INVALID, "%s.name: %s is the name of "
				               "%s[%zu] too; each needs its own", item,
				               reading->names[i], reading->path, j);
		reading->tasks[i].name = reading->names[i];
	}
	return 0;
}

static int read_request(struct reading *reading, size_t i, struct err *err)
{
	static const char *const members[] = { "type", "spec", "limits", "placement" };
	const struct value *task = value_at(reading->list, i);
	struct value *body = value_map(reading->arena);
	for (size_t j = 0; j < ARRAY_LEN(members); j++) {
		const struct value *member = value_get(task, members[j]);
		if (member)
			value_set(body, members[j], value_copy(reading->arena, member));
	}
	TRY(value_check(body, err));
	if (task_request_read(body, &reading->tasks[i].request, err) < 0)
		return err_prefix(err, "%s[%zu]", reading->path, i);
	return 0;
}

static bool find_task(const struct reading *reading, const char *name, size_t *ret_task)
{
	for (size_t i = 0; i < reading->count; i++) {
		if (strcmp(reading->names[i], name) != 0)
			continue;
		*ret_task = i;
		return true;
	}
	return false;
}

static int read_dep(const struct reading *reading, size_t i, size_t j, const struct value *value,
                    struct graph_dep *dep, struct err *err)
{
	const char *name = value_get_str(value, "task");
	dep->on = (enum graph_on)graph_on_by_name(value_get_str(value, "on"));
	if (find_task(reading, name, &dep->task))
		return 0;
	const char *near = name_nearest(name, reading->names, reading->count);
	return err_set(err, E_INVALID, "%s[%zu].dependsOn[%zu].task: the run has no task %s%s%s%s",
	               reading->path, i, j, name, near ? "; did you mean " : "",
	               near ? near : "", near ? "?" : "");
}

static int read_deps(struct reading *reading, size_t i, struct err *err)
{
	const struct value *list = value_get(value_at(reading->list, i), "dependsOn");
	size_t count = value_len(list);
	reading->deps += count;
	if (reading->deps > GRAPH_DEPS_MAX)
		return err_set(err, E_INVALID, "%s: have over %d dependencies together, which is "
		               "the most; split the run", reading->path, GRAPH_DEPS_MAX);
	if (count == 0)
		return 0;
	struct graph_dep *deps = arena_alloc(reading->arena, count * sizeof *deps);
	if (!deps)
		return nomem(err);
	for (size_t j = 0; j < count; j++) {
		TRY(read_dep(reading, i, j, value_at(list, j), &deps[j], err));
		for (size_t k = 0; k < j; k++)
			if (deps[k].task == deps[j].task)
				return err_set(err, E_INVALID, "%s[%zu].dependsOn[%zu].task: %s is "
				               "named twice; one condition is enough",
				               reading->path, i, j,
				               reading->names[deps[j].task]);
	}
	reading->tasks[i].deps = deps;
	reading->tasks[i].dep_count = count;
	return 0;
}

/* --- cycles --- */

/* Takes away what waits for nothing that is left, until nothing more can be. What is
 * left then waits for itself, directly or not. */
static size_t take_away(const struct reading *reading, bool *gone)
{
	size_t left = reading->count;
	for (bool moved = true; moved;) {
		moved = false;
		for (size_t i = 0; i < reading->count; i++) {
			const struct graph_task *task = &reading->tasks[i];
			bool ready = !gone[i];
			for (size_t j = 0; ready && j < task->dep_count; j++)
				ready = gone[task->deps[j].task];
			if (!ready)
				continue;
			gone[i] = moved = true;
			left--;
		}
	}
	return left;
}

static size_t step_back(const struct reading *reading, const bool *gone, size_t at)
{
	const struct graph_task *task = &reading->tasks[at];
	for (size_t i = 0; i < task->dep_count; i++)
		if (!gone[task->deps[i].task])
			return task->deps[i].task;
	return at;
}

/* Of what is left each waits for another that is left: going back comes round. */
static int name_cycle(const struct reading *reading, const bool *gone, struct err *err)
{
	char path[256] = "";
	size_t at = 0, used = 0;
	while (gone[at])
		at++;
	for (size_t i = 0; i < reading->count; i++)
		at = step_back(reading, gone, at);
	size_t first = at;
	do {
		int n = snprintf(path + used, sizeof path - used, "%s -> ", reading->names[at]);
		used += n > 0 && used + (size_t)n < sizeof path - 8 ? (size_t)n : 0;
		at = step_back(reading, gone, at);
	} while (at != first);
	snprintf(path + used, sizeof path - used, "%s", reading->names[first]);
	return err_set(err, E_INVALID, "%s: %s is a cycle, in which each waits for the next; take "
	               "one of these dependencies away", reading->path, path);
}

static int check_cycles(const struct reading *reading, struct err *err)
{
	bool *gone = arena_alloc(reading->arena, reading->count * sizeof *gone);
	if (!gone)
		return nomem(err);
	return take_away(reading, gone) > 0 ? name_cycle(reading, gone, err) : 0;
}

int graph_read(struct arena *arena, const struct value *tasks, const char *path,
               struct graph *ret_graph, struct err *err)
{
	struct reading reading = {
		.arena = arena, .list = tasks, .path = path, .count = value_len(tasks),
	};
	if (reading.count < 1 || reading.count > GRAPH_TASKS_MAX)
		return err_set(err, E_INVALID, "%s: names %zu tasks; a run has 1 to %d", path,
		               reading.count, GRAPH_TASKS_MAX);
	reading.names = arena_alloc(arena, reading.count * sizeof *reading.names);
	reading.tasks = arena_alloc(arena, reading.count * sizeof *reading.tasks);
	if (!reading.names || !reading.tasks)
		return nomem(err);
	TRY(read_names(&reading, err));
	for (size_t i = 0; i < reading.count; i++) {
		TRY(read_request(&reading, i, err));
		TRY(read_deps(&reading, i, err));
	}
	TRY(check_cycles(&reading, err));
	*ret_graph = (struct graph){ .tasks = reading.tasks, .count = reading.count };
	return 0;
}
