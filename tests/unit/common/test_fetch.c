/* fetch: what was asked arrives once at most, bounds hold, and each failure says whether the
 * request was sent. The server is a script by path, on a socket of this machine. */
#include "common/defs.h"
#include "common/fetch.h"

#include "common/clock.h"
#include "tests/support/alloc.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 64, TEXT_MAX = 65536, BIG = 300000, PATIENCE_MS = 60000 };

struct server {
	int listener, port;
	pthread_t acceptor;
	pthread_mutex_t mutex;     /* guards what follows */
	bool stopping;
	bool let_go;               /* "/hang" ends */
	int fds[CONNECTIONS_MAX];
	pthread_t threads[CONNECTIONS_MAX];
	int count;                 /* connections accepted */
	int seen;                  /* requests read whole */
};

struct connection {
	struct server *server;
	int fd;
};

static void nap(int ms)
{
	struct timespec step = { .tv_nsec = ms * 1000000L };
	nanosleep(&step, NULL);
}

static bool stopping(struct server *server)
{
	pthread_mutex_lock(&server->mutex);
	bool stop = server->stopping;
	pthread_mutex_unlock(&server->mutex);
	return stop;
}

static bool hangs(struct server *server)
{
	pthread_mutex_lock(&server->mutex);
	bool on = !server->stopping && !server->let_go;
	pthread_mutex_unlock(&server->mutex);
	return on;
}

static void say(int fd, const char *text, size_t len)
{
	for (ssize_t n; len > 0 && (n = send(fd, text, len, MSG_NOSIGNAL)) > 0; len -= (size_t)n)
		text += n;
}

static void answer(int fd, int status, const char *extra, const char *body, size_t len)
{
	char head[256];
	int n = snprintf(head, sizeof head, "HTTP/1.1 %d X\r\n%sContent-Length: %zu\r\n\r\n",
			 status,
			 extra, len);
	say(fd, head, (size_t)n);
	say(fd, body, len);
}

static void answer_stream(struct server *server, int fd)
{
	static const char head[] = "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n";
	char text[512];
	size_t len = (size_t)snprintf(text, sizeof text, "%s", head);
	for (int i = 0; i < 20; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "5\r\nline\n\r\n");
	say(fd, text, len);        /* at once: a sender that stands still is a silent one */
	while (!stopping(server))
		nap(10);
}

/* False: close the connection. */
static bool respond(struct server *server, int fd, const char *request)
{
	char path[64] = "";
	sscanf(request, "%*s %63s", path);
	if (strcmp(path, "/ok") == 0) {
		answer(fd, 200, "X-One: 1\r\n", "hello", 5);
	} else if (strcmp(path, "/echo") == 0) {
		answer(fd, 200, "", request, strlen(request));
	} else if (strcmp(path, "/missing") == 0) {
		answer(fd, 404, "", "no", 2);
	} else if (strcmp(path, "/elsewhere") == 0) {
		answer(fd, 302, "Location: /ok\r\n", "", 0);
	} else if (strcmp(path, "/big") == 0) {
		char *big = calloc(1, BIG);
		REQUIRE(big);
		answer(fd, 200, "", big, BIG);
		free(big);
	} else if (strcmp(path, "/half") == 0) {
		say(fd, "HTTP/1.1 200 X\r\nContent-Length: 10\r\n\r\nhalf", 43);
		return false;
	} else if (strcmp(path, "/stream") == 0) {
		answer_stream(server, fd);
		return false;
	} else if (strcmp(path, "/hang") == 0) {
		while (hangs(server))
			nap(10);
		return false;
	} else {
		return false;          /* "/close" */
	}
	return true;
}

static bool read_request(int fd, char *text)
{
	size_t got = 0, need = 0;
	while (got < TEXT_MAX - 1 && (need == 0 || got < need)) {
		ssize_t n = recv(fd, text + got, TEXT_MAX - 1 - got, 0);
		if (n <= 0)
			return false;
		got += (size_t)n;
		text[got] = 0;
		const char *end = strstr(text, "\r\n\r\n");
		const char *length = strcasestr(text, "\r\nContent-Length:");
		if (end && !need)
			need = (size_t)(end + 4 - text) +
				(length ? strtoul(length + 17, NULL, 10) : 0);
	}
	return true;
}

