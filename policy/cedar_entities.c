/* cedar_entities.c - a table of entities by uid; the first few lie in a row instead, which is all
 * that a request has. Invariants: slots is 0 or a power of two and at most half full; after the
 * close, ancestors is closed under parents. */
#include "common/defs.h"
#include "policy/cedar_entities.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS_FIRST = 64, FEW = 8 };
enum walk { WALK_NEW, WALK_OPEN, WALK_DONE };

struct node {
	struct cedar_entity entity;
	uint8_t walk;
	size_t at;               /* the parent that is looked at next */
};

struct cedar_entities {
	struct arena *arena;
	const struct cedar_entities *base;       /* NULL: none */
	size_t count, slots;
	struct node **table;             /* NULL: there are few, and in the order of the adding */
	struct node *few[FEW];
	bool closed;
};

static int no_room(struct err *err)
{
	return err_set(err, E_NOMEM, "no memory left for the entities; send fewer");
}

int cedar_entities_new_over(struct arena *arena, const struct cedar_entities *base,
			    struct cedar_entities **ret_entities, struct err *err)
{
	struct cedar_entities *entities = arena_alloc(arena, sizeof *entities);
	if (!entities)
		return no_room(err);
	entities->arena = arena;
	entities->base = base;
	*ret_entities = entities;
	return 0;
}

int cedar_entities_new(struct arena *arena, struct cedar_entities **ret_entities, struct err *err)
{
	return cedar_entities_new_over(arena, NULL, ret_entities, err);
}

/* Where uid is, or the free slot where it belongs. */
static struct node **slot_of(const struct cedar_entities *entities, const struct cedar_uid *uid)
{
	size_t mask = entities->slots - 1, i = uid->hash & mask;
	while (entities->table[i] && !cedar_uid_equal(&entities->table[i]->entity.uid, uid))
		i = (i + 1) & mask;
	return &entities->table[i];
}

/* Of the store itself; NULL: not there. */
static struct node *node_of(const struct cedar_entities *entities, const struct cedar_uid *uid)
{
	if (entities->table)
		return *slot_of(entities, uid);
	for (size_t i = 0; i < entities->count; i++)
		if (cedar_uid_equal(&entities->few[i]->entity.uid, uid))
			return entities->few[i];
	return NULL;
}

/* All of them lie in `from`, some of whose places may be free. */
static int spread(struct cedar_entities *entities, struct node **from, size_t count, size_t slots,
		  struct err *err)
{
	struct node **table = arena_alloc(entities->arena, slots * sizeof *table);
	if (!table)
		return no_room(err);
	entities->table = table;
	entities->slots = slots;
	for (size_t i = 0; i < count; i++)
		if (from[i])
			*slot_of(entities, &from[i]->entity.uid) = from[i];
	return 0;
}

static int place(struct cedar_entities *entities, struct node *node, struct err *err)
{
	if (entities->count < FEW)
		entities->few[entities->count] = node;
	else if (entities->count == FEW)
		TRY(spread(entities, entities->few, FEW, SLOTS_FIRST, err));
	else if (entities->count * 2 >= entities->slots)
		TRY(spread(entities, entities->table, entities->slots, entities->slots * 2, err));
	if (entities->table)
		*slot_of(entities, &node->entity.uid) = node;
	entities->count++;
	return 0;
}

int cedar_entities_add(struct cedar_entities *entities, const struct cedar_entity *entity,
		       struct err *err)
{
	static const struct cedar_record none = { 0, NULL };
	REQUIRE(!entities->closed);
	if (node_of(entities, &entity->uid))
		return err_set(err, E_INVALID, "an entity of type `%s` is given twice; each once",
		               cedar_str_show(entities->arena, entity->uid.type));
	struct node *node = arena_alloc(entities->arena, sizeof *node);
	if (!node)
		return no_room(err);
	node->entity = *entity;
	if (!node->entity.attrs)
		node->entity.attrs = &none;
	if (!node->entity.tags)
		node->entity.tags = &none;
	return place(entities, node, err);
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

static void sort(const struct cedar_uid **uids, size_t count)
{
	if (count > FEW) {
		qsort(uids, count, sizeof *uids, by_hash);
		return;
	}
	for (size_t i = 1; i < count; i++) {
		const struct cedar_uid *uid = uids[i];
		size_t at = i;
		for (; at && by_hash(&uids[at - 1], &uid) > 0; at--)
			uids[at] = uids[at - 1];
		uids[at] = uid;
	}
}

/* Its parents are done: their ancestors, and they, are its ancestors. */
static int gather(struct cedar_entities *entities, struct node *node, struct err *err)
{
	size_t count = node->entity.parent_count, used = 0, kept = 0;
	for (size_t i = 0; i < node->entity.parent_count; i++) {
		const struct cedar_entity *parent =
			cedar_entities_find(entities, node->entity.parents[i]);
		count += parent ? parent->ancestor_count : 0;
	}
	if (!count)
		return 0;
	const struct cedar_uid **all = arena_alloc(entities->arena, count * sizeof *all);
	if (!all)
		return no_room(err);
	for (size_t i = 0; i < node->entity.parent_count; i++) {
		const struct cedar_entity *parent =
			cedar_entities_find(entities, node->entity.parents[i]);
		all[used++] = node->entity.parents[i];
		for (size_t j = 0; parent && j < parent->ancestor_count; j++)
			all[used++] = parent->ancestors[j];
	}
	sort(all, used);
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
		struct node *parent = node_of(entities, node->entity.parents[node->at++]);
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
	struct node *const *all = entities->table ? entities->table : entities->few;
	size_t places = entities->table ? entities->slots : entities->count;
	struct node **stack = arena_alloc(entities->arena, (entities->count + 1) * sizeof *stack);
	if (!stack)
		return no_room(err);
	for (size_t i = 0; i < places; i++) {
		struct node *node = all[i];
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
	const struct node *node = node_of(entities, uid);
	for (; !node && entities->base; node = node_of(entities, uid))
		entities = entities->base;
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
