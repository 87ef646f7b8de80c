/* sql_rules.h - what a tenant's SELECT may name: its declared inputs and what it defines itself.
 * No file by a path, no function that reads one or runs SQL out of a text, no setting, and nothing
 * of the engine's own catalog. Judged by the statement as DuckDB parsed it (json_serialize_sql),
 * before anything of it is bound. Pure. */
#ifndef SQL_RULES_H
#define SQL_RULES_H

#include "common/value.h"

/* tree: what json_serialize_sql gave. tables: the job's (shop.h). E_DENIED names what is refused;
 * E_INVALID: it is no statement's tree. */
MUST_USE int sql_rules_check(const char *tree, const struct value *tables, struct err *err);

/* What it names that could be a dataset, each once: {domain, name}, both lower case, domain ""
 * where none is said. A bare name that the statement defines itself (WITH) is its own. E_INVALID:
 * there is not one statement. */
MUST_USE int sql_rules_names(struct arena *arena, const char *tree, struct value **ret_tables,
                             struct err *err);

/* It only compares, reckons, casts, groups and orders: of all that it computes DuckDB knows what
 * can fail. False for a function it may not know that of, and for what is no tree. */
bool sql_rules_plain(const char *tree);

#endif
