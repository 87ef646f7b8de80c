/* shard_run_read.c - what clients may see of runs. Everything is copied into the caller's arena
 * while the lock is held. */
#include "common/defs.h"
#include "control/runs_impl.h"

#include <string.h>

enum { PAGE_MAX = 1000 };

static void set_time(struct value *map, const char *name, int64_t unix_ms)
{
	char text[TIME_TEXT_MAX];
	if (unix_ms > 0)
		value_set_str(map, name, time_print_ms(unix_ms, text));
}

static struct value *counts(struct arena *arena, const struct run *run)
{
	struct value *map = value_map(arena);
	size_t by_state[STATE_DEAD + 1] = { 0 };
	for (uint32_t i = 0; i < run->count; i++)
		by_state[run_node_state(&run->nodes[i])]++;
	for (int state = 0; map && state <= STATE_DEAD; state++)
		if (by_state[state] > 0)
			value_set_int(map, task_state_name((enum task_state)state),
			              (int64_t)by_state[state]);
	return map;
}

static struct value *deps_value(struct arena *arena, const struct run_node *node)
{
	struct value *list = value_list(arena);
	for (uint32_t i = 0; list && i < node->dep_count; i++) {
		struct value *map = value_map(arena);
		if (!map)
			return NULL;
		value_set_str(map, "task", node->run->nodes[node->deps[i].node].name);
		value_set_str(map, "on", graph_on_name((enum graph_on)node->deps[i].on));
		value_add(list, map);
	}
	return list;
}

static void set_task(const struct shard *shard, struct value *map, struct arena *arena,
                     const struct task *task)
{
	value_set_str(map, "type", task_info[task->type].name);
	value_set_int(map, "attempt", task->attempts - task->forgiven +
	              (task->state == STATE_RUNNING));
	value_set_str(map, "reason", task_reason(shard, arena, task));
	set_time(map, "startedAt", task->started_ms);
	set_time(map, "endedAt", task->ended_ms);
	if (task->code)
		value_set_str(map, "code", err_name(task->code));
	if (task->code)
		value_set_str(map, "text", task->text);
}

static struct value *node_value(const struct shard *shard, struct arena *arena,
                                const struct run_node *node)
{
	struct value *map = value_map(arena);
	if (!map)
		return NULL;
	value_set_str(map, "name", node->name);
	value_set_str(map, "id", node->id);
	value_set_str(map, "state", task_state_name(run_node_state(node)));
	if (node->skipped)
		value_set_bool(map, "skipped", true);
	if (node->task)
		set_task(shard, map, arena, node->task);
	if (node->dep_count > 0)
		value_set(map, "dependsOn", deps_value(arena, node));
	return map;
}

static struct value *run_value(const struct shard *shard, struct arena *arena,
                               const struct run *run, bool whole)
{
	struct value *map = value_map(arena), *tasks = value_list(arena);
	const char *name = NULL;
	if (!map || !tasks)
		return NULL;
	value_set_str(map, "id", run->id);
	value_set_str(map, "tenant", run->account->name);
	value_set_str(map, "domain", run->domain);
	value_set_str(map, "name", run->name);
	value_set_str(map, "pipeline", run->pipeline);
	value_set_str(map, "principal", run->principal);
	value_set_str(map, "state", run_state(run));
	if (run->cancel && run->open > 0)
		value_set_bool(map, "cancelRequested", true);
	set_time(map, "acceptedAt", run->accepted_ms);
	set_time(map, "endedAt", run->ended_ms);
	for (size_t i = 0; i < value_len(run->also); i++) {
		const struct value *member = value_member(run->also, i, &name);
		if (strcmp(name, "reader") != 0)
			value_set(map, name, value_copy(arena, member));
	}
	value_set_int(map, "count", run->count);
	value_set(map, "counts", counts(arena, run));
	value_set_int(map, "version", run->version);
	for (uint32_t i = 0; whole && i < run->count; i++)
		value_add(tasks, node_value(shard, arena, &run->nodes[i]));
	if (whole)
		value_set(map, "tasks", tasks);
	return map;
}