static void *converse(void *context)
{
	struct connection connection = *(struct connection *)context;
	struct server *server = connection.server;
	char *text = malloc(TEXT_MAX);
	REQUIRE(text);
	free(context);
	bool open = true;
	while (open && read_request(connection.fd, text)) {
		pthread_mutex_lock(&server->mutex);
		server->seen++;
		pthread_mutex_unlock(&server->mutex);
		open = respond(server, connection.fd, text);
	}
	shutdown(connection.fd, SHUT_RDWR);
	free(text);
	return NULL;
}

static void *accept_all(void *context)
{
	struct server *server = context;
	for (int fd; (fd = accept(server->listener, NULL, NULL)) >= 0;) {
		struct connection *connection = malloc(sizeof *connection);
		REQUIRE(connection && server->count < CONNECTIONS_MAX);
		*connection = (struct connection){ .server = server, .fd = fd };
		pthread_mutex_lock(&server->mutex);
		server->fds[server->count] = fd;
		REQUIRE(pthread_create(&server->threads[server->count++], NULL, converse,
				       connection) == 0);
		pthread_mutex_unlock(&server->mutex);
	}
	return NULL;
}

static int bind_any(struct sockaddr_in *ret_address)
{
	socklen_t len = sizeof *ret_address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	*ret_address = (struct sockaddr_in){
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	cr_assert(bind(fd, (struct sockaddr *)ret_address, len) == 0 &&
		  getsockname(fd, (struct sockaddr *)ret_address, &len) == 0);
	return fd;
}

static void server_start(struct server *server)
{
	struct sockaddr_in address;
	*server = (struct server){ .listener = bind_any(&address) };
	pthread_mutex_init(&server->mutex, NULL);
	cr_assert_eq(listen(server->listener, 64), 0);
	server->port = ntohs(address.sin_port);
	cr_assert_eq(pthread_create(&server->acceptor, NULL, accept_all, server), 0);
}

static void server_stop(struct server *server)
{
	pthread_mutex_lock(&server->mutex);
	server->stopping = true;
	pthread_mutex_unlock(&server->mutex);
	shutdown(server->listener, SHUT_RDWR);
	pthread_join(server->acceptor, NULL);
	for (int i = 0; i < server->count; i++) {
		shutdown(server->fds[i], SHUT_RDWR);
		pthread_join(server->threads[i], NULL);
		close(server->fds[i]);
	}
	close(server->listener);
	pthread_mutex_destroy(&server->mutex);
}

static int seen(struct server *server)
{
	pthread_mutex_lock(&server->mutex);
	int count = server->seen;
	pthread_mutex_unlock(&server->mutex);
	return count;
}

static int connections(struct server *server)
{
	pthread_mutex_lock(&server->mutex);
	int count = server->count;
	pthread_mutex_unlock(&server->mutex);
	return count;
}

static struct fetch *client(int connections_max)
{
	struct err err = { 0 };
	struct fetch *fetch = NULL;
	struct fetch_conf conf = { .connections_max = connections_max };
	cr_assert_eq(fetch_new(&conf, &fetch, &err), 0, "%s", err.text);
	return fetch;
}

struct result {
	int rc, status;
	struct err err;
	struct buf body;
};

static struct result run(struct fetch *fetch, int port, const char *path, struct fetch_call call,
			 size_t body_max)
{
	struct result result = { 0 };
	char url[128];
	snprintf(url, sizeof url, "http://127.0.0.1:%d%s", port, path);
	call.url = url;
	if (!call.timeout_ms)
		call.timeout_ms = PATIENCE_MS;
	buf_init(&result.body, body_max);
	result.rc = fetch_call(fetch, &call, &result.status, &result.body, NULL, &result.err);
	cr_assert(buf_check(&result.body, NULL) == 0 || result.rc < 0);
	return result;
}

Test(fetch, brings_status_body_and_headers)
{
	struct server server;
	server_start(&server);
	AUTO(fetch) *fetch = client(0);
	struct err err = { 0 };
	AUTO_BUF body;
	AUTO_BUF headers;
	char url[64];
	int status = 0;
	buf_init(&body, KIB);
	buf_init(&headers, KIB);
	snprintf(url, sizeof url, "http://127.0.0.1:%d/ok", server.port);
	struct fetch_call call = { .url = url, .timeout_ms = PATIENCE_MS };
	cr_assert_eq(fetch_call(fetch, &call, &status, &body, &headers, &err), 0, "%s", err.text);
	cr_assert_eq(status, 200);
	cr_assert(body.len == 5 && memcmp(body.data, "hello", 5) == 0);
	cr_assert_eq(buf_check(&headers, &err), 0);
	cr_assert_not_null(strstr((char *)headers.data, "X-One: 1\r\n"));
	server_stop(&server);
}

Test(fetch, sends_method_headers_and_body_and_nothing_of_its_own)
{
	struct server server;
	server_start(&server);
	AUTO(fetch) *fetch = client(0);
	const char *headers[] = { "X-Two: 2", NULL };
	struct fetch_call call = {
		.method = "PUT", .headers = headers, .body = "abc", .body_len = 3,
	};
	struct result put = run(fetch, server.port, "/echo", call, 4 * KIB);
	const char *text = (const char *)put.body.data;
	cr_assert_eq(put.rc, 0, "%s", put.err.text);
	cr_assert_eq(strncmp(text, "PUT /echo HTTP/1.1\r\n", 20), 0, "%s", text);
	cr_assert_not_null(strstr(text, "\r\nX-Two: 2\r\n"));
	cr_assert_not_null(strstr(text, "\r\n\r\nabc"));
	cr_assert_null(strcasestr(text, "Expect:"));
	cr_assert_null(strcasestr(text, "Content-Type:"));
	struct result empty = run(fetch, server.port, "/echo",
				  (struct fetch_call){ .method = "PUT" },
				  4 * KIB);
	cr_assert_not_null(strstr((char *)empty.body.data, "\r\nContent-Length: 0\r\n"));
	struct result delete = run(fetch, server.port, "/echo",
				   (struct fetch_call){ .method = "DELETE" }, 4 * KIB);
	cr_assert_eq(strncmp((char *)delete.body.data, "DELETE /echo ", 13), 0);
	buf_release(&put.body);
	buf_release(&empty.body);
	buf_release(&delete.body);
	server_stop(&server);
}

Test(fetch, an_error_status_is_a_result_and_a_redirect_is_not_followed)
{
	struct server server;
	server_start(&server);
	AUTO(fetch) *fetch = client(0);
	struct result missing = run(fetch, server.port, "/missing", (struct fetch_call){ 0 }, KIB);
	cr_assert(missing.rc == 0 && missing.status == 404);
	struct result moved = run(fetch, server.port, "/elsewhere", (struct fetch_call){ 0 }, KIB);
	cr_assert(moved.rc == 0 && moved.status == 302);
	cr_assert_eq(seen(&server), 2);
	buf_release(&missing.body);
	buf_release(&moved.body);
	server_stop(&server);
}

Test(fetch, keeps_a_connection_for_the_next_call)
{
	struct server server;
	server_start(&server);
	AUTO(fetch) *fetch = client(0);
	for (int i = 0; i < 10; i++) {
		struct result result = run(fetch, server.port, "/ok",
					   (struct fetch_call){ 0 }, KIB);
		cr_assert_eq(result.rc, 0);
		buf_release(&result.body);
	}
	cr_assert_eq(connections(&server), 1);
	server_stop(&server);
}

Test(fetch, without_a_connection_nothing_was_sent)
{
	struct sockaddr_in address;
	int taken = bind_any(&address);      /* nobody listens, and nobody else will */
	AUTO(fetch) *fetch = client(0);
	struct result result = run(fetch, ntohs(address.sin_port), "/ok?secret",
				   (struct fetch_call){ 0 }, KIB);
	close(taken);
	cr_assert_eq(result.rc, E_UNAVAILABLE);
	cr_assert_null(strstr(result.err.text, "secret"), "%s", result.err.text);
	cr_assert_not_null(strstr(result.err.text, "127.0.0.1"), "%s", result.err.text);
	buf_release(&result.body);
}

Test(fetch, a_request_that_may_have_arrived_has_an_unknown_outcome)
{
	struct server server;
	server_start(&server);
	AUTO(fetch) *fetch = client(0);
	struct fetch_call post = { .body = "x", .body_len = 1 };
	const char *paths[] = { "/close", "/half", "/hang" };
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		post.timeout_ms = strcmp(paths[i], "/hang") == 0 ? 300 : 0;
		struct result result = run(fetch, server.port, paths[i], post, KIB);
		/* This side itself may stand still for its short time, before all else. */
		while (result.rc == E_UNAVAILABLE && post.timeout_ms && seen(&server) == 2) {
			buf_release(&result.body);
			post.timeout_ms *= 2;
			result = run(fetch, server.port, paths[i], post, KIB);
		}
		cr_assert_eq(result.rc, E_UNKNOWN_OUTCOME, "%s: %s", paths[i], result.err.text);
		buf_release(&result.body);
	}
	server_stop(&server);
}

