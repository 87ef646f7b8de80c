/* http.c - the HTTP door: libmicrohttpd in epoll threads, handlers behind a bounded queue.
 *
 * Every connection owns one struct http_request, made when it opens and used by one request after
 * the other: nothing is allocated for a request but its answer. Phases: READING (the server's
 * thread) -> FAST (same thread) and, unless that answered, -> HANDED (suspended; a handler's) ->
 * ANSWERED. Invariants: a request is touched by the server's thread or by its handler, never by
 * both; handed counts the suspended, active what was begun and not ended. */
#include "common/defs.h"
#include "api/http.h"

#include "api/crew.h"
#include "api/framing.h"
#include "api/http_impl.h"
#include "api/listen.h"
#include "api/percent.h"
#include "api/problem.h"
#include "common/clock.h"
#include "common/crypto.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	KEEP_BYTES = 64 * 1024,      /* memory a connection keeps for its next request */
	DRAIN_FACTOR = 8,            /* an oversized body is read and dropped up to 8 body_max */
	DRAIN_MS = 2000,             /* given to half-read requests when the server ends */
	PEM_MAX = 256 * 1024,
	CONNECTIONS = 2048, CONNECTIONS_PER_ADDRESS = 512,
	FILES_SPARE = 256,           /* descriptors that connections leave to all else */
	TIMEOUT_MS = 60 * 1000,      /* for a head, and for a body */
	LOOKS_MAX_MS = 1000,         /* between two looks at what is overdue */
	ANSWER_MS = 60 * 1000, ANSWER_BYTES_PER_MS = 32,   /* for an answer to be taken */
	CONNECTION_MEMORY = 16 * 1024   /* libmicrohttpd clears all of it after every request */
};
#define ARENA_MAX (16 * MIB)
#define TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

/* --- what was asked --- */

int http_watch(const struct http_request *request)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	return info ? fcntl(info->connect_fd, F_DUPFD_CLOEXEC, 3) : -1;
}

const char *http_method(const struct http_request *request)
{
	return request->method;
}

const char *http_path(const struct http_request *request)
{
	return request->path;
}

const char *http_query(const struct http_request *request, const char *name)
{
	const char *value = MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND,
	                                                name);
	return value ? percent_decode(request->arena, value) : NULL;
}

struct queries {
	const struct http_request *request;
	http_query_fn *visit;
	void *context;
};

static enum MHD_Result visit_query(void *context, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
	struct queries *queries = context;
	(void)kind;
	name = percent_decode(queries->request->arena, name);
	value = percent_decode(queries->request->arena, value ? value : "");
	if (!name || !value) {
		queries->visit = NULL;
		return MHD_NO;
	}
	queries->visit(queries->context, name, value);
	return MHD_YES;
}

int http_queries(const struct http_request *request, http_query_fn *visit, void *context,
                 struct err *err)
{
	struct queries queries = { request, visit, context };
	MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, visit_query,
	                          &queries);
	return queries.visit ? 0 : err_set(err, E_NOMEM, "no memory for a request's parameters");
}

