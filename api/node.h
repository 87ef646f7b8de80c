/* node.h - who sent a message on the link, proven: the frame around an envelope's bytes.
 *
 * A worker and control have long-lived X25519 keys and agree on one key; every message of either
 * is authenticated by it. Bytes of a message: 0x4e, 1, length of the name, name, MAC (32),
 * envelope; of an answer: 0x4f, 1, MAC, envelope. The MAC is keyed BLAKE2b-256 over all but
 * itself, and an answer's over the message's MAC too, so that it answers that message and no
 * other. It is checked before anything inside is parsed. */
#ifndef NODE_H
#define NODE_H

#include "common/buf.h"
#include "common/crypto.h"

enum { NODE_NAME_MAX = 63, NODE_MAC_BYTES = 32, NODE_OVERHEAD_MAX = 3 + NODE_NAME_MAX + 32 };

/* What both sides agreed on; counted references, any thread. */
struct node_key;
/* E_INVALID: their_public is no proper key. */
MUST_USE int node_key_new(const uint8_t their_public[BOX_PUBLIC_BYTES],
                          const uint8_t own_secret[BOX_SECRET_BYTES], struct node_key **ret_key,
                          struct err *err);
struct node_key *node_key_ref(struct node_key *key);     /* accepts NULL */
void node_key_free(struct node_key *key);                /* one reference; accepts NULL */
DEFINE_AUTO(node_key)

/* Of a message that was checked: what its answer is made with. key NULL: it was not proven. */
struct node_proof {
	struct node_key *key;        /* a reference */
	uint8_t mac[NODE_MAC_BYTES];
};
void node_proof_copy(struct node_proof *proof, const struct node_proof *from);
void node_proof_release(struct node_proof *proof);

/* Whether these bytes claim to be a node's message, or a proven answer. */
bool node_is_message(const void *data, size_t len);
bool node_is_answer(const void *data, size_t len);
/* The name that a message claims, unproven. E_INVALID. */
MUST_USE int node_peek(const void *data, size_t len, char ret_name[NODE_NAME_MAX + 1],
                       struct err *err);

/* Appends to out. ret_mac: to check the answer with. */
MUST_USE int node_write(struct node_key *key, const char *name, const void *envelope, size_t len,
                        struct buf *out, uint8_t ret_mac[NODE_MAC_BYTES], struct err *err);
/* The envelope inside, borrowed from data. ret_proof gets a reference of key. E_UNAUTHENTICATED. */
MUST_USE int node_open(struct node_key *key, const void *data, size_t len,
                       const uint8_t **ret_envelope, size_t *ret_len,
                       struct node_proof *ret_proof, struct err *err);

/* The same for answers. */
MUST_USE int node_answer_write(const struct node_proof *proof, const void *envelope, size_t len,
                               struct buf *out, struct err *err);
MUST_USE int node_answer_open(struct node_key *key, const uint8_t asked_mac[NODE_MAC_BYTES],
                              const void *data, size_t len, const uint8_t **ret_envelope,
                              size_t *ret_len, struct err *err);

#endif
