/* witness.c - see witness.h. */
#include "common/defs.h"
#include "control/witness.h"

#include "api/operation.h"
#include "common/log.h"
#include "control/late.h"
#include "control/may.h"
#include "control/refusals.h"

#include <stdio.h>
#include <string.h>

handler_fn h_resource_list, h_resource_put, h_resource_delete, h_task_cancel, h_task_replay,
	h_run_cancel, h_run_resume, h_deletion_cancel;

/* --- the event --- */

/* What the method does not say, or says otherwise. */
static enum audit_verb verb_of(const struct request *request)
{
	static handler_fn *const changes[] = { h_task_cancel, h_task_replay, h_run_cancel,
		                               h_run_resume, h_deletion_cancel };
	const struct route *route = request->route;
	if (request->verb != VERB_NONE)
		return request->verb;
	if (route->handler == h_resource_list)
		return VERB_LIST;
	if (strcmp(route->method, "GET") == 0)
		return route->action == ACTION_BACKUP_READ ? VERB_READ_DATA : VERB_READ;
	if (route->handler == h_resource_put)
		return VERB_UPDATE;
	if (route->handler == h_resource_delete)
		return VERB_DELETE;
	for (size_t i = 0; i < ARRAY_LEN(changes); i++)
		if (route->handler == changes[i])
			return VERB_UPDATE;
	return VERB_NONE;
}

/* In a log that is not the tenant's own it has no name: what is erased is named nowhere. */
static const char *abroad(struct control *control, const struct request *request)
{
	char key[STORE_KEY_MAX];
	struct value *tenant = NULL;
	catalog_key(key, KIND_TENANT, NULL, NULL, request->tenant);
	if (catalog_get(control->catalog, request->arena, key, &tenant, NULL, NULL) < 0)
		return "/v1/tenants/-";
	return arena_printf(request->arena, "/v1/tenants/%s",
	                    value_get_str(value_get(tenant, "metadata"), "uid"));
}

/* Whose log it goes to: the target's, unless the asker may not know of it. */
static bool is_theirs(const struct request *request)
{
	return request->tenant && !request->hidden;
}

const char *witness_operation(struct arena *arena, const struct route *route)
{
	return route_operation(arena, &route_rows[route - routes]);
}

/* The texts lie in the request's arena. */
static struct audit_event event_of(const struct request *request, const char *result,
                                   const char *code)
{
	const struct route *route = request->route;
	return (struct audit_event){
		.tenant = is_theirs(request) ? request->tenant : request->asker.tenant,
		.actor = arena_printf(request->arena, "%s/%s", request->asker.tenant,
		                      request->asker.principal),
		.credential = request->asker.credential,
		.action = action_name(route->action),
		.verb = verb_of(request),
		.operation = witness_operation(request->arena, route),
		.resource = request->ask->path,
		.result = result,
		.rule = request->rule,
		.policies = request->decision.policies,
		.policy_count = request->decision.policy_count,
		.digest = request->decision.digest,
		.purpose = request_header(request, PURPOSE_HEADER),
		.address = request->asker.address,
		.code = code,
		.request = request->id,
		.task = request->submitted ? request->submitted : request->task,
		.detail = request->detail,
		.at_ms = request->now_ms,
	};
}

static int check(const struct audit_event *event, struct err *err)
{
	return event->actor && event->resource
		? 0
		: err_set(err, E_NOMEM, "no memory for an audit event");
}

/* Where there is no log of the tenant's, the event is of the asker's. */
static void settle_log(struct control *control, const struct request *request,
                       struct audit_event *event)
{
	if (!is_theirs(request) || late_keeps(control, request->arena, request->tenant))
		return;
	event->tenant = request->asker.tenant;
	event->resource = abroad(control, request);
	event->detail = NULL;
}

/* Of somebody from elsewhere, in its own tenant's log; false: there is no second event. */
static bool turn_home(struct control *control, const struct request *request,
                      struct audit_event *event)
{
	if (strcmp(event->tenant, request->asker.tenant) == 0)
		return false;
	event->tenant = request->asker.tenant;
	event->resource = abroad(control, request);
	event->detail = NULL;
	event->task = NULL;
	return true;
}

