/* h_principal.c - API keys of principals: made, listed without their secrets, rotated (another one
 * follows), revoked. */
#include "common/defs.h"
#include "control/admit.h"

#include "api/field.h"
#include "control/apikeys.h"
#include "control/dispatch.h"
#include "control/grants.h"
#include "control/identity.h"
#include "control/intents.h"
#include "control/keyuse.h"
#include "control/rules.h"

#include <string.h>

handler_fn h_apikey_list, h_apikey_create, h_apikey_rotate, h_apikey_delete;

enum { OVERLAP_DAYS_MOST = 90 };

static const struct field key_fields[] = { { FIELD_DURATION, false, "expiresIn", NULL, NULL,
	                                     "how long it is valid; absent: until revoked" },
	                                   { FIELD_TEXT, false, NULL, NULL, NULL, NULL } };
static const struct field rotate_fields[] = {
	{ FIELD_DURATION, true, "overlap", NULL, NULL, "how long the old key still does" },
	{ FIELD_DURATION, false, "expiresIn", NULL, NULL, "how long the new one is valid" },
	{ FIELD_TEXT, false, NULL, NULL, NULL, NULL },
};

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

struct shown { struct control *control; struct arena *arena; struct value *items; };

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
	set_time(item, "lastUsedAt", keyuse_last(shown->control->keyuse, shown->arena, id));
	value_set_str(item, "rotatedTo", value_get_str(key, "rotatedTo"));
	value_add(shown->items, item);
	return 0;
}

int h_apikey_list(struct control *control, struct request *request, struct err *err)
{
	struct shown shown = { control, request->arena, value_list(request->arena) };
	struct value *principal = NULL;
	TRY(read_principal(control, request, &principal, err));
	TRY(apikeys_visit(control, request->tenant, request->name, show, &shown, err));
	return request_reply_list(request, shown.items, NULL, err);
}

/* --- create --- */

struct made {
	char id[ID_LEN + 1];
	char text[APIKEY_SHOWN_MAX];
	int64_t lifetime_ms, overlap_ms;
	int64_t old_expires_ms;      /* of the key that this one follows; 0: it follows none */
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
	set_time(body, "previousExpiresAt", made->old_expires_ms);
	if (made->old_expires_ms && request->change)
		dispatch_drop_access(request->part->dispatch, request->tenant);
	return request_reply(request, request->dry_run ? 200 : 201, body, err);
}

struct counted { struct control *control; struct request *request; int number; };

/* Expired keys do not count, and go when another one is made. */
static int count(void *context, const char *id, const struct value *key, int64_t revision,
                 struct err *err)
{
	struct counted *counted = context;
	struct request *request = counted->request;
	struct change *change = NULL;
	int64_t expires_ms = value_get_int(key, "expiresAt", 0);
	if (expires_ms == 0 || request->now_ms < expires_ms)
		counted->number++;
	else if (!request->dry_run && (!request->key || strcmp(request->key, id) != 0)) {
		TRY(request_change(request, &change, err));
		TRY(apikeys_delete(counted->control, change, id, revision, err));
	}
	if (counted->number < APIKEYS_PER_PRINCIPAL)
		return 0;
	return err_set(err, E_CONFLICT,
	               "the principal has %d API keys, which is the most; revoke one "
	               "first",
	               APIKEYS_PER_PRINCIPAL);
}

static int read_duration(const struct request *request, const char *name, int64_t least,
                         int64_t *ret_ms, struct err *err)
{
	const char *text = value_get_str(request->body, name);
	*ret_ms = 0;
	if (!text)
		return 0;
	TRY(duration_parse(text, ret_ms, err));
	if (*ret_ms < least)
		return err_set(err, E_INVALID, "%s: is longer than 0", name);
	return 0;
}

static int may_create(struct control *control, struct request *request, struct err *err)
{
	struct value *principal = NULL;
	char key[STORE_KEY_MAX];
	struct counted counted = { control, request, 0 };
	const char *const rests[] = {
		catalog_key(key, KIND_PRINCIPAL, request->tenant, NULL, request->name)
	};
	if (request->asker.scoped)
		return err_set(err, E_DENIED, "a token of limited scope makes no API keys, which "
		               "have no scope; use the API key that it was made from");
	TRY(intents_begin(control->intents, false, rests, 1, &request->intent, err));
	TRY(read_principal(control, request, &principal, err));
	TRY(rules_operator(request, value_get(principal, "spec"), request->name, err));
	TRY(grants_keys(control, request, request->name, err));
	return apikeys_visit(control, request->tenant, request->name, count, &counted, err);
}

