/* image.h - the state at one moment, while the state itself goes on: a forked child holds the
 * memory as it was and sends it, record by record. What the forking thread waits for is the fork,
 * not the writing. */
#ifndef IMAGE_H
#define IMAGE_H

#include "control/journal.h"

#include <stdatomic.h>

struct image;
/* ops.hold, fork, ops.let_go. *ret_us: how long the caller was kept. */
MUST_USE int image_take(const struct journal_ops *ops, struct image **ret_image, int64_t *ret_us,
                        struct err *err);
/* The next record, packed, until the next call; *ret_len 0: that was the last. E_CANCELLED once
 * *cancel is set; E_TIMEOUT when the child says nothing for a minute. */
MUST_USE int image_next(struct image *image, const atomic_bool *cancel, const uint8_t **ret_packed,
                        size_t *ret_len, struct err *err);
void image_free(struct image *image);            /* ends the child */
DEFINE_AUTO(image)

#endif
