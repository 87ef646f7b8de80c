/* shop.h - what the executor's half of a task type works with.
 *
 * job     {type, threads, memory, domain, work, tables: [{domain, name, schema?, files: [fd],
 *         filter?, masks?, hidden?}], sealed: [{fd, ticket}], and what the type's agent half
 *         added}; fd is an index; of filter, masks and hidden see api/restriction.h
 * A query's first job has {type, work} alone (worker/t_query.h).
 * result  {rows, readBytes} and what the type adds */
#ifndef SHOP_H
#define SHOP_H

#include "common/mask.h"
#include "common/value.h"

#include <pthread.h>

struct duck;

struct shop {
	struct arena *arena;
	struct duck *duck;
	const struct value *job;
	const int *fds;
	size_t fd_count;
	struct value *result;
	int socket;
	pthread_mutex_t mutex; /* guards sending on socket, and phase */
	const char *phase;     /* a constant */
	struct mask_salt salt; /* of this job's masks */
};

/* The descriptor that the job's member names; -1: it has none. */
int shop_fd(const struct shop *shop, const char *member);
void shop_phase(struct shop *shop, const char *phase);
/* Gives rows to the agent. */
MUST_USE int shop_send_rows(struct shop *shop, struct value *rows, struct err *err);
/* Schemas and views for the job's tables; the task's domain is searched first. */
MUST_USE int shop_tables(struct shop *shop, struct err *err);
/* Appends "NAME TYPE, ..." or the like out of a schema: each column by `put`. E_INVALID for a type
 * that is none. */
typedef void shop_column_fn(struct buf *sql, const char *name, const char *sql_type);
MUST_USE int shop_columns(const struct value *schema, shop_column_fn *put, struct buf *sql,
                          struct err *err);
/* Asks the agent, whose answer is the job from here on. */
MUST_USE int shop_ask(struct shop *shop, struct value *question, struct err *err);
/* Our type for one of DuckDB's; "string" for what has none. */
void shop_type(const char *sql_type, char out[32]);
/* The columns of a SELECT as a list of {name, type}, in our types; what has none becomes "string".
 */
MUST_USE int shop_schema(struct shop *shop, const char *select, struct value **ret_schema,
                         struct err *err);
/* Writes a SELECT's rows as Parquet into the job's descriptor `member`, casting to schema (NULL: as
 * they are), and closes it. ret_written: {rows, plainBytes, stats: {column: {nulls, min, max}}}. */
MUST_USE int shop_write(struct shop *shop, const char *select, const struct value *schema,
                        const char *member, struct value **ret_written, struct err *err);

#endif
