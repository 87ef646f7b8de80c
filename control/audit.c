/* audit.c - audit events as records. What is long is cut: an event is small whatever was asked. Its
 * class and activity are written down with it, so that what is printed of it never depends on a
 * later table. */
#include "common/defs.h"
#include "control/audit.h"

#include "common/pack.h"
#include "control/ocsf.h"
#include "control/record.h"

#include <stdio.h>

enum { TEXT_MAX = 256 };

static void cut(const char *text, char out[static TEXT_MAX + 4])
{
	int len = snprintf(out, TEXT_MAX + 1, "%s", text);
	if (len <= TEXT_MAX)
		return;
	size_t end = TEXT_MAX;
	while (end && ((unsigned char)text[end] & 0xc0) == 0x80) /* not inside a character */
		end--;
	snprintf(out + end, TEXT_MAX + 4 - end, "...");
}

static void set_cut(struct value *record, const char *name, const char *text)
{
	char out[TEXT_MAX + 4];
	if (!text)
		return;
	cut(text, out);
	value_set_str(record, name, out);
}

static void set_policies(struct arena *arena, struct value *record,
                         const struct audit_event *event)
{
	char out[TEXT_MAX + 4];
	struct value *list = value_list(arena);
	for (size_t i = 0; i < event->policy_count && i < AUDIT_POLICIES_MAX; i++) {
		cut(event->policies[i], out);
		value_add_str(list, out);
	}
	if (value_len(list))
		value_set(record, "policies", list);
}

/* Too much of it is left out, and the event says so. */
static int set_detail(struct arena *arena, struct value *record, const struct value *detail,
                      struct err *err)
{
	AUTO_BUF packed;
	buf_init(&packed, AUDIT_DETAIL_MAX);
	if (!detail)
		return 0;
	struct value *copy = value_copy(arena, detail);
	TRY(value_check(copy, err));
	int code = pack_write(copy, &packed, NULL);
	if (code < 0 || packed.failed) {
		copy = value_map(arena);
		value_set_bool(copy, "omitted", true);
	}
	value_set(record, "detail", copy);
	return value_check(record, err);
}

static void set_texts(struct value *record, const struct audit_event *event)
{
	const struct { const char *name, *text; } texts[] = {
		{ "actor", event->actor },           { "onBehalfOf", event->on_behalf },
		{ "credential", event->credential }, { "action", event->action },
		{ "operation", event->operation },   { "resource", event->resource },
		{ "result", event->result },         { "rule", event->rule },
		{ "digest", event->digest },         { "purpose", event->purpose },
		{ "address", event->address },       { "code", event->code },
		{ "request", event->request },       { "task", event->task },
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		set_cut(record, texts[i].name, texts[i].text);
}

int audit_record(struct arena *arena, const struct audit_event *event, struct value **ret_record,
                 struct err *err)
{
	struct value *record = record_new(arena, RECORD_AUDIT, event->at_ms);
	const struct ocsf_type type = ocsf_type(event->action, event->verb);
	value_set_str(record, "tenant", event->tenant);
	value_set_int(record, "format", OCSF_FORMAT);
	value_set_int(record, "class", type.class_uid);
	value_set_int(record, "activity", type.activity_id);
	set_texts(record, event);
	set_policies(arena, record, event);
	TRY(set_detail(arena, record, event->detail, err));
	TRY(value_check(record, err));
	*ret_record = record;
	return 0;
}

int audit_add(struct change *change, const struct audit_event *event, struct err *err)
{
	struct value *record = NULL;
	TRY(audit_record(change_arena(change), event, &record, err));
	return change_record(change, record, err);
}
