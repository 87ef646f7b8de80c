/* h_run.c - runs: started, listed, read, cancelled, resumed; and tasks started anew. */
#include "common/defs.h"
#include "control/intake.h"

#include "api/graph.h"
#include "control/dispatch.h"
#include "control/record.h"
#include "control/shard_run.h"
#include "control/tenancy.h"

#include <stdatomic.h>
#include <string.h>

handler_fn h_run_start, h_run_list, h_run_get, h_run_cancel, h_run_resume, h_task_replay;

enum { WAIT_MOST_MS = 30000 };

static int no_run(const struct request *request, struct err *err)
{
	return err_set(err, E_NOT_FOUND, "the domain %s has no such run", request->domain);
}

static int reply_run(struct request *request, int status, const char *id, struct err *err)
{
	struct value *run = shard_run(request->part->shard, request->arena, request->tenant,
	                              request->domain, id);
	if (!run)
		return no_run(request, err);
	return request_reply(request, status, run, err);
}

/* --- start --- */

static int started(struct control *control, struct request *request, struct err *err)
{
	const struct submitted *submitted = request->state;
	(void)control;
	if (!submitted->existing)
		dispatch_wake(request->part->dispatch);
	request->reply->location =
		arena_printf(request->arena, "/v1/tenants/%s/domains/%s/runs/%s", request->tenant,
		             request->domain, submitted->id);
	return reply_run(request, 202, submitted->id, err);
}

static int would_start(struct request *request, struct err *err)
{
	struct value *body = value_map(request->arena);
	value_set_str(body, "result", "accepted");
	value_set_bool(body, "dryRun", true);
	return request_reply(request, 200, body, err);
}

int h_run_start(struct control *control, struct request *request, struct err *err)
{
	const struct submitted *submitted = NULL;
	TRY(intake_submit(control, request, true, &submitted, err));
	if (request->dry_run)
		return would_start(request, err);
	request->finish = started;
	return 0;
}

/* --- read --- */

/* As for a task: a held request takes a thread, and only so many may be held. */
static void hold(struct control *control, const struct request *request, int64_t after,
                 int64_t wait_ms)
{
	if (atomic_fetch_add(&control->held, 1) < control->held_max)
		shard_run_wait(request->part->shard, request->run, after,
		               clock_mono_ms(control->clock) + wait_ms);
	atomic_fetch_sub(&control->held, 1);
}

int h_run_get(struct control *control, struct request *request, struct err *err)
{
	int64_t wait_ms = 0, after = 0;
	TRY(intake_domain(control, request, err));
	TRY(request_number(request, "waitMs", 0, WAIT_MOST_MS, 0, &wait_ms, err));
	TRY(request_number(request, "afterVersion", 0, INT64_MAX, 0, &after, err));
	const struct value *run = shard_run(request->part->shard, request->arena, request->tenant,
	                                    request->domain, request->run);
	if (!run)
		return no_run(request, err);
	request->own = intake_is_own(request, run);
	if (wait_ms)
		hold(control, request, after, wait_ms);
	TRY(request_needs_lead(request, err));
	return reply_run(request, 200, request->run, err);
}

/* Of shard_run.h's run_state. */
static int check_state(const char *state, struct err *err)
{
	static const char *const names[] = {
		"queued", "running", "succeeded", "failed", "cancelled",
	};
	if (!state)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(state, names[i]) == 0)
			return 0;
	const char *nearest = name_nearest(state, names, ARRAY_LEN(names));
	return err_set(err, E_INVALID, "state: %.32s is no state of a run%s%s; give one of queued, "
	               "running, succeeded, failed and cancelled", state,
	               nearest ? "; did you mean " : "", nearest ? nearest : "");
}

