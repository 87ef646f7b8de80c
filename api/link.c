/* link.c - the link over nng. Invariants: a held call belongs to its receiver until link_answer
 * or link_drop, and only then waits for the next request; no aio is freed before all are
 * stopped; a client's call is in client->calls exactly while its aio may be cancelled by others. */
#include "common/defs.h"
#include "api/link.h"

#include "common/crypto.h"
#include "common/loopback.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/tls/tls.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	CONTEXTS_DEFAULT = 256, CONTEXTS_MAX = 8192, CONTEXTS_SPARE = 32, REPLICAS_MAX = 8,
	PEM_MAX = 256 * 1024,
	RESEND_MS = 70000,           /* longer than any hold: a held poll is not asked twice */
	CONNECT_WAIT_MS = 1000, RECONNECT_MIN_MS = 50, RECONNECT_MAX_MS = 2000
};

/* ---- shared by both sides ---- */

static int code_of(int rv)
{
	switch (rv) {
	case NNG_ETIMEDOUT: return E_TIMEOUT;
	case NNG_ECANCELED:
	case NNG_ECLOSED: return E_CANCELLED;
	case NNG_ENOMEM: return E_NOMEM;
	case NNG_EMSGSIZE: return E_TOO_LARGE;
	case NNG_EADDRINUSE: return E_CONFLICT;
	case NNG_EADDRINVAL:
	case NNG_EINVAL:
	case NNG_ENOTSUP: return E_INVALID;
	case NNG_ECRYPTO:
	case NNG_EPEERAUTH: return E_UNAUTHENTICATED;
	default: return E_UNAVAILABLE;
	}
}

static int failed(int rv, const char *what, struct err *err)
{
	return rv ? err_set(err, code_of(rv), "link: %s: %s", what, nng_strerror(rv)) : 0;
}

static bool is_loopback(const char *host)
{
	return loopback_host(host, strlen(host));
}

static bool is_address(const char *host)
{
	unsigned char any[16];
	return inet_pton(AF_INET, host, any) == 1 || inet_pton(AF_INET6, host, any) == 1;
}

/* What a URL says, checked. host: for the certificate. */
struct link_url {
	bool tls;
	char host[256];
};

static int check_url(const nng_url *parsed, const char *url, const struct link_tls *tls,
                     struct link_url *ret_url, struct err *err)
{
	const char *scheme = parsed->u_scheme ? parsed->u_scheme : "";
	const char *host = parsed->u_hostname ? parsed->u_hostname : "";
	ret_url->tls = strcmp(scheme, "tls+tcp") == 0;
	snprintf(ret_url->host, sizeof ret_url->host, "%s", host);
	if (strcmp(scheme, "inproc") == 0)
		return 0;
	if (strcmp(scheme, "tcp") == 0)
		return is_loopback(host) ? 0 :
			err_set(err, E_INVALID, "link: %s is not encrypted, which is allowed on "
			        "loopback only; use tls+tcp://", url);
	if (!ret_url->tls)
		return err_set(err, E_INVALID, "link: %s must begin with tls+tcp://, tcp:// or "
		               "inproc://", url);
	if (!tls->ca_file || !tls->cert_file || !tls->key_file)
		return err_set(err, E_INVALID, "link: %s needs the files of a CA, a certificate "
		               "and its key", url);
	return 0;
}

static int read_url(const char *url, const struct link_tls *tls, struct link_url *ret_url,
                    struct err *err)
{
	nng_url *parsed = NULL;
	if (nng_url_parse(&parsed, url) != 0)
		return err_set(err, E_INVALID, "link: %s is no URL", url);
	int rc = check_url(parsed, url, tls, ret_url, err);
	nng_url_free(parsed);
	return rc;
}

static int read_pem(const char *path, struct buf *out, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, errno, "link: open %s", path);
	ssize_t n;
	uint8_t *room;
	while ((room = buf_room(out, 4096)) && (n = read(fd, room, 4096)) > 0)
		out->len += (size_t)n;
	int why = errno;
	close(fd);
	if (room && n < 0)
		return err_errno(err, why, "link: read %s", path);
	return buf_check(out, err);
}

/* Both sides show a certificate; 1.2 is what the mbedTLS of this nng speaks at most. */
static int finish_config(nng_tls_config *config, struct err *err)
{
	TRY(failed(nng_tls_config_version(config, NNG_TLS_1_2, NNG_TLS_1_2), "TLS", err));
	return failed(nng_tls_config_auth_mode(config, NNG_TLS_AUTH_MODE_REQUIRED), "TLS", err);
}

/* Out of memory. */
static int fill_config_of(nng_tls_config *config, const struct cert_set *set, struct err *err)
{
	TRY(failed(nng_tls_config_own_cert(config, set->cert, set->key, NULL), "certificate", err));
	TRY(failed(nng_tls_config_ca_chain(config, set->ca, NULL), "CA", err));
	return finish_config(config, err);
}

