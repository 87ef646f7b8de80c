/* cell.h - one packed value of a feature, as it lies in the online store, walked over and
 * printed as JSON where it lies. Scalars only (github.com/msgpack/msgpack, spec.md). */
#ifndef CELL_H
#define CELL_H

#include "common/buf.h"

/* The items of a packed list; behind its head through ret_at. -1: no list. */
int64_t cell_list(const uint8_t *data, size_t len, const uint8_t **ret_at);
/* Behind the value at `at`; NULL: cut off, or no scalar. */
const uint8_t *cell_end(const uint8_t *at, const uint8_t *end);
bool cell_is_null(const uint8_t *at);
/* Of a value that cell_end accepted. Reals with the fewest digits that read back the same; NaN and
 * infinities as null; bytes as base64. */
void cell_print(const uint8_t *at, struct buf *out);
void cell_print_int(int64_t n, struct buf *out);
void cell_print_real(double d, struct buf *out);
/* "2001-01-31T23:00:00Z", with as much of the fraction as there is: 0, 3 or 6 digits. */
void cell_print_time(int64_t unix_us, struct buf *out);

#endif