const char *http_header(const struct http_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const uint8_t *http_body(const struct http_request *request, size_t *ret_len)
{
	*ret_len = request->body.len;
	return request->body.data;
}

struct chain {
	size_t len;
	char text[PROXIED_CHAIN_MAX];
};

/* One header after the other, as one list. Of what is too long the end counts, and its first item
 * may be cut, so that is no address or one that a proxy of ours wrote before. */
static enum MHD_Result visit_forwarded(void *context, enum MHD_ValueKind kind, const char *name,
                                       const char *value)
{
	struct chain *chain = context;
	(void)kind;
	if (strcasecmp(name, "X-Forwarded-For") != 0)
		return MHD_YES;
	size_t len = value ? strlen(value) : 0, room = sizeof chain->text - 2;
	const char *from = value && len > room ? value + (len - room) : value;
	len = len > room ? room : len;
	if (chain->len + 1 + len > room)
		chain->len = 0;
	if (chain->len)
		chain->text[chain->len++] = ',';
	if (len)
		memcpy(chain->text + chain->len, from, len);
	chain->len += len;
	chain->text[chain->len] = 0;
	return MHD_YES;
}

const char *http_peer(const struct http_request *request)
{
	struct chain chain = { .len = 0 };
	char client[NETADDR_TEXT];
	if (request->server->trusted.count == 0)
		return request->peer;
	MHD_get_connection_values(request->connection, MHD_HEADER_KIND, visit_forwarded, &chain);
	if (!proxied_client(&request->server->trusted, request->peer, chain.text, client))
		return request->peer;
	const char *kept = arena_strdup(request->arena, client);
	return kept ? kept : request->peer;
}

struct arena *http_arena(struct http_request *request)
{
	return request->arena;
}

/* --- the answer --- */

void http_add_header(struct http_request *request, const char *name, const char *value)
{
	REQUIRE(request->header_count < HTTP_HEADERS_MAX);
	struct header header = {
		arena_strdup(request->arena, name), arena_strdup(request->arena, value)
	};
	/* Without memory for a header the answer goes out without it. */
	if (header.name && header.value)
		request->headers[request->header_count++] = header;
}

static void keep_answer(struct http_request *request, int status, const char *content_type,
                        struct buf *body)
{
	request->status = status;
	request->content_type = content_type;
	request->answer = body ? body->data : NULL;
	request->answer_len = body ? body->len : 0;
	if (body)
		*body = (struct buf){ .max = body->max };
}

/* The last touch of the request: it may be gone as soon as the server's thread has it back. */
static void hand_back(struct http_request *request)
{
	struct http_server *server = request->server;
	MHD_resume_connection(request->connection);
	pthread_mutex_lock(&server->mutex);
	server->handed--;
	pthread_cond_signal(&server->changed);
	pthread_mutex_unlock(&server->mutex);
}

void http_answer(struct http_request *request, int status, const char *content_type,
                 struct buf *body)
{
	enum phase phase = request->phase;
	REQUIRE(phase == PHASE_FAST || phase == PHASE_HANDED);
	keep_answer(request, status, content_type, body);
	request->phase = PHASE_ANSWERED;
	if (phase == PHASE_HANDED)
		hand_back(request);
}

/* This door's own answers: problem documents. */
static void refuse(struct http_request *request, const struct err *err)
{
	AUTO_BUF body;
	buf_init(&body, 4096);
	int status = problem_print(err, NULL, &body);
	if (status == 503)
		http_add_header(request, "Retry-After", "1");
	keep_answer(request, status, PROBLEM_TYPE, &body);
	request->refused = true;
	buf_release(&request->body);
}

static struct MHD_Response *response_new(struct http_request *request)
{
	if (request->stream)
		return http_stream_response(request);
	if (!request->answer_len)
		return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	struct MHD_Response *response = MHD_create_response_from_buffer(
		request->answer_len, request->answer, MHD_RESPMEM_MUST_FREE);
	if (response)
		request->answer = NULL;
	return response;
}

static enum MHD_Result send_answer(struct http_request *request)
{
	bool ends = !request->stream;
	int64_t bytes = (int64_t)request->answer_len;
	struct MHD_Response *response = response_new(request);
	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(response, "Cache-Control", "no-store");
	if (request->content_type)
		MHD_add_response_header(response, "Content-Type", request->content_type);
	for (int i = 0; i < request->header_count; i++)
		MHD_add_response_header(response, request->headers[i].name,
		                        request->headers[i].value);
	enum MHD_Result rc = MHD_queue_response(request->connection,
	                                        (unsigned int)request->status, response);
	MHD_destroy_response(response);
	overdue_in(&request->overdue, ends ? ANSWER_MS + bytes / ANSWER_BYTES_PER_MS : 0);
	return rc;
}

/* --- connections and requests, in the server's threads --- */

static void request_free(struct http_request *request)
{
	if (!request)
		return;
	buf_release(&request->body);
	arena_free(request->arena);
	if (request->stream)
		http_stream_free(request->stream);
	free(request->answer);
	free(request);
}

static void print_peer(struct MHD_Connection *connection, char peer[INET6_ADDRSTRLEN])
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *address = info ? info->client_addr : NULL;
	if (address && address->sa_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, peer,
		          INET6_ADDRSTRLEN);
	else if (address && address->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, peer,
		          INET6_ADDRSTRLEN);
}

static void connection_end(struct http_request *request)
{
	if (request)
		overdue_leave(request->server->overdue, &request->overdue);
	request_free(request);
}

