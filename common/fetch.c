/* fetch.c - libcurl behind one call and one stream.
 *
 * Invariants: made <= max easy handles exist; each is idle or owned by one call. A request
 * with a body is begun at most once: curl would begin it anew, in silence, after a kept connection
 * broke, and on_begin refuses that, so that "sent or not" is ours to know. */
#include "common/defs.h"
#include "common/fetch.h"

#include "common/clock.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum {
	TIMEOUT_MS = 5000, CONNECT_TIMEOUT_MS = 2000, CONNECTIONS = 16, CONNECTIONS_MAX = 1024,
	HEADERS_MAX = 64, STREAM_POLL_MS = 100,
	CA_CACHE_S = 30            /* a file of authorities that is replaced is read again soon */
};

struct fetch {
	char *ca_file, *cert_file, *key_file;   /* NULL: not set */
	int connect_timeout_ms;
	int max;
	pthread_mutex_t mutex;
	pthread_cond_t freed;      /* a handle became idle, or one less is made */
	CURL **idle;               /* by mutex; room for max */
	int idle_count;            /* by mutex */
	int made;                  /* by mutex; idle or in a call */
};

/* One request and what came of it so far. */
struct transfer {
	bool once;                 /* it must not be begun again */
	bool begun;                /* the request is on its way */
	struct buf *ret_body;      /* a call */
	struct buf *ret_headers;
	fetch_data_fn *data;       /* a stream */
	void *context;
	int64_t heard_mono_ms;     /* a stream: when it last brought something */
	bool started;              /* a stream: the answer began */
	bool ended;                /* data() asked to end */
	int failure;               /* our own reason to abort, or 0 */
	struct curl_slist *headers;
	struct curl_slist *pins;
	char reason[CURL_ERROR_SIZE];
};

static void transfer_release(struct transfer *transfer)
{
	curl_slist_free_all(transfer->headers);
	curl_slist_free_all(transfer->pins);
}

static int copy_path(const char *path, char **ret_copy, struct err *err)
{
	if (!path || !*path)
		return 0;
	*ret_copy = strdup(path);
	return *ret_copy ? 0 : err_set(err, E_NOMEM, "no memory for an HTTP client");
}

int fetch_new(const struct fetch_conf *conf, struct fetch **ret_fetch, struct err *err)
{
	int max = conf->connections_max ? conf->connections_max : CONNECTIONS;
	if (max < 0 || max > CONNECTIONS_MAX)
		return err_set(err, E_INVALID, "connections_max is %d; it may be 1 to %d", max,
			       CONNECTIONS_MAX);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(err, E_INTERNAL, "libcurl does not start");
	struct fetch *fetch = calloc(1, sizeof *fetch);
	if (!fetch) {
		curl_global_cleanup();
		return err_set(err, E_NOMEM, "no memory for an HTTP client");
	}
	pthread_mutex_init(&fetch->mutex, NULL);
	clock_cond_init(&fetch->freed);
	fetch->max = max;
	fetch->connect_timeout_ms =
		conf->connect_timeout_ms ? conf->connect_timeout_ms : CONNECT_TIMEOUT_MS;
	AUTO(fetch) *made = fetch;
	TRY(copy_path(conf->ca_file, &made->ca_file, err));
	TRY(copy_path(conf->cert_file, &made->cert_file, err));
	TRY(copy_path(conf->key_file, &made->key_file, err));
	made->idle = calloc((size_t)max, sizeof *made->idle);
	if (!made->idle)
		return err_set(err, E_NOMEM, "no memory for an HTTP client");
	*ret_fetch = MOVE(made);
	return 0;
}

void fetch_free(struct fetch *fetch)
{
	if (!fetch)
		return;
	REQUIRE(fetch->idle_count == fetch->made);
	for (int i = 0; i < fetch->idle_count; i++)
		curl_easy_cleanup(fetch->idle[i]);
	free(fetch->idle);
	free(fetch->ca_file);
	free(fetch->cert_file);
	free(fetch->key_file);
	pthread_cond_destroy(&fetch->freed);
	pthread_mutex_destroy(&fetch->mutex);
	free(fetch);
	curl_global_cleanup();
}

