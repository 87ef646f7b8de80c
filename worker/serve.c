/* serve.c - the serving door. The fast path and the slow path answer alike: the fast one gives up
 * whatever it cannot do without blocking or without more memory than its stack. */
#include "common/defs.h"
#include "worker/serve.h"

#include "api/access_ask.h"
#include "api/problem.h"
#include "common/json.h"
#include "common/log.h"
#include "common/text.h"
#include "worker/lookup.h"
#include "worker/serve_query.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	FAST_KEYS = 64, FAST_FOUND = 64, FAST_CELLS = 512, FAST_BYTES = 16 * 1024,
		FIRST_ANSWER = 1024
};
#define ANSWER_MAX (32 * MIB)
#define FEATURES_PATH "/get-online-features"

struct serve {
	struct serve_conf conf;
	struct http_server *http;
	pthread_mutex_t mutex;       /* guards agent, also while it is asked */
	struct agent *agent;
	_Atomic int64_t fast, slow, problems;   /* answers */
};

/* ---- reading features ---- */

static const char *credential_of(const struct http_request *request)
{
	const char *header = http_header(request, "Authorization");
	return header && strncasecmp(header, "Bearer ", 7) == 0 && header[7] ? header + 7 : NULL;
}

static struct access_want want_of(const struct http_request *request)
{
	return (struct access_want){ .credential = credential_of(request),
		                     .purpose = http_header(request, PURPOSE_HEADER),
		                     .address = http_peer(request) };
}

static bool is_read(const struct http_request *request)
{
	return strcmp(http_path(request), FEATURES_PATH) == 0 &&
		strcmp(http_method(request), "POST") == 0;
}

static bool is_query(const struct http_request *request)
{
	return strcmp(http_path(request), QUERY_PATH) == 0 &&
		strcmp(http_method(request), "POST") == 0;
}

static int print_features(struct serve *serve, const struct access_plan *plan,
                          const struct ask *ask, struct lookup_room *room, struct buf *out,
                          struct err *err)
{
	int64_t now_us = clock_unix_ms(serve->conf.clock) * 1000;
	return lookup_print(plan, ask, now_us, room, serve->conf.meter, out, err);
}

static int read_fast(struct serve *serve, const struct access_want *want, const struct ask *ask,
                     struct buf *out)
{
	struct found found[FAST_FOUND];
	const uint8_t *cells[FAST_CELLS];
	uint8_t bytes[FAST_BYTES];
	struct lookup_room room = {
		.found = found, .found_max = FAST_FOUND, .cells = cells, .cell_max = FAST_CELLS,
		.bytes = bytes, .byte_max = FAST_BYTES,
	};
	struct access_plan *plan = access_cache_get(serve->conf.cache, want);
	if (!plan)
		return E_NOT_FOUND;
	int rc = print_features(serve, plan, ask, &room, out, NULL);
	access_plan_release(plan);
	return rc;
}

static bool serve_fast(void *context, struct http_request *request)
{
	struct serve *serve = context;
	struct ask_key keys[FAST_KEYS];
	struct ask ask;
	size_t len;
	if (!is_read(request))
		return false;
	const char *body = (const char *)http_body(request, &len);
	struct access_want want = want_of(request);
	if (!want.credential || !ask_scan(body, len, keys, FAST_KEYS, &ask))
		return false;
	want.features = ask.features;
	want.features_len = ask.features_len;
	want.full_names = ask.full_names;
	access_cache_key(serve->conf.cache, &want);
	AUTO_BUF out;
	buf_init(&out, ANSWER_MAX);
	if (!buf_room(&out, FIRST_ANSWER) || read_fast(serve, &want, &ask, &out) < 0)
		return false;
	atomic_fetch_add_explicit(&serve->fast, 1, memory_order_relaxed);
	http_answer(request, 200, "application/json", &out);
	return true;
}

static int read_ask(struct arena *arena, const char *body, size_t len, struct ask *ret_ask,
                    struct err *err)
{
	size_t key_max = (size_t)ASK_ENTITIES_MAX * ASK_ROWS_MAX;
	struct ask_key *keys = arena_alloc(arena, key_max * sizeof *keys);
	if (!keys)
		return err_set(err, E_NOMEM, "no memory for the request");
	return ask_scan(body, len, keys, key_max, ret_ask) ? 0 : ask_parse(arena, body, len,
	                                                                   ret_ask, err);
}

static int read_with(struct serve *serve, struct arena *arena, const struct access_want *want,
                     const struct ask *ask, struct buf *out, struct err *err)
{
	struct access_plan *plan = NULL;
	struct lookup_room room;
	TRY(access_cache_fetch(serve->conf.cache, want, &plan, err));
	int rc = lookup_room_new(arena, plan, ask, &room, err);
	if (rc == 0)
		rc = print_features(serve, plan, ask, &room, out, err);
	access_plan_release(plan);
	return rc;
}

