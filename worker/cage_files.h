/* cage_files.h - no file by any path, no port, no signal to others (landlock(7)). What is open
 * stays open. */
#ifndef CAGE_FILES_H
#define CAGE_FILES_H

#include "common/err.h"

/* For good; the process must have no new privileges. E_UNAVAILABLE: the kernel has none of it. */
MUST_USE int cage_files_enter(struct err *err);

#endif
