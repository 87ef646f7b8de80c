/* h_join.c - workers that join: tokens for it, and the joining itself, which a token alone allows.
 * Invariant: a token's use, the worker's record and the audit event are one transaction. */
#include "common/defs.h"
#include "control/admit.h"

#include "api/field.h"
#include "common/log.h"
#include "control/audit.h"
#include "control/authority.h"
#include "control/joining.h"
#include "control/jointokens.h"
#include "control/nodes.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { REFUSAL_MS = 200, REFUSALS_BURST = 50 };

handler_fn h_jointoken_list, h_jointoken_create, h_jointoken_delete, h_worker_join, h_ca;

static const struct field token_fields[] = {
	{ FIELD_NAME, false, "name", NULL, NULL, NULL },
	{ FIELD_NAME, false, "pool", NULL, NULL, NULL },
	{ FIELD_DURATION, false, "ttl", NULL, NULL, NULL },
	{ FIELD_INT, false, "uses", "1", NULL, NULL },
	{ FIELD_TEXT, false, "addresses", "1024", NULL, NULL },
	{ FIELD_TEXT, false, NULL, NULL, NULL, NULL }
};

static const struct field join_fields[] = {
	{ FIELD_TEXT, true, "token", "128", NULL, NULL },
	{ FIELD_NAME, true, "name", NULL, NULL, NULL },
	{ FIELD_NAME, false, "pool", NULL, NULL, NULL },
	{ FIELD_TEXT, true, "publicKey", "64", NULL, NULL },
	{ FIELD_TEXT, false, "request", "8192", NULL, NULL },
	{ FIELD_TEXT, false, NULL, NULL, NULL, NULL }
};

static void set_time(struct value *map, const char *name, int64_t unix_ms)
{
	char text[TIME_TEXT_MAX];
	if (unix_ms)
		value_set_str(map, name, time_print_ms(unix_ms, text));
}

/* --- tokens --- */

static void show_token(const char *id, const struct value *token, struct value *item)
{
	value_set_str(item, "id", id);
	value_set_str(item, "name", value_get_str(token, "name"));
	value_set_str(item, "pool", value_get_str(token, "pool"));
	value_set_str(item, "addresses", value_get_str(token, "addresses"));
	set_time(item, "createdAt", value_get_int(token, "createdAt", 0));
	value_set_str(item, "createdBy", value_get_str(token, "createdBy"));
	set_time(item, "expiresAt", value_get_int(token, "expiresAt", 0));
	set_time(item, "usedAt", value_get_int(token, "usedAt", 0));
	value_set_str(item, "usedBy", value_get_str(token, "usedBy"));
}

struct shown { struct arena *arena; struct value *items; };

static int show(void *context, const char *key, const struct value *token, int64_t revision,
                struct err *err)
{
	struct shown *shown = context;
	struct value *item = value_map(shown->arena);
	(void)revision;
	(void)err;
	show_token(strrchr(key, '/') + 1, token, item);
	value_add(shown->items, item);
	return 0;
}

int h_jointoken_list(struct control *control, struct request *request, struct err *err)
{
	struct shown shown = { request->arena, value_list(request->arena) };
	bool more = false;
	TRY(catalog_list(control->catalog, request->arena, "r/jointoken/", NULL, JOINTOKENS_MAX,
	                 show, &shown, &more, err));
	return request_reply_list(request, shown.items, NULL, err);
}

struct made {
	struct jointoken_made what;
	char id[ID_LEN + 1], text[JOINTOKEN_TEXT_MAX];
};

static int token_made(struct control *control, struct request *request, struct err *err)
{
	struct made *made = request->state;
	struct value *body = value_map(request->arena);
	(void)control;
	value_set_str(body, "id", made->id);
	value_set_str(body, "token", made->text);
	value_set_str(body, "name", made->what.name);
	value_set_str(body, "pool", made->what.pool);
	value_set_str(body, "addresses", made->what.addresses);
	set_time(body, "createdAt", made->what.now_ms);
	value_set_str(body, "createdBy", made->what.by);
	set_time(body, "expiresAt", made->what.now_ms + made->what.ttl_ms);
	return request_reply(request, request->dry_run ? 200 : 201, body, err);
}

