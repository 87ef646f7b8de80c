/* link_client.c - the link over nng, a worker's side. Invariants: no aio is freed before it is
 * stopped; a call is in client->exchanges exactly while its aio may be cancelled by others. */
#include "common/defs.h"
#include "api/link_impl.h"

#include "common/clock.h"

#include <nng/protocol/reqrep0/req.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	REPLICAS_MAX = 8,
	RESEND_MS = 70000,           /* longer than any hold: a held poll is not asked twice */
	CONNECT_WAIT_MS = 1000, RECONNECT_MIN_MS = 50, RECONNECT_MAX_MS = 2000
};

struct replica {
	struct link_client *client;
	nng_socket socket;
	struct tunnel *tunnel;       /* NULL: no TLS */
	int pipes;                   /* connections that stand; guarded by client->mutex */
};

/* One call under way, on its caller's stack. */
struct exchange {
	struct exchange *next;
	struct replica *replica;
	nng_aio *aio;
	/* why it was cancelled: E_CANCELLED, E_UNAVAILABLE; 0: it was not */
	int ended;
};

struct link_client {
	pthread_mutex_t mutex;
	pthread_cond_t changed;      /* a connection came, or an exchange ended */
	struct replica replicas[REPLICAS_MAX];
	int count;
	int calls;                   /* under way, with or without an exchange; guarded by mutex */
	bool closing;
	struct exchange *exchanges;
};

static void end_exchanges(struct link_client *client, const struct replica *replica, int code)
{
	for (struct exchange *e = client->exchanges; e; e = e->next) {
		if (replica && e->replica != replica)
			continue;
		if (!e->ended)
			e->ended = code;
		nng_aio_cancel(e->aio);
	}
}

static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
	(void)pipe;
	struct replica *replica = arg;
	struct link_client *client = replica->client;
	pthread_mutex_lock(&client->mutex);
	replica->pipes += event == NNG_PIPE_EV_ADD_POST ? 1 : -1;
	if (replica->pipes == 0)
		end_exchanges(client, replica, E_UNAVAILABLE);
	pthread_cond_broadcast(&client->changed);
	pthread_mutex_unlock(&client->mutex);
}

int link_client_set_tls(struct link_client *client, const struct cert_set *set, struct err *err)
{
	struct cert_tls *tls = NULL;
	TRY(cert_tls_new(set, false, &tls, err));
	for (int i = 0; i < client->count; i++)
		if (client->replicas[i].tunnel)
			tunnel_set_tls(client->replicas[i].tunnel, tls);
	cert_tls_free(tls);
	return 0;
}

/* nng calls the tunnel, and the tunnel the replica. */
static int dig(struct replica *replica, const struct link_url *url, const struct link_tls *files,
               struct err *err)
{
	char name[LINK_NAME_MAX];
	struct cert_tls *tls = NULL;
	TRY(link_tls_name(url->host, name, err));
	TRY(link_tls_read(files, false, &tls, err));
	const struct tunnel_conf conf = { .host = url->host, .port = url->port, .name = name };
	int rc = tunnel_new(&conf, tls, &replica->tunnel, err);
	cert_tls_free(tls);
	return rc;
}

static int set_options(nng_socket socket, const struct link_client_conf *conf)
{
	int min = conf->reconnect_min_ms ? conf->reconnect_min_ms : RECONNECT_MIN_MS;
	int max = conf->reconnect_max_ms ? conf->reconnect_max_ms : RECONNECT_MAX_MS;
	int rv = nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ, LINK_MESSAGE_MAX);
	if (rv == 0)
		rv = nng_socket_set_ms(socket, NNG_OPT_REQ_RESENDTIME, RESEND_MS);
	if (rv == 0)
		rv = nng_socket_set_ms(socket, NNG_OPT_RECONNMINT, min);
	return rv ? rv : nng_socket_set_ms(socket, NNG_OPT_RECONNMAXT, max);
}

static int watch_connections(struct replica *replica, struct err *err)
{
	int rv = nng_pipe_notify(replica->socket, NNG_PIPE_EV_ADD_POST, on_pipe, replica);
	if (rv == 0)
		rv = nng_pipe_notify(replica->socket, NNG_PIPE_EV_REM_POST, on_pipe, replica);
	return link_failed(rv, "connections", err);
}