static int read_slow(struct serve *serve, struct http_request *request, struct buf *out,
                     struct err *err)
{
	struct arena *arena = http_arena(request);
	struct ask ask = { .rows = 0 };
	size_t len;
	const char *body = (const char *)http_body(request, &len);
	struct access_want want = want_of(request);
	size_t said = want.purpose ? strlen(want.purpose) : 1;
	if (said < 1 || said > PURPOSE_TEXT_MAX)
		return err_set(err, E_INVALID, "the header %s has %zu characters; it may have 1 to "
		               "%d", PURPOSE_HEADER, said, PURPOSE_TEXT_MAX);
	if (!want.credential)
		return err_set(err, E_UNAUTHENTICATED, "send an API key as \"Authorization: Bearer "
		               "KEY\"");
	TRY(read_ask(arena, body, len, &ask, err));
	want.features = ask.features;
	want.features_len = ask.features_len;
	want.full_names = ask.full_names;
	access_cache_key(serve->conf.cache, &want);
	return read_with(serve, arena, &want, &ask, out, err);
}

/* ---- about itself ---- */

static bool agent_state(struct serve *serve, struct agent_status *ret_status)
{
	pthread_mutex_lock(&serve->mutex);
	bool there = serve->agent != NULL;
	if (there)
		agent_status(serve->agent, ret_status);
	pthread_mutex_unlock(&serve->mutex);
	return there;
}

static int print_health(struct serve *serve, struct buf *out)
{
	(void)serve;
	buf_puts(out, "{\"status\":\"up\"}");
	return 200;
}

static int print_ready(struct serve *serve, struct buf *out)
{
	struct agent_status status = { 0 };
	bool ready = agent_state(serve, &status) && status.connected;
	const char *truth = ready ? "true" : "false";
	buf_printf(out, "{\"ready\":%s,\"checks\":[{\"name\":\"control\",\"ok\":%s,"
	           "\"required\":true,\"detail\":\"%s\"}]", truth, truth,
	           ready ? "it answers polls" : "no control replica that leads has answered");
	if (serve->conf.cage) {
		buf_puts(out, ",\"cage\":");
		cage_report_json(serve->conf.cage, out);
	}
	buf_putc(out, '}');
	return ready ? 200 : 503;
}

static void metric(struct buf *out, const char *name, const char *type, const char *help,
                   int64_t n)
{
	buf_printf(out, "# HELP freehold_worker_%s %s\n# TYPE freehold_worker_%s %s\n"
	           "freehold_worker_%s %" PRId64 "\n", name, help, name, type, name, n);
}

static void print_query_metrics(struct queries *queries, struct buf *out)
{
	struct queries_status status;
	queries_status(queries, &status);
	metric(out, "queries_running", "gauge", "Queries that run.", status.running);
	metric(out, "queries_most", "gauge", "Queries that can run at one time.", status.most);
	metric(out, "queries_total", "counter", "Queries that were begun.", status.started);
	metric(out, "queries_failed_total", "counter", "Queries that were refused or failed.",
	       status.failed);
	metric(out, "query_bytes_total", "counter", "Bytes of queries' results.", status.bytes);
}

static int print_metrics(struct serve *serve, struct buf *out)
{
	struct agent_status agent = { 0 };
	struct access_cache_status cache;
	int64_t tenants, bytes;
	agent_state(serve, &agent);
	access_cache_status(serve->conf.cache, &cache);
	online_status(serve->conf.online, &tenants, &bytes);
	metric(out, "slots", "gauge", "Tasks that can run at one time.", agent.slots);
	metric(out, "running", "gauge", "Tasks that run.", agent.running);
	metric(out, "unacknowledged", "gauge", "Outcomes that control has not taken yet.",
	       agent.unacknowledged);
	metric(out, "connected", "gauge", "1 when a leader answered the last poll.",
	       agent.connected);
	metric(out, "polls_total", "counter", "Polls sent to control.", agent.polls);
	metric(out, "tasks_total", "counter", "Attempts that ended.", agent.tasks);
	metric(out, "reads_fast_total", "counter", "Online requests answered on a warm grant.",
	       atomic_load(&serve->fast));
	metric(out, "reads_slow_total", "counter", "Online requests answered by a handler thread.",
	       atomic_load(&serve->slow));
	if (serve->conf.queries)
		print_query_metrics(serve->conf.queries, out);
	metric(out, "problems_total", "counter", "Requests refused or failed.",
	       atomic_load(&serve->problems));
	metric(out, "access_hits_total", "counter", "Access grants found in the cache.",
	       cache.hits);
	metric(out, "access_asked_total", "counter", "Access grants asked of control.",
	       cache.asked);
	metric(out, "access_refused_total", "counter", "Access grants refused or failed.",
	       cache.refused);
	metric(out, "access_plans", "gauge", "Access grants kept.", cache.plans);
	metric(out, "online_entities_read_total", "counter", "Entities looked up, each in one "
	       "view.", meter_total(serve->conf.meter));
	metric(out, "online_tenants", "gauge", "Online stores open.", tenants);
	metric(out, "online_bytes", "gauge", "Bytes of the online stores that are open.", bytes);
	return 200;
}

