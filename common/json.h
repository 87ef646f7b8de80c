/* json.h - JSON text <-> value (RFC 8259). The only door to jansson. */
#ifndef JSON_H
#define JSON_H

#include "common/buf.h"
#include "common/value.h"

/* Refuses duplicate members, invalid UTF-8, depth over VALUE_DEPTH_MAX and text after the document;
 * the error names line and column. NUL characters inside strings are refused. */
MUST_USE int json_parse(struct arena *arena, const char *text, size_t len,
			struct value **ret_value, struct err *err);

/* Appends to out. Bytes (VALUE_BIN) become base64 text. NaN and infinities become null. */
void json_print(const struct value *value, struct buf *out);
void json_print_pretty(const struct value *value, struct buf *out);   /* two spaces a level */
/* Appends one quoted, escaped string. */
void json_print_str(const char *text, size_t len, struct buf *out);

#endif
