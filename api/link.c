/* link.c - the link over nng, control's side. Invariants: a held call belongs to its receiver until
 * link_answer or link_drop, and only then waits for the next request; no aio is freed before all
 * are stopped. */
#include "common/defs.h"
#include "api/link_impl.h"

#include <arpa/inet.h>
#include <nng/protocol/reqrep0/rep.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { CONTEXTS_DEFAULT = 256, CONTEXTS_MAX = 8192, CONTEXTS_SPARE = 32 };

struct link_call {
	struct link_server *server;
	nng_ctx ctx;
	nng_aio *receive, *send;
	nng_pipe pipe;               /* that the request which is held came over */
};

struct link_server {
	nng_socket socket;
	nng_listener listener;
	link_call_fn *call;
	link_gone_fn *gone;
	void *context;
	int step;                    /* contexts that are made at one time */
	atomic_int spare;            /* that wait for a request */
	pthread_mutex_t mutex;       /* guards what follows */
	struct tunnel *tunnel;       /* NULL: no TLS */
	struct link_call **calls;    /* CONTEXTS_MAX places */
	int count;
	bool closing;
};

/* Receiving forgets the request that is there. */
static void receive(struct link_call *call)
{
	atomic_fetch_add(&call->server->spare, 1);
	nng_ctx_recv(call->ctx, call->receive);
}

static void add_contexts(struct link_server *server);

static void on_received(void *arg)
{
	struct link_call *call = arg;
	int rv = nng_aio_result(call->receive);
	if (link_is_over(rv))
		return;
	if (rv != 0) {
		nng_ctx_recv(call->ctx, call->receive);
		return;
	}
	if (atomic_fetch_sub(&call->server->spare, 1) <= CONTEXTS_SPARE)
		add_contexts(call->server);
	nng_msg *msg = nng_aio_get_msg(call->receive);
	call->pipe = nng_msg_get_pipe(msg);
	if (nng_msg_len(msg) > LINK_MESSAGE_MAX)
		link_drop(call);
	else    /* after this the call may be answered already: it is not touched again */
		call->server->call(call->server->context, call, nng_msg_body(msg),
		                   nng_msg_len(msg));
	nng_msg_free(msg);
}

static void on_sent(void *arg)
{
	struct link_call *call = arg;
	int rv = nng_aio_result(call->send);
	if (rv != 0)
		nng_msg_free(nng_aio_get_msg(call->send));
	if (!link_is_over(rv))
		receive(call);
}

void link_answer(struct link_call *call, const void *data, size_t len)
{
	nng_msg *msg = NULL;
	if (len > LINK_MESSAGE_MAX || link_message(data, len, &msg, NULL) < 0) {
		link_drop(call);
		return;
	}
	nng_aio_set_msg(call->send, msg);
	nng_ctx_send(call->ctx, call->send);
}

void link_drop(struct link_call *call)
{
	receive(call);
}

uint32_t link_call_pipe(const struct link_call *call)
{
	return (uint32_t)nng_pipe_id(call->pipe);
}

/* 0: it comes over no network. */
static int loopback_port(nng_pipe pipe, nng_sockaddr *ret_at)
{
	bool known = nng_pipe_get_addr(pipe, NNG_OPT_REMADDR, ret_at) == 0;
	return known && ret_at->s_family == NNG_AF_INET ? ntohs(ret_at->s_in.sa_port) : 0;
}

/* NULL: it has none, or not yet. */
static struct tunnel *tunnel_of(struct link_server *server)
{
	pthread_mutex_lock(&server->mutex);
	struct tunnel *tunnel = server->tunnel;
	pthread_mutex_unlock(&server->mutex);
	return tunnel;
}

/* In the clear it is on this machine, or in this process. */
void link_call_peer(const struct link_call *call, char out[LINK_PEER_LEN])
{
	nng_sockaddr at;
	char host[INET6_ADDRSTRLEN] = "";
	int port = loopback_port(call->pipe, &at);
	struct tunnel *tunnel = tunnel_of(call->server);
	*out = 0;
	if (tunnel)
		tunnel_peer(tunnel, port, out);
	else if (port && inet_ntop(AF_INET, &at.s_in.sa_addr, host, sizeof host))
		snprintf(out, LINK_PEER_LEN, "%s:%d", host, port);
}

