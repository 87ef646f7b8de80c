/* dispatch.c - the dispatcher: its threads, from start to stop, and its loop. What it does with
 * a poll is in dispatch_poll.c, with free slots in dispatch_assign.c, with reports in
 * dispatch_settle.c. */
#include "common/defs.h"
#include "control/dispatch_impl.h"

#include "common/log.h"
#include "control/shard_work.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INBOX_MAX = 4096, ASKS_MAX = 1024, TURN_MAX = 256 };

static void *dispatcher_run(void *context);

/* --- start and stop --- */

static int queues_new(struct dispatch *dispatch, struct err *err)
{
	struct clock *clock = dispatch->control->clock;
	TRY(queue_new(clock, INBOX_MAX, &dispatch->inbox, err));
	TRY(queue_new(clock, INBOX_MAX, &dispatch->jobs, err));
	return queue_new(clock, ASKS_MAX, &dispatch->asks, err);
}

static int threads_start(struct dispatch *dispatch, struct err *err)
{
	if (pthread_create(&dispatch->dispatcher, NULL, dispatcher_run, dispatch) == 0)
		dispatch->threads = 1;
	if (dispatch->threads == 1 &&
	    pthread_create(&dispatch->settler, NULL, settler_run, dispatch) == 0)
		dispatch->threads = 2;
	if (dispatch->threads == 2 &&
	    pthread_create(&dispatch->access, NULL, access_run, dispatch) == 0)
		dispatch->threads = 3;
	return dispatch->threads == 3 ? 0 : err_set(err, E_NOMEM, "no thread for the dispatcher");
}

int dispatch_new(struct part *part, struct dispatch **ret_dispatch, struct err *err)
{
	struct dispatch *made = calloc(1, sizeof *made);
	if (!made)
		return err_set(err, E_NOMEM, "no memory for the dispatcher");
	made->part = part;
	made->control = part->control;
	pthread_mutex_init(&made->mutex, NULL);
	AUTO(dispatch) *dispatch = made;
	TRY(queues_new(dispatch, err));
	TRY(threads_start(dispatch, err));
	*ret_dispatch = MOVE(dispatch);
	return 0;
}

static void drain(struct queue *queue)
{
	for (struct queue_item *item; queue && (item = queue_take(queue, 0));)
		post_drop((struct post *)item);
}

/* Those that post end before those they post to. */
void dispatch_stop(struct dispatch *dispatch)
{
	if (dispatch->jobs)
		queue_close(dispatch->jobs);
	if (dispatch->threads >= 2)
		pthread_join(dispatch->settler, NULL);
	if (dispatch->asks)
		queue_close(dispatch->asks);
	if (dispatch->threads >= 3)
		pthread_join(dispatch->access, NULL);
	if (dispatch->inbox)
		queue_close(dispatch->inbox);
	if (dispatch->threads >= 1)
		pthread_join(dispatch->dispatcher, NULL);
	dispatch->threads = 0;
	drain(dispatch->asks);
	drain(dispatch->inbox);
	drain(dispatch->jobs);
	workers_clear(&dispatch->workers);
}

void dispatch_free(struct dispatch *dispatch)
{
	if (!dispatch)
		return;
	dispatch_stop(dispatch);
	queue_free(dispatch->inbox);
	queue_free(dispatch->jobs);
	queue_free(dispatch->asks);
	pthread_mutex_destroy(&dispatch->mutex);
	free(dispatch);
}

/* --- from other threads --- */

void dispatch_call(void *context, struct link_call *call, const uint8_t *data, size_t len)
{
	message_new(context, call, data, len);
}

void dispatch_wake(struct dispatch *dispatch)
{
	queue_wake(dispatch->inbox);
}

void dispatch_drop_access(struct dispatch *dispatch, const char *tenant)
{
	if (!note_send(dispatch, POST_DROP, tenant))
		log_warn(&(struct log_context){ .tenant = tenant }, "access_not_dropped",
		         "reason=\"out of memory; grants end by themselves within a minute\"");
}

int dispatch_cancel(struct dispatch *dispatch, const char *tenant, const char *task,
                    struct err *err)
{
	AUTO(arena) *arena = NULL;
	struct work work;
	TRY(arena_new(4 * MIB, &arena, err));
	int found = shard_find(dispatch->part->shard, arena, tenant, task, &work, err);
	TRY(found);
	if (!found)
		return err_set(err, E_NOT_FOUND, "the task does not exist");
	if (task_state_final(work.state))
		return err_set(err, E_CONFLICT, "the task has %s already; there is nothing to "
		               "cancel", task_state_name(work.state));
	if (!note_send(dispatch, POST_CANCEL, task))
		return err_set(err, E_NOMEM, "no memory to cancel a task; try again");
	return 0;
}

void dispatch_status(struct dispatch *dispatch, struct arena *arena, struct dispatch_status *ret)
{
	pthread_mutex_lock(&dispatch->mutex);
	*ret = dispatch->status;
	ret->serve_url = dispatch->serve_url[0] ? arena_strdup(arena, dispatch->serve_url) : NULL;
	pthread_mutex_unlock(&dispatch->mutex);
}

/* --- the loop --- */

static void take_cancel(struct dispatch *dispatch, const char *task)
{
	struct worker *worker = NULL;
	struct given *given = workers_given(&dispatch->workers, task, &worker);
	if (!given)
		return;                      /* it waits: the shard names it */
	given->cancel = true;
	worker->prompt = true;
}

static void take_drop(struct dispatch *dispatch, const char *tenant)
{
	for (struct worker *worker = dispatch->workers.first; worker; worker = worker->next)
		worker_drop_access(worker, tenant);
}

