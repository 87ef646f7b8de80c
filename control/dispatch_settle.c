/* dispatch_settle.c - the settler's thread: settles reports in the order in which they came, and
 * tells the dispatcher. What the store cannot take now is tried again: a worker keeps its report
 * until it is acknowledged, so nothing is lost by waiting. */
#include "common/defs.h"
#include "control/dispatch_impl.h"

#include "common/log.h"
#include "control/shard_work.h"

#include <string.h>

enum { WAIT_FIRST_MS = 100, WAIT_MOST_MS = 2000 };

struct settler {
	struct dispatch *dispatch;
	struct job *jobs[JOBS_MAX];
	size_t count;
	int64_t wait_ms;             /* before the next try; 0: at once */
};

static void give_back(struct settler *settler, size_t count, bool settled)
{
	for (size_t i = 0; i < count; i++) {
		settler->jobs[i]->settled = settled;
		if (!queue_push_always(settler->dispatch->inbox, &settler->jobs[i]->post.item))
			post_drop(&settler->jobs[i]->post);
	}
	settler->count -= count;
	memmove(settler->jobs, settler->jobs + count, settler->count * sizeof settler->jobs[0]);
}

/* What was sent before the shard was replayed anew is its worker's to report again: settled beside
 * that report it would count twice. */
static void give_back_stale(struct settler *settler)
{
	uint64_t replay = shard_replays(settler->dispatch->part->shard);
	size_t kept = 0;
	for (size_t i = 0; i < settler->count; i++) {
		struct job *job = settler->jobs[i];
		job->settled = false;
		if (job->item.kind == SETTLE_SHARED || job->replay == replay)
			settler->jobs[kept++] = job;
		else if (!queue_push_always(settler->dispatch->inbox, &job->post.item))
			post_drop(&job->post);
	}
	settler->count = kept;
}

/* --- settling --- */

static void wait_longer(struct settler *settler)
{
	int64_t next = settler->wait_ms ? settler->wait_ms * 2 : WAIT_FIRST_MS;
	settler->wait_ms = next < WAIT_MOST_MS ? next : WAIT_MOST_MS;
}

/* What cannot be settled now does not stand in the way of the rest. */
static void rotate(struct settler *settler)
{
	struct job *first = settler->jobs[0];
	memmove(settler->jobs, settler->jobs + 1, (settler->count - 1) * sizeof settler->jobs[0]);
	settler->jobs[settler->count - 1] = first;
}

static void settle_waiting(struct settler *settler)
{
	struct settle_item *items[JOBS_MAX];
	struct err err;
	size_t count = 0;
	for (size_t i = 0; i < settler->count; i++)
		items[i] = &settler->jobs[i]->item;
	int rc = settle(settler->dispatch->part, items, settler->count, &count, &err);
	if (rc == 0) {
		settler->wait_ms = 0;
		give_back(settler, count, true);
		return;
	}
	if (settler->wait_ms == 0)
		log_warn(NULL, "not_settled", "code=%s reason=\"%s\"", err_name(rc), err.text);
	if (rc == E_NOT_LEADER || rc == E_UNKNOWN_OUTCOME) {
		give_back(settler, settler->count, false);
	} else {
		wait_longer(settler);
		rotate(settler);
	}
}

/* Takes what is there, up to JOBS_MAX; waits only when there is nothing to do. */
static void take_jobs(struct settler *settler)
{
	struct dispatch *dispatch = settler->dispatch;
	int64_t now_ms = clock_mono_ms(dispatch->control->clock);
	bool idle = settler->count == 0 && settler->wait_ms == 0;
	int64_t until_ms = idle ? INT64_MAX : now_ms + settler->wait_ms;
	while (settler->count < JOBS_MAX) {
		struct queue_item *item = queue_take(dispatch->jobs, until_ms);
		if (!item)
			break;
		settler->jobs[settler->count++] = (struct job *)item;
		if (settler->wait_ms == 0)
			until_ms = 0;
	}
}

void *settler_run(void *context)
{
	struct settler settler = { .dispatch = context };
	while (!queue_closed(settler.dispatch->jobs)) {
		take_jobs(&settler);
		give_back_stale(&settler);
		if (settler.count > 0)
			settle_waiting(&settler);
	}
	give_back(&settler, settler.count, false);
	for (struct queue_item *item; (item = queue_take(settler.dispatch->jobs, 0));)
		post_drop((struct post *)item);
	return NULL;
}