/* The last handle used is taken first: its connection is the likeliest to be alive. */
static int handle_take(struct fetch *fetch, int64_t deadline_mono_ms, CURL **ret_curl,
		       struct err *err)
{
	CURL *curl = NULL;
	pthread_mutex_lock(&fetch->mutex);
	bool in_time = true;
	while (in_time && fetch->idle_count == 0 && fetch->made == fetch->max)
		in_time = clock_wait(clock_system(), &fetch->freed, &fetch->mutex,
				     deadline_mono_ms);
	bool make = false;
	if (fetch->idle_count > 0)
		curl = fetch->idle[--fetch->idle_count];
	else if ((make = fetch->made < fetch->max))
		fetch->made++;
	pthread_mutex_unlock(&fetch->mutex);
	if (!curl && !make)
		return err_set(err, E_UNAVAILABLE,
			       "all %d connections stayed busy until the timeout", fetch->max);
	if (make && !(curl = curl_easy_init())) {
		pthread_mutex_lock(&fetch->mutex);
		fetch->made--;
		pthread_cond_signal(&fetch->freed);
		pthread_mutex_unlock(&fetch->mutex);
		return err_set(err, E_NOMEM, "no memory for a connection");
	}
	*ret_curl = curl;
	return 0;
}

static void handle_give(struct fetch *fetch, CURL *curl)
{
	curl_easy_reset(curl);     /* keeps the connection, forgets pointers into this call */
	pthread_mutex_lock(&fetch->mutex);
	fetch->idle[fetch->idle_count++] = curl;
	pthread_cond_signal(&fetch->freed);
	pthread_mutex_unlock(&fetch->mutex);
}

/* Called with a connection at hand, before the request goes out. */
static int on_begin(void *context, char *remote, char *local, int remote_port, int local_port)
{
	struct transfer *transfer = context;
	(void)remote;
	(void)local;
	(void)remote_port;
	(void)local_port;
	if (transfer->begun && transfer->once)
		return CURL_PREREQFUNC_ABORT;
	transfer->begun = true;
	return CURL_PREREQFUNC_OK;
}

static size_t on_data(char *data, size_t size, size_t count, void *context)
{
	struct transfer *transfer = context;
	size_t len = size * count;
	if (transfer->data) {
		transfer->heard_mono_ms = clock_mono_ms(clock_system());
		transfer->ended = !transfer->data(transfer->context, data, len);
		return transfer->ended ? CURL_WRITEFUNC_ERROR : len;
	}
	transfer->failure = buf_put(transfer->ret_body, data, len);
	return transfer->failure < 0 ? CURL_WRITEFUNC_ERROR : len;
}

static size_t on_header(char *data, size_t size, size_t count, void *context)
{
	struct transfer *transfer = context;
	size_t len = size * count;
	transfer->started = true;
	transfer->heard_mono_ms = clock_mono_ms(clock_system());
	if (!transfer->ret_headers)
		return len;
	transfer->failure = buf_put(transfer->ret_headers, data, len);
	return transfer->failure < 0 ? CURL_WRITEFUNC_ERROR : len;
}

static int header_add(struct transfer *transfer, const char *line, struct err *err)
{
	if (strpbrk(line, "\r\n"))
		return err_set(err, E_INVALID, "a request header holds a line break");
	struct curl_slist *longer = curl_slist_append(transfer->headers, line);
	if (!longer)
		return err_set(err, E_NOMEM, "no memory for request headers");
	transfer->headers = longer;
	return 0;
}