/* A job of control itself that was not settled is nobody else's to say again. */
static void take_job(struct dispatch *dispatch, struct job *job)
{
	job_settled(dispatch, job);
	bool again = !job->settled && dispatch->epoch && !job->worker[0];
	if (again && queue_push_always(dispatch->jobs, &job->post.item))
		return;
	post_drop(&job->post);
}

static void take(struct dispatch *dispatch, struct post *post)
{
	switch (post->kind) {
	case POST_CALL:
		poll_take_in(dispatch, (struct message *)post);
		post_drop(post);
		break;
	case POST_JOB:
		take_job(dispatch, (struct job *)post);
		break;
	case POST_CANCEL:
		take_cancel(dispatch, ((struct note *)post)->name);
		post_drop(post);
		break;
	case POST_DROP:
		take_drop(dispatch, ((struct note *)post)->name);
		post_drop(post);
		break;
	}
}

static void forget_workers(struct dispatch *dispatch)
{
	for (struct worker *worker = dispatch->workers.first; worker; worker = worker->next) {
		while (worker->given)
			worker_take_back(worker, worker->given);
		worker->ack_count = worker->cancel_count = 0;
		if (worker->call)
			worker_answer(dispatch, worker);
	}
	workers_clear(&dispatch->workers);
}

/* The epoch that is led and the replay it rests on, as one: part->led is 0 before a shard is
 * emptied, and set when it is whole (control/lead.h). */
static int64_t led_now(const struct dispatch *dispatch, uint64_t *ret_replay)
{
	struct part *part = dispatch->part;
	*ret_replay = shard_replays(part->shard);
	int64_t epoch = atomic_load(&part->led);
	bool whole = epoch == journal_epoch(part->journal) &&
		*ret_replay == shard_replays(part->shard);
	return whole ? epoch : 0;
}

/* Another epoch, or the same over a new replay: what was known of workers is void; they are
 * asked anew, at once. */
static void take_epoch(struct dispatch *dispatch)
{
	uint64_t replay = 0;
	int64_t epoch = led_now(dispatch, &replay);
	if (epoch == dispatch->epoch && replay == dispatch->replay)
		return;
	log_info(NULL, "dispatch_epoch", "epoch=%" PRId64, epoch);
	dispatch->epoch = epoch;
	dispatch->replay = replay;
	dispatch->adopt_until_ms = clock_mono_ms(dispatch->control->clock) + ADOPT_MS;
	forget_workers(dispatch);
}

/* A worker that holds no poll and says nothing is gone; so are its attempts. */
static void check_silent(struct dispatch *dispatch)
{
	int64_t now_ms = clock_mono_ms(dispatch->control->clock);
	for (struct worker *worker = dispatch->workers.first, *next = NULL; worker; worker = next) {
		next = worker->next;
		if (worker->call || now_ms < worker->heard_ms + SILENT_MS)
			continue;
		for (struct given *given = worker->given; given; given = given->next)
			if (!given->settling)
				given->settling = job_lost(dispatch, worker->name, given->task,
				                           &given->token, E_DEAD_WORKER,
				                           "its worker has not been heard of for "
				                           "15 s");
		if (worker->given)
			continue;
		log_warn(NULL, "worker_gone", "worker=%s", worker->name);
		workers_remove(&dispatch->workers, worker);
	}
}

static void answer_due(struct dispatch *dispatch)
{
	int64_t now_ms = clock_mono_ms(dispatch->control->clock);
	for (struct worker *worker = dispatch->workers.first; worker; worker = worker->next) {
		if (!worker->call || (!worker->prompt && now_ms < worker->held_until_ms))
			continue;
		worker->heard_ms = now_ms;
		worker_answer(dispatch, worker);
	}
}

static void show_status(struct dispatch *dispatch)
{
	struct dispatch_status status = { 0 };
	const char *serve_url = "";
	for (const struct worker *worker = dispatch->workers.first; worker; worker = worker->next) {
		status.workers++;
		status.slots += worker->slots_max;
		for (const struct given *given = worker->given; given; given = given->next)
			status.running++;
		if (worker->serve_url[0])
			serve_url = worker->serve_url;
	}
	pthread_mutex_lock(&dispatch->mutex);
	dispatch->status = status;
	snprintf(dispatch->serve_url, sizeof dispatch->serve_url, "%s", serve_url);
	pthread_mutex_unlock(&dispatch->mutex);
}

static int64_t sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t next_deadline(const struct dispatch *dispatch)
{
	int64_t next = INT64_MAX;
	if (!dispatch->epoch)
		return next;
	for (const struct worker *worker = dispatch->workers.first; worker; worker = worker->next)
		next = sooner(next, worker->call ? worker->held_until_ms :
		              worker->heard_ms + SILENT_MS);
	if (clock_mono_ms(dispatch->control->clock) < dispatch->adopt_until_ms)
		next = sooner(next, dispatch->adopt_until_ms);
	return dispatch->workers.first ? sooner(next,
	                                        shard_next_due(dispatch->part->shard)) : next;
}

static void turn(struct dispatch *dispatch)
{
	if (!dispatch->epoch)
		return;
	while (job_cancelled(dispatch))
		;
	check_silent(dispatch);
	assign(dispatch);
	answer_due(dispatch);
	show_status(dispatch);
}

static void *dispatcher_run(void *context)
{
	struct dispatch *dispatch = context;
	while (!queue_closed(dispatch->inbox)) {
		struct queue_item *item = queue_take(dispatch->inbox, next_deadline(dispatch));
		take_epoch(dispatch);
		for (int i = 1; item; i++) {
			take(dispatch, (struct post *)item);
			item = i < TURN_MAX ? queue_take(dispatch->inbox, 0) : NULL;
		}
		turn(dispatch);
	}
	return NULL;
}
