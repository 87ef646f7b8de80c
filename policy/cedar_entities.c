/* cedar_entities.c - a table of entities by uid. Invariants: slots is a power of two and at most
 * half full; after the close, ancestors is closed under parents. */
#include "common/defs.h"
#include "policy/cedar_entities.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS_FIRST = 64 };
enum walk { WALK_NEW, WALK_OPEN, WALK_DONE };

struct node {
	struct cedar_entity entity;
	uint8_t walk;
	size_t at;               /* the parent that is looked at next */
};

struct cedar_entities {
	struct arena *arena;
	size_t count, slots;
	struct node **table;
	bool closed;
};

static int no_room(struct err *err)
{
	return err_set(err, E_NOMEM, "no memory left for the entities; send fewer");
}

int cedar_entities_new(struct arena *arena, struct cedar_entities **ret_entities, struct err *err)
{
	struct cedar_entities *entities = arena_alloc(arena, sizeof *entities);
	if (!entities)
		return no_room(err);
	entities->arena = arena;
	entities->slots = SLOTS_FIRST;
	entities->table = arena_alloc(arena, SLOTS_FIRST * sizeof *entities->table);
	if (!entities->table)
		return no_room(err);
	*ret_entities = entities;
	return 0;
}

/* Where uid is, or the free slot where it belongs. */
static struct node **slot_of(const struct cedar_entities *entities, const struct cedar_uid *uid)
{
	size_t mask = entities->slots - 1, i = uid->hash & mask;
	while (entities->table[i] && !cedar_uid_equal(&entities->table[i]->entity.uid, uid))
		i = (i + 1) & mask;
	return &entities->table[i];
}

static int grow(struct cedar_entities *entities, struct err *err)
{
	struct node **old = entities->table;
	size_t slots = entities->slots;
	struct node **table = arena_alloc(entities->arena, slots * 2 * sizeof *table);
	if (!table)
		return no_room(err);
	entities->table = table;
	entities->slots = slots * 2;
	for (size_t i = 0; i < slots; i++)
		if (old[i])
			*slot_of(entities, &old[i]->entity.uid) = old[i];
	return 0;
}

int cedar_entities_add(struct cedar_entities *entities, const struct cedar_entity *entity,
		       struct err *err)
{
	static const struct cedar_record none = { 0, NULL };
	REQUIRE(!entities->closed);
	if (*slot_of(entities, &entity->uid))
		return err_set(err, E_INVALID, "an entity of type `%s` is given twice; each once",
		               cedar_str_show(entities->arena, entity->uid.type));
	if (entities->count * 2 >= entities->slots)
		TRY(grow(entities, err));
	struct node *node = arena_alloc(entities->arena, sizeof *node);
	if (!node)
		return no_room(err);
	node->entity = *entity;
	if (!node->entity.attrs)
		node->entity.attrs = &none;
	if (!node->entity.tags)
		node->entity.tags = &none;
	*slot_of(entities, &entity->uid) = node;
	entities->count++;
	return 0;
}

static int by_hash(const void *a, const void *b)
{
	const struct cedar_uid *left = *(const struct cedar_uid *const *)a;
	const struct cedar_uid *right = *(const struct cedar_uid *const *)b;
	if (left->hash != right->hash)
		return left->hash > right->hash ? 1 : -1;
	int order = cedar_str_compare(left->type, right->type);
	return order ? order : cedar_str_compare(left->id, right->id);
}

/* Its parents are done: their ancestors, and they, are its ancestors. */
static int gather(struct cedar_entities *entities, struct node *node, struct err *err)
{
	size_t count = node->entity.parent_count, used = 0, kept = 0;
	for (size_t i = 0; i < node->entity.parent_count; i++) {
		struct node *parent = *slot_of(entities, node->entity.parents[i]);
		count += parent ? parent->entity.ancestor_count : 0;
	}
	if (!count)
		return 0;
	const struct cedar_uid **all = arena_alloc(entities->arena, count * sizeof *all);
	if (!all)
		return no_room(err);
	for (size_t i = 0; i < node->entity.parent_count; i++) {
		struct node *parent = *slot_of(entities, node->entity.parents[i]);
		all[used++] = node->entity.parents[i];
		for (size_t j = 0; parent && j < parent->entity.ancestor_count; j++)
			all[used++] = parent->entity.ancestors[j];
	}
	qsort(all, used, sizeof *all, by_hash);
	for (size_t i = 0; i < used; i++)
		if (!kept || !cedar_uid_equal(all[kept - 1], all[i]))
			all[kept++] = all[i];
	node->entity.ancestors = all;
	node->entity.ancestor_count = kept;
	return 0;
}

static int circle(struct cedar_entities *entities, const struct node *node, struct err *err)
{
	return err_set(err, E_INVALID, "parents form a circle at an entity of type `%s`; an entity "
	               "must not be below itself", cedar_str_show(entities->arena,
	               node->entity.uid.type));
}

/* Depth first, with a stack of our own: a chain of parents may be as long as the store. */
static int walk_from(struct cedar_entities *entities, struct node *start, struct node **stack,
		     struct err *err)
{
	size_t depth = 0;
	stack[depth++] = start;
	start->walk = WALK_OPEN;
	while (depth) {
		struct node *node = stack[depth - 1];
		if (node->at == node->entity.parent_count) {
			TRY(gather(entities, node, err));
			node->walk = WALK_DONE;
			depth--;
			continue;
		}
		struct node *parent = *slot_of(entities, node->entity.parents[node->at++]);
		if (!parent || parent->walk == WALK_DONE)
			continue;
		if (parent->walk == WALK_OPEN)
			return circle(entities, parent, err);
		parent->walk = WALK_OPEN;
		stack[depth++] = parent;
	}
	return 0;
}

int cedar_entities_close(struct cedar_entities *entities, struct err *err)
{
	struct node **stack = arena_alloc(entities->arena, (entities->count + 1) * sizeof *stack);
	if (!stack)
		return no_room(err);
	for (size_t i = 0; i < entities->slots; i++) {
		struct node *node = entities->table[i];
		if (node && node->walk == WALK_NEW)
			TRY(walk_from(entities, node, stack, err));
	}
	entities->closed = true;
	return 0;
}

size_t cedar_entities_count(const struct cedar_entities *entities)
{
	return entities->count;
}

const struct cedar_entity *cedar_entities_find(const struct cedar_entities *entities,
					       const struct cedar_uid *uid)
{
	struct node *node = *slot_of(entities, uid);
	return node ? &node->entity : NULL;
}

bool cedar_entity_in(const struct cedar_uid *uid, const struct cedar_entity *entity,
		     const struct cedar_uid *of)
{
	if (cedar_uid_equal(uid, of))
		return true;
	size_t low = 0, high = entity ? entity->ancestor_count : 0;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (entity->ancestors[middle]->hash < of->hash)
			low = middle + 1;
		else
			high = middle;
	}
	for (; entity && low < entity->ancestor_count; low++) {
		if (entity->ancestors[low]->hash != of->hash)
			return false;
		if (cedar_uid_equal(entity->ancestors[low], of))
			return true;
	}
	return false;
}
