/* h_node.c - the identities of workers, for the operator: read, registered, taken away. */
#include "common/defs.h"
#include "control/admit.h"

#include "api/field.h"
#include "control/joining.h"
#include "control/nodes.h"

handler_fn h_node_get, h_node_put, h_node_delete;

static const struct field node_fields[] = {
	{ FIELD_TEXT, true, "publicKey", "64", NULL, NULL },
	{ FIELD_NAME, false, "pool", NULL, NULL, NULL },
	{ FIELD_TEXT, false, NULL, NULL, NULL, NULL }
};

static void set_time(struct value *map, const char *name, int64_t unix_ms)
{
	char text[TIME_TEXT_MAX];
	if (unix_ms)
		value_set_str(map, name, time_print_ms(unix_ms, text));
}

static int read_node(struct control *control, struct request *request, struct value **ret_record,
                     int64_t *ret_revision, struct err *err)
{
	char key[STORE_KEY_MAX];
	int rc = catalog_get(control->catalog, request->arena,
	                     node_record_key(key, request->name), ret_record, ret_revision, err);
	return rc == E_NOT_FOUND ? err_set(err, E_NOT_FOUND, "no worker named %s has joined",
	                                   request->name)
	                         : rc;
}

static int reply(struct control *control, struct request *request, struct err *err)
{
	struct value *record = NULL, *body = value_map(request->arena);
	char hex[2 * BOX_PUBLIC_BYTES + 1];
	size_t len = 0;
	int64_t revision = 0;
	TRY(read_node(control, request, &record, &revision, err));
	const void *key = value_get_bin(record, "publicKey", &len);
	if (!key || len != BOX_PUBLIC_BYTES)
		return err_set(err, E_CORRUPT, "the record of the worker holds no key");
	hex_print(key, len, hex);
	value_set_str(body, "name", request->name);
	value_set_str(body, "publicKey", hex);
	value_set_str(body, "uid", value_get_str(record, "uid"));
	value_set_str(body, "pool", value_get_str(record, "pool"));
	value_set_str(body, "addresses", value_get_str(record, "addresses"));
	set_time(body, "joinedAt", value_get_int(record, "joinedAt", 0));
	value_set_str(body, "joinedBy", value_get_str(record, "joinedBy"));
	value_set_str(body, "serial", value_get_str(record, "serial"));
	set_time(body, "certificateExpiresAt", value_get_int(record, "certificateUntil", 0));
	set_time(body, "removedAt", value_get_int(record, "removedAt", 0));
	return request_reply(request, 200, body, err);
}

int h_node_get(struct control *control, struct request *request, struct err *err)
{
	return reply(control, request, err);
}

static int registered(struct control *control, struct request *request, struct err *err)
{
	struct value *body = value_map(request->arena);
	if (!request->dry_run)
		return reply(control, request, err);
	value_set_str(body, "name", request->name);
	return request_reply(request, 200, body, err);
}

/* The operator says whose name it is: who has it now is replaced. */
int h_node_put(struct control *control, struct request *request, struct err *err)
{
	struct change *change = NULL;
	struct joining joining = { .name = request->name, .now_ms = request->now_ms,
	                           .replaces = true };
	TRY(request_needs_lead(request, err));
	if (!request->body)
		return err_set(err, E_INVALID, "the body holds publicKey");
	TRY(fields_check(node_fields, request->body, "", err));
	TRY(joining_name_check(request->name, err));
	TRY(joining_key(value_get_str(request->body, "publicKey"), joining.public_key, err));
	joining.pool = value_get_str(request->body, "pool");
	joining.by = arena_printf(request->arena, "%s/%s", request->asker.tenant,
	                          request->asker.principal);
	request->finish = registered;
	if (request->dry_run)
		return 0;
	TRY(request_change(request, &change, err));
	return joining_add(control, request->arena, &joining, change, err);
}

static int removed(struct control *control, struct request *request, struct err *err)
{
	(void)control;
	return request_reply_result(request, "deleted", err);
}

/* The record stays, so that the worker can be told, and its name be taken by a new token only. */
int h_node_delete(struct control *control, struct request *request, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *record = NULL;
	struct change *change = NULL;
	int64_t revision = 0;
	TRY(request_needs_lead(request, err));
	TRY(read_node(control, request, &record, &revision, err));
	request->finish = removed;
	if (request->dry_run || value_get_int(record, "removedAt", 0) != 0)
		return 0;
	TRY(request_change(request, &change, err));
	struct value *after = value_copy(change_arena(change), record);
	value_set_int(after, "removedAt", request->now_ms);
	TRY(value_check(after, err));
	return change_put(change, node_record_key(key, request->name), after, revision, err);
}
