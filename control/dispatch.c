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

enum {
	INBOX_MAX = 16384, ASKS_MAX = 1024, TURN_MAX = 256, IDLE_STEP_MS = 10,
	EXPIRY_STEP_MS = 60000, PREEMPT_STEP_MS = 1000,
	SCRATCH_MAX = 64 * 1024 * 1024, PREEMPTED_MOST = 16
};

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
	made->woken = true;
	pthread_mutex_init(&made->mutex, NULL);
	AUTO(dispatch) *dispatch = made;
	TRY(arena_new(SCRATCH_MAX, &dispatch->scratch, err));
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
	while (dispatch->workers.first)
		worker_forget(dispatch, dispatch->workers.first);
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
	arena_free(dispatch->scratch);
	pthread_mutex_destroy(&dispatch->mutex);
	free(dispatch);
}

/* --- from other threads --- */

void dispatch_call(void *context, struct link_call *call, const uint8_t *data, size_t len)
{
	message_new(context, call, data, len);
}

static void note_gone(struct dispatch *dispatch, uint32_t pipe)
{
	if (!note_send(dispatch, POST_GONE, "", pipe) && !queue_closed(dispatch->inbox))
		log_warn(NULL, "connection_end_not_noted", "reason=\"out of memory; its worker is "
		         "given up when it has been silent for long enough\"");
}

void dispatch_gone(void *context, uint32_t pipe)
{
	struct control *control = context;
	for (int i = 0; i < control->part_count; i++)
		note_gone(control->parts[i].dispatch, pipe);
}

void dispatch_wake(struct dispatch *dispatch)
{
	atomic_store(&dispatch->woken, true);
	queue_wake(dispatch->inbox);
}

void dispatch_policy(struct dispatch *dispatch, const char *worker)
{
	if (!note_send(dispatch, POST_POLICY, worker, 0))
		log_warn(NULL, "worker_policy_not_taken", "worker=%s reason=\"out of memory; apply "
		         "it again\"", worker);
}

void dispatch_node(struct dispatch *dispatch, const char *worker)
{
	if (!note_send(dispatch, POST_NODE, worker, 0))
		log_warn(NULL, "worker_removal_not_taken", "worker=%s reason=\"out of memory; its "
		         "next message is refused\"", worker);
}

int dispatch_workers(struct dispatch *dispatch, struct arena *arena, struct value **ret_list,
                     struct err *err)
{
	struct table table = { .post.kind = POST_TABLE, .arena = arena };
	pthread_mutex_init(&table.mutex, NULL);
	pthread_cond_init(&table.answered, NULL);
	pthread_mutex_lock(&table.mutex);
	bool sent = queue_push_always(dispatch->inbox, &table.post.item);
	while (sent && !table.done)
		pthread_cond_wait(&table.answered, &table.mutex);
	pthread_mutex_unlock(&table.mutex);
	pthread_cond_destroy(&table.answered);
	pthread_mutex_destroy(&table.mutex);
	if (!table.list)
		return err_set(err, E_UNAVAILABLE, "the workers are not known now; ask again");
	*ret_list = table.list;
	return value_check(table.list, err);
}

void dispatch_drop_access(struct dispatch *dispatch, const char *tenant)
{
	if (!note_send(dispatch, POST_DROP, tenant, 0))
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
	if (!note_send(dispatch, POST_CANCEL, task, 0))
		return err_set(err, E_NOMEM, "no memory to cancel a task; try again");
	return 0;
}

void dispatch_seal(struct dispatch *dispatch, const char *tenant)
{
	if (!note_send(dispatch, POST_SEAL, tenant, 0))
		log_warn(&(struct log_context){ .tenant = tenant }, "seal_not_taken",
		         "reason=\"out of memory; it is tried again in a second\"");
}

bool dispatch_end(struct dispatch *dispatch, const char *task, const struct token *token, int code,
                  const char *text)
{
	return job_lost(dispatch, NULL, task, token, code, text);
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
	worker_prompt(worker);
}

static void take_drop(struct dispatch *dispatch, const char *tenant)
{
	for (struct worker *worker = dispatch->workers.first; worker; worker = worker->next)
		worker_drop_access(worker, tenant);
}

/* A job of control itself that was not settled is nobody else's to say again. */
static void take_job(struct dispatch *dispatch, struct job *job)
{
	/* Of another replay: the attempt may have been adopted since under the same token, and what
	 * was said of it before says nothing of that. Its worker is not told and reports again. */
	if (job->replay == dispatch->replay)
		job_settled(dispatch, job);
	if (job->settled)            /* its end may let others begin */
		atomic_store(&dispatch->woken, true);
	bool current = job->item.kind == SETTLE_SHARED || job->replay == dispatch->replay;
	bool again = !job->settled && dispatch->epoch && !job->worker[0] && current;
	if (again && queue_push_always(dispatch->jobs, &job->post.item))
		return;
	post_drop(&job->post);
}

static void take_table(struct dispatch *dispatch, struct table *table)
{
	if (dispatch->epoch)
		table->list = workers_table(dispatch, table->arena);
	post_drop(&table->post);
}

