/* The link: what is asked is answered, by whoever, whenever; what may not be is refused. */
#include "common/defs.h"
#include "api/link.h"

#include "common/clock.h"
#include "tests/support/folder.h"
#include "tests/support/pems.h"
#include "tests/support/wire.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HELD_MAX = 64 };
#define SANS "DNS:localhost,IP:127.0.0.1"

/* Of the leak checker, where it is there: what this thread allocates from here on, and what hangs
 * on it, is nobody's fault. For what nng 1.5.2 loses, which no product code could free. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

static void excuse_nng(bool excused)
{
	if (__lsan_disable && __lsan_enable)
		(excused ? __lsan_disable : __lsan_enable)();
}

struct desk { /* what the server's side sees */
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct link_call *held[HELD_MAX];
	int held_count;
	bool hold;
	bool breaks;                 /* its connections, while it answers (lsan-journey.supp) */
	int answer_at;               /* all that are held, as soon as so many are; 0: none */
	size_t last_len;
};

static void on_call(void *context, struct link_call *call, const uint8_t *data, size_t len)
{
	struct desk *desk = context;
	pthread_mutex_lock(&desk->mutex);
	desk->last_len = len;
	if (desk->hold)
		desk->held[desk->held_count++] = call;
	pthread_cond_broadcast(&desk->changed);
	bool hold = desk->hold;
	int ready = desk->answer_at && desk->held_count == desk->answer_at ? desk->held_count : 0;
	pthread_mutex_unlock(&desk->mutex);
	if (desk->breaks)
		excuse_nng(true);
	if (!hold)
		link_answer(call, data, len);
	if (desk->breaks)
		excuse_nng(false);
	for (int i = 0; i < ready; i++)
		link_answer(desk->held[i], "ready", 5);
}

static void desk_init(struct desk *desk, bool hold)
{
	memset(desk, 0, sizeof *desk);
	pthread_mutex_init(&desk->mutex, NULL);
	pthread_cond_init(&desk->changed, NULL);
	desk->hold = hold;
}

static void desk_wait(struct desk *desk, int count)
{
	pthread_mutex_lock(&desk->mutex);
	while (desk->held_count < count)
		pthread_cond_wait(&desk->changed, &desk->mutex);
	pthread_mutex_unlock(&desk->mutex);
}

static struct link_server *serve(struct desk *desk, const char *url, const struct link_tls *tls)
{
	struct link_server_conf conf = {.url = url, .call = on_call, .context = desk};
	struct link_server *server = NULL;
	struct err err = {0};
	if (tls)
		conf.tls = *tls;
	cr_assert_eq(link_server_new(&conf, &server, &err), 0, "%s", err.text);
	return server;
}

static struct link_client *dial(const char *url, const struct link_tls *tls)
{
	const char *const urls[] = {url, NULL};
	struct link_client_conf conf = {.urls = urls};
	struct link_client *client = NULL;
	struct err err = {0};
	if (tls)
		conf.tls = *tls;
	cr_assert_eq(link_client_new(&conf, &client, &err), 0, "%s", err.text);
	return client;
}

static int call(struct link_client *client, const char *text, int timeout_ms, struct buf *answer,
                struct err *err)
{
	buf_init(answer, LINK_MESSAGE_MAX + 16);
	return link_client_call(client, 0, text, strlen(text), timeout_ms, answer, err);
}

/* The same, as the agent does it: a connection that takes longer than one call waits for (a
 * handshake under sanitizers, a listener that comes later) is waited for. */
static int call_at_last(struct link_client *client, const char *text, struct buf *answer,
                        struct err *err)
{
	int64_t until = clock_mono_ms(clock_system()) + 30000;
	int rc = call(client, text, 5000, answer, err);
	while (rc == E_UNAVAILABLE && clock_mono_ms(clock_system()) < until)
		rc = link_client_call(client, 0, text, strlen(text), 5000, answer, err);
	return rc;
}

static int refused(const char *url)
{
	struct desk desk;
	desk_init(&desk, false);
	struct link_server_conf conf = {.url = url, .call = on_call, .context = &desk};
	struct link_server *server = NULL;
	struct err err = {0};
	int rc = link_server_new(&conf, &server, &err);
	cr_assert_null(server);
	return rc;
}

static struct link_tls tls_of(struct pem_paths *paths, const char *dir, const char *name)
{
	*paths = pems_paths(dir, name);
	return (struct link_tls){paths->ca, paths->cert, paths->key};
}

