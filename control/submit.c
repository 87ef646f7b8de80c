/* submit.c - a task or a run on its way in: what it refers to is there, its quota is reserved, its
 * records are in the change. */
#include "common/defs.h"
#include "control/submit.h"

#include "api/graph.h"
#include "common/crypto.h"
#include "common/text.h"
#include "control/refs.h"
#include "control/shard_run.h"

#include <string.h>

/* --- references --- */

struct look {
	struct part *part;
	const struct submit *submit;
};

static int must_exist(void *context, const struct ref *ref, struct err *err)
{
	const struct look *look = context;
	char key[STORE_KEY_MAX];
	catalog_key(key, ref->kind, look->submit->tenant, ref->domain, ref->name);
	if (catalog_has(look->part->control->catalog, key))
		return 0;
	return err_set(err, E_NOT_FOUND, "%s: there is no %s %s in the domain %s; apply it first",
	               ref->path, kind_info[ref->kind].name, ref->name, ref->domain);
}

static int check_refs(struct part *part, const struct submit *submit,
                      const struct task_request *request, struct err *err)
{
	struct look look = { part, submit };
	return refs_visit(task_info[request->type].fields, request->spec, "spec", submit->domain,
	                  must_exist, &look, err);
}

/* --- what goes with it --- */

static void set_time(struct value *map, const char *name, int64_t unix_ms)
{
	char text[TIME_TEXT_MAX];
	value_set_str(map, name, time_print_ms(unix_ms, text));
}

/* {interval, schedule, backfill, purpose, reader}; empty: nothing of these. */
static int origin(const struct submit *submit, struct arena *arena, struct value **ret_also,
                  struct err *err)
{
	struct value *also = value_map(arena);
	TRY(value_check(also, err));
	if (submit->interval) {
		struct value *interval = value_map(arena);
		TRY(value_check(interval, err));
		set_time(interval, "from", submit->interval->from_ms);
		set_time(interval, "to", submit->interval->to_ms);
		value_set(also, "interval", interval);
	}
	value_set_str(also, "schedule", submit->schedule);
	value_set_str(also, "backfill", submit->backfill);
	behalf_set(arena, also, &submit->behalf);
	TRY(value_check(also, err));
	*ret_also = also;
	return 0;
}

static int new_id(const struct submit *submit, struct arena *arena, const char **ret_id,
                  struct err *err)
{
	uint8_t random[10];
	char id[ID_LEN + 1];
	random_bytes(random, sizeof random);
	id_make(submit->now_ms, random, id);
	*ret_id = arena_strdup(arena, id);
	return *ret_id ? 0 : err_set(err, E_NOMEM, "no memory for a task's id");
}

/* --- a task --- */

static int submit_task(struct part *part, const struct submit *submit, struct change *change,
                       struct arena *arena, struct submitted *ret_submitted, struct err *err)
{
	struct task_request request;
	struct value *also = NULL;
	const char *existing = NULL;
	struct submission submission = {
		.tenant = submit->tenant, .domain = submit->domain,
		.principal = submit->principal, .request = &request, .key = submit->key,
		.body_hash = submit->body_hash, .now_ms = submit->now_ms,
	};
	TRY(task_request_read(submit->body, &request, err));
	TRY(check_refs(part, submit, &request, err));
	TRY(origin(submit, arena, &also, err));
	TRY(new_id(submit, arena, &submission.id, err));
	submission.also = also;
	TRY(shard_submit(part->shard, &submission, change, arena, &existing, err));
	*ret_submitted = (struct submitted){
		.id = existing ? existing : submission.id, .existing = existing != NULL,
	};
	return 0;
}

/* --- a run --- */

/* The pipeline's tasks, as it is now. */
static int pipeline_tasks(struct part *part, const struct submit *submit, struct arena *arena,
                          const struct value **ret_tasks, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *pipeline = NULL;
	const char *name = value_get_str(submit->body, "pipeline");
	catalog_key(key, KIND_PIPELINE, submit->tenant, submit->domain, name);
	int rc = catalog_get(part->control->catalog, arena, key, &pipeline, NULL, err);
	if (rc == E_NOT_FOUND)
		return err_set(err, E_NOT_FOUND, "pipeline: there is no pipeline %s in the domain "
		               "%s; apply it first", name, submit->domain);
	TRY(rc);
	*ret_tasks = value_get(value_get(pipeline, "spec"), "tasks");
	return 0;
}

int submit_graph(struct part *part, const struct submit *submit, struct arena *arena,
                 struct graph *ret_graph, struct err *err)
{
	const struct value *tasks = value_get(submit->body, "tasks");
	bool named = value_get(submit->body, "pipeline") != NULL;
	TRY(fields_check(run_request_fields, submit->body, "", err));
	if (named == (tasks != NULL))
		return err_set(err, E_INVALID, "a run names its pipeline or its tasks; this names "
		               "%s", named ? "both" : "neither");
	if (named)
		TRY(pipeline_tasks(part, submit, arena, &tasks, err));
	return graph_read(arena, tasks, "tasks", ret_graph, err);
}

static int check_graph(struct part *part, const struct submit *submit, const struct graph *graph,
                       struct err *err)
{
	for (size_t i = 0; i < graph->count; i++)
		if (check_refs(part, submit, &graph->tasks[i].request, err) < 0)
			return err_prefix(err, "tasks[%zu]", i);
	return 0;
}

static int submit_run(struct part *part, const struct submit *submit, struct change *change,
                      struct arena *arena, struct submitted *ret_submitted, struct err *err)
{
	struct graph graph;
	struct value *also = NULL;
	const char *existing = NULL;
	const char *pipeline = value_get_str(submit->body, "pipeline");
	struct run_submission submission = {
		.tenant = submit->tenant, .domain = submit->domain,
		.principal = submit->principal, .graph = &graph,
		.name = value_get_str(submit->body, "name"), .pipeline = pipeline,
		.key = submit->key, .body_hash = submit->body_hash, .now_ms = submit->now_ms,
	};
	TRY(submit_graph(part, submit, arena, &graph, err));
	TRY(check_graph(part, submit, &graph, err));
	TRY(origin(submit, arena, &also, err));
	TRY(new_id(submit, arena, &submission.id, err));
	submission.also = also;
	TRY(shard_submit_run(part->shard, &submission, change, arena, &existing, err));
	*ret_submitted = (struct submitted){
		.id = existing ? existing : submission.id, .existing = existing != NULL,
		.is_run = true,
	};
	return 0;
}

/* --- either --- */

bool submit_is_run(const struct value *body)
{
	return value_get(body, "tasks") || value_get(body, "pipeline");
}

int submit_add(struct part *part, const struct submit *submit, struct change *change,
               struct arena *arena, struct submitted *ret_submitted, struct err *err)
{
	if (submit_is_run(submit->body))
		return submit_run(part, submit, change, arena, ret_submitted, err);
	return submit_task(part, submit, change, arena, ret_submitted, err);
}

void submit_withdraw(struct part *part, const struct submitted *submitted)
{
	if (submitted->existing)
		return;
	if (submitted->is_run)
		shard_withdraw_run(part->shard, submitted->id);
	else
		shard_withdraw(part->shard, submitted->id);
}