/* libcurl repeats a request on its own when a kept connection breaks; a write must not be. */
Test(fetch, a_write_on_a_kept_connection_that_breaks_is_not_repeated_in_silence)
{
	struct server server;
	server_start(&server);
	AUTO(fetch) *fetch = client(0);
	struct fetch_call post = { .body = "x", .body_len = 1 };
	struct result first = run(fetch, server.port, "/ok", post, KIB);
	struct result second = run(fetch, server.port, "/close", post, KIB);
	cr_assert_eq(first.rc, 0);
	cr_assert_eq(second.rc, E_UNKNOWN_OUTCOME, "%s", second.err.text);
	cr_assert_eq(seen(&server), 2, "the server saw the write %d times", seen(&server) - 1);
	struct result third = run(fetch, server.port, "/ok", post, KIB);
	cr_assert_eq(third.rc, 0, "%s", third.err.text);
	buf_release(&first.body);
	buf_release(&second.body);
	buf_release(&third.body);
	server_stop(&server);
}

Test(fetch, an_answer_over_the_maximum_is_too_large)
{
	struct server server;
	server_start(&server);
	AUTO(fetch) *fetch = client(0);
	struct result over = run(fetch, server.port, "/big", (struct fetch_call){ 0 }, BIG - 1);
	cr_assert_eq(over.rc, E_TOO_LARGE);
	struct result fits = run(fetch, server.port, "/big", (struct fetch_call){ 0 }, BIG);
	cr_assert(fits.rc == 0 && fits.body.len == BIG);
	buf_release(&over.body);
	buf_release(&fits.body);
	server_stop(&server);
}

