/* veil.h - an input as a reader may see it who may not see all of it: a SELECT that lets the
 * filter's rows through, leaves hidden columns out and masks others, in this order. It is all that
 * a task has of the input.
 *
 * A planner moves conditions to where the rows come from, and what it knows of bounds into
 * expressions: so whether a cast in a tenant's SQL fails could hang on a row it may not see. Where
 * rows are filtered the SELECT therefore ends in a sample of all of its rows, past which DuckDB
 * moves nothing either way (its plans' default for an operator it has no rule for), and the engine
 * plans without statistics (duck_limits.rows_hidden). */
#ifndef VEIL_H
#define VEIL_H

#include "api/restriction.h"

struct duck;

/* A table's members of a job (shop.h), from the grant and back. */
void veil_pack(struct arena *arena, const struct restriction *restriction, struct value *table);
bool veil_is_on(const struct value *table);
bool veil_hides_rows(const struct value *tables); /* of one of them at least */

/* For a job whose tables have masks: the functions that veil_put's SELECT calls. arena and salt,
 * which is this job's own, live as long as duck. */
MUST_USE int veil_prepare(struct arena *arena, struct duck *duck, const struct value *tables,
                          const struct mask_salt *salt, struct err *err);
/* Appends the SELECT. relation: one that gives all of the table; columns: what it has, {name, type}
 * each. E_PRECONDITION: the restriction does not fit the columns; names none of them. */
MUST_USE int veil_put(struct arena *arena, const struct value *table, const char *relation,
                      const struct value *columns, struct buf *sql, struct err *err);
/* The same for a SELECT that the engine refused. */
int veil_misfit(const struct value *table, struct err *err);

#endif
