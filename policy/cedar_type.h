/* cedar_type.h - the types of a schema and of the validator. Immutable, in an arena. */
#ifndef CEDAR_TYPE_H
#define CEDAR_TYPE_H

#include "policy/cedar_value.h"

enum { CEDAR_TYPE_SIZE_MAX = 65536 };   /* parts of one type, those of its parts included */

enum cedar_type_kind {
	CEDAR_TYPE_FALSE, CEDAR_TYPE_TRUE,   /* a boolean that is known */
	CEDAR_TYPE_BOOL, CEDAR_TYPE_LONG, CEDAR_TYPE_STRING,
	CEDAR_TYPE_ENTITY, CEDAR_TYPE_SET, CEDAR_TYPE_RECORD,
	CEDAR_TYPE_DECIMAL, CEDAR_TYPE_IP, CEDAR_TYPE_DATETIME, CEDAR_TYPE_DURATION,
	/* Some type without parts, which nobody knows here. No schema that is read names it. */
	CEDAR_TYPE_SCALAR
};

struct cedar_attr;

struct cedar_type {
	uint8_t kind;                        /* enum cedar_type_kind */
	uint16_t depth;                      /* at most CEDAR_DEPTH_MAX */
	uint32_t size;                       /* at most CEDAR_TYPE_SIZE_MAX */
	struct cedar_str name;               /* of ENTITY: the type's full name */
	const struct cedar_type *element;    /* of SET; of an open RECORD: of every other name */
	bool lenient;                        /* of RECORD: names need no `has` before them */
	size_t count;                        /* of RECORD */
	const struct cedar_attr *attrs;      /* of RECORD: ascending by name */
};

struct cedar_attr {
	struct cedar_str name;
	bool required;
	const struct cedar_type *type;
};

/* Types without parts, shared. */
const struct cedar_type *cedar_type_of(enum cedar_type_kind kind);
const struct cedar_type *cedar_type_empty_record(void);
const struct cedar_type *cedar_type_bool(bool known);
bool cedar_type_is_bool(const struct cedar_type *type);
bool cedar_type_is_scalar(const struct cedar_type *type);
/* What a value of an extension's kind, a long, a string or a boolean has. */
enum cedar_type_kind cedar_type_kind_of(enum cedar_kind kind);
const char *cedar_type_name(const struct cedar_type *type);
MUST_USE int cedar_type_entity(struct arena *arena, struct cedar_str name,
			       const struct cedar_type **ret_type, struct err *err);
MUST_USE int cedar_type_set(struct arena *arena, const struct cedar_type *element,
			    const struct cedar_type **ret_type, struct err *err);
/* Keeps and sorts the attributes; a name twice is E_INVALID. */
MUST_USE int cedar_type_record(struct arena *arena, struct cedar_attr *attrs, size_t count,
			       const struct cedar_type **ret_type, struct err *err);
/* A record that may have other names, too, each of type element (NULL: none), and whose optional
 * names need no test if it is lenient. No schema that is read has one. */
MUST_USE int cedar_type_open(struct arena *arena, const struct cedar_type *record,
			     const struct cedar_type *element, bool lenient,
			     const struct cedar_type **ret_type, struct err *err);
const struct cedar_attr *cedar_type_attr(const struct cedar_type *record, struct cedar_str name);
bool cedar_type_equal(const struct cedar_type *a, const struct cedar_type *b);
/* The least type that holds both, by the strict rules: *ret_type is NULL when there is none. */
MUST_USE int cedar_type_join(struct arena *arena, const struct cedar_type *a,
			     const struct cedar_type *b, const struct cedar_type **ret_type,
			     struct err *err);

#endif
