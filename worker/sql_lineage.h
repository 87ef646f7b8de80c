/* sql_lineage.h - which columns of a SELECT's inputs each column of its result is made of, and
 * which decide only what rows there are (WHERE, JOIN, HAVING, GROUP BY what is not selected ...).
 * Out of the statement as DuckDB parsed it (json_serialize_sql). Never too little: where that
 * cannot be said, every column is made of everything of every input. Pure. */
#ifndef SQL_LINEAGE_H
#define SQL_LINEAGE_H

#include "common/value.h"

enum { LINEAGE_REFS_MAX = 16384 };       /* columns named in one lineage */

/* own_domain: where a name without a domain is looked up. tables: the job's (shop.h), with their
 * schemas. result: the SELECT's columns, a list of {name, type}. *ret_lineage is a map {exact,
 * inputs: [index ...] that it reads, columns: {NAME: [[index, "column" ...] ...]}, influence:
 * [[index, "column" ...] ...]}; [index] alone: all of that input. tree NULL: not known. */
MUST_USE int sql_lineage(struct arena *arena, const char *tree, const char *own_domain,
                         const struct value *tables, const struct value *result,
                         struct value **ret_lineage, struct err *err);

#endif
