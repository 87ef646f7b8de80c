/* dispatch_access.c - asks for online reads, answered in a thread of their own: the answer waits
 * until its audit event is durable, and polls must not wait for that. */
#include "common/defs.h"
#include "control/dispatch_impl.h"

#include "control/access.h"
#include "control/joining.h"

static int answer_write(const struct dispatch *dispatch, const struct message *message,
                        const struct buf *grant, struct buf *out, struct err *err)
{
	const struct access_answer said = { grant->data, grant->len };
	struct value *body;
	TRY(access_answer_value(message->arena, &said, &body, err));
	struct envelope envelope = {
		.version = ENVELOPE_VERSION, .kind = "access", .worker = dispatch->control->replica,
		.incarnation = message->envelope.incarnation, .seq = message->envelope.seq,
		.body = body,
	};
	return answer_bytes(&envelope, &message->envelope.proof, out, err);
}

static int answer(struct dispatch *dispatch, struct message *message, struct err *err)
{
	AUTO_BUF grant, out;
	buf_init(&grant, GRANT_BYTES_MAX);
	buf_init(&out, LINK_MESSAGE_MAX);
	TRY(access_answer(dispatch->control, message->arena, &message->ask,
	                  message->envelope.worker, &grant, err));
	TRY(buf_check(&grant, err));
	TRY(answer_write(dispatch, message, &grant, &out, err));
	link_answer(MOVE(message->call), out.data, out.len);
	return 0;
}

static int renewed_write(const struct dispatch *dispatch, const struct message *message,
                         const char *pem, struct buf *out, struct err *err)
{
	struct value *body = value_map(message->arena);
	value_set_str(body, "certificate", pem);
	TRY(value_check(body, err));
	const struct envelope envelope = {
		.version = ENVELOPE_VERSION, .kind = "renew", .worker = dispatch->control->replica,
		.incarnation = message->envelope.incarnation, .seq = message->envelope.seq,
		.body = body,
	};
	return answer_bytes(&envelope, &message->envelope.proof, out, err);
}

/* A certificate that is not in the worker's record is not given out. */
static int renew(struct dispatch *dispatch, struct message *message, struct err *err)
{
	struct control *control = dispatch->control;
	struct part *part = part_of(control, "platform");
	AUTO(change) *change = NULL;
	AUTO_BUF out;
	const char *pem = NULL;
	buf_init(&out, LINK_MESSAGE_MAX);
	TRY(part_needs_lead(part, err));
	TRY(change_new(&change, err));
	TRY(joining_renew(control, message->arena, message->envelope.worker, message->request,
	                  change, &pem, err));
	TRY(journal_commit(part->journal, change, err));
	TRY(renewed_write(dispatch, message, pem, &out, err));
	link_answer(MOVE(message->call), out.data, out.len);
	return 0;
}

static int shard_of(struct dispatch *dispatch, struct message *message)
{
	if (message->request)
		return part_of(dispatch->control, "platform")->index;
	return access_shard(dispatch->control, message->arena, &message->ask);
}

void *access_run(void *context)
{
	struct dispatch *dispatch = context;
	struct queue_item *item;
	while ((item = queue_take(dispatch->asks, INT64_MAX)) || !queue_closed(dispatch->asks)) {
		struct message *message = (struct message *)item;
		struct err err;
		if (!message)
			continue;
		if (!message_allowed(dispatch, message)) {
			message_unref(message);
			continue;
		}
		int rc = message->request ? renew(dispatch, message, &err)
		                          : answer(dispatch, message, &err);
		if (rc < 0)
			answer_elsewhere(dispatch, MOVE(message->call), &message->envelope, &err,
			                 rc == E_NOT_LEADER ? shard_of(dispatch, message) : -1);
		message_unref(message);
	}
	return NULL;
}
