/* dispatch_poll.c - a worker's poll, taken in and answered. Invariants: a report is acknowledged
 * only when it is durable or tells of nothing current; a poll that comes again gets the answer
 * that was given; an attempt that its worker does not name is not running there. */
#include "common/defs.h"
#include "control/dispatch_impl.h"

#include "common/log.h"
#include "control/shard_work.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ANSWER_ARENA_MAX = 64 * 1024 * 1024, GRANTS_PER_ANSWER = 64 };

static int64_t mono_ms(const struct dispatch *dispatch)
{
	return clock_mono_ms(dispatch->control->clock);
}

/* --- answers --- */

int answer_bytes(const struct envelope *envelope, const struct node_proof *proof, struct buf *out,
                 struct err *err)
{
	AUTO_BUF bare;
	buf_init(&bare, LINK_MESSAGE_MAX - NODE_OVERHEAD_MAX);
	buf_clear(out);
	if (!proof->key) {
		TRY(envelope_write(envelope, out, err));
		return buf_check(out, err);
	}
	TRY(envelope_write(envelope, &bare, err));
	TRY(buf_check(&bare, err));
	return node_answer_write(proof, bare.data, bare.len, out, err);
}

static int answer_write(const struct dispatch *dispatch, const struct envelope *asked,
                        const char *kind, const struct value *body, struct buf *out,
                        struct err *err)
{
	struct envelope envelope = {
		.version = ENVELOPE_VERSION, .kind = kind, .worker = dispatch->control->replica,
		.incarnation = asked->incarnation, .seq = asked->seq, .body = body,
	};
	return answer_bytes(&envelope, &asked->proof, out, err);
}

static int poll_answer_write(const struct dispatch *dispatch, const struct envelope *asked,
                             const struct poll_answer *answer, struct buf *out, struct err *err)
{
	AUTO(arena) *arena = NULL;
	struct value *body = NULL;
	TRY(arena_new(ANSWER_ARENA_MAX, &arena, err));
	TRY(poll_answer_value(arena, answer, &body, err));
	return answer_write(dispatch, asked, "poll", body, out, err);
}

void answer_elsewhere(const struct dispatch *dispatch, struct link_call *call,
                      const struct envelope *asked, const struct err *why, int shard)
{
	AUTO(arena) *arena = NULL;
	AUTO_BUF out;
	struct err err;
	buf_init(&out, 64 * KIB);
	struct value *body = arena_new(64 * KIB, &arena, &err) == 0 ? value_map(arena) : NULL;
	if (body) {
		value_set_str(body, "code", err_name(why->code));
		value_set_str(body, "text", why->text);
		if (shard >= 0)
			value_set_int(body, "shard", shard);
	}
	if (body && answer_write(dispatch, asked, "problem", body, &out, &err) == 0)
		link_answer(call, out.data, out.len);
	else
		link_drop(call);
}

void answer_problem(const struct dispatch *dispatch, struct link_call *call,
                    const struct envelope *asked, const struct err *why)
{
	answer_elsewhere(dispatch, call, asked, why, -1);
}

static void answer_not_leader(const struct dispatch *dispatch, struct message *message)
{
	AUTO_BUF out;
	struct err err;
	struct poll_answer answer = { .leader = false, .shards = dispatch->control->part_count };
	buf_init(&out, 64 * KIB);
	if (poll_answer_write(dispatch, &message->envelope, &answer, &out, &err) < 0)
		return;                      /* the message drops its call */
	link_answer(message->call, out.data, out.len);
	message->call = NULL;
}

static size_t drops_now(const struct worker *worker, const char *names[DROPS_MAX])
{
	for (size_t i = 0; i < worker->drop_count; i++)
		names[i] = worker->drops[i].tenant;
	return worker->drop_count;
}

static size_t erases_now(const struct worker *worker, struct erasure erases[ERASES_MAX])
{
	for (size_t i = 0; i < worker->erase_count; i++)
		erases[i] = (struct erasure){ worker->erases[i].tenant, worker->erases[i].uid };
	return worker->erase_count;
}

