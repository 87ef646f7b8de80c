/* stretches.c - see stretches.h. Invariant: items ascend, do not overlap, are not empty, and no two
 * that touch have one state. */
#include "common/defs.h"
#include "control/stretches.h"

#include <stdlib.h>
#include <string.h>

static const char *const state_names[STRETCH_STATE_COUNT_] = {
	[STRETCH_MISSING] = "missing", [STRETCH_RUNNING] = "running", [STRETCH_DONE] = "done",
	[STRETCH_FAILED] = "failed",
};

const char *stretch_state_name(enum stretch_state state)
{
	return state_names[state];
}

void stretches_release(struct stretches *set)
{
	free(set->items);
	*set = (struct stretches){ .items = NULL };
}

/* Setting one cuts at most one other in two: two more. */
int stretches_reserve(struct stretches *set, size_t more, struct err *err)
{
	size_t need = set->len + more * 2;
	if (need <= set->cap)
		return 0;
	size_t cap = need + need / 2 + 2;
	struct stretch *items = realloc(set->items, cap * sizeof *items);
	if (!items)
		return err_set(err, E_NOMEM, "no memory for a ledger of intervals");
	set->items = items;
	set->cap = cap;
	return 0;
}

size_t stretches_at(const struct stretches *set, int64_t at_ms)
{
	size_t low = 0, high = set->len;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (set->items[middle].to_ms <= at_ms)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void remove_at(struct stretches *set, size_t i, size_t count)
{
	memmove(set->items + i, set->items + i + count,
	        (set->len - i - count) * sizeof set->items[0]);
	set->len -= count;
}

static void insert_at(struct stretches *set, size_t i, const struct stretch *stretch)
{
	REQUIRE(set->len < set->cap);
	memmove(set->items + i + 1, set->items + i, (set->len - i) * sizeof set->items[0]);
	set->items[i] = *stretch;
	set->len++;
}

/* What is left of its intervals when it keeps only a part of its length; one at least. */
static int64_t share(const struct stretch *of, int64_t from_ms, int64_t to_ms)
{
	double part = (double)(to_ms - from_ms) / (double)(of->to_ms - of->from_ms);
	int64_t count = (int64_t)((double)of->count * part + 0.5);
	return count > 0 ? count : 1;
}

/* Keeps what lies before from_ms of the one at i and, if it goes past to_ms, what lies after. */
static bool cut(struct stretches *set, size_t i, int64_t from_ms, int64_t to_ms)
{
	struct stretch right = set->items[i];
	set->items[i].count = share(&right, right.from_ms, from_ms);
	set->items[i].to_ms = from_ms;
	if (right.to_ms <= to_ms)
		return false;
	right.count = share(&right, to_ms, right.to_ms);
	right.from_ms = to_ms;
	insert_at(set, i + 1, &right);
	return true;
}

/* Takes [from, to) out of all that it touches. */
static void clear(struct stretches *set, int64_t from_ms, int64_t to_ms)
{
	size_t i = stretches_at(set, from_ms);
	if (i < set->len && set->items[i].from_ms < from_ms && cut(set, i++, from_ms, to_ms))
		return;
	size_t end = i;
	while (end < set->len && set->items[end].to_ms <= to_ms)
		end++;
	remove_at(set, i, end - i);
	if (i < set->len && set->items[i].from_ms < to_ms) {
		struct stretch *right = &set->items[i];
		right->count = share(right, to_ms, right->to_ms);
		right->from_ms = to_ms;
	}
}

/* With the one after it. */
static void merge(struct stretches *set, size_t i)
{
	if (i + 1 >= set->len)
		return;
	struct stretch *left = &set->items[i], *right = left + 1;
	if (left->to_ms != right->from_ms || left->state != right->state)
		return;
	left->to_ms = right->to_ms;
	left->count += right->count;
	remove_at(set, i + 1, 1);
}

void stretches_set(struct stretches *set, const struct stretch *stretch)
{
	if (stretch->to_ms <= stretch->from_ms)
		return;
	clear(set, stretch->from_ms, stretch->to_ms);
	if (stretch->state == STRETCH_MISSING)
		return;
	size_t i = stretches_at(set, stretch->from_ms);
	insert_at(set, i, stretch);
	merge(set, i);
	if (i > 0)
		merge(set, i - 1);
	if (set->len <= STRETCHES_MAX)
		return;
	set->floor_ms = set->items[0].to_ms;
	set->floored = true;
	remove_at(set, 0, 1);
}

bool stretches_hole(const struct stretch *items, size_t len, int64_t from_ms, int64_t to_ms,
                    int64_t *ret_from_ms, int64_t *ret_to_ms)
{
	size_t i = 0;
	for (; i < len && items[i].from_ms <= from_ms; i++)
		if (items[i].to_ms > from_ms)
			from_ms = items[i].to_ms;
	if (from_ms >= to_ms)
		return false;
	if (i < len && items[i].from_ms < to_ms)
		to_ms = items[i].from_ms;
	*ret_from_ms = from_ms;
	*ret_to_ms = to_ms;
	return true;
}
