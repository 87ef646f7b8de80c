/* auditexport.c - see auditexport.h. */
#include "common/defs.h"
#include "control/auditexport.h"

#include "common/json.h"
#include "control/ocsf.h"

#include <string.h>

enum { AT_ONCE = 100, WRAP_ARENA = 512 * 1024 };

static void put_member(struct buf *out, const char *name, const char *text)
{
	buf_printf(out, "\"%s\":", name);
	json_print_str(text ? text : "", text ? strlen(text) : 0, out);
	buf_putc(out, ',');
}

/* "dataset:read" is of type "freehold.audit.dataset.read". */
static void put_type(struct buf *out, const char *action)
{
	char type[96] = "freehold.audit.";
	size_t len = strlen(type);
	for (; action && *action && len + 1 < sizeof type; action++)
		type[len++] = *action == ':' ? '.' : *action;
	type[len] = 0;
	put_member(out, "type", type);
}

int auditexport_wrap(const char *line, size_t len, const char *origin, struct buf *out,
                     struct err *err)
{
	AUTO(arena) *arena = NULL;
	struct value *event = NULL;
	char time[TIME_TEXT_MAX];
	TRY(arena_new(WRAP_ARENA, &arena, err));
	TRY(json_parse(arena, line, len, &event, err));
	const struct value *metadata = value_get(event, "metadata");
	const struct value *touched = value_at(value_get(event, "resources"), 0);
	buf_putc(out, '{');
	put_member(out, "specversion", "1.0");
	put_member(out, "id", value_get_str(metadata, "uid"));
	put_member(out, "source", origin);
	put_type(out, value_get_str(metadata, "event_code"));
	if (value_get_str(touched, "uid") && *value_get_str(touched, "uid"))
		put_member(out, "subject", value_get_str(touched, "uid"));
	put_member(out, "time", time_print_ms(value_get_int(event, "time", 0), time));
	put_member(out, "datacontenttype", "application/json");
	buf_puts(out, "\"data\":");
	buf_put(out, line, len);
	buf_putc(out, '}');
	return buf_check(out, err);
}

static int put_line(void *context, uint64_t index, const char *line, size_t len, struct err *err)
{
	const struct export *export = context;
	(void)index;
	if (export->format == EXPORT_CLOUDEVENTS)
		TRY(auditexport_wrap(line, len, export->log->origin, export->out, err));
	else
		buf_put(export->out, line, len);
	buf_putc(export->out, '\n');
	return buf_check(export->out, err);
}

int auditexport_print(const struct export *export, struct err *err)
{
	const struct log_state *state = &export->log->state;
	int64_t first = export->since + 1 > state->from ? export->since + 1 : state->from;
	int64_t end = state->from + (int64_t)state->size;
	if (export->since && export->since + 1 < state->from)
		return err_set(err, E_NOT_FOUND, "the log begins with event %lld; export it from "
		               "there, without since", (long long)state->from);
	if (end > first + export->limit)
		end = first + export->limit;
	while (first < end && export->out->len < EXPORT_BYTES) {
		size_t count = end - first < AT_ONCE ? (size_t)(end - first) : AT_ONCE;
		TRY(auditlog_lines(export->log, (uint64_t)(first - state->from), count, put_line,
		                   (void *)(uintptr_t)export, err));
		first += (int64_t)count;
	}
	return 0;
}

static int time_of(const struct request *request, const char *name, int64_t *ret_ms,
                   struct err *err)
{
	const char *text = request_query(request, name);
	*ret_ms = 0;
	if (!text)
		return 0;
	if (time_parse(text, ret_ms, NULL) == 0)
		return 0;
	return err_set(err, E_INVALID, "%s is a time as in 2026-01-31T08:00:00Z", name);
}

int auditexport_times(const struct request *request, int64_t *ret_from_ms, int64_t *ret_to_ms,
                      struct err *err)
{
	TRY(time_of(request, "from", ret_from_ms, err));
	TRY(time_of(request, "to", ret_to_ms, err));
	if (*ret_to_ms && *ret_to_ms < *ret_from_ms)
		return err_set(err, E_INVALID, "to is before from; turn them round");
	return 0;
}
