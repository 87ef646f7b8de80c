/* h_task.c - tasks: submitted, read, listed, cancelled. What a task is lies in the shard; here is
 * only who may ask and in which words. */
#include "common/defs.h"
#include "control/intake.h"

#include "api/tasks.h"
#include "control/dispatch.h"
#include "control/explain.h"
#include "control/filter.h"
#include "control/history.h"
#include "control/home.h"
#include "control/record.h"

#include <string.h>

handler_fn h_task_submit, h_task_list, h_task_get, h_task_cancel;

enum { WAIT_MOST_MS = 30000 };

static int no_task(const struct request *request, struct err *err)
{
	return err_set(err, E_NOT_FOUND, "the domain %s has no such task", request->domain);
}

/* In memory, or in the history. */
static int task_get(struct request *request, const char *id, struct value **ret_task,
                    struct err *err)
{
	struct value *task = shard_task(request->part->shard, request->arena, request->tenant,
	                                request->domain, id);
	if (!task)
		TRY(history_find(request, id, &task, err));
	if (!task)
		return no_task(request, err);
	*ret_task = task;
	return 0;
}

static int reply_task(struct request *request, int status, const char *id, struct err *err)
{
	struct value *task = NULL;
	TRY(task_get(request, id, &task, err));
	return request_reply(request, status, task, err);
}

/* --- submit --- */

static int submitted(struct control *control, struct request *request, struct err *err)
{
	const struct submitted *submitted = request->state;
	(void)control;
	if (!submitted->existing)
		dispatch_wake(request->part->dispatch);
	request->reply->location =
		arena_printf(request->arena, "/v1/tenants/%s/domains/%s/tasks/%s", request->tenant,
	                     request->domain, submitted->id);
	return reply_task(request, 202, submitted->id, err);
}

static int would_submit(struct request *request, struct err *err)
{
	struct task_request asked;
	TRY(task_request_read(request->body, &asked, err));
	struct value *body = value_map(request->arena);
	value_set_str(body, "result", "accepted");
	value_set_bool(body, "dryRun", true);
	value_set_str(body, "type", task_info[asked.type].name);
	value_set(body, "limits", record_limits(request->arena, &asked.limits));
	struct value *explained = shard_explain_request(request->part->shard, request->arena,
	                                                request->tenant, request->domain, &asked);
	value_set(body, "explain", explain_asked(request->arena, explained));
	return request_reply(request, 200, body, err);
}

int h_task_submit(struct control *control, struct request *request, struct err *err)
{
	const struct submitted *done = NULL;
	TRY(intake_submit(control, request, false, &done, err));
	if (request->dry_run)
		return would_submit(request, err);
	request->finish = submitted;
	return 0;
}

/* --- read --- */

int h_task_get(struct control *control, struct request *request, struct err *err)
{
	int64_t wait_ms = 0, after = 0;
	struct value *task = NULL;
	TRY(intake_domain(control, request, err));
	TRY(request_number(request, "waitMs", 0, WAIT_MOST_MS, 0, &wait_ms, err));
	TRY(request_number(request, "afterVersion", 0, INT64_MAX, 0, &after, err));
	/* Looked up before it is waited for: a wait must not tell of another's task. */
	TRY(task_get(request, request->task, &task, err));
	request->own = intake_is_own(request, task);
	if (value_get_bool(task, "archived", false))
		return request_reply(request, 200, task, err);
	if (wait_ms)
		intake_hold(control, request, after, wait_ms);
	TRY(request_needs_lead(request, err));
	return reply_task(request, 200, request->task, err);
}

int h_task_list(struct control *control, struct request *request, struct err *err)
{
	int64_t limit = 0;
	struct value *list = NULL;
	const char *resume = NULL;
	struct history_ask ask = { .id = NULL };
	TRY(intake_domain(control, request, err));
	TRY(request_number(request, "limit", 1, LIST_MOST, LIST_DEFAULT, &limit, err));
	TRY(filter_read(request, &ask.filter, err));
	ask.limit = (size_t)limit;
	TRY(history_list(request, &ask, &list, &resume, err));
	return request_reply_list(request, list, resume, err);
}

/* --- cancel --- */

static int cancelled(struct control *control, struct request *request, struct err *err)
{
	int code = 0;
	(void)control;
	if (request->change)
		code = dispatch_cancel(request->part->dispatch, request->tenant, request->task,
		                       err);
	if (code < 0 && code != E_CONFLICT &&
	    code != E_NOT_FOUND) /* those: it has ended by itself */
		return code;
	return reply_task(request, request->change ? 202 : 200, request->task, err);
}

static int add_cancel(struct request *request, struct err *err)
{
	struct change *change = NULL;
	TRY(request_change(request, &change, err));
	struct value *record = record_new(change_arena(change), RECORD_CANCEL, request->now_ms);
	value_set_str(record, "id", request->task);
	value_set_str(record, "tenant", request->tenant);
	value_set_str(record, "principal", intake_principal(request));
	TRY(value_check(record, err));
	return change_record(change, record, err);
}

/* Ending what has ended changes nothing, so a cancel may be repeated. */
int h_task_cancel(struct control *control, struct request *request, struct err *err)
{
	if (home_is(request->domain))
		return err_set(err, E_DENIED, "the tasks of the domain %s are the platform's own; "
		               "nobody else ends them", PLATFORM_DOMAIN);
	TRY(intake_domain(control, request, err));
	struct value *task = NULL;
	TRY(task_get(request, request->task, &task, err));
	request->finish = cancelled;
	bool ended = value_get(task, "endedAt") || value_get_bool(task, "cancelRequested", false);
	return ended || request->dry_run ? 0 : add_cancel(request, err);
}
