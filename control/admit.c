/* admit.c - ADMIT: the step table of a client's request, and its steps in order.
 * Invariants: a step runs only if all before it succeeded, but record and answer always run;
 * nothing is answered before it is durable; what is refused for want of a right looks, to who may
 * not know of it, exactly like what does not exist. */
#include "common/defs.h"
#include "control/admit.h"

#include "api/problem.h"
#include "common/json.h"
#include "common/log.h"
#include "common/yaml.h"
#include "control/caller.h"
#include "control/events.h"
#include "control/forward.h"
#include "control/grants.h"
#include "control/identity.h"
#include "control/intents.h"
#include "control/lead.h"
#include "control/metrics.h"
#include "control/revoked.h"
#include "control/tenancy.h"
#include "control/refusals.h"
#include "control/witness.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { REPLY_MAX = 16 * 1024 * 1024 };

typedef int step_fn(struct control *control, struct request *request, struct err *err);
static step_fn identify, read_request, authorize, pass_on, reserve, handle, record, answer;

struct step {
	const char *name;
	step_fn *run;
	bool always;             /* after a failure, too */
};

static const struct step steps[] = {
	{ "identify",  identify,     false },   /* which route, and who asks: control/identity.c */
	{ "read",      read_request, false },   /* names, options and body:   below */
	{ "authorize", authorize,    false },   /* may they:                  policy/policy.c */
	{ "pass on",   pass_on,      true },    /* to the replica that leads: control/forward.c */
	{ "reserve",   reserve,      false },   /* can they afford it:        tenant/quota.c */
	{ "handle",    handle,       false },   /* do it:                     the route's row */
	{ "record",    record,       true },    /* durable, with its audit:   control/journal.c */
	{ "answer",    answer,       true },    /* say so:                    api/problem.c */
};

static void request_begin(struct control *control, struct request *request)
{
	uint8_t random[10];
	random_bytes(random, sizeof random);
	request->now_ms = clock_unix_ms(control->clock);
	id_make(request->now_ms, random, request->reply->request_id);
	request->id = request->reply->request_id;
	buf_init(&request->reply->body, REPLY_MAX);
}

void admit(struct control *control, struct arena *arena, const struct ask *ask,
           struct reply *ret_reply)
{
	*ret_reply = (struct reply){ .status = 0 };
	struct request request = { .arena = arena, .ask = ask, .reply = ret_reply };
	request_begin(control, &request);
	int64_t start_us = clock_mono_us(control->clock);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct err err = { 0 };
		if (request.passed || (request.failure.code && !steps[i].always))
			continue;
		if (steps[i].run(control, &request, &err) < 0)
			request.failure = err;
	}
	intents_end(control->intents, request.intent);
	change_free(request.change);
	size_t row = request.route ? (size_t)(request.route - routes) : route_count;
	metrics_request(control->metrics, row, ret_reply->status,
	                clock_mono_us(control->clock) - start_us);
}

/* --- identify --- */

/* The token of "Authorization: Bearer TOKEN"; NULL when there is none. */
static const char *bearer(const struct request *request)
{
	const char *header = request_header(request, "Authorization");
	if (!header || strncasecmp(header, "Bearer ", 7) != 0)
		return NULL;
	header += 7;
	return header + strspn(header, " ");
}

/* ?shard=N names one where the path names no tenant. */
static int find_part(struct control *control, struct request *request, struct err *err)
{
	int64_t shard = 0;
	request->part = part_of(control, request->tenant ? request->tenant : "platform");
	if (request->tenant || !request_query(request, "shard"))
		return 0;
	TRY(request_number(request, "shard", 0, control->part_count - 1, 0, &shard, err));
	request->part = &control->parts[shard];
	return 0;
}

static int identify(struct control *control, struct request *request, struct err *err)
{
	TRY(route_find(request, err));
	TRY(find_part(control, request, err));
	if (request->route->action == ACTION_PUBLIC)
		return 0;
	const struct identity_ask who = {
		.credential = bearer(request), .audience = "control", .now_ms = request->now_ms,
		.tenant = request->tenant ? request->tenant : request_query(request, "tenant"),
	};
	request->known = catalog_followed(control->catalog);
	TRY(identity_check(control, request->arena, &who, &request->asker, err));
	request->asker.address = caller_address(control, request);
	/* What one asks for oneself is of one's own part. */
	if (request->route->action == ACTION_SELF && strcmp(request->route->method, "POST") == 0)
		request->part = part_of(control, request->asker.tenant);
	return 0;
}

/* --- read --- */