static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode event)
{
	struct http_server *server = context;
	if (event == MHD_CONNECTION_NOTIFY_CLOSED) {
		connection_end(*socket_context);
		*socket_context = NULL;
		return;
	}
	struct http_request *request = calloc(1, sizeof *request);
	*socket_context = request;      /* NULL: the first request is not answered */
	if (!request)
		return;
	request->server = server;
	request->connection = connection;
	buf_init(&request->body, server->conf.body_max);
	print_peer(connection, request->peer);
	overdue_in(&request->overdue, server->conf.head_timeout_ms);
	overdue_enter(server->overdue, &request->overdue,
	              MHD_get_connection_info(connection,
	                                      MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd);
}

static struct http_request *request_of(struct MHD_Connection *connection)
{
	return MHD_get_connection_info(connection,
	                               MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static enum MHD_Result visit_argument(void *context, enum MHD_ValueKind kind, const char *name,
                                      const char *value)
{
	(void)kind;
	struct http_request *request = context;
	if (percent_decode(request->arena, name) &&
	    (!value || percent_decode(request->arena, value)))
		return MHD_YES;
	request->path = NULL;
	return MHD_NO;
}

static enum MHD_Result visit_header(void *context, enum MHD_ValueKind kind, const char *name,
                                    size_t name_len, const char *value, size_t value_len)
{
	(void)kind;
	framing_add(context, name, name_len, value ? value : "", value_len);
	return MHD_YES;
}

/* What leaves room for two readings ends the connection: what follows may be no request. */
static int check_framing(struct http_request *request, bool old, struct err *err)
{
	struct framing framing = { 0 };
	MHD_get_connection_values_n(request->connection, MHD_HEADER_KIND, visit_header, &framing);
	int rc = framing_check(&framing, old, err);
	if (rc < 0)
		http_add_header(request, "Connection", "close");
	return rc;
}

/* Decodes the path and looks at every parameter. */
static int check_target(struct http_request *request, const char *url, struct err *err)
{
	TRY(framing_target(url, err));
	request->path = percent_decode(request->arena, url);
	if (request->path)
		MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND,
		                          visit_argument, request);
	if (request->path)
		return 0;
	request->path = "";
	return err_set(err, E_INVALID, "the request's path and parameters must be UTF-8 in valid "
	               "percent-encoding, without NUL");
}

static int too_large(const struct http_request *request, struct err *err)
{
	return err_set(err, E_TOO_LARGE, "the body may have %zu bytes at most; send less in one "
	               "request", request->server->conf.body_max);
}

/* Whether the declared length is too large to be read to its end only to be refused. */
static bool hopeless(const struct http_request *request, uint64_t length)
{
	return http_header(request, "Expect") ||
	       length / DRAIN_FACTOR > request->server->conf.body_max;
}

/* What can be refused before the body is read. ret_now: not even worth reading it. */
static int check_head(struct http_request *request, const char *url, bool *ret_now, struct err *err)
{
	const char *declared = http_header(request, "Content-Length");
	uint64_t length = declared ? strtoull(declared, NULL, 10) : 0;
	if (length > request->server->conf.body_max) {
		*ret_now = hopeless(request, length);
		return too_large(request, err);
	}
	if (atomic_load_explicit(&request->server->draining, memory_order_relaxed)) {
		http_add_header(request, "Connection", "close");
		return err_set(err, E_UNAVAILABLE, "this server is shutting down; ask again, it or "
		               "another replica will answer");
	}
	return check_target(request, url, err);
}

static enum MHD_Result request_begin(struct http_request *request, const char *method,
                                     const char *url, const char *version)
{
	struct err err;
	/* Both point into the request line, one space apart: a NUL within would show. */
	bool sound = (uintptr_t)version - (uintptr_t)url == request->target_len + 1;
	if (!request->arena && arena_new(ARENA_MAX, &request->arena, &err) < 0)
		return MHD_NO;
	request->phase = PHASE_READING;
	request->method = method;
	overdue_in(&request->overdue, request->server->conf.body_timeout_ms);
	bool now = check_framing(request, strcmp(version, "HTTP/1.0") == 0, &err) < 0;
	int rc = now     ? err.code
	         : sound ? check_head(request, url, &now, &err)
	                 : err_set(&err, E_INVALID, "a request begins with METHOD PATH HTTP/1.1");
	if (rc == 0)
		return MHD_YES;
	refuse(request, &err);
	return now ? send_answer(request) : MHD_YES;
}

/* A body in chunks tells no length: past the bound it is dropped, and soon its connection too. */
static enum MHD_Result request_feed(struct http_request *request, const char *data, size_t len)
{
	request->body_seen += len;
	if (request->body_seen / DRAIN_FACTOR > request->server->conf.body_max)
		return MHD_NO;
	if (request->refused || buf_put(&request->body, data, len) == 0)
		return MHD_YES;
	struct err err;
	if (len <= request->body.max - request->body.len)
		err_set(&err, E_NOMEM, "no memory for the body; ask again later");
	else
		too_large(request, &err);
	refuse(request, &err);
	return MHD_YES;
}

static bool count_handed(struct http_server *server)
{
	pthread_mutex_lock(&server->mutex);
	bool open = !server->closed;
	server->handed += open;
	pthread_mutex_unlock(&server->mutex);
	return open;
}

static enum MHD_Result hand_over(struct http_request *request)
{
	struct http_server *server = request->server;
	if (!count_handed(server))
		return MHD_NO;
	request->phase = PHASE_HANDED;
	overdue_in(&request->overdue, 0);
	MHD_suspend_connection(request->connection);
	if (crew_push(server->crew, request))
		return MHD_YES;
	struct err err;
	err_set(&err, E_UNAVAILABLE, "%d requests wait already, which is the limit; ask again in a "
	        "second", server->conf.queue_max);
	refuse(request, &err);
	hand_back(request);
	return MHD_YES;
}

static enum MHD_Result request_complete(struct http_request *request)
{
	struct http_server *server = request->server;
	if (request->refused || request->phase == PHASE_ANSWERED)
		return send_answer(request);
	if (server->conf.fast) {
		request->phase = PHASE_FAST;
		if (server->conf.fast(server->conf.context, request)) {
			REQUIRE(request->phase == PHASE_ANSWERED);
			return send_answer(request);
		}
		REQUIRE(request->phase == PHASE_FAST);
	}
	return hand_over(request);
}

static void handle(void *context, void *item)
{
	struct http_server *server = context;
	server->conf.serve(server->conf.context, item);
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *url, const char *method, const char *version,
                                  const char *data, size_t *data_len, void **state)
{
	struct http_server *server = context;
	struct http_request *request = *state;
	if (!request) {
		request = request_of(connection);
		if (!request)
			return MHD_NO;
		*state = request;
		atomic_fetch_add_explicit(&server->active, 1, memory_order_relaxed);
		return request_begin(request, method, url, version);
	}
	if (*data_len) {
		size_t len = *data_len;
		*data_len = 0;
		return request_feed(request, data, len);
	}
	return request_complete(request);
}

/* Ready for the connection's next request; what grew large is given back. */
static void request_reset(struct http_request *request)
{
	if (request->body.cap > KEEP_BYTES)
		buf_release(&request->body);
	buf_clear(&request->body);
	if (request->arena && arena_used(request->arena) > KEEP_BYTES)
		arena_free(MOVE(request->arena));
	if (request->arena)
		arena_reset(request->arena);
	if (request->stream)
		http_stream_free(MOVE(request->stream));
	free(MOVE(request->answer));
	request->answer_len = 0;
	request->body_seen = 0;
	request->refused = false;
	request->header_count = 0;
	request->phase = PHASE_READING;
	overdue_in(&request->overdue, request->server->conf.head_timeout_ms);
}

/* The connection's memory is freed without being cleared. */
static void wipe_credential(struct MHD_Connection *connection)
{
	const char *sent = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
	                                               "Authorization");
	if (sent)
		secret_wipe((void *)(uintptr_t)sent, strlen(sent));
}

static void on_completed(void *context, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode why)
{
	(void)why;
	struct http_server *server = context;
	wipe_credential(connection);
	if (!*state)
		return;
	request_reset(*state);
	*state = NULL;
	atomic_fetch_sub_explicit(&server->active, 1, memory_order_seq_cst);
	if (!atomic_load(&server->draining))
		return;
	pthread_mutex_lock(&server->mutex);
	pthread_cond_signal(&server->changed);
	pthread_mutex_unlock(&server->mutex);
}

static void *on_target(void *context, const char *target, struct MHD_Connection *connection)
{
	(void)context;
	struct http_request *request = request_of(connection);
	if (request)
		request->target_len = strlen(target);
	return NULL;
}

/* Decoding is ours, so that broken escapes and NULs are seen. */
static size_t leave_escaped(void *context, struct MHD_Connection *connection, char *text)
{
	(void)context;
	(void)connection;
	return strlen(text);
}

/* Only control and worker log; what matters of this reaches the client or the caller. */
static void drop_log(void *context, const char *fmt, va_list ap)
{
	(void)context;
	(void)fmt;
	(void)ap;
}

/* --- the server --- */

static int read_pem(const char *what, const char *file, struct buf *out, struct err *err)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, errno, "cannot open the HTTPS %s %s", what, file);
	ssize_t n = -1;
	uint8_t *room = buf_room(out, PEM_MAX);
	if (room)
		n = read(fd, room, PEM_MAX);
	int failed = errno;
	close(fd);
	if (!room)
		return err_set(err, E_NOMEM, "no memory for the HTTPS %s", what);
	if (n < 0)
		return err_errno(err, failed, "cannot read the HTTPS %s %s", what, file);
	if (n == PEM_MAX)
		return err_set(err, E_TOO_LARGE, "the HTTPS %s %s has %d bytes or more; give a PEM "
		               "file", what, file, PEM_MAX);
	out->len += (size_t)n;
	return buf_check(out, err);
}

