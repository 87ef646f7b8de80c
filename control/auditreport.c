/* auditreport.c - see auditreport.h. A report is a row of a table: which events it is about, and
 * whether each is shown or those alike together. Invariants: an event is looked at once; groups are
 * bounded, and what found no group is told as truncated. */
#include "common/defs.h"
#include "control/auditreport.h"

#include "common/text.h"
#include "control/auditstore.h"
#include "control/erasure.h"

#include <stdio.h>
#include <string.h>

enum {
	ROWS_MAX = 2000, SLOTS = 4096, PAGE = 500, PAGE_ARENA = 16 * 1024 * 1024,
	PAGES_MAX = 400              /* of memory 200 at most; stored ones take a worker's time */
};

struct group {
	struct value *row;           /* what they are alike in; NULL: the slot is free */
	int64_t count, first_ms;
};

struct making {
	struct part *part;
	struct arena *arena;
	const struct report_ask *ask;
	const char *full;            /* the principal that is asked about, with its tenant */
	const struct kind_of_report *kind;
	struct value *items;
	struct group groups[SLOTS];      /* by hash of what they are alike in */
	bool truncated;
	int64_t ended_before, seen_ms;   /* so many pages were enough: 0, it went to the end */
};

struct kind_of_report {
	const char *name;
	bool (*is_about)(const struct making *making, const struct value *event);
	const char *const *alike;        /* members; NULL: each event is a row */
	const char *needs;               /* "principal", "purpose"; NULL: nothing */
};

/* --- what they are about --- */

static bool is(const struct value *event, const char *member, const char *text)
{
	const char *found = value_get_str(event, member);
	return found && text && strcmp(found, text) == 0;
}

static bool is_of(const struct making *making, const struct value *event)
{
	const char *names[] = { making->ask->principal, making->full };
	bool found = !names[0];
	for (size_t i = 0; i < ARRAY_LEN(names) && !found; i++)
		found = is(event, "actor", names[i]) || is(event, "onBehalfOf", names[i]);
	return found;
}

static bool is_any(const struct making *making, const struct value *event)
{
	return is_of(making, event);
}

static bool is_for_purpose(const struct making *making, const struct value *event)
{
	return is(event, "purpose", making->ask->purpose) && is_of(making, event);
}

static bool is_policy(const struct making *making, const struct value *event)
{
	return (is(event, "action", "policy:write") || is(event, "action", "rolebinding:write")) &&
		is_of(making, event);
}

static bool is_denial(const struct making *making, const struct value *event)
{
	return (is(event, "result", "denied") || is(event, "result", "refused")) &&
		is_of(making, event);
}

static bool is_key(const struct making *making, const struct value *event)
{
	static const char *const actions[] = { "key:rotate", "key:destroy", "tenant-key:rotate",
		                               "root:rewrap", "tenant:seal", "tenant:unseal",
		                               "tokenkey:write" };
	const char *path = value_get_str(event, "resource");
	bool found = is(event, "action", "principal:write") && path && strstr(path, "/keys");
	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		found |= is(event, "action", actions[i]);
	return found && is_of(making, event);
}

static bool is_erasure(const struct making *making, const struct value *event)
{
	return (is(event, "action", "tenant:erase") || is(event, "action", "key:destroy")) &&
		is_of(making, event);
}

static const char *const by_thing[] = { "action", "resource", "result", "purpose", NULL };
static const char *const by_use[] = { "actor", "action", "resource", "result", NULL };
static const char *const by_refusal[] = { "actor", "action", "resource", "result", "code", "rule",
	                                  "address", NULL };

static const struct kind_of_report kinds[] = {
	{ "touched", is_any, by_thing, "principal" },
	{ "purpose", is_for_purpose, by_use, "purpose" },
	{ "policies", is_policy, NULL, NULL },
	{ "denials", is_denial, by_refusal, NULL },
	{ "keys", is_key, NULL, NULL },
	{ "erasures", is_erasure, NULL, NULL },
};

/* --- rows --- */

static void set_time(struct value *row, const char *name, int64_t at_ms)
{
	char time[TIME_TEXT_MAX];
	value_set_str(row, name, time_print_ms(at_ms, time));
}

/* A certificate that tells of the erasure; the event of it names the tenant's uid. */
static void add_certificate(struct making *making, const struct value *event, struct value *row)
{
	char key[STORE_KEY_MAX];
	struct value *stored = NULL;
	const char *uid = value_get_str(event, "resource");
	if (making->kind->is_about != is_erasure || !uid || *uid == '/' ||
	    catalog_get(making->part->control->catalog, making->arena,
	                erasure_done_key(key, uid), &stored, NULL, NULL) < 0)
		return;
	value_set_str(row, "certificate", value_get_str(stored, "certificate"));
}

/* Who wrote it has approved it, where nothing says that another did. */
static void add_approval(const struct value *event, struct value *row)
{
	const struct value *detail = value_get(event, "detail");
	const char *by = value_get_str(detail, "approvedBy");
	value_set_str(row, "before", value_get_str(detail, "before"));
	value_set_str(row, "after", value_get_str(detail, "after"));
	if (is(event, "result", "allowed"))          /* what was refused nobody has approved */
		value_set_str(row, "approvedBy", by ? by : value_get_str(event, "actor"));
}

static void add_event(struct making *making, const struct value *event)
{
	static const char *const members[] = { "actor", "onBehalfOf", "action", "operation",
		                               "resource", "result", "code", "rule", "digest",
		                               "purpose", "request", "task" };
	if (value_len(making->items) == ROWS_MAX) {
		making->truncated = true;
		return;
	}
	struct value *row = value_map(making->arena);
	value_set_int(row, "seq", value_get_int(event, "seq", 0));
	set_time(row, "time", value_get_int(event, "at", 0));
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		value_set_str(row, members[i], value_get_str(event, members[i]));
	if (making->kind->is_about == is_policy)
		add_approval(event, row);
	add_certificate(making, event, row);
	value_add(making->items, row);
}

