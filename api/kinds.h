/* kinds.h - the kinds of resources, from kinds.def. */
#ifndef KINDS_H
#define KINDS_H

#include "api/field.h"

enum kind_scope { SCOPE_PLATFORM, SCOPE_TENANT, SCOPE_DOMAIN };

enum kind {
	KIND_NONE = -1,
#define SUBTABLE(name, FIELDS)
#define KIND(id, Kind, plural, scope, name, FIELDS) KIND_##id,
#include "api/kinds.def"
#undef KIND
#undef SUBTABLE
	KIND_COUNT_
};

struct kind_info {
	const char *kind;            /* "FeatureView", as in manifests */
	const char *name;            /* "featureview", as in refs and messages */
	const char *plural;          /* "featureviews", as in paths */
	enum kind_scope scope;
	const struct field *fields;  /* of spec */
};

extern const struct kind_info kind_info[KIND_COUNT_];

enum kind kind_by_name(const char *kind);        /* "FeatureView" or "featureview" */
enum kind kind_by_plural(const char *plural);

#endif