/* ---- answering ---- */

static void make_id(struct serve *serve, char id[ID_LEN + 1])
{
	uint8_t random[10];
	random_bytes(random, sizeof random);
	id_make(clock_unix_ms(serve->conf.clock), random, id);
}

static void answer_problem(struct serve *serve, struct http_request *request, const char *id,
                           const struct err *err)
{
	AUTO_BUF out;
	buf_init(&out, 64 * KIB);
	const struct log_context context = { .request = id };
	int status = problem_print(err, id, &out);
	atomic_fetch_add(&serve->problems, 1);
	if (status >= 500)
		log_warn(&context, "read_failed", "code=%s reason=\"%s\"", err_name(err->code),
		         err->text);
	http_add_header(request, "X-Request-Id", id);
	if (status == 401)
		http_add_header(request, "WWW-Authenticate", "Bearer realm=\"freehold\"");
	if (err_retryable(err->code))
		http_add_header(request, "Retry-After", "1");
	http_answer(request, status, PROBLEM_TYPE, &out);
}

struct page {
	const char *path;
	const char *content_type;
	int (*print)(struct serve *serve, struct buf *out);
};

static const struct page pages[] = {
	{ "/healthz", "application/json", print_health },
	{ "/readyz", "application/json", print_ready },
	{ "/metrics", "text/plain; version=0.0.4", print_metrics },
};

static const struct page *page_at(const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(pages); i++)
		if (strcmp(pages[i].path, path) == 0)
			return &pages[i];
	return NULL;
}

static int refuse(const struct http_request *request, struct err *err)
{
	const char *path = http_path(request);
	if (page_at(path))
		return err_set(err, E_METHOD, "%s answers GET only", path);
	if (strcmp(path, FEATURES_PATH) == 0 || strcmp(path, QUERY_PATH) == 0)
		return err_set(err, E_METHOD, "%s answers POST only", path);
	return err_set(err, E_NOT_FOUND, "this is a serving worker: it answers POST "
	               "" FEATURES_PATH " and POST " QUERY_PATH "; all else is the control "
	               "plane's");
}

static void answer_query(struct serve *serve, struct http_request *request)
{
	struct err err = { 0 };
	char id[ID_LEN + 1];
	make_id(serve, id);
	int rc = !serve->conf.queries
		? err_set(&err, E_UNAVAILABLE, "this worker answers no queries; ask another")
		: serve_query(serve->conf.queries, request, id, credential_of(request), &err);
	if (rc < 0)
		answer_problem(serve, request, id, &err);
}

static void serve_slow(void *context, struct http_request *request)
{
	struct serve *serve = context;
	struct err err = { 0 };
	if (is_query(request)) {
		answer_query(serve, request);
		return;
	}
	AUTO_BUF out;
	buf_init(&out, ANSWER_MAX);
	const struct page *page = page_at(http_path(request));
	bool get = strcmp(http_method(request), "GET") == 0;
	int rc = 0, status = 200;
	if (page && get)
		status = page->print(serve, &out);
	else if (is_read(request))
		rc = read_slow(serve, request, &out, &err);
	else
		rc = refuse(request, &err);
	if (rc == 0)
		rc = buf_check(&out, &err);
	if (rc < 0) {
		char id[ID_LEN + 1];
		make_id(serve, id);
		answer_problem(serve, request, id, &err);
		return;
	}
	if (!page)
		atomic_fetch_add(&serve->slow, 1);
	http_answer(request, status, page ? page->content_type : "application/json", &out);
}

/* ---- life ---- */

int serve_new(const struct serve_conf *conf, struct serve **ret_serve, struct err *err)
{
	AUTO(serve) *serve = calloc(1, sizeof *serve);
	if (!serve)
		return err_set(err, E_NOMEM, "no memory for the serving door");
	serve->conf = *conf;
	pthread_mutex_init(&serve->mutex, NULL);
	struct http_conf http = conf->http;
	http.serve = serve_slow;
	http.fast = serve_fast;
	http.context = serve;
	TRY(http_server_new(&http, &serve->http, err));
	*ret_serve = MOVE(serve);
	return 0;
}

struct http_server *serve_http(const struct serve *serve)
{
	return serve->http;
}

int serve_port(const struct serve *serve)
{
	return http_server_port(serve->http);
}

void serve_set_agent(struct serve *serve, struct agent *agent)
{
	pthread_mutex_lock(&serve->mutex);
	serve->agent = agent;
	pthread_mutex_unlock(&serve->mutex);
}

void serve_free(struct serve *serve)
{
	if (!serve)
		return;
	http_server_free(serve->http);
	pthread_mutex_destroy(&serve->mutex);
	free(serve);
}
