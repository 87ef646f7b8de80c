/* privilege.h - from root to a user of its own, before anything outside is heard. */
#ifndef PRIVILEGE_H
#define PRIVILEGE_H

#include "common/err.h"

/* Once, before the first thread. New files are the owner's alone, and no program that is started
 * gains rights. user NULL: the process stays who it is. Otherwise, started as root, it becomes that
 * user with that one's groups and keeps one right, to listen on ports below 1024; files it is to
 * read must be that user's. Started as another than root: E_INVALID unless it is that user already.
 * ret_root: it still is root. */
MUST_USE int privilege_drop(const char *user, bool *ret_root, struct err *err);

#endif
