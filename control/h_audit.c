/* h_audit.c - a tenant's audit events, newest first. Reading them is an event, too. */
#include "common/defs.h"
#include "control/admit.h"

#include <inttypes.h>
#include <string.h>

handler_fn h_audit_list;

/* The event as it is shown: its time as text. */
static struct value *shown(struct arena *arena, const struct value *event)
{
	char time[TIME_TEXT_MAX];
	struct value *map = value_map(arena);
	const char *name = NULL;
	value_set_str(map, "time", time_print_ms(value_get_int(event, "at", 0), time));
	for (size_t i = 0; i < value_len(event); i++) {
		const struct value *member = value_member(event, i, &name);
		if (strcmp(name, "at") != 0)
			value_set(map, name, value_copy(arena, member));
	}
	return map;
}

int h_audit_list(struct control *control, struct request *request, struct err *err)
{
	char key[STORE_KEY_MAX];
	int64_t limit = 0, before = 0;
	bool more = false;
	struct value *events = NULL, *items = value_list(request->arena);
	const char *resume = NULL;
	TRY(request_needs_lead(request, err));
	catalog_key(key, KIND_TENANT, NULL, NULL, request->tenant);
	if (!catalog_has(control->catalog, key))
		return err_set(err, E_NOT_FOUND, "the tenant %s does not exist", request->tenant);
	TRY(request_number(request, "limit", 1, LIST_MOST, LIST_DEFAULT, &limit, err));
	TRY(request_number(request, "continue", 1, INT64_MAX, 0, &before, err));
	const struct audit_query query = {
		.tenant = request->tenant,
		.actor = request_query(request, "actor"),
		.action = request_query(request, "action"),
		.result = request_query(request, "result"),
		.before_seq = before,
		.limit = (size_t)limit,
	};
	TRY(shard_audit(request->part->shard, request->arena, &query, &events, &more, err));
	for (size_t i = 0; i < value_len(events); i++)
		value_add(items, shown(request->arena, value_at(events, i)));
	if (more && value_len(events))
		resume = arena_printf(
			request->arena, "%" PRId64,
			value_get_int(value_at(events, value_len(events) - 1), "seq", 0));
	return request_reply_list(request, items, resume, err);
}
