/* schema.h - JSON schemas (2020-12, as OpenAPI 3.1 takes them) as values: of field tables, and by
 * hand. Every function may be given a full arena; value_check on the whole document tells. */
#ifndef SCHEMA_H
#define SCHEMA_H

#include "api/field.h"

/* {"type": "object", "properties", "required", "additionalProperties": false} of a table. */
struct value *schema_of_fields(struct arena *arena, const struct field *table);
struct value *schema_of_field(struct arena *arena, const struct field *field);
/* {"type": type}, with a description where doc is given. */
struct value *schema_type(struct arena *arena, const char *type, const char *doc);
struct value *schema_ref(struct arena *arena, const char *name);     /* of components/schemas */
/* Leaves an empty list out, but never a failed one. */
void schema_set_list(struct value *map, const char *name, struct value *list);
/* How the reference pages call a field's kind: "integer", "name of a dataset". */
const char *schema_kind_text(struct arena *arena, const struct field *field);

#endif
