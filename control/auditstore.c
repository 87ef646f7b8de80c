/* auditstore.c - see auditstore.h. A row's document is the event as it is kept, with nothing left
 * out: its line, which is hashed, is printed from it again. */
#include "common/defs.h"
#include "control/auditstore.h"

#include "common/json.h"
#include "common/text.h"
#include "control/archive.h"
#include "control/auditlog.h"
#include "control/question.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { FILES_BEFORE_JOIN = 512, FILES_WITH_BOUND = 32, DOCUMENT_MAX = 64 * 1024, PAGE_MAX = 1000 };
#define DAY_MS (INT64_C(24) * 3600 * 1000)

/* --- into it --- */

static int submit(struct part *part, const struct store_batch *batch, struct err *err)
{
	AUTO(arena) *arena = NULL;
	char id[ID_LEN + 1];
	uint8_t random[10];
	int64_t now_ms = clock_unix_ms(part->control->clock);
	TRY(arena_new(64 * 1024, &arena, err));
	struct value *spec = value_map(arena);
	value_set_int(spec, "from", batch->from);
	value_set_int(spec, "to", batch->to);
	TRY(value_check(spec, err));
	random_bytes(random, sizeof random);
	id_make(now_ms, random, id);
	const struct platform_task made = { id, batch->tenant, TASK_AUDIT, spec, now_ms };
	return archive_submit(part, &made, err);
}

int auditstore_look(struct part *part, const struct store_rules *rules, size_t *ret_submitted,
                    struct err *err)
{
	struct store_batch batches[STORE_MOST];
	size_t submitted = 0;
	TRY(part_needs_lead(part, err));
	size_t count = shard_store_due(part->shard, rules, clock_unix_ms(part->control->clock),
	                               batches);
	for (size_t i = 0; i < count; i++) {
		int rc = submit(part, &batches[i], err);
		submitted += rc == 0;
		/* Somebody was faster, or it is deleted; the others' go on. */
		if (rc < 0 && rc != E_CONFLICT && rc != E_PRECONDITION && rc != E_NOT_FOUND)
			return rc;
	}
	*ret_submitted = submitted;
	return 0;
}

bool auditstore_joins(struct control *control, struct arena *arena, const char *tenant)
{
	struct snapshot *snapshot = NULL;
	size_t most = control->audit_days ? FILES_WITH_BOUND : FILES_BEFORE_JOIN;
	return home_current(control, arena, tenant, HOME_AUDIT, &snapshot) &&
		snapshot->file_count >= most;
}

static int add_row(struct arena *arena, const struct value *event, struct value *rows,
                   struct err *err)
{
	char time[TIME_TEXT_MAX];
	AUTO_BUF document;
	buf_init(&document, DOCUMENT_MAX);
	json_print(event, &document);
	TRY(buf_check(&document, err));
	struct value *copy = value_copy(arena, event);
	value_set_str(copy, "time", time_print_ms(value_get_int(event, "at", 0), time));
	value_set_str(copy, "document", (const char *)document.data);
	TRY(value_check(copy, err));
	return home_row(arena, home_columns_of(HOME_AUDIT), copy, rows, err);
}

static int print_since(struct control *control, struct arena *arena, const char **ret_since,
                       struct err *err)
{
	char time[TIME_TEXT_MAX];
	*ret_since = NULL;
	if (!control->audit_days)
		return 0;
	time_print_ms(clock_unix_ms(control->clock) - control->audit_days * DAY_MS, time);
	*ret_since = arena_strdup(arena, time);
	return *ret_since ? 0 : err_set(err, E_NOMEM, "no memory for an audit task");
}

int auditstore_rows(struct control *control, struct arena *arena, const struct work *work,
                    struct audit_rows *ret_rows, struct err *err)
{
	struct value *events = NULL, *rows = value_list(arena);
	TRY(shard_store_events(part_of(control, work->tenant)->shard, arena, work->tenant,
	                       value_get_int(work->spec, "from", 0),
	                       value_get_int(work->spec, "to", 0), &events, err));
	for (size_t i = 0; i < value_len(events); i++)
		TRY(add_row(arena, value_at(events, i), rows, err));
	ret_rows->joins = auditstore_joins(control, arena, work->tenant);
	TRY(print_since(control, arena, &ret_rows->since, err));
	if (!ret_rows->joins)
		ret_rows->since = NULL;
	return home_rows_print(arena, rows, &ret_rows->rows, err);
}

