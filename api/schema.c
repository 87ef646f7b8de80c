/* schema.c - field tables as JSON schemas. What fields_check accepts a schema accepts, and what it
 * refuses a schema refuses, but for lengths in bytes, column types' precision and items named
 * twice. */
#include "common/defs.h"
#include "api/schema.h"

#include "common/json.h"

#include <stdlib.h>
#include <string.h>

#define NAME_RE "[a-z]([a-z0-9_-]{0,61}[a-z0-9_])?"
#define SUBJECT_RE "^(group:)?" NAME_RE "$"
#define DURATION_RE "^([0-9]+(ms|[smhd]))+$"
#define TYPE_RE "^(boolean|int32|int64|float64|string|timestamp|date|bytes|" \
	"decimal\\([1-9][0-9]?,[0-9][0-9]?\\))$"
#define SCHEMA_ARENA (4 * MIB)

struct value *schema_type(struct arena *arena, const char *type, const char *doc)
{
	struct value *schema = value_map(arena);
	value_set_str(schema, "type", type);
	value_set_str(schema, "description", doc);
	return schema;
}

struct value *schema_ref(struct arena *arena, const char *name)
{
	if (!name)                           /* no memory for it */
		return NULL;
	struct value *schema = value_map(arena);
	const char *text = arena_printf(arena, "#/components/schemas/%s", name);
	value_set(schema, "$ref", value_str(arena, text));
	return schema;
}

static struct value *with_pattern(struct arena *arena, const char *pattern)
{
	struct value *schema = schema_type(arena, "string", NULL);
	value_set_str(schema, "pattern", pattern);
	return schema;
}

static struct value *text_schema(struct arena *arena, const struct field *field)
{
	struct value *schema = schema_type(arena, "string", NULL);
	if (field->required)
		value_set_int(schema, "minLength", 1);
	value_set_int(schema, "maxLength", field->arg ? strtoll(field->arg, NULL, 10) : 4096);
	return schema;
}

static struct value *ref_schema(struct arena *arena, const struct field *field)
{
	struct value *schema = with_pattern(arena, "^(" NAME_RE "\\.)?" NAME_RE "$");
	value_set_str(schema, "x-freehold-kind", field->arg);
	return schema;
}

static struct value *int_schema(struct arena *arena, const struct field *field)
{
	struct value *schema = schema_type(arena, "integer", NULL);
	value_set_str(schema, "format", "int64");
	value_set_int(schema, "minimum", 0);
	if (field->arg)
		value_set_int(schema, "maximum", strtoll(field->arg, NULL, 10));
	return schema;
}

static struct value *enum_schema(struct arena *arena, const char *choices)
{
	struct value *schema = schema_type(arena, "string", NULL);
	struct value *list = value_list(arena);
	while (choices && *choices) {
		size_t len = strcspn(choices, "|");
		value_add(list, value_strn(arena, choices, len));
		choices += len + (choices[len] == '|');
	}
	value_set(schema, "enum", list);
	return schema;
}

static struct value *map_schema(struct arena *arena)
{
	struct value *schema = schema_type(arena, "object", NULL);
	value_set(schema, "additionalProperties", schema_type(arena, "string", NULL));
	value_set_int(schema, "maxProperties", FIELD_LIST_MAX);
	return schema;
}

static struct value *list_schema(struct arena *arena, const struct field *field,
                                 struct value *items)
{
	struct value *schema = schema_type(arena, "array", NULL);
	value_set(schema, "items", items);
	if (field->required)
		value_set_int(schema, "minItems", 1);
	value_set_int(schema, "maxItems", (int64_t)field_list_max(field));
	return schema;
}

