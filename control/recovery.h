/* recovery.h - `freehold-control verify-backup` and `freehold-control restore`: offline, with the
 * root key and, to restore, the empty store. What they say goes to standard output. */
#ifndef RECOVERY_H
#define RECOVERY_H

#include "common/clock.h"
#include "common/store.h"
#include "control/conf.h"
#include "tenant/keyring.h"

/* store NULL: the archive is only verified. */
MUST_USE int recovery(const struct conf *conf, const struct keyring *keyring, struct store *store,
                      struct clock *clock, struct err *err);

#endif
