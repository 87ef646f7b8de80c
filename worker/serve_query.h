/* serve_query.h - POST /query on the serving door: {"sql", "format"?: json|jsonl|csv|parquet,
 * "limit"?, "domain"?}. A result that fits is answered whole; a longer one goes out as it comes, as
 * fast as its client takes it. One that fails in the middle is cut off, so that its end cannot be
 * taken for that of a whole one; of JSON and JSON lines the last line then is {"error": {...}}. */
#ifndef SERVE_QUERY_H
#define SERVE_QUERY_H

#include "api/http.h"
#include "worker/query.h"

#define QUERY_PATH "/query"

/* In a handler's thread. id: the request's, and the query's. 0: answered; else the request is still
 * to be answered with err. */
MUST_USE int serve_query(struct queries *queries, struct http_request *request, const char *id,
                         const char *credential, struct err *err);

#endif
