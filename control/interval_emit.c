/* interval_emit.c - ledgers as records, and as what may be read of them. */
#include "common/defs.h"
#include "control/interval_impl.h"

#include "common/pack.h"
#include "control/record.h"

#include <string.h>

enum { PIECE_MAX = 1000, RECORD_ARENA_MAX = 4 * 1024 * 1024 };

/* --- a checkpoint's records ---
 * {t, op: "ledger", at, uid, tenant, domain, schedule, isBackfill?, first, last, until?, floor?,
 *  seen?, stretches: [[from, to, count, state]], running: [{from, to, id, run?, backfill?}]}; of
 * a long ledger several, each with the next stretches and running ones. */

static struct value *stretch_value(struct arena *arena, const struct stretch *stretch)
{
	struct value *list = value_list(arena);
	value_add(list, value_int(arena, stretch->from_ms));
	value_add(list, value_int(arena, stretch->to_ms));
	value_add(list, value_int(arena, stretch->count));
	value_add(list, value_int(arena, (int64_t)stretch->state));
	return list;
}

static struct value *entry_value(struct arena *arena, const struct entry *entry)
{
	struct value *map = value_map(arena);
	value_set_int(map, "from", entry->from_ms);
	value_set_int(map, "to", entry->to_ms);
	value_set_str(map, "id", entry->id);
	if (entry->is_run)
		value_set_bool(map, "run", true);
	if (entry->backfill[0])
		value_set_str(map, "backfill", entry->backfill);
	if (entry->credited)
		value_set_bool(map, "credited", true);
	return map;
}

static int add_head(struct value *record, const struct ledger *ledger, struct arena *arena,
                    struct err *err)
{
	struct value *seen = NULL;
	value_set_str(record, "op", "ledger");
	value_set_str(record, "uid", ledger->uid);
	value_set_str(record, "tenant", ledger->tenant);
	value_set_str(record, "domain", ledger->domain);
	value_set_str(record, "schedule", ledger->schedule);
	if (ledger->is_backfill)
		value_set_bool(record, "isBackfill", true);
	value_set_int(record, "first", ledger->first_ms);
	value_set_int(record, "last", ledger->last_ms);
	if (ledger->until_ms != INT64_MIN)
		value_set_int(record, "until", ledger->until_ms);
	if (ledger->stretches.floored)
		value_set_int(record, "floor", ledger->stretches.floor_ms);
	if (!ledger->seen.len)
		return 0;
	TRY(pack_read(arena, ledger->seen.data, ledger->seen.len, &seen, err));
	value_set(record, "seen", seen);
	return 0;
}

/* What a record of the ledger goes on with. */
struct progress_of { size_t stretch; const struct entry *entry; };

static int emit_piece(const struct ledger *ledger, struct progress_of *done, emit_fn *emit,
                      void *context, struct err *err)
{
	AUTO(arena) *arena = NULL;
	TRY(arena_new(RECORD_ARENA_MAX, &arena, err));
	struct value *record = record_new(arena, RECORD_INTERVAL, 0);
	struct value *stretches = value_list(arena), *running = value_list(arena);
	TRY(add_head(record, ledger, arena, err));
	const struct stretches *all = &ledger->stretches;
	for (int i = 0; i < PIECE_MAX && done->stretch < all->len; i++)
		value_add(stretches, stretch_value(arena, &all->items[done->stretch++]));
	for (int i = 0; i < PIECE_MAX && done->entry; done->entry = done->entry->next, i++)
		if (done->entry->durable)
			value_add(running, entry_value(arena, done->entry));
	value_set(record, "stretches", stretches);
	value_set(record, "running", running);
	TRY(value_check(record, err));
	return emit(context, record, err);
}

int book_emit(const struct book *book, emit_fn *emit, void *context, struct err *err)
{
	for (const struct ledger *ledger = book->first; ledger; ledger = ledger->next) {
		struct progress_of done = { 0, ledger->running };
		bool empty = !ledger->first_ms && !ledger->stretches.len && !ledger->running_count;
		if (empty)
			continue;
		do
			TRY(emit_piece(ledger, &done, emit, context, err));
		while (done.stretch < ledger->stretches.len || done.entry);
	}
	return 0;
}

static int restore_stretches(struct ledger *ledger, const struct value *list, struct err *err)
{
	for (size_t i = 0; i < value_len(list); i++) {
		const struct value *item = value_at(list, i);
		struct stretch stretch = {
			.from_ms = value_as_int(value_at(item, 0), 0),
			.to_ms = value_as_int(value_at(item, 1), 0),
			.count = value_as_int(value_at(item, 2), 1),
		};
		int64_t state = value_as_int(value_at(item, 3), -1);
		bool known = state == STRETCH_DONE || state == STRETCH_FAILED;
		if (!known || stretch.to_ms <= stretch.from_ms)
			return err_set(err, E_CORRUPT, "a ledger's checkpoint is damaged");
		stretch.state = (enum stretch_state)state;
		TRY(stretches_reserve(&ledger->stretches, ledger->running_count + 1, err));
		stretches_set(&ledger->stretches, &stretch);
	}
	return 0;
}

