/* store_shift.h - a store whose revisions go on where another store's ended: all it says of them is
 * base more, and base is taken off what it is asked. After a restore onto a new store no revision
 * comes twice, so that neither a fencing token nor an ETag of before the restore is ever met again.
 */
#ifndef STORE_SHIFT_H
#define STORE_SHIFT_H

#include "common/store.h"

/* base: at least 0. Takes inner over, which is freed with it; on failure it stays the caller's. */
MUST_USE int store_shift_new(struct store *inner, int64_t base, struct store **ret_store,
			     struct err *err);

#endif
