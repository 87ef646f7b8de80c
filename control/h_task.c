/* h_task.c - tasks: submitted, read, listed, cancelled. What a task is lies in the shard; here is
 * only who may ask and in which words. */
#include "common/defs.h"
#include "control/admit.h"

#include "api/tasks.h"
#include "common/pack.h"
#include "control/dispatch.h"
#include "control/history.h"
#include "control/record.h"
#include "control/rules.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

handler_fn h_task_submit, h_task_list, h_task_get, h_task_cancel;

enum { WAIT_MOST_MS = 30000, BODY_MAX = 1024 * 1024 };

static int no_task(const struct request *request, struct err *err)
{
	return err_set(err, E_NOT_FOUND, "the domain %s has no such task", request->domain);
}

static int needs_domain(struct control *control, const struct request *request, struct err *err)
{
	char key[STORE_KEY_MAX];
	TRY(request_needs_lead(request, err));
	catalog_key(key, KIND_DOMAIN, request->tenant, NULL, request->domain);
	if (catalog_has(control->catalog, key))
		return 0;
	return err_set(err, E_NOT_FOUND, "the domain %s does not exist", request->domain);
}

/* In memory, or in the history. */
static int task_get(struct request *request, const char *id, struct value **ret_task,
                    struct err *err)
{
	struct value *task = shard_task(request->part->shard, request->arena, request->tenant,
	                                request->domain, id);
	if (!task)
		TRY(history_find(request, id, &task, err));
	if (!task)
		return no_task(request, err);
	*ret_task = task;
	return 0;
}

static int reply_task(struct request *request, int status, const char *id, struct err *err)
{
	struct value *task = NULL;
	TRY(task_get(request, id, &task, err));
	return request_reply(request, status, task, err);
}

/* --- submit --- */

static bool printable(const char *text)
{
	for (; *text; text++)
		if (*text < 0x21 || *text > 0x7e)
			return false;
	return true;
}

/* Keys of one domain do not meet those of another. */
static int read_key(struct request *request, const char **ret_key, struct err *err)
{
	const char *key = request_header(request, "Idempotency-Key");
	*ret_key = NULL;
	if (!key)
		return 0;
	if (!*key || strlen(key) > IDEMPOTENCY_KEY_MAX || !printable(key))
		return err_set(err, E_INVALID,
		               "Idempotency-Key has 1 to %d printable characters without "
		               "spaces",
		               IDEMPOTENCY_KEY_MAX);
	*ret_key = arena_printf(request->arena, "%s/%s", request->domain, key);
	return *ret_key ? 0 : err_set(err, E_NOMEM, "no memory for an Idempotency-Key");
}

/* Of what the body means, not how it is written. */
static int hash_body(const struct request *request, uint8_t out[DIGEST_BYTES], struct err *err)
{
	AUTO_BUF packed;
	buf_init(&packed, BODY_MAX);
	TRY(pack_write(request->body, &packed, err));
	TRY(buf_check(&packed, err));
	digest(packed.data, packed.len, out);
	return 0;
}

static int submitted(struct control *control, struct request *request, struct err *err)
{
	const char *id = request->state;
	(void)control;
	if (request->submitted)
		dispatch_wake(request->part->dispatch);
	request->reply->location =
		arena_printf(request->arena, "/v1/tenants/%s/domains/%s/tasks/%s", request->tenant,
	                     request->domain, id);
	return reply_task(request, 202, id, err);
}

/* Reserves and gives back at once: what would be refused is refused. */
static int dry_run(struct request *request, const struct submission *submission, struct err *err)
{
	const char *existing = NULL;
	AUTO(change) *change = NULL;
	struct submission dry = *submission;
	dry.key = NULL;
	TRY(change_new(&change, err));
	TRY(shard_submit(request->part->shard, &dry, change, request->arena, &existing, err));
	shard_withdraw(request->part->shard, dry.id);
	struct value *body = value_map(request->arena);
	value_set_str(body, "result", "accepted");
	value_set_bool(body, "dryRun", true);
	value_set_str(body, "type", task_info[dry.request->type].name);
	value_set(body, "limits", record_limits(request->arena, &dry.request->limits));
	return request_reply(request, 200, body, err);
}

static int submit(struct request *request, const struct submission *submission, struct err *err)
{
	const char *existing = NULL;
	struct change *change = NULL;
	if (request->dry_run)
		return dry_run(request, submission, err);
	/* Its own change until it is known that there is something to commit. */
	TRY(change_new(&change, err));
	int code = shard_submit(request->part->shard, submission, change, request->arena, &existing,
	                        err);
	request->finish = submitted;
	request->state = arena_strdup(request->arena, existing ? existing : submission->id);
	if (code < 0 || existing) {
		change_free(change);
		return code;
	}
	request->change = change;
	request->submitted = request->state;
	return request->state ? 0 : err_set(err, E_NOMEM, "no memory for a task's id");
}

