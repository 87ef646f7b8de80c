/* shard_run.c - a run's graph in memory: who waits for whom, and what follows when one ends.
 * Invariants: open is the number of nodes whose task has not ended; a blocked task that was not
 * asked to end has a condition that may still hold. */
#include "common/defs.h"
#include "control/runs_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUN_ARENA_MAX = 8 * 1024 * 1024, EVENT_ARENA_MAX = 64 * 1024, NAMED_MAX = 3 };

struct run *run_find(const struct shard *shard, const char *id)
{
	struct hash_node *node = hashmap_find(&shard->runs, id);
	return node ? HASH_OWNER(node, struct run, by_id) : NULL;
}

enum task_state run_node_state(const struct run_node *node)
{
	return node->task ? node->task->state : (enum task_state)node->state;
}

/* --- from its record --- */

static int nomem(struct err *err)
{
	return err_set(err, E_NOMEM, "no memory for a run");
}

static int damaged(struct err *err)
{
	return err_set(err, E_CORRUPT, "a run's record lacks a member or names what it has not");
}

static int read_deps(struct run *run, struct run_node *node, const struct value *list,
                     struct err *err)
{
	size_t count = value_len(list);
	struct run_dep *deps = arena_alloc(run->arena, (count + 1) * sizeof *deps);
	if (!deps)
		return nomem(err);
	for (size_t i = 0; i < count; i++) {
		int64_t other = value_as_int(value_at(value_at(list, i), 0), -1);
		int64_t on = value_as_int(value_at(value_at(list, i), 1), -1);
		if (other < 0 || other >= run->count || on < ON_SUCCESS || on > ON_ALWAYS)
			return damaged(err);
		deps[i] = (struct run_dep){ (uint32_t)other, (uint8_t)on };
		run->nodes[other].out_count++;
	}
	node->deps = deps;
	node->dep_count = (uint32_t)count;
	return 0;
}

static int read_node(struct run *run, uint32_t i, const struct value *value, struct err *err)
{
	struct run_node *node = &run->nodes[i];
	const char *name = value_get_str(value, "name"), *id = value_get_str(value, "id");
	int state = task_state_by_name(value_get_str(value, "state"));
	if (!name || !id || strlen(id) != ID_LEN)
		return damaged(err);
	node->run = run;
	node->name = arena_strdup(run->arena, name);
	memcpy(node->id, id, sizeof node->id);
	node->state = state >= 0 ? (uint8_t)state : STATE_ACCEPTED;
	node->skipped = value_get_bool(value, "skipped", false);
	run->open += !task_state_final((enum task_state)node->state);
	return node->name ? read_deps(run, node, value_get(value, "deps"), err) : nomem(err);
}

static int turn_round(struct run *run, struct err *err)
{
	uint32_t **fill = arena_alloc(run->arena, (run->count + 1u) * sizeof *fill);
	if (!fill)
		return nomem(err);
	for (uint32_t i = 0; i < run->count; i++) {
		fill[i] = arena_alloc(run->arena, (run->nodes[i].out_count + 1u) * sizeof **fill);
		if (!fill[i])
			return nomem(err);
		run->nodes[i].outs = fill[i];
	}
	for (uint32_t i = 0; i < run->count; i++)
		for (uint32_t j = 0; j < run->nodes[i].dep_count; j++)
			*fill[run->nodes[i].deps[j].node]++ = i;
	return 0;
}

static int read_nodes(struct run *run, const struct value *list, struct err *err)
{
	size_t count = value_len(list);
	if (count < 1 || count > GRAPH_TASKS_MAX)
		return damaged(err);
	run->count = (uint32_t)count;
	run->nodes = arena_alloc(run->arena, count * sizeof *run->nodes);
	run->ended = arena_alloc(run->arena, count * sizeof *run->ended);
	if (!run->nodes || !run->ended)
		return nomem(err);
	for (uint32_t i = 0; i < run->count; i++)
		TRY(read_node(run, i, value_at(list, i), err));
	return turn_round(run, err);
}

/* NULL stays NULL. */
static int keep_text(struct run *run, const struct value *record, const char *member,
                     const char **ret_text, struct err *err)
{
	const char *text = value_get_str(record, member);
	*ret_text = text ? arena_strdup(run->arena, text) : NULL;
	return text && !*ret_text ? nomem(err) : 0;
}

static int read_also(struct run *run, const struct value *record, struct err *err)
{
	static const char *const members[] = { "interval", "schedule", "backfill", "purpose",
		                               "reader" };
	struct value *also = value_map(run->arena);
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		if (value_get(record, members[i]))
			value_set(also, members[i],
			          value_copy(run->arena, value_get(record, members[i])));
	run->also = also;
	return value_check(also, err);
}

