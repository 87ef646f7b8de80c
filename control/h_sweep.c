/* h_sweep.c - a sweep of a tenant's orphaned objects, asked for by an operator. */
#include "common/defs.h"
#include "control/intake.h"

#include "control/dispatch.h"
#include "control/home.h"
#include "control/sweep.h"

#include <string.h>

handler_fn h_sweep, h_sweep_get;

enum { WAIT_MOST_MS = 30000 };

static int swept(struct control *control, struct request *request, struct err *err)
{
	(void)control;
	dispatch_wake(request->part->dispatch);
	struct value *task = shard_task(request->part->shard, request->arena, request->tenant,
	                                PLATFORM_DOMAIN, request->submitted);
	if (!task)
		return err_set(err, E_UNAVAILABLE, "the sweep is under way, but the leader is "
		               "another now");
	request->reply->location =
		arena_printf(request->arena, "/v1/tenants/%s/sweep/%s", request->tenant,
	                     request->submitted);
	return request_reply(request, 202, task, err);
}

int h_sweep(struct control *control, struct request *request, struct err *err)
{
	char id[ID_LEN + 1];
	uint8_t random[10];
	struct change *change = NULL;
	struct value *spec = sweep_spec(request->arena);
	TRY(request_needs_lead(request, err));
	TRY(value_check(spec, err));
	if (request->dry_run)
		return request_reply(request, 202, spec, err);
	TRY(request_change(request, &change, err));
	TRY(home_make(control, request->arena, request->tenant, change, err));
	random_bytes(random, sizeof random);
	id_make(request->now_ms, random, id);
	char *kept = arena_strdup(request->arena, id);
	if (!kept)
		return err_set(err, E_NOMEM, "no memory for a task's id");
	const struct platform_task made = { kept, request->tenant, TASK_SWEEP, spec,
	                                    request->now_ms };
	TRY(shard_submit_platform(request->part->shard, &made, change, err));
	request->submitted = kept;
	request->finish = swept;
	return 0;
}

/* The operator, who may read no tenant's tasks, reads this one here. */
static struct value *sweep_of(const struct request *request)
{
	struct value *task = shard_task(request->part->shard, request->arena, request->tenant,
	                                PLATFORM_DOMAIN, request->task);
	const char *type = value_get_str(task, "type");
	return type && strcmp(type, "sweep") == 0 ? task : NULL;
}

int h_sweep_get(struct control *control, struct request *request, struct err *err)
{
	int64_t wait_ms = 0, after = 0;
	TRY(request_number(request, "waitMs", 0, WAIT_MOST_MS, 0, &wait_ms, err));
	TRY(request_number(request, "afterVersion", 0, INT64_MAX, 0, &after, err));
	TRY(request_needs_lead(request, err));
	if (wait_ms && sweep_of(request))
		intake_hold(control, request, after, wait_ms);
	TRY(request_needs_lead(request, err));
	struct value *task = sweep_of(request);
	if (!task)
		return err_set(err, E_NOT_FOUND, "the tenant %s has no such sweep",
		               request->tenant);
	return request_reply(request, 200, task, err);
}