static void on_gone(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
	struct link_server *server = arg;
	(void)event;
	server->gone(server->context, (uint32_t)nng_pipe_id(pipe));
}

/* What another process of this machine sends to nng itself has shown no certificate. */
static void on_come(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
	struct tunnel *tunnel = tunnel_of(arg);
	nng_sockaddr at;
	char peer[TUNNEL_PEER_LEN];
	(void)event;
	if (!tunnel || !tunnel_peer(tunnel, loopback_port(pipe, &at), peer))
		nng_pipe_close(pipe);
}

static int watch_connections(struct link_server *server, bool tls, struct err *err)
{
	int rv = 0;
	if (server->gone)
		rv = nng_pipe_notify(server->socket, NNG_PIPE_EV_REM_POST, on_gone, server);
	if (tls && rv == 0)
		rv = nng_pipe_notify(server->socket, NNG_PIPE_EV_ADD_PRE, on_come, server);
	return link_failed(rv, "connections", err);
}

/* --- contexts --- */

static void call_free(struct link_call *call)
{
	if (call->receive)
		nng_aio_free(call->receive);
	if (call->send)
		nng_aio_free(call->send);
	if (nng_ctx_id(call->ctx) > 0)
		nng_ctx_close(call->ctx);
	free(call);
}

static int call_new(struct link_server *server, struct link_call **ret_call, struct err *err)
{
	struct link_call *call = calloc(1, sizeof *call);
	if (!call)
		return err_set(err, E_NOMEM, "link: no memory for a context");
	call->server = server;
	int rv = nng_ctx_open(&call->ctx, server->socket);
	if (rv == 0)
		rv = nng_aio_alloc(&call->receive, on_received, call);
	if (rv == 0)
		rv = nng_aio_alloc(&call->send, on_sent, call);
	if (rv == 0)
		*ret_call = call;
	else
		call_free(call);
	return link_failed(rv, "context", err);
}

/* server->mutex held. */
static int calls_new(struct link_server *server, int count, struct err *err)
{
	for (int i = 0; i < count && server->count < CONTEXTS_MAX; i++) {
		TRY(call_new(server, &server->calls[server->count], err));
		server->count++;
	}
	return 0;
}

/* Most are held: that many more. What cannot be made now is tried with the next request. */
static void add_contexts(struct link_server *server)
{
	struct err err;
	pthread_mutex_lock(&server->mutex);
	int first = server->count;
	bool few = atomic_load(&server->spare) <= CONTEXTS_SPARE;
	if (few && !server->closing && calls_new(server, server->step, &err) < 0)
		server->step = CONTEXTS_SPARE;
	int last = server->count;
	pthread_mutex_unlock(&server->mutex);
	for (int i = first; i < last; i++)
		receive(server->calls[i]);
}

/* nng listens on this machine only, and the tunnel where the URL says. */
static int listen_tls(struct link_server *server, const struct link_server_conf *conf,
                      const struct link_url *url, struct err *err)
{
	struct cert_tls *tls = NULL;
	struct tunnel_conf tunnel = { .accepts = true, .host = url->host, .port = url->port };
	TRY(link_tls_read(&conf->tls, true, &tls, err));
	int rv = nng_listener_start(server->listener, 0);
	if (rv == 0)
		rv = nng_listener_get_int(server->listener, NNG_OPT_TCP_BOUND_PORT,
		                          &tunnel.plain_port);
	struct tunnel *made = NULL;
	int rc = link_failed(rv, conf->url, err);
	if (rc == 0)
		rc = tunnel_new(&tunnel, tls, &made, err);
	cert_tls_free(tls);
	pthread_mutex_lock(&server->mutex);
	server->tunnel = made;
	pthread_mutex_unlock(&server->mutex);
	return rc;
}