Test(fetch, other_schemes_user_names_and_broken_headers_are_refused)
{
	struct err err = { 0 };
	AUTO(fetch) *fetch = client(0);
	AUTO_BUF body;
	buf_init(&body, KIB);
	int status = 0;
	const char *urls[] = { "file:///etc/passwd", "ftp://localhost/x", "http://", "gopher://a",
		"http://user:word@127.0.0.1:1/" };
	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		struct fetch_call call = { .url = urls[i] };
		cr_assert_eq(fetch_call(fetch, &call, &status, &body, NULL, &err), E_INVALID,
			     "%s: %s", urls[i], err.text);
		cr_assert_null(strstr(err.text, "word"));
	}
	const char *headers[] = { "X: 1\r\nY: 2", NULL };
	struct fetch_call call = { .url = "http://127.0.0.1:1/", .headers = headers };
	cr_assert_eq(fetch_call(fetch, &call, &status, &body, NULL, &err), E_INVALID);
	cr_assert_eq(body.len, 0);
}

struct caller {
	struct fetch *fetch;
	int port, timeout_ms, rc;
	const char *path;
};

static void *call_once(void *context)
{
	struct caller *caller = context;
	struct result result = run(caller->fetch, caller->port, caller->path,
				   (struct fetch_call){ .timeout_ms = caller->timeout_ms }, KIB);
	caller->rc = result.rc;
	buf_release(&result.body);
	return NULL;
}

static void let_go(struct server *server)
{
	pthread_mutex_lock(&server->mutex);
	server->let_go = true;
	pthread_mutex_unlock(&server->mutex);
}

Test(fetch, a_call_beyond_the_last_connection_waits_for_one_until_its_timeout)
{
	struct server server;
	server_start(&server);
	AUTO(fetch) *fetch = client(1);
	pthread_t threads[2];
	struct caller hanging = { .fetch = fetch, .port = server.port, .path = "/hang" };
	cr_assert_eq(pthread_create(&threads[0], NULL, call_once, &hanging), 0);
	while (seen(&server) == 0)
		nap(5);
	struct caller hurried = hanging, patient = hanging;
	hurried.path = patient.path = "/ok";
	hurried.timeout_ms = 100;
	call_once(&hurried);
	cr_assert_eq(hurried.rc, E_UNAVAILABLE);
	cr_assert_eq(pthread_create(&threads[1], NULL, call_once, &patient), 0);
	nap(100);                            /* it waits already, mostly */
	let_go(&server);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	cr_assert_eq(patient.rc, 0);
	cr_assert_eq(hanging.rc, E_UNKNOWN_OUTCOME);
	server_stop(&server);
}

