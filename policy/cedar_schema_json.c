/* cedar_schema_json.c - the JSON form (docs.cedarpolicy.com, "JSON schema format"). Depth is
 * bounded by the document's. Members that mean nothing are refused: a misspelt one would silently
 * allow more. */
#include "common/defs.h"
#include "policy/cedar_schema_raw.h"

#include "policy/cedar_json.h"
#include "policy/cedar_lex.h"

#include <string.h>

static int read_type(struct raw_schema *raw, const struct value *value,
		     const struct raw_type **ret_type);

static int wrong(struct raw_schema *raw, const char *what, const char *must)
{
	return err_set(raw->err, E_INVALID, "%s must be %s", what, must);
}

/* known ends with NULL. */
static int check_members(struct raw_schema *raw, const struct value *map, const char *what,
			 const char *const *known)
{
	if (value_kind(map) != VALUE_MAP)
		return wrong(raw, what, "a map");
	for (size_t i = 0; i < value_len(map); i++) {
		const char *name = NULL;
		size_t k = 0;
		value_member(map, i, &name);
		while (known[k] && strcmp(known[k], name) != 0)
			k++;
		if (!known[k])
			return err_set(raw->err, E_INVALID, "%s has a member `%.64s`, which means "
			               "nothing there", what, name);
	}
	return 0;
}

static int read_names(struct raw_schema *raw, const struct value *list, const char *what,
		      struct cedar_str **ret_names, size_t *ret_count)
{
	if (list && value_kind(list) != VALUE_LIST)
		return wrong(raw, what, "a list of strings");
	for (size_t i = 0; i < value_len(list); i++) {
		struct cedar_str name;
		TRY(cedar_json_str(raw->arena, value_at(list, i), what, &name, raw->err));
		TRY(raw_add_name(raw, ret_names, ret_count, name));
	}
	return 0;
}

static int read_record(struct raw_schema *raw, const struct value *value, struct raw_type *type)
{
	const struct value *attrs = value_get(value, "attributes");
	if (value_kind(attrs) != VALUE_MAP)
		return wrong(raw, "the `attributes` of a Record", "a map");
	if (value_get_bool(value, "additionalAttributes", false))
		return wrong(raw, "`additionalAttributes`", "false");
	type->count = value_len(attrs);
	type->attrs = arena_alloc(raw->arena, (type->count + 1) * sizeof *type->attrs);
	if (!type->attrs)
		return err_set(raw->err, E_NOMEM, "no memory left for the schema");
	for (size_t i = 0; i < type->count; i++) {
		const char *name = NULL;
		const struct value *attr = value_member(attrs, i, &name);
		TRY(cedar_json_name(raw->arena, name, &type->attrs[i].name, raw->err));
		type->attrs[i].required = value_get_bool(attr, "required", true);
		TRY(read_type(raw, attr, &type->attrs[i].type));
	}
	return 0;
}

static int read_type(struct raw_schema *raw, const struct value *value,
		     const struct raw_type **ret_type)
{
	static const struct { const char *name; uint8_t kind; } named[] = {
		{ "Entity", RAW_ENTITY }, { "EntityOrCommon", RAW_NAME }, { "Extension", RAW_OWN },
	};
	static const char *const own[] = { "Long", "String", "Bool", "Boolean" };
	struct cedar_str name;
	struct raw_type *type = NULL;
	TRY(cedar_json_str(raw->arena, value_get(value, "type"), "the `type` of a type", &name,
	                   raw->err));
	TRY(raw_make_type(raw, RAW_COMMON, name, &type));
	*ret_type = type;
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (cedar_str_is(name, own[i]))
			type->kind = RAW_OWN;
	for (size_t i = 0; i < ARRAY_LEN(named); i++) {
		if (!cedar_str_is(name, named[i].name))
			continue;
		type->kind = named[i].kind;
		return cedar_json_str(raw->arena, value_get(value, "name"), "the `name` of a type",
		                      &type->name, raw->err);
	}
	if (cedar_str_is(name, "Set")) {
		type->kind = RAW_SET;
		return read_type(raw, value_get(value, "element"), &type->element);
	}
	if (!cedar_str_is(name, "Record"))
		return 0;
	type->kind = RAW_RECORD;
	return read_record(raw, value, type);
}

static int read_common(struct raw_schema *raw, struct cedar_str space, struct cedar_str name,
		       const struct value *value)
{
	const struct raw_type *type = NULL;
	TRY(read_type(raw, value, &type));
	return raw_add_common(raw, space, name, type);
}

