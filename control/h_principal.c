/* h_principal.c - API keys of principals: made, listed without their secrets, revoked. */
#include "common/defs.h"
#include "control/admit.h"

#include "api/field.h"
#include "control/apikeys.h"
#include "control/dispatch.h"
#include "control/identity.h"
#include "control/intents.h"
#include "control/rules.h"

#include <string.h>

handler_fn h_apikey_list, h_apikey_create, h_apikey_delete;

static const struct field key_fields[] = { { FIELD_DURATION, false, "expiresIn", NULL, NULL,
	                                     "how long it is valid; absent: until revoked" },
	                                   { FIELD_TEXT, false, NULL, NULL, NULL, NULL } };

static int read_principal(struct control *control, struct request *request,
                          struct value **ret_principal, struct err *err)
{
	char key[STORE_KEY_MAX];
	catalog_key(key, KIND_PRINCIPAL, request->tenant, NULL, request->name);
	return catalog_get(control->catalog, request->arena, key, ret_principal, NULL, err);
}

static void set_time(struct value *map, const char *name, int64_t unix_ms)
{
	char text[TIME_TEXT_MAX];
	if (unix_ms)
		value_set_str(map, name, time_print_ms(unix_ms, text));
}

/* --- list --- */

struct shown { struct arena *arena; struct value *items; };

static int show(void *context, const char *id, const struct value *key, int64_t revision,
                struct err *err)
{
	struct shown *shown = context;
	struct value *item = value_map(shown->arena);
	(void)revision;
	(void)err;
	value_set_str(item, "id", id);
	set_time(item, "createdAt", value_get_int(key, "createdAt", 0));
	set_time(item, "expiresAt", value_get_int(key, "expiresAt", 0));
	value_add(shown->items, item);
	return 0;
}

int h_apikey_list(struct control *control, struct request *request, struct err *err)
{
	struct shown shown = { request->arena, value_list(request->arena) };
	struct value *principal = NULL;
	TRY(read_principal(control, request, &principal, err));
	TRY(apikeys_visit(control, request->tenant, request->name, show, &shown, err));
	return request_reply_list(request, shown.items, NULL, err);
}

/* --- create --- */

struct made {
	char id[ID_LEN + 1];
	char text[APIKEY_SHOWN_MAX];
	int64_t lifetime_ms;
};

static int created(struct control *control, struct request *request, struct err *err)
{
	struct made *made = request->state;
	struct value *body = value_map(request->arena);
	(void)control;
	value_set_str(body, "id", made->id);
	value_set_str(body, "key", made->text);
	value_set_str(body, "tenant", request->tenant);
	value_set_str(body, "principal", request->name);
	set_time(body, "createdAt", request->now_ms);
	set_time(body, "expiresAt", made->lifetime_ms ? request->now_ms + made->lifetime_ms : 0);
	return request_reply(request, request->dry_run ? 200 : 201, body, err);
}

static int count(void *context, const char *id, const struct value *key, int64_t revision,
                 struct err *err)
{
	int *number = context;
	(void)id;
	(void)key;
	(void)revision;
	if (++*number < APIKEYS_PER_PRINCIPAL)
		return 0;
	return err_set(err, E_CONFLICT,
	               "the principal has %d API keys, which is the most; revoke one "
	               "first",
	               APIKEYS_PER_PRINCIPAL);
}

static int read_lifetime(const struct request *request, int64_t *ret_ms, struct err *err)
{
	*ret_ms = 0;
	if (!request->body)
		return 0;
	TRY(fields_check(key_fields, request->body, "", err));
	const char *text = value_get_str(request->body, "expiresIn");
	if (text)
		TRY(duration_parse(text, ret_ms, err));
	if (text && *ret_ms <= 0)
		return err_set(err, E_INVALID, "expiresIn: is longer than 0");
	return 0;
}

static int may_create(struct control *control, struct request *request, struct err *err)
{
	struct value *principal = NULL;
	char key[STORE_KEY_MAX];
	int keys = 0;
	const char *const rests[] = {
		catalog_key(key, KIND_PRINCIPAL, request->tenant, NULL, request->name)
	};
	TRY(intents_begin(control->intents, false, rests, 1, &request->intent, err));
	TRY(read_principal(control, request, &principal, err));
	TRY(rules_operator(request, value_get(principal, "spec"), request->name, err));
	return apikeys_visit(control, request->tenant, request->name, count, &keys, err);
}

int h_apikey_create(struct control *control, struct request *request, struct err *err)
{
	struct made *made = arena_alloc(request->arena, sizeof *made);
	struct change *change = NULL;
	if (!made)
		return err_set(err, E_NOMEM, "no memory for an API key");
	TRY(request_needs_lead(request, err));
	TRY(read_lifetime(request, &made->lifetime_ms, err));
	TRY(may_create(control, request, err));
	request->state = made;
	request->finish = created;
	if (request->dry_run)
		return 0;
	const struct apikey_made what = { .tenant = request->tenant,
		                          .principal = request->name,
		                          .now_ms = request->now_ms,
		                          .lifetime_ms = made->lifetime_ms };
	TRY(request_change(request, &change, err));
	return apikeys_add(control, &what, change, made->id, made->text, err);
}

/* --- delete --- */

static int revoked(struct control *control, struct request *request, struct err *err)
{
	struct value *body = value_map(request->arena);
	(void)control;
	if (request->change)
		dispatch_drop_access(request->part->dispatch, request->tenant);
	value_set_str(body, "result", "deleted");
	return request_reply(request, 200, body, err);
}

static bool is(const struct value *key, const char *name, const char *wanted)
{
	const char *text = value_get_str(key, name);
	return text && strcmp(text, wanted) == 0;
}

int h_apikey_delete(struct control *control, struct request *request, struct err *err)
{
	char at[STORE_KEY_MAX];
	struct value *key = NULL, *principal = NULL;
	struct change *change = NULL;
	int64_t revision = 0;
	TRY(request_needs_lead(request, err));
	TRY(read_principal(control, request, &principal, err));
	TRY(rules_operator(request, value_get(principal, "spec"), request->name, err));
	int code = id_valid(request->key)
	                   ? catalog_get(control->catalog, request->arena,
	                                 identity_key(at, request->key), &key, &revision, err)
	                   : E_NOT_FOUND;
	if (code < 0 && code != E_NOT_FOUND)
		return code;
	if (!key || !is(key, "tenant", request->tenant) || !is(key, "principal", request->name))
		return err_set(err, E_NOT_FOUND, "the principal %s has no such API key",
		               request->name);
	request->finish = revoked;
	if (request->dry_run)
		return 0;
	TRY(request_change(request, &change, err));
	return change_delete(change, at, revision, err);
}
