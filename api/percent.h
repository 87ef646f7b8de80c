/* percent.h - percent-encoded text (RFC 3986), as paths and parameters of a URL come. */
#ifndef PERCENT_H
#define PERCENT_H

#include "common/arena.h"
#include "common/buf.h"

/* Decoded into the arena, or the text itself where nothing is encoded. NULL: a broken escape, a
 * NUL, no UTF-8, or no memory. */
const char *percent_decode(struct arena *arena, const char *text);
/* Adds text as one path part or parameter: all but unreserved characters encoded. */
void percent_encode(struct buf *out, const char *text);

#endif