static int start_daemon(struct http_server *server, int fd, const char *cert, const char *key,
                        struct err *err)
{
	const struct http_conf *conf = &server->conf;
	unsigned int flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME |
	                     (cert ? MHD_USE_TLS : 0);
	struct MHD_OptionItem options[] = {
		{ MHD_OPTION_LISTEN_SOCKET, fd, NULL },
		{ MHD_OPTION_CONNECTION_LIMIT, conf->connections_max, NULL },
		{ MHD_OPTION_PER_IP_CONNECTION_LIMIT, conf->connections_per_address_max, NULL },
		{ MHD_OPTION_CONNECTION_TIMEOUT, conf->idle_timeout_s, NULL },
		{ MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, NULL },
		{ MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL },
		{ MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, server },
		{ MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, server },
		{ MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)on_target, NULL },
		{ MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)leave_escaped, NULL },
		{ conf->poll_threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END,
		  conf->poll_threads, NULL },
		{ MHD_OPTION_END, 0, NULL }
	};
	struct MHD_OptionItem tls[] = {
		{ cert ? MHD_OPTION_HTTPS_MEM_CERT : MHD_OPTION_END, 0, (void *)cert },
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)key },
		{ MHD_OPTION_HTTPS_CERT_CALLBACK2, 0, http_tls_chooser() },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)TLS_PRIORITIES },
		{ MHD_OPTION_END, 0, NULL }
	};
	server->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, server,
	                                  MHD_OPTION_EXTERNAL_LOGGER, drop_log, NULL,
	                                  MHD_OPTION_ARRAY, tls, MHD_OPTION_ARRAY, options,
	                                  MHD_OPTION_END);
	if (server->daemon)
		return 0;
	if (cert)
		return err_set(err, E_INVALID, "the HTTPS server does not start; are certificate "
		               "and key PEM and of one pair?");
	return err_set(err, E_IO, "the HTTP server does not start; are there enough file "
	               "descriptors for %d connections?", conf->connections_max);
}

