/* test_hashmap.c - text to node, through growth and removal. */
#include "common/defs.h"
#include "control/hashmap.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { COUNT = 1000 };

struct thing {
	struct hash_node node;
	char key[16];
};

Test(hashmap, finds_what_was_added_and_nothing_that_was_removed)
{
	static struct thing things[COUNT];
	struct hashmap map;
	hashmap_init(&map, 42);
	cr_assert_null(hashmap_find(&map, "k1"));
	for (int i = 0; i < COUNT; i++) {
		snprintf(things[i].key, sizeof things[i].key, "k%d", i);
		cr_assert(hashmap_add(&map, &things[i].node, things[i].key));
	}
	for (int i = 0; i < COUNT; i += 2)
		hashmap_remove(&map, &things[i].node);
	cr_assert_eq(map.len, COUNT / 2);
	for (int i = 0; i < COUNT; i++) {
		struct hash_node *node = hashmap_find(&map, things[i].key);
		cr_assert_eq(node, i % 2 ? &things[i].node : NULL);
		cr_assert(!node || HASH_OWNER(node, struct thing, node) == &things[i]);
	}
	hashmap_release(&map);
	cr_assert_null(hashmap_find(&map, "k1"));
}
