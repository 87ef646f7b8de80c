/* cedar_schema.c - questions to a schema. */
#include "common/defs.h"
#include "policy/cedar_schema.h"

bool cedar_names_have(const struct cedar_names *names, struct cedar_str name)
{
	for (size_t i = 0; i < names->count; i++)
		if (cedar_str_equal(names->items[i], name))
			return true;
	return false;
}

const struct cedar_entity_type *cedar_schema_entity(const struct cedar_schema *schema,
						    struct cedar_str name)
{
	size_t low = 0, high = schema->entity_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = cedar_str_compare(name, schema->entities[middle].name);
		if (!order)
			return &schema->entities[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

const struct cedar_action_type *cedar_schema_action(const struct cedar_schema *schema,
						    const struct cedar_uid *uid)
{
	for (size_t i = 0; i < schema->action_count; i++)
		if (cedar_uid_equal(&schema->actions[i].uid, uid))
			return &schema->actions[i];
	return NULL;
}

bool cedar_schema_is_action(const struct cedar_schema *schema, struct cedar_str type)
{
	for (size_t i = 0; i < schema->action_count; i++)
		if (cedar_str_equal(schema->actions[i].uid.type, type))
			return true;
	return false;
}

bool cedar_schema_below(const struct cedar_schema *schema, struct cedar_str type,
			struct cedar_str of)
{
	if (cedar_str_equal(type, of))
		return true;
	const struct cedar_entity_type *entity = cedar_schema_entity(schema, type);
	return entity && cedar_names_have(&entity->ancestors, of);
}

bool cedar_action_below(const struct cedar_action_type *action, const struct cedar_uid *of)
{
	if (cedar_uid_equal(&action->uid, of))
		return true;
	for (size_t i = 0; i < action->ancestor_count; i++)
		if (cedar_uid_equal(action->ancestors[i], of))
			return true;
	return false;
}