static int start_with(struct http_server *server, int fd, const struct buf *cert,
                      const struct buf *key, struct err *err)
{
	const struct cert_set set = { NULL, (const char *)cert->data, (const char *)key->data };
	server->https = true;
	struct err why;
	int rc = http_server_set_tls(server, &set, &why);
	if (rc < 0)
		return err_set(err, rc, "the HTTPS server does not start: %s; are certificate and "
		               "key PEM and of one pair?", why.text);
	return start_daemon(server, fd, set.cert, set.key, err);
}

static int start_tls(struct http_server *server, int fd, const char *cert_file,
                     const char *key_file, struct err *err)
{
	AUTO_BUF cert, key;
	buf_init(&cert, PEM_MAX);
	buf_init(&key, PEM_MAX);
	TRY(read_pem("certificate", cert_file, &cert, err));
	int rc = read_pem("key", key_file, &key, err);
	if (rc == 0)
		rc = start_with(server, fd, &cert, &key, err);
	if (key.data)
		secret_wipe(key.data, key.cap);
	return rc;
}

/* Connections get the descriptors that this process may have, but for some. */
static int room_for(int connections)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		return connections;
	rlim_t wanted = (rlim_t)connections + FILES_SPARE;
	if (files.rlim_cur < wanted) {
		files.rlim_cur = files.rlim_max < wanted ? files.rlim_max : wanted;
		(void)!setrlimit(RLIMIT_NOFILE, &files);
	}
	if (files.rlim_cur >= wanted)
		return connections;
	return files.rlim_cur > 2 * FILES_SPARE ? (int)files.rlim_cur - FILES_SPARE
	                                        : FILES_SPARE;
}