static int tls_config_of(const struct cert_set *set, nng_tls_mode mode,
                         nng_tls_config **ret_config, struct err *err)
{
	nng_tls_config *config = NULL;
	TRY(failed(nng_tls_config_alloc(&config, mode), "TLS", err));
	int rc = fill_config_of(config, set, err);
	if (rc < 0) {
		nng_tls_config_free(config);
		return rc;
	}
	*ret_config = config;
	return 0;
}

static int load_pair(nng_tls_config *config, const struct link_tls *tls, struct buf *cert,
                     struct buf *key, struct err *err)
{
	TRY(read_pem(tls->cert_file, cert, err));
	TRY(read_pem(tls->key_file, key, err));
	TRY(failed(nng_tls_config_own_cert(config, (char *)cert->data, (char *)key->data, NULL),
	           tls->cert_file, err));
	return failed(nng_tls_config_ca_file(config, tls->ca_file), tls->ca_file, err);
}

static int fill_config(nng_tls_config *config, const struct link_tls *tls, struct err *err)
{
	AUTO_BUF cert, key;
	buf_init(&cert, PEM_MAX);
	buf_init(&key, PEM_MAX);
	/* All at once, so that no half of the key stays behind in memory that grew. */
	int rc = buf_room(&key, 16384) ? load_pair(config, tls, &cert, &key, err)
	                               : err_set(err, E_NOMEM, "link: no memory for the key");
	if (key.data)
		secret_wipe(key.data, key.cap);
	if (rc < 0)
		return rc;
	return finish_config(config, err);
}

static int tls_config_new(const struct link_tls *tls, nng_tls_mode mode,
                          nng_tls_config **ret_config, struct err *err)
{
	nng_tls_config *config = NULL;
	TRY(failed(nng_tls_config_alloc(&config, mode), "TLS", err));
	int rc = fill_config(config, tls, err);
	if (rc < 0) {
		nng_tls_config_free(config);
		return rc;
	}
	*ret_config = config;
	return 0;
}

/* ---- control's side ---- */

struct link_call {
	struct link_server *server;
	nng_ctx ctx;
	nng_aio *receive, *send;
	nng_pipe pipe;               /* that the request which is held came over */
};

/* nng reads the configuration of a listener or dialer without its lock when a connection begins:
 * one that is replaced lives on until its successor is replaced, or the end. */
struct configs { nng_tls_config *now, *before; };

static void configs_take(struct configs *configs, nng_tls_config *config)
{
	if (configs->before)
		nng_tls_config_free(configs->before);
	configs->before = configs->now;
	configs->now = config;
}

static void configs_release(struct configs *configs)
{
	configs_take(configs, NULL);
	configs_take(configs, NULL);
}

struct link_server {
	struct configs configs;
	nng_socket socket;
	nng_listener listener;
	link_call_fn *call;
	link_gone_fn *gone;
	void *context;
	int step;                    /* contexts that are made at one time */
	atomic_int spare;            /* that wait for a request */
	pthread_mutex_t mutex;       /* guards what follows */
	struct link_call **calls;    /* CONTEXTS_MAX places */
	int count;
	bool closing;
};

static bool is_over(int rv)
{
	return rv == NNG_ECLOSED || rv == NNG_ECANCELED;
}

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
	if (is_over(rv))
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
	if (!is_over(rv))
		receive(call);
}

