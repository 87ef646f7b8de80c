/* peer.h - the worker's end of the link: envelopes to and from the control replicas that lead. Each
 * shard has a replica that is asked for it at present. */
#ifndef PEER_H
#define PEER_H

#include "api/envelope.h"
#include "api/link.h"
#include "api/poll.h"

struct peer;
struct peer_conf {
	struct link_client_conf link;
	const char *worker;          /* borrowed for the peer's life */
	int64_t incarnation;
	struct node_key *key;        /* what it proves itself with; NULL: it has not joined */
};
MUST_USE int peer_new(const struct peer_conf *conf, struct peer **ret_peer, struct err *err);
void peer_free(struct peer *peer);     /* ends what is under way */
DEFINE_AUTO(peer)

/* One exchange with the replica asked for that shard at present (any thread). The answer's body, in
 * arena; or what the other side said in a "problem". ret_replica: who was asked. */
MUST_USE int peer_ask(struct peer *peer, int shard, const char *kind, const struct value *body,
                      int timeout_ms, struct arena *arena, const struct value **ret_body,
                      int *ret_replica, struct err *err);
/* That replica does not lead or does not answer: the next one is asked from now on. Nothing happens
 * when another is asked already. */
void peer_switch(struct peer *peer, int shard, int replica);
int peer_count(const struct peer *peer);
/* The certificate for connections from now on: link_client_set_tls. */
MUST_USE int peer_set_tls(struct peer *peer, const struct cert_set *set, struct err *err);
/* Asks each replica in turn until one decides, as long as timeout_ms lasts in all; where one says
 * whose leader could, that shard's. */
MUST_USE int peer_ask_leader(struct peer *peer, const char *kind, const struct value *body,
                             int timeout_ms, struct arena *arena, const struct value **ret_body,
                             struct err *err);
void peer_interrupt(struct peer *peer);
/* It proves itself, and believes only what control proves. */
bool peer_proves(const struct peer *peer);

#endif
