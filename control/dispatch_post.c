/* dispatch_post.c - what passes between the dispatcher's threads. A message lives until the
 * dispatcher and every job made of it are done with it. */
#include "common/defs.h"
#include "control/dispatch_impl.h"

#include "common/log.h"
#include "control/audit.h"
#include "control/nodes.h"
#include "control/shard_work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REMOVED_TEXT "the worker %s was removed; join it again with a new token if it is to come back"

enum { READ_ARENA_MAX = 16 * 1024, EVENT_ARENA_MAX = 128 * 1024 };

/* --- messages --- */

static void message_free(struct message *message)
{
	if (message->call)
		link_drop(message->call);
	node_proof_release(&message->envelope.proof);
	arena_free(message->arena);
	free(message);
}

void message_unref(struct message *message)
{
	if (message && --message->refs == 0)
		message_free(message);
}

/* What is not proven is heard only where that is allowed, and never in the name of one that has
 * joined. */
static int check_nameless(const struct control *control, const char *name, struct err *err)
{
	if (!control->nameless)
		return err_set(err, E_UNAUTHENTICATED, "this control hears workers that have "
		               "joined only: give the worker --identity and --join-token-file "
		               "(freehold workers token)");
	if (control->nodes && nodes_has(control->nodes, name))
		return err_set(err, E_UNAUTHENTICATED, "the worker %s has joined, and this is not "
		               "of its key; start it with its --identity", name);
	return 0;
}

static bool leads_any(const struct control *control)
{
	bool leads = false;
	for (int i = 0; i < control->part_count; i++)
		leads |= part_leads(&control->parts[i]);
	return leads;
}

/* That a worker was removed is a leader's to say: another may not have heard that it is back. */
static int check_sender(const struct control *control, const struct envelope *envelope,
                        const struct node_sender *sender, struct err *err)
{
	if (!envelope->proof.key)
		return check_nameless(control, envelope->worker, err);
	if (strcmp(envelope->worker, sender->name) != 0)
		return err_set(err, E_DENIED, "the message is of the worker %s, and speaks in the "
		               "name of another", sender->name);
	if (sender->removed && !leads_any(control))
		return part_needs_lead(&control->parts[0], err);
	return sender->removed ? err_set(err, E_UNAUTHENTICATED, REMOVED_TEXT, sender->name) : 0;
}

static int read_body(struct message *message, const struct node_sender *sender, struct err *err)
{
	const struct envelope *envelope = &message->envelope;
	if (strcmp(envelope->kind, "poll") == 0) {
		TRY(poll_read(message->arena, envelope->body, &message->poll, err));
		const char *pool = message->poll.pool ? message->poll.pool : "default";
		if (!sender->pool[0] || strcmp(pool, sender->pool) == 0)
			return 0;
		return err_set(err, E_DENIED, "the worker %s joined for the pool %s; start it with "
		               "--pool %s", sender->name, sender->pool, sender->pool);
	}
	if (strcmp(envelope->kind, "access") == 0)
		return access_ask_read(message->arena, envelope->body, &message->ask, err);
	if (strcmp(envelope->kind, "renew") == 0 && envelope->proof.key) {
		message->request = value_get_str(envelope->body, "request");
		return message->request ? 0 : err_set(err, E_INVALID, "renew: request is missing");
	}
	return err_set(err, E_INVALID, "the message's kind is none that control knows; upgrade it "
	               "first, then the workers");
}

/* Who it is of is known before anything in it is looked at. */
static int message_parse(struct control *control, struct message *message, const uint8_t *data,
                         size_t len, struct err *err)
{
	struct node_sender sender = { .removed = false };
	if (node_is_message(data, len) && control->nodes)
		TRY(nodes_open(control->nodes, data, len, &sender, &data, &len, err));
	int rc = arena_new(MESSAGE_ARENA_MAX, &message->arena, err);
	if (rc == 0)
		rc = envelope_read(message->arena, data, len, &message->envelope, err);
	message->envelope.proof = sender.proof;
	memcpy(message->public_key, sender.public_key, sizeof message->public_key);
	TRY(rc);
	TRY(check_sender(control, &message->envelope, &sender, err));
	return read_body(message, &sender, err);
}