static int start_listening(struct link_server *server, const struct link_server_conf *conf,
                           struct err *err)
{
	struct link_url url;
	TRY(link_url_read(conf->url, &conf->tls, &url, err));
	TRY(watch_connections(server, url.tls, err));
	TRY(link_failed(nng_socket_set_size(server->socket, NNG_OPT_RECVMAXSZ, LINK_MESSAGE_MAX),
	                conf->url, err));
	TRY(link_failed(nng_listener_create(&server->listener, server->socket,
	                                    url.tls ? "tcp://127.0.0.1:0" : conf->url), conf->url,
	                err));
	if (url.tls)
		return listen_tls(server, conf, &url, err);
	return link_failed(nng_listener_start(server->listener, 0), conf->url, err);
}

int link_server_set_tls(struct link_server *server, const struct cert_set *set, struct err *err)
{
	struct cert_tls *tls = NULL;
	struct tunnel *tunnel = tunnel_of(server);
	if (!tunnel)
		return err_set(err, E_INVALID, "link: it has no TLS whose certificates could be "
		               "replaced");
	TRY(cert_tls_new(set, true, &tls, err));
	tunnel_set_tls(tunnel, tls);
	cert_tls_free(tls);
	return 0;
}

static int server_alloc(const struct link_server_conf *conf, struct link_server **ret_server,
                        struct err *err)
{
	struct link_server *server = calloc(1, sizeof *server);
	if (server)
		server->calls = calloc(CONTEXTS_MAX, sizeof(struct link_call *));
	if (!server || !server->calls) {
		free(server);
		return err_set(err, E_NOMEM, "link: no memory for the server");
	}
	pthread_mutex_init(&server->mutex, NULL);
	server->call = conf->call;
	server->gone = conf->gone;
	server->context = conf->context;
	server->step = conf->contexts ? conf->contexts : CONTEXTS_DEFAULT;
	*ret_server = server;
	return 0;
}

int link_server_new(const struct link_server_conf *conf, struct link_server **ret_server,
                    struct err *err)
{
	if (conf->contexts < 0 || conf->contexts > CONTEXTS_MAX)
		return err_set(err, E_INVALID, "link: %d contexts, 1 to %d are allowed",
		               conf->contexts, CONTEXTS_MAX);
	AUTO(link_server) *server = NULL;
	TRY(server_alloc(conf, &server, err));
	TRY(link_failed(nng_rep0_open(&server->socket), conf->url, err));
	TRY(calls_new(server, server->step, err));
	TRY(start_listening(server, conf, err));
	int count = server->count;   /* more may be added from here on */
	for (int i = 0; i < count; i++)
		receive(server->calls[i]);
	*ret_server = MOVE(server);
	return 0;
}

int link_server_port(const struct link_server *server)
{
	int port = 0;
	if (server->tunnel)
		return tunnel_port(server->tunnel);
	int rv = nng_listener_get_int(server->listener, NNG_OPT_TCP_BOUND_PORT, &port);
	return rv == 0 ? port : 0;
}

/* nng calls back for none of them any more. Each step waits for what the one before may have begun:
 * a request that is received is answered, and after its answer the next is received. */
static void stop_calls(struct link_server *server)
{
	for (int i = 0; i < server->count; i++)
		nng_aio_stop(server->calls[i]->receive);
	for (int i = 0; i < server->count; i++)
		nng_aio_stop(server->calls[i]->send);
	for (int i = 0; i < server->count; i++)
		nng_aio_stop(server->calls[i]->receive);
}

void link_server_free(struct link_server *server)
{
	if (!server)
		return;
	tunnel_stop(tunnel_of(server));
	pthread_mutex_lock(&server->mutex);
	server->closing = true;
	pthread_mutex_unlock(&server->mutex);
	stop_calls(server);
	for (int i = 0; i < server->count; i++)
		call_free(server->calls[i]);
	if (nng_socket_id(server->socket) > 0)
		nng_close(server->socket);
	tunnel_free(server->tunnel);
	pthread_mutex_destroy(&server->mutex);
	free(server->calls);
	free(server);
}