Test(link, answers_what_is_asked_over_inproc_and_tcp)
{
	static const char *const urls[] = {"inproc://link-echo", "tcp://127.0.0.1:0"};
	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		struct desk desk;
		desk_init(&desk, false);
		struct link_server *server = serve(&desk, urls[i], NULL);
		char url[64];
		snprintf(url, sizeof url, "%s", urls[i]);
		if (i == 1) {
			cr_assert_gt(link_server_port(server), 0);
			snprintf(url, sizeof url, "tcp://127.0.0.1:%d", link_server_port(server));
		}
		struct link_client *client = dial(url, NULL);
		struct buf answer;
		struct err err = {0};
		cr_assert_eq(call_at_last(client, "hello", &answer, &err), 0, "%s", err.text);
		cr_assert_eq(answer.len, 5);
		cr_assert(memcmp(answer.data, "hello", 5) == 0);
		buf_release(&answer);
		link_client_free(client);
		link_server_free(server);
	}
}

struct asker {
	struct link_client *client;
	char text[16];
	int rc;
	bool right;
};

static void *ask(void *arg)
{
	struct asker *asker = arg;
	struct buf answer;
	asker->rc = call(asker->client, asker->text, 10000, &answer, NULL);
	asker->right = answer.len == strlen(asker->text) &&
	               memcmp(answer.data, asker->text, answer.len) == 0;
	buf_release(&answer);
	return NULL;
}

Test(link, holds_many_requests_and_answers_each_with_its_own)
{
	struct desk desk;
	desk_init(&desk, true);
	struct link_server *server = serve(&desk, "inproc://link-held", NULL);
	struct link_client *client = dial("inproc://link-held", NULL);
	enum { ASKERS = 40 };
	static struct asker askers[ASKERS];
	pthread_t threads[ASKERS];
	for (int i = 0; i < ASKERS; i++) {
		askers[i] = (struct asker){.client = client};
		snprintf(askers[i].text, sizeof askers[i].text, "call %d", i);
		pthread_create(&threads[i], NULL, ask, &askers[i]);
		desk_wait(&desk, i + 1); /* so that held[i] is of asker i */
	}
	for (int i = ASKERS - 1; i >= 0; i--)
		link_answer(desk.held[i], askers[i].text, strlen(askers[i].text));
	for (int i = 0; i < ASKERS; i++) {
		pthread_join(threads[i], NULL);
		cr_expect_eq(askers[i].rc, 0);
		cr_expect(askers[i].right);
	}
	link_client_free(client);
	link_server_free(server);
}

Test(link, a_dropped_call_times_out_and_frees_its_context)
{
	struct desk desk;
	desk_init(&desk, true);
	struct link_server_conf conf = {
		.url = "inproc://link-drop", .contexts = 1, .call = on_call, .context = &desk};
	struct link_server *server = NULL;
	cr_assert_eq(link_server_new(&conf, &server, NULL), 0);
	struct link_client *client = dial("inproc://link-drop", NULL);
	struct buf answer;
	struct asker asker = {.client = client, .text = "dropped"};
	pthread_t thread;
	pthread_create(&thread, NULL, ask, &asker);
	desk_wait(&desk, 1);
	link_drop(desk.held[0]);
	desk.hold = false;
	struct err err = {0};
	cr_expect_eq(call_at_last(client, "next", &answer, &err), 0, "%s", err.text);
	buf_release(&answer);
	link_client_interrupt(client);
	pthread_join(thread, NULL);
	cr_expect_eq(asker.rc, E_CANCELLED);
	link_client_free(client);
	link_server_free(server);
}

Test(link, a_call_that_nobody_answers_ends_at_its_timeout)
{
	struct desk desk;
	desk_init(&desk, true);
	struct link_server *server = serve(&desk, "inproc://link-late", NULL);
	struct link_client *client = dial("inproc://link-late", NULL);
	struct buf answer;
	struct err err = {0};
	cr_expect_eq(call(client, "x", 100, &answer, &err), E_TIMEOUT, "%s", err.text);
	buf_release(&answer);
	link_client_free(client);
	link_server_free(server);
}

Test(link, says_unavailable_when_nobody_listens)
{
	struct link_client *client = dial("tcp://127.0.0.1:9", NULL);
	struct buf answer;
	struct err err = {0};
	cr_expect_eq(call(client, "x", 200, &answer, &err), E_UNAVAILABLE, "%s", err.text);
	buf_release(&answer);
	link_client_free(client);
}