bool message_allowed(struct dispatch *dispatch, struct message *message)
{
	struct nodes *nodes = dispatch->control->nodes;
	const struct envelope *envelope = &message->envelope;
	struct err why;
	if (!envelope->proof.key || nodes_allow(nodes, envelope->worker, message->public_key))
		return true;
	err_set(&why, E_UNAUTHENTICATED, REMOVED_TEXT, envelope->worker);
	answer_problem(dispatch, MOVE(message->call), envelope, &why);
	return false;
}

/* In the link's thread. */
static void message_refuse(struct control *control, struct message *message, const struct err *err)
{
	log_warn(NULL, "message_refused", "reason=\"%s\"", err->text);
	answer_problem(control->parts[0].dispatch, MOVE(message->call), &message->envelope, err);
	message_free(message);
}

void message_new(struct control *control, struct link_call *call, const uint8_t *data, size_t len)
{
	struct err err;
	struct message *message = calloc(1, sizeof *message);
	if (!message) {
		link_drop(call);
		return;
	}
	message->post.kind = POST_CALL;
	message->refs = 1;
	message->call = call;
	int rc = message_parse(control, message, data, len, &err);
	if (rc == 0 && message->poll.shard >= control->part_count)
		rc = err_set(&err, E_INVALID, "poll: there is no shard %d; this control has %d",
		             message->poll.shard, control->part_count);
	if (rc < 0) {
		message_refuse(control, message, &err);
		return;
	}
	bool polls = strcmp(message->envelope.kind, "poll") == 0;
	struct dispatch *dispatch = control->parts[message->poll.shard].dispatch;
	if (!queue_push(polls ? dispatch->inbox : dispatch->asks, &message->post.item))
		message_free(message);
}

/* --- notes --- */

bool note_send(struct dispatch *dispatch, enum post_kind kind, const char *name, uint32_t pipe)
{
	struct note *note = calloc(1, sizeof *note);
	if (!note)
		return false;
	note->post.kind = kind;
	note->pipe = pipe;
	snprintf(note->name, sizeof note->name, "%s", name);
	bool sent = queue_push_always(dispatch->inbox, &note->post.item);
	if (!sent)
		free(note);
	return sent;
}

/* Its asker's stack ends as soon as the mutex is free. */
static void table_answer(struct table *table)
{
	pthread_mutex_lock(&table->mutex);
	table->done = true;
	pthread_cond_signal(&table->answered);
	pthread_mutex_unlock(&table->mutex);
}

void post_drop(struct post *post)
{
	if (post->kind == POST_TABLE) {
		table_answer((struct table *)post);
		return;
	}
	if (post->kind == POST_CALL) {
		message_unref((struct message *)post);
		return;
	}
	if (post->kind == POST_JOB) {
		message_unref(((struct job *)post)->message);
		arena_free(((struct job *)post)->arena);
	}
	free(post);
}

/* --- jobs --- */

static struct job *job_new(enum settle_kind kind, const char *worker, const char *task)
{
	struct job *job = calloc(1, sizeof *job);
	if (!job)
		return NULL;
	job->post.kind = POST_JOB;
	job->item.kind = kind;
	snprintf(job->worker, sizeof job->worker, "%s", worker ? worker : "");
	snprintf(job->task, sizeof job->task, "%s", task ? task : "");
	job->report.task = job->task;
	job->item.report = &job->report;
	return job;
}

static bool job_send(struct dispatch *dispatch, struct job *job)
{
	job->replay = dispatch->replay;
	if (queue_push_always(dispatch->jobs, &job->post.item))
		return true;
	post_drop(&job->post);
	return false;
}

bool job_lost(struct dispatch *dispatch, const char *worker, const char *task,
              const struct token *token, int code, const char *text)
{
	struct job *job = job_new(SETTLE_REPORT, worker, task);
	if (!job)
		return false;
	snprintf(job->text, sizeof job->text, "%s", text);
	job->report.token = *token;
	job->report.outcome = OUTCOME_FAILED;
	job->report.code = code;
	job->report.text = job->text;
	return job_send(dispatch, job);
}

