/* nodes.h - the workers that may speak on the link: r/node/NAME holds {name, publicKey, uid, pool?,
 * addresses?, joinedAt, joinedBy, serial?, certificateUntil?, removedAt?}, times in unix ms. The
 * key that was agreed on with each is cached here. Any thread. */
#ifndef NODES_H
#define NODES_H

#include "api/node.h"
#include "common/text.h"
#include "control/catalog.h"

struct nodes;

/* own_secret: control's X25519 key; borrowed for the nodes' life, as is catalog. */
MUST_USE int nodes_new(struct catalog *catalog, const struct secret *own_secret,
                       struct nodes **ret_nodes, struct err *err);
void nodes_free(struct nodes *nodes);
DEFINE_AUTO(nodes)
/* Its record changed: what is cached of it is dropped. */
void nodes_changed(struct nodes *nodes, const char *name);

/* Called, under a lock, when the platform's authority is made; NULL: not any more. */
typedef void nodes_authority_fn(void *context);
void nodes_on_authority(struct nodes *nodes, nodes_authority_fn *made, void *context);
void nodes_authority_made(struct nodes *nodes);

/* Who sent a message. */
struct node_sender {
	char name[NODE_NAME_MAX + 1], pool[NAME_MAX_LEN + 1];    /* pool "": any */
	uint8_t public_key[BOX_PUBLIC_BYTES];
	bool removed;                /* it was a node until it was removed */
	struct node_proof proof;     /* to be released */
};
/* The envelope inside a node's message, borrowed from data. E_UNAUTHENTICATED: of no node that is
 * known here, or not of the one it names. One that was removed is read too, and says so. */
MUST_USE int nodes_open(struct nodes *nodes, const void *data, size_t len,
                        struct node_sender *ret_sender, const uint8_t **ret_envelope,
                        size_t *ret_len, struct err *err);
/* Whether it still is a node, by that key: asked once more when a message is acted upon. */
bool nodes_allow(struct nodes *nodes, const char *name, const uint8_t public_key[BOX_PUBLIC_BYTES]);
/* A node of that name has a record, removed or not. */
bool nodes_has(struct nodes *nodes, const char *name);

/* "r/node/NAME". */
const char *node_record_key(char out[STORE_KEY_MAX], const char *name);

#endif
