/* yaml.h - YAML text <-> value (YAML 1.2 core schema). The only door to libyaml.
 * Plain scalars follow the core schema: null, ~, true/false, decimal/hex/octal ints, floats; all
 * else is text (so `no` and `2001-01-01` stay text). Anchors and aliases are refused ("YAML
 * bombs"). */
#ifndef FREEHOLD_YAML_H
#define FREEHOLD_YAML_H    /* YAML_H is libyaml's */

#include "common/buf.h"
#include "common/value.h"

/* All documents of a stream, as a list; empty documents are left out. Refuses duplicate keys, keys
 * that are no text, tags, depth over VALUE_DEPTH_MAX. Errors name line and column. */
MUST_USE int yaml_parse(struct arena *arena, const char *text, size_t len,
			struct value **ret_list, struct err *err);
/* Appends one document, block style, quoting what would read back as another type. */
MUST_USE int yaml_print(const struct value *value, struct buf *out, struct err *err);

#endif
