/* names.c - invariant: a name is in the map as long as it is held. */
#include "common/defs.h"
#include "control/names.h"

#include <stdlib.h>
#include <string.h>

struct name {
	struct hash_node by_text;
	size_t held;
	char text[];
};

void names_init(struct names *names, uint64_t seed)
{
	hashmap_init(&names->map, seed);
}

void names_release(struct names *names)
{
	for (size_t i = 0; i < names->map.cap; i++)
		for (struct hash_node *node = names->map.slots[i], *next = NULL; node;
		     node = next) {
			next = node->next;
			free(HASH_OWNER(node, struct name, by_text));
		}
	hashmap_release(&names->map);
}

const char *names_get(struct names *names, const char *text)
{
	struct hash_node *node = hashmap_find(&names->map, text);
	struct name *name = node ? HASH_OWNER(node, struct name, by_text) : NULL;
	size_t len = strlen(text) + 1;
	if (!name) {
		name = calloc(1, sizeof *name + len);
		if (!name)
			return NULL;
		memcpy(name->text, text, len);
		if (!hashmap_add(&names->map, &name->by_text, name->text)) {
			free(name);
			return NULL;
		}
	}
	name->held++;
	return name->text;
}

void names_put(struct names *names, const char *text)
{
	if (!text)
		return;
	struct name *name = HASH_OWNER(text, struct name, text);
	if (--name->held > 0)
		return;
	hashmap_remove(&names->map, &name->by_text);
	free(name);
}