static int read_names(const struct request *request, struct err *err)
{
	if (request->tenant)
		TRY(name_check("the tenant in the path", request->tenant, err));
	if (request->domain)
		TRY(name_check("the domain in the path", request->domain, err));
	if (request->name)
		TRY(name_check("the name in the path", request->name, err));
	return 0;
}

static int read_dry_run(struct request *request, struct err *err)
{
	const char *text = request_query(request, "dryRun");
	request->dry_run = text && strcmp(text, "true") == 0;
	if (text && !request->dry_run && strcmp(text, "false") != 0)
		return err_set(err, E_INVALID, "dryRun is true or false");
	return 0;
}

/* Whether the content type is that, parameters left aside. */
static bool type_is(const char *type, const char *name)
{
	size_t len = strcspn(type, "; \t");
	return len == strlen(name) && strncasecmp(type, name, len) == 0;
}

static bool type_in(const char *type, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (type_is(type, names[i]))
			return true;
	return false;
}

static int read_yaml(struct request *request, struct err *err)
{
	struct value *list = NULL;
	TRY(yaml_parse(request->arena, (const char *)request->ask->body, request->ask->body_len,
	               &list, err));
	if (value_len(list) != 1)
		return err_set(err, E_INVALID,
		               "the body holds %zu YAML documents; a request takes one "
		               "(freehold apply sends each of a file)",
		               value_len(list));
	request->body = value_copy(request->arena, value_at(list, 0));
	return value_check(request->body, err);
}

static int read_body(struct request *request, struct err *err)
{
	static const char *const yaml[] = { "application/yaml", "application/x-yaml", "text/yaml" };
	const char *type = request_header(request, "Content-Type");
	bool takes_body = !strcmp(request->route->method, "PUT") ||
	                  !strcmp(request->route->method, "POST");
	if (!takes_body || !request->ask->body_len)
		return 0;
	if (type && type_in(type, yaml, ARRAY_LEN(yaml)))
		return read_yaml(request, err);
	if (!type || !type_is(type, "application/json"))
		return err_set(err, E_MEDIA_TYPE,
		               "send the body with Content-Type: application/json or "
		               "application/yaml");
	return json_parse(request->arena, (const char *)request->ask->body, request->ask->body_len,
	                  &request->body, err);
}

static int read_request(struct control *control, struct request *request, struct err *err)
{
	(void)control;
	TRY(read_names(request, err));
	TRY(read_dry_run(request, err));
	return read_body(request, err);
}

/* --- authorize --- */

static int authorize(struct control *control, struct request *request, struct err *err)
{
	struct decision decision = grants_decide(control, request);
	request->decision = decision;
	request->rule = decision.rule;
	request->hidden = !decision.visible;
	if (decision.allowed)
		return 0;
	if (request->hidden)
		return err_set(err, E_NOT_FOUND, "there is nothing here");
	if (policy_is_operators(request->route->action))
		return err_set(err, E_DENIED, "%s/%s may not %s: that is the platform operator's; "
		               "log in with an operator's key", request->asker.tenant,
		               request->asker.principal, action_name(request->route->action));
	if (strchr(decision.rule, '.'))      /* of a policy: a role's name has none */
		return err_set(err, E_DENIED, "%s/%s may not %s here: the policy %s forbids it; "
		               "whoever writes the policies of %s can change that",
		               request->asker.tenant, request->asker.principal,
		               action_name(request->route->action), decision.rule,
		               request->tenant ? request->tenant : "platform");
	if (request->tenant && strcmp(request->tenant, request->asker.tenant) != 0)
		return err_set(err, E_DENIED, "%s/%s may not %s here: none of its roles permits "
		               "it; ask a tenant-admin of %s to do it", request->asker.tenant,
		               request->asker.principal, action_name(request->route->action),
		               request->tenant);
	return err_set(err, E_DENIED, "%s/%s may not %s here: none of its roles permits it; a "
	               "tenant-admin of %s can grant one that does", request->asker.tenant,
	               request->asker.principal, action_name(request->route->action),
	               request->asker.tenant);
}

/* --- pass on --- */

handler_fn h_apikey_list, h_snapshot_list, h_task_events, h_run_events, h_backup;

/* What every replica knows: resources, as far as its catalog is as new as the asker wants it. */
static bool is_everywhere(struct control *control, const struct request *request)
{
	const struct route *route = request->route;
	int64_t least = 0;
	if (strcmp(route->method, "GET") != 0)
		return false;
	const char *revision = request_header(request, REVISION_HEADER);
	if (revision)
		least = strtoll(revision, NULL, 10);
	if (least > catalog_revision(control->catalog))
		return false;
	return route->kind != KIND_NONE || route->handler == h_apikey_list ||
		route->handler == h_snapshot_list;
}