Test(link, says_unavailable_at_once_when_the_server_dies)
{
	struct desk desk;
	desk_init(&desk, true);
	struct link_server *server = serve(&desk, "tcp://127.0.0.1:0", NULL);
	char url[64];
	snprintf(url, sizeof url, "tcp://127.0.0.1:%d", link_server_port(server));
	struct link_client *client = dial(url, NULL);
	struct asker asker = {.client = client, .text = "held"};
	pthread_t thread;
	pthread_create(&thread, NULL, ask, &asker);
	desk_wait(&desk, 1);
	link_server_free(server);
	int64_t start = clock_mono_ms(clock_system());
	pthread_join(thread, NULL);
	cr_expect_eq(asker.rc, E_UNAVAILABLE);
	cr_expect_lt(clock_mono_ms(clock_system()) - start, 2000);
	link_client_free(client);
}

Test(link, freeing_a_client_ends_its_calls)
{
	struct desk desk;
	desk_init(&desk, true);
	struct link_server *server = serve(&desk, "inproc://link-end", NULL);
	struct link_client *client = dial("inproc://link-end", NULL);
	struct asker asker = {.client = client, .text = "held"};
	pthread_t thread;
	pthread_create(&thread, NULL, ask, &asker);
	desk_wait(&desk, 1);
	link_client_free(client);
	pthread_join(thread, NULL);
	cr_expect_eq(asker.rc, E_CANCELLED);
	link_server_free(server);
}

/* All are received before the first is answered: nobody sends while the server ends. */
Test(link, a_server_that_ends_while_it_answers_loses_no_answer_of_its_memory)
{
	enum { ROUNDS = 24, ASKERS = 24 };
	for (int round = 0; round < ROUNDS; round++) {
		struct desk desk;
		struct asker askers[ASKERS];
		pthread_t threads[ASKERS];
		desk_init(&desk, true);
		desk.answer_at = ASKERS;
		struct link_server *server = serve(&desk, "inproc://link-crowd", NULL);
		struct link_client *client = dial("inproc://link-crowd", NULL);
		for (int i = 0; i < ASKERS; i++) {
			askers[i] = (struct asker){.client = client, .text = "ready"};
			cr_assert_eq(pthread_create(&threads[i], NULL, ask, &askers[i]), 0);
		}
		desk_wait(&desk, ASKERS);
		link_server_free(server);
		for (int i = 0; i < ASKERS; i++) {
			pthread_join(threads[i], NULL);
			int rc = askers[i].rc;
			bool answered = rc == 0 && askers[i].right;
			cr_expect(answered || rc == E_UNAVAILABLE, "%s", err_name(rc));
		}
		link_client_free(client);
	}
}

Test(link, refuses_a_message_over_the_limit)
{
	struct desk desk;
	desk_init(&desk, false);
	struct link_server *server = serve(&desk, "inproc://link-large", NULL);
	struct link_client *client = dial("inproc://link-large", NULL);
	struct buf answer;
	struct err err = {0};
	char *large = calloc(1, LINK_MESSAGE_MAX + 1);
	buf_init(&answer, 2 * LINK_MESSAGE_MAX);
	cr_expect_eq(link_client_call(client, 0, large, LINK_MESSAGE_MAX + 1, 1000, &answer, &err),
	             E_TOO_LARGE);
	cr_expect_eq(link_client_call(client, 0, large, LINK_MESSAGE_MAX, 5000, &answer, &err), 0,
	             "%s", err.text);
	cr_expect_eq(answer.len, LINK_MESSAGE_MAX);
	buf_release(&answer);
	free(large);
	link_client_free(client);
	link_server_free(server);
}

Test(link, refuses_cleartext_beyond_loopback_and_other_schemes)
{
	cr_expect_eq(refused("tcp://0.0.0.0:0"), E_INVALID);
	cr_expect_eq(refused("tcp://10.0.0.1:1"), E_INVALID);
	cr_expect_eq(refused("tcp://127.0.0.1.example.org:1"), E_INVALID);
	cr_expect_eq(refused("tcp://0.0.0.0:0"), E_INVALID);
	cr_expect_eq(refused("tcp://[::]:0"), E_INVALID);
	cr_expect_eq(refused("tcp://*:0"), E_INVALID);
	cr_expect_eq(refused("ipc:///tmp/x"), E_INVALID);
	cr_expect_eq(refused("nonsense"), E_INVALID);
	cr_expect_eq(refused("tls+tcp://127.0.0.1:0"), E_INVALID);
}

