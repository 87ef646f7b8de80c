/* openapi_schemas.c - components/schemas: manifests by kind, task requests by type, answers. */
#include "common/defs.h"
#include "api/openapi.h"

#include "api/manifest.h"
#include "api/operation.h"
#include "api/schema.h"
#include "api/graph.h"
#include "api/tasks.h"

#include <string.h>

/* --- small parts --- */

static struct value *object_new(struct arena *arena, const char *doc)
{
	struct value *schema = schema_type(arena, "object", doc);
	value_set(schema, "properties", value_map(arena));
	value_set(schema, "required", value_list(arena));
	return schema;
}

static void object_add(struct value *object, const char *name, bool required, struct value *member)
{
	value_set(value_get_mut(object, "properties"), name, member);
	if (required)
		value_add_str(value_get_mut(object, "required"), name);
}

static struct value *constant(struct arena *arena, const char *text)
{
	struct value *schema = schema_type(arena, "string", NULL);
	value_set_str(schema, "const", text);
	return schema;
}

static struct value *array_of(struct arena *arena, struct value *items, const char *doc)
{
	struct value *schema = schema_type(arena, "array", doc);
	value_set(schema, "items", items);
	return schema;
}

static void add_named(struct value *schemas, struct arena *arena, const char *stem, const char *end,
                      struct value *schema)
{
	const char *name = arena_printf(arena, "%s%s", stem, end);
	if (name)
		value_set(schemas, name, schema);
	else
		value_set(schemas, "", NULL); /* marks the failure */
}

/* --- manifests --- */

static struct value *manifest_schema(struct arena *arena, const struct kind_info *info)
{
	struct value *schema = object_new(arena, NULL);
	bool spec = false;
	for (const struct field *field = info->fields; field->name; field++)
		spec |= field->required;
	object_add(schema, "apiVersion", true, constant(arena, API_VERSION));
	object_add(schema, "kind", true, constant(arena, info->kind));
	object_add(schema, "metadata", true, schema_ref(arena, "Metadata"));
	const char *name = arena_printf(arena, "%sSpec", info->kind);
	object_add(schema, "spec", spec, name ? schema_ref(arena, name) : NULL);
	struct value *status = schema_type(arena, "object", "set by the server");
	value_set_bool(status, "readOnly", true);
	object_add(schema, "status", false, status);
	value_set_bool(schema, "additionalProperties", false);
	return schema;
}

static struct value *page_schema(struct arena *arena, const char *item)
{
	struct value *schema = object_new(arena, NULL);
	object_add(schema, "items", true, array_of(arena, schema_ref(arena, item), NULL));
	object_add(schema, "continue", false,
	           schema_type(arena, "string", "token of the next page; absent: there is none"));
	return schema;
}

static struct value *written_schema(struct arena *arena, const struct kind_info *info)
{
	struct value *schema = object_new(arena, NULL);
	struct value *result = schema_type(arena, "string", "what PUT did, or would do");
	struct value *results = value_list(arena);
	value_add_str(results, "created");
	value_add_str(results, "configured");
	value_add_str(results, "unchanged");
	value_set(result, "enum", results);
	object_add(schema, "result", true, result);
	object_add(schema, "diff", true,
	           array_of(arena, schema_ref(arena, "Difference"), "field by field"));
	object_add(schema, "resource", true, schema_ref(arena, info->kind));
	object_add(schema, "warnings", false,
	           array_of(arena, schema_type(arena, "string", NULL),
	                    "sentences: what is allowed and hardly meant"));
	object_add(schema, "missing", false,
	           array_of(arena, schema_ref(arena, "Missing"),
	                    "of a dry run: what must be there before it is written"));
	return schema;
}

static struct value *missing_schema(struct arena *arena)
{
	struct value *schema = object_new(arena, "what a manifest refers to and is not there");
	object_add(schema, "path", true,
	           schema_type(arena, "string", "the field that refers to it"));
	object_add(schema, "kind", true, schema_type(arena, "string", "its kind"));
	object_add(schema, "name", true, schema_type(arena, "string", "its name"));
	object_add(schema, "tenant", false, schema_type(arena, "string", "whose it is"));
	object_add(schema, "domain", false, schema_type(arena, "string", "where it lies"));
	return schema;
}

static void add_kinds(struct arena *arena, struct value *schemas)
{
	for (int i = 0; i < KIND_COUNT_; i++) {
		const struct kind_info *info = &kind_info[i];
		value_set(schemas, info->kind, manifest_schema(arena, info));
		add_named(schemas, arena, info->kind, "Spec",
		          schema_of_fields(arena, info->fields));
		add_named(schemas, arena, info->kind, "List", page_schema(arena, info->kind));
		add_named(schemas, arena, info->kind, "Written", written_schema(arena, info));
	}
	struct value *difference = object_new(arena, "a changed field; without old: new, without "
	                                             "new: gone");
	object_add(difference, "path", true, schema_type(arena, "string", "spec.schema[0].type"));
	object_add(difference, "old", false, value_map(arena));
	object_add(difference, "new", false, value_map(arena));
	value_set(schemas, "Difference", difference);
	value_set(schemas, "Missing", missing_schema(arena));
	value_set(schemas, "Metadata", schema_of_fields(arena, manifest_metadata_fields));
}

/* --- tasks --- */

