/* operation.c - the generated pages' tables. */
#include "common/defs.h"
#include "api/operation.h"

#include <ctype.h>
#include <string.h>

#define REQUIRED true
#define OPTIONAL false
#define NULL_fields NULL     /* what a row without a sub-table names */
#define ROW(kind, name, need, arg, sub, doc) { FIELD_##kind, need, #name, arg, sub##_fields, doc },
#define FIELD_END { FIELD_TEXT, false, NULL, NULL, NULL, NULL }

#define PARAMETER(id, name, in, type, doc)
#define OPERATION(handler, tag, parameters, request, status, answer)
#define ANSWERS(name, item)
#define ANSWER(name, FIELDS)
#define SUBANSWER(name, FIELDS) static const struct field name##_fields[] = { FIELDS(ROW) FIELD_END };
#include "api/operations.def"
#undef ANSWER
#undef SUBANSWER

#define SUBANSWER(name, FIELDS)
#define ANSWER(name, FIELDS) static const struct field name##_answer[] = { FIELDS(ROW) FIELD_END };
#include "api/operations.def"
#undef ANSWER
#undef ANSWERS

const struct answer answers[] = {
#define ANSWER(name, FIELDS) { #name, name##_answer, NULL },
#define ANSWERS(name, item) { #name, NULL, #item },
#include "api/operations.def"
#undef ANSWER
#undef ANSWERS
	{ NULL, NULL, NULL }
};

#define ANSWER(name, FIELDS)
#define ANSWERS(name, item)
#undef PARAMETER
const struct parameter parameters[] = {
#define PARAMETER(id, name, in, type, doc) { #id, name, #in, #type, doc },
#include "api/operations.def"
#undef PARAMETER
	{ NULL, NULL, NULL, NULL, NULL }
};

#define PARAMETER(id, name, in, type, doc)
#undef OPERATION
enum operation_number {
#define OPERATION(handler, tag, parameters, request, status, answer) OPERATION_##handler,
#include "api/operations.def"
#undef OPERATION
};

static const struct operation operations[] = {
#define OPERATION(handler, tag, parameters, request, status, answer) \
	{ #handler, #tag, parameters, request, status, answer },
#include "api/operations.def"
#undef OPERATION
};

#define ROUTE_ROW(method, path, handler, kind, action, audit, serving, summary) \
	{ #method, path, &operations[OPERATION_##handler], KIND_##kind, #action, #audit, serving, \
	  summary },
const struct route_row route_rows[] = {
#define ROUTE(method, path, handler, kind, action, unit, audit, summary) \
	ROUTE_ROW(method, path, handler, kind, action, audit, false, summary)
#include "api/routes.def"
#undef ROUTE
#define ROUTE(method, path, handler, kind, action, unit, audit, summary) \
	ROUTE_ROW(method, path, handler, kind, action, audit, true, summary)
#include "api/serving.def"
#undef ROUTE
	{ NULL, NULL, NULL, KIND_NONE, NULL, NULL, false, NULL }
};

const struct parameter *parameter_next(const char **list)
{
	*list += strspn(*list, " ");
	size_t len = strcspn(*list, " ");
	const struct parameter *found = parameters;
	while (found->id && (strlen(found->id) != len || memcmp(found->id, *list, len) != 0))
		found++;
	REQUIRE(len == 0 || found->id);
	*list += len;
	return found->id ? found : NULL;
}

/* policy/actions.def names DATASET_READ "dataset:read" and USAGE_READ_ALL "usage:read-all". */
const char *route_action(struct arena *arena, const struct route_row *row)
{
	char *name = arena_strdup(arena, row->action);
	char separator = ':';
	for (char *at = name; at && *at; at++) {
		if (*at == '_') {
			*at = separator;
			separator = '-';
		} else {
			*at = (char)tolower((unsigned char)*at);
		}
	}
	return name;
}

/* listDatasetList, putDataset; others by their handler: taskSubmit. */
const char *route_operation(struct arena *arena, const struct route_row *row)
{
	const char *handler = row->operation->handler;
	if (strncmp(handler, "resource_", 9) == 0) {
		bool list = strcmp(handler, "resource_list") == 0;
		const char *kind = kind_info[row->kind].kind;
		return arena_printf(arena, "%s%s%s", handler + 9, kind, list ? "List" : "");
	}
	/* One handler for several kinds: the kind tells them apart. */
	const char *kind = row->kind == KIND_NONE ? "" : kind_info[row->kind].kind;
	char *id = arena_alloc(arena, strlen(handler) + strlen(kind) + 1);
	size_t n = 0;
	for (bool up = false; id && *handler; handler++) {
		if (*handler != '_')
			id[n++] = up ? (char)toupper((unsigned char)*handler) : *handler;
		up = *handler == '_';
	}
	if (id)
		memcpy(id + n, kind, strlen(kind));
	return id;
}

bool route_public(const struct route_row *row)
{
	return strcmp(row->action, "PUBLIC") == 0;
}

const char *route_schema(struct arena *arena, const struct route_row *row, const char *name)
{
	if (!name || name[0] != '@')
		return name;
	REQUIRE(row->kind != KIND_NONE);
	const char *kind = kind_info[row->kind].kind;
	if (strcmp(name, "@kind") == 0)
		return kind;
	return arena_printf(arena, "%s%s", kind, strcmp(name, "@list") == 0 ? "List" : "Written");
}