static int read_run(struct run *run, const struct value *record, struct err *err)
{
	TRY(keep_text(run, record, "id", &run->id, err));
	TRY(keep_text(run, record, "domain", &run->domain, err));
	TRY(keep_text(run, record, "principal", &run->principal, err));
	TRY(keep_text(run, record, "name", &run->name, err));
	TRY(keep_text(run, record, "pipeline", &run->pipeline, err));
	if (!run->id || strlen(run->id) != ID_LEN || !run->domain || !run->principal)
		return damaged(err);
	TRY(read_also(run, record, err));
	run->accepted_ms = value_get_int(record, "at", 0);
	run->cancel = value_get_bool(record, "cancel", false);
	run->version = value_get_int(record, "version", 0);
	return read_nodes(run, value_get(record, "tasks"), err);
}

static void link_run(struct account *account, struct run *run)
{
	run->account = account;
	run->older = account->newest_run;
	if (account->newest_run)
		account->newest_run->newer = run;
	account->newest_run = run;
}

int run_make(struct shard *shard, const struct value *record, struct run **ret_run,
             struct err *err)
{
	AUTO(arena) *arena = NULL;
	struct account *account = NULL;
	const char *tenant = value_get_str(record, "tenant");
	if (!tenant)
		return damaged(err);
	TRY(account_get(shard, tenant, &account, err));
	TRY(arena_new(RUN_ARENA_MAX, &arena, err));
	struct run *run = arena_alloc(arena, sizeof *run);
	if (!run)
		return nomem(err);
	run->arena = arena;
	TRY(read_run(run, record, err));
	if (!hashmap_add(&shard->runs, &run->by_id, run->id))
		return nomem(err);
	(void)MOVE(arena);
	link_run(account, run);
	*ret_run = run;
	return 0;
}

void run_free(struct shard *shard, struct run *run)
{
	hashmap_remove(&shard->runs, &run->by_id);
	for (uint32_t i = 0; i < run->count; i++)
		if (run->nodes[i].task)
			run->nodes[i].task->node = NULL;
	if (run->newer)
		run->newer->older = run->older;
	else
		run->account->newest_run = run->older;
	if (run->older)
		run->older->newer = run->newer;
	arena_free(run->arena);
}

void run_attach(struct run *run, uint32_t node, struct task *task)
{
	run->nodes[node].task = task;
	task->node = &run->nodes[node];
	run->kept++;
}

void run_forget(struct shard *shard, struct task *task)
{
	struct run_node *node = task->node;
	if (!node)
		return;
	struct run *run = node->run;
	node->state = (uint8_t)task->state;
	node->task = NULL;
	task->node = NULL;
	if (--run->kept == 0)
		run_free(shard, run);
}

/* --- what it has come to --- */

const char *run_state(const struct run *run)
{
	bool failed = false, cancelled = false, begun = false;
	for (uint32_t i = 0; i < run->count; i++) {
		enum task_state state = run_node_state(&run->nodes[i]);
		failed |= state == STATE_FAILED || state == STATE_DEAD;
		cancelled |= state == STATE_CANCELLED && !run->nodes[i].skipped;
		begun |= state >= STATE_RUNNING;
	}
	if (run->open > 0)
		return begun ? "running" : "queued";
	return failed ? "failed" : cancelled ? "cancelled" : "succeeded";
}

enum verdict { WAITS, READY, NEVER };

static bool holds(enum task_state state, uint8_t on)
{
	switch ((enum graph_on)on) {
	case ON_SUCCESS: return state == STATE_SUCCEEDED;
	case ON_FAILURE: return state == STATE_FAILED || state == STATE_DEAD;
	case ON_ALWAYS: return true;
	}
	return false;
}

/* ret_because: the dependency that says never. */
static enum verdict judge(const struct run_node *node, const struct run_dep **ret_because)
{
	enum verdict verdict = READY;
	for (uint32_t i = 0; i < node->dep_count; i++) {
		const struct run_dep *dep = &node->deps[i];
		enum task_state state = run_node_state(&node->run->nodes[dep->node]);
		if (!task_state_final(state)) {
			verdict = WAITS;
		} else if (!holds(state, dep->on)) {
			*ret_because = dep;
			return NEVER;
		}
	}
	return verdict;
}

bool run_blocks(const struct task *task)
{
	const struct run_dep *because = NULL;
	return task->node && judge(task->node, &because) != READY;
}

/* --- what follows --- */

/* As the event of any other task's end; it follows from records, so a replay finds it as well. */
static int tell_audit(struct shard *shard, struct task *task, int64_t at_ms, struct err *err)
{
	AUTO(arena) *arena = NULL;
	TRY(arena_new(EVENT_ARENA_MAX, &arena, err));
	struct value *event = record_new(arena, RECORD_AUDIT, at_ms);
	TRY(value_check(event, err));
	value_set_str(event, "tenant", task->account->name);
	value_set_str(event, "actor", "system");
	value_set_str(event, "action", "task:outcome");
	value_set_str(event, "resource", task->id);
	value_set_str(event, "result", "cancelled");
	value_set_str(event, "task", task->id);
	TRY(value_check(event, err));
	return audit_append(shard, task->account, event, err);
}

