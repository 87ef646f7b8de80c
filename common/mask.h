/* mask.h - what stands in place of a column's value for who may not see it: the nine actions of
 * Iceberg REST read restrictions (open-api/rest-catalog-open-api.yaml, ReadRestrictions).
 *
 * Rows are filtered on the original values first, then masked. A masked value has its column's
 * type; a missing one stays missing. By type:
 *   mask-alphanum                string: digits become n, ( ) , . - @ stay, all else becomes x
 *   show-first-4, show-last-4    string: four code points stay, the others as in mask-alphanum
 *   replace-with-null            every type, unless the column is required
 *   mask-to-fixed-value          every type: false; 999999999; 0; XXXXXXXX; 9999-12-31; no bytes
 *   truncate-to-year, -month     date, timestamp: its first day, midnight UTC
 *   sha-256-global               string: 64 hex digits of the digest of its UTF-8; bytes: the
 *                                digest; int32, int64: the first 4, 8 bytes of the digest of its
 *                                4, 8 bytes, all little-endian and signed
 *   sha-256-query-local          the same after a salt that is made anew for each query */
#ifndef MASK_H
#define MASK_H

#include "common/buf.h"
#include "common/value.h"

enum mask {
	MASK_NONE, MASK_ALPHANUM, MASK_SHOW_FIRST_4, MASK_SHOW_LAST_4, MASK_NULL, MASK_FIXED,
	MASK_YEAR, MASK_MONTH, MASK_SHA256, MASK_SHA256_LOCAL, MASK_COUNT_
};
enum { MASK_SALT_BYTES = 32, MASK_DIGEST_BYTES = 32 };

const char *mask_name(enum mask mask);           /* "show-last-4"; "none" */
/* E_INVALID lists the actions. */
MUST_USE int mask_by_name(const char *name, enum mask *ret_mask, struct err *err);
/* type: of a column ("int64", "decimal(10,2)"). E_INVALID says what the action is for. */
MUST_USE int mask_check(enum mask mask, const char *column, const char *type, bool required,
                        struct err *err);

/* One value; the action fits its type. salt is read by MASK_SHA256_LOCAL only. */
struct mask_salt { uint8_t bytes[MASK_SALT_BYTES]; };
MUST_USE int mask_text(enum mask mask, const struct mask_salt *salt, const char *text, size_t len,
                       struct buf *out, struct err *err);
MUST_USE int mask_bytes(enum mask mask, const struct mask_salt *salt, const void *data, size_t len,
                        struct buf *out, struct err *err);
int64_t mask_int64(enum mask mask, const struct mask_salt *salt, int64_t value);
int32_t mask_int32(enum mask mask, const struct mask_salt *salt, int32_t value);
int32_t mask_date(enum mask mask, int32_t days);         /* since 1970-01-01 */
int64_t mask_timestamp(enum mask mask, int64_t micros);  /* since 1970-01-01T00:00:00Z */
/* A whole cell: times as microseconds, dates as days; what it gives is in arena. */
MUST_USE int mask_cell(struct arena *arena, enum mask mask, const struct mask_salt *salt,
                       const char *type, const struct value *cell, struct value **ret_cell,
                       struct err *err);

#endif
