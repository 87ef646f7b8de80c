/* field.h - tables of fields: what a manifest's spec, a task's spec or a message may hold.
 * The tables are rows of .def files; this checks a value against one. The errors name the field's
 * path, the rule and, for an unknown field, the nearest known one. */
#ifndef FIELD_H
#define FIELD_H

#include "common/buf.h"
#include "common/value.h"

enum field_kind {
	FIELD_TEXT,       /* any text; arg: longest length as a number, or NULL (4096) */
	FIELD_NAME,       /* name_check */
	FIELD_REF,        /* NAME or DOMAIN.NAME; arg: the kind it refers to, "dataset" */
	FIELD_INT,        /* 64 bits, not negative; arg: the largest, or NULL */
	FIELD_REAL,
	FIELD_BOOL,
	FIELD_DURATION,   /* "24h"; see duration_parse */
	FIELD_ENUM,       /* arg: "csv|jsonl|parquet" */
	FIELD_TYPE,       /* a column type; see field_column_types */
	FIELD_NAMES,      /* a list of names; arg: the most of them, or NULL (FIELD_LIST_MAX) */
	FIELD_TEXTS,      /* a list of texts; arg as FIELD_TEXT */
	FIELD_REFS,       /* a list of refs; arg as FIELD_REF */
	FIELD_ENUMS,      /* a list out of arg */
	FIELD_SUBJECT,    /* a principal's name, or "group:NAME" */
	FIELD_SUBJECTS,   /* a list of them */
	FIELD_OBJECTS,    /* a list of maps; sub is their table */
	FIELD_MAP,        /* text to text */
	FIELD_OBJECT      /* a map; sub is its table, NULL: any members */
};

struct field {
	enum field_kind kind;
	bool required;
	const char *name;
	const char *arg;
	const struct field *sub;
	const char *doc;
};

enum { FIELD_LIST_MAX = 1024 };

/* Checks every member of map (NULL: a map without members); `path` is put before names in errors
 * ("spec"). Ends at a row with a NULL name. What is required is also not empty; a list names
 * nothing twice (objects: by their `name`, case does not count). E_INVALID. */
MUST_USE int fields_check(const struct field *table, const struct value *map, const char *path,
                          struct err *err);
/* The JSON schema of a table, as OpenAPI 3.1 wants it. */
void fields_schema(const struct field *table, struct buf *out);

/* The most items a list may have. */
size_t field_list_max(const struct field *field);

/* Column types: boolean int32 int64 float64 string timestamp date decimal(p,s) bytes. */
bool field_type_valid(const char *type);
/* DuckDB's name of one ("BIGINT"), or NULL. */
const char *field_type_sql(const char *type, char out[32]);

#endif
