/* h_audit.c - a tenant's audit events: searched, newest first, and exported as they were hashed,
 * oldest first. Reading them is an event, too. */
#include "common/defs.h"
#include "control/admit.h"

#include "control/auditexport.h"
#include "control/auditlog.h"
#include "control/auditstore.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

handler_fn h_audit_list, h_audit_export;

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

static int needs_tenant(struct control *control, const struct request *request, struct err *err)
{
	char key[STORE_KEY_MAX];
	TRY(request_needs_lead(request, err));
	catalog_key(key, KIND_TENANT, NULL, NULL, request->tenant);
	if (catalog_has(control->catalog, key))
		return 0;
	return err_set(err, E_NOT_FOUND, "the tenant %s does not exist", request->tenant);
}

static int read_query(const struct request *request, struct audit_query *query, struct err *err)
{
	int64_t limit = 0, class = 0;
	TRY(request_number(request, "limit", 1, LIST_MOST, LIST_DEFAULT, &limit, err));
	TRY(request_number(request, "continue", 1, INT64_MAX, 0, &query->before_seq, err));
	TRY(request_number(request, "class", 1, 1000000, 0, &class, err));
	TRY(auditexport_times(request, &query->from_ms, &query->to_ms, err));
	query->tenant = request->tenant;
	query->actor = request_query(request, "actor");
	query->action = request_query(request, "action");
	query->result = request_query(request, "result");
	query->purpose = request_query(request, "purpose");
	query->resource = request_query(request, "resource");
	query->request = request_query(request, "request");
	query->task = request_query(request, "task");
	query->class_uid = (int)class;
	query->limit = (size_t)limit;
	return 0;
}

int h_audit_list(struct control *control, struct request *request, struct err *err)
{
	int64_t before = 0;
	bool more = false;
	struct audit_query query = { .ret_before = &before };
	struct value *events = NULL, *items = value_list(request->arena);
	TRY(needs_tenant(control, request, err));
	TRY(read_query(request, &query, err));
	TRY(auditstore_search(request->part, request->arena, &query, &events, &more, err));
	for (size_t i = 0; i < value_len(events); i++)
		value_add(items, shown(request->arena, value_at(events, i)));
	const char *resume =
		more && before ? arena_printf(request->arena, "%" PRId64, before) : NULL;
	return request_reply_list(request, items, resume, err);
}

/* --- export --- */

static int read_format(const struct request *request, enum export_format *ret_format,
                       struct err *err)
{
	const char *text = request_query(request, "format");
	bool cloud = text && strcmp(text, "cloudevents") == 0;
	if (text && !cloud && strcmp(text, "ocsf") != 0)
		return err_set(err, E_INVALID, "format is ocsf or cloudevents");
	*ret_format = cloud ? EXPORT_CLOUDEVENTS : EXPORT_OCSF;
	return 0;
}

int h_audit_export(struct control *control, struct request *request, struct err *err)
{
	struct auditlog log;
	struct export export = { .out = &request->reply->body };
	TRY(request_needs_lead(request, err));
	TRY(auditlog_open(control, request->arena, request->tenant, &log, err));
	export.log = &log;
	TRY(read_format(request, &export.format, err));
	TRY(request_number(request, "since", 0, INT64_MAX, 0, &export.since, err));
	TRY(request_number(request, "limit", 1, EXPORT_MOST, EXPORT_MOST, &export.limit, err));
	TRY(auditexport_print(&export, err));
	request->reply->status = 200;
	request->reply->content_type = "application/x-ndjson";
	return buf_check(&request->reply->body, err);
}