/* --- allowed --- */

/* Of operators all is taken: it is they who can see to it that a worker runs. */
static int needs_room(struct control *control, const struct request *request,
                      const struct audit_event *event, struct err *err)
{
	struct part *part = part_of(control, event->tenant);
	if (strcmp(request->asker.tenant, "platform") == 0 || !part_leads(part) ||
	    shard_audit_has_room(part->shard, event->tenant))
		return 0;
	return err_set(err, E_UNAVAILABLE, "the audit log of %s holds as many events as memory may "
	               "that no worker has stored yet, and what cannot be audited is not done; an "
	               "operator sees to it that a worker runs", event->tenant);
}

int witness_write(struct control *control, struct request *request, struct err *err)
{
	struct audit_event event = event_of(request, "allowed", NULL);
	TRY(check(&event, err));
	TRY(needs_room(control, request, &event, err));
	TRY(audit_add(request->change, &event, err));
	if (!turn_home(control, request, &event))
		return 0;
	TRY(check(&event, err));
	if (part_of(control, event.tenant) == request->part)
		return audit_add(request->change, &event, err);
	return late_post(control, &event, err);
}

/* A poll that waits for the next change of what it has seen, of its own, is the one before. */
static bool goes_on(const struct request *request)
{
	int64_t wait_ms = 0, after = 0;
	if (request->route->audit != AUDIT_ONCE || !request->own)
		return false;
	return request_number(request, "waitMs", 0, INT64_MAX, 0, &wait_ms, NULL) == 0 &&
		request_number(request, "afterVersion", 0, INT64_MAX, 0, &after, NULL) == 0 &&
		wait_ms > 0 && after > 0;
}

int witness_read(struct control *control, struct request *request, struct err *err)
{
	bool untold = request->route->audit == AUDIT_NEVER ||
		request->route->audit == AUDIT_DENIALS;
	if (untold || goes_on(request))
		return 0;
	if (request->dry_run && !request->detail)
		request->detail = value_map(request->arena);
	if (request->dry_run)
		value_set_bool(request->detail, "dryRun", true);
	struct audit_event event = event_of(request, "allowed", NULL);
	settle_log(control, request, &event);
	TRY(check(&event, err));
	TRY(needs_room(control, request, &event, err));
	TRY(late_post(control, &event, err));
	if (!turn_home(control, request, &event))
		return 0;
	TRY(check(&event, err));
	return late_post(control, &event, err);
}

/* --- refused --- */

static const char *result_of(const struct request *request)
{
	int code = request->failure.code;
	if (request->hidden || code == E_DENIED)
		return "denied";
	return code == E_QUOTA || code == E_BUSY ? "refused" : "failed";
}

static void complain(const struct request *request, const char *result, const struct err *err)
{
	const struct log_context context = { .tenant = request->asker.tenant,
		                             .request = request->id };
	log_warn(&context, "refusal_not_audited", "action=%s result=%s reason=\"%s\"",
	         action_name(request->route->action), result, err->text);
}

static int post_refusal(struct control *control, const struct request *request,
                        const struct audit_event *event, struct err *err)
{
	return request->throttled ? refusals_post(control, event, err)
	                          : late_post(control, event, err);
}

void witness_refusal(struct control *control, struct request *request)
{
	int code = request->failure.code;
	struct err err = { 0 };
	const char *result = result_of(request);
	/* Not decided here: another replica is asked next. */
	if (!request->route || !request->asker.tenant || request->route->audit == AUDIT_NEVER ||
	    code == E_NOT_LEADER)
		return;
	struct audit_event event = event_of(request, result, err_name(code));
	settle_log(control, request, &event);
	int rc = check(&event, &err);
	if (rc == 0)
		rc = post_refusal(control, request, &event, &err);
	if (rc == 0 && turn_home(control, request, &event))
		rc = check(&event, &err) < 0
			? err.code
			: post_refusal(control, request, &event, &err);
	if (rc < 0)
		complain(request, result, &err);
}
