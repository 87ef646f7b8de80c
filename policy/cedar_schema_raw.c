/* cedar_schema_raw.c - collects what the readers find. */
#include "common/defs.h"
#include "policy/cedar_schema_raw.h"

#include "policy/cedar_lex.h"

#include <string.h>

static int no_room(struct raw_schema *raw)
{
	return err_set(raw->err, E_NOMEM, "no memory left for the schema");
}

int raw_full_name(struct raw_schema *raw, struct cedar_str space, struct cedar_str name,
		  struct cedar_str *ret_name)
{
	if (!space.len) {
		*ret_name = name;
		return 0;
	}
	size_t len = space.len + 2 + name.len;
	char *full = arena_alloc(raw->arena, len + 1);
	if (!full)
		return no_room(raw);
	memcpy(full, space.text, space.len);
	memcpy(full + space.len, "::", 2);
	memcpy(full + space.len + 2, name.text, name.len);
	*ret_name = (struct cedar_str){ full, len };
	return 0;
}

int raw_add_common(struct raw_schema *raw, struct cedar_str space, struct cedar_str name,
		   const struct raw_type *type)
{
	static const char *const taken[] = {
		"Bool", "Boolean", "Entity", "Extension", "Long", "Record", "Set", "String",
	};
	for (size_t i = 0; i < ARRAY_LEN(taken); i++)
		if (cedar_str_is(name, taken[i]))
			return err_set(raw->err, E_INVALID, "a common type is named `%s`, which is "
				"a type of the language; rename it", taken[i]);
	struct raw_common made = { .space = space, .type = type };
	TRY(raw_full_name(raw, space, name, &made.name));
	raw->commons = cedar_grow(raw->arena, raw->commons, raw->common_count,
	                          sizeof *raw->commons);
	if (!raw->commons)
		return no_room(raw);
	raw->commons[raw->common_count++] = made;
	return 0;
}

int raw_add_entity(struct raw_schema *raw, const struct raw_entity *entity, struct cedar_str name)
{
	struct raw_entity made = *entity;
	TRY(raw_full_name(raw, entity->space, name, &made.name));
	raw->entities = cedar_grow(raw->arena, raw->entities, raw->entity_count,
	                           sizeof *raw->entities);
	if (!raw->entities)
		return no_room(raw);
	raw->entities[raw->entity_count++] = made;
	return 0;
}

int raw_add_action(struct raw_schema *raw, const struct raw_action *action)
{
	raw->actions = cedar_grow(raw->arena, raw->actions, raw->action_count,
	                          sizeof *raw->actions);
	if (!raw->actions)
		return no_room(raw);
	raw->actions[raw->action_count++] = *action;
	return 0;
}

int raw_add_name(struct raw_schema *raw, struct cedar_str **names, size_t *count,
		 struct cedar_str name)
{
	*names = cedar_grow(raw->arena, *names, *count, sizeof **names);
	if (!*names)
		return no_room(raw);
	(*names)[(*count)++] = name;
	return 0;
}

int raw_make_type(struct raw_schema *raw, enum raw_kind kind, struct cedar_str name,
		  struct raw_type **ret_type)
{
	struct raw_type *type = arena_alloc(raw->arena, sizeof *type);
	if (!type)
		return no_room(raw);
	*type = (struct raw_type){ .kind = (uint8_t)kind, .name = name };
	*ret_type = type;
	return 0;
}
