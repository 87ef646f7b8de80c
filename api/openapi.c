/* openapi.c - the OpenAPI document: info, paths, and what is shared beside openapi_schemas.c. */
#include "common/defs.h"
#include "api/openapi.h"

#include "api/operation.h"
#include "api/problem.h"
#include "api/schema.h"
#include "common/json.h"

#include <ctype.h>
#include <string.h>

#define OPENAPI_ARENA (16 * MIB)
#define JSON "application/json"

static struct value *ref_to(struct arena *arena, const char *what, const char *name)
{
	struct value *ref = value_map(arena);
	const char *text = arena_printf(arena, "#/components/%s/%s", what, name);
	value_set(ref, "$ref", value_str(arena, text));
	return ref;
}

static struct value *described(struct arena *arena, const char *doc)
{
	struct value *map = value_map(arena);
	value_set_str(map, "description", doc);
	return map;
}

/* {type: {schema}} */
static struct value *content(struct arena *arena, const char *type, struct value *schema)
{
	struct value *media = value_map(arena);
	struct value *map = value_map(arena);
	value_set(media, "schema", schema);
	value_set(map, type, media);
	return map;
}

static struct value *parameter_value(struct arena *arena, const struct parameter *parameter)
{
	struct value *map = value_map(arena);
	value_set_str(map, "name", parameter->name);
	value_set_str(map, "in", parameter->in);
	value_set_str(map, "description", parameter->doc);
	if (strcmp(parameter->in, "path") == 0)
		value_set_bool(map, "required", true);
	value_set(map, "schema", schema_type(arena, parameter->type, NULL));
	return map;
}

/* --- one operation --- */

/* What its format says. */
static struct value *query_content(struct arena *arena, const char *name)
{
	static const char *const others[] = {
		"application/x-ndjson", "text/csv", "application/vnd.apache.parquet" };
	struct value *types = content(arena, JSON, schema_ref(arena, name));
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		struct value *other = value_map(arena);
		value_set(other, "schema", schema_type(arena, "string", NULL));
		value_set(types, others[i], other);
	}
	return types;
}

static struct value *answer_content(struct arena *arena, const struct route_row *row)
{
	static const struct { const char *answer, *type; } types[] = {
		{ "text", "text/plain" }, { "bytes", "application/octet-stream" },
		{ "events", "text/event-stream" },
		{ "archive", "application/vnd.freehold.backup" },
	};
	const char *name = route_schema(arena, row, row->operation->answer);
	if (!name && row->operation->answer)
		return NULL;                 /* without memory for it */
	for (size_t i = 0; name && i < ARRAY_LEN(types); i++)
		if (strcmp(name, types[i].answer) == 0)
			return content(arena, types[i].type, schema_type(arena, "string", NULL));
	if (name && strcmp(name, "object") == 0)
		return content(arena, JSON, schema_type(arena, "object", NULL));
	if (name && strcmp(name, "QueryResult") == 0)
		return query_content(arena, name);
	return content(arena, JSON, name ? schema_ref(arena, name) : NULL);
}

static bool has_parameter(const struct route_row *row, const char *id)
{
	return strstr(row->operation->parameters, id) != NULL;
}

static struct value *success(struct arena *arena, const struct route_row *row)
{
	struct value *response = described(arena, row->summary);
	if (row->kind != KIND_NONE && row->operation->answer &&
	    strcmp(row->operation->answer, "@list") != 0 && strcmp(row->method, "DELETE") != 0) {
		struct value *headers = value_map(arena);
		value_set(headers, "ETag", ref_to(arena, "headers", "ETag"));
		value_set(response, "headers", headers);
	}
	value_set(response, "content", answer_content(arena, row));
	return response;
}

static struct value *responses(struct arena *arena, const struct route_row *row)
{
	struct value *map = value_map(arena);
	for (const char *at = row->operation->status; *at; at += strspn(at, " ")) {
		size_t len = strcspn(at, " ");
		char *status = arena_strndup(arena, at, len);
		value_set(map, status ? status : "", status ? success(arena, row) : NULL);
		at += len;
	}
	if (has_parameter(row, "DRY_RUN") && !value_get(map, "200")) {
		struct value *dry = described(arena, "With dryRun: what would be answered");
		value_set(dry, "content", content(arena, JSON, schema_type(arena, "object", NULL)));
		value_set(map, "200", dry);
	}
	value_set(map, "4XX", ref_to(arena, "responses", "Problem"));
	value_set(map, "5XX", ref_to(arena, "responses", "Problem"));
	return map;
}

static struct value *request_body(struct arena *arena, const struct route_row *row)
{
	const char *name = route_schema(arena, row, row->operation->request);
	struct value *body = value_map(arena);
	struct value *types = content(arena, JSON, schema_ref(arena, name));
	if (!row->serving) {
		struct value *yaml = value_map(arena);
		value_set(yaml, "schema", schema_ref(arena, name));
		value_set(types, "application/yaml", yaml);
	}
	value_set_bool(body, "required", strcmp(row->operation->handler, "apikey_create") != 0);
	value_set(body, "content", types);
	return body;
}