int ledger_restore(struct book *book, const struct value *record, struct err *err)
{
	const char *uid = value_get_str(record, "uid");
	const struct value *running = value_get(record, "running");
	const struct value *seen = value_get(record, "seen");
	struct ledger *ledger = NULL;
	if (!uid || strlen(uid) > ID_LEN)
		return err_set(err, E_CORRUPT, "a ledger's checkpoint has no uid");
	TRY(ledger_get(book, uid, &ledger, err));
	ledger_restore_name(ledger, record);
	ledger->is_backfill = value_get_bool(record, "isBackfill", false);
	ledger->first_ms = value_get_int(record, "first", 0);
	ledger->last_ms = value_get_int(record, "last", 0);
	ledger->until_ms = value_get_int(record, "until", INT64_MIN);
	ledger->stretches.floored = value_get(record, "floor") != NULL;
	ledger->stretches.floor_ms = value_get_int(record, "floor", 0);
	buf_clear(&ledger->seen);
	if (seen)
		TRY(pack_write(seen, &ledger->seen, err));
	TRY(buf_check(&ledger->seen, err));
	TRY(restore_stretches(ledger, value_get(record, "stretches"), err));
	for (size_t i = 0; i < value_len(running); i++)
		TRY(ledger_restore_running(book, ledger, value_at(running, i), err));
	return 0;
}

/* --- reading --- */

/* Of the backfill; own NULL: fired by the schedule itself. */
static bool is_own(const struct entry *entry, const char *own)
{
	if (own)
		return strcmp(entry->backfill, own) == 0;
	return !entry->backfill[0] || entry->credited;
}

/* One of [from, to) into a set that is being put together. */
static int put(struct stretches *stretches, const struct stretch *stretch, int64_t from_ms,
               int64_t to_ms, struct err *err)
{
	if (stretch->to_ms <= from_ms || stretch->from_ms >= to_ms)
		return 0;
	TRY(stretches_reserve(stretches, 1, err));
	stretches_set(stretches, stretch);
	return 0;
}

static int collect(const struct ledger *schedule, const struct ledger *from, const char *own,
                   int64_t from_ms, int64_t to_ms, struct stretches *out, struct err *err)
{
	const struct stretches *stretches = &from->stretches;
	struct stretch before = { INT64_MIN / 4, stretches->floor_ms, 1, STRETCH_DONE };
	if (stretches->floored)
		TRY(put(out, &before, from_ms, to_ms, err));
	for (size_t i = stretches_at(stretches, from_ms);
	     i < stretches->len && stretches->items[i].from_ms < to_ms; i++)
		TRY(put(out, &stretches->items[i], from_ms, to_ms, err));
	for (const struct entry *at = schedule->running; at; at = at->next) {
		struct stretch stretch = { at->from_ms, at->to_ms, 1, STRETCH_RUNNING };
		if (!own || is_own(at, own))
			TRY(put(out, &stretch, from_ms, to_ms, err));
	}
	return 0;
}

static int copy_out(struct arena *arena, const struct stretches *stretches, struct view *view,
                    struct err *err)
{
	view->items = arena_alloc(arena, (stretches->len + 1) * sizeof *view->items);
	if (!view->items)
		return err_set(err, E_NOMEM, "no memory to read a ledger of intervals");
	if (stretches->len)
		memcpy(view->items, stretches->items, stretches->len * sizeof *view->items);
	view->len = stretches->len;
	return 0;
}

int book_view(const struct book *book, struct arena *arena, const char *uid, const char *own,
              int64_t from_ms, int64_t to_ms, struct view *ret_view, struct err *err)
{
	static const struct ledger nothing = { .until_ms = INT64_MIN };
	const struct ledger *schedule = ledger_find(book, uid);
	const struct ledger *of = own ? ledger_find(book, own) : schedule;
	struct stretches stretches = { .items = NULL };
	struct view view = { .running = 0 };
	struct value *seen = NULL;
	schedule = schedule ? schedule : &nothing;
	of = of ? of : &nothing;
	for (const struct entry *at = schedule->running; at; at = at->next)
		view.running += is_own(at, own);
	view.first_ms = of->first_ms;
	view.last_ms = of->last_ms;
	view.until_ms = schedule->until_ms;
	if (schedule->seen.len)
		TRY(pack_read(arena, schedule->seen.data, schedule->seen.len, &seen, err));
	view.seen = seen;
	int rc = collect(schedule, of, own, from_ms, to_ms, &stretches, err);
	if (rc == 0)
		rc = copy_out(arena, &stretches, &view, err);
	stretches_release(&stretches);
	if (rc == 0)
		*ret_view = view;
	return rc;
}

struct value *book_running(const struct book *book, struct arena *arena, const char *uid,
                           const char *backfill)
{
	struct value *list = value_list(arena);
	for (const struct ledger *at = book->first; at; at = at->next) {
		if (uid && strcmp(at->uid, uid) != 0)
			continue;
		for (const struct entry *entry = at->running; entry; entry = entry->next) {
			if (!entry->durable || (backfill && strcmp(entry->backfill, backfill) != 0))
				continue;
			struct value *map = entry_value(arena, entry);
			value_set_str(map, "uid", uid ? NULL : at->uid);
			value_set_str(map, "tenant", uid ? NULL : at->tenant);
			value_set_str(map, "domain", uid ? NULL : at->domain);
			value_set_str(map, "schedule", uid ? NULL : at->schedule);
			value_add(list, map);
		}
	}
	return list;
}
