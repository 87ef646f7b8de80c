/* cedar_partial.h - what a set of policies says of a table's rows before any of them is read.
 *
 * A request is decided except for `resource.row`, whose attributes are the table's columns and stay
 * open; what is left of the policies becomes one condition on columns (common/rowfilter.h). It is
 * exact: a row passes if and only if Cedar would allow the request with that row, where a column
 * without a value is an attribute that is not there. So `resource.row.x == 1` fails on such a row,
 * a policy that fails is skipped, and `resource.row has x` asks for it. Each expression is lowered
 * to two conditions, when it is true and when it is false; in the rows of neither it fails.
 *
 * Columns: boolean, int32 and int64 (long), string, timestamp and date (datetime, at midnight UTC).
 * Operators: == != < <= > >= on a column and a known value, == != on two columns of one type,
 * `has`, `like`, contains on a known set, && || ! if. What is beyond that cannot be said in a
 * filter: such a permit permits no row, such a forbid forbids all. */
#ifndef CEDAR_PARTIAL_H
#define CEDAR_PARTIAL_H

#include "common/rowfilter.h"
#include "policy/cedar_set.h"

struct cedar_rows {
	const struct value *filter;      /* rowfilter_is(filter, true): every row */
	const struct value *spared;      /* the rows that nothing forbids, permitted or not */
	size_t reason_count;             /* the policies that the filter was made of */
	const struct cedar_policy **reasons;
	size_t lost_count;               /* those that could not be lowered, with the place */
	struct cedar_failure *lost;
};

/* schema: a list of {name, type, required}. Everything lives in arena. Fails only without memory,
 * and then no row may be read. */
MUST_USE int cedar_set_rows(const struct cedar_set *set, struct arena *arena,
			    const struct cedar_request *request,
			    const struct cedar_entities *entities, const struct value *schema,
			    struct cedar_rows *ret_rows, struct err *err);

#endif
