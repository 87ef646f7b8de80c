/* test_http.c - the HTTP door, spoken to over plain sockets: what clients send is not always
 * sound. */
#include "common/defs.h"
#include "api/http.h"

#include "api/http_impl.h"
#include "common/clock.h"
#include "tests/support/alloc.h"
#include "tests/support/folder.h"
#include "tests/support/pems.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { BODY_MAX = 4096, PATIENCE_S = 60 };

/* What the handler is told to do, by path; gate holds /gate back until it is posted. */
struct fixture {
	struct http_server *server;
	struct err err;
	sem_t entered, gate;
	pthread_t fast_thread;       /* written by /fast */
	int served;                  /* by handler threads; atomic */
	struct http_request *held;   /* of /held; answered by the test */
	struct outflow *outflow;     /* of /stream; written by the test */
};

static struct fixture *fixture;

static void answer_text(struct http_request *request, int status, const char *text)
{
	struct buf body;
	buf_init(&body, MIB);
	buf_puts(&body, text);
	http_answer(request, status, "text/plain", &body);
	cr_expect_null(body.data);
}

static void echo(struct http_request *request)
{
	struct buf body;
	size_t len = 0;
	const uint8_t *data = http_body(request, &len);
	buf_init(&body, MIB);
	const char *query = http_query(request, "q");
	const char *header = http_header(request, "x-test");
	buf_printf(&body, "%s|%s|%s|%s|%s|%.*s", http_method(request), http_path(request),
	           query ? query : "-", header ? header : "-", http_peer(request), (int)len,
	           data ? (const char *)data : "");
	http_add_header(request, "X-Echo", "yes");
	http_answer(request, 200, "text/plain", &body);
}

static void serve(void *context, struct http_request *request)
{
	struct fixture *f = context;
	const char *path = http_path(request);
	__atomic_add_fetch(&f->served, 1, __ATOMIC_SEQ_CST);
	if (strcmp(path, "/gate") == 0) {
		sem_post(&f->entered);
		sem_wait(&f->gate);
		answer_text(request, 200, "late");
	} else if (strcmp(path, "/held") == 0) {
		f->held = request;
		sem_post(&f->entered);
	} else if (strcmp(path, "/stream") == 0) {
		struct err err = { 0 };
		int rc = http_answer_stream(request, "text/event-stream", BODY_MAX, &f->outflow,
		                            &err);
		if (rc < 0)
			answer_text(request, 503, err.text);
		sem_post(&f->entered);
	} else if (strcmp(path, "/headers") == 0) {
		for (int i = 0; i < HTTP_HEADERS_MAX; i++)
			http_add_header(request, "X-Many", "yes");
		http_answer(request, 204, NULL, NULL);
	} else if (strcmp(path, "/empty") == 0) {
		http_answer(request, 204, NULL, NULL);
	} else if (strcmp(path, "/arena") == 0) {
		answer_text(request, 200, arena_alloc(http_arena(request), MIB) ? "room" : "none");
	} else {
		echo(request);
	}
}

static bool fast(void *context, struct http_request *request)
{
	struct fixture *f = context;
	if (strcmp(http_path(request), "/fast") != 0)
		return false;
	f->fast_thread = pthread_self();
	answer_text(request, 200, "quick");
	return true;
}

static struct http_conf conf(void)
{
	return (struct http_conf){
		.listen = "127.0.0.1:0", .threads = 2, .body_max = BODY_MAX, .queue_max = 1,
		.serve = serve, .fast = fast, .context = fixture,
		.trusted_proxies = "127.0.0.0/8",
	};
}

static void begin(void)
{
	fixture = calloc(1, sizeof *fixture);
	sem_init(&fixture->entered, 0, 0);
	sem_init(&fixture->gate, 0, 0);
	struct http_conf wanted = conf();
	cr_assert_eq(http_server_new(&wanted, &fixture->server, &fixture->err), 0, "%s",
	             fixture->err.text);
}

static void end(void)
{
	http_server_free(fixture->server);
	free(fixture);
}

TestSuite(http, .init = begin, .fini = end);

static int dial(void)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)http_server_port(fixture->server)),
		.sin_addr = { htonl(INADDR_LOOPBACK) }
	};
	struct timeval patience = { .tv_sec = PATIENCE_S };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	return fd;
}

