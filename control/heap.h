/* heap.h - the smallest key first: a 4-ary heap of nodes that are members of what it orders.
 * The key stands beside the pointer, so that looking for a place touches no owner but to note
 * its place. */
#ifndef HEAP_H
#define HEAP_H

#include "common/defs.h"

struct heap_node { uint32_t place; };        /* its index + 1; 0: in no heap */
struct heap_item { uint64_t key; struct heap_node *node; };

struct heap {
	struct heap_item *items;
	uint32_t len, cap;
	/* Of equal keys, whether a goes before b; NULL: it does not matter. */
	bool (*before)(const struct heap_node *a, const struct heap_node *b);
};

/* Room for count nodes in all; false: no memory. heap_add itself takes none. */
MUST_USE bool heap_reserve(struct heap *heap, size_t count);
void heap_release(struct heap *heap);
void heap_add(struct heap *heap, struct heap_node *node, uint64_t key);
void heap_remove(struct heap *heap, struct heap_node *node);
/* Its key, or what `before` compares, is another now. */
void heap_move(struct heap *heap, struct heap_node *node, uint64_t key);

static inline struct heap_node *heap_first(const struct heap *heap)
{
	return heap->len > 0 ? heap->items[0].node : NULL;
}

#define HEAP_OWNER(at, type, member) \
	((type *)(void *)((char *)(at) - offsetof(type, member)))

#endif
