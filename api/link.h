/* link.h - the link door (workers <-> control): request and answer over nng REQ/REP, long poll.
 * The only door to nng. Bytes in, bytes out; api/envelope.h says what they are. Bounded: a
 * message over LINK_MESSAGE_MAX is refused by the receiver before it is allocated. */
#ifndef LINK_H
#define LINK_H

#include "common/cert_pem.h"

enum { LINK_MESSAGE_MAX = 4 * 1024 * 1024 };

/* URLs: "tls+tcp://host:port" with certificates on both sides, "tcp://127.0.0.1:port" (loopback
 * only, tests), "inproc://name" (one process, tests). */
struct link_tls {
	const char *ca_file;         /* NULL: no TLS; refused for tls+tcp */
	const char *cert_file;       /* PEM with the certificate, */
	const char *key_file;        /* and its key */
};

/* --- control's side --- */
struct link_server;
struct link_call;                /* one held request: exactly one of link_answer, link_drop */
/* Called in an nng thread: parse little, enqueue, return. data is borrowed for the call. */
typedef void link_call_fn(void *context, struct link_call *call, const uint8_t *data, size_t len);

/* A connection has ended: nobody hears what is answered to its calls. Called in an nng thread. */
typedef void link_gone_fn(void *context, uint32_t pipe);

struct link_server_conf {
	const char *url;
	struct link_tls tls;
	int contexts;                /* requests held at first; 0: 256; more are made when needed */
	link_call_fn *call;
	link_gone_fn *gone;          /* NULL: nobody asks */
	void *context;
};
MUST_USE int link_server_new(const struct link_server_conf *conf, struct link_server **ret_server,
                             struct err *err);
/* Connections from now on are made with these; those that stand go on. Any thread. E_INVALID: the
 * URL is not of TLS, or what is given is not good, and what was stays. */
MUST_USE int link_server_set_tls(struct link_server *server, const struct cert_set *set,
                                 struct err *err);
int link_server_port(const struct link_server *server);
/* Drops what is held; no call may be answered or dropped afterwards. */
void link_server_free(struct link_server *server);
DEFINE_AUTO(link_server)
void link_answer(struct link_call *call, const void *data, size_t len);    /* any thread */
void link_drop(struct link_call *call);                /* no answer: the peer will ask again */
/* Of a call that is held: its connection, as gone names it; and where that comes from ("": no
 * network address). */
uint32_t link_call_pipe(const struct link_call *call);
enum { LINK_PEER_LEN = 64 };
void link_call_peer(const struct link_call *call, char out[LINK_PEER_LEN]);

/* --- worker's side --- */
struct link_client;
struct link_client_conf {
	const char *const *urls;     /* every control replica; NULL-terminated, at most 8 */
	struct link_tls tls;
	int reconnect_min_ms, reconnect_max_ms;   /* 0: 50, 2000 */
};
MUST_USE int link_client_new(const struct link_client_conf *conf, struct link_client **ret_client,
                             struct err *err);
void link_client_free(struct link_client *client);     /* ends calls under way with E_CANCELLED */
DEFINE_AUTO(link_client)
/* One exchange with replica i (0 .. link_client_count - 1); any number of threads at once, each
 * with its own nng context. E_TIMEOUT; E_UNAVAILABLE: no connection within a second, or it was
 * lost, and the message may have arrived; E_CANCELLED. nng may resend by itself, so the receiver
 * must know repeats by their sequence number. TLS compares names: "tls+tcp://" wants a DNS name
 * (loopback addresses stand for "localhost"). */
MUST_USE int link_client_call(struct link_client *client, int replica, const void *data, size_t len,
                              int timeout_ms, struct buf *ret_answer, struct err *err);
/* As link_server_set_tls, for connections to every replica. */
MUST_USE int link_client_set_tls(struct link_client *client, const struct cert_set *set,
                                 struct err *err);
int link_client_count(const struct link_client *client);
/* Ends every call under way with E_CANCELLED, so that a held poll can be renewed at once. */
void link_client_interrupt(struct link_client *client);

#endif
