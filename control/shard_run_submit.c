/* shard_run_submit.c - a run on its way in: all of its tasks reserve, or none does. */
#include "common/defs.h"
#include "control/runs_impl.h"

#include <string.h>

struct entering {
	struct shard *shard;
	const struct run_submission *submission;
	struct change *change;
	const char **ids;            /* of the tasks */
	struct amounts *reserves;
	struct run *run;
};

static int nomem(struct err *err)
{
	return err_set(err, E_NOMEM, "no memory for a run");
}

/* What the functions for single tasks want to know of the run. */
static struct submission whole(const struct run_submission *run)
{
	return (struct submission){
		.id = run->id, .tenant = run->tenant, .domain = run->domain,
		.principal = run->principal, .key = run->key, .body_hash = run->body_hash,
		.now_ms = run->now_ms,
	};
}

static int add_all(const struct entering *entering, struct amounts *ret_sum, struct err *err)
{
	const struct graph *graph = entering->submission->graph;
	memset(ret_sum, 0, sizeof *ret_sum);
	for (size_t i = 0; i < graph->count; i++) {
		entering->reserves[i] = admit_reserve(entering->shard, &graph->tasks[i].request);
		for (int dim = 0; dim < DIM_COUNT_; dim++)
			if (__builtin_add_overflow(ret_sum->v[dim], entering->reserves[i].v[dim],
			                           &ret_sum->v[dim]))
				return err_set(err, E_QUOTA, "the run asks for more than can be "
				               "counted");
	}
	return 0;
}

static int make_ids(const struct entering *entering, struct arena *arena, struct err *err)
{
	uint8_t random[10];
	char id[ID_LEN + 1];
	for (size_t i = 0; i < entering->submission->graph->count; i++) {
		random_bytes(random, sizeof random);
		id_make(entering->submission->now_ms, random, id);
		entering->ids[i] = arena_strdup(arena, id);
		if (!entering->ids[i])
			return nomem(err);
	}
	return 0;
}

/* --- its record --- */

static struct value *node_value(struct arena *arena, const struct graph_task *task, const char *id)
{
	struct value *map = value_map(arena), *deps = value_list(arena);
	for (size_t i = 0; deps && i < task->dep_count; i++) {
		struct value *dep = value_list(arena);
		value_add(dep, value_int(arena, (int64_t)task->deps[i].task));
		value_add(dep, value_int(arena, task->deps[i].on));
		value_add(deps, dep);
	}
	value_set_str(map, "name", task->name);
	value_set_str(map, "id", id);
	value_set(map, "deps", deps);
	return map;
}

static int add_record(const struct entering *entering, struct value **ret_record,
                      struct err *err)
{
	const struct run_submission *submission = entering->submission;
	struct arena *arena = change_arena(entering->change);
	struct value *record = record_new(arena, RECORD_RUN, submission->now_ms);
	struct value *tasks = value_list(arena);
	const char *name = NULL;
	TRY(value_check(record, err));
	value_set_str(record, "id", submission->id);
	value_set_str(record, "tenant", submission->tenant);
	value_set_str(record, "domain", submission->domain);
	value_set_str(record, "principal", submission->principal);
	value_set_str(record, "name", submission->name);
	value_set_str(record, "pipeline", submission->pipeline);
	if (submission->key) {
		value_set_str(record, "key", submission->key);
		value_set_bin(record, "key_hash", submission->body_hash, DIGEST_BYTES);
	}
	for (size_t i = 0; i < value_len(submission->also); i++) {
		const struct value *member = value_member(submission->also, i, &name);
		value_set(record, name, value_copy(arena, member));
	}
	for (size_t i = 0; i < submission->graph->count; i++)
		value_add(tasks, node_value(arena, &submission->graph->tasks[i],
		                            entering->ids[i]));
	value_set(record, "tasks", tasks);
	*ret_record = record;
	return change_record(entering->change, record, err);
}

/* --- in memory --- */

static void drop(struct shard *shard, struct run *run)
{
	admit_forget(shard, run->idem);
	if (run->kept == 0) {
		run_free(shard, run);
		return;
	}
	for (uint32_t i = 0, left = run->kept; left > 0; i++) {
		if (!run->nodes[i].task)
			continue;
		left--;                      /* the run goes with the last of them */
		task_drop(shard, run->nodes[i].task);
	}
}

static int add_tasks(const struct entering *entering, struct err *err)
{
	const struct run_submission *submission = entering->submission;
	for (size_t i = 0; i < submission->graph->count; i++) {
		struct task *task = NULL;
		const struct submission one = {
			.id = entering->ids[i], .tenant = submission->tenant,
			.domain = submission->domain, .principal = submission->principal,
			.request = &submission->graph->tasks[i].request,
			.now_ms = submission->now_ms, .run = submission->id, .node = i,
		};
		TRY(admit_task(entering->shard, &one, &entering->reserves[i], entering->change,
		               &task, err));
	}
	return 0;
}

static int enter(struct entering *entering, struct err *err)
{
	const struct submission asked = whole(entering->submission);
	struct amounts sum;
	struct value *record = NULL;
	TRY(add_all(entering, &sum, err));
	TRY(admit_quota(entering->shard, &asked, &sum, entering->submission->graph->count, err));
	TRY(add_record(entering, &record, err));
	TRY(run_make(entering->shard, record, &entering->run, err));
	int rc = add_tasks(entering, err);
	if (rc == 0)
		rc = admit_idem(entering->shard, &asked, &entering->run->idem, err);
	if (rc < 0)
		drop(entering->shard, entering->run);
	return rc;
}

int shard_submit_run(struct shard *shard, const struct run_submission *submission,
                     struct change *change, struct arena *arena, const char **ret_existing,
                     struct err *err)
{
	const struct submission asked = whole(submission);
	size_t count = submission->graph->count;
	struct entering entering = {
		.shard = shard, .submission = submission, .change = change,
		.ids = arena_alloc(arena, count * sizeof *entering.ids),
		.reserves = arena_alloc(arena, count * sizeof *entering.reserves),
	};
	*ret_existing = NULL;
	if (!entering.ids || !entering.reserves)
		return nomem(err);
	TRY(make_ids(&entering, arena, err));
	shard_lock(shard);
	int rc = admit_key(shard, &asked, arena, ret_existing, err);
	if (rc == 0 && !*ret_existing)
		rc = enter(&entering, err);
	shard_unlock(shard);
	return rc;
}

void shard_withdraw_run(struct shard *shard, const char *id)
{
	shard_lock(shard);
	struct run *run = run_find(shard, id);
	if (run && !run->durable)
		drop(shard, run);
	shard_unlock(shard);
}