static int begin(struct request *request, const struct field *fields, struct made **ret_made,
                 struct err *err)
{
	struct made *made = arena_alloc(request->arena, sizeof *made);
	if (!made)
		return err_set(err, E_NOMEM, "no memory for an API key");
	*made = (struct made){ .id = "" };
	TRY(request_needs_lead(request, err));
	TRY(fields_check(fields, request->body, "", err));
	TRY(read_duration(request, "expiresIn", 1, &made->lifetime_ms, err));
	request->state = made;
	request->finish = created;
	*ret_made = made;
	return 0;
}

static int add_key(struct control *control, struct request *request, struct made *made,
                   struct err *err)
{
	struct change *change = NULL;
	const struct apikey_made what = { .tenant = request->tenant,
		                          .principal = request->name,
		                          .now_ms = request->now_ms,
		                          .lifetime_ms = made->lifetime_ms };
	TRY(request_change(request, &change, err));
	return apikeys_add(control, &what, change, made->id, made->text, err);
}

int h_apikey_create(struct control *control, struct request *request, struct err *err)
{
	struct made *made = NULL;
	TRY(begin(request, key_fields, &made, err));
	TRY(may_create(control, request, err));
	return request->dry_run ? 0 : add_key(control, request, made, err);
}

/* --- of one key --- */

static bool is(const struct value *key, const char *name, const char *wanted)
{
	const char *text = value_get_str(key, name);
	return text && strcmp(text, wanted) == 0;
}

/* The key that the path names; at gets where it lies. */
static int read_key(struct control *control, struct request *request, char at[STORE_KEY_MAX],
                    struct value **ret_key, int64_t *ret_revision, struct err *err)
{
	struct value *key = NULL;
	int code = id_valid(request->key)
	                   ? catalog_get(control->catalog, request->arena,
	                                 identity_key(at, request->key), &key, ret_revision, err)
	                   : E_NOT_FOUND;
	if (code < 0 && code != E_NOT_FOUND)
		return code;
	if (!key || !is(key, "tenant", request->tenant) || !is(key, "principal", request->name))
		return err_set(err, E_NOT_FOUND, "the principal %s has no such API key",
		               request->name);
	*ret_key = key;
	return 0;
}

/* --- rotate --- */

static int read_overlap(const struct request *request, struct made *made, struct err *err)
{
	TRY(read_duration(request, "overlap", 0, &made->overlap_ms, err));
	if (made->overlap_ms > (int64_t)OVERLAP_DAYS_MOST * 24 * 3600 * 1000)
		return err_set(err, E_INVALID, "overlap: is at most %d days; make a key beside the "
		               "old one instead, and revoke that when it is time",
		               OVERLAP_DAYS_MOST);
	return 0;
}

/* The old key ends after the overlap, and never later than it would have. */
static int end_old(struct request *request, struct made *made, const char *at, struct value *key,
                   int64_t revision, struct err *err)
{
	int64_t own_ms = value_get_int(key, "expiresAt", 0);
	int64_t ends_ms = request->now_ms + made->overlap_ms;
	struct change *change = NULL;
	if (own_ms != 0 && own_ms <= request->now_ms)
		return err_set(err, E_CONFLICT, "this API key has expired already; make a new one "
		               "instead");
	if (value_get(key, "rotatedTo"))
		return err_set(err, E_CONFLICT, "this API key is followed by another already, %s; "
		               "rotate that one", value_get_str(key, "rotatedTo"));
	made->old_expires_ms = own_ms != 0 && own_ms < ends_ms ? own_ms : ends_ms;
	if (request->dry_run)
		return 0;
	value_set_int(key, "expiresAt", made->old_expires_ms);
	value_set_str(key, "rotatedTo", made->id);
	TRY(value_check(key, err));
	TRY(request_change(request, &change, err));
	return change_put(change, at, key, revision, err);
}

int h_apikey_rotate(struct control *control, struct request *request, struct err *err)
{
	struct made *made = NULL;
	struct value *key = NULL;
	char at[STORE_KEY_MAX];
	int64_t revision = 0;
	TRY(begin(request, rotate_fields, &made, err));
	TRY(read_overlap(request, made, err));
	TRY(read_key(control, request, at, &key, &revision, err));
	TRY(may_create(control, request, err));
	if (!request->dry_run)
		TRY(add_key(control, request, made, err));
	return end_old(request, made, at, key, revision, err);
}

/* --- delete --- */

static int revoked(struct control *control, struct request *request, struct err *err)
{
	(void)control;
	if (request->change)
		dispatch_drop_access(request->part->dispatch, request->tenant);
	return request_reply_result(request, "deleted", err);
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
	TRY(grants_keys(control, request, request->name, err));
	TRY(read_key(control, request, at, &key, &revision, err));
	request->finish = revoked;
	if (request->dry_run)
		return 0;
	TRY(request_change(request, &change, err));
	return apikeys_delete(control, change, request->key, revision, err);
}
