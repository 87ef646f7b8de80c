/* cedar_conform.c - records are closed: what the schema does not name is refused. */
#include "common/defs.h"
#include "policy/cedar_conform.h"

struct check {
	struct arena *arena;
	const struct cedar_schema *schema;
	struct err *err;
};

static int conform(const struct check *check, const struct cedar_type *type,
		   const struct cedar_value *value);

/* The id is one of those that an enum lists. */
static int conform_choice(const struct check *check, const struct cedar_uid *uid)
{
	const struct cedar_entity_type *type = cedar_schema_entity(check->schema, uid->type);
	if (type && type->is_enum && !cedar_names_have(&type->choices, uid->id))
		return err_set(check->err, E_INVALID, "an id is not listed by the enum `%s`",
		               cedar_str_show(check->arena, uid->type));
	return 0;
}

static int conform_uid(const struct check *check, const struct cedar_type *type,
		       const struct cedar_uid *uid)
{
	if (!cedar_str_equal(type->name, uid->type))
		return err_set(check->err, E_INVALID, "must be an entity of type `%s`, is of `%s`",
		               cedar_str_show(check->arena, type->name),
		               cedar_str_show(check->arena, uid->type));
	return conform_choice(check, uid);
}

static int conform_set(const struct check *check, const struct cedar_type *type,
		       const struct cedar_items *set)
{
	for (size_t i = 0; i < set->count; i++)
		if (conform(check, type->element, &set->items[i]) < 0)
			return err_prefix(check->err, "an element");
	return 0;
}

/* Both ascend by name. */
static int conform_record(const struct check *check, const struct cedar_type *type,
			  const struct cedar_record *record)
{
	for (size_t i = 0; i < record->count; i++) {
		const struct cedar_field *field = &record->fields[i];
		const struct cedar_attr *attr = cedar_type_attr(type, field->name);
		if (!attr)
			return err_set(check->err, E_INVALID, "the schema has no attribute `%s`",
			               cedar_str_show(check->arena, field->name));
		if (conform(check, attr->type, &field->value) < 0)
			return err_prefix(check->err, "`%s`",
			                  cedar_str_show(check->arena, field->name));
	}
	for (size_t i = 0; i < type->count; i++)
		if (type->attrs[i].required && !cedar_record_get(record, type->attrs[i].name))
			return err_set(check->err, E_INVALID, "the attribute `%s` is required",
			               cedar_str_show(check->arena, type->attrs[i].name));
	return 0;
}

static int conform(const struct check *check, const struct cedar_type *type,
		   const struct cedar_value *value)
{
	if (cedar_type_kind_of(value->kind) != (enum cedar_type_kind)type->kind)
		return err_set(check->err, E_INVALID, "must be %s, is %s", cedar_type_name(type),
		               cedar_kind_name(value->kind));
	switch (value->kind) {
	case CEDAR_ENTITY: return conform_uid(check, type, value->uid);
	case CEDAR_SET: return conform_set(check, type, value->set);
	case CEDAR_RECORD: return conform_record(check, type, value->record);
	default: return 0;
	}
}

int cedar_conform_value(struct arena *arena, const struct cedar_schema *schema,
			const struct cedar_type *type, const struct cedar_value *value,
			struct err *err)
{
	struct check check = { arena, schema, err };
	return conform(&check, type, value);
}

static int conform_tags(const struct check *check, const struct cedar_entity_type *type,
			const struct cedar_record *tags)
{
	if (tags->count && !type->tags)
		return err_set(check->err, E_INVALID, "entities of this type have no tags");
	for (size_t i = 0; i < tags->count; i++)
		if (conform(check, type->tags, &tags->fields[i].value) < 0)
			return err_prefix(check->err, "a tag");
	return 0;
}

static int conform_members(const struct check *check, const struct cedar_entity_type *type,
			   const struct cedar_entity *entity)
{
	static const struct cedar_record none = { 0, NULL };
	TRY(conform_choice(check, &entity->uid));
	TRY(conform_record(check, type->shape, entity->attrs ? entity->attrs : &none));
	TRY(conform_tags(check, type, entity->tags ? entity->tags : &none));
	for (size_t i = 0; i < entity->parent_count; i++) {
		const struct cedar_uid *parent = entity->parents[i];
		if (!cedar_names_have(&type->ancestors, parent->type))
			return err_set(check->err, E_INVALID, "a parent of type `%s` is not "
				"allowed",
			               cedar_str_show(check->arena, parent->type));
		TRY(conform_choice(check, parent));
	}
	return 0;
}

int cedar_conform_entity(struct arena *arena, const struct cedar_schema *schema,
			 const struct cedar_entity *entity, struct err *err)
{
	struct check check = { arena, schema, err };
	const struct cedar_entity_type *type = cedar_schema_entity(schema, entity->uid.type);
	if (!type && cedar_schema_action(schema, &entity->uid))
		return 0;
	if (!type)
		return err_set(err, E_INVALID, "the schema knows no entity type `%s`",
		               cedar_str_show(arena, entity->uid.type));
	if (conform_members(&check, type, entity) < 0)
		return err_prefix(err, "an entity of type `%s`",
		                  cedar_str_show(arena, entity->uid.type));
	return 0;
}

static int conform_side(const struct check *check, const char *side,
	const struct cedar_names *types,
			const struct cedar_uid *uid)
{
	if (!cedar_names_have(types, uid->type))
		return err_set(check->err, E_INVALID, "the action does not apply to a %s of type "
			"`%s`",
		               side, cedar_str_show(check->arena, uid->type));
	if (conform_choice(check, uid) < 0)
		return err_prefix(check->err, "%s", side);
	return 0;
}

int cedar_conform_request(struct arena *arena, const struct cedar_schema *schema,
			  const struct cedar_request *request, struct err *err)
{
	struct check check = { arena, schema, err };
	const struct cedar_action_type *action = cedar_schema_action(schema, &request->action);
	if (!action)
		return err_set(err, E_INVALID, "the schema knows no such action");
	TRY(conform_side(&check, "principal", &action->principals, &request->principal));
	TRY(conform_side(&check, "resource", &action->resources, &request->resource));
	if (conform_record(&check, action->context, request->context) < 0)
		return err_prefix(err, "context");
	return 0;
}
