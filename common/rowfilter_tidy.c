/* rowfilter_tidy.c - the same filter, said shorter: what a policy's `has` and its opposite leave
 * behind says twice that there is a value. Absorption: some c AND (null c OR x) is some c AND x,
 * and some c is not said beside what is false without a value; null c OR (some c AND x) likewise.
 */
#include "common/defs.h"
#include "common/rowfilter.h"

#include <string.h>

enum { ITEMS_MAX = 64 };             /* of a list; a longer one is left as it is */

/* all and any mirror each other. */
struct side {
	const char *op, *other;          /* of the list, of a list in it */
	const char *pivot, *absorbed;    /* "some" in an all, what that settles in an any */
	const char *implied[8];          /* operators beside which the pivot goes without saying */
};
static const struct side sides[] = {
	{ "all", "any", "some", "null", { "eq", "lt", "le", "gt", "ge", "in", "like", NULL } },
	{ "any", "all", "null", "some", { "ne", "out", "unlike", NULL } },
};

static bool is_op(const struct value *filter, const char *op)
{
	const char *name = value_as_str(value_at(filter, 0));
	return name && strcmp(name, op) == 0;
}

static bool is_on(const struct value *filter, const char *op, const char *column)
{
	const char *name = value_as_str(value_at(filter, 1));
	return is_op(filter, op) && name && column && strcmp(name, column) == 0;
}

static const struct side *side_of(const struct value *filter)
{
	for (size_t i = 0; i < ARRAY_LEN(sides); i++)
		if (is_op(filter, sides[i].op))
			return &sides[i];
	return NULL;
}

static struct value *fold(struct arena *arena, const struct side *side, struct value *into,
                          const struct value *part)
{
	return side == &sides[0] ? rowfilter_both(arena, into, part)
	                         : rowfilter_either(arena, into, part);
}

/* The item before it says the same. */
static bool is_said(const struct value *list, size_t i)
{
	for (size_t j = 1; j < i; j++)
		if (value_equal(value_at(list, j), value_at(list, i)))
			return true;
	return false;
}

static bool has_pivot(const struct value *list, const struct side *side, const char *column)
{
	for (size_t i = 1; i < value_len(list); i++)
		if (is_on(value_at(list, i), side->pivot, column))
			return true;
	return false;
}

/* A pivot beside an operator that implies it. */
static bool is_implied(const struct value *list, const struct side *side, const struct value *item)
{
	const char *column = value_as_str(value_at(item, 1));
	if (!is_op(item, side->pivot))
		return false;
	for (size_t i = 1; i < value_len(list); i++)
		for (size_t k = 0; side->implied[k]; k++)
			if (is_on(value_at(list, i), side->implied[k], column))
				return true;
	return false;
}

/* Of a list of the other kind in list: without what a pivot of list has settled. */
static struct value *absorbed(struct arena *arena, const struct value *list,
                              const struct side *side, const struct value *item)
{
	const struct side *inner = side_of(item);
	if (!inner || inner == side)
		return value_copy(arena, item);
	struct value *left = rowfilter_const(arena, inner == &sides[0]);
	for (size_t i = 1; i < value_len(item); i++) {
		const struct value *part = value_at(item, i);
		const char *column = value_as_str(value_at(part, 1));
		if (!is_op(part, side->absorbed) || !has_pivot(list, side, column))
			left = fold(arena, inner, left, part);
	}
	return left;
}

static struct value *once(struct arena *arena, const struct value *filter)
{
	const struct side *side = side_of(filter);
	if (!side || value_len(filter) > ITEMS_MAX)
		return value_copy(arena, filter);
	struct value *list = rowfilter_const(arena, side == &sides[0]);
	for (size_t i = 1; i < value_len(filter); i++)
		list = fold(arena, side, list, once(arena, value_at(filter, i)));
	if (side_of(list) != side)
		return list;
	struct value *left = rowfilter_const(arena, side == &sides[0]);
	for (size_t i = 1; i < value_len(list); i++)
		left = fold(arena, side, left, absorbed(arena, list, side, value_at(list, i)));
	if (side_of(left) != side)
		return left;
	struct value *tidy = rowfilter_const(arena, side == &sides[0]);
	for (size_t i = 1; i < value_len(left); i++)
		if (!is_said(left, i) && !is_implied(left, side, value_at(left, i)))
			tidy = fold(arena, side, tidy, value_at(left, i));
	return tidy;
}

struct value *rowfilter_tidy(struct arena *arena, const struct value *filter)
{
	struct value *tidy = filter ? once(arena, filter) : NULL;
	return tidy ? once(arena, tidy) : NULL;
}
