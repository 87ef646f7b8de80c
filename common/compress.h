/* compress.h - LZ4 block compression of messages and records; the only door to LZ4.
 * Frame: one byte (0 raw, 1 LZ4), for LZ4 the raw length as u32 little-endian, then the body. */
#ifndef COMPRESS_H
#define COMPRESS_H

#include "common/buf.h"

enum { COMPRESS_ABOVE = 1024 };   /* shorter bodies stay raw */

MUST_USE int compress_write(const void *data, size_t len, struct buf *out, struct err *err);
/* Refuses a raw length above out's max before it allocates. */
MUST_USE int compress_read(const void *data, size_t len, struct buf *out, struct err *err);

#endif