static int headers_build(struct transfer *transfer, const struct fetch_call *call,
			 struct err *err)
{
	bool typed = false;
	for (int i = 0; call->headers && call->headers[i]; i++) {
		if (i == HEADERS_MAX)
			return err_set(err, E_INVALID, "more than %d request headers", HEADERS_MAX);
		typed = typed || strncasecmp(call->headers[i], "content-type:", 13) == 0;
		TRY(header_add(transfer, call->headers[i], err));
	}
	if (!typed)
		TRY(header_add(transfer, "Content-Type:", err));   /* none, rather than curl's */
	return header_add(transfer, "Expect:", err);
}

/* curl's setopt fails only when memory does, but for an option that this libcurl lacks. */
#define SET(option, value) do { \
	if (curl_easy_setopt(curl, (option), (value)) != CURLE_OK) \
		return err_set(err, E_NOMEM, "no memory for a request (" #option ")"); \
} while (0)

static int set_method(CURL *curl, const struct fetch_call *call, struct transfer *transfer,
		      struct err *err)
{
	const char *method = call->method ? call->method : call->body ? "POST" : "GET";
	bool takes_body = call->body || strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ||
		strcmp(method, "PATCH") == 0;
	if (takes_body) {
		SET(CURLOPT_POST, 1L);
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_len);
		SET(CURLOPT_POSTFIELDS, call->body ? call->body : "");
		transfer->once = true;
	} else if (strcmp(method, "HEAD") == 0) {
		SET(CURLOPT_NOBODY, 1L);
	} else {
		SET(CURLOPT_HTTPGET, 1L);
	}
	SET(CURLOPT_CUSTOMREQUEST, method);
	return 0;
}

static int set_tls(CURL *curl, const struct fetch *fetch, struct err *err)
{
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_CA_CACHE_TIMEOUT, (long)CA_CACHE_S);
	if (fetch->ca_file)
		SET(CURLOPT_CAINFO, fetch->ca_file);
	if (fetch->cert_file)
		SET(CURLOPT_SSLCERT, fetch->cert_file);
	if (fetch->key_file)
		SET(CURLOPT_SSLKEY, fetch->key_file);
	return 0;
}

static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *to)
{
	const struct fetch_call *call = context;
	if (purpose != CURLSOCKTYPE_IPCXN || !call->may_connect(call->context, &to->addr))
		return CURL_SOCKET_BAD;
	return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

/* Where it may connect to; a connection that is kept was never asked about. */
static int set_places(CURL *curl, const struct fetch_call *call, struct transfer *transfer,
		      struct err *err)
{
	if (call->pin) {
		transfer->pins = curl_slist_append(NULL, call->pin);
		if (!transfer->pins)
			return err_set(err, E_NOMEM, "no memory for a request's address");
		SET(CURLOPT_RESOLVE, transfer->pins);
	}
	if (!call->may_connect)
		return 0;
	SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
	SET(CURLOPT_OPENSOCKETDATA, (void *)(uintptr_t)call);
	SET(CURLOPT_FRESH_CONNECT, 1L);
	SET(CURLOPT_FORBID_REUSE, 1L);
	return 0;
}

/* HTTP/1.1 only: etcd starves a watch that shares a connection, and a pool gives no less. */
static int set_common(CURL *curl, const struct fetch *fetch, const struct fetch_call *call,
		      struct transfer *transfer, struct err *err)
{
	SET(CURLOPT_ERRORBUFFER, transfer->reason);
	SET(CURLOPT_URL, call->url);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	SET(CURLOPT_PATH_AS_IS, 1L);               /* a signed path must arrive as signed */
	SET(CURLOPT_PROXY, "");                    /* not by the environment */
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_MAXCONNECTS, 4L);
	SET(CURLOPT_WRITEFUNCTION, on_data);
	SET(CURLOPT_WRITEDATA, transfer);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, transfer);
	SET(CURLOPT_PREREQFUNCTION, on_begin);
	SET(CURLOPT_PREREQDATA, transfer);
	TRY(headers_build(transfer, call, err));
	SET(CURLOPT_HTTPHEADER, transfer->headers);
	TRY(set_method(curl, call, transfer, err));
	TRY(set_places(curl, call, transfer, err));
	return set_tls(curl, fetch, err);
}

