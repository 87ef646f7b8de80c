/* nodes.c - see nodes.h. Invariant: what is cached of a node was read after its last change that
 * nodes_changed told of; the counter of changes keeps a slow reader from putting back what is
 * old. */
#include "common/defs.h"
#include "control/nodes.h"

#include "control/hashmap.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NODES_MOST = 16384, RECORD_ARENA = 256 * 1024 };

struct known {
	struct hash_node by_name;
	struct node_sender sender;   /* its proof holds the key alone */
};

struct nodes {
	struct catalog *catalog;
	const struct secret *own_secret;
	pthread_mutex_t mutex;       /* guards what follows */
	struct hashmap by_name;
	uint64_t changes;
	nodes_authority_fn *made;
	void *made_context;
};

const char *node_record_key(char out[STORE_KEY_MAX], const char *name)
{
	snprintf(out, STORE_KEY_MAX, "r/node/%s", name);
	return out;
}

int nodes_new(struct catalog *catalog, const struct secret *own_secret, struct nodes **ret_nodes,
              struct err *err)
{
	struct nodes *nodes = calloc(1, sizeof *nodes);
	uint64_t seed;
	if (!nodes)
		return err_set(err, E_NOMEM, "no memory for the nodes");
	nodes->catalog = catalog;
	nodes->own_secret = own_secret;
	random_bytes(&seed, sizeof seed);
	pthread_mutex_init(&nodes->mutex, NULL);
	hashmap_init(&nodes->by_name, seed);
	*ret_nodes = nodes;
	return 0;
}

static void known_free(struct known *known)
{
	node_proof_release(&known->sender.proof);
	free(known);
}

/* mutex held */
static void forget(struct nodes *nodes, const char *name)
{
	struct hash_node *node = hashmap_find(&nodes->by_name, name);
	if (!node)
		return;
	hashmap_remove(&nodes->by_name, node);
	known_free(HASH_OWNER(node, struct known, by_name));
}

static void forget_all(struct nodes *nodes)
{
	for (size_t i = 0; i < nodes->by_name.cap; i++)
		while (nodes->by_name.slots[i])
			forget(nodes, nodes->by_name.slots[i]->key);
}

void nodes_free(struct nodes *nodes)
{
	if (!nodes)
		return;
	forget_all(nodes);
	hashmap_release(&nodes->by_name);
	pthread_mutex_destroy(&nodes->mutex);
	free(nodes);
}

void nodes_changed(struct nodes *nodes, const char *name)
{
	pthread_mutex_lock(&nodes->mutex);
	nodes->changes++;
	forget(nodes, name);
	pthread_mutex_unlock(&nodes->mutex);
}

void nodes_on_authority(struct nodes *nodes, nodes_authority_fn *made, void *context)
{
	pthread_mutex_lock(&nodes->mutex);
	nodes->made = made;
	nodes->made_context = context;
	pthread_mutex_unlock(&nodes->mutex);
}

void nodes_authority_made(struct nodes *nodes)
{
	pthread_mutex_lock(&nodes->mutex);
	if (nodes->made)
		nodes->made(nodes->made_context);
	pthread_mutex_unlock(&nodes->mutex);
}

bool nodes_has(struct nodes *nodes, const char *name)
{
	char key[STORE_KEY_MAX];
	return catalog_has(nodes->catalog, node_record_key(key, name));
}

/* --- records --- */

static int sender_of(const struct nodes *nodes, const char *name, const struct value *record,
                     struct node_sender *sender, struct err *err)
{
	size_t len = 0;
	const uint8_t *public_key = value_as_bin(value_get(record, "publicKey"), &len);
	const char *pool = value_get_str(record, "pool");
	if (!public_key || len != BOX_PUBLIC_BYTES)
		return err_set(err, E_CORRUPT, "the record of the worker %s holds no key", name);
	snprintf(sender->name, sizeof sender->name, "%s", name);
	snprintf(sender->pool, sizeof sender->pool, "%s", pool ? pool : "");
	memcpy(sender->public_key, public_key, BOX_PUBLIC_BYTES);
	sender->removed = value_get_int(record, "removedAt", 0) != 0;
	return node_key_new(public_key, secret_bytes(nodes->own_secret), &sender->proof.key, err);
}

static int read_record(const struct nodes *nodes, const char *name, struct node_sender *sender,
                       struct err *err)
{
	AUTO(arena) *arena = NULL;
	char key[STORE_KEY_MAX];
	struct value *record = NULL;
	TRY(arena_new(RECORD_ARENA, &arena, err));
	int rc = catalog_get(nodes->catalog, arena, node_record_key(key, name), &record, NULL, err);
	if (rc == E_NOT_FOUND)
		return err_set(err, E_UNAUTHENTICATED, "no worker of that name has joined; join "
		               "it with a token (freehold workers token)");
	TRY(rc);
	return sender_of(nodes, name, record, sender, err);
}

/* A cache that is full is begun anew; without memory the next message is a little slower. */
static void keep(struct nodes *nodes, const struct node_sender *sender, uint64_t changes)
{
	struct known *known = calloc(1, sizeof *known);
	if (!known)
		return;
	known->sender = *sender;
	node_key_ref(sender->proof.key);
	pthread_mutex_lock(&nodes->mutex);
	if (nodes->by_name.len >= NODES_MOST)
		forget_all(nodes);
	forget(nodes, sender->name);
	bool kept = nodes->changes == changes &&
		hashmap_add(&nodes->by_name, &known->by_name, known->sender.name);
	pthread_mutex_unlock(&nodes->mutex);
	if (!kept)
		known_free(known);
}

static int find(struct nodes *nodes, const char *name, struct node_sender *sender, struct err *err)
{
	pthread_mutex_lock(&nodes->mutex);
	struct hash_node *node = hashmap_find(&nodes->by_name, name);
	uint64_t changes = nodes->changes;
	if (node) {
		*sender = HASH_OWNER(node, struct known, by_name)->sender;
		node_key_ref(sender->proof.key);
	}
	pthread_mutex_unlock(&nodes->mutex);
	if (node)
		return 0;
	TRY(read_record(nodes, name, sender, err));
	keep(nodes, sender, changes);
	return 0;
}

int nodes_open(struct nodes *nodes, const void *data, size_t len, struct node_sender *ret_sender,
               const uint8_t **ret_envelope, size_t *ret_len, struct err *err)
{
	char name[NODE_NAME_MAX + 1];
	struct node_sender sender = { .removed = false };
	TRY(node_peek(data, len, name, err));
	TRY(name_check("the worker's name", name, err));
	TRY(find(nodes, name, &sender, err));
	AUTO(node_key) *key = MOVE(sender.proof.key);
	TRY(node_open(key, data, len, ret_envelope, ret_len, &sender.proof, err));
	*ret_sender = sender;
	return 0;
}

bool nodes_allow(struct nodes *nodes, const char *name, const uint8_t public_key[BOX_PUBLIC_BYTES])
{
	struct node_sender sender = { .removed = false };
	struct err err;
	if (find(nodes, name, &sender, &err) < 0)
		return false;
	node_proof_release(&sender.proof);
	return !sender.removed && bytes_equal(sender.public_key, public_key, BOX_PUBLIC_BYTES);
}