static void drops_said(struct worker *worker)
{
	size_t count = 0;
	for (size_t i = 0; i < worker->drop_count; i++)
		if (++worker->drops[i].said < SAID_TIMES)
			worker->drops[count++] = worker->drops[i];
	worker->drop_count = count;
}

/* What the worker knows of after this answer. */
static void told(struct worker *worker, size_t grants)
{
	struct given *given = worker->given;
	for (; given; given = given->next) {
		if (!given_ready(given))
			continue;
		if (grants == 0)
			break;
		given->sent_seq = worker->seq;
		buf_release(&given->grant);
		grants--;
	}
	drops_said(worker);
	for (struct given *at = worker->given; at; at = at->next) {
		at->cancel_said += at->cancel;
		at->back_said += at->back;
	}
	worker->ack_count = 0;
	worker->cancel_count = 0;
	worker->prompt = given != NULL;      /* that does not fit: with the next */
}

static void gather(struct worker *worker, struct poll_answer *answer,
                   struct poll_task tasks[GRANTS_PER_ANSWER], struct token cancels[CANCELS_MAX],
                   struct token backs[CANCELS_MAX])
{
	size_t bytes = 0;
	bool full = false;
	memcpy(cancels, worker->cancels, worker->cancel_count * sizeof cancels[0]);
	answer->cancel_count = worker->cancel_count;
	for (const struct given *given = worker->given; given; given = given->next) {
		bool ready = given_ready(given);
		full |= ready && (answer->task_count == GRANTS_PER_ANSWER ||
		                  bytes + given->grant.len >= LINK_MESSAGE_MAX - 512 * KIB);
		if (ready && !full) {
			tasks[answer->task_count++] = (struct poll_task){ given->grant.data,
			                                                  given->grant.len };
			bytes += given->grant.len;
		}
		if (given->cancel && answer->cancel_count < CANCELS_MAX)
			cancels[answer->cancel_count++] = given->token;
		if (given->back && given->sent_seq != 0 && answer->back_count < CANCELS_MAX)
			backs[answer->back_count++] = given->token;
	}
}

void worker_answer(struct dispatch *dispatch, struct worker *worker)
{
	struct poll_task tasks[GRANTS_PER_ANSWER];
	struct token cancels[CANCELS_MAX], backs[CANCELS_MAX];
	const char *drops[DROPS_MAX];
	struct erasure erases[ERASES_MAX];
	struct err err;
	const struct envelope asked = { .incarnation = worker->incarnation, .seq = worker->seq,
	                                .proof = worker->proof };
	struct poll_answer answer = {
		.leader = dispatch->epoch != 0, .shards = dispatch->control->part_count,
		.era = dispatch->control->era.base,
		.tasks = tasks, .cancels = cancels, .backs = backs,
		.acks = worker->acks, .ack_count = worker->ack_count,
		.meter_ack = worker->meter_ack,
		.drop = drops, .drop_count = drops_now(worker, drops),
		.erase = erases, .erase_count = erases_now(worker, erases),
	};
	gather(worker, &answer, tasks, cancels, backs);
	struct link_call *call = MOVE(worker->call);
	worker->heard_ms = mono_ms(dispatch);
	worker_update(worker);
	worker_set_times(dispatch, worker);
	if (poll_answer_write(dispatch, &asked, &answer, &worker->answer, &err) < 0) {
		log_warn(NULL, "poll_not_answered", "worker=%s reason=\"%s\"", worker->name,
		         err.text);
		buf_clear(&worker->answer);
		link_drop(call);
		return;
	}
	link_answer(call, worker->answer.data, worker->answer.len);
	told(worker, answer.task_count);
}

/* --- taking in --- */

static void adopt(struct dispatch *dispatch, struct worker *worker, const char *task,
                  const struct token *token, struct given **ret_given)
{
	struct err err;
	bool cancel = false;
	*ret_given = NULL;
	/* Of before a restore: what it wrote and was given is of another era. */
	if (token->epoch <= dispatch->control->era.base)
		return;
	if (!shard_adopt(dispatch->part->shard, dispatch->replay, task, token, worker->name,
	                 &cancel))
		return;
	if (worker_give(worker, task, token, ret_given, &err) < 0) {
		shard_put_back(dispatch->part->shard, task, token);
		log_warn(&(struct log_context){ .task = task }, "attempt_not_adopted",
		         "worker=%s reason=\"%s\"", worker->name, err.text);
		return;
	}
	(*ret_given)->sent_seq = worker->seq;
	(*ret_given)->confirmed = true;
	(*ret_given)->cancel = cancel;
	(*ret_given)->back = worker->drained;
	if (cancel || worker->drained)
		worker_prompt(worker);
	log_info(&(struct log_context){ .task = task }, "attempt_adopted", "worker=%s",
	         worker->name);
}