/* --- out of it --- */

static int read_row(struct arena *arena, const struct value *row, struct value *events,
                    struct err *err)
{
	const char *text = value_as_str(value_at(row, 1));
	struct value *event = NULL;
	if (!text || json_parse(arena, text, strlen(text), &event, err) < 0)
		return err_set(err, E_CORRUPT, "a row of the dataset %s.%s is no event",
		               PLATFORM_DOMAIN, HOME_AUDIT);
	value_add(events, event);
	return value_check(events, err);
}

int auditstore_page(struct part *part, struct arena *arena, const char *tenant,
                    const struct value *filters, size_t limit, struct value **ret_events,
                    bool *ret_more, struct err *err)
{
	struct value *events = value_list(arena), *result = NULL;
	struct value *spec = filters ? value_copy(arena, filters) : value_map(arena);
	struct snapshot *snapshot = NULL;
	*ret_events = events;
	*ret_more = false;
	TRY(value_check(events, err));
	if (!home_current(part->control, arena, tenant, HOME_AUDIT, &snapshot))
		return 0;
	value_set_int(spec, "limit", (int64_t)(limit < PAGE_MAX ? limit : PAGE_MAX));
	TRY(value_check(spec, err));
	const struct question question = { tenant, TASK_EVENTS, spec };
	TRY(question_ask(part, arena, &question, &result, err));
	const struct value *rows = value_get(result, "rows");
	for (size_t i = 0; i < value_len(rows); i++)
		TRY(read_row(arena, value_at(rows, i), events, err));
	*ret_more = value_get_bool(result, "more", false);
	return 0;
}

static void set_time(struct value *filters, const char *name, int64_t ms)
{
	char time[TIME_TEXT_MAX];
	if (ms)
		value_set_str(filters, name, time_print_ms(ms, time));
}

static struct value *filters_of(struct arena *arena, const struct audit_query *query,
                                int64_t before)
{
	struct value *filters = value_map(arena);
	value_set_str(filters, "actor", query->actor);
	value_set_str(filters, "action", query->action);
	value_set_str(filters, "result", query->result);
	value_set_str(filters, "purpose", query->purpose);
	value_set_str(filters, "resource", query->resource);
	value_set_str(filters, "request", query->request);
	value_set_str(filters, "task", query->task);
	if (query->class_uid)
		value_set_int(filters, "class", query->class_uid);
	set_time(filters, "since", query->from_ms);
	set_time(filters, "until", query->to_ms);
	value_set_int(filters, "before", before);
	return filters;
}

/* Where what is stored and not in memory ends; 0: there is no such event that is asked for. */
static int64_t stored_before(struct part *part, struct arena *arena,
                             const struct audit_query *query)
{
	struct snapshot *snapshot = NULL;
	int64_t at_ms = 0, oldest = shard_audit_oldest(part->shard, query->tenant, &at_ms);
	if (oldest <= 1 || (query->from_ms && at_ms < query->from_ms) ||
	    !home_current(part->control, arena, query->tenant, HOME_AUDIT, &snapshot))
		return 0;
	return query->before_seq > 0 && query->before_seq < oldest ? query->before_seq : oldest;
}

static int search_stored(struct part *part, struct arena *arena, const struct audit_query *query,
                         int64_t *before, struct value *list, bool *ret_more, struct err *err)
{
	struct value *page = NULL, *filters = filters_of(arena, query, *before);
	size_t room = query->limit - value_len(list);
	*ret_more = true;
	if (room == 0)
		return 0;
	TRY(value_check(filters, err));
	TRY(auditstore_page(part, arena, query->tenant, filters, room, &page, ret_more, err));
	for (size_t i = 0; i < value_len(page); i++) {
		value_add(list, value_copy(arena, value_at(page, i)));
		*before = value_get_int(value_at(page, i), "seq", *before);
	}
	return value_check(list, err);
}

