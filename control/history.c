/* history.c - see history.h. Invariant: memory is read before the history, and a task leaves memory
 * after the snapshot that has it is current; so a task is in at least one of the two answers. */
#include "common/defs.h"
#include "control/history.h"

#include "common/json.h"
#include "control/archive.h"
#include "control/filter.h"
#include "control/question.h"

#include <string.h>

/* --- what the history can have --- */

/* No id of a task that is in it is greater. */
static void bound_of(const struct part *part, const struct snapshot *history,
                     char out[ID_LEN + 1])
{
	uint8_t last[10];
	memset(last, 0xff, sizeof last);
	id_make(history->at_ms - archive_young_ms(part), last, out);
}

/* --- asking --- */

static struct value *spec_of(struct arena *arena, const struct history_ask *ask)
{
	struct value *spec = value_map(arena);
	value_set_str(spec, "id", ask->id);
	filter_spec(&ask->filter, spec, arena);
	value_set_int(spec, "limit", (int64_t)ask->limit);
	return spec;
}

static int read_row(struct arena *arena, const struct value *row, struct value *items,
                    struct err *err)
{
	const char *text = value_as_str(value_at(row, 1));
	struct value *task = NULL;
	if (!text || json_parse(arena, text, strlen(text), &task, err) < 0)
		return err_set(err, E_CORRUPT, "a row of the tenant's history is no task");
	value_set_bool(task, "archived", true);
	value_add(items, task);
	return value_check(items, err);
}

int history_page(struct request *request, const struct history_ask *ask,
                 struct value **ret_items, bool *ret_more, struct err *err)
{
	struct value *items = value_list(request->arena), *result = NULL;
	struct snapshot *history = NULL;
	*ret_more = false;
	if (!home_history(request->part->control, request->arena, request->tenant, &history)) {
		*ret_items = items;
		return value_check(items, err);
	}
	struct value *spec = spec_of(request->arena, ask);
	TRY(value_check(spec, err));
	const struct question question = { request->tenant, TASK_HISTORY, spec };
	TRY(question_ask(request->part, request->arena, &question, &result, err));
	const struct value *rows = value_get(result, "rows");
	for (size_t i = 0; i < value_len(rows); i++)
		TRY(read_row(request->arena, value_at(rows, i), items, err));
	*ret_items = items;
	*ret_more = value_get_bool(result, "more", false);
	return 0;
}

int history_find(struct request *request, const char *id, struct value **ret_task,
                 struct err *err)
{
	const struct history_ask ask = { .filter = { .domain = request->domain }, .id = id,
	                                 .limit = 1 };
	struct snapshot *history = NULL;
	struct value *items = NULL;
	char bound[ID_LEN + 1];
	bool more = false;
	*ret_task = NULL;
	if (!id_valid(id) ||
	    !home_history(request->part->control, request->arena, request->tenant, &history))
		return 0;
	bound_of(request->part, history, bound);
	if (strcmp(id, bound) > 0)
		return 0;
	TRY(history_page(request, &ask, &items, &more, err));
	if (value_len(items) > 0)
		*ret_task = value_copy(request->arena, value_at(items, 0));
	return 0;
}

/* --- both in one order --- */

static const char *id_at(const struct value *items, size_t i)
{
	const char *id = value_get_str(value_at(items, i), "id");
	return id ? id : "";
}

/* One of the two, with what of it is on the page already. */
struct side {
	const struct value *items;
	size_t at;
	bool more;                   /* behind the last of items */
};

struct merge {
	struct arena *arena;
	struct side live, gone;
	struct value *items;
};

static bool is_spent(const struct side *side)
{
	return side->at == value_len(side->items);
}

/* What is behind the end of a side that goes on is the next page's. */
static bool is_over(const struct side *live, const struct side *gone)
{
	return (is_spent(live) && (live->more || is_spent(gone))) ||
		(is_spent(gone) && gone->more);
}

/* Newest first; one that left while both were read is in both, and is shown once. */
static void take_next(struct merge *merge)
{
	struct side *live = &merge->live, *gone = &merge->gone;
	int order = is_spent(live) ? -1 : is_spent(gone) ? 1 :
		strcmp(id_at(live->items, live->at), id_at(gone->items, gone->at));
	const struct value *next = order < 0 ? value_at(gone->items, gone->at) :
		value_at(live->items, live->at);
	value_add(merge->items, value_copy(merge->arena, next));
	gone->at += order <= 0;
	live->at += order >= 0;
}

static bool has_more(const struct merge *merge)
{
	return !is_spent(&merge->live) || !is_spent(&merge->gone) || merge->live.more ||
		merge->gone.more;
}

/* Whether the history may have some that belong on the page of those in memory. */
static bool needs_history(struct request *request, const struct history_ask *ask,
                          const struct merge *merge)
{
	struct snapshot *history = NULL;
	char bound[ID_LEN + 1];
	if (!filter_ends(&ask->filter) ||
	    !home_history(request->part->control, request->arena, request->tenant, &history))
		return false;
	bound_of(request->part, history, bound);
	const struct side *live = &merge->live;
	size_t lives = value_len(live->items);
	return !live->more || lives == 0 || strcmp(id_at(live->items, lives - 1), bound) < 0;
}

int history_list(struct request *request, const struct history_ask *ask,
                 struct value **ret_items, const char **ret_resume, struct err *err)
{
	struct value *live = NULL, *gone = value_list(request->arena);
	struct merge both = { .arena = request->arena,
	                      .items = value_list(request->arena) };
	TRY(shard_list(request->part->shard, request->arena, request->tenant, &ask->filter,
	               ask->limit, &live, &both.live.more, err));
	both.live.items = live;
	if (needs_history(request, ask, &both))
		TRY(history_page(request, ask, &gone, &both.gone.more, err));
	both.gone.items = gone;
	while (value_len(both.items) < ask->limit && !is_over(&both.live, &both.gone))
		take_next(&both);
	TRY(value_check(both.items, err));
	size_t count = value_len(both.items);
	*ret_items = both.items;
	*ret_resume = has_more(&both) && count > 0 ? id_at(both.items, count - 1) : NULL;
	return 0;
}
