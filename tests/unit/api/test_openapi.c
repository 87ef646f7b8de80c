/* test_openapi.c - the OpenAPI document and the pages say what the tables say. */
#include "common/defs.h"
#include "api/openapi.h"

#include "api/kinds.h"
#include "api/operation.h"
#include "api/tasks.h"
#include "common/json.h"
#include "tests/support/alloc.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct arena *arena;
static struct value *document;

static void begin(void)
{
	struct err err;
	AUTO_BUF out;
	buf_init(&out, 8 * MIB);
	cr_assert_eq(arena_new(64 * MIB, &arena, &err), 0);
	openapi_print(&out);
	cr_assert_eq(buf_check(&out, &err), 0, "%s", err.text);
	cr_assert_eq(json_parse(arena, (char *)out.data, out.len, &document, &err), 0, "%s",
	             err.text);
}

static void end(void)
{
	arena_free(arena);
}

TestSuite(openapi, .init = begin, .fini = end);

static const struct value *operation_of(const struct route_row *row)
{
	char method[16] = "";
	for (size_t i = 0; row->method[i] && i < sizeof method - 1; i++)
		method[i] = (char)(row->method[i] | 0x20);
	return value_get(value_get(value_get(document, "paths"), row->path), method);
}

Test(openapi, document_has_every_route)
{
	cr_expect_str_eq(value_get_str(document, "openapi"), "3.1.0");
	cr_expect_str_eq(value_get_str(value_get(document, "info"), "version"), FREEHOLD_VERSION);
	size_t rows = 0;
	for (const struct route_row *row = route_rows; row->path; row++, rows++)
		cr_expect_not_null(operation_of(row), "%s %s", row->method, row->path);
	cr_expect_gt(rows, 50);
	cr_expect_not_null(value_get(value_get(value_get(document, "paths"),
	                                       "/get-online-features"),
	                             "post"));
}

Test(openapi, operation_ids_differ)
{
	for (const struct route_row *row = route_rows; row->path; row++) {
		const char *id = value_get_str(operation_of(row), "operationId");
		cr_assert_not_null(id);
		for (const struct route_row *other = route_rows; other < row; other++)
			cr_expect_str_neq(id, value_get_str(operation_of(other), "operationId"));
	}
}

Test(openapi, only_public_routes_need_no_credential)
{
	cr_expect_not_null(value_get(value_at(value_get(document, "security"), 0), "bearer"));
	for (const struct route_row *row = route_rows; row->path; row++) {
		const struct value *security = value_get(operation_of(row), "security");
		cr_expect_eq(security != NULL, route_public(row), "%s %s", row->method, row->path);
		cr_expect_eq(value_len(security), 0);
	}
}

/* Follows "#/a/b" from the document's root. */
static const struct value *resolve(const char *ref)
{
	const struct value *at = document;
	char part[128];
	cr_assert_eq(strncmp(ref, "#/", 2), 0, "%s", ref);
	for (ref += 2; *ref && at; ref += *ref == '/') {
		size_t len = strcspn(ref, "/");
		cr_assert_lt(len, sizeof part);
		memcpy(part, ref, len);
		part[len] = 0;
		at = value_get(at, part);
		ref += len;
	}
	return at;
}

static size_t check_refs(const struct value *value)
{
	size_t found = 0;
	for (size_t i = 0; i < value_len(value) && value_kind(value) >= VALUE_LIST; i++) {
		const char *name = NULL;
		const struct value *item = value_kind(value) == VALUE_MAP
		                           ? value_member(value, i, &name) : value_at(value, i);
		if (name && strcmp(name, "$ref") == 0) {
			cr_expect_not_null(resolve(value_as_str(item)), "%s", value_as_str(item));
			found++;
		}
		found += check_refs(item);
	}
	return found;
}

Test(openapi, every_reference_leads_somewhere)
{
	cr_expect_gt(check_refs(document), 200);
}

Test(openapi, path_parameters_are_declared)
{
	for (const struct route_row *row = route_rows; row->path; row++) {
		size_t segments = 0;
		for (const char *at = strchr(row->path, '{'); at; at = strchr(at + 1, '{'))
			segments++;
		const struct value *path = value_get(value_get(document, "paths"), row->path);
		const struct value *list = value_get(path, "parameters");
		cr_expect_eq(value_len(list), segments, "%s", row->path);
		for (size_t i = 0; i < value_len(list); i++) {
			const struct value *item = value_at(list, i);
			char *segment = arena_printf(arena, "{%s}", value_get_str(item, "name"));
			cr_expect(strstr(row->path, segment), "%s", row->path);
			cr_expect_str_eq(value_get_str(item, "in"), "path");
			cr_expect(value_get_bool(item, "required", false));
		}
	}
}

Test(openapi, every_operation_tells_its_answer_and_its_problems)
{
	for (const struct route_row *row = route_rows; row->path; row++) {
		const struct value *responses = value_get(operation_of(row), "responses");
		const char *problem = value_get_str(value_get(responses, "4XX"), "$ref");
		cr_assert_not_null(problem);
		cr_expect_str_eq(problem, "#/components/responses/Problem");
		const char *name = NULL;
		value_member(responses, 0, &name);
		cr_expect_eq(name[0], '2', "%s %s", row->method, row->path);
		cr_expect_gt(value_len(value_get(value_at(responses, 0), "content")), 0);
		bool writes = strcmp(row->method, "PUT") == 0;
		cr_expect(!writes || value_get(operation_of(row), "requestBody"));
	}
}