int h_run_list(struct control *control, struct request *request, struct err *err)
{
	int64_t limit = 0;
	bool more = false;
	struct value *list = NULL;
	const char *resume = NULL, *state = request_query(request, "state");
	TRY(intake_domain(control, request, err));
	TRY(check_state(state, err));
	TRY(request_number(request, "limit", 1, LIST_MOST, LIST_DEFAULT, &limit, err));
	TRY(shard_runs(request->part->shard, request->arena, request->tenant, request->domain,
	               state, request_query(request, "continue"), (size_t)limit, &list,
	               &more, err));
	if (more && value_len(list))
		resume = value_get_str(value_at(list, value_len(list) - 1), "id");
	return request_reply_list(request, list, resume, err);
}

/* --- cancel --- */

static int cancelled(struct control *control, struct request *request, struct err *err)
{
	struct dispatch *dispatch = request->part->dispatch;
	struct value *ids = NULL;
	(void)control;
	if (!request->change)
		return reply_run(request, 200, request->run, err);
	TRY(shard_run_ending(request->part->shard, request->arena, request->run, &ids, err));
	for (size_t i = 0; i < value_len(ids); i++) {
		int rc = dispatch_cancel(dispatch, request->tenant, value_as_str(value_at(ids, i)),
		                         err);
		if (rc < 0 && rc != E_CONFLICT && rc != E_NOT_FOUND) /* those: it has ended */
			return rc;
	}
	dispatch_wake(dispatch);
	return reply_run(request, 202, request->run, err);
}

static int add_cancel(struct request *request, struct err *err)
{
	struct change *change = NULL;
	TRY(request_change(request, &change, err));
	struct value *record = record_new(change_arena(change), RECORD_CANCEL, request->now_ms);
	value_set_str(record, "run", request->run);
	value_set_str(record, "tenant", request->tenant);
	value_set_str(record, "principal", intake_principal(request));
	TRY(value_check(record, err));
	return change_record(change, record, err);
}

/* Ending what has ended changes nothing, so a cancel may be repeated. */
int h_run_cancel(struct control *control, struct request *request, struct err *err)
{
	TRY(intake_domain(control, request, err));
	const struct value *run = shard_run(request->part->shard, request->arena, request->tenant,
	                                    request->domain, request->run);
	if (!run)
		return no_run(request, err);
	request->finish = cancelled;
	bool ended = value_get(run, "endedAt") || value_get_bool(run, "cancelRequested", false);
	return ended || request->dry_run ? 0 : add_cancel(request, err);
}

/* --- anew --- */

static struct again again_of(const struct request *request)
{
	return (struct again){
		.tenant = request->tenant, .domain = request->domain, .task = request->task,
		.run = request->run, .now_ms = request->now_ms,
	};
}

static void undo(struct request *request)
{
	const struct again again = again_of(request);
	shard_again_withdraw(request->part->shard, &again);
}

static int begun_anew(struct control *control, struct request *request, struct err *err)
{
	int status = request->change ? 202 : 200;
	(void)control;
	dispatch_wake(request->part->dispatch);
	if (request->run)
		return reply_run(request, status, request->run, err);
	struct value *task = shard_task(request->part->shard, request->arena, request->tenant,
	                                request->domain, request->task);
	if (!task)
		return err_set(err, E_NOT_FOUND, "the domain %s has no such task", request->domain);
	return request_reply(request, status, task, err);
}

static int start_anew(struct control *control, struct request *request, struct err *err)
{
	AUTO(change) *change = NULL;
	struct again again = again_of(request);
	TRY(intake_domain(control, request, err));
	TRY(tenancy_needs(control, request->tenant, TENANCY_RUN, err));
	again.principal = intake_principal(request);
	TRY(change_new(&change, err));
	TRY(shard_again(request->part->shard, &again, change, err));
	request->finish = begun_anew;
	if (request->dry_run) {
		undo(request);
		return 0;
	}
	request->change = MOVE(change);
	request->undo = undo;
	return 0;
}

int h_task_replay(struct control *control, struct request *request, struct err *err)
{
	return start_anew(control, request, err);
}

int h_run_resume(struct control *control, struct request *request, struct err *err)
{
	return start_anew(control, request, err);
}
