/* http_impl.h - what http.c and http_stream.c share, and nobody else. */
#ifndef HTTP_IMPL_H
#define HTTP_IMPL_H

#include "api/http.h"
#include "api/proxied.h"
#include "api/overdue.h"
#include "common/cert_pem.h"

#include <arpa/inet.h>
#include <pthread.h>

struct MHD_Connection;
struct MHD_Daemon;
struct MHD_Response;
struct crew;

enum { HTTP_HEADERS_MAX = 16 };      /* an answer's, beside the constant ones */

enum phase { PHASE_READING, PHASE_FAST, PHASE_HANDED, PHASE_ANSWERED };

struct header { const char *name, *value; };

struct http_request {
	struct http_server *server;
	struct MHD_Connection *connection;
	enum phase phase;
	const char *method, *path;
	size_t target_len;           /* path and parameters, as sent */
	struct buf body;
	size_t body_seen;            /* bytes received, dropped ones included */
	bool refused;                /* answered by this door; nobody is asked */
	struct arena *arena;
	char peer[INET6_ADDRSTRLEN];
	struct header headers[HTTP_HEADERS_MAX];
	int header_count;
	int status;
	const char *content_type;
	uint8_t *answer;             /* malloc'ed, or NULL */
	size_t answer_len;
	struct http_stream *stream;  /* instead of an answer, until the response has it */
	struct overdue_entry overdue;   /* the connection's */
};

/* An answer that goes on: what its connection takes out of an outflow. While that is parked the
 * connection is suspended, so that it cannot go away. */
struct http_stream {
	struct http_stream *next, *prev;     /* the server's; guarded by its mutex */
	struct http_server *server;
	struct MHD_Connection *connection;
	struct outflow *outflow;
	size_t block;                /* bytes at a time */
};

struct http_server {
	struct http_conf conf;       /* defaults filled in; listen and files are not kept */
	struct MHD_Daemon *daemon;
	bool https;
	struct http_pair *pair;      /* that is shown now; guarded by mutex; NULL: plain HTTP */
	struct crew *crew;
	struct overdue *overdue;
	int port;
	struct net_ranges trusted;   /* proxies */
	atomic_int active;           /* begun, not ended */
	atomic_bool draining;
	pthread_mutex_t mutex;
	pthread_cond_t changed;      /* handed or, while draining, active went down */
	int handed;                  /* guarded by mutex */
	struct http_stream *streams; /* those not gone; guarded by mutex */
	bool no_streams;             /* guarded by mutex */
	bool closed;                 /* guarded by mutex; nothing is handed over any more */
};

void http_pair_free(struct http_pair *pair);
/* What libmicrohttpd is given for MHD_OPTION_HTTPS_CERT_CALLBACK2. */
void *http_tls_chooser(void);

/* The response to a request that is answered by a stream; NULL: no memory. */
struct MHD_Response *http_stream_response(struct http_request *request);
/* In the server's threads: a request that got no response lets go of its stream. */
void http_stream_free(void *stream);
/* Drops all, and every one to come: no connection may be suspended at the server's end. */
void http_streams_end(struct http_server *server);

#endif