static void say_bytes(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
		if (n <= 0)
			return;
		data += n;
		len -= (size_t)n;
	}
}

static void say(int fd, const char *text)
{
	say_bytes(fd, text, strlen(text));
}

/* One answer, headers and body, up to its Content-Length; "" when the connection ends first. */
static const char *hear(int fd, char answer[8192])
{
	size_t len = 0, want = 0;
	answer[0] = 0;
	while (len < 8191 && (want == 0 || len < want)) {
		ssize_t n = recv(fd, answer + len, want ? want - len : 1, 0);
		if (n <= 0)
			break;
		len += (size_t)n;
		answer[len] = 0;
		const char *head_end = want ? NULL : strstr(answer, "\r\n\r\n");
		if (!head_end)
			continue;
		const char *declared = strcasestr(answer, "content-length: ");
		want = len + (declared ? strtoul(declared + 16, NULL, 10) : 0);
		if (want == len)
			break;
	}
	return answer;
}

static const char *ask(const char *text, char answer[8192])
{
	int fd = dial();
	say(fd, text);
	hear(fd, answer);
	close(fd);
	return answer;
}

static const char *body_of(const char *answer)
{
	const char *body = strstr(answer, "\r\n\r\n");
	return body ? body + 4 : "(none)";
}

#define END " HTTP/1.1\r\nHost: h\r\n\r\n"
#define STATUS(answer, status) \
	cr_expect(strncmp(answer, "HTTP/1.1 " status, 12) == 0, "%s", answer)

Test(http, handler_sees_method_path_query_header_peer_and_body)
{
	char answer[8192];
	ask("POST /a%20b/%C3%A9?x=1&q=%2Fy+z HTTP/1.1\r\nHost: h\r\nX-Test: t\r\n"
	    "X-Forwarded-For: 10.1.1.1\r\nx-forwarded-for: 198.51.100.8\r\n"
	    "Content-Length: 5\r\n\r\nhello", answer);
	STATUS(answer, "200");
	cr_expect_str_eq(body_of(answer), "POST|/a b/\xc3\xa9|/y z|t|198.51.100.8|hello");
	cr_expect(strstr(answer, "X-Echo: yes\r\n"));
	cr_expect(strstr(answer, "Content-Type: text/plain\r\n"));
	cr_expect(strstr(answer, "X-Content-Type-Options: nosniff\r\n"));
	cr_expect(strstr(answer, "Cache-Control: no-store\r\n"));
}

Test(http, one_connection_serves_request_after_request)
{
	char answer[8192];
	int fd = dial();
	for (int i = 0; i < 20; i++) {
		say(fd, "POST /one HTTP/1.1\r\nHost: h\r\nX-Test: t\r\n"
		    "Content-Length: 3\r\n\r\nabc");
		cr_expect_str_eq(body_of(hear(fd, answer)), "POST|/one|-|t|127.0.0.1|abc");
		say(fd, "GET /fast" END);
		cr_expect_str_eq(body_of(hear(fd, answer)), "quick");
		say(fd, "GET /two" END);
		cr_expect_str_eq(body_of(hear(fd, answer)), "GET|/two|-|-|127.0.0.1|");
	}
	close(fd);
}

Test(http, what_fast_answers_no_handler_sees)
{
	char answer[8192];
	cr_expect_str_eq(body_of(ask("GET /fast" END, answer)), "quick");
	cr_expect_eq(__atomic_load_n(&fixture->served, __ATOMIC_SEQ_CST), 0);
	ask("GET /x" END, answer);
	cr_expect_eq(__atomic_load_n(&fixture->served, __ATOMIC_SEQ_CST), 1);
}

Test(http, an_answer_has_room_for_its_headers)
{
	char answer[8192];
	int count = 0;
	for (const char *at = ask("GET /headers" END, answer); (at = strstr(at, "X-Many: yes"));)
		at++, count++;
	cr_expect_eq(count, HTTP_HEADERS_MAX);
}

Test(http, answer_may_be_empty)
{
	char answer[8192];
	STATUS(ask("GET /empty" END, answer), "204");
}