/* Without a credential anyone may answer, unless something is written. */
static bool is_anyones(const struct route *route)
{
	return route->action == ACTION_PUBLIC && strcmp(route->method, "GET") == 0;
}

/* The part whose leader is to answer; NULL: anyone may. A refusal is the leader's to say: this
 * replica may not have heard of a new key or role yet, and only a leader can write it down. */
static const struct part *wanted_part(struct control *control, const struct request *request)
{
	int code = request->failure.code;
	bool refused = code == E_UNAUTHENTICATED || code == E_DENIED || code == E_NOT_FOUND;
	if (!request->route || (code && !refused) || is_anyones(request->route))
		return NULL;
	if (refused && request->asker.tenant && request->hidden)
		return part_of(control, request->asker.tenant);
	return request->part;
}

handler_fn h_task_get, h_task_list, h_usage_tenant;

/* What no leader answers for can still be read as this replica follows it, and says so. */
static bool is_followed(struct request *request)
{
	handler_fn *handler = request->route->handler;
	struct lead *lead = request->part->lead;
	if (request->failure.code || !lead || (handler != h_task_get && handler != h_task_list &&
	                                       handler != h_usage_tenant))
		return false;
	request->followed = lead_followed(lead, &request->replays);
	return request->followed != 0;
}

/* Whether that memory was whole until the end. */
static int check_followed(const struct request *request, struct err *err)
{
	uint64_t replays = 0;
	bool there = lead_followed(request->part->lead, &replays) || part_leads(request->part);
	if (there && replays == request->replays)
		return 0;
	return err_set(err, E_UNAVAILABLE, "no replica leads shard %d at the moment; ask again in "
	               "a second", request->part->index);
}

/* Whether the asker's rights are as new as they must be. The leader of the asker's part has written
 * all that was revoked itself; everybody else asks the store. */
static int check_rights(struct control *control, const struct request *request, struct err *err)
{
	if (request->failure.code || !request->asker.tenant ||
	    part_leads(part_of(control, request->asker.tenant)))
		return 0;
	return revoked_check(control->revoked, request->known, err);
}

/* The part whose leader, elsewhere, is to answer; NULL: this replica does. */
static int find_elsewhere(struct control *control, const struct request *request,
                          const struct part **ret_part, struct err *err)
{
	const struct part *part = wanted_part(control, request);
	bool here = !control->forward || !part || part_leads(part);
	int code = here ? check_rights(control, request, err) : 0;
	if (code < 0 && (part || !control->forward || part_leads(request->part)))
		return code;
	*ret_part = code < 0 ? request->part : here ? NULL : part;
	return 0;
}

/* What the leader cannot be asked stays as it is: a refusal, or a read of what is followed. */
static bool stays_here(struct control *control, struct request *request)
{
	if (request->failure.code)
		return true;
	return (is_everywhere(control, request) || is_followed(request)) &&
		check_rights(control, request, NULL) == 0;
}

static int pass_on(struct control *control, struct request *request, struct err *err)
{
	const struct part *part = NULL;
	TRY(find_elsewhere(control, request, &part, err));
	if (!part)
		return 0;
	bool streams = request->route->handler == h_task_events ||
		request->route->handler == h_run_events || request->route->handler == h_backup;
	int code = streams ? forward_refer(control->forward, part, request, err)
	                   : forward_request(control->forward, part, request, err);
	if (code < 0 && stays_here(control, request))
		return 0;
	if (code < 0)
		return code;
	request->passed = true;
	request->failure = (struct err){ .code = 0 };
	return 0;
}

/* --- reserve --- */

static int reserve(struct control *control, struct request *request, struct err *err)
{
	if (request->route->unit == UNIT_NONE)
		return 0;
	struct amounts one = { .v = { 0 } };
	one.v[request->route->unit] = 1;
	const char *domain = request->domain ? request->domain : "";
	int code = shard_check(part_of(control, request->asker.tenant)->shard,
	                       request->asker.tenant, domain, &one, err);
	request->throttled = code < 0;
	return code;
}

/* --- handle --- */

static int handle(struct control *control, struct request *request, struct err *err)
{
	bool writes = strcmp(request->route->method, "GET") != 0;
	if (request->tenant && writes && request->route->action != ACTION_TENANT_ERASE)
		TRY(tenancy_needs(control, request->tenant, TENANCY_WRITE, err));
	return request->route->handler(control, request, err);
}

/* --- record --- */

/* Whoever said which version it changes is told that it has changed; others, that they met. */
static int lost_race(const struct request *request, struct err *err)
{
	if (request_header(request, "If-Match") || request_header(request, "If-None-Match"))
		return err_set(err, E_PRECONDITION,
		               "it was changed by another request at the same time; "
		               "read it again and repeat with the new ETag");
	return err_set(err, E_CONFLICT,
	               "it was changed by another request at the same time; read it "
	               "again and repeat");
}