static void take_note(struct dispatch *dispatch, struct note *note)
{
	switch (note->post.kind) {
	case POST_CANCEL: take_cancel(dispatch, note->name); break;
	case POST_DROP: take_drop(dispatch, note->name); break;
	case POST_GONE: take_gone(dispatch, note->pipe); break;
	case POST_POLICY: take_policy(dispatch, note->name); break;
	case POST_SEAL: take_seal(dispatch, note->name); break;
	case POST_NODE: take_node(dispatch, note->name); break;
	case POST_ERASE: take_erase(dispatch, note->name); break;
	default: break;
	}
	post_drop(&note->post);
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
	case POST_TABLE:
		take_table(dispatch, (struct table *)post);
		break;
	default:
		take_note(dispatch, (struct note *)post);
		break;
	}
}

static void forget_workers(struct dispatch *dispatch)
{
	for (struct worker *worker; (worker = dispatch->workers.first);) {
		while (worker->given)
			worker_take_back(worker, worker->given);
		worker->ack_count = worker->cancel_count = 0;
		if (worker->call)
			worker_answer(dispatch, worker);
		worker_forget(dispatch, worker);
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
	dispatch->adopting = true;
	forget_workers(dispatch);
	atomic_store(&dispatch->woken, true);
}

static void answer_prompted(struct dispatch *dispatch)
{
	for (struct worker *worker; (worker = workers_take_prompt(&dispatch->workers));)
		worker_answer(dispatch, worker);
}

static void show_status(struct dispatch *dispatch)
{
	const struct workers *workers = &dispatch->workers;
	pthread_mutex_lock(&dispatch->mutex);
	dispatch->status = (struct dispatch_status){
		.workers = (int)workers->count, .slots = (int)workers->slots,
		.running = (int)workers->running,
	};
	snprintf(dispatch->serve_url, sizeof dispatch->serve_url, "%s",
	         dispatch->serving ? dispatch->serving->self.serve_url : "");
	pthread_mutex_unlock(&dispatch->mutex);
}

static int64_t sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Wall time may step: it is looked at again after a while. */
static int64_t expiry_mono_ms(const struct dispatch *dispatch)
{
	struct clock *clock = dispatch->control->clock;
	int64_t expiry_ms = shard_next_expiry(dispatch->part->shard);
	if (expiry_ms == INT64_MAX)
		return INT64_MAX;
	int64_t left_ms = expiry_ms - clock_unix_ms(clock);
	left_ms = left_ms > IDLE_STEP_MS ? left_ms : IDLE_STEP_MS;
	return clock_mono_ms(clock) + sooner(left_ms, EXPIRY_STEP_MS);
}

/* What waits for time alone is looked at when its time comes; what stays due though nobody could
 * take it, not at every turn. */
static int64_t next_deadline(const struct dispatch *dispatch)
{
	const struct worker *soonest = workers_soonest(&dispatch->workers);
	if (!dispatch->epoch)
		return INT64_MAX;
	int64_t due_ms = expiry_mono_ms(dispatch);
	if (dispatch->adopting)
		due_ms = sooner(due_ms, dispatch->adopt_until_ms);
	if (!soonest)                        /* nobody to give anything to */
		return due_ms;
	int64_t next_ms = shard_next_due(dispatch->part->shard);
	if (next_ms <= dispatch->stirred_ms)
		next_ms = dispatch->stirred_ms + IDLE_STEP_MS;
	if (dispatch->workers.running > 0)   /* it may have run for long enough to make room */
		next_ms = sooner(next_ms, dispatch->stirred_ms + PREEMPT_STEP_MS);
	return sooner(sooner(due_ms, next_ms), soonest->due_ms);
}

/* Whether something changed for those who were tried in vain. */
static bool stirred(struct dispatch *dispatch)
{
	int64_t now_ms = clock_mono_ms(dispatch->control->clock);
	bool stir = atomic_exchange(&dispatch->woken, false);
	if (dispatch->adopting && now_ms >= dispatch->adopt_until_ms) {
		dispatch->adopting = false;
		stir = true;
	}
	if (now_ms >= dispatch->stirred_ms + IDLE_STEP_MS &&
	    now_ms >= shard_next_due(dispatch->part->shard))
		stir = true;
	if (now_ms >= dispatch->stirred_ms + PREEMPT_STEP_MS)
		stir = true;
	if (stir)
		dispatch->stirred_ms = now_ms;
	return stir;
}

static void end_expired(struct dispatch *dispatch)
{
	char task[ID_LEN + 1];
	while (shard_take_expired(dispatch->part->shard, task))
		take_cancel(dispatch, task);
}

static void end_preempted(struct dispatch *dispatch)
{
	struct preempted attempts[PREEMPTED_MOST];
	size_t count = shard_preempt(dispatch->part->shard, dispatch->replay, attempts,
	                             PREEMPTED_MOST);
	for (size_t i = 0; i < count; i++) {
		log_info(&(struct log_context){ .task = attempts[i].id }, "attempt_preempted",
		         "reason=\"others get what they are due\"");
		take_cancel(dispatch, attempts[i].id);
	}
}

static void turn(struct dispatch *dispatch)
{
	if (!dispatch->epoch)
		return;
	while (job_cancelled(dispatch))
		;
	end_expired(dispatch);
	workers_look(dispatch);
	if (stirred(dispatch)) {
		workers_stir(&dispatch->workers);
		assign(dispatch);
		end_preempted(dispatch);
	} else {
		assign(dispatch);
	}
	answer_prompted(dispatch);
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
