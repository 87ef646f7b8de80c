/* serve_query.c - see serve_query.h. The request is gone once its answer has begun: what a query
 * needs of it is copied before. */
#include "common/defs.h"
#include "worker/serve_query.h"

#include "api/field.h"
#include "common/json.h"
#include "common/log.h"

#include <inttypes.h>
#include <linux/sockios.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { HELD_MAX = 256 * 1024, TAIL_MS = 2000, ROOM_MS = 20, TAIL_MAX = 4096 };
#define ARENA_MAX (128 * MIB)
#define KEPT_MAX (4 * MIB)

#define F(kind, name, need, arg, doc) { FIELD_##kind, need, #name, arg, NULL, doc },
static const struct field body_fields[] = {
	F(TEXT, sql,    true,  "65536", "one SELECT")
	F(ENUM, format, false, "json|jsonl|csv|parquet", "default json")
	F(INT,  limit,  false, NULL, "rows at most")
	F(NAME, domain, false, NULL, "where bare names are looked up")
	{ FIELD_TEXT, false, NULL, NULL, NULL, NULL }
};

/* The answer under way; the sink's context. */
struct pouring {
	struct http_request *request;        /* NULL: its answer has begun */
	struct outflow *outflow;             /* NULL: it has not */
	const char *type, *id;
	struct buf held;                     /* what came before the answer began */
	int socket;                          /* the client's, to see whether it is there; or -1 */
	bool gone;
};

static const char *type_of(const char *format)
{
	static const char *const types[][2] = {
		{ "json", "application/json" }, { "jsonl", "application/x-ndjson" },
		{ "csv", "text/csv; charset=utf-8; header=present" },
		{ "parquet", "application/vnd.apache.parquet" },
	};
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (strcmp(types[i][0], format) == 0)
			return types[i][1];
	return types[0][1];
}

/* ---- the sink ---- */

static int begin(struct pouring *pouring, struct err *err)
{
	http_add_header(pouring->request, "X-Request-Id", pouring->id);
	TRY(http_answer_stream(pouring->request, pouring->type, KEPT_MAX, &pouring->outflow, err));
	pouring->request = NULL;
	return 0;
}

static int put(void *context, const void *data, size_t len, struct err *err)
{
	struct pouring *pouring = context;
	if (!pouring->outflow && pouring->held.len + len <= HELD_MAX)
		return buf_put(&pouring->held, data, len) < 0 ? buf_check(&pouring->held, err) : 0;
	bool first = !pouring->outflow;
	if (first)
		TRY(begin(pouring, err));
	pouring->gone |= first && !outflow_put(pouring->outflow, pouring->held.data,
	                                       pouring->held.len);
	if (first)
		buf_release(&pouring->held);
	pouring->gone |= !outflow_put(pouring->outflow, data, len);
	return pouring->gone ? err_set(err, E_CANCELLED, "the query's client went away") : 0;
}

static bool has_room(void *context)
{
	struct pouring *pouring = context;
	return !pouring->outflow || outflow_room(pouring->outflow, ROOM_MS);
}

static bool is_wanted(void *context)
{
	struct pouring *pouring = context;
	struct pollfd client = { .fd = pouring->socket, .events = POLLRDHUP };
	if (pouring->socket >= 0 && poll(&client, 1, 0) > 0)
		pouring->gone = true;
	return !pouring->gone;
}

/* ---- the end ---- */

/* A connection that is broken off loses what its peer's kernel has not got yet. */
static void await_sent(int socket)
{
	int left = 0;
	for (int ms = 0; socket >= 0 && ms < TAIL_MS; ms++) {
		if (ioctl(socket, SIOCOUTQ, &left) < 0 || left == 0)
			return;
		usleep(1000);
	}
}

