/* query.h - a client's SELECT, from its text to its rows: parsed in an executor, what it names
 * asked of control, run in the same executor over what was granted. So many at one time, in all and
 * of a tenant; each within its limits, and ended when its client goes or its tenant's access is
 * revoked. Any thread. */
#ifndef QUERY_H
#define QUERY_H

#include "api/access_ask.h"
#include "api/grant.h"
#include "common/text.h"
#include "worker/pool.h"
#include "worker/run.h"

struct meter;

enum { QUERY_SQL_MAX = 64 * 1024 };

/* Asks control; the grant lies in arena, keys in locked memory. May block. */
typedef int query_ask_fn(void *context, const struct access_ask *ask, struct arena *arena,
                         struct grant **ret_grant, struct err *err);

struct queries_conf {            /* all borrowed */
	struct runner *runner;
	struct meter *meter;
	query_ask_fn *ask;
	void *context;               /* of ask */
	int most;                    /* at one time; 0: none are answered here */
	int tenant_most;             /* of these, one tenant's; 0: half of them, 1 at least */
	struct limits limits;        /* of each; what the grant says is less or as much */
	int64_t bytes_max;           /* of one result */
};
struct queries;
MUST_USE int queries_new(const struct queries_conf *conf, struct queries **ret_queries,
                         struct err *err);
void queries_free(struct queries *queries);      /* none may run any more */
DEFINE_AUTO(queries)
/* A tenant's access is revoked: its queries end. */
void queries_drop(struct queries *queries, const char *tenant);
/* All end, and there are no more. */
void queries_end(struct queries *queries);

/* Where the bytes go. */
struct query_sink {
	pool_sink_fn *put;
	bool (*room)(void *context); /* as of a pool_drain */
	bool (*wanted)(void *context);
	void *context;
};
struct query {
	const char *id;              /* what its event in the audit log says */
	const char *sql, *format;
	int64_t limit;               /* rows at most; 0: all */
	const char *credential, *domain, *purpose, *address;     /* NULL: not said */
	struct query_sink sink;
};
struct query_result { int64_t rows; bool more; };
/* E_BUSY: too many run already. arena: for this query alone. */
MUST_USE int queries_run(struct queries *queries, const struct query *query, struct arena *arena,
                         struct query_result *ret_result, struct err *err);

struct queries_status { int running, most; int64_t started, failed, bytes; };
void queries_status(struct queries *queries, struct queries_status *ret_status);

#endif