static bool belongs(const struct run *run, const char *tenant, const char *domain)
{
	return run->durable && strcmp(run->account->name, tenant) == 0 &&
		(!domain || strcmp(run->domain, domain) == 0);
}

static struct value *read_run(struct shard *shard, struct arena *arena, const char *tenant,
                              const char *domain, const char *id, bool whole)
{
	struct value *map = NULL;
	shard_lock(shard);
	const struct run *run = run_find(shard, id);
	if (run && belongs(run, tenant, domain))
		map = run_value(shard, arena, run, whole);
	shard_unlock(shard);
	return map;
}

struct value *shard_run(struct shard *shard, struct arena *arena, const char *tenant,
                        const char *domain, const char *id)
{
	return read_run(shard, arena, tenant, domain, id, true);
}

struct value *shard_run_brief(struct shard *shard, struct arena *arena, const char *tenant,
                              const char *domain, const char *id)
{
	return read_run(shard, arena, tenant, domain, id, false);
}

void shard_run_wait(struct shard *shard, const char *id, int64_t after, int64_t deadline_mono_ms)
{
	shard_lock(shard);
	for (;;) {
		const struct run *run = run_find(shard, id);
		if (!run || run->version > after || run->ended_ms)
			break;
		if (!clock_wait(shard->clock, &shard->changed, &shard->mutex, deadline_mono_ms))
			break;
	}
	shard_unlock(shard);
}

static int list_from(const struct shard *shard, struct arena *arena, const struct run *run,
                     const char *domain, const char *state, size_t limit, struct value *list,
                     bool *ret_more, struct err *err)
{
	for (; run; run = run->older) {
		if (!run->durable || (domain && strcmp(run->domain, domain) != 0) ||
		    (state && strcmp(run_state(run), state) != 0))
			continue;
		if (value_len(list) == limit) {
			*ret_more = true;
			return 0;
		}
		value_add(list, run_value(shard, arena, run, false));
		TRY(value_check(list, err));
	}
	return 0;
}

int shard_runs(struct shard *shard, struct arena *arena, const char *tenant, const char *domain,
               const char *state, const char *before, size_t limit, struct value **ret_list,
               bool *ret_more, struct err *err)
{
	struct value *list = value_list(arena);
	bool more = false;
	size_t most = limit > 0 && limit < PAGE_MAX ? limit : PAGE_MAX;
	int rc = value_check(list, err);
	TRY(rc);
	shard_lock(shard);
	const struct account *account = account_find(shard, tenant);
	const struct run *last = before ? run_find(shard, before) : NULL;
	if (before && (!last || !belongs(last, tenant, domain)))
		rc = err_set(err, E_INVALID, "continue is not a token of this list, or that run is "
		             "no longer kept; begin the list again");
	const struct run *first = last ? last->older : account ? account->newest_run : NULL;
	if (rc == 0)
		rc = list_from(shard, arena, first, domain, state, most, list, &more, err);
	shard_unlock(shard);
	TRY(rc);
	*ret_list = list;
	*ret_more = more;
	return 0;
}

int shard_run_ending(struct shard *shard, struct arena *arena, const char *id,
                     struct value **ret_ids, struct err *err)
{
	struct value *list = value_list(arena);
	TRY(value_check(list, err));
	shard_lock(shard);
	const struct run *run = run_find(shard, id);
	for (uint32_t i = 0; run && i < run->count; i++) {
		const struct task *task = run->nodes[i].task;
		if (task && task->cancel && task->state == STATE_RUNNING)
			value_add_str(list, task->id);
	}
	shard_unlock(shard);
	if (!run)
		return err_set(err, E_NOT_FOUND, "there is no such run");
	*ret_ids = list;
	return value_check(list, err);
}
