/* heap.c - a 4-ary heap: four keys of a level are one cache line. Invariants: no item goes
 * before its parent; items[node->place - 1].node == node. */
#include "common/defs.h"
#include "control/heap.h"

#include <stdlib.h>

enum { ARITY = 4, FIRST_CAP = 2 };

bool heap_reserve(struct heap *heap, size_t count)
{
	size_t cap = heap->cap > 0 ? heap->cap : FIRST_CAP;
	if (count <= heap->cap)
		return true;
	while (cap < count)
		cap *= 2;
	if (cap > UINT32_MAX)
		return false;
	struct heap_item *items = realloc(heap->items, cap * sizeof *items);
	if (!items)
		return false;
	heap->items = items;
	heap->cap = (uint32_t)cap;
	return true;
}

void heap_release(struct heap *heap)
{
	free(heap->items);
	heap->items = NULL;
	heap->len = heap->cap = 0;
}

static bool goes_before(const struct heap *heap, const struct heap_item *a,
                        const struct heap_item *b)
{
	if (a->key != b->key)
		return a->key < b->key;
	return heap->before && heap->before(a->node, b->node);
}

static void put(struct heap *heap, uint32_t at, struct heap_item item)
{
	heap->items[at] = item;
	item.node->place = at + 1;
}

static uint32_t rise(struct heap *heap, uint32_t at, struct heap_item item)
{
	while (at > 0) {
		uint32_t parent = (at - 1) / ARITY;
		if (!goes_before(heap, &item, &heap->items[parent]))
			break;
		put(heap, at, heap->items[parent]);
		at = parent;
	}
	return at;
}

static uint32_t sink(struct heap *heap, uint32_t at, struct heap_item item)
{
	for (;;) {
		uint64_t first = (uint64_t)at * ARITY + 1;
		if (first >= heap->len)
			return at;
		uint32_t best = (uint32_t)first;
		for (uint32_t i = best + 1; i < heap->len && i < first + ARITY; i++)
			if (goes_before(heap, &heap->items[i], &heap->items[best]))
				best = i;
		if (!goes_before(heap, &heap->items[best], &item))
			return at;
		put(heap, at, heap->items[best]);
		at = best;
	}
}

static void settle(struct heap *heap, uint32_t at, struct heap_item item)
{
	uint32_t risen = rise(heap, at, item);
	put(heap, risen == at ? sink(heap, at, item) : risen, item);
}

void heap_add(struct heap *heap, struct heap_node *node, uint64_t key)
{
	struct heap_item item = { key, node };
	REQUIRE(node->place == 0 && heap->len < heap->cap);
	uint32_t at = heap->len++;
	put(heap, rise(heap, at, item), item);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
	uint32_t at = node->place - 1;
	REQUIRE(node->place > 0 && node->place <= heap->len && heap->items[at].node == node);
	node->place = 0;
	if (at == --heap->len)
		return;
	settle(heap, at, heap->items[heap->len]);
}

void heap_move(struct heap *heap, struct heap_node *node, uint64_t key)
{
	uint32_t at = node->place - 1;
	REQUIRE(node->place > 0 && node->place <= heap->len && heap->items[at].node == node);
	settle(heap, at, (struct heap_item){ key, node });
}
