/* hashmap.h - text to node, intrusive: a node is a member of what it finds. Grows by doubling; a
 * failed growth is no failure, only slower. Not thread-safe. */
#ifndef HASHMAP_H
#define HASHMAP_H

#include "common/defs.h"

struct hash_node {
	struct hash_node *next;
	const char *key;             /* borrowed from the node's owner */
	uint64_t hash;
};

struct hashmap {
	struct hash_node **slots;
	size_t cap;                  /* a power of two, or 0 */
	size_t len;
	uint64_t seed;               /* random, so that nobody can choose keys that collide */
};

void hashmap_init(struct hashmap *map, uint64_t seed);
void hashmap_release(struct hashmap *map);             /* the nodes are their owners' */
struct hash_node *hashmap_find(const struct hashmap *map, const char *key);
/* key must not be there yet. False: no memory for the first table. */
MUST_USE bool hashmap_add(struct hashmap *map, struct hash_node *node, const char *key);
void hashmap_remove(struct hashmap *map, struct hash_node *node);

#define HASH_OWNER(node, type, member) \
	((type *)(void *)((char *)(node) - offsetof(type, member)))

#endif
