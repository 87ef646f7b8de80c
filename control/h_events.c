/* h_events.c - a task or a run as server-sent events: who may follow it, and from where on. */
#include "common/defs.h"
#include "control/admit.h"

#include "control/events.h"
#include "control/shard_run.h"

#include <string.h>

handler_fn h_task_events, h_run_events;

/* A browser that knows the last event already is told not to come back (HTML Standard, 9.2.3). */
static bool knows_all(const struct request *request, const char *last_id, const struct value *seen)
{
	int64_t epoch = 0, version = 0;
	return event_id_read(last_id, &epoch, &version) && value_get(seen, "endedAt") &&
		epoch == journal_epoch(request->part->journal) &&
		version == value_get_int(seen, "version", 0);
}

static int follow(struct control *control, struct request *request, const char *id, bool is_run,
                  const struct value *seen, struct err *err)
{
	const char *last_id = request_header(request, "Last-Event-ID");
	if (!seen)
		return err_set(err, E_NOT_FOUND, "the domain %s has no such %s", request->domain,
		               is_run ? "run" : "task");
	if (!control->events)
		return err_set(err, E_UNAVAILABLE, "this server has no event streams; read the "
		               "%s with waitMs instead", is_run ? "run" : "task");
	if (knows_all(request, last_id, seen)) {
		request->reply->status = 204;
		return 0;
	}
	const struct feed_conf feed = {
		.part = request->part, .tenant = request->tenant, .domain = request->domain,
		.id = id, .is_run = is_run, .proof = request->asker.proof, .last_id = last_id,
		.address = request->asker.address,
	};
	request->reply->status = 200;
	return feed_new(control->events, &feed, &request->reply->feed, err);
}

int h_task_events(struct control *control, struct request *request, struct err *err)
{
	TRY(part_needs_lead(request->part, err));
	const struct value *task = shard_task(request->part->shard, request->arena,
	                                      request->tenant, request->domain, request->task);
	return follow(control, request, request->task, false, task, err);
}

int h_run_events(struct control *control, struct request *request, struct err *err)
{
	TRY(part_needs_lead(request->part, err));
	const struct value *run = shard_run_brief(request->part->shard, request->arena,
	                                          request->tenant, request->domain, request->run);
	return follow(control, request, request->run, true, run, err);
}