static int replica_start(struct replica *replica, const char *url_text,
                         const struct link_client_conf *conf, struct err *err)
{
	struct link_url url;
	char plain[64];
	TRY(link_url_read(url_text, &conf->tls, &url, err));
	TRY(link_failed(nng_req0_open(&replica->socket), url_text, err));
	TRY(link_failed(set_options(replica->socket, conf), url_text, err));
	TRY(watch_connections(replica, err));
	if (url.tls)
		TRY(dig(replica, &url, &conf->tls, err));
	if (url.tls)
		snprintf(plain, sizeof plain, "tcp://127.0.0.1:%d", tunnel_port(replica->tunnel));
	return link_failed(nng_dial(replica->socket, url.tls ? plain : url_text, NULL,
	                            NNG_FLAG_NONBLOCK), url_text, err);
}

static int client_alloc(struct link_client **ret_client, struct err *err)
{
	struct link_client *client = calloc(1, sizeof *client);
	if (!client)
		return err_set(err, E_NOMEM, "link: no memory for the client");
	pthread_mutex_init(&client->mutex, NULL);
	clock_cond_init(&client->changed);
	*ret_client = client;
	return 0;
}

int link_client_new(const struct link_client_conf *conf, struct link_client **ret_client,
                    struct err *err)
{
	AUTO(link_client) *client = NULL;
	TRY(client_alloc(&client, err));
	for (int i = 0; conf->urls[i]; i++) {
		if (i == REPLICAS_MAX)
			return err_set(err, E_INVALID, "link: at most %d replicas can be named",
			               REPLICAS_MAX);
		client->replicas[i].client = client;
		client->count++;
		TRY(replica_start(&client->replicas[i], conf->urls[i], conf, err));
	}
	if (client->count == 0)
		return err_set(err, E_INVALID, "link: no URL of a control replica is given");
	*ret_client = MOVE(client);
	return 0;
}

void link_client_free(struct link_client *client)
{
	if (!client)
		return;
	pthread_mutex_lock(&client->mutex);
	client->closing = true;
	end_exchanges(client, NULL, E_CANCELLED);
	pthread_cond_broadcast(&client->changed);
	while (client->calls > 0)
		pthread_cond_wait(&client->changed, &client->mutex);
	pthread_mutex_unlock(&client->mutex);
	for (int i = 0; i < client->count; i++)
		tunnel_stop(client->replicas[i].tunnel);
	for (int i = 0; i < client->count; i++)
		if (nng_socket_id(client->replicas[i].socket) > 0)
			nng_close(client->replicas[i].socket);
	for (int i = 0; i < client->count; i++)
		tunnel_free(client->replicas[i].tunnel);
	pthread_cond_destroy(&client->changed);
	pthread_mutex_destroy(&client->mutex);
	free(client);
}

void link_client_interrupt(struct link_client *client)
{
	pthread_mutex_lock(&client->mutex);
	end_exchanges(client, NULL, E_CANCELLED);
	pthread_mutex_unlock(&client->mutex);
}

int link_client_count(const struct link_client *client)
{
	return client->count;
}

static int not_connected(const struct replica *replica, struct err *err)
{
	char why[TUNNEL_WHY_LEN] = "";
	if (replica->tunnel)
		tunnel_why(replica->tunnel, why);
	return err_set(err, E_UNAVAILABLE, "link: no connection to control replica %d%s%s",
	               (int)(replica - replica->client->replicas), why[0] ? ": " : "", why);
}

/* Enlists the exchange once there is a connection. Waits for one, but not for long: another
 * replica may be there. */
static int exchange_begin(struct link_client *client, struct exchange *exchange, int timeout_ms,
                          struct err *err)
{
	struct clock *clock = clock_system();
	int64_t until_ms = clock_mono_ms(clock) +
		(timeout_ms < CONNECT_WAIT_MS ? timeout_ms : CONNECT_WAIT_MS);
	int rc = 0;
	pthread_mutex_lock(&client->mutex);
	while (!client->closing && exchange->replica->pipes == 0 &&
	       clock_wait(clock, &client->changed, &client->mutex, until_ms))
		;
	if (client->closing)
		rc = err_set(err, E_CANCELLED, "link: this side is closing");
	else if (exchange->replica->pipes == 0)
		rc = not_connected(exchange->replica, err);
	if (rc == 0) {
		exchange->next = client->exchanges;
		client->exchanges = exchange;
	}
	pthread_mutex_unlock(&client->mutex);
	return rc;
}