/* Says why, as far as the format has a place for it, and cuts the answer off. */
static void cut(struct pouring *pouring, const struct err *err)
{
	AUTO_BUF tail;
	buf_init(&tail, TAIL_MAX);
	buf_printf(&tail, "\n{\"error\":{\"code\":\"%s\",\"detail\":", err_name(err->code));
	json_print_str(err->text, strlen(err->text), &tail);
	buf_puts(&tail, "}}\n");
	bool json = strstr(pouring->type, "json") != NULL;
	if (json && buf_check(&tail, NULL) == 0 && !pouring->gone &&
	    outflow_room(pouring->outflow, TAIL_MS) &&
	    outflow_put(pouring->outflow, tail.data, tail.len) &&
	    outflow_idle(pouring->outflow, TAIL_MS))
		await_sent(pouring->socket);
	outflow_drop(pouring->outflow);
	outflow_end(pouring->outflow);
}

static void log_end(const char *id, int rc, const struct err *err)
{
	const struct log_context context = { .request = id };
	bool own = rc == E_INVALID || rc == E_INPUT || rc == E_DENIED || rc == E_NOT_FOUND;
	if (rc < 0)
		log_info(&context, "query_ended", "code=%s reason=\"%s\"", err_name(rc),
		         own ? "told to its caller" : err->text);
}

static void answer_whole(struct pouring *pouring)
{
	http_add_header(pouring->request, "X-Request-Id", pouring->id);
	http_answer(pouring->request, 200, pouring->type, &pouring->held);
}

static int finish(struct pouring *pouring, int rc, const struct err *why, struct err *err)
{
	if (pouring->outflow && rc < 0)
		cut(pouring, why);
	else if (pouring->outflow)
		outflow_end(pouring->outflow);
	else if (rc == 0)
		answer_whole(pouring);
	else if (err)
		*err = *why;
	return pouring->outflow ? 0 : rc;
}

/* ---- the question ---- */

static int read_body(struct arena *arena, const struct http_request *request, struct query *query,
                     struct err *err)
{
	size_t len = 0;
	struct value *body = NULL;
	const char *text = (const char *)http_body(request, &len);
	TRY(json_parse(arena, text ? text : "", len, &body, err));
	TRY(fields_check(body_fields, body, "the body", err));
	query->sql = value_get_str(body, "sql");
	query->domain = value_get_str(body, "domain");
	query->format = value_get_str(body, "format") ? value_get_str(body, "format") : "json";
	query->limit = value_get_int(body, "limit", 0);
	if (value_get(body, "limit") && query->limit < 1)
		return err_set(err, E_INVALID, "limit: must be 1 or more; left out, all rows are "
		               "given");
	return 0;
}

static int copy_text(struct arena *arena, const char *text, const char **ret_text, struct err *err)
{
	*ret_text = text && *text ? arena_strdup(arena, text) : NULL;
	return text && *text && !*ret_text ? err_set(err, E_NOMEM, "no memory for a query") : 0;
}

static int read_request(struct arena *arena, const struct http_request *request,
                        const char *credential, struct query *query, struct err *err)
{
	TRY(read_body(arena, request, query, err));
	TRY(copy_text(arena, credential, &query->credential, err));
	TRY(copy_text(arena, http_header(request, "Freehold-Purpose"), &query->purpose, err));
	TRY(copy_text(arena, http_peer(request), &query->address, err));
	if (!query->credential)
		return err_set(err, E_UNAUTHENTICATED, "send an API key as \"Authorization: Bearer "
		               "KEY\"");
	return 0;
}

int serve_query(struct queries *queries, struct http_request *request, const char *id,
                const char *credential, struct err *err)
{
	AUTO(arena) *arena = NULL;
	struct query query = { .limit = 0 };
	struct query_result result = { 0 };
	struct err why = { 0 };
	TRY(arena_new(ARENA_MAX, &arena, err));
	TRY(read_request(arena, request, credential, &query, err));
	struct pouring pouring = { .request = request, .type = type_of(query.format), .id = id };
	buf_init(&pouring.held, HELD_MAX);
	pouring.socket = http_watch(request);
	query.id = id;
	query.sink = (struct query_sink){ put, has_room, is_wanted, &pouring };
	int rc = queries_run(queries, &query, arena, &result, &why);
	log_end(id, rc, &why);
	rc = finish(&pouring, rc, &why, err);
	if (pouring.socket >= 0)
		close(pouring.socket);
	buf_release(&pouring.held);
	return rc;
}
