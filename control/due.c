/* due.c - see due.h. */
#include "common/defs.h"
#include "control/due.h"

bool due_window(const struct timetable *timetable, int64_t now_ms, int64_t *ret_from_ms,
                int64_t *ret_until_ms)
{
	int64_t end = now_ms < timetable->end_ms ? now_ms : timetable->end_ms, from = 0, until = 0;
	if (timetable->paused || timetable->pace == PACE_DATASETS ||
	    !timetable_whole(timetable, timetable->start_ms, end, &from, &until))
		return false;
	if (timetable->catch_up == CATCH_UP_NONE && now_ms - until > DUE_LATE_MS)
		return false;
	*ret_from_ms = timetable->catch_up == CATCH_UP_ALL ? from
	               : timetable_last(timetable, until - 1);
	*ret_until_ms = until;
	return true;
}

bool due_piece(const struct timetable *timetable, const struct stretch *items, size_t len,
               int64_t from_ms, int64_t until_ms, int64_t *ret_from_ms, int64_t *ret_to_ms)
{
	int64_t from = 0, to = 0;
	if (!stretches_hole(items, len, from_ms, until_ms, &from, &to))
		return false;
	int64_t next = timetable_next(timetable, from);
	*ret_from_ms = from;
	*ret_to_ms = next < to ? next : to;
	return true;
}

int64_t due_count(const struct timetable *timetable, const struct stretch *items, size_t len,
                  int64_t from_ms, int64_t until_ms, int64_t most)
{
	int64_t count = 0, to = from_ms;
	/* Items that end before the next piece begins are not looked at again. */
	for (size_t i = 0; count < most; count++) {
		while (i < len && items[i].to_ms <= to)
			i++;
		if (!due_piece(timetable, items + i, len - i, to, until_ms, &from_ms, &to))
			break;
	}
	return count;
}

static bool is_taken(const struct stretch *stretch, enum redo redo)
{
	switch (stretch->state) {
	case STRETCH_RUNNING: return true;
	case STRETCH_DONE: return redo != REDO_ALL;
	case STRETCH_FAILED: return redo == REDO_MISSING;
	default: return false;
	}
}

static int take(struct stretches *taken, const struct stretch *stretch, struct err *err)
{
	struct stretch copy = *stretch;
	copy.state = STRETCH_DONE;
	TRY(stretches_reserve(taken, 1, err));
	stretches_set(taken, &copy);
	return 0;
}

int due_taken(const struct view *schedule, const struct view *own, enum redo redo,
              struct stretches *ret_taken, struct err *err)
{
	struct stretches taken = { .items = NULL };
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < schedule->len; i++)
		if (is_taken(&schedule->items[i], redo))
			rc = take(&taken, &schedule->items[i], err);
	for (size_t i = 0; rc == 0 && i < own->len; i++)
		rc = take(&taken, &own->items[i], err);
	if (rc < 0)
		stretches_release(&taken);
	else
		*ret_taken = taken;
	return rc;
}
