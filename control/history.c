/* history.c - see history.h. Invariant: memory is read before the history, and a task leaves memory
 * after the snapshot that has it is current; so a task is in at least one of the two answers. */
#include "common/defs.h"
#include "control/history.h"

#include "common/json.h"
#include "control/archive.h"
#include "control/dispatch.h"
#include "control/filter.h"

#include <stdatomic.h>
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

static int ask_worker(struct request *request, const struct value *spec,
                      struct value **ret_result, struct err *err)
{
	struct part *part = request->part;
	struct control *control = part->control;
	char id[ID_LEN + 1];
	uint8_t random[10];
	random_bytes(random, sizeof random);
	id_make(request->now_ms, random, id);
	const struct platform_task made = { id, request->tenant, TASK_HISTORY, spec,
	                                    request->now_ms };
	TRY(shard_question(part->shard, &made, err));
	dispatch_wake(part->dispatch);
	return shard_question_wait(part->shard, id,
	                           clock_mono_ms(control->clock) + HISTORY_WAIT_MS,
	                           request->arena, ret_result, err);
}

/* A held request takes a thread: only so many may be held. */
static int ask_held(struct request *request, const struct value *spec, struct value **ret_result,
                    struct err *err)
{
	struct control *control = request->part->control;
	int rc = 0;
	if (atomic_fetch_add(&control->held, 1) < control->held_max)
		rc = ask_worker(request, spec, ret_result, err);
	else
		rc = err_set(err, E_UNAVAILABLE, "%d requests wait already, which is the most that "
		             "may; the history is read when one of them has ended",
		             control->held_max);
	atomic_fetch_sub(&control->held, 1);
	return rc;
}

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
	TRY(ask_held(request, spec, &result, err));
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

struct merge {
	struct arena *arena;
	const struct value *live, *gone;
	bool more_live, more_gone;
	size_t limit;
	struct value *items;
	bool more;
};

/* Newest first; one that left while both were read is in both, and is shown once. What is behind
 * the end of a part that goes on is the next page's. */
static int merge(struct merge *merge, struct err *err)
{
	size_t live = 0, gone = 0, lives = value_len(merge->live), gones = value_len(merge->gone);
	while (value_len(merge->items) < merge->limit) {
		if ((live == lives && merge->more_live) || (gone == gones && merge->more_gone) ||
		    (live == lives && gone == gones))
			break;
		int order = live == lives ? -1 : gone == gones ? 1 :
			strcmp(id_at(merge->live, live), id_at(merge->gone, gone));
		const struct value *next = order < 0 ? value_at(merge->gone, gone) :
			value_at(merge->live, live);
		gone += order <= 0;
		live += order >= 0;
		value_add(merge->items, value_copy(merge->arena, next));
	}
	merge->more = live < lives || gone < gones || merge->more_live || merge->more_gone;
	return value_check(merge->items, err);
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
	size_t lives = value_len(merge->live);
	return !merge->more_live || lives == 0 || strcmp(id_at(merge->live, lives - 1), bound) < 0;
}

int history_list(struct request *request, const struct history_ask *ask,
                 struct value **ret_items, const char **ret_resume, struct err *err)
{
	struct value *live = NULL, *gone = value_list(request->arena);
	struct merge both = { .arena = request->arena, .limit = ask->limit,
	                      .items = value_list(request->arena) };
	TRY(shard_list(request->part->shard, request->arena, request->tenant, &ask->filter,
	               ask->limit, &live, &both.more_live, err));
	both.live = live;
	if (needs_history(request, ask, &both))
		TRY(history_page(request, ask, &gone, &both.more_gone, err));
	both.gone = gone;
	TRY(merge(&both, err));
	size_t count = value_len(both.items);
	*ret_items = both.items;
	*ret_resume = both.more && count > 0 ? id_at(both.items, count - 1) : NULL;
	return 0;
}