/* Scheme, host and port: what a sentence may name of an address. */
static int address_len(const char *url)
{
	const char *host = strstr(url, "://");
	size_t head = host ? (size_t)(host + 3 - url) : 0;
	return (int)(head + strcspn(url + head, "/?#"));
}

static int failure_of(CURLcode code, const struct fetch_call *call,
		      const struct transfer *transfer, struct err *err)
{
	int len = address_len(call->url);
	const char *reason = transfer->reason[0] ? transfer->reason : curl_easy_strerror(code);
	if (transfer->failure == E_TOO_LARGE)
		return err_set(err, E_TOO_LARGE, "the answer of %.*s is over %zu bytes", len,
			       call->url, transfer->ret_body ? transfer->ret_body->max : 0);
	if (transfer->failure < 0 || code == CURLE_OUT_OF_MEMORY)
		return err_set(err, E_NOMEM, "no memory for the answer of %.*s", len, call->url);
	if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL ||
	    code == CURLE_LOGIN_DENIED)
		return err_set(err, E_INVALID,
			       "the address must be http:// or https:// with a host "
			       "and no user name: %s", reason);
	if (transfer->begun)
		return err_set(err, E_UNKNOWN_OUTCOME, "no answer from %.*s: %s", len, call->url,
			       reason);
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		return err_set(err, E_UNAVAILABLE, "the certificate of %.*s is not trusted: %s",
			       len, call->url, reason);
	return err_set(err, E_UNAVAILABLE, "%.*s does not answer: %s", len, call->url, reason);
}

static int perform(struct fetch *fetch, CURL *curl, const struct fetch_call *call,
		   int64_t deadline_mono_ms, struct transfer *transfer, int *ret_status,
		   struct err *err)
{
	TRY(set_common(curl, fetch, call, transfer, err));
	int64_t left = deadline_mono_ms - clock_mono_ms(clock_system());
	if (left <= 0)
		return err_set(err, E_UNAVAILABLE, "no connection was free before the timeout");
	long connect = left < fetch->connect_timeout_ms ? (long)left : fetch->connect_timeout_ms;
	SET(CURLOPT_TIMEOUT_MS, (long)left);
	SET(CURLOPT_CONNECTTIMEOUT_MS, connect);
	CURLcode code = curl_easy_perform(curl);
	if (code != CURLE_OK)
		return failure_of(code, call, transfer, err);
	long status = 0;
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	*ret_status = (int)status;
	return 0;
}

int fetch_call(struct fetch *fetch, const struct fetch_call *call, int *ret_status,
	       struct buf *ret_body, struct buf *ret_headers, struct err *err)
{
	int timeout_ms = call->timeout_ms > 0 ? call->timeout_ms : TIMEOUT_MS;
	int64_t deadline_mono_ms = clock_mono_ms(clock_system()) + timeout_ms;
	CURL *curl = NULL;
	TRY(handle_take(fetch, deadline_mono_ms, &curl, err));
	struct transfer transfer = {
		.ret_body = ret_body, .ret_headers = ret_headers,
	};
	int rc = perform(fetch, curl, call, deadline_mono_ms, &transfer, ret_status, err);
	handle_give(fetch, curl);
	transfer_release(&transfer);
	return rc;
}

/* 1: the transfer is over and *ret_code is set; 0: not yet. */
static int stream_over(CURLM *multi, CURLcode *ret_code)
{
	int queued = 0;
	for (CURLMsg *message; (message = curl_multi_info_read(multi, &queued));) {
		if (message->msg == CURLMSG_DONE) {
			*ret_code = message->data.result;
			return 1;
		}
	}
	return 0;
}