Test(http, arena_of_a_request_is_emptied_for_the_next)
{
	char answer[8192];
	int fd = dial();
	for (int i = 0; i < 40; i++) {
		say(fd, "GET /arena" END);
		cr_expect_str_eq(body_of(hear(fd, answer)), "room");
	}
	close(fd);
}

Test(http, answer_may_come_from_any_thread_after_the_handler_returned)
{
	char answer[8192];
	int fd = dial();
	say(fd, "GET /held" END);
	sem_wait(&fixture->entered);
	answer_text(fixture->held, 200, "from elsewhere");
	cr_expect_str_eq(body_of(hear(fd, answer)), "from elsewhere");
	close(fd);
}

Test(http, refuses_a_declared_body_over_the_limit_before_it_comes)
{
	char answer[8192];
	ask("PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\n", answer);
	STATUS(answer, "413");
	cr_expect(strstr(answer, "Content-Type: application/problem+json"));
	cr_expect(strstr(body_of(answer), "at most"), "%s", answer);
	cr_expect(strstr(body_of(answer), "4096 bytes"));
	ask("PUT /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4097\r\n\r\n",
	    answer);
	STATUS(answer, "413");
	cr_expect_eq(__atomic_load_n(&fixture->served, __ATOMIC_SEQ_CST), 0);
}

Test(http, refuses_a_sent_body_over_the_limit_and_the_client_can_read_it)
{
	char answer[8192];
	static char body[8 * BODY_MAX];
	memset(body, 'x', sizeof body);
	int fd = dial();
	say(fd, "PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 32768\r\n\r\n");
	say_bytes(fd, body, sizeof body);
	STATUS(hear(fd, answer), "413");
	say(fd, "GET /fast" END);
	cr_expect_str_eq(body_of(hear(fd, answer)), "quick");
	close(fd);
}

Test(http, accepts_a_body_of_just_the_limit)
{
	char answer[8192];
	static char body[BODY_MAX];
	memset(body, 'x', sizeof body);
	int fd = dial();
	say(fd, "PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 4096\r\n\r\n");
	say_bytes(fd, body, sizeof body);
	STATUS(hear(fd, answer), "200");
	close(fd);
}

Test(http, bounds_a_body_in_chunks_whose_length_nobody_declared)
{
	char answer[8192];
	static char chunk[1024];
	memset(chunk, 'x', sizeof chunk);
	int fd = dial();
	say(fd, "PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 5; i++) {
		say(fd, "400\r\n");
		say_bytes(fd, chunk, sizeof chunk);
		say(fd, "\r\n");
	}
	say(fd, "0\r\n\r\n");
	STATUS(hear(fd, answer), "413");
	close(fd);
	fd = dial();
	say(fd, "PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 4096; i++) {
		say(fd, "400\r\n");
		say_bytes(fd, chunk, sizeof chunk);
		say(fd, "\r\n");
	}
	cr_expect_str_eq(hear(fd, answer), "");
	close(fd);
	cr_expect_eq(__atomic_load_n(&fixture->served, __ATOMIC_SEQ_CST), 0);
}

Test(http, refuses_paths_and_parameters_that_are_no_text)
{
	static const char *const bad[] = {
		"GET /a%00b" END, "GET /%" END, "GET /%4" END, "GET /%zz" END, "GET /%ff" END,
		"GET /%c3%28" END, "GET /a?q=%00" END, "GET /a?q=%e2%28" END, "GET /a?%ff=1" END,
		"GET /\xff" END, "GET /%c0%af" END,
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char answer[8192];
		STATUS(ask(bad[i], answer), "400");
		cr_expect(strstr(answer, "percent-encoding"), "%s", bad[i]);
	}
	cr_expect_eq(__atomic_load_n(&fixture->served, __ATOMIC_SEQ_CST), 0);
}

