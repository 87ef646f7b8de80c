/* kinds.c - kinds.def as tables. */
#include "common/defs.h"
#include "api/kinds.h"

#include "api/graph.h"

#include <string.h>

#define REQUIRED true
#define OPTIONAL false
#define NULL_fields NULL     /* what a row without a sub-table names */
#define ROW(kind, name, need, arg, sub, doc) { FIELD_##kind, need, #name, arg, sub##_fields, doc },
#define FIELD_END { FIELD_TEXT, false, NULL, NULL, NULL, NULL }

#define SUBTABLE(name, FIELDS) \
	static const struct field name##_fields[] = { FIELDS(ROW) FIELD_END };
#define KIND(id, Kind, plural, scope, name, FIELDS) SUBTABLE(name, FIELDS)
#include "api/kinds.def"
#undef KIND
#undef SUBTABLE

#define SUBTABLE(name, FIELDS)
#define KIND(id, Kind, plural, scope, name, FIELDS) \
	{ #Kind, #name, #plural, SCOPE_##scope, name##_fields },
const struct kind_info kind_info[KIND_COUNT_] = {
#include "api/kinds.def"
};
#undef KIND
#undef SUBTABLE

enum kind kind_by_name(const char *kind)
{
	for (int i = 0; kind && i < KIND_COUNT_; i++)
		if (strcmp(kind, kind_info[i].kind) == 0 || strcmp(kind, kind_info[i].name) == 0)
			return i;
	return KIND_NONE;
}

enum kind kind_by_plural(const char *plural)
{
	for (int i = 0; plural && i < KIND_COUNT_; i++)
		if (strcmp(plural, kind_info[i].plural) == 0)
			return i;
	return KIND_NONE;
}