/* Silent for too long: before the answer began by the call's timeout, after that by idle_ms. */
static int stream_silence(const struct fetch_call *call, int idle_ms,
			  const struct transfer *transfer, struct err *err)
{
	int start_ms = call->timeout_ms > 0 ? call->timeout_ms : TIMEOUT_MS;
	int64_t silent_ms = clock_mono_ms(clock_system()) - transfer->heard_mono_ms;
	if (!transfer->started)
		return silent_ms < start_ms ? 0
			: failure_of(CURLE_OPERATION_TIMEDOUT, call, transfer, err);
	if (idle_ms <= 0 || silent_ms < idle_ms)
		return 0;
	return err_set(err, E_TIMEOUT, "%.*s was silent for %d ms", address_len(call->url),
		       call->url, idle_ms);
}

/* Drives the stream until it is over (0 or a failure); stop and data() end it without one. */
static int stream_run(CURLM *multi, const struct fetch_call *call, int idle_ms,
		      const volatile int *stop, struct transfer *transfer, struct err *err)
{
	int poll_ms = idle_ms > 0 && idle_ms < STREAM_POLL_MS ? idle_ms : STREAM_POLL_MS;
	CURLcode code = CURLE_OK;
	while (!stop || !__atomic_load_n(stop, __ATOMIC_ACQUIRE)) {
		int running = 0;
		if (curl_multi_perform(multi, &running) != CURLM_OK)
			return err_set(err, E_INTERNAL, "libcurl cannot go on with a stream");
		if (transfer->ended)
			return 0;
		if (stream_over(multi, &code))
			return code == CURLE_OK ? 0 : failure_of(code, call, transfer, err);
		TRY(stream_silence(call, idle_ms, transfer, err));
		curl_multi_poll(multi, NULL, 0, poll_ms, NULL);
	}
	return 0;
}

static int stream_begin(struct fetch *fetch, CURLM *multi, CURL *curl,
			const struct fetch_call *call, struct transfer *transfer,
			struct err *err)
{
	TRY(set_common(curl, fetch, call, transfer, err));
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)fetch->connect_timeout_ms);
	if (curl_multi_add_handle(multi, curl) != CURLM_OK)
		return err_set(err, E_NOMEM, "no memory for a stream");
	return 0;
}

int fetch_stream(struct fetch *fetch, const struct fetch_call *call, fetch_data_fn *data,
		 void *context, int idle_ms, const volatile int *stop, int *ret_status,
		 struct err *err)
{
	struct transfer transfer = {
		.data = data, .context = context, .ret_headers = call->head,
		.heard_mono_ms = clock_mono_ms(clock_system()),
	};
	CURL *curl = curl_easy_init();
	CURLM *multi = curl_multi_init();
	int rc = curl && multi ? stream_begin(fetch, multi, curl, call, &transfer, err)
		: err_set(err, E_NOMEM, "no memory for a stream");
	if (rc == 0) {
		rc = stream_run(multi, call, idle_ms, stop, &transfer, err);
		long status = 0;
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
		if (rc == 0)
			*ret_status = (int)status;
		curl_multi_remove_handle(multi, curl);
	}
	curl_easy_cleanup(curl);
	curl_multi_cleanup(multi);
	transfer_release(&transfer);
	return rc;
}

int fetch_join(const char *url, const char *location, struct buf *out, struct err *err)
{
	CURLU *parts = curl_url();
	char *joined = NULL;
	int rc = 0;
	if (!parts)
		return err_set(err, E_NOMEM, "no memory for an address");
	if (curl_url_set(parts, CURLUPART_URL, url, 0) != CURLUE_OK ||
	    curl_url_set(parts, CURLUPART_URL, location, CURLU_URLENCODE) != CURLUE_OK ||
	    curl_url_get(parts, CURLUPART_URL, &joined, 0) != CURLUE_OK)
		rc = err_set(err, E_INVALID, "what an answer leads to is no address");
	else
		buf_puts(out, joined);
	curl_free(joined);
	curl_url_cleanup(parts);
	return rc < 0 ? rc : buf_check(out, err);
}
