/* http.h - the HTTP door (clients): a server on libmicrohttpd, with its limits.
 * A request is parsed in the server's own threads and then handed to `serve` in one of `threads`
 * handler threads, where code is linear and may block; `fast`, where given, is tried first, in the
 * server's thread: it must not block, and returns false to pass the request on. */
#ifndef HTTP_H
#define HTTP_H

#include "api/outflow.h"
#include "common/buf.h"
#include "common/cert_pem.h"
#include "common/arena.h"

struct http_server;
struct http_request;

typedef void http_serve_fn(void *context, struct http_request *request);
typedef bool http_fast_fn(void *context, struct http_request *request);

struct http_conf {
	const char *listen;          /* "127.0.0.1:7070", "[::]:443"; port 0: any free one */
	const char *cert_file, *key_file;   /* PEM; NULL: plain HTTP, refused unless on loopback */
	int poll_threads;            /* 0: 2 */
	int threads;                 /* handlers; 0: 8 */
	size_t body_max;             /* bytes; 0: 1 MiB. More: 413 */
	int connections_max;         /* 0: 2048; fewer where so many files may not be open */
	int connections_per_address_max;   /* 0: 512 */
	int queue_max;               /* requests waiting for a handler; 0: 1024. More: 503 */
	int idle_timeout_s;          /* without a byte; 0: 30 */
	int head_timeout_ms;         /* from a connection's begin or its last answer to the end of a
	                              * request's head, idle or not; 0: 60000 */
	int body_timeout_ms;         /* from there to the body's end; 0: 60000 */
	/* Ranges, separated by commas, whose X-Forwarded-For is believed; NULL: none. */
	const char *trusted_proxies;
	http_serve_fn *serve;
	http_fast_fn *fast;          /* may be NULL */
	void *context;
};
MUST_USE int http_server_new(const struct http_conf *conf, struct http_server **ret_server,
                             struct err *err);
/* The certificate for connections from now on; those that stand go on. Any thread. E_INVALID: it
 * is not good, or this server speaks plain HTTP, and what was stays. */
MUST_USE int http_server_set_tls(struct http_server *server, const struct cert_set *set,
                                 struct err *err);
int http_server_port(const struct http_server *server);
/* Stops accepting, answers what is under way, joins the threads. */
void http_server_free(struct http_server *server);
DEFINE_AUTO(http_server)

/* What was asked. All borrowed until the answer. */
const char *http_method(const struct http_request *request);
const char *http_path(const struct http_request *request);      /* percent-decoded; no NUL inside */
const char *http_query(const struct http_request *request, const char *name);   /* NULL: absent */
const char *http_header(const struct http_request *request, const char *name);  /* NULL: absent */
/* Every parameter, decoded, as often as it was sent, in any order. E_NOMEM. */
typedef void http_query_fn(void *context, const char *name, const char *value);
MUST_USE int http_queries(const struct http_request *request, http_query_fn *visit, void *context,
                          struct err *err);
const uint8_t *http_body(const struct http_request *request, size_t *ret_len);
/* The client's address, "127.0.0.1", through trusted proxies as well (proxied.h). */
const char *http_peer(const struct http_request *request);
/* The client's socket, as a descriptor of the caller's own, which polls POLLRDHUP when the client
 * has gone; -1: none is to be had. */
int http_watch(const struct http_request *request);
struct arena *http_arena(struct http_request *request);   /* for this request; 16 MiB at most */

/* The answer: headers first, then exactly one http_answer, from any thread. It takes body's bytes
 * over (body is empty afterwards) and ends the request: no use of it after that. */
void http_add_header(struct http_request *request, const char *name, const char *value);
void http_answer(struct http_request *request, int status, const char *content_type,
                 struct buf *body);

/* An answer with status 200 that goes on for as long as its writer has something to say, in place
 * of http_answer; no thread waits for it. What the client has not taken yet is kept, kept_max bytes
 * at most; beyond that, and when the server ends, it is dropped. On failure the request is still to
 * be answered. */
MUST_USE int http_answer_stream(struct http_request *request, const char *content_type,
                                size_t kept_max, struct outflow **ret_outflow, struct err *err);

#endif
