/* duck.h - the engine: one in-memory database with one connection. The only door to DuckDB.
 *
 * Errors: what the SQL's author wrote wrong (syntax, names, types) keeps DuckDB's message with its
 * position; what a value did at run time is said without the value. No message names a descriptor's
 * path: duck_name says what stands there instead. */
#ifndef DUCK_H
#define DUCK_H

#include "common/buf.h"
#include "common/value.h"

struct duck;
/* Starts no thread, so that the process may fork; duck_prepare or duck_lock do. */
MUST_USE int duck_new(struct duck **ret_duck, struct err *err);
/* Threads, and the settings that duck_lock makes, as they are likely to be: a process that waits
 * for its job then has pages of its own, where the fork shared them. */
MUST_USE int duck_prepare(struct duck *duck, struct err *err);
void duck_free(struct duck *duck);
DEFINE_AUTO(duck)

/* What messages say for "/proc/self/fd/N"; name is copied. */
MUST_USE int duck_name(struct duck *duck, int fd, const char *name, struct err *err);

struct duck_limits {
	int threads;
	uint64_t memory_bytes; /* of the process; the engine is given its share of it */
	bool rows_hidden; /* from who writes the SQL: nothing is planned by what is in them */
};
/* From here on only these descriptors can be opened and no setting can be changed. Comes before any
 * SQL that is not ours. */
MUST_USE int duck_lock(struct duck *duck, const struct duck_limits *limits, const int *fds,
                       size_t fd_count, struct err *err);

/* A function for our own SQL: of one value, and what it gives is of the same type. NULL gives NULL
 * without a call. With neither number nor bytes it gives what it takes, written anew: the engine
 * then moves no condition past it, and knows nothing more of bounds or dictionaries. Called from
 * many threads; what is borrowed here lives as long as duck. */
struct duck_function {
	const char *name;     /* begins with freehold_, so that no tenant's SQL may call it */
	const char *sql_type; /* INTEGER, BIGINT, DATE (days), TIMESTAMP (us); VARCHAR, BLOB; and
	                       * without a call BOOLEAN, DOUBLE, DECIMAL(p,s) */
	const void *context;
	int64_t (*number)(const void *context, int64_t value);
	int (*bytes)(const void *context, const void *data, size_t len, struct buf *out,
	             struct err *err);       /* of VARCHAR and BLOB, instead of number */
};
MUST_USE int duck_add_function(struct duck *duck, const struct duck_function *function,
                               struct err *err);

/* Our own statement, whose result does not matter. */
MUST_USE int duck_exec(struct duck *duck, const char *sql, struct err *err);

/* A statement's rows, as they come: each a list of its cells, in an arena that is reset after the
 * call. Booleans, whole numbers, reals, text and bytes; TIMESTAMP as microseconds, DATE as days;
 * lists and maps of these; anything else has to be cast in the SQL. */
typedef int duck_row_fn(void *context, const struct value *row, struct err *err);
MUST_USE int duck_rows(struct duck *duck, const char *sql, duck_row_fn *visit, void *context,
                       struct err *err);

/* The same for few rows: a list of rows in arena; E_TOO_LARGE beyond rows_max. */
MUST_USE int duck_table(struct duck *duck, struct arena *arena, const char *sql, size_t rows_max,
                        const struct value **ret_rows, struct err *err);

/* 0 when sql is one SELECT that binds; E_INVALID with position otherwise. */
MUST_USE int duck_check_select(struct duck *duck, const char *sql, struct err *err);

/* sql as DuckDB parses it, as JSON text in arena (see sql_rules.h). NULL: it does not parse, or is
 * no SELECT: duck_check_select then says so. */
MUST_USE int duck_tree(struct duck *duck, struct arena *arena, const char *sql,
                       const char **ret_tree, struct err *err);

/* The same, and E_INVALID with line and column when it does not parse or is no SELECT. Nothing of
 * it is bound: this may come before duck_lock. */
MUST_USE int duck_parse(struct duck *duck, struct arena *arena, const char *sql,
                        const char **ret_tree, struct err *err);

/* Percent of the running statement, -1 when not known. Any thread. */
int duck_percent(struct duck *duck);

/* SQL text: a quoted identifier, a quoted literal, the path of a descriptor as a literal. */
void duck_put_name(struct buf *sql, const char *name);
void duck_put_text(struct buf *sql, const char *text);
void duck_put_fd(struct buf *sql, int fd);

#endif
