/* cage.h - what a process that runs other people's SQL gives up before it does.
 * Dies with its parent, gains no privileges, dumps no core, writes no regular file of any size, and
 * has no network where the kernel lets it go without. */
#ifndef CAGE_H
#define CAGE_H

#include "common/err.h"

/* While the process has one thread. parent: who must be alive. ret_network: still has one. */
MUST_USE int cage_enter(int parent, bool *ret_network, struct err *err);

#endif