static int read_made(struct request *request, struct jointoken_made *what, struct err *err)
{
	const struct value *body = request->body;
	if (body)
		TRY(fields_check(token_fields, body, "", err));
	const char *ttl = value_get_str(body, "ttl");
	*what = (struct jointoken_made){
		.name = value_get_str(body, "name"), .pool = value_get_str(body, "pool"),
		.addresses = value_get_str(body, "addresses"), .now_ms = request->now_ms,
		.ttl_ms = JOINTOKEN_TTL_MS,
		.by = arena_printf(request->arena, "%s/%s", request->asker.tenant,
		                   request->asker.principal),
	};
	if (ttl)
		TRY(duration_parse(ttl, &what->ttl_ms, err));
	if (what->ttl_ms <= 0 || what->ttl_ms > JOINTOKEN_TTL_MAX_MS)
		return err_set(err, E_INVALID, "ttl: longer than 0, and 24h at most");
	if (value_get_int(body, "uses", 1) != 1)
		return err_set(err, E_INVALID, "uses: a token is used once; make another for "
		               "another worker");
	if (what->name)
		TRY(joining_name_check(what->name, err));
	return what->addresses ? authority_addresses_check(what->addresses, err) : 0;
}

int h_jointoken_create(struct control *control, struct request *request, struct err *err)
{
	struct made *made = arena_alloc(request->arena, sizeof *made);
	struct change *change = NULL;
	if (!made)
		return err_set(err, E_NOMEM, "no memory for a join token");
	memset(made, 0, sizeof *made);
	TRY(request_needs_lead(request, err));
	TRY(read_made(request, &made->what, err));
	request->state = made;
	request->finish = token_made;
	if (request->dry_run)
		return 0;
	TRY(request_change(request, &change, err));
	return jointokens_add(control, &made->what, change, made->id, made->text, err);
}

static int deleted(struct control *control, struct request *request, struct err *err)
{
	(void)control;
	return request_reply_result(request, "deleted", err);
}

int h_jointoken_delete(struct control *control, struct request *request, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *token = NULL;
	struct change *change = NULL;
	int64_t revision = 0;
	TRY(request_needs_lead(request, err));
	int rc = id_valid(request->key)
		? catalog_get(control->catalog, request->arena, jointoken_key(key, request->key),
		              &token, &revision, err)
		: E_NOT_FOUND;
	if (rc == E_NOT_FOUND)
		return err_set(err, E_NOT_FOUND, "there is no such join token");
	TRY(rc);
	request->finish = deleted;
	if (request->dry_run)
		return 0;
	TRY(request_change(request, &change, err));
	return change_delete(change, key, revision, err);
}

/* --- joining --- */

/* Only refusals count, so that nobody's guesses keep a worker with a token out. GCRA: a refusal
 * every 200 ms, and fifty at once. */
static int refused(struct control *control, const struct request *request, struct err *err)
{
	int64_t now_ms = clock_mono_ms(control->clock);
	int64_t due_ms = atomic_load(&control->join_due_ms);
	int64_t base_ms = due_ms > now_ms ? due_ms : now_ms;
	if (base_ms - now_ms > REFUSAL_MS * REFUSALS_BURST) {
		err_set(err, E_BUSY, "too many joins are refused at the moment; try again in a few "
		        "seconds");
		return err_after(err, E_BUSY, 5);
	}
	atomic_store(&control->join_due_ms, base_ms + REFUSAL_MS);
	log_warn(&(struct log_context){ .tenant = "platform", .request = request->id },
	         "join_refused", "code=%s reason=\"%s\"", err_name(err->code), err->text);
	return err->code;
}

