/* cedar_json.h - Cedar's JSON: values with the escapes __entity and __extn, entities, requests
 * (docs.cedarpolicy.com, "Entities and context syntax"). A type, where one is given, lets the
 * escapes be left out. Everything made lives in the arena. */
#ifndef CEDAR_JSON_H
#define CEDAR_JSON_H

#include "common/value.h"
#include "policy/cedar_entities.h"
#include "policy/cedar_eval.h"
#include "policy/cedar_schema.h"

/* Like json_parse, but text may hold NUL. Texts of such a document must be read with the calls
 * below, which restore what the document model cannot hold. */
MUST_USE int cedar_json_read(struct arena *arena, const char *text, size_t len,
			     struct value **ret_value, struct err *err);
/* E_INVALID when it is no string; `what` names it. */
MUST_USE int cedar_json_str(struct arena *arena, const struct value *value, const char *what,
			    struct cedar_str *ret_str, struct err *err);
MUST_USE int cedar_json_name(struct arena *arena, const char *name, struct cedar_str *ret_str,
			     struct err *err);
/* {"type": T, "id": I}, or that below "__entity". */
MUST_USE int cedar_json_uid(struct arena *arena, const struct value *value,
			    struct cedar_uid *ret_uid, struct err *err);
MUST_USE int cedar_json_value(struct arena *arena, const struct value *value,
			      const struct cedar_type *type, struct cedar_value *ret_value,
			      struct err *err);
/* A map; NULL counts as an empty one. */
MUST_USE int cedar_json_record(struct arena *arena, const struct value *value,
			       const struct cedar_type *type,
			       const struct cedar_record **ret_record, struct err *err);

/* A list of {uid, attrs, parents, tags} into the store. schema may be NULL; with one, its actions
 * that the list leaves out are added too, and every entity must fit it. The store is not closed by
 * this. */
MUST_USE int cedar_json_entities(struct cedar_entities *entities, struct arena *arena,
				 const struct value *list, const struct cedar_schema *schema,
				 struct err *err);
/* {principal, action, resource, context}; it must fit the schema, unless that is NULL. */
MUST_USE int cedar_json_request(struct arena *arena, const struct value *value,
				const struct cedar_schema *schema,
				struct cedar_request *ret_request, struct err *err);

#endif