Test(http, never_serves_what_is_not_http)
{
	static const char garbage[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n";
	static const char nul[] = "GET /a\0b HTTP/1.1\r\nHost: h\r\n\r\n";
	char answer[8192];
	int fd = dial();
	say_bytes(fd, garbage, sizeof garbage - 1);
	cr_expect(strncmp(hear(fd, answer), "HTTP/1.1 2", 10) != 0);
	close(fd);
	fd = dial();
	say_bytes(fd, nul, sizeof nul - 1);
	hear(fd, answer);
	cr_expect(strncmp(answer, "HTTP/1.1 2", 10) != 0, "%s", answer);
	close(fd);
	cr_expect_eq(__atomic_load_n(&fixture->served, __ATOMIC_SEQ_CST), 0);
}

/* What a proxy in front may read otherwise is refused, and nothing after it is a request. */
Test(http, a_request_that_could_be_two_is_refused_and_ends_its_connection)
{
	static const char *const bad[] = {
		"Content-Length: 0\r\nContent-Length: 40", "Content-Length: 0\r\nContent-Length: 0",
		"Content-Length: 0\r\nTransfer-Encoding: chunked",
		"Transfer-Encoding: chunked\r\nContent-Length: 0", "Transfer-Encoding: xchunked",
		"Transfer-Encoding: gzip, chunked", "Transfer-Encoding: identity",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Content-Length : 0",
		"Transfer-Encoding : chunked", "Host: other", "X\x01: a", "X: a\rb",
		"Content-Length: 0, 0", "Content-Length: +0", "Content-Length: 0x0",
		"Content-Length: -1", "Content-Length: 99999999999999999999999",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char said[512], answer[8192], more[8192];
		snprintf(said, sizeof said, "POST /first HTTP/1.1\r\nHost: h\r\n%s\r\n\r\n"
		         "0\r\n\r\nGET /second" END, bad[i]);
		int fd = dial();
		say(fd, said);
		hear(fd, answer);
		cr_expect(strncmp(answer, "HTTP/1.1 4", 10) == 0, "%s: %s", bad[i], answer);
		hear(fd, more);
		cr_expect_null(strstr(more, "HTTP/1.1 "), "%s: a second answer: %s", bad[i], more);
		close(fd);
	}
	cr_expect_eq(__atomic_load_n(&fixture->served, __ATOMIC_SEQ_CST), 0);
}

static void begin_anew(const struct http_conf *wanted)
{
	http_server_free(MOVE(fixture->server));
	cr_assert_eq(http_server_new(wanted, &fixture->server, &fixture->err), 0);
}

/* A byte now and then is never idle. */
static bool drips_until_the_end(const struct http_conf *wanted, const char *head)
{
	begin_anew(wanted);
	int fd = dial(), left = 4000;
	struct timeval soon = { .tv_usec = 10 * 1000 };
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
	say(fd, head);
	char byte;
	while (--left > 0 && recv(fd, &byte, 1, 0) < 0)
		(void)!send(fd, "a", 1, MSG_NOSIGNAL);
	close(fd);
	return left > 0;
}

Test(http, a_head_that_drips_in_is_cut_off_at_its_deadline)
{
	struct http_conf wanted = conf();
	wanted.head_timeout_ms = 200;
	cr_expect(drips_until_the_end(&wanted, "GET /"), "it goes on for ever");
	cr_expect(drips_until_the_end(&wanted, "GET /a HTTP/1.1\r\nHost: h\r\nX-A: "));
}

Test(http, a_body_that_drips_in_is_cut_off_at_its_deadline)
{
	struct http_conf wanted = conf();
	wanted.body_timeout_ms = 200;
	cr_expect(drips_until_the_end(&wanted, "POST /a HTTP/1.1\r\nHost: h\r\n"
	                              "Content-Length: 4000\r\n\r\n"), "it goes on for ever");
}

/* A connection whose request has reached its handler. On a busy machine the head itself may be
 * late and be cut off, even while it is handed on: then it is asked again. */
static int dial_held(void)
{
	for (int rc = -1;; rc = -1) {
		struct pollfd cut = { .fd = dial(), .events = POLLIN };
		say(cut.fd, "GET /held" END);
		while (rc < 0 && poll(&cut, 1, 10) == 0)
			rc = sem_trywait(&fixture->entered);
		if (rc == 0 && poll(&cut, 1, 0) == 0)
			return cut.fd;
		usleep(100 * 1000);
		if (rc == 0 || sem_trywait(&fixture->entered) == 0)
			answer_text(fixture->held, 200, "nobody hears this");
		close(cut.fd);
	}
}

/* Held ones, and those that wait for their next request within its time, are in no hurry. */
Test(http, deadlines_are_not_for_who_waits_for_an_answer)
{
	struct http_conf wanted = conf();
	char answer[8192];
	wanted.head_timeout_ms = wanted.body_timeout_ms = 100;
	begin_anew(&wanted);
	int fd = dial_held();
	usleep(400 * 1000);
	answer_text(fixture->held, 200, "patient");
	cr_expect_str_eq(body_of(hear(fd, answer)), "patient");
	close(fd);
}

Test(http, one_address_gets_its_part_of_the_connections)
{
	struct http_conf wanted = conf();
	char answer[8192];
	int fds[4];
	wanted.connections_per_address_max = 4;
	begin_anew(&wanted);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = dial();
		say(fds[i], "GET /a" END);
		STATUS(hear(fds[i], answer), "200");
	}
	cr_expect_str_eq(ask("GET /a" END, answer), "", "a fifth was served");
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
	bool again = false;
	for (int tries = 0; !again && tries < 6000; tries++, usleep(again ? 0 : 10000))
		again = strncmp(ask("GET /a" END, answer), "HTTP/1.1 200", 12) == 0;
	cr_expect(again, "their places are free again");
}

