/* hashmap.c - chains of nodes. Invariant: every node is in the chain of its hash; cap is 0 or a
 * power of two. */
#include "common/defs.h"
#include "control/hashmap.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAP = 64 };

void hashmap_init(struct hashmap *map, uint64_t seed)
{
	memset(map, 0, sizeof *map);
	map->seed = seed;
}

void hashmap_release(struct hashmap *map)
{
	free(map->slots);
	hashmap_init(map, map->seed);
}

/* FNV-1a from a seed, then a finaliser (splitmix64's). */
static uint64_t hash_of(const struct hashmap *map, const char *key)
{
	uint64_t hash = map->seed ^ 0xcbf29ce484222325u;
	for (; *key; key++)
		hash = (hash ^ (uint8_t)*key) * 0x100000001b3u;
	hash = (hash ^ hash >> 30) * 0xbf58476d1ce4e5b9u;
	return hash ^ hash >> 31;
}

static struct hash_node **slot_of(const struct hashmap *map, uint64_t hash)
{
	return &map->slots[hash & (map->cap - 1)];
}

struct hash_node *hashmap_find(const struct hashmap *map, const char *key)
{
	if (!map->cap)
		return NULL;
	uint64_t hash = hash_of(map, key);
	struct hash_node *node = *slot_of(map, hash);
	while (node && (node->hash != hash || strcmp(node->key, key) != 0))
		node = node->next;
	return node;
}

static void grow(struct hashmap *map)
{
	size_t cap = map->cap ? map->cap * 2 : FIRST_CAP;
	struct hash_node **slots = calloc(cap, sizeof *slots);
	if (!slots)
		return;
	struct hashmap larger = { slots, cap, map->len, map->seed };
	for (size_t i = 0; i < map->cap; i++)
		for (struct hash_node *node = map->slots[i], *next = NULL; node; node = next) {
			struct hash_node **slot = slot_of(&larger, node->hash);
			next = node->next;
			node->next = *slot;
			*slot = node;
		}
	free(map->slots);
	*map = larger;
}

bool hashmap_add(struct hashmap *map, struct hash_node *node, const char *key)
{
	if (map->len >= map->cap)
		grow(map);
	if (!map->cap)
		return false;
	node->key = key;
	node->hash = hash_of(map, key);
	struct hash_node **slot = slot_of(map, node->hash);
	node->next = *slot;
	*slot = node;
	map->len++;
	return true;
}

void hashmap_remove(struct hashmap *map, struct hash_node *node)
{
	struct hash_node **at = slot_of(map, node->hash);
	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
	map->len--;
}
