/* veil.h - an input as a reader may see it who may not see all of it: a SELECT that lets the
 * filter's rows through, leaves hidden columns out and masks others, in this order. It is all that
 * a task has of the input.
 *
 * Whether a tenant's SQL fails may not hang on rows it may not see, and DuckDB has three ways to
 * make it so. It knows bounds out of a file's statistics, and so what never happens: where rows are
 * filtered it plans without them, and moves no filter up (duck_limits.rows_hidden). It moves
 * conditions down to where the rows come from, though none that it knows can fail. And what it does
 * not know to fail it computes once for each value of a file's dictionary, which has those of all
 * rows. Some of its functions fail all the same: for SQL with more than the plain ones
 * (sql_rules.h) each column is written anew by a function of ours, past which it moves nothing and
 * where dictionaries end. tests/unit/worker/test_see_around.c is what holds it to that. */
#ifndef VEIL_H
#define VEIL_H

#include "api/restriction.h"

struct duck;

/* A table's members of a job (shop.h), from the grant and back. */
void veil_pack(struct arena *arena, const struct restriction *restriction, struct value *table);
bool veil_is_on(const struct value *table);
bool veil_hides_rows(const struct value *tables); /* of one of them at least */

/* For a job whose tables are restricted: the functions that veil_put's SELECT calls; plain: so is
 * the SQL to come. arena and salt, which is this job's own, live as long as duck. */
MUST_USE int veil_prepare(struct arena *arena, struct duck *duck, const struct value *tables,
                          const struct mask_salt *salt, bool plain, struct err *err);
/* Appends the SELECT. relation: one that gives all of the table; columns: what it has, {name, type}
 * each; plain: so is the SQL to come. E_PRECONDITION: the restriction does not fit the columns;
 * names none of them. */
MUST_USE int veil_put(struct arena *arena, const struct value *table, const char *relation,
                      const struct value *columns, bool plain, struct buf *sql, struct err *err);
/* The same for a SELECT that the engine refused. */
int veil_misfit(const struct value *table, struct err *err);

#endif
