/* pack.h - msgpack <-> value. The only door to msgpack-c. (github.com/msgpack/msgpack, spec.md) */
#ifndef PACK_H
#define PACK_H

#include "common/buf.h"
#include "common/value.h"

/* Canonical: map members sorted by name (bytewise), shortest integer forms, reals as float64.
 * Equal values give equal bytes, which is what signatures and digests need. */
MUST_USE int pack_write(const struct value *value, struct buf *out, struct err *err);

/* One object, whole: refuses trailing bytes, depth over VALUE_DEPTH_MAX, lengths beyond the input,
 * map keys that are no text, duplicate keys, ext types, unsigned above INT64_MAX. */
MUST_USE int pack_read(struct arena *arena, const void *data, size_t len,
		       struct value **ret_value, struct err *err);

#endif