Test(http, a_full_queue_is_told_with_the_limit_and_when_to_come_back)
{
	char answer[8192];
	int fds[3];
	for (int i = 0; i < 3; i++) {
		fds[i] = dial();
		say(fds[i], "GET /gate" END);
		if (i < 2)
			sem_wait(&fixture->entered);
	}
	/* Two are handled and one waits, or will in a moment: a fourth finds the queue full. */
	int64_t deadline = clock_mono_ms(clock_system()) + PATIENCE_S * 1000;
	int tries = 0;
	do {
		int fd = dial();
		tries++;
		say(fd, "GET /gate" END);
		struct timeval short_wait = { .tv_sec = 2 };
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &short_wait, sizeof short_wait);
		hear(fd, answer);
		close(fd);
	} while (!*answer && clock_mono_ms(clock_system()) < deadline);
	STATUS(answer, "503");
	cr_expect(strstr(answer, "Retry-After: 1\r\n"));
	cr_expect(strstr(body_of(answer), "1 requests wait already, which is the limit"));
	for (int i = 0; i < 8; i++)
		sem_post(&fixture->gate);
	/* The third may have come after a fourth, which then took the one place there is. */
	for (int i = 0; i < 3; i++) {
		hear(fds[i], answer);
		cr_expect(strcmp(body_of(answer), "late") == 0 ||
		          (i == 2 && tries > 1 && strstr(body_of(answer), "which is the limit")),
		          "%s", answer);
		close(fds[i]);
	}
}

static void *free_server(void *context)
{
	http_server_free(context);
	return NULL;
}

Test(http, freeing_answers_what_is_under_way_and_nothing_after)
{
	char answer[8192];
	pthread_t freer;
	int busy = dial(), idle = dial();
	say(busy, "GET /gate" END);
	sem_wait(&fixture->entered);
	pthread_create(&freer, NULL, free_server, fixture->server);
	/* From some moment on the idle connection is told that this server ends. */
	int64_t deadline = clock_mono_ms(clock_system()) + PATIENCE_S * 1000;
	do {
		say(idle, "GET /fast" END);
		hear(idle, answer);
	} while (strstr(answer, " 200 ") && clock_mono_ms(clock_system()) < deadline);
	STATUS(answer, "503");
	cr_expect(strstr(answer, "Connection: close"));
	sem_post(&fixture->gate);
	cr_expect_str_eq(body_of(hear(busy, answer)), "late");
	pthread_join(freer, NULL);
	fixture->server = NULL;
	close(busy);
	close(idle);
}

