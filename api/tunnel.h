/* tunnel.h - the TLS of the link. nng carries messages over plain connections of this machine
 * (loopback, this process at both ends of each); what leaves the machine goes through a tunnel,
 * byte for byte. On the wire it is nng's own "tls+tcp".
 * nng 1.5.2's TLS is not used: it forgets a send or receive that begins in the moment in which a
 * connection fails, and neither its end is told nor another one dialled, for ever. */
#ifndef TUNNEL_H
#define TUNNEL_H

#include "common/cert_tls.h"

enum { TUNNEL_PEER_LEN = 64, TUNNEL_WHY_LEN = 128, TUNNEL_CONNECTIONS_MAX = 16384 };

struct tunnel;
struct tunnel_conf {
	bool accepts;                /* TLS comes in, as to control; or goes out: a worker's */
	const char *host;            /* to listen at ("", "*": everywhere), or to call */
	int port;                    /* of it; 0 where it accepts: any */
	const char *name;            /* !accepts: that the peer's certificate must have */
	int plain_port;              /* accepts: where nng listens on 127.0.0.1 */
};
/* Strings are copied. E_CONFLICT: the port is taken; E_INVALID: the host is not known. */
MUST_USE int tunnel_new(const struct tunnel_conf *conf, struct cert_tls *tls,
                        struct tunnel **ret_tunnel, struct err *err);
/* Ends every connection. To be called before nng's socket is closed: nng then ends its side of each
 * by itself, and is waited for (2 s at most). What is asked of the tunnel is still answered. */
void tunnel_stop(struct tunnel *tunnel);
/* Ends it, too, if it has not ended. After nng's socket is closed. */
void tunnel_free(struct tunnel *tunnel);
DEFINE_AUTO(tunnel)
/* Where it accepts: the port that it listens at; else that on 127.0.0.1 which nng is to call. */
int tunnel_port(const struct tunnel *tunnel);
/* Connections from now on are made with these; those that stand go on. Any thread. */
void tunnel_set_tls(struct tunnel *tunnel, struct cert_tls *tls);
/* Of a connection that came to plain_port from this port of 127.0.0.1: where it really comes from.
 * False: it is none of the tunnel's. */
bool tunnel_peer(struct tunnel *tunnel, int port, char out[TUNNEL_PEER_LEN]);
/* Why the last connection that goes out did not come to stand, in a few words; "": it did. */
void tunnel_why(struct tunnel *tunnel, char out[TUNNEL_WHY_LEN]);

#endif