void link_answer(struct link_call *call, const void *data, size_t len)
{
	nng_msg *msg = NULL;
	if (len > LINK_MESSAGE_MAX || nng_msg_alloc(&msg, 0) != 0) {
		link_drop(call);
		return;
	}
	if (nng_msg_append(msg, data, len) != 0) {
		nng_msg_free(msg);
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

void link_call_peer(const struct link_call *call, char out[LINK_PEER_LEN])
{
	nng_sockaddr at;
	char host[INET6_ADDRSTRLEN] = "";
	*out = 0;
	if (nng_pipe_get_addr(call->pipe, NNG_OPT_REMADDR, &at) != 0)
		return;
	if (at.s_family == NNG_AF_INET &&
	    inet_ntop(AF_INET, &at.s_in.sa_addr, host, sizeof host))
		snprintf(out, LINK_PEER_LEN, "%s:%d", host, ntohs(at.s_in.sa_port));
	else if (at.s_family == NNG_AF_INET6 &&
	         inet_ntop(AF_INET6, at.s_in6.sa_addr, host, sizeof host))
		snprintf(out, LINK_PEER_LEN, "[%s]:%d", host, ntohs(at.s_in6.sa_port));
}

static void on_gone(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
	struct link_server *server = arg;
	(void)event;
	server->gone(server->context, (uint32_t)nng_pipe_id(pipe));
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
	return failed(rv, "context", err);
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

static int listen_tls(struct link_server *server, const struct link_tls *tls, struct err *err)
{
	nng_tls_config *config = NULL;
	TRY(tls_config_new(tls, NNG_TLS_MODE_SERVER, &config, err));
	int rv = nng_listener_set_ptr(server->listener, NNG_OPT_TLS_CONFIG, config);
	configs_take(&server->configs, config);
	return failed(rv, "TLS", err);
}

static int start_listening(struct link_server *server, const struct link_server_conf *conf,
                           struct err *err)
{
	struct link_url url;
	TRY(read_url(conf->url, &conf->tls, &url, err));
	TRY(failed(nng_socket_set_size(server->socket, NNG_OPT_RECVMAXSZ, LINK_MESSAGE_MAX),
	           conf->url, err));
	TRY(failed(nng_listener_create(&server->listener, server->socket, conf->url), conf->url,
	           err));
	if (url.tls)
		TRY(listen_tls(server, &conf->tls, err));
	return failed(nng_listener_start(server->listener, 0), conf->url, err);
}

int link_server_set_tls(struct link_server *server, const struct cert_set *set, struct err *err)
{
	nng_tls_config *config = NULL;
	TRY(tls_config_of(set, NNG_TLS_MODE_SERVER, &config, err));
	int rv = nng_listener_set_ptr(server->listener, NNG_OPT_TLS_CONFIG, config);
	configs_take(&server->configs, config);
	return failed(rv, "TLS", err);
}

static int watch_connections(struct link_server *server, struct err *err)
{
	int rv = server->gone ? nng_pipe_notify(server->socket, NNG_PIPE_EV_REM_POST, on_gone,
	                                        server) : 0;
	return failed(rv, "connections", err);
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
	TRY(failed(nng_rep0_open(&server->socket), conf->url, err));
	TRY(watch_connections(server, err));
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
	int rv = nng_listener_get_int(server->listener, NNG_OPT_TCP_BOUND_PORT, &port);
	return rv == 0 ? port : 0;
}

void link_server_free(struct link_server *server)
{
	if (!server)
		return;
	pthread_mutex_lock(&server->mutex);
	server->closing = true;
	pthread_mutex_unlock(&server->mutex);
	if (nng_socket_id(server->socket) > 0)
		nng_close(server->socket);
	for (int i = 0; i < server->count; i++) {
		nng_aio_stop(server->calls[i]->receive);
		nng_aio_stop(server->calls[i]->send);
	}
	for (int i = 0; i < server->count; i++)
		call_free(server->calls[i]);
	configs_release(&server->configs);
	pthread_mutex_destroy(&server->mutex);
	free(server->calls);
	free(server);
}

/* ---- worker's side ---- */

struct replica {
	struct link_client *client;
	struct configs configs;
	nng_socket socket;
	nng_dialer dialer;
	char tls_name[256];          /* that its certificate is to have; "": no TLS */
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

/* mbedTLS 2 compares names only: an address stands for the name of this machine, or nothing. */
static int name_for(const char *host, char out[256], struct err *err)
{
	const char *name = is_loopback(host) ? "localhost" : host;
	if (is_address(name))
		return err_set(err, E_INVALID, "link: %s is an address; TLS checks names: use the "
		               "replica's DNS name", host);
	snprintf(out, 256, "%s", name);
	return 0;
}

static int dial_with(struct replica *replica, nng_tls_config *config, struct err *err)
{
	int rv = nng_tls_config_server_name(config, replica->tls_name);
	if (rv == 0)
		rv = nng_dialer_set_ptr(replica->dialer, NNG_OPT_TLS_CONFIG, config);
	configs_take(&replica->configs, config);
	return failed(rv, "TLS", err);
}

int link_client_set_tls(struct link_client *client, const struct cert_set *set, struct err *err)
{
	for (int i = 0; i < client->count; i++) {
		nng_tls_config *config = NULL;
		if (!client->replicas[i].tls_name[0])
			continue;
		TRY(tls_config_of(set, NNG_TLS_MODE_CLIENT, &config, err));
		TRY(dial_with(&client->replicas[i], config, err));
	}
	return 0;
}

static int dial_tls(struct replica *replica, const struct link_tls *tls, const char *host,
                    struct err *err)
{
	nng_tls_config *config = NULL;
	TRY(name_for(host, replica->tls_name, err));
	TRY(tls_config_new(tls, NNG_TLS_MODE_CLIENT, &config, err));
	return dial_with(replica, config, err);
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

static int replica_start(struct replica *replica, const char *url_text,
                         const struct link_client_conf *conf, struct err *err)
{
	struct link_url url;
	TRY(read_url(url_text, &conf->tls, &url, err));
	TRY(failed(nng_req0_open(&replica->socket), url_text, err));
	TRY(failed(set_options(replica->socket, conf), url_text, err));
	TRY(failed(nng_pipe_notify(replica->socket, NNG_PIPE_EV_ADD_POST, on_pipe, replica),
	           url_text, err));
	TRY(failed(nng_pipe_notify(replica->socket, NNG_PIPE_EV_REM_POST, on_pipe, replica),
	           url_text, err));
	TRY(failed(nng_dialer_create(&replica->dialer, replica->socket, url_text), url_text, err));
	if (url.tls)
		TRY(dial_tls(replica, &conf->tls, url.host, err));
	return failed(nng_dialer_start(replica->dialer, NNG_FLAG_NONBLOCK), url_text, err);
}

static int client_alloc(struct link_client **ret_client, struct err *err)
{
	struct link_client *client = calloc(1, sizeof *client);
	pthread_condattr_t attr;
	if (!client)
		return err_set(err, E_NOMEM, "link: no memory for the client");
	pthread_mutex_init(&client->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&client->changed, &attr);
	pthread_condattr_destroy(&attr);
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
	while (client->exchanges)
		pthread_cond_wait(&client->changed, &client->mutex);
	pthread_mutex_unlock(&client->mutex);
	for (int i = 0; i < client->count; i++)
		if (nng_socket_id(client->replicas[i].socket) > 0)
			nng_close(client->replicas[i].socket);
	for (int i = 0; i < REPLICAS_MAX; i++)
		configs_release(&client->replicas[i].configs);
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

static struct timespec after_ms(int ms)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000L;
	if (t.tv_nsec >= 1000000000L) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000L;
	}
	return t;
}

/* Enlists the exchange once there is a connection. Waits for one, but not for long: another
 * replica may be there. */
static int exchange_begin(struct link_client *client, struct exchange *exchange, int timeout_ms,
                          struct err *err)
{
	struct timespec until = after_ms(timeout_ms < CONNECT_WAIT_MS ? timeout_ms
	                                 : CONNECT_WAIT_MS);
	int rc = 0;
	pthread_mutex_lock(&client->mutex);
	while (!client->closing && exchange->replica->pipes == 0 && rc == 0)
		rc = pthread_cond_timedwait(&client->changed, &client->mutex, &until);
	if (client->closing)
		rc = err_set(err, E_CANCELLED, "link: this side is closing");
	else if (exchange->replica->pipes == 0)
		rc = err_set(err, E_UNAVAILABLE, "link: no connection to control replica %d",
		             (int)(exchange->replica - client->replicas));
	else
		rc = 0;
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
	if (is_over(rv) && ended == E_UNAVAILABLE)
		return err_set(err, E_UNAVAILABLE, "link: the connection to the control replica "
		               "was lost");
	return failed(rv, what, err);
}

static int exchange_run(struct link_client *client, struct exchange *exchange, nng_ctx ctx,
                        const void *data, size_t len, struct buf *ret_answer, struct err *err)
{
	nng_msg *msg = NULL;
	TRY(failed(nng_msg_alloc(&msg, 0), "message", err));
	int rc = failed(nng_msg_append(msg, data, len), "message", err);
	if (rc == 0) {
		nng_aio_set_msg(exchange->aio, msg);
		nng_ctx_send(ctx, exchange->aio);
		rc = exchange_wait(client, exchange, "send", err);
	}
	if (rc < 0) {
		nng_msg_free(msg);
		return rc;
	}
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
	TRY(failed(nng_ctx_open(&ctx, exchange->replica->socket), "context", err));
	int rc = exchange_begin(client, exchange, timeout_ms, err);
	if (rc == 0) {
		nng_aio_set_timeout(exchange->aio, timeout_ms);
		rc = exchange_run(client, exchange, ctx, data, len, ret_answer, err);
		exchange_end(client, exchange);
	}
	nng_ctx_close(ctx);
	return rc;
}

int link_client_call(struct link_client *client, int replica, const void *data, size_t len,
                     int timeout_ms, struct buf *ret_answer, struct err *err)
{
	REQUIRE(replica >= 0 && replica < client->count && timeout_ms > 0);
	if (len > LINK_MESSAGE_MAX)
		return err_set(err, E_TOO_LARGE, "link: a message of %zu bytes, at most %d are "
		               "allowed", len, LINK_MESSAGE_MAX);
	struct exchange exchange = { .replica = &client->replicas[replica] };
	TRY(failed(nng_aio_alloc(&exchange.aio, NULL, NULL), "message", err));
	int rc = exchange_in_context(client, &exchange, data, len, timeout_ms, ret_answer, err);
	nng_aio_free(exchange.aio);
	return rc;
}
