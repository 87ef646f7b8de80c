/* cedar_conform.h - do requests and entities fit a schema? What strict validation promises of
 * policies holds for those that do. Errors name the attribute, never a value. */
#ifndef CEDAR_CONFORM_H
#define CEDAR_CONFORM_H

#include "policy/cedar_eval.h"
#include "policy/cedar_schema.h"

/* The arena is for messages only. */
MUST_USE int cedar_conform_value(struct arena *arena, const struct cedar_schema *schema,
				 const struct cedar_type *type, const struct cedar_value *value,
				 struct err *err);
MUST_USE int cedar_conform_entity(struct arena *arena, const struct cedar_schema *schema,
				  const struct cedar_entity *entity, struct err *err);
MUST_USE int cedar_conform_request(struct arena *arena, const struct cedar_schema *schema,
				   const struct cedar_request *request, struct err *err);

#endif
