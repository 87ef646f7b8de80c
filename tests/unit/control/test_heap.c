/* test_heap.c - the smallest key first, through any order of changes. */
#include "common/defs.h"
#include "control/heap.h"

#include <criterion/criterion.h>

enum { COUNT = 500 };

struct thing { struct heap_node node; uint64_t key; int rank; };

static uint64_t next(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return *seed >> 33;
}

static bool ranks_before(const struct heap_node *a, const struct heap_node *b)
{
	return HEAP_OWNER(a, const struct thing, node)->rank <
		HEAP_OWNER(b, const struct thing, node)->rank;
}

static const struct thing *smallest(const struct thing things[COUNT])
{
	const struct thing *best = NULL;
	for (int i = 0; i < COUNT; i++)
		if (things[i].node.place && (!best || things[i].key < best->key ||
		    (things[i].key == best->key && things[i].rank < best->rank)))
			best = &things[i];
	return best;
}

Test(heap, has_the_smallest_first_whatever_was_added_moved_and_removed)
{
	static struct thing things[COUNT];
	struct heap heap = { .before = ranks_before };
	uint64_t seed = 7;
	cr_assert(heap_reserve(&heap, COUNT));
	for (int i = 0; i < COUNT; i++)
		things[i].rank = i;
	for (int step = 0; step < 20000; step++) {
		struct thing *thing = &things[next(&seed) % COUNT];
		bool remove = next(&seed) % 3 == 0;
		if (thing->node.place && remove) {
			heap_remove(&heap, &thing->node);
		} else {
			thing->key = next(&seed) % 100;
			if (thing->node.place)
				heap_move(&heap, &thing->node, thing->key);
			else
				heap_add(&heap, &thing->node, thing->key);
		}
		const struct thing *first = smallest(things);
		cr_assert_eq(heap_first(&heap), first ? &first->node : NULL);
	}
	heap_release(&heap);
	cr_assert_null(heap_first(&heap));
}

Test(heap, grows_when_room_is_asked_for_and_not_before)
{
	struct heap heap = { 0 };
	cr_assert(heap_reserve(&heap, 1));
	uint32_t cap = heap.cap;
	cr_assert(heap_reserve(&heap, cap) && heap.cap == cap);
	cr_assert(heap_reserve(&heap, cap + 1) && heap.cap > cap);
	heap_release(&heap);
}