Test(link, speaks_tls_with_certificates_on_both_sides)
{
	char dir[] = "/tmp/link-tls-XXXXXX";
	struct pem_paths server_paths, client_paths;
	pems_both_sides(dir, SANS);
	struct desk desk;
	desk_init(&desk, false);
	struct link_tls server_tls = tls_of(&server_paths, dir, "control");
	struct link_tls client_tls = tls_of(&client_paths, dir, "worker");
	struct link_server *server = serve(&desk, "tls+tcp://127.0.0.1:0", &server_tls);
	char url[64];
	cr_assert_gt(link_server_port(server), 0);
	snprintf(url, sizeof url, "tls+tcp://127.0.0.1:%d", link_server_port(server));
	struct link_client *client = dial(url, &client_tls);
	struct buf answer;
	struct err err = {0};
	cr_expect_eq(call_at_last(client, "sealed", &answer, &err), 0, "%s", err.text);
	cr_expect_eq(answer.len, 6);
	buf_release(&answer);
	link_client_free(client);
	link_server_free(server);
	folder_remove(dir);
}

/* Neither is it answered, nor does anything of it reach the server's side. */
static void expect_unheard(const struct desk *desk, const char *url, const struct link_tls *tls,
                           const char *text)
{
	/* A plain connection is cut off by nng_close, or by the server within the request: no
	 * tunnel stops it before. */
	if (!tls)
		excuse_nng(true);
	struct link_client *client = dial(url, tls);
	struct buf answer;
	struct err err = {0};
	cr_expect_lt(call(client, text, 1500, &answer, &err), 0);
	if (!tls)
		excuse_nng(false);
	cr_expect_eq(desk->last_len, 0);
	buf_release(&answer);
	link_client_free(client);
}

Test(link, a_client_with_a_strangers_certificate_is_not_heard)
{
	char dir[] = "/tmp/link-tls-XXXXXX", other[] = "/tmp/link-tls-XXXXXX";
	struct pem_paths server_paths, client_paths;
	pems_both_sides(dir, SANS);
	pems_both_sides(other, SANS);
	struct desk desk;
	desk_init(&desk, false);
	struct link_tls server_tls = tls_of(&server_paths, dir, "control");
	struct link_tls client_tls = tls_of(&client_paths, other, "worker");
	/* It trusts the right CA, so that only the server can refuse. */
	snprintf(client_paths.ca, sizeof client_paths.ca, "%s/ca.pem", dir);
	struct link_server *server = serve(&desk, "tls+tcp://127.0.0.1:0", &server_tls);
	char url[64];
	snprintf(url, sizeof url, "tls+tcp://127.0.0.1:%d", link_server_port(server));
	expect_unheard(&desk, url, &client_tls, "let me in");
	link_server_free(server);
	folder_remove(dir);
	folder_remove(other);
}

Test(link, a_server_of_another_authority_is_not_believed)
{
	char dir[] = "/tmp/link-tls-XXXXXX", other[] = "/tmp/link-tls-XXXXXX";
	struct pem_paths server_paths, client_paths;
	pems_both_sides(dir, SANS);
	pems_both_sides(other, SANS);
	struct desk desk;
	desk_init(&desk, false);
	struct link_tls server_tls = tls_of(&server_paths, dir, "control");
	struct link_tls client_tls = tls_of(&client_paths, dir, "worker");
	snprintf(client_paths.ca, sizeof client_paths.ca, "%s/ca.pem", other);
	struct link_server *server = serve(&desk, "tls+tcp://127.0.0.1:0", &server_tls);
	char url[64];
	snprintf(url, sizeof url, "tls+tcp://127.0.0.1:%d", link_server_port(server));
	expect_unheard(&desk, url, &client_tls, "who are you");
	link_server_free(server);
	folder_remove(dir);
	folder_remove(other);
}

static void read_text(const char *path, char out[8192])
{
	FILE *file = fopen(path, "r");
	cr_assert_not_null(file);
	out[fread(out, 1, 8191, file)] = 0;
	fclose(file);
}