static int read_entity(struct raw_schema *raw, struct cedar_str space, struct cedar_str name,
		       const struct value *value)
{
	static const char *const known[] = {
		"memberOfTypes", "shape", "tags", "enum", "annotations", NULL,
	};
	struct raw_entity entity = { .space = space };
	struct cedar_str *choices = NULL;
	const struct value *shape = value_get(value, "shape"), *tags = value_get(value, "tags");
	TRY(check_members(raw, value, "an entity type", known));
	entity.is_enum = value_get(value, "enum") != NULL;
	TRY(read_names(raw, value_get(value, "enum"), "an `enum`", &choices,
	               &entity.choices.count));
	entity.choices.items = choices;
	if (entity.is_enum && (!entity.choices.count || shape || tags))
		return wrong(raw, "an `enum`", "a list of at least one id, without shape and tags");
	TRY(read_names(raw, value_get(value, "memberOfTypes"), "`memberOfTypes`", &entity.parents,
	               &entity.parent_count));
	if (shape)
		TRY(read_type(raw, shape, &entity.shape));
	if (tags)
		TRY(read_type(raw, tags, &entity.tags));
	return raw_add_entity(raw, &entity, name);
}

static int read_applies(struct raw_schema *raw, const struct value *value,
			struct raw_applies *applies)
{
	static const char *const known[] = { "principalTypes", "resourceTypes", "context", NULL };
	const struct value *context = value_get(value, "context");
	TRY(check_members(raw, value, "`appliesTo`", known));
	if (!value_get(value, "principalTypes") || !value_get(value, "resourceTypes"))
		return wrong(raw, "`appliesTo`", "given both `principalTypes` and `resourceTypes`");
	TRY(read_names(raw, value_get(value, "principalTypes"), "`principalTypes`",
	               &applies->principals, &applies->principal_count));
	TRY(read_names(raw, value_get(value, "resourceTypes"), "`resourceTypes`",
	               &applies->resources, &applies->resource_count));
	return context ? read_type(raw, context, &applies->context) : 0;
}

static int read_parents(struct raw_schema *raw, const struct value *list, struct raw_action *action)
{
	size_t count = value_len(list);
	if (list && value_kind(list) != VALUE_LIST && value_kind(list) != VALUE_NULL)
		return wrong(raw, "`memberOf`", "a list of actions");
	action->parents = arena_alloc(raw->arena, (count + 1) * sizeof *action->parents);
	if (!action->parents)
		return err_set(raw->err, E_NOMEM, "no memory left for the schema");
	action->parent_count = count;
	for (size_t i = 0; i < count; i++) {
		const struct value *item = value_at(list, i), *type = value_get(item, "type");
		action->parents[i].type = CEDAR_STR("");
		TRY(cedar_json_str(raw->arena, value_get(item, "id"), "the `id` of an action",
		                   &action->parents[i].id, raw->err));
		if (type)
			TRY(cedar_json_str(raw->arena, type, "the `type` of an action",
			                   &action->parents[i].type, raw->err));
	}
	return 0;
}

static int read_action(struct raw_schema *raw, struct cedar_str space, struct cedar_str id,
		       const struct value *value)
{
	static const char *const known[] = { "appliesTo", "memberOf", "annotations", NULL };
	struct raw_action action = { .space = space, .id = id };
	const struct value *applies = value_get(value, "appliesTo");
	TRY(check_members(raw, value, "an action", known));
	TRY(read_parents(raw, value_get(value, "memberOf"), &action));
	if (value_kind(applies) != VALUE_NULL)
		TRY(read_applies(raw, applies, &action.applies));
	return raw_add_action(raw, &action);
}

static int read_each(struct raw_schema *raw, struct cedar_str space, const struct value *map,
		     const char *what,
		     int (*read)(struct raw_schema *raw, struct cedar_str space,
				 struct cedar_str name, const struct value *value))
{
	if (map && value_kind(map) != VALUE_MAP)
		return wrong(raw, what, "a map");
	for (size_t i = 0; i < value_len(map); i++) {
		const char *name = NULL;
		struct cedar_str full;
		const struct value *value = value_member(map, i, &name);
		TRY(cedar_json_name(raw->arena, name, &full, raw->err));
		if (read(raw, space, full, value) < 0)
			return err_prefix(raw->err, "%s, `%.64s`", what, name);
	}
	return 0;
}

static int read_namespace(struct raw_schema *raw, struct cedar_str unused, struct cedar_str space,
			  const struct value *value)
{
	static const char *const known[] = {
		"commonTypes", "entityTypes", "actions", "annotations", NULL,
	};
	(void)unused;
	TRY(check_members(raw, value, "a namespace", known));
	TRY(read_each(raw, space, value_get(value, "commonTypes"), "commonTypes", read_common));
	TRY(read_each(raw, space, value_get(value, "entityTypes"), "entityTypes", read_entity));
	return read_each(raw, space, value_get(value, "actions"), "actions", read_action);
}

int cedar_schema_parse_json(struct arena *arena, const char *text, size_t len,
			    const struct cedar_schema **ret_schema, struct err *err)
{
	struct raw_schema raw = { .arena = arena, .err = err };
	struct value *root = NULL;
	TRY(cedar_json_read(arena, text, len, &root, err));
	if (value_kind(root) != VALUE_MAP)
		return wrong(&raw, "a schema", "a map of namespaces");
	TRY(read_each(&raw, CEDAR_STR(""), root, "namespace", read_namespace));
	return raw_build(&raw, ret_schema);
}
