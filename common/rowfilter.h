/* rowfilter.h - which rows of a table someone may see: a condition over its columns, made out of
 * policies, carried in a grant, applied wherever rows are read.
 *
 * A filter is a tree of lists, each headed by its operator:
 *   ["all", f...], ["any", f...]       every one, at least one; empty: true, false
 *   ["null", c], ["some", c]           the row has no value there, has one
 *   ["eq", c, x], ["ne", c, x]         IS NOT DISTINCT FROM, IS DISTINCT FROM
 *   ["lt", c, x], ["le", ...], ["gt", ...], ["ge", ...]    false where there is no value
 *   ["in", c, x...], ["out", c, x...]  one of these, none of these (true where there is no value)
 *   ["like", c, p...], ["unlike", ...] the parts between the wildcards of a pattern
 *   ["same", c, d], ["differ", c, d]   two columns, as eq and ne
 * c, d are columns; x is a boolean, an integer, a text, or {"ms": N}: ms since 1970 in UTC.
 *
 * Every operator is two-valued, and the opposite of each can be said, so a filter needs no negation
 * and means the same in SQL and on a row in memory. A filter that cannot be read lets no row
 * through. */
#ifndef ROWFILTER_H
#define ROWFILTER_H

#include "common/buf.h"
#include "common/value.h"

enum { ROWFILTER_NODES_MAX = 2000, ROWFILTER_DEPTH_MAX = 24, ROWFILTER_SQL_MAX = 256 * 1024 };

/* Builders; NULL for a NULL part (no memory). "all" and "any" take up parts of their own kind and
 * what is constant. */
struct value *rowfilter_const(struct arena *arena, bool all_rows);
struct value *rowfilter_both(struct arena *arena, const struct value *a, const struct value *b);
struct value *rowfilter_either(struct arena *arena, const struct value *a, const struct value *b);
struct value *rowfilter_not(struct arena *arena, const struct value *filter);
/* One operator on one column; item NULL for null and some. More items are added with value_add. */
struct value *rowfilter_on(struct arena *arena, const char *op, const char *column,
			   const struct value *item);
struct value *rowfilter_ms(struct arena *arena, int64_t ms);
/* The same condition, said shorter where that is easily seen. */
struct value *rowfilter_tidy(struct arena *arena, const struct value *filter);
bool rowfilter_is(const struct value *filter, bool all_rows);    /* it is that constant */

/* schema: a list of {name, type}. E_INVALID names the operator or column that is wrong: unknown, of
 * another type, too deep, too many. */
MUST_USE int rowfilter_check(const struct value *filter, const struct value *schema,
			     struct err *err);
/* A condition of SQL (DuckDB's) over the quoted names of columns, for a WHERE: a row for which SQL
 * does not know is not let through. The filter has been checked. */
MUST_USE int rowfilter_sql(const struct value *filter, struct buf *out, struct err *err);

/* The value of a column of one row: NULL or VALUE_NULL where there is none; times as
 * microseconds since 1970, like dates at midnight UTC. */
typedef const struct value *rowfilter_get_fn(void *context, const char *column);
bool rowfilter_test(const struct value *filter, rowfilter_get_fn *get, void *context);

#endif