/* Both authorities are trusted while they are exchanged. */
static void read_set(const struct pem_paths *paths, const char *other_ca, char texts[3][8192],
                     struct cert_set *set)
{
	read_text(paths->ca, texts[0]);
	read_text(other_ca, texts[0] + strlen(texts[0]));
	read_text(paths->cert, texts[1]);
	read_text(paths->key, texts[2]);
	*set = (struct cert_set){texts[0], texts[1], texts[2]};
}

Test(link, certificates_and_authorities_are_exchanged_and_nothing_is_lost)
{
	char dir[] = "/tmp/link-tls-XXXXXX", other[] = "/tmp/link-tls-XXXXXX", url[64];
	static char texts[2][3][8192];
	struct pem_paths server_paths, client_paths, server_next, client_next;
	pems_both_sides(dir, SANS);
	pems_both_sides(other, SANS);
	struct desk desk;
	desk_init(&desk, false);
	struct link_tls server_tls = tls_of(&server_paths, dir, "control");
	struct link_tls client_tls = tls_of(&client_paths, dir, "worker");
	tls_of(&server_next, other, "control");
	tls_of(&client_next, other, "worker");
	struct link_server *server = serve(&desk, "tls+tcp://127.0.0.1:0", &server_tls);
	snprintf(url, sizeof url, "tls+tcp://127.0.0.1:%d", link_server_port(server));
	struct link_client *client = dial(url, &client_tls);
	struct cert_set server_set, client_set;
	struct buf answer;
	struct err err = {0};
	cr_assert_eq(call_at_last(client, "before", &answer, &err), 0, "%s", err.text);
	buf_release(&answer);
	/* What is not good changes nothing. */
	read_set(&server_next, server_paths.ca, texts[0], &server_set);
	read_set(&client_next, client_paths.ca, texts[1], &client_set);
	struct cert_set bad = {server_set.ca, server_set.cert, "no key"};
	cr_expect_lt(link_server_set_tls(server, &bad, &err), 0);
	cr_assert_eq(link_server_set_tls(server, &server_set, &err), 0, "%s", err.text);
	/* The connection that stands goes on; it is not made anew. */
	cr_assert_eq(call(client, "during", 5000, &answer, &err), 0, "%s", err.text);
	buf_release(&answer);
	/* One of the new authority alone comes in now; the old client, when it connects again. */
	client_tls = tls_of(&client_paths, other, "worker");
	struct link_client *newcomer = dial(url, &client_tls);
	cr_assert_eq(call_at_last(newcomer, "new", &answer, &err), 0, "%s", err.text);
	buf_release(&answer);
	link_client_free(newcomer);
	cr_assert_eq(link_client_set_tls(client, &client_set, &err), 0, "%s", err.text);
	link_server_free(server);
	struct link_tls next_tls = tls_of(&server_next, other, "control");
	server = serve(&desk, url, &next_tls);
	cr_assert_eq(call_at_last(client, "after", &answer, &err), 0, "%s", err.text);
	buf_release(&answer);
	link_client_free(client);
	link_server_free(server);
	folder_remove(dir);
	folder_remove(other);
}

/* The port of this process at which somebody listens, other than that. */
static int other_port(int known)
{
	for (int fd = 3; fd < 256; fd++) {
		struct sockaddr_in at = {0};
		int listens = 0;
		socklen_t len = sizeof at, listens_len = sizeof listens;
		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &listens_len) == 0 &&
		    listens && getsockname(fd, (struct sockaddr *)&at, &len) == 0 &&
		    ntohs(at.sin_port) != known)
			return ntohs(at.sin_port);
	}
	return 0;
}

Test(link, who_comes_to_nng_itself_past_the_certificates_is_not_heard)
{
	char dir[] = "/tmp/link-tls-XXXXXX", url[64];
	struct pem_paths paths;
	pems_both_sides(dir, SANS);
	struct desk desk;
	desk_init(&desk, false);
	struct link_tls tls = tls_of(&paths, dir, "control");
	struct link_server *server = serve(&desk, "tls+tcp://127.0.0.1:0", &tls);
	int port = other_port(link_server_port(server));
	cr_assert_gt(port, 0);
	snprintf(url, sizeof url, "tcp://127.0.0.1:%d", port);
	expect_unheard(&desk, url, NULL, "no certificate");
	link_server_free(server);
	folder_remove(dir);
}

/* --- connections that break --- */

enum { BREAKS = 30, HAMMERS = 3 };

struct hammer {
	struct link_client *client;
	const char *text;
	pthread_t threads[HAMMERS];
	atomic_bool ending;
	atomic_int answers;
};

