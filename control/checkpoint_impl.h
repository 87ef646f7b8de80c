/* checkpoint_impl.h - the keys of a checkpoint. Private to control/checkpoint*.c. */
#ifndef CHECKPOINT_IMPL_H
#define CHECKPOINT_IMPL_H

#include "control/checkpoint.h"

void checkpoint_head_key(const char *prefix, char out[JOURNAL_KEY_MAX]);
void checkpoint_page_key(const char *prefix, const struct position *generation, int64_t page,
                         char out[JOURNAL_KEY_MAX]);

#endif