static struct value *operation_value(struct arena *arena, const struct route_row *row)
{
	struct value *map = value_map(arena);
	struct value *tags = value_list(arena);
	struct value *list = value_list(arena);
	const struct parameter *parameter;
	const char *ids = row->operation->parameters;
	value_add_str(tags, row->operation->tag);
	value_set(map, "operationId", value_str(arena, route_operation(arena, row)));
	value_set_str(map, "summary", row->summary);
	value_set(map, "tags", tags);
	value_set(map, "x-freehold-action", value_str(arena, route_action(arena, row)));
	while ((parameter = parameter_next(&ids)))
		value_add(list, ref_to(arena, "parameters", parameter->name));
	schema_set_list(map, "parameters", list);
	if (row->operation->request)
		value_set(map, "requestBody", request_body(arena, row));
	value_set(map, "responses", responses(arena, row));
	if (route_public(row))
		value_set(map, "security", value_list(arena));
	return map;
}

/* --- paths --- */

/* The parameters that a path's {segments} are. */
static struct value *path_parameters(struct arena *arena, const char *path)
{
	struct value *list = value_list(arena);
	for (const char *at = strchr(path, '{'); at; at = strchr(at, '{')) {
		size_t len = strcspn(++at, "}");
		const struct parameter parameter = {
			.name = arena_strndup(arena, at, len), .in = "path", .type = "string"
		};
		if (parameter.name)
			value_add(list, parameter_value(arena, &parameter));
		else
			value_add(list, NULL);
	}
	return list;
}

static struct value *path_new(struct arena *arena, const struct route_row *row)
{
	struct value *path = value_map(arena);
	struct value *list = path_parameters(arena, row->path);
	schema_set_list(path, "parameters", list);
	if (row->serving) {
		struct value *servers = value_list(arena);
		struct value *server = described(arena, "servingUrl of /v1/whoami");
		value_set_str(server, "url", "/");
		value_add(servers, server);
		value_set(path, "servers", servers);
	}
	return path;
}

static struct value *paths(struct arena *arena)
{
	struct value *map = value_map(arena);
	for (const struct route_row *row = route_rows; row->path; row++) {
		char *method = arena_strdup(arena, row->method);
		for (char *at = method; at && *at; at++)
			*at = (char)tolower((unsigned char)*at);
		if (!value_get(map, row->path))
			value_set(map, row->path, path_new(arena, row));
		value_set(value_get_mut(map, row->path), method ? method : "",
		          method ? operation_value(arena, row) : NULL);
	}
	return map;
}

/* --- the whole --- */

static struct value *components(struct arena *arena)
{
	struct value *map = value_map(arena);
	struct value *part = value_map(arena);
	struct value *bearer = described(arena, "An API key: fh_ID_SECRET");
	value_set_str(bearer, "type", "http");
	value_set_str(bearer, "scheme", "bearer");
	value_set(part, "bearer", bearer);
	value_set(map, "securitySchemes", part);
	part = value_map(arena);
	for (const struct parameter *parameter = parameters; parameter->id; parameter++)
		value_set(part, parameter->name, parameter_value(arena, parameter));
	value_set(map, "parameters", part);
	part = value_map(arena);
	struct value *etag = described(arena, "Its version, for If-Match");
	value_set(etag, "schema", schema_type(arena, "string", NULL));
	value_set(part, "ETag", etag);
	value_set(map, "headers", part);
	part = value_map(arena);
	struct value *problem = described(arena, "What was refused or failed, and the way out");
	value_set(problem, "content", content(arena, PROBLEM_TYPE, schema_ref(arena, "Problem")));
	value_set(part, "Problem", problem);
	value_set(map, "responses", part);
	value_set(map, "schemas", openapi_schemas(arena));
	return map;
}

static struct value *info(struct arena *arena)
{
	struct value *map = value_map(arena);
	struct value *license = value_map(arena);
	value_set_str(map, "title", "Freehold");
	value_set_str(map, "version", FREEHOLD_VERSION);
	value_set_str(map, "description", "A multi-tenant data platform: datasets, tasks and "
	              "online features, encrypted, authorised, metered and audited.");
	value_set_str(license, "name", "Apache-2.0");
	value_set_str(license, "identifier", "Apache-2.0");
	value_set(map, "license", license);
	return map;
}

static struct value *tags(struct arena *arena)
{
	struct value *list = value_list(arena);
	for (const struct route_row *row = route_rows; row->path; row++) {
		bool known = false;
		for (size_t i = 0; i < value_len(list); i++) {
			const char *name = value_get_str(value_at(list, i), "name");
			known |= name && strcmp(name, row->operation->tag) == 0;
		}
		if (known)
			continue;
		struct value *tag = value_map(arena);
		value_set_str(tag, "name", row->operation->tag);
		value_add(list, tag);
	}
	return list;
}

static struct value *document(struct arena *arena)
{
	struct value *map = value_map(arena);
	struct value *security = value_list(arena);
	struct value *bearer = value_map(arena);
	value_set(bearer, "bearer", value_list(arena));
	value_add(security, bearer);
	value_set_str(map, "openapi", "3.1.0");
	value_set(map, "info", info(arena));
	value_set(map, "security", security);
	value_set(map, "tags", tags(arena));
	value_set(map, "paths", paths(arena));
	value_set(map, "components", components(arena));
	return map;
}

typedef void print_fn(const struct value *value, struct buf *out);

static void print_document(print_fn *print, struct buf *out)
{
	AUTO(arena) *arena = NULL;
	struct value *made = NULL;
	if (arena_new(OPENAPI_ARENA, &arena, NULL) == 0)
		made = document(arena);
	if (value_check(made, NULL) == 0)
		print(made, out);
	else
		out->failed = out->starved = true;
}

void openapi_print(struct buf *out)
{
	print_document(json_print, out);
}

void openapi_print_pretty(struct buf *out)
{
	print_document(json_print_pretty, out);
	buf_putc(out, '\n');
}
