/* b_link.c - what the link's TLS costs: a call and its answer over "tls+tcp", beside the same over
 * nng's plain TCP. Both ends in this process. */
#include "common/defs.h"
#include "tests/bench/bench.h"

#include "api/link.h"
#include "common/cert.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { CALLERS_MAX = 64, ROUNDS = 5, CALL_MS = 10000, LARGE = 65536 };

struct ends {
	struct link_server *server;
	struct link_client *client;
};

struct job {
	struct ends sealed, plain;
	int callers;
	size_t bytes, times; /* calls of each caller */
};

struct caller {
	const struct job *job;
	struct link_client *client;
	pthread_t thread;
	int rc;
	struct err err;
};

static void echo(void *context, struct link_call *call, const uint8_t *data, size_t len)
{
	(void)context;
	link_answer(call, data, len);
}

/* The first calls of a client may find no connection yet. */
static int call_once(struct link_client *client, const void *data, size_t len, struct err *err)
{
	AUTO_BUF answer;
	buf_init(&answer, LINK_MESSAGE_MAX);
	int rc = link_client_call(client, 0, data, len, CALL_MS, &answer, err);
	for (int i = 0; rc == E_UNAVAILABLE && i < 10; i++)
		rc = link_client_call(client, 0, data, len, CALL_MS, &answer, err);
	return rc;
}

static void *call_often(void *context)
{
	struct caller *caller = context;
	void *data = calloc(1, caller->job->bytes);
	if (!data)
		caller->rc = err_set(&caller->err, E_NOMEM, "no memory for a message");
	for (size_t i = 0; caller->rc == 0 && i < caller->job->times; i++)
		caller->rc = call_once(caller->client, data, caller->job->bytes, &caller->err);
	free(data);
	return NULL;
}

/* Seconds of all callers together. */
static int run(const struct job *job, struct link_client *client, double *ret_s, struct err *err)
{
	struct caller callers[CALLERS_MAX];
	double began = now_s();
	int started = 0, rc = 0;
	for (; started < job->callers && rc == 0; started++) {
		callers[started] = (struct caller){.job = job, .client = client};
		rc = pthread_create(&callers[started].thread, NULL, call_often, &callers[started]);
	}
	started -= rc != 0;
	rc = rc ? err_errno(err, rc, "no thread to call") : 0;
	for (int i = 0; i < started; i++) {
		pthread_join(callers[i].thread, NULL);
		if (rc == 0 && callers[i].rc < 0)
			rc = err_set(err, callers[i].rc, "%s", callers[i].err.text);
	}
	*ret_s = now_s() - began;
	return rc;
}

static int sealed_s(void *context, double *ret_s, struct err *err)
{
	const struct job *job = context;
	return run(job, job->sealed.client, ret_s, err);
}

static int plain_s(void *context, double *ret_s, struct err *err)
{
	const struct job *job = context;
	return run(job, job->plain.client, ret_s, err);
}

static int open_ends(const char *scheme, const struct link_tls *server_tls,
		     const struct link_tls *client_tls, struct ends *ends, struct err *err)
{
	char url[64];
	const char *const urls[] = {url, NULL};
	snprintf(url, sizeof url, "%s://127.0.0.1:0", scheme);
	const struct link_server_conf server = {.url = url, .tls = *server_tls, .call = echo};
	TRY(link_server_new(&server, &ends->server, err));
	snprintf(url, sizeof url, "%s://127.0.0.1:%d", scheme, link_server_port(ends->server));
	const struct link_client_conf client = {.urls = urls, .tls = *client_tls};
	TRY(link_client_new(&client, &ends->client, err));
	return call_once(ends->client, "first", 5, err);
}

static void close_ends(struct ends *ends)
{
	link_client_free(ends->client);
	link_server_free(ends->server);
}

static int open_both(const struct bench *bench, struct job *job, struct err *err)
{
	char ca[512], cert[512], key[512], worker_cert[512], worker_key[512];
	const struct link_tls none = {NULL, NULL, NULL};
	const struct link_tls control = {ca, cert, key}, worker = {ca, worker_cert, worker_key};
	TRY(cert_make_ca(bench->folder, "bench", 2, err));
	TRY(cert_make(bench->folder, "control", "DNS:localhost", 2, err));
	TRY(cert_make(bench->folder, "worker", NULL, 2, err));
	snprintf(ca, sizeof ca, "%s/ca.pem", bench->folder);
	snprintf(cert, sizeof cert, "%s/control.pem", bench->folder);
	snprintf(key, sizeof key, "%s/control.key", bench->folder);
	snprintf(worker_cert, sizeof worker_cert, "%s/worker.pem", bench->folder);
	snprintf(worker_key, sizeof worker_key, "%s/worker.key", bench->folder);
	TRY(open_ends("tls+tcp", &control, &worker, &job->sealed, err));
	return open_ends("tcp", &none, &none, &job->plain, err);
}

/* Seconds in the unit of a figure. */
typedef double unit_fn(const struct job *job, double seconds);

static double us_a_call(const struct job *job, double seconds)
{
	return seconds * 1e6 / (double)job->times;
}

static double calls_a_second(const struct job *job, double seconds)
{
	return (double)job->times * job->callers / seconds;
}

static int figure(struct bench *bench, struct job *job, enum figure_id id, unit_fn *in_unit,
		  struct err *err)
{
	double sealed = 0, plain = 0;
	TRY(bench_turns(ROUNDS, sealed_s, plain_s, job, &sealed, &plain, err));
	bench_figure(bench, id, in_unit(job, sealed), in_unit(job, plain));
	return 0;
}

static int measure(struct bench *bench, struct job *job, struct err *err)
{
	TRY(open_both(bench, job, err));
	job->callers = 1;
	job->bytes = 256;
	job->times = bench_scaled(bench, 2000, 20);
	TRY(figure(bench, job, FIGURE_link_call, us_a_call, err));
	job->callers = CALLERS_MAX;
	job->times = bench_scaled(bench, 200, 2);
	TRY(figure(bench, job, FIGURE_link_rate, calls_a_second, err));
	job->callers = 8;
	job->bytes = LARGE;
	return figure(bench, job, FIGURE_link_large, calls_a_second, err);
}

int bench_link(struct bench *bench, struct err *err)
{
	struct job job = {.callers = 1};
	TRY(crypto_start(err));
	int rc = measure(bench, &job, err);
	close_ends(&job.sealed);
	close_ends(&job.plain);
	return rc;
}