/* The shard is replayed anew and this thread has not seen it yet: what is not found there now may
 * be adopted in a moment, so its worker is told nothing of it. */
static bool is_between(const struct dispatch *dispatch)
{
	return shard_replays(dispatch->part->shard) != dispatch->replay;
}

static void take_running(struct dispatch *dispatch, struct worker *worker,
                         const struct running *running)
{
	struct given *given = worker_given(worker, &running->token);
	if (!given)
		adopt(dispatch, worker, running->task, &running->token, &given);
	if (!given && is_between(dispatch))
		return;
	if (!given) {
		if (worker_end_zombie(worker, &running->token))
			worker_prompt(worker);
		return;
	}
	given->listed = true;
	given->confirmed = true;
	if ((given->cancel && given->cancel_said < SAID_TIMES) ||
	    (given->back && given->back_said < SAID_TIMES))
		worker_prompt(worker);
	shard_progress(dispatch->part->shard, running->task, &running->token,
	               &running->progress);
}

static void take_done(struct dispatch *dispatch, struct worker *worker, struct message *message,
                      const struct report *report)
{
	struct given *given = worker_given(worker, &report->token);
	if (!given)
		adopt(dispatch, worker, report->task, &report->token, &given);
	if (!given && is_between(dispatch))
		return;
	if (!given) {
		log_info(&(struct log_context){ .task = report->task }, "report_ignored",
		         "worker=%s reason=\"not the current attempt\"", worker->name);
		worker_ack(worker, &report->token);
		return;
	}
	given->listed = true;
	given->confirmed = true;
	if (!given->settling)
		given->settling = job_report(dispatch, message, report);
}

/* An attempt that the worker should have named and did not. */
static void take_missing(struct dispatch *dispatch, struct worker *worker, struct given *given)
{
	struct shard *shard = dispatch->part->shard;
	if (!given->confirmed && shard_unassign(shard, given->task, &given->token)) {
		worker_take_back(worker, given);
		return;
	}
	given->settling = job_lost(dispatch, worker->name, given->task, &given->token,
	                           E_DEAD_WORKER, "its worker died or lost it");
}

static void read_self(const struct poll *poll, const struct worker *worker,
                      struct worker_self *ret_self)
{
	memset(ret_self, 0, sizeof *ret_self);       /* it is compared as bytes */
	snprintf(ret_self->pool, sizeof ret_self->pool, "%s", poll->pool ? poll->pool : "default");
	snprintf(ret_self->version, sizeof ret_self->version, "%s", poll->version);
	snprintf(ret_self->serve_url, sizeof ret_self->serve_url, "%s",
	         poll->serve_url ? poll->serve_url : "");
	snprintf(ret_self->cage, sizeof ret_self->cage, "%s", poll->cage ? poll->cage : "");
	for (size_t i = 0; i < poll->label_count; i++) {
		snprintf(ret_self->labels[i].key, sizeof ret_self->labels[i].key, "%s",
		         poll->labels[i].key);
		snprintf(ret_self->labels[i].value, sizeof ret_self->labels[i].value, "%s",
		         poll->labels[i].value);
	}
	ret_self->label_count = poll->label_count;
	ret_self->slots = poll->slots_max;
	ret_self->protocol = poll->protocol ? poll->protocol : 1;
	ret_self->draining = poll->draining;
	/* One of the first protocol says what is free only, and has a core for each slot. */
	uint64_t known = worker->self.memory_bytes > poll->memory_bytes
		? worker->self.memory_bytes : poll->memory_bytes;
	ret_self->memory_bytes = poll->memory_bytes_max ? poll->memory_bytes_max : known;
	ret_self->cpu_millis = poll->cpu_millis_max ? poll->cpu_millis_max
	                                            : (int64_t)poll->slots_max * 1000;
}

