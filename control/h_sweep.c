/* h_sweep.c - a sweep of a tenant's orphaned objects, asked for by an operator. */
#include "common/defs.h"
#include "control/admit.h"

#include "control/dispatch.h"
#include "control/home.h"
#include "control/sweep.h"

handler_fn h_sweep;

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
		arena_printf(request->arena, "/v1/tenants/%s/domains/%s/tasks/%s", request->tenant,
	                     PLATFORM_DOMAIN, request->submitted);
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
