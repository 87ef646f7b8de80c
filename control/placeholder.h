/* placeholder.h - a path with a run's data interval in it:
 * "raw/{interval_start:%Y-%m-%d}/{interval_start:%H}.csv". In braces: interval_start or
 * interval_end, a colon, and any of %Y %m %d %H %M %S %j with letters, digits, _ and - between them
 * (no dots or slashes: what is filled in cannot lead elsewhere); times are UTC. Other braces are
 * what they are. Pure. */
#ifndef PLACEHOLDER_H
#define PLACEHOLDER_H

#include "common/arena.h"

enum { PLACEHOLDER_PATH_MAX = 1024 };

/* E_INVALID says at which character it is wrong. */
MUST_USE int placeholder_check(const char *path, struct err *err);
/* from_ms, to_ms: unix; NULL: there is no interval, and a path that wants one is E_INVALID. The
 * text itself where it has none. */
MUST_USE int placeholder_fill(struct arena *arena, const char *path, const int64_t *from_ms,
                              const int64_t *to_ms, const char **ret_path, struct err *err);

#endif
