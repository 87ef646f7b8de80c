/* engine_reading.h - what of a table someone may read, by Cedar: which rows, which columns, and
 * which of these only masked.
 *
 * Rows: what policies on the action of the ask say with conditions on resource.row.COLUMN, left
 * over by partial evaluation (policy/cedar_partial.h). Columns: whoever may read the table may read
 * each one that no forbid on Action::"column:read" speaks of, for
 * Column::"TENANT/DOMAIN/NAME/COLUMN" in its Dataset or FeatureView, with attributes tenant,
 * domain, name, type, tags, and labels (the table's). A forbid with the annotation @mask("ACTION")
 * leaves the column readable, masked so (common/mask.h), if each forbid that speaks of it has one;
 * of several the strictest holds. A forbid without one, and a mask that the column's type does not
 * take or that there is not, hides the column. */
#ifndef ENGINE_READING_H
#define ENGINE_READING_H

#include "common/mask.h"
#include "policy/engine.h"

#define MASK_ANNOTATION "mask"

struct engine_columns {
	const struct value *schema;      /* a list of {name, type, required?} */
	const struct value *tags;        /* a map: column to its tags; NULL: none has any */
};
struct engine_reading {
	const struct value *filter;      /* rows that are permitted and not forbidden */
	const struct value *spared;      /* rows that are not forbidden */
	const struct value *masks;       /* a map: column to the name of a mask; NULL: none */
	const struct value *hidden;      /* a list of columns; NULL: none */
	size_t rule_count;               /* the policies that the filter is of */
	const char *rules[ENGINE_RULES_MAX];
	/* A policy that could not be kept as it is written, and what was done; NULL: none. */
	const char *trouble;
};
/* ask: of a Dataset or FeatureView. Fails only without memory, and then nothing may be read. */
MUST_USE int engine_read(const struct engine *engine, struct arena *arena,
			 const struct engine_ask *ask, const struct engine_columns *columns,
			 struct engine_reading *ret_reading, struct err *err);

/* Whether `a` tells less of what it stands for than `b`: a fixed order, MASK_NONE the last. */
bool mask_is_stricter(enum mask a, enum mask b);

#endif