Test(http, freeing_does_not_wait_for_a_request_that_never_ends)
{
	int fd = dial();
	say(fd, "PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
	http_server_free(MOVE(fixture->server));     /* or the suite's timeout ends it */
	close(fd);
}

Test(http, client_that_leaves_during_handling_harms_nobody)
{
	char answer[8192];
	int fd = dial();
	say(fd, "GET /gate" END);
	sem_wait(&fixture->entered);
	close(fd);
	sem_post(&fixture->gate);
	cr_expect_str_eq(body_of(ask("GET /fast" END, answer)), "quick");
}

Test(http, port_in_use_is_told_with_the_way_out)
{
	struct http_server *second = NULL;
	char listen[32];
	snprintf(listen, sizeof listen, "127.0.0.1:%d", http_server_port(fixture->server));
	struct http_conf wanted = conf();
	wanted.listen = listen;
	cr_assert_lt(http_server_new(&wanted, &second, &fixture->err), 0);
	cr_expect(strstr(fixture->err.text, "choose another address or port"), "%s",
	          fixture->err.text);
	cr_expect_null(second);
}

Test(http, plain_is_refused_off_loopback)
{
	static const char *const open_to_all[] = { "0.0.0.0:0", "[::]:0" };
	for (size_t i = 0; i < ARRAY_LEN(open_to_all); i++) {
		struct http_server *second = NULL;
		struct http_conf wanted = conf();
		wanted.listen = open_to_all[i];
		cr_assert_eq(http_server_new(&wanted, &second, &fixture->err), E_INVALID);
		cr_expect(strstr(fixture->err.text, "give a certificate and its key, or listen on "
		                 "127.0.0.1:0"), "%s", fixture->err.text);
	}
}

Test(http, addresses_that_are_none_are_refused)
{
	static const char *const bad[] = {
		"", "7070", ":7070", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
		"127.0.0.1:80x", "::1:80", "[]:80", "127.0.0.1:0080000"
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct http_server *second = NULL;
		struct http_conf wanted = conf();
		wanted.listen = bad[i];
		cr_expect_eq(http_server_new(&wanted, &second, &fixture->err), E_INVALID, "%s",
		             bad[i]);
		cr_expect(strstr(fixture->err.text, "write HOST:PORT"), "%s: %s", bad[i],
		          fixture->err.text);
	}
}

Test(http, https_needs_both_files_and_a_pair)
{
	char dir[] = "/tmp/test-http-XXXXXX";
	folder_make(dir);
	const struct pem_paths one = pems_paths(dir, "one"), two = pems_paths(dir, "two");
	struct http_server *second = NULL;
	struct http_conf wanted = conf();
	wanted.cert_file = one.cert;
	cr_expect_eq(http_server_new(&wanted, &second, &fixture->err), E_INVALID);
	wanted.key_file = two.key;
	cr_expect_eq(http_server_new(&wanted, &second, &fixture->err), E_NOT_FOUND);
	cr_expect(strstr(fixture->err.text, "one.pem"), "%s", fixture->err.text);
	pems_authority(dir, "test");
	pems_add(dir, "one", "IP:127.0.0.1");
	pems_add(dir, "two", "IP:127.0.0.1");
	cr_expect_eq(http_server_new(&wanted, &second, &fixture->err), E_INVALID);
	cr_expect(strstr(fixture->err.text, "of one pair"), "%s", fixture->err.text);
	folder_remove(dir);
}

Test(http, https_is_spoken_with_a_certificate_and_on_any_address)
{
	char dir[] = "/tmp/test-http-XXXXXX";
	char line[512];
	folder_make(dir);
	pems_authority(dir, "test");
	pems_add(dir, "one", "IP:127.0.0.1");
	const struct pem_paths files = pems_paths(dir, "one");
	struct http_server *second = NULL;
	struct http_conf wanted = conf();
	wanted.listen = "0.0.0.0:0";
	wanted.cert_file = files.cert;
	wanted.key_file = files.key;
	cr_assert_eq(http_server_new(&wanted, &second, &fixture->err), 0, "%s", fixture->err.text);
	for (int i = 0; i < 2; i++) {
		char answer[64] = "";
		snprintf(line, sizeof line, "curl -s --max-time 60 --cacert %s/ca.pem "
		         "https://127.0.0.1:%d/%s", dir, http_server_port(second),
		         i ? "fast" : "s");
		FILE *pipe = popen(line, "r");
		cr_assert_not_null(pipe);
		cr_expect_not_null(fgets(answer, sizeof answer, pipe));
		pclose(pipe);
		cr_expect_str_eq(answer, i ? "quick" : "GET|/s|-|-|127.0.0.1|");
	}
	http_server_free(second);
	folder_remove(dir);
}

Test(http, starting_without_memory_fails_and_leaves_nothing_behind)
{
	for (long n = 0; ; n++) {
		struct http_server *second = NULL;
		struct http_conf wanted = conf();
		alloc_fail_after(n);
		int rc = http_server_new(&wanted, &second, &fixture->err);
		bool fired = alloc_fired();
		alloc_fail_after(-1);
		http_server_free(second);
		if (!fired)
			break;
		cr_expect_eq(rc, E_NOMEM, "allocation %ld: %d", n, rc);
	}
}

Test(http, serving_without_memory_closes_or_answers_and_then_goes_on)
{
	char answer[8192];
	for (long n = 0; n < 12; n++) {
		alloc_fail_after(n);
		ask("POST /x%20y HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", answer);
		alloc_fail_after(-1);
		cr_expect_str_eq(body_of(ask("GET /fast" END, answer)), "quick", "after %ld: %s", n,
		                 answer);
	}
}

/* --- answers that go on --- */

static int open_stream(void)
{
	int fd = dial();
	say(fd, "GET /stream" END);
	sem_wait(&fixture->entered);
	cr_assert_not_null(fixture->outflow);
	return fd;
}

/* Reads until the text is there, or the connection ends. */
static bool hears(int fd, const char *text)
{
	char got[16384];
	for (size_t len = 0; len < sizeof got - 1;) {
		ssize_t n = recv(fd, got + len, sizeof got - 1 - len, 0);
		if (n <= 0)
			return false;
		len += (size_t)n;
		got[len] = 0;
		if (strstr(got, text))
			return true;
	}
	return false;
}

Test(http, a_stream_says_its_head_at_once_and_then_what_is_put_when_it_is_put)
{
	int fd = open_stream();
	cr_expect(hears(fd, "Content-Type: text/event-stream\r\n"));
	cr_expect(outflow_put(fixture->outflow, "first", 5));
	cr_expect(hears(fd, "first"));
	cr_expect(outflow_put(fixture->outflow, "second", 6));
	cr_expect(hears(fd, "second"));
	outflow_end(fixture->outflow);
	cr_expect(hears(fd, "0\r\n\r\n"), "its end is the body's");
	say(fd, "GET /x" END);
	cr_expect(hears(fd, "GET|/x"), "the connection serves on");
	close(fd);
}

Test(http, streams_that_wait_take_no_thread)
{
	enum { STREAMS = 100 };      /* over two handlers */
	int fds[STREAMS];
	struct outflow *outflows[STREAMS];
	char answer[8192];
	for (int i = 0; i < STREAMS; i++) {
		fds[i] = open_stream();
		outflows[i] = fixture->outflow;
	}
	STATUS(ask("GET /x" END, answer), "200");
	for (int i = 0; i < STREAMS; i++) {
		cr_expect(outflow_put(outflows[i], "news", 4));
		outflow_end(outflows[i]);
	}
	for (int i = 0; i < STREAMS; i++) {
		cr_expect(hears(fds[i], "news"));
		close(fds[i]);
	}
}

Test(http, a_stream_whose_client_left_is_noticed_by_what_is_put)
{
	int fd = open_stream();
	close(fd);
	while (outflow_put(fixture->outflow, "x", 1))
		usleep(1000);
	outflow_end(fixture->outflow);
}

Test(http, a_slow_reader_is_dropped_at_the_bound)
{
	static char block[1024];
	int fd = open_stream();
	memset(block, 'x', sizeof block);
	while (outflow_put(fixture->outflow, block, sizeof block))
		;
	outflow_end(fixture->outflow);
	cr_expect_not(hears(fd, "0\r\n\r\n"), "cut off, not ended");
	close(fd);
}

Test(http, freeing_ends_streams_that_nobody_ends)
{
	int fd = open_stream();
	cr_expect(hears(fd, "\r\n\r\n"));
	http_server_free(MOVE(fixture->server));
	cr_expect_not(hears(fd, "0\r\n\r\n"));
	cr_expect_not(outflow_put(fixture->outflow, "x", 1));
	outflow_end(fixture->outflow);
	close(fd);
}
