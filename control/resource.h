/* resource.h - a resource as it is stored, and as it is shown. */
#ifndef RESOURCE_H
#define RESOURCE_H

#include "control/admit.h"

/* The path's resource: kind of the route, tenant, domain and name. */
void resource_named(const struct request *request, struct manifest *ret_manifest);
const char *resource_key(char out[STORE_KEY_MAX], const struct manifest *manifest);

/* The stored form of a manifest. before: what was stored; NULL makes a new one, with a uid. */
MUST_USE int resource_store(struct request *request, const struct manifest *manifest,
                            const struct value *before, struct value **ret_value,
                            struct err *err);
/* The form that is shown: without keys, with status. revision 0: it has no ETag yet. */
MUST_USE int resource_show(struct control *control, struct arena *arena, const struct value *stored,
                           int64_t revision, struct value **ret_value, struct err *err);
/* E_PRECONDITION when the request's If-Match names another revision. */
MUST_USE int resource_if_match(const struct request *request, int64_t revision, struct err *err);
/* "\"123\"", in arena. */
const char *resource_etag(struct arena *arena, int64_t revision);

#endif