static uint64_t hash_of(const struct making *making, const struct value *event)
{
	uint64_t hash = 0xcbf29ce484222325u;
	for (const char *const *member = making->kind->alike; *member; member++) {
		const char *text = value_get_str(event, *member);
		for (; text && *text; text++)
			hash = (hash ^ (uint8_t)*text) * 0x100000001b3u;
		hash = (hash ^ 1) * 0x100000001b3u;
	}
	return hash;
}

static bool is_alike(const struct making *making, const struct value *row,
                     const struct value *event)
{
	for (const char *const *member = making->kind->alike; *member; member++) {
		const char *a = value_get_str(row, *member), *b = value_get_str(event, *member);
		if ((a || b) && (!a || !b || strcmp(a, b) != 0))
			return false;
	}
	return true;
}

static struct value *new_group(struct making *making, const struct value *event)
{
	struct value *row = value_map(making->arena);
	for (const char *const *member = making->kind->alike; *member; member++)
		value_set_str(row, *member, value_get_str(event, *member));
	set_time(row, "last", value_get_int(event, "at", 0));    /* the newest comes first */
	value_add(making->items, row);
	return row;
}

static void count_event(struct making *making, const struct value *event)
{
	size_t at = hash_of(making, event) % SLOTS;
	while (making->groups[at].row && !is_alike(making, making->groups[at].row, event))
		at = (at + 1) % SLOTS;
	struct group *group = &making->groups[at];
	if (!group->row && value_len(making->items) == ROWS_MAX) {
		making->truncated = true;
		return;
	}
	if (!group->row)
		group->row = new_group(making, event);
	group->count += value_get_int(value_get(event, "detail"), "count", 1);
	group->first_ms = value_get_int(event, "at", 0);
}

static void finish_groups(struct making *making)
{
	for (size_t i = 0; i < SLOTS; i++) {
		struct group *group = &making->groups[i];
		if (!group->row)
			continue;
		value_set_int(group->row, "count", group->count);
		set_time(group->row, "first", group->first_ms);
	}
}

/* --- all of it --- */

static int64_t last_ms(const struct value *events, int64_t fallback)
{
	const struct value *last = value_at(events, value_len(events) ? value_len(events) - 1 : 0);
	return value_get_int(last, "at", fallback);
}

static int walk(struct making *making, struct err *err)
{
	int64_t before = 0;
	bool more = true;
	for (int pages = 0; more; pages++) {
		AUTO(arena) *page = NULL;
		struct value *events = NULL;
		const struct audit_query query = {
			.tenant = making->ask->tenant, .from_ms = making->ask->from_ms,
			.to_ms = making->ask->to_ms, .before_seq = before, .limit = PAGE,
			.ret_before = &before,
		};
		making->ended_before = pages == PAGES_MAX ? before : 0;
		if (pages == PAGES_MAX)
			break;
		TRY(arena_new(PAGE_ARENA, &page, err));
		TRY(auditstore_search(making->part, page, &query, &events, &more, err));
		making->seen_ms = last_ms(events, making->seen_ms);
		for (size_t i = 0; i < value_len(events); i++) {
			const struct value *event = value_at(events, i);
			if (!making->kind->is_about(making, event))
				continue;
			if (making->kind->alike)
				count_event(making, event);
			else
				add_event(making, event);
		}
	}
	return value_check(making->items, err);
}

static int find_kind(const struct report_ask *ask, const struct kind_of_report **ret_kind,
                     struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const char *needs = kinds[i].needs;
		if (strcmp(kinds[i].name, ask->name) != 0)
			continue;
		if (needs && !(needs[1] == 'r' ? ask->principal : ask->purpose))
			return err_set(err, E_INVALID, "the report %s needs %s: whose, or what "
			               "for", ask->name, needs);
		*ret_kind = &kinds[i];
		return 0;
	}
	return err_set(err, E_NOT_FOUND, "there is no report %.64s; there are touched, purpose, "
	               "policies, denials, keys and erasures", ask->name);
}

static void set_span(const struct making *making, struct value *report)
{
	const struct report_ask *ask = making->ask;
	bool complete = making->ended_before == 0;
	if (ask->from_ms)
		set_time(report, "from", ask->from_ms);
	if (ask->to_ms)
		set_time(report, "to", ask->to_ms);
	value_set_bool(report, "complete", complete);
	if (!complete)
		set_time(report, "heldFrom", making->seen_ms);
}

int auditreport_make(struct part *part, struct arena *arena, const struct report_ask *ask,
                     struct value **ret_report, struct err *err)
{
	struct making *making = arena_alloc(arena, sizeof *making);
	struct value *report = value_map(arena);
	if (!making)
		return err_set(err, E_NOMEM, "no memory for a report");
	memset(making, 0, sizeof *making);
	making->part = part;
	making->arena = arena;
	making->ask = ask;
	making->items = value_list(arena);
	if (ask->principal && !strchr(ask->principal, '/'))
		making->full = arena_printf(arena, "%s/%s", ask->tenant, ask->principal);
	TRY(find_kind(ask, &making->kind, err));
	TRY(walk(making, err));
	finish_groups(making);
	value_set_str(report, "report", ask->name);
	set_span(making, report);
	if (making->truncated)
		value_set_bool(report, "truncated", true);
	value_set(report, "items", making->items);
	*ret_report = report;
	return value_check(report, err);
}