static int joined(struct control *control, struct request *request, struct err *err)
{
	struct joining *joining = request->state;
	struct value *body = value_map(request->arena);
	char key[2 * SIGN_PUBLIC_BYTES + 1];
	const char *ca = NULL;
	TRY(joining_ca(control, request->arena, &ca, err));
	hex_print(control->signer_public, SIGN_PUBLIC_BYTES, key);
	value_set_str(body, "name", joining->name);
	value_set_str(body, "ca", ca);
	value_set_str(body, "certificate", joining->certificate);
	value_set_str(body, "signingKey", key);
	value_set_str(body, "links", control->worker_links);
	set_time(body, "expiresAt", joining->facts.until_ms);
	log_info(&(struct log_context){ .tenant = "platform", .request = request->id },
	         "worker_joined", "worker=%s by=%s", joining->name, joining->by);
	return request_reply(request, 201, body, err);
}

static int audit_joining(const struct request *request, const struct joining *joining,
                         struct change *change, struct err *err)
{
	const struct audit_event event = {
		.tenant = "platform",
		.actor = arena_printf(request->arena, "worker/%s", joining->name),
		.action = "worker:write",
		.resource = arena_printf(request->arena, "/v1/workers/%s/identity", joining->name),
		.result = "allowed", .rule = "join token", .request = request->id,
		.at_ms = request->now_ms,
	};
	return audit_add(change, &event, err);
}

/* Read before the token is looked at: a malformed request costs no token. */
static int read_joining(struct request *request, struct joining *joining, struct err *err)
{
	if (!request->body)
		return err_set(err, E_INVALID, "the body holds token, name and publicKey");
	TRY(fields_check(join_fields, request->body, "", err));
	*joining = (struct joining){
		.name = value_get_str(request->body, "name"),
		.pool = value_get_str(request->body, "pool"),
		.request = value_get_str(request->body, "request"), .now_ms = request->now_ms,
	};
	TRY(joining_name_check(joining->name, err));
	return joining_key(value_get_str(request->body, "publicKey"), joining->public_key, err);
}

static int join(struct control *control, struct request *request, struct joining *joining,
                const struct jointoken_use *use, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *token = NULL;
	struct change *change = NULL;
	int64_t revision = 0;
	if (jointokens_check(control, request->arena, use, key, &token, &revision, err) < 0)
		return refused(control, request, err);
	joining->by = value_get_str(token, "createdBy");
	joining->addresses = value_get_str(token, "addresses");
	joining->pool = value_get_str(token, "pool");
	joining->replaces = value_get_str(token, "name") != NULL;
	TRY(request_change(request, &change, err));
	TRY(joining_add(control, request->arena, joining, change, err));
	TRY(jointokens_use(key, token, revision, use, change, err));
	return audit_joining(request, joining, change, err);
}

int h_worker_join(struct control *control, struct request *request, struct err *err)
{
	struct joining *joining = arena_alloc(request->arena, sizeof *joining);
	if (!joining)
		return err_set(err, E_NOMEM, "no memory to join a worker");
	TRY(request_needs_lead(request, err));
	TRY(read_joining(request, joining, err));
	const struct jointoken_use use = {
		value_get_str(request->body, "token"), joining->name, joining->pool,
		request->now_ms
	};
	request->state = joining;
	request->finish = joined;
	return join(control, request, joining, &use, err);
}

/* --- the authority --- */

int h_ca(struct control *control, struct request *request, struct err *err)
{
	struct value *body = value_map(request->arena);
	struct cert_facts facts;
	const char *pem = NULL;
	TRY(authority_certificate(control, request->arena, &pem, err));
	TRY(cert_facts(pem, strlen(pem), &facts, err));
	value_set_str(body, "certificate", pem);
	value_set_str(body, "name", facts.name);
	value_set_str(body, "serial", facts.serial);
	set_time(body, "expiresAt", facts.until_ms);
	return request_reply(request, 200, body, err);
}