static struct value *bare_schema(struct arena *arena, const struct field *field)
{
	switch (field->kind) {
	case FIELD_TEXT: return text_schema(arena, field);
	case FIELD_NAME: return with_pattern(arena, "^" NAME_RE "$");
	case FIELD_REF: return ref_schema(arena, field);
	case FIELD_INT: return int_schema(arena, field);
	case FIELD_REAL: return schema_type(arena, "number", NULL);
	case FIELD_BOOL: return schema_type(arena, "boolean", NULL);
	case FIELD_DURATION: return with_pattern(arena, DURATION_RE);
	case FIELD_ENUM: return enum_schema(arena, field->arg);
	case FIELD_TYPE: return with_pattern(arena, TYPE_RE);
	case FIELD_NAMES: return list_schema(arena, field, with_pattern(arena, "^" NAME_RE "$"));
	case FIELD_TEXTS: return list_schema(arena, field, text_schema(arena, field));
	case FIELD_REFS: return list_schema(arena, field, ref_schema(arena, field));
	case FIELD_SUBJECT: return with_pattern(arena, SUBJECT_RE);
	case FIELD_SUBJECTS: return list_schema(arena, field, with_pattern(arena, SUBJECT_RE));
	case FIELD_ENUMS: return list_schema(arena, field, enum_schema(arena, field->arg));
	case FIELD_OBJECTS:
		return list_schema(arena, field, schema_of_fields(arena, field->sub));
	case FIELD_MAP: return map_schema(arena);
	case FIELD_OBJECT: break;
	}
	return field->sub ? schema_of_fields(arena, field->sub)
	                  : schema_type(arena, "object", NULL);
}

void schema_set_list(struct value *map, const char *name, struct value *list)
{
	if (value_len(list) || value_check(list, NULL) < 0)
		value_set(map, name, list);
}

struct value *schema_of_field(struct arena *arena, const struct field *field)
{
	struct value *schema = bare_schema(arena, field);
	value_set_str(schema, "description", field->doc);
	return schema;
}

struct value *schema_of_fields(struct arena *arena, const struct field *table)
{
	struct value *schema = schema_type(arena, "object", NULL);
	struct value *properties = value_map(arena);
	struct value *required = value_list(arena);
	for (; table->name; table++) {
		value_set(properties, table->name, schema_of_field(arena, table));
		if (table->required)
			value_add_str(required, table->name);
	}
	value_set(schema, "properties", properties);
	schema_set_list(schema, "required", required);
	value_set_bool(schema, "additionalProperties", false);
	return schema;
}

const char *schema_kind_text(struct arena *arena, const struct field *field)
{
	switch (field->kind) {
	case FIELD_TEXT: return "text";
	case FIELD_NAME: return "name";
	case FIELD_REF: return arena_printf(arena, "name of a %s", field->arg);
	case FIELD_INT: return "integer";
	case FIELD_REAL: return "number";
	case FIELD_BOOL: return "true or false";
	case FIELD_DURATION: return "duration";
	case FIELD_ENUM:
	case FIELD_ENUMS: break;
	case FIELD_TYPE: return "column type";
	case FIELD_NAMES: return "names";
	case FIELD_TEXTS: return "texts";
	case FIELD_REFS: return arena_printf(arena, "names of %s", field->arg);
	case FIELD_SUBJECT: return "principal or group:NAME";
	case FIELD_SUBJECTS: return "principals and group:NAME";
	case FIELD_OBJECTS: return "list";
	case FIELD_MAP: return "text to text";
	case FIELD_OBJECT: return "map";
	}
	char *text = arena_printf(arena, "%s%s", field->kind == FIELD_ENUMS ? "any of " : "",
	                          field->arg);
	for (char *at = text; at && *at; at++)
		if (*at == '|')
			*at = '/';
	return text;
}

void fields_schema(const struct field *table, struct buf *out)
{
	AUTO(arena) *arena = NULL;
	struct value *schema = NULL;
	if (arena_new(SCHEMA_ARENA, &arena, NULL) == 0)
		schema = schema_of_fields(arena, table);
	if (value_check(schema, NULL) == 0)
		json_print(schema, out);
	else
		out->failed = out->starved = true;
}