static void take_worker(struct dispatch *dispatch, struct worker *worker, const struct poll *poll)
{
	struct worker_self self;
	read_self(poll, worker, &self);
	worker_tell(dispatch, worker, &self);
	if (!poll->box_public || bytes_equal(worker->box_public, poll->box_public,
	                                     BOX_PUBLIC_BYTES))
		return;
	grant_seal_free(MOVE(worker->seal));
	memcpy(worker->box_public, poll->box_public, BOX_PUBLIC_BYTES);
}

/* What is new since the last time, the newest last. */
static void take_caches(struct dispatch *dispatch, struct worker *worker, const struct poll *poll)
{
	size_t count = 0;
	while (count < poll->cache_count && strcmp(poll->caches[count], worker->cached) != 0)
		count++;
	for (size_t i = count; i-- > 0;)
		shard_worker_near(dispatch->part->shard, worker->name, poll->caches[i]);
	if (count > 0)
		snprintf(worker->cached, sizeof worker->cached, "%s", poll->caches[0]);
}

/* What it says is free, without what is on its way to it; nobody could open what one without a key
 * is given. */
static void take_free(struct worker *worker, const struct poll *poll)
{
	worker->slots = poll->box_public ? poll->slots : 0;
	worker->memory_bytes = poll->memory_bytes;
	for (const struct given *given = worker->given; given; given = given->next) {
		if (given->confirmed || given->settling)
			continue;
		worker->slots -= worker->slots > 0;
		worker->memory_bytes -= given->memory_bytes < worker->memory_bytes
			? given->memory_bytes : worker->memory_bytes;
	}
}

static void take_reads(struct dispatch *dispatch, struct worker *worker, struct message *message)
{
	int64_t seq = message->poll.meter_seq;
	if (seq == worker->meter_ack)
		worker_prompt(worker);
	if (seq <= worker->meter_ack || seq == worker->meter_settling)
		return;
	if (job_reads(dispatch, message))
		worker->meter_settling = seq;
}

static void take_body(struct dispatch *dispatch, struct worker *worker, struct message *message)
{
	const struct poll *poll = &message->poll;
	take_worker(dispatch, worker, poll);
	take_caches(dispatch, worker, poll);
	/* The poll after the one whose answer carried a grant may have been sent before that answer
	 * came: it says nothing of the grant yet. */
	for (struct given *given = worker->given; given; given = given->next)
		given->listed = given->settling || given->sent_seq == 0 ||
			(!given->confirmed && worker->seq <= given->sent_seq + 1);
	for (size_t i = 0; i < poll->running_count; i++)
		take_running(dispatch, worker, &poll->running[i]);
	for (size_t i = 0; i < poll->done_count; i++)
		take_done(dispatch, worker, message, &poll->done[i]);
	for (struct given *given = worker->given, *next = NULL; given; given = next) {
		next = given->next;
		if (!given->listed)
			take_missing(dispatch, worker, given);
	}
	if (worker->drop_count > 0)
		worker_prompt(worker);
	take_erased(dispatch, worker, poll);
	if (poll->reads_count > 0)
		take_reads(dispatch, worker, message);
	take_free(worker, poll);
}

/* A poll that was seen before: the same answer, or held in the earlier one's place. */
static void repeat(struct worker *worker, struct message *message)
{
	if (worker->call) {
		link_drop(worker->call);
		worker->call = MOVE(message->call);
	} else if (worker->answer.len > 0) {
		link_answer(MOVE(message->call), worker->answer.data, worker->answer.len);
	}
}

/* A later poll took this one's place: its sender waits for no more from it (api/poll.h). */
static void answer_nothing(const struct dispatch *dispatch, const struct envelope *asked,
                           struct link_call *call)
{
	AUTO_BUF out;
	struct err err;
	struct poll_answer answer = { .leader = true, .shards = dispatch->control->part_count };
	buf_init(&out, 64 * KIB);
	if (poll_answer_write(dispatch, asked, &answer, &out, &err) == 0)
		link_answer(call, out.data, out.len);
	else
		link_drop(call);
}

