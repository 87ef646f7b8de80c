/* attributes.h - what a tenant says of a principal beside its roles, as policies see it
 * (principal.region): a map of names to texts. Pure. */
#ifndef ATTRIBUTES_H
#define ATTRIBUTES_H

#include "common/value.h"

enum { ATTRIBUTES_MAX = 32, ATTRIBUTE_NAME_MAX = 64, ATTRIBUTE_TEXT_MAX = 256 };

/* Every principal has one of that name: tenant, name, strength. */
bool attribute_is_given(const char *name);
/* Whether a policy can ask for it, and takes it for none of those, misspelt. */
bool attribute_name_fits(const char *name);
/* attributes: a map; NULL: none. E_INVALID names the member, after `path`. */
MUST_USE int attributes_check(const struct value *attributes, const char *path, struct err *err);

#endif
