/* door.c - see door.h: the request that admit() sees, and the headers of its reply. */
#include "common/defs.h"
#include "control/door.h"

#include "api/problem.h"
#include "api/sse.h"
#include "control/admit.h"
#include "control/backups.h"
#include "control/events.h"
#include "control/forward.h"

#include <inttypes.h>
#include <stdio.h>

static const char *ask_query(const void *source, const char *name)
{
	return http_query(source, name);
}

static int ask_queries(const void *source, ask_query_fn *visit, void *context, struct err *err)
{
	return http_queries(source, visit, context, err);
}

static const char *ask_header(const void *source, const char *name)
{
	return http_header(source, name);
}

static void add_headers(struct http_request *http, const struct reply *reply)
{
	char number[24];
	http_add_header(http, "X-Request-Id", reply->request_id);
	if (reply->etag)
		http_add_header(http, "ETag", reply->etag);
	if (reply->location)
		http_add_header(http, "Location", reply->location);
	if (reply->allow)
		http_add_header(http, "Allow", reply->allow);
	if (reply->status == 401)
		http_add_header(http, "WWW-Authenticate", "Bearer realm=\"freehold\"");
	if (reply->revision) {
		snprintf(number, sizeof number, "%" PRId64, reply->revision);
		http_add_header(http, REVISION_HEADER, number);
	}
	if (reply->retry_after_s) {
		snprintf(number, sizeof number, "%d", reply->retry_after_s);
		http_add_header(http, "Retry-After", number);
	}
}

static void serve_problem(struct http_request *http, struct reply *reply, const struct err *err)
{
	int status = problem_print(err, reply->request_id, &reply->body);
	http_answer(http, status, PROBLEM_TYPE, &reply->body);
}

static void serve_backup(struct control *control, struct http_request *http, struct reply *reply)
{
	struct outflow *outflow = NULL;
	struct err err = { 0 };
	if (http_answer_stream(http, reply->content_type, BACKUPS_KEPT_MAX, &outflow, &err) == 0)
		backups_pour(control->backups, outflow);
	else
		serve_problem(http, reply, &err);
}

/* The head goes out now, and events as they come. */
static void serve_stream(struct http_request *http, struct reply *reply)
{
	struct outflow *outflow = NULL;
	struct err err = { 0 };
	http_add_header(http, "X-Accel-Buffering", "no");        /* for proxies: as it comes */
	if (http_answer_stream(http, SSE_TYPE, FEED_KEPT_MAX, &outflow, &err) == 0) {
		feed_attach(reply->feed, outflow);
		return;
	}
	feed_free(reply->feed);
	serve_problem(http, reply, &err);
}

void door_serve(void *control, struct http_request *http)
{
	struct reply reply;
	struct ask ask = {
		.method = http_method(http), .path = http_path(http), .query = ask_query,
		.queries = ask_queries, .header = ask_header, .source = http,
		.address = http_peer(http),
	};
	ask.body = http_body(http, &ask.body_len);
	admit(control, http_arena(http), &ask, &reply);
	add_headers(http, &reply);
	if (reply.feed)
		serve_stream(http, &reply);
	else if (reply.backup)
		serve_backup(control, http, &reply);
	else
		http_answer(http, reply.status, reply.content_type, &reply.body);
	buf_release(&reply.body);
}