Test(fetch, many_threads_share_the_connections)
{
	struct server server;
	server_start(&server);
	AUTO(fetch) *fetch = client(4);
	pthread_t threads[16];
	struct caller callers[16];
	for (int i = 0; i < 16; i++) {
		callers[i] = (struct caller){ .fetch = fetch, .port = server.port, .path = "/ok" };
		cr_assert_eq(pthread_create(&threads[i], NULL, call_once, &callers[i]), 0);
	}
	for (int i = 0; i < 16; i++) {
		pthread_join(threads[i], NULL);
		cr_assert_eq(callers[i].rc, 0);
	}
	cr_assert_leq(connections(&server), 4);
	server_stop(&server);
}

/* --- streams --- */

struct heard {
	atomic_size_t bytes;
	size_t enough;
	volatile int stop;
	struct err err;
};

static bool hear(void *context, const char *data, size_t len)
{
	struct heard *heard = context;
	(void)data;
	heard->bytes += len;
	return !heard->enough || heard->bytes < heard->enough;
}

static int stream_from(struct server *server, const char *path, struct heard *heard, int start_ms,
		       int idle_ms)
{
	char url[64];
	int status = 0;
	AUTO(fetch) *fetch = client(0);
	snprintf(url, sizeof url, "http://127.0.0.1:%d%s", server->port, path);
	struct fetch_call call = { .url = url, .timeout_ms = start_ms };
	int rc = fetch_stream(fetch, &call, hear, heard, idle_ms, &heard->stop, &status,
			      &heard->err);
	cr_assert(rc < 0 || status == 200, "%d", status);
	return rc;
}

static int stream(struct server *server, const char *path, struct heard *heard, int idle_ms)
{
	return stream_from(server, path, heard, PATIENCE_MS, idle_ms);
}

Test(fetch, a_stream_ends_by_the_receiver_by_silence_and_by_the_sender)
{
	struct server server;
	server_start(&server);
	struct heard some = { .enough = 12 }, all = { 0 }, short_one = { 0 }, none = { 0 };
	cr_assert_eq(stream(&server, "/stream", &some, 0), 0);
	cr_assert_geq(some.bytes, 12);
	cr_assert_eq(stream(&server, "/stream", &all, 250), E_TIMEOUT);
	cr_assert_not_null(strstr(all.err.text, "silent for 250 ms"), "%s", all.err.text);
	cr_assert_eq(all.bytes, 100);
	cr_assert_eq(stream(&server, "/ok", &short_one, 0), 0);
	cr_assert_eq(short_one.bytes, 5);
	cr_assert_eq(stream(&server, "/half", &none, 0), E_UNKNOWN_OUTCOME);
	server_stop(&server);
}

/* This side itself may stand still for the short time, before it has asked. */
Test(fetch, a_stream_that_does_not_begin_is_given_up_after_its_timeout)
{
	struct server server;
	server_start(&server);
	struct heard none = { 0 };
	int start_ms = 300, rc;
	while ((rc = stream_from(&server, "/hang", &none, start_ms, 0)) == E_UNAVAILABLE &&
	       seen(&server) == 0)
		start_ms *= 2;
	cr_assert_eq(rc, E_UNKNOWN_OUTCOME, "%s", none.err.text);
	server_stop(&server);
}

static void *stop_when_all_is_heard(void *context)
{
	struct heard *heard = context;
	while (heard->bytes < 100)
		nap(5);
	__atomic_store_n(&heard->stop, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* Nothing more comes, and nothing else would end it. */
Test(fetch, a_silent_stream_is_stopped_by_another_thread)
{
	struct server server;
	server_start(&server);
	pthread_t thread;
	struct heard heard = { 0 };
	cr_assert_eq(pthread_create(&thread, NULL, stop_when_all_is_heard, &heard), 0);
	cr_assert_eq(stream(&server, "/stream", &heard, 0), 0);
	pthread_join(thread, NULL);
	cr_assert_eq(heard.bytes, 100);
	server_stop(&server);
}

Test(fetch, every_failed_allocation_is_an_error_and_leaks_nothing)
{
	struct server server;
	server_start(&server);
	for (long n = 0; n < 100; n++) {
		struct err err = { 0 };
		struct fetch_conf conf = { .ca_file = "a", .cert_file = "b", .key_file = "c" };
		struct fetch *fetch = NULL;
		alloc_fail_after(n);
		int rc = fetch_new(&conf, &fetch, &err);
		bool fired = alloc_fired();
		alloc_fail_after(-1);
		cr_assert_eq(rc, fired ? E_NOMEM : 0);
		fetch_free(fetch);
		if (!fired)
			break;
	}
	server_stop(&server);
}