static bool has_option(const struct value *operation, const char *name)
{
	const struct value *list = value_get(operation, "parameters");
	char ref[128];
	snprintf(ref, sizeof ref, "#/components/parameters/%s", name);
	for (size_t i = 0; i < value_len(list); i++)
		if (strcmp(value_get_str(value_at(list, i), "$ref"), ref) == 0)
			return true;
	return false;
}

Test(openapi, options_stand_where_they_work)
{
	for (const struct route_row *row = route_rows; row->path; row++) {
		const struct value *operation = operation_of(row);
		const char *handler = row->operation->handler;
		bool put = strcmp(handler, "resource_put") == 0;
		bool gone = strcmp(handler, "resource_delete") == 0;
		bool state = strncmp(handler, "tenant_", 7) == 0 ||
			strcmp(handler, "deletion_begin") == 0;
		cr_expect_eq(has_option(operation, "If-Match"), put || gone || state);
		cr_expect_eq(has_option(operation, "If-None-Match"), put);
		cr_expect_eq(has_option(operation, "Idempotency-Key"),
		             strcmp(handler, "task_submit") == 0 ||
		             strcmp(handler, "run_start") == 0);
		cr_expect(strcmp(handler, "resource_list") != 0 ||
		          (has_option(operation, "limit") && has_option(operation, "continue")));
		cr_expect(strcmp(row->method, "GET") != 0 || !has_option(operation, "dryRun"));
	}
}

Test(openapi, every_kind_and_task_type_has_its_schema)
{
	const struct value *schemas = value_get(value_get(document, "components"), "schemas");
	for (int i = 0; i < KIND_COUNT_; i++) {
		const struct value *schema = value_get(schemas, kind_info[i].kind);
		const struct value *kind = value_get(value_get(schema, "properties"), "kind");
		cr_expect_str_eq(value_get_str(kind, "const"), kind_info[i].kind);
		char spec[64];
		snprintf(spec, sizeof spec, "%sSpec", kind_info[i].kind);
		size_t fields = 0;
		while (kind_info[i].fields[fields].name)
			fields++;
		cr_expect_eq(value_len(value_get(value_get(schemas, spec), "properties")), fields);
	}
	const struct value *types = value_get(value_get(schemas, "TaskRequest"), "oneOf");
	size_t shown = 0;
	for (int i = 0; i < TASK_COUNT_; i++) {
		if (task_info[i].platform)
			continue;
		const struct value *type = value_get(value_get(value_at(types, shown++),
		                                               "properties"),
		                                     "type");
		cr_expect_str_eq(value_get_str(type, "const"), task_info[i].name);
	}
	cr_assert_eq(value_len(types), shown);
}

Test(openapi, actions_are_named_as_in_policies)
{
	for (const struct route_row *row = route_rows; row->path; row++) {
		const char *action = route_action(arena, row);
		if (strcmp(row->action, "USAGE_READ_ALL") == 0)
			cr_expect_str_eq(action, "usage:read-all");
		if (strcmp(row->action, "FEATURES_READ") == 0)
			cr_expect_str_eq(action, "features:read");
		cr_expect_str_eq(value_get_str(operation_of(row), "x-freehold-action"), action);
	}
}

Test(openapi, pages_name_every_route_kind_field_task_and_error)
{
	struct err err;
	AUTO_BUF routes, kinds, tasks, errors;
	buf_init(&routes, MIB);
	buf_init(&kinds, MIB);
	buf_init(&tasks, MIB);
	buf_init(&errors, MIB);
	reference_routes(&routes);
	reference_kinds(&kinds);
	reference_tasks(&tasks);
	reference_errors(&errors);
	cr_assert(buf_check(&routes, &err) == 0 && buf_check(&kinds, &err) == 0);
	cr_assert(buf_check(&tasks, &err) == 0 && buf_check(&errors, &err) == 0);
	for (const struct route_row *row = route_rows; row->path; row++)
		cr_expect(strstr((char *)routes.data, row->path));
	for (int i = 0; i < KIND_COUNT_; i++) {
		cr_expect(strstr((char *)kinds.data, kind_info[i].kind));
		for (const struct field *field = kind_info[i].fields; field->name; field++)
			cr_expect(strstr((char *)kinds.data, field->name), "%s", field->name);
	}
	for (int i = 0; i < TASK_COUNT_; i++)
		cr_expect(strstr((char *)tasks.data, task_info[i].name));
	cr_expect(strstr((char *)errors.data, "| `NOT_LEADER` | 503 | later |"));
}

Test(openapi, gives_no_two_schemas_one_name)
{
	static const char *const endings[] = { "", "Spec", "List", "Written" };
	for (const struct answer *answer = answers; answer->name; answer++)
		for (int i = 0; i < KIND_COUNT_; i++)
			for (size_t j = 0; j < ARRAY_LEN(endings); j++)
				cr_expect_str_neq(answer->name,
				                  arena_printf(arena, "%s%s", kind_info[i].kind,
				                               endings[j]));
}

Test(openapi, without_memory_is_marked_as_failed_and_never_half_a_document)
{
	AUTO_BUF whole;
	buf_init(&whole, 8 * MIB);
	openapi_print(&whole);
	for (long n = 0; ; n++) {
		AUTO_BUF out;
		buf_init(&out, 8 * MIB);
		alloc_fail_after(n);
		openapi_print(&out);
		bool fired = alloc_fired();
		alloc_fail_after(-1);
		if (!fired)
			break;
		/* What was missing may have been of a part that another then took the place of. */
		bool same = out.len == whole.len && memcmp(out.data, whole.data, out.len) == 0;
		cr_expect(out.failed || same, "allocation %ld", n);
	}
}