static void exchange_end(struct link_client *client, struct exchange *exchange)
{
	pthread_mutex_lock(&client->mutex);
	struct exchange **at = &client->exchanges;
	while (*at != exchange)
		at = &(*at)->next;
	*at = exchange->next;
	pthread_cond_broadcast(&client->changed);
	pthread_mutex_unlock(&client->mutex);
}

/* Waits for what was just begun; a cancellation that came before it was begun counts. */
static int exchange_wait(struct link_client *client, struct exchange *exchange, const char *what,
                         struct err *err)
{
	pthread_mutex_lock(&client->mutex);
	if (exchange->ended)
		nng_aio_cancel(exchange->aio);
	pthread_mutex_unlock(&client->mutex);
	nng_aio_wait(exchange->aio);
	int rv = nng_aio_result(exchange->aio);
	if (rv == 0)
		return 0;
	pthread_mutex_lock(&client->mutex);
	int ended = exchange->ended;
	pthread_mutex_unlock(&client->mutex);
	if (link_is_over(rv) && ended == E_UNAVAILABLE)
		return err_set(err, E_UNAVAILABLE, "link: the connection to the control replica "
		               "was lost");
	return link_failed(rv, what, err);
}

/* Sent is nng's; what it gives back is freed. */
static int exchange_send(struct link_client *client, struct exchange *exchange, nng_ctx ctx,
                         const void *data, size_t len, struct err *err)
{
	nng_msg *msg = NULL;
	TRY(link_message(data, len, &msg, err));
	nng_aio_set_msg(exchange->aio, msg);
	nng_ctx_send(ctx, exchange->aio);
	int rc = exchange_wait(client, exchange, "send", err);
	if (rc < 0)
		nng_msg_free(msg);
	return rc;
}

static int exchange_run(struct link_client *client, struct exchange *exchange, nng_ctx ctx,
                        const void *data, size_t len, struct buf *ret_answer, struct err *err)
{
	TRY(exchange_send(client, exchange, ctx, data, len, err));
	nng_ctx_recv(ctx, exchange->aio);
	TRY(exchange_wait(client, exchange, "answer", err));
	nng_msg *answer = nng_aio_get_msg(exchange->aio);
	buf_put(ret_answer, nng_msg_body(answer), nng_msg_len(answer));
	nng_msg_free(answer);
	return buf_check(ret_answer, err);
}

static int exchange_in_context(struct link_client *client, struct exchange *exchange,
                               const void *data, size_t len, int timeout_ms,
                               struct buf *ret_answer, struct err *err)
{
	nng_ctx ctx;
	TRY(link_failed(nng_ctx_open(&ctx, exchange->replica->socket), "context", err));
	int rc = exchange_begin(client, exchange, timeout_ms, err);
	if (rc == 0) {
		nng_aio_set_timeout(exchange->aio, timeout_ms);
		rc = exchange_run(client, exchange, ctx, data, len, ret_answer, err);
		exchange_end(client, exchange);
	}
	nng_ctx_close(ctx);
	return rc;
}

static int call_begin(struct link_client *client, struct err *err)
{
	int rc = 0;
	pthread_mutex_lock(&client->mutex);
	if (client->closing)
		rc = err_set(err, E_CANCELLED, "link: this side is closing");
	else
		client->calls++;
	pthread_mutex_unlock(&client->mutex);
	return rc;
}

static void call_end(struct link_client *client)
{
	pthread_mutex_lock(&client->mutex);
	client->calls--;
	pthread_cond_broadcast(&client->changed);
	pthread_mutex_unlock(&client->mutex);
}

int link_client_call(struct link_client *client, int replica, const void *data, size_t len,
                     int timeout_ms, struct buf *ret_answer, struct err *err)
{
	REQUIRE(replica >= 0 && replica < client->count && timeout_ms > 0);
	if (len > LINK_MESSAGE_MAX)
		return err_set(err, E_TOO_LARGE, "link: a message of %zu bytes, at most %d are "
		               "allowed", len, LINK_MESSAGE_MAX);
	struct exchange exchange = { .replica = &client->replicas[replica] };
	TRY(call_begin(client, err));
	int rc = link_failed(nng_aio_alloc(&exchange.aio, NULL, NULL), "message", err);
	if (rc == 0) {
		rc = exchange_in_context(client, &exchange, data, len, timeout_ms, ret_answer, err);
		nng_aio_free(exchange.aio);
	}
	call_end(client);
	return rc;
}
