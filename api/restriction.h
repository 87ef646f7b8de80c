/* restriction.h - what of a table its reader may see: which rows, which columns, which of these
 * masked. Control takes it out of the policies, a grant carries it, the worker applies it: first
 * the filter, on the original values, then the masks. */
#ifndef RESTRICTION_H
#define RESTRICTION_H

#include "common/mask.h"
#include "common/rowfilter.h"

enum { RESTRICTION_COLUMNS_MAX = 1024 };

struct restriction {                 /* all NULL: everything */
	const struct value *filter;  /* common/rowfilter.h; NULL: every row */
	const struct value *masks;   /* a map, column to action (common/mask.h); NULL: none */
	const struct value *hidden;  /* a list of columns that to the reader do not exist */
};
bool restriction_any(const struct restriction *restriction);
bool restriction_hides(const struct restriction *restriction, const char *column);
/* MASK_NONE where there is none, and for one that cannot be read MASK_NULL. */
enum mask restriction_mask(const struct restriction *restriction, const char *column);

/* schema: a list of {name, type, required?}; NULL: not known, and then nothing is to be restricted.
 * E_INVALID names the column and what is wrong with it. */
MUST_USE int restriction_check(const struct restriction *restriction, const struct value *schema,
                               struct err *err);

/* Rows of a wire table (api/wire.h), for a struct with a member `restriction`. */
#define W_RESTRICTION(type) \
	W_VALUE_OPT(type, restriction.filter, "filter", WIRE_LIST_OF, 1, ROWFILTER_NODES_MAX), \
	W_VALUE_OPT(type, restriction.masks, "masks", WIRE_MAP_OF, 1, RESTRICTION_COLUMNS_MAX), \
	W_VALUE_OPT(type, restriction.hidden, "hidden", WIRE_LIST_OF, 1, RESTRICTION_COLUMNS_MAX)

#endif