static void *hammer(void *arg)
{
	struct hammer *hammer = arg;
	while (!atomic_load(&hammer->ending)) {
		struct buf answer;
		struct err err;
		/* A request that is sent when its connection ends: tests/lsan-journey.supp. */
		excuse_nng(true);
		int rc = call(hammer->client, hammer->text, 10000, &answer, &err);
		excuse_nng(false);
		buf_release(&answer);
		if (rc == 0)
			atomic_fetch_add(&hammer->answers, 1);
		else
			usleep(5000);
	}
	return NULL;
}

static void hammer_start(struct hammer *hammering)
{
	for (size_t i = 0; i < HAMMERS; i++)
		cr_assert_eq(pthread_create(&hammering->threads[i], NULL, hammer, hammering), 0);
}

static void hammer_end(struct hammer *hammering)
{
	atomic_store(&hammering->ending, true);
	for (size_t i = 0; i < HAMMERS; i++)
		pthread_join(hammering->threads[i], NULL);
	link_client_free(hammering->client);
}

static bool is_answered_anew(struct hammer *hammer)
{
	struct clock *clock = clock_system();
	int before = atomic_load(&hammer->answers);
	for (int64_t until = clock_mono_ms(clock) + 30000; clock_mono_ms(clock) < until;) {
		if (atomic_load(&hammer->answers) > before + 20)
			return true;
		usleep(1000);
	}
	return false;
}

/* With TLS of nng 1.5.2 a client is lost for ever once in some such ends (api/tunnel.h). */
Test(link, a_client_comes_back_however_often_its_connection_breaks_in_the_middle)
{
	char dir[] = "/tmp/link-tls-XXXXXX", url[64];
	struct pem_paths server_paths, client_paths;
	pems_both_sides(dir, SANS);
	struct desk desk;
	desk_init(&desk, false);
	desk.breaks = true;
	struct link_tls server_tls = tls_of(&server_paths, dir, "control");
	struct link_tls client_tls = tls_of(&client_paths, dir, "worker");
	excuse_nng(true);            /* some connections that are cut as they come, it keeps */
	struct link_server *server = serve(&desk, "tls+tcp://127.0.0.1:0", &server_tls);
	excuse_nng(false);
	struct wire *wire = wire_open(link_server_port(server));
	snprintf(url, sizeof url, "tls+tcp://127.0.0.1:%d", wire_port(wire));
	const char *const urls[] = {url, NULL};
	struct link_client_conf conf = {.urls = urls, .tls = client_tls, .reconnect_max_ms = 100};
	struct hammer hammering = {.text = "again"};
	struct err err = {0};
	cr_assert_eq(link_client_new(&conf, &hammering.client, &err), 0, "%s", err.text);
	hammer_start(&hammering);
	for (int i = 0; i < BREAKS; i++) {
		cr_assert(is_answered_anew(&hammering), "lost after %d breaks", i);
		wire_cut(wire, true, true);
		usleep(10000);               /* something is under way that is lost */
		wire_mend(wire);
	}
	hammer_end(&hammering);
	link_server_free(server);
	wire_close(wire);
	folder_remove(dir);
}

/* nng_close alone waits for ever, once in some ends, for a connection that it closes between a
 * message's head and its body (api/tunnel.h). */
Test(link, a_server_ends_in_the_middle_of_whatever_is_said)
{
	enum { ENDS = 12, LEN = 64 * 1024 };
	char dir[] = "/tmp/link-tls-XXXXXX", url[64], *text = calloc(LEN + 1, 1);
	struct pem_paths server_paths, client_paths;
	pems_both_sides(dir, SANS);
	struct link_tls server_tls = tls_of(&server_paths, dir, "control");
	struct link_tls client_tls = tls_of(&client_paths, dir, "worker");
	memset(text, 'x', LEN);
	for (int i = 0; i < ENDS; i++) {
		struct desk desk;
		desk_init(&desk, false);
		desk.breaks = true;
		struct link_server *server = serve(&desk, "tls+tcp://127.0.0.1:0", &server_tls);
		snprintf(url, sizeof url, "tls+tcp://127.0.0.1:%d", link_server_port(server));
		struct hammer hammering = {.text = text, .client = dial(url, &client_tls)};
		hammer_start(&hammering);
		cr_assert(is_answered_anew(&hammering), "nothing is answered before end %d", i);
		link_server_free(server);
		hammer_end(&hammering);
	}
	free(text);
	folder_remove(dir);
}