/* One that has attempts is heard more often: it is missed sooner. */
static int64_t hold_ms(const struct dispatch *dispatch, const struct worker *worker)
{
	int64_t often_ms = silent_ms(dispatch) / 4;
	return worker->given && often_ms < POLL_HOLD_MS ? often_ms : POLL_HOLD_MS;
}

static void hold(struct dispatch *dispatch, struct worker *worker, struct message *message)
{
	const struct envelope older = { .incarnation = worker->incarnation, .seq = worker->seq,
	                                .proof = worker->proof };
	if (worker->call)
		answer_nothing(dispatch, &older, worker->call);
	worker->call = MOVE(message->call);
	worker->seq = message->envelope.seq;
	node_proof_copy(&worker->proof, &message->envelope.proof);
	memcpy(worker->public_key, message->public_key, sizeof worker->public_key);
	buf_clear(&worker->answer);
	worker->held_until_ms = mono_ms(dispatch) + hold_ms(dispatch, worker);
	if (worker->prompt)
		worker_prompt(worker);
}

static void take_poll(struct dispatch *dispatch, struct worker *worker, struct message *message)
{
	const struct envelope *envelope = &message->envelope;
	if (envelope->seq == worker->seq)
		repeat(worker, message);
	if (envelope->seq < worker->seq)
		answer_nothing(dispatch, envelope, MOVE(message->call));
	if (envelope->seq <= worker->seq)
		return;
	hold(dispatch, worker, message);
	take_body(dispatch, worker, message);
}

void poll_take_in(struct dispatch *dispatch, struct message *message)
{
	struct worker *worker = NULL;
	if (!dispatch->epoch) {
		answer_not_leader(dispatch, message);
		return;
	}
	if (!message_allowed(dispatch, message))
		return;
	if (!worker_meet(dispatch, message, &worker))
		return;
	worker->heard_ms = mono_ms(dispatch);
	take_poll(dispatch, worker, message);
	worker_update(worker);
	worker_set_times(dispatch, worker);
}

/* --- what came of it --- */

static void reads_settled(struct worker *worker, const struct job *job)
{
	if (job->item.incarnation != worker->incarnation)
		return;
	if (job->settled) {
		worker->meter_ack = job->item.meter_seq;
		worker_prompt(worker);
	}
	worker->meter_settling = 0;
}

/* Control itself ended it (dispatch_end): whose it was is told to stop, or is never sent it. */
static void ended_here(struct dispatch *dispatch, const struct job *job)
{
	struct worker *worker = NULL;
	const struct token *token = &job->report.token;
	struct given *given = workers_given(&dispatch->workers, job->task, &worker);
	if (!given || given->token.epoch != token->epoch || given->token.counter != token->counter)
		return;
	if (given->sent_seq == 0) {
		worker_take_back(worker, given);
		return;
	}
	given->cancel = true;
	worker_prompt(worker);
}

/* What an attempt reads is written down: when all of it is, its grant leaves. */
static void grant_noted(struct dispatch *dispatch, const struct job *job)
{
	struct worker *worker = NULL;
	const struct token *token = &job->report.token;
	struct given *given = workers_given(&dispatch->workers, job->task, &worker);
	if (!job->settled || !given || !given->noting ||
	    given->token.epoch != token->epoch || given->token.counter != token->counter)
		return;
	given->noting--;
	if (given_ready(given))
		worker_prompt(worker);
}

void job_settled(struct dispatch *dispatch, const struct job *job)
{
	if (job->item.kind == SETTLE_SHARED) {
		grant_noted(dispatch, job);
		return;
	}
	struct worker *worker = workers_find(&dispatch->workers, job->worker);
	if (job->settled && !job->worker[0] && job->item.kind == SETTLE_REPORT)
		ended_here(dispatch, job);
	if (!worker)
		return;
	if (job->item.kind == SETTLE_READS) {
		reads_settled(worker, job);
		return;
	}
	const struct token *token = &job->item.report->token;
	struct given *given = worker_given(worker, token);
	if (given && !job->settled)
		given->settling = false;
	if (!job->settled)
		return;
	if (given)
		worker_take_back(worker, given);
	if (job->item.worker)
		worker_ack(worker, token);
}