/* item: of a batch, which may say what makes it the same task when it is sent again. */
static struct value *task_schema(struct arena *arena, const struct task_info *info, bool item)
{
	struct value *schema = object_new(arena, NULL);
	bool spec = false;
	for (const struct field *field = info->fields; field->name; field++)
		spec |= field->required;
	object_add(schema, "type", true, constant(arena, info->name));
	object_add(schema, "spec", spec, schema_of_fields(arena, info->fields));
	object_add(schema, "limits", false, schema_ref(arena, "TaskLimits"));
	object_add(schema, "placement", false, schema_ref(arena, "TaskPlacement"));
	if (item)
		object_add(schema, "idempotencyKey", false,
		           schema_type(arena, "string", "the same key with the same task submits "
		                       "once"));
	value_set_bool(schema, "additionalProperties", false);
	return schema;
}

static struct value *task_choice(struct arena *arena, bool item)
{
	struct value *choice = value_map(arena), *types = value_list(arena);
	for (int i = 0; i < TASK_COUNT_; i++)
		if (!task_info[i].platform)
			value_add(types, task_schema(arena, &task_info[i], item));
	value_set(choice, "oneOf", types);
	return choice;
}

static void add_tasks(struct arena *arena, struct value *schemas)
{
	struct value *batch = object_new(arena, "accepted together, or not at all");
	object_add(batch, "items", true, array_of(arena, task_choice(arena, true),
	                                          "1 to 1000 tasks"));
	value_set(schemas, "TaskRequest", task_choice(arena, false));
	value_set(schemas, "TaskBatch", batch);
	value_set(schemas, "TaskLimits", schema_of_fields(arena, task_limit_fields));
	value_set(schemas, "RunRequest", schema_of_fields(arena, run_request_fields));
	value_set(schemas, "TaskPlacement", schema_of_fields(arena, task_placement_fields));
}

/* --- answers --- */

/* Answers may grow members: whoever reads one ignores what it does not know. */
static struct value *answer_schema(struct arena *arena, const struct answer *answer)
{
	if (!answer->fields)
		return page_schema(arena, answer->item);
	struct value *schema = schema_of_fields(arena, answer->fields);
	value_remove(schema, "additionalProperties");
	return schema;
}

/* --- online features; as Feast's feature server --- */

static struct value *nullable(struct arena *arena, const char *type, const char *doc)
{
	struct value *schema = value_map(arena);
	struct value *types = value_list(arena);
	value_add_str(types, type);
	value_add_str(types, "null");
	value_set(schema, "type", types);
	value_set_str(schema, "description", doc);
	return schema;
}

static struct value *features_request_schema(struct arena *arena)
{
	struct value *schema = object_new(arena, NULL);
	struct value *entities = schema_type(arena, "object",
	                                     "join key: values, the same number "
	                                     "of each");
	value_set(entities, "additionalProperties", array_of(arena, value_map(arena), NULL));
	object_add(schema, "features", true,
	           array_of(arena, schema_type(arena, "string", NULL),
	                    "VIEW:FEATURE or DOMAIN.VIEW:FEATURE"));
	object_add(schema, "entities", true, entities);
	object_add(schema, "full_feature_names", false,
	           schema_type(arena, "boolean", "name features VIEW__FEATURE; default false"));
	return schema;
}

static struct value *features_result_schema(struct arena *arena)
{
	struct value *result = object_new(arena, "one column; item j belongs to entity row j");
	struct value *status = schema_type(arena, "string", NULL);
	struct value *statuses = value_list(arena);
	value_add_str(statuses, "PRESENT");
	value_add_str(statuses, "NULL_VALUE");
	value_add_str(statuses, "NOT_FOUND");
	value_add_str(statuses, "OUTSIDE_MAX_AGE");
	value_set(status, "enum", statuses);
	object_add(result, "values", true, array_of(arena, value_map(arena), NULL));
	object_add(result, "statuses", true, array_of(arena, status, NULL));
	object_add(result, "event_timestamps", true,
	           array_of(arena, nullable(arena, "string", "RFC 3339"), NULL));
	return result;
}

static struct value *features_schema(struct arena *arena)
{
	struct value *schema = object_new(arena, "results[i] belongs to metadata.feature_names[i]; "
	                                         "entity columns first");
	struct value *metadata = object_new(arena, NULL);
	object_add(metadata, "feature_names", true,
	           array_of(arena, schema_type(arena, "string", NULL), NULL));
	object_add(schema, "metadata", true, metadata);
	object_add(schema, "results", true, array_of(arena, features_result_schema(arena), NULL));
	return schema;
}

/* --- queries --- */

static struct value *query_result_schema(struct arena *arena)
{
	struct value *schema = object_new(arena, "as JSON; other formats hold the rows alone");
	struct value *column = object_new(arena, NULL), *row = array_of(arena, value_map(arena),
	                                                                "by column");
	object_add(column, "name", true, schema_type(arena, "string", NULL));
	object_add(column, "type", true, schema_type(arena, "string",
	                                             "as of a dataset's column; json for nested "
	                                             "values"));
	object_add(schema, "columns", true, array_of(arena, column, NULL));
	object_add(schema, "rows", true, array_of(arena, row, NULL));
	object_add(schema, "rowCount", true, schema_type(arena, "integer", NULL));
	object_add(schema, "more", true, schema_type(arena, "boolean",
	                                             "limit left rows out"));
	return schema;
}

struct value *openapi_schemas(struct arena *arena)
{
	struct value *schemas = value_map(arena);
	add_kinds(arena, schemas);
	add_tasks(arena, schemas);
	for (const struct answer *answer = answers; answer->name; answer++)
		value_set(schemas, answer->name, answer_schema(arena, answer));
	value_set(schemas, "OnlineFeaturesRequest", features_request_schema(arena));
	value_set(schemas, "OnlineFeatures", features_schema(arena));
	value_set(schemas, "QueryResult", query_result_schema(arena));
	return value_check(schemas, NULL) == 0 ? schemas : NULL;
}