static int skip(struct shard *shard, struct run_node *node, const struct run_dep *because,
                int64_t at_ms, struct err *err)
{
	const struct run_node *other = &node->run->nodes[because->node];
	enum task_state state = run_node_state(other);
	char text[160];
	snprintf(text, sizeof text, "%s %s%s, and it wanted a %s", other->name,
	         state == STATE_CANCELLED ? "was " : state == STATE_DEAD ? "is " : "",
	         task_state_name(state), graph_on_name((enum graph_on)because->on));
	TRY(task_set_text(node->task, text, err));
	TRY(task_become(shard, node->task, EVENT_CANCELLED, at_ms, err));
	TRY(tell_audit(shard, node->task, at_ms, err));
	node->skipped = true;
	return task_retire(shard, node->task, at_ms, err);
}

/* A node whose dependencies may have moved. What was asked to end waits for its own outcome. */
static int look(struct shard *shard, struct run_node *node, int64_t at_ms, struct err *err)
{
	const struct run_dep *because = NULL;
	struct task *task = node->task;
	if (!task || !task->durable || task->state != STATE_BLOCKED || task->cancel)
		return 0;
	enum verdict verdict = judge(node, &because);
	if (verdict == NEVER)
		return skip(shard, node, because, at_ms, err);
	if (verdict == WAITS)
		return 0;
	TRY(task_become(shard, task, EVENT_UNBLOCKED, at_ms, err));
	task_wait_in_line(shard, task, false);
	task_moved(shard, task);
	return 0;
}

static int tell(struct shard *shard, struct run *run, int64_t at_ms, struct err *err)
{
	while (run->ended_count > 0) {
		const struct run_node *node = &run->nodes[run->ended[--run->ended_count]];
		for (uint32_t i = 0; i < node->out_count; i++)
			TRY(look(shard, &run->nodes[node->outs[i]], at_ms, err));
	}
	return 0;
}

static void end_run(struct shard *shard, struct run *run, int64_t at_ms)
{
	run->ended_ms = at_ms;
	run->version++;
	interval_ended(shard, run->id, strcmp(run_state(run), "succeeded") == 0, at_ms);
}

/* Cascades go through run->ended instead of the stack: a chain may be a thousand long. */
int run_follow(struct shard *shard, struct task *task, int64_t at_ms, struct err *err)
{
	struct run_node *node = task->node;
	if (!node)
		return 0;
	struct run *run = node->run;
	if (!task_state_final(task->state))
		return look(shard, node, at_ms, err);
	run->open--;
	run->ended[run->ended_count++] = (uint32_t)(node - run->nodes);
	if (run->telling)
		return 0;
	run->telling = true;
	int rc = tell(shard, run, at_ms, err);
	run->telling = false;
	if (rc == 0 && run->open == 0)
		end_run(shard, run, at_ms);
	return rc;
}

/* --- in words, and for a checkpoint --- */

const char *run_blocked_by(struct arena *arena, const struct task *task)
{
	const struct run_node *node = task->node;
	const char *text = "waits for";
	uint32_t named = 0, more = 0;
	for (uint32_t i = 0; node && text && i < node->dep_count; i++) {
		const struct run_node *other = &node->run->nodes[node->deps[i].node];
		if (task_state_final(run_node_state(other)))
			continue;
		if (named == NAMED_MAX)
			more++;
		else
			text = arena_printf(arena, "%s%s %s", text, named ? "," : "", other->name);
		named += named < NAMED_MAX;
	}
	return more && text ? arena_printf(arena, "%s and %u more", text, more) : text;
}

static struct value *node_value(struct arena *arena, const struct run_node *node)
{
	struct value *map = value_map(arena), *deps = value_list(arena);
	for (uint32_t i = 0; deps && i < node->dep_count; i++) {
		struct value *dep = value_list(arena);
		value_add(dep, value_int(arena, node->deps[i].node));
		value_add(dep, value_int(arena, node->deps[i].on));
		value_add(deps, dep);
	}
	value_set_str(map, "name", node->name);
	value_set_str(map, "id", node->id);
	value_set(map, "deps", deps);
	if (!node->task)
		value_set_str(map, "state", task_state_name((enum task_state)node->state));
	if (node->skipped)
		value_set_bool(map, "skipped", true);
	return map;
}

struct value *run_record(struct arena *arena, const struct run *run)
{
	struct value *record = record_new(arena, RECORD_RUN, run->accepted_ms);
	struct value *tasks = value_list(arena);
	const char *name = NULL;
	if (!record || !tasks)
		return NULL;
	value_set_str(record, "id", run->id);
	value_set_str(record, "tenant", run->account->name);
	value_set_str(record, "domain", run->domain);
	value_set_str(record, "principal", run->principal);
	value_set_str(record, "name", run->name);
	value_set_str(record, "pipeline", run->pipeline);
	if (run->cancel)
		value_set_bool(record, "cancel", true);
	if (run->version)
		value_set_int(record, "version", run->version);
	for (size_t i = 0; i < value_len(run->also); i++) {
		const struct value *member = value_member(run->also, i, &name);
		value_set(record, name, value_copy(arena, member));
	}
	for (uint32_t i = 0; i < run->count; i++)
		value_add(tasks, node_value(arena, &run->nodes[i]));
	value_set(record, "tasks", tasks);
	return record;
}