int h_task_submit(struct control *control, struct request *request, struct err *err)
{
	struct task_request asked;
	char id[ID_LEN + 1], principal[2 * (NAME_MAX_LEN + 1)];
	uint8_t random[10], hash[DIGEST_BYTES];
	const char *key = NULL;
	TRY(needs_domain(control, request, err));
	if (!request->body)
		return err_set(err, E_INVALID,
		               "the body is empty; it must hold {\"type\": ..., \"spec\": "
		               "{...}}");
	TRY(task_request_read(request->body, &asked, err));
	TRY(read_key(request, &key, err));
	TRY(rules_task(control, request, task_info[asked.type].fields, asked.spec, err));
	TRY(hash_body(request, hash, err));
	random_bytes(random, sizeof random);
	id_make(request->now_ms, random, id);
	snprintf(principal, sizeof principal, "%s/%s", request->asker.tenant,
	         request->asker.principal);
	const struct submission submission = {
		.id = id,
		.tenant = request->tenant,
		.domain = request->domain,
		.principal = principal,
		.request = &asked,
		.key = key,
		.body_hash = hash,
		.now_ms = request->now_ms,
	};
	return submit(request, &submission, err);
}

/* --- read --- */

/* A held request takes a thread: only so many may be held. */
static void hold(struct control *control, const struct request *request, int64_t after,
                 int64_t wait_ms)
{
	if (atomic_fetch_add(&control->held, 1) < control->held_max)
		shard_wait(request->part->shard, request->task, after,
		           clock_mono_ms(control->clock) + wait_ms);
	atomic_fetch_sub(&control->held, 1);
}

int h_task_get(struct control *control, struct request *request, struct err *err)
{
	int64_t wait_ms = 0, after = 0;
	struct value *task = NULL;
	TRY(needs_domain(control, request, err));
	TRY(request_number(request, "waitMs", 0, WAIT_MOST_MS, 0, &wait_ms, err));
	TRY(request_number(request, "afterVersion", 0, INT64_MAX, 0, &after, err));
	/* Looked up before it is waited for: a wait must not tell of another's task. */
	TRY(task_get(request, request->task, &task, err));
	if (value_get_bool(task, "archived", false))
		return request_reply(request, 200, task, err);
	if (wait_ms)
		hold(control, request, after, wait_ms);
	TRY(request_needs_lead(request, err));
	return reply_task(request, 200, request->task, err);
}

int h_task_list(struct control *control, struct request *request, struct err *err)
{
	int64_t limit = 0;
	struct value *list = NULL;
	const char *before = request_query(request, "continue"), *resume = NULL;
	struct history_ask ask = {
		.domain = request->domain, .state = request_query(request, "state"),
		.before = before,
	};
	TRY(needs_domain(control, request, err));
	TRY(request_number(request, "limit", 1, LIST_MOST, LIST_DEFAULT, &limit, err));
	if (before && !id_valid(before))
		return err_set(err, E_INVALID,
		               "continue is not a token of this list; begin again without "
		               "it");
	ask.limit = (size_t)limit;
	TRY(history_list(request, &ask, &list, &resume, err));
	return request_reply_list(request, list, resume, err);
}

/* --- cancel --- */

static int cancelled(struct control *control, struct request *request, struct err *err)
{
	int code = 0;
	(void)control;
	if (request->change)
		code = dispatch_cancel(request->part->dispatch, request->tenant, request->task,
		                       err);
	if (code < 0 && code != E_CONFLICT &&
	    code != E_NOT_FOUND) /* those: it has ended by itself */
		return code;
	return reply_task(request, request->change ? 202 : 200, request->task, err);
}

static int add_cancel(struct request *request, struct err *err)
{
	struct change *change = NULL;
	char principal[2 * (NAME_MAX_LEN + 1)];
	TRY(request_change(request, &change, err));
	struct value *record = record_new(change_arena(change), RECORD_CANCEL, request->now_ms);
	snprintf(principal, sizeof principal, "%s/%s", request->asker.tenant,
	         request->asker.principal);
	value_set_str(record, "id", request->task);
	value_set_str(record, "tenant", request->tenant);
	value_set_str(record, "principal", principal);
	TRY(value_check(record, err));
	return change_record(change, record, err);
}

/* Ending what has ended changes nothing, so a cancel may be repeated. */
int h_task_cancel(struct control *control, struct request *request, struct err *err)
{
	TRY(needs_domain(control, request, err));
	struct value *task = NULL;
	TRY(task_get(request, request->task, &task, err));
	request->finish = cancelled;
	bool ended = value_get(task, "endedAt") || value_get_bool(task, "cancelRequested", false);
	return ended || request->dry_run ? 0 : add_cancel(request, err);
}