static void withdraw(struct request *request)
{
	if (request->undo)
		request->undo(request);
	else if (request->submitted)
		shard_withdraw(request->part->shard, request->submitted);
}

static int commit(struct request *request, struct err *err)
{
	if (revoked_by(request->route->action))
		TRY(revoked_mark(request->change, request->now_ms, err));
	int code = journal_commit(request->part->journal, request->change, err);
	/* After an unknown outcome the journal is led anew and tells what has happened. */
	if (code < 0 && code != E_UNKNOWN_OUTCOME)
		withdraw(request);
	return code == E_PRECONDITION ? lost_race(request, err) : code;
}

/* A credential that is nobody's: nothing is known of who asks. */
static void record_stranger(struct control *control, const struct request *request)
{
	if (request->failure.code == E_UNAUTHENTICATED && bearer(request))
		refusals_sign_in(control, bearer(request), caller_address(control, request),
		                 request->ask->path, request->now_ms);
}

static int record(struct control *control, struct request *request, struct err *err)
{
	if (request->failure.code) {
		withdraw(request);
		record_stranger(control, request);
		witness_refusal(control, request);
		return 0;
	}
	bool reads = strcmp(request->route->method, "GET") == 0;
	if (reads || !request->change)
		TRY(witness_read(control, request, err));
	else if (request->route->audit != AUDIT_NEVER)
		TRY(witness_write(control, request, err));
	int code = request->change ? commit(request, err) : 0;
	if (code == E_CONFLICT || code == E_PRECONDITION) {
		request->failure = *err;
		witness_refusal(control, request);
	}
	return code;
}

/* --- answer --- */

static int retry_after_s(const struct err *failure)
{
	int status = err_http(failure->code);
	if (failure->after_s || (status != 503 && status != 429))
		return failure->after_s;
	return failure->code == E_NOT_LEADER || status == 429 ? 1 : 2;
}

/* Which items of a list were wrong, as a member of the problem (RFC 9457, 3.2). */
static void print_errors(struct request *request)
{
	struct buf *body = &request->reply->body;
	if (!body->len || body->data[body->len - 1] != '}')
		return;
	body->len--;
	buf_puts(body, ",\"errors\":");
	json_print(request->errors, body);
	buf_putc(body, '}');
}

static void answer_problem(struct request *request)
{
	struct reply *reply = request->reply;
	const struct log_context context = { .tenant = request->asker.tenant,
		                             .request = request->id };
	buf_clear(&reply->body);
	reply->status = problem_print(&request->failure, request->id, &reply->body);
	if (request->errors)
		print_errors(request);
	reply->content_type = PROBLEM_TYPE;
	reply->etag = NULL;
	reply->location = NULL;
	reply->retry_after_s = retry_after_s(&request->failure);
	feed_free(MOVE(reply->feed));
	reply->backup = false;
	/* Who leads is logged when it changes (control/forward.c). */
	if (reply->status >= 500 && request->failure.code != E_NOT_LEADER)
		log_warn(&context, "request_failed", "method=%s path=%s code=%s reason=\"%s\"",
		         request->ask->method, request->ask->path, err_name(request->failure.code),
		         request->failure.text);
}

/* What the asker has already is not sent again (RFC 9110, 13.1.2: a list of tags, or any). */
static void answer_unchanged(struct request *request)
{
	struct reply *reply = request->reply;
	const char *known = request_header(request, "If-None-Match");
	bool reads = strcmp(request->ask->method, "GET") == 0 ||
		strcmp(request->ask->method, "HEAD") == 0;
	if (!known || !reads || !reply->etag || reply->status != 200)
		return;
	const char *found = strstr(known, reply->etag);
	if (!found && strcmp(known, "*") != 0)
		return;
	buf_clear(&reply->body);
	reply->status = 304;
	reply->content_type = NULL;
}

static int answer(struct control *control, struct request *request, struct err *err)
{
	if (!request->failure.code && request->finish && request->finish(control, request, err) < 0)
		request->failure = *err;
	if (!request->failure.code && request->followed && check_followed(request, err) < 0)
		request->failure = *err;
	if (!request->failure.code && buf_check(&request->reply->body, err) < 0)
		request->failure = *err;
	if (request->failure.code)
		answer_problem(request);
	else
		answer_unchanged(request);
	if (request->asker.tenant)
		request->reply->revision = request->followed ? request->followed
		                                             : catalog_revision(control->catalog);
	return 0;
}
