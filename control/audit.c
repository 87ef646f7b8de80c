/* audit.c - audit events as records. What is long is cut: an event is small whatever was asked. */
#include "common/defs.h"
#include "control/audit.h"

#include "control/record.h"

#include <stdio.h>

enum { TEXT_MAX = 256 };

static void set_cut(struct value *record, const char *name, const char *text)
{
	if (!text)
		return;
	char cut[TEXT_MAX + 4];
	int len = snprintf(cut, TEXT_MAX + 1, "%s", text);
	if (len > TEXT_MAX) {
		size_t end = TEXT_MAX;
		while (end &&
		       ((unsigned char)text[end] & 0xc0) == 0x80) /* not inside a character */
			end--;
		snprintf(cut + end, sizeof cut - end, "...");
	}
	value_set_str(record, name, cut);
}

int audit_add(struct change *change, const struct audit_event *event, struct err *err)
{
	struct value *record = record_new(change_arena(change), RECORD_AUDIT, event->at_ms);
	value_set_str(record, "tenant", event->tenant);
	set_cut(record, "actor", event->actor);
	set_cut(record, "action", event->action);
	set_cut(record, "resource", event->resource);
	set_cut(record, "result", event->result);
	set_cut(record, "rule", event->rule);
	set_cut(record, "code", event->code);
	set_cut(record, "request", event->request);
	set_cut(record, "task", event->task);
	TRY(value_check(record, err));
	return change_record(change, record, err);
}