int auditstore_search(struct part *part, struct arena *arena, const struct audit_query *query,
                      struct value **ret_list, bool *ret_more, struct err *err)
{
	int64_t before = 0;
	struct audit_query own = *query;
	own.ret_before = &before;
	TRY(shard_audit(part->shard, arena, &own, ret_list, ret_more, err));
	if (!*ret_more) {
		before = stored_before(part, arena, query);
		if (before > 1)
			TRY(search_stored(part, arena, query, &before, *ret_list, ret_more, err));
	}
	if (query->ret_before)
		*query->ret_before = before;
	return 0;
}

static struct value *reversed(struct arena *arena, const struct value *list)
{
	struct value *turned = value_list(arena);
	for (size_t i = value_len(list); i-- > 0;)
		value_add(turned, value_copy(arena, value_at(list, i)));
	return turned;
}

int auditstore_range(struct part *part, struct arena *arena, const char *tenant, int64_t from,
                     int64_t to, struct value **ret_events, struct err *err)
{
	struct value *all = value_list(arena), *page = NULL;
	bool more = true;
	if (to < from || to - from >= AUDITSTORE_RANGE_MAX)
		return err_set(err, E_INVALID, "from 1 to %d events are read at a time",
		               AUDITSTORE_RANGE_MAX);
	for (int64_t before = to + 1; more && before > from;) {
		struct value *filters = value_map(arena);
		value_set_int(filters, "from", from);
		value_set_int(filters, "before", before);
		TRY(value_check(filters, err));
		TRY(auditstore_page(part, arena, tenant, filters, (size_t)(before - from), &page,
		                    &more, err));
		for (size_t i = 0; i < value_len(page); i++)
			value_add(all, value_copy(arena, value_at(page, i)));
		more &= value_len(page) > 0;
		if (more)
			before = value_get_int(value_at(page, value_len(page) - 1), "seq", from);
	}
	if ((int64_t)value_len(all) != to - from + 1)
		return err_set(err, E_NOT_FOUND, "of the audit events %" PRId64 " to %" PRId64
		               " only %zu are kept", from, to, value_len(all));
	*ret_events = reversed(arena, all);
	return value_check(*ret_events, err);
}

/* --- for the log --- */

/* The older ones are read, the newer ones are still in memory; E_CONFLICT: these have left it while
 * the others were read. */
static int both(struct part *part, struct arena *arena, const char *tenant, int64_t from,
                int64_t to, struct value **ret_events, struct err *err)
{
	struct store_state state;
	struct value *kept = NULL;
	shard_store_state(part->shard, tenant, &state);
	int64_t split = state.oldest && state.oldest <= to ? state.oldest : to + 1;
	TRY(auditstore_range(part, arena, tenant, from, split - 1, ret_events, err));
	if (split > to)
		return 0;
	TRY(shard_store_events(part->shard, arena, tenant, split, to, &kept, err));
	for (size_t i = 0; i < value_len(kept); i++)
		value_add(*ret_events, value_copy(arena, value_at(kept, i)));
	return value_check(*ret_events, err);
}

static int older_lines(void *context, const char *tenant, uint64_t index, size_t count,
                       audit_line_fn *line, void *line_context, struct err *err)
{
	AUTO(arena) *arena = NULL;
	struct control *control = context;
	struct part *part = part_of(control, tenant);
	struct value *events = NULL;
	struct log_state state;
	TRY(arena_new(64 * MIB, &arena, err));
	TRY(shard_log(part->shard, arena, tenant, &state, err));
	int64_t from = state.from + (int64_t)index;
	int rc = both(part, arena, tenant, from, from + (int64_t)count - 1, &events, err);
	if (rc == E_CONFLICT)
		rc = both(part, arena, tenant, from, from + (int64_t)count - 1, &events, err);
	TRY(rc);
	return auditlog_print(events, index, line, line_context, err);
}

int auditstore_older_new(struct control *control, struct audit_older **ret_older, struct err *err)
{
	struct audit_older *older = malloc(sizeof *older);
	if (!older)
		return err_set(err, E_NOMEM, "no memory for the audit log");
	*older = (struct audit_older){ older_lines, control };
	*ret_older = older;
	return 0;
}

void auditstore_older_free(struct audit_older *older)
{
	free(older);
}
