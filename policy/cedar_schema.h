/* cedar_schema.h - which entities, attributes and actions there are
 * (docs.cedarpolicy.com, "Schema"). Read from the human-readable or the JSON form; immutable. */
#ifndef CEDAR_SCHEMA_H
#define CEDAR_SCHEMA_H

#include "policy/cedar_type.h"

enum { CEDAR_ACTIONS_MAX = 4096 };   /* of one schema */

struct cedar_names {
	size_t count;
	const struct cedar_str *items;
};

struct cedar_entity_type {
	struct cedar_str name;               /* full: "Ns::User" */
	struct cedar_names ancestors;        /* types it may be below, at any distance; ascending */
	struct cedar_names choices;          /* of an enum: its ids; otherwise none */
	bool is_enum;
	const struct cedar_type *shape;      /* a record */
	const struct cedar_type *tags;       /* NULL: no tags */
};

struct cedar_action_type {
	struct cedar_uid uid;
	size_t parent_count;
	const struct cedar_uid *const *parents;
	size_t ancestor_count;               /* at any distance, itself left out */
	const struct cedar_uid *const *ancestors;
	struct cedar_names principals, resources;   /* entity types; none: it applies to nothing */
	const struct cedar_type *context;    /* a record */
};

struct cedar_schema {
	size_t entity_count;
	const struct cedar_entity_type *entities;    /* ascending by name */
	size_t action_count;
	const struct cedar_action_type *actions;
};

/* Both copy what they keep into the arena. Errors name the place or the member. */
MUST_USE int cedar_schema_parse(struct arena *arena, const char *text, size_t len,
				const struct cedar_schema **ret_schema, struct err *err);
MUST_USE int cedar_schema_parse_json(struct arena *arena, const char *text, size_t len,
				     const struct cedar_schema **ret_schema, struct err *err);

const struct cedar_entity_type *cedar_schema_entity(const struct cedar_schema *schema,
						    struct cedar_str name);       /* or NULL */
const struct cedar_action_type *cedar_schema_action(const struct cedar_schema *schema,
						    const struct cedar_uid *uid);  /* or NULL */
/* The type is that of some action. */
bool cedar_schema_is_action(const struct cedar_schema *schema, struct cedar_str type);
/* Entities of type may be `of`, or below one. */
bool cedar_schema_below(const struct cedar_schema *schema, struct cedar_str type,
			struct cedar_str of);
bool cedar_action_below(const struct cedar_action_type *action, const struct cedar_uid *of);
bool cedar_names_have(const struct cedar_names *names, struct cedar_str name);

#endif
