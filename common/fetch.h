/* fetch.h - HTTP client; the only door to libcurl. */
#ifndef FETCH_H
#define FETCH_H

#include "common/buf.h"

struct sockaddr;

struct fetch;   /* a pool of connections; any thread */

struct fetch_conf {
	const char *ca_file, *cert_file, *key_file;   /* PEM; NULL: the system's, none, none */
	int connect_timeout_ms;      /* 0: 2000 */
	int connections_max;         /* 0: 16; a further call waits for one until its timeout */
};
MUST_USE int fetch_new(const struct fetch_conf *conf, struct fetch **ret_fetch, struct err *err);
void fetch_free(struct fetch *fetch);
DEFINE_AUTO(fetch)

struct fetch_call {
	const char *method;          /* NULL: GET, or POST with a body */
	const char *url;             /* http:// or https:// only; no redirects, no proxy */
	const char *const *headers;  /* "Name: value", NULL-terminated; NULL: none */
	const void *body;
	size_t body_len;
	int timeout_ms;              /* 0: 5000 */
	struct buf *head;            /* a stream's: gets its status and header lines, before the
				      * first data; NULL: nobody asks */
	const char *pin;             /* "HOST:PORT:ADDRESS,ADDRESS": the host is not looked up;
				      * NULL: it is */
	/* Asked before every connection, which is then a new one; NULL: all may be made. */
	bool (*may_connect)(void *context, const struct sockaddr *address);
	void *context;               /* of may_connect */
};
/* The status (200, 404 ...) is a result, not a failure. E_UNAVAILABLE: no connection, so the
 * request was not sent. E_UNKNOWN_OUTCOME: it may have arrived. E_TOO_LARGE: over ret_body's max.
 * ret_headers may be NULL; otherwise receives the raw header lines. */
MUST_USE int fetch_call(struct fetch *fetch, const struct fetch_call *call, int *ret_status,
			struct buf *ret_body, struct buf *ret_headers, struct err *err);

/* A long answer, handed over as it comes, on a connection of its own. data returning false ends it.
 * call->timeout_ms bounds the wait for the answer to begin. idle_ms: longest silence after that,
 * then E_TIMEOUT (0: none). stop may be set by another thread (atomically) to end it within 100 ms
 * or so. The stream's end, by either side, is 0. */
typedef bool fetch_data_fn(void *context, const char *data, size_t len);
MUST_USE int fetch_stream(struct fetch *fetch, const struct fetch_call *call, fetch_data_fn *data,
			  void *context, int idle_ms, const volatile int *stop, int *ret_status,
			  struct err *err);

/* What a redirect's Location means where the URL was asked (RFC 3986, section 5). E_INVALID. */
MUST_USE int fetch_join(const char *url, const char *location, struct buf *out, struct err *err);

#endif
