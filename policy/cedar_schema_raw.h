/* cedar_schema_raw.h - a schema as it is written, names not yet resolved. Both readers make this;
 * one builder turns it into a struct cedar_schema. */
#ifndef CEDAR_SCHEMA_RAW_H
#define CEDAR_SCHEMA_RAW_H

#include "policy/cedar_schema.h"

enum raw_kind {
	RAW_NAME,                /* a common type, an entity type or one of the language's own */
	RAW_ENTITY,              /* an entity type */
	RAW_COMMON,              /* a common type or one of the language's own */
	RAW_OWN,                 /* one of the language's own */
	RAW_SET, RAW_RECORD
};

struct raw_attr {
	struct cedar_str name;
	bool required;
	const struct raw_type *type;
};

struct raw_type {
	uint8_t kind;                    /* enum raw_kind */
	struct cedar_str name;
	const struct raw_type *element;  /* of a set */
	size_t count;                    /* of a record */
	struct raw_attr *attrs;
};

struct raw_common {
	struct cedar_str space, name;    /* name is full */
	const struct raw_type *type;
	uint8_t state;                   /* of the builder */
	const struct cedar_type *resolved;
};

struct raw_entity {
	struct cedar_str space, name;    /* name is full */
	size_t parent_count;
	struct cedar_str *parents;
	const struct raw_type *shape;    /* NULL: no attributes */
	const struct raw_type *tags;     /* NULL: none */
	bool is_enum;
	struct cedar_names choices;
};

struct raw_ref {
	struct cedar_str type;           /* empty: the Action of the same namespace */
	struct cedar_str id;
};

struct raw_applies {
	size_t principal_count, resource_count;
	struct cedar_str *principals, *resources;
	const struct raw_type *context;  /* NULL: an empty record */
};

struct raw_action {
	struct cedar_str space, id;
	size_t parent_count;
	struct raw_ref *parents;
	struct raw_applies applies;
};

struct raw_schema {
	struct arena *arena;
	struct err *err;
	size_t common_count, entity_count, action_count;
	struct raw_common *commons;
	struct raw_entity *entities;
	struct raw_action *actions;
};

/* "Ns" and "User" make "Ns::User". */
MUST_USE int raw_full_name(struct raw_schema *raw, struct cedar_str space, struct cedar_str name,
			   struct cedar_str *ret_name);
/* Each adds one; the name is completed with the namespace. A type that is named like one of the
 * language's own is refused. */
MUST_USE int raw_add_common(struct raw_schema *raw, struct cedar_str space, struct cedar_str name,
			    const struct raw_type *type);
MUST_USE int raw_add_entity(struct raw_schema *raw, const struct raw_entity *entity,
			    struct cedar_str name);
MUST_USE int raw_add_action(struct raw_schema *raw, const struct raw_action *action);
MUST_USE int raw_add_name(struct raw_schema *raw, struct cedar_str **names, size_t *count,
			  struct cedar_str name);
MUST_USE int raw_make_type(struct raw_schema *raw, enum raw_kind kind, struct cedar_str name,
			   struct raw_type **ret_type);

MUST_USE int raw_build(struct raw_schema *raw, const struct cedar_schema **ret_schema);

#endif