static void fill_defaults(struct http_conf *conf)
{
	conf->poll_threads = conf->poll_threads ? conf->poll_threads : 2;
	conf->threads = conf->threads ? conf->threads : 8;
	conf->body_max = conf->body_max ? conf->body_max : MIB;
	conf->connections_max = room_for(conf->connections_max ? conf->connections_max
	                                                       : CONNECTIONS);
	conf->connections_per_address_max =
		conf->connections_per_address_max ? conf->connections_per_address_max
		                                  : CONNECTIONS_PER_ADDRESS;
	conf->head_timeout_ms = conf->head_timeout_ms ? conf->head_timeout_ms : TIMEOUT_MS;
	conf->body_timeout_ms = conf->body_timeout_ms ? conf->body_timeout_ms : TIMEOUT_MS;
	conf->queue_max = conf->queue_max ? conf->queue_max : 1024;
	conf->idle_timeout_s = conf->idle_timeout_s ? conf->idle_timeout_s : 30;
}

static int start(struct http_server *server, const struct http_conf *conf, struct err *err)
{
	int shorter = server->conf.head_timeout_ms < server->conf.body_timeout_ms
		? server->conf.head_timeout_ms : server->conf.body_timeout_ms;
	TRY(overdue_new(shorter < 2 * LOOKS_MAX_MS ? shorter / 2 + 1 : LOOKS_MAX_MS,
	                &server->overdue, err));
	TRY(crew_new(server->conf.threads, server->conf.queue_max, handle, server, &server->crew,
	             err));
	int fd = -1;
	TRY(listen_open(conf->listen, !conf->cert_file, &fd, &server->port, err));
	int rc = conf->cert_file ? start_tls(server, fd, conf->cert_file, conf->key_file, err)
	                         : start_daemon(server, fd, NULL, NULL, err);
	if (rc < 0)
		close(fd);
	return rc;
}

int http_server_new(const struct http_conf *conf, struct http_server **ret_server,
                    struct err *err)
{
	REQUIRE(conf->serve);
	if (!conf->cert_file != !conf->key_file)
		return err_set(err, E_INVALID, "HTTPS needs a certificate and its key; one of the "
		               "two is not given");
	struct http_server *made = calloc(1, sizeof *made);
	if (!made)
		return err_set(err, E_NOMEM, "no memory for an HTTP server");
	pthread_mutex_init(&made->mutex, NULL);
	clock_cond_init(&made->changed);
	AUTO(http_server) *server = made;
	server->conf = *conf;
	fill_defaults(&server->conf);
	server->conf.listen = server->conf.cert_file = server->conf.key_file = NULL;
	server->conf.trusted_proxies = NULL;
	if (!net_ranges_parse(conf->trusted_proxies, &server->trusted))
		return err_set(err, E_INVALID, "--trusted-proxies is at most %d ranges like "
		               "10.0.0.0/8, separated by commas", NET_RANGES_MAX);
	TRY(start(server, conf, err));
	*ret_server = MOVE(server);
	return 0;
}

int http_server_port(const struct http_server *server)
{
	return server->port;
}

/* Handlers are waited for as long as they take; a client that is slow to send or to read is not. */
static void drain(struct http_server *server)
{
	struct clock *clock = clock_system();
	int64_t deadline = clock_mono_ms(clock) + DRAIN_MS;
	pthread_mutex_lock(&server->mutex);
	while (atomic_load(&server->active) > 0)
		if (!clock_wait(clock, &server->changed, &server->mutex, deadline))
			break;
	server->closed = true;
	bool waited = server->handed > 0;
	while (server->handed > 0)
		pthread_cond_wait(&server->changed, &server->mutex);
	/* What those handlers answered is still to be sent. */
	deadline = clock_mono_ms(clock) + (waited ? DRAIN_MS : 0);
	while (atomic_load(&server->active) > 0)
		if (!clock_wait(clock, &server->changed, &server->mutex, deadline))
			break;
	pthread_mutex_unlock(&server->mutex);
}

void http_server_free(struct http_server *server)
{
	if (!server)
		return;
	if (server->daemon) {
		atomic_store(&server->draining, true);
		int fd = MHD_quiesce_daemon(server->daemon);
		http_streams_end(server);
		drain(server);
		MHD_stop_daemon(server->daemon);
		if (fd >= 0)
			close(fd);
	}
	crew_free(server->crew);
	overdue_free(server->overdue);
	http_pair_free(server->pair);
	pthread_cond_destroy(&server->changed);
	pthread_mutex_destroy(&server->mutex);
	free(server);
}