bool job_report(struct dispatch *dispatch, struct message *message, const struct report *report)
{
	struct job *job = job_new(SETTLE_REPORT, message->envelope.worker, report->task);
	if (!job)
		return false;
	job->message = message;
	message->refs++;
	job->item.worker = job->worker;
	job->item.report = report;
	return job_send(dispatch, job);
}

bool job_reads(struct dispatch *dispatch, struct message *message)
{
	struct job *job = job_new(SETTLE_READS, message->envelope.worker, NULL);
	if (!job)
		return false;
	job->message = message;
	message->refs++;
	job->item.worker = job->worker;
	job->item.incarnation = message->envelope.incarnation;
	job->item.meter_seq = message->poll.meter_seq;
	job->item.reads = message->poll.reads;
	job->item.reads_count = message->poll.reads_count;
	return job_send(dispatch, job);
}

static bool copy_read(struct arena *arena, const struct shared_read *from, struct shared_read *to)
{
	const char *const texts[] = { from->reader.tenant, from->reader.domain, from->principal,
	                              from->task, from->shared.tenant, from->shared.domain,
	                              from->shared.name, from->shared.offer };
	const char **const copies[] = { &to->reader.tenant, &to->reader.domain, &to->principal,
	                                &to->task, &to->shared.tenant, &to->shared.domain,
	                                &to->shared.name, &to->shared.offer };
	*to = *from;
	to->rule = NULL;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		*copies[i] = texts[i] ? arena_strdup(arena, texts[i]) : NULL;
		if (texts[i] && !*copies[i])
			return false;
	}
	return true;
}

static struct job *job_of_grant(const struct given *given)
{
	struct job *job = job_new(SETTLE_SHARED, NULL, given->task);
	if (job)
		job->report.token = given->token;
	return job;
}

static bool note_grant(struct dispatch *dispatch, struct given *given, struct job *job, bool copied)
{
	if (!copied)
		post_drop(&job->post);
	if (!copied || !job_send(dispatch, job))
		return false;
	given->noting++;
	return true;
}

bool job_shared(struct dispatch *dispatch, struct given *given, const struct shared_read *read)
{
	struct job *job = job_of_grant(given);
	if (!job)
		return false;
	bool copied = arena_new(READ_ARENA_MAX, &job->arena, NULL) == 0 &&
		(job->shared = arena_alloc(job->arena, sizeof *job->shared)) &&
		copy_read(job->arena, read, job->shared);
	job->item.shared = job->shared;
	return note_grant(dispatch, given, job, copied);
}

static bool copy_event(struct arena *arena, const struct audit_event *from,
                       struct audit_event *to)
{
	const char **const copies[] = { &to->tenant, &to->actor, &to->on_behalf, &to->action,
		                        &to->operation, &to->resource, &to->result, &to->rule,
		                        &to->purpose, &to->task };
	*to = *from;
	for (size_t i = 0; i < ARRAY_LEN(copies); i++) {
		if (*copies[i])
			*copies[i] = arena_strdup(arena, *copies[i]);
		else
			continue;
		if (!*copies[i])
			return false;
	}
	to->detail = from->detail ? value_copy(arena, from->detail) : NULL;
	return !from->detail || value_check(to->detail, NULL) == 0;
}

bool job_event(struct dispatch *dispatch, struct given *given, const struct audit_event *event)
{
	struct job *job = job_of_grant(given);
	if (!job)
		return false;
	bool copied = arena_new(EVENT_ARENA_MAX, &job->arena, NULL) == 0 &&
		(job->event = arena_alloc(job->arena, sizeof *job->event)) &&
		copy_event(job->arena, event, job->event);
	job->item.event = job->event;
	return note_grant(dispatch, given, job, copied);
}

bool job_cancelled(struct dispatch *dispatch)
{
	bool inherited = clock_mono_ms(dispatch->control->clock) >= dispatch->adopt_until_ms;
	struct job *job = job_new(SETTLE_CANCEL, NULL, NULL);
	if (!job)
		return false;
	if (shard_take_cancelled(dispatch->part->shard, inherited, job->task))
		return job_send(dispatch, job);
	free(job);
	return false;
}
