/* row_veil.h - one entity's row of the online store as a reader may see it who may not see all: the
 * filter on the original values, then the masks. A row whose values cannot be understood is one
 * that may not be seen. */
#ifndef ROW_VEIL_H
#define ROW_VEIL_H

#include "api/access_grant.h"
#include "worker/ask.h"

struct row_veil;
/* In arena, which outlives it; NULL: nothing of the view is restricted. */
MUST_USE int row_veil_new(struct arena *arena, const struct access_view *view,
                          const struct row_veil **ret_veil, struct err *err);

/* data: the packed values as they are stored. 1: seen, as ret_data in arena; 0: not to be seen,
 * which is as if it were not there. salt: one a request. */
MUST_USE int row_veil_apply(const struct row_veil *veil, struct arena *arena,
                            const struct mask_salt *salt, const struct ask_key *key,
                            const uint8_t *data, size_t len, const uint8_t **ret_data,
                            size_t *ret_len, struct err *err);

#endif
