/* cedar_entities.h - the entities that policies are decided over: attributes, tags, ancestors.
 *
 * Filled once, then closed; a closed store is immutable and any thread may read it. All of it lives
 * in the arena it was made in. A store may lie over a closed one, which outlives it: what it does
 * not have itself is found there. */
#ifndef CEDAR_ENTITIES_H
#define CEDAR_ENTITIES_H

#include "policy/cedar_value.h"

struct cedar_entity {
	struct cedar_uid uid;
	const struct cedar_record *attrs;
	const struct cedar_record *tags;
	size_t parent_count;
	const struct cedar_uid *const *parents;
	/* Set when the store is closed: ascending by hash, the entity itself left out. */
	size_t ancestor_count;
	const struct cedar_uid *const *ancestors;
};

struct cedar_entities;

MUST_USE int cedar_entities_new(struct arena *arena, struct cedar_entities **ret_entities,
				struct err *err);
/* base NULL: over none. */
MUST_USE int cedar_entities_new_over(struct arena *arena, const struct cedar_entities *base,
				     struct cedar_entities **ret_entities, struct err *err);
/* Keeps what the entity points to; attrs and tags may be NULL. E_INVALID for a uid
 * that is there. */
MUST_USE int cedar_entities_add(struct cedar_entities *entities, const struct cedar_entity *entity,
				struct err *err);
/* Finds every entity's ancestors. E_INVALID when parents form a circle. */
MUST_USE int cedar_entities_close(struct cedar_entities *entities, struct err *err);

/* Without those of the base. */
size_t cedar_entities_count(const struct cedar_entities *entities);
const struct cedar_entity *cedar_entities_find(const struct cedar_entities *entities,
					       const struct cedar_uid *uid);
/* The entity is `of` or below it. entity may be NULL: then only uid itself counts. */
bool cedar_entity_in(const struct cedar_uid *uid, const struct cedar_entity *entity,
		     const struct cedar_uid *of);

#endif
