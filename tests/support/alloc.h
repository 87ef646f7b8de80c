/* alloc.h - allocations of our own objects that fail on demand (linked with --wrap, see tests.mk).
 *
 *     for (long n = 0; ; n++) {
 *             alloc_fail_after(n);
 *             ... run; a failure must be E_NOMEM or handled, and nothing may leak ...
 *             if (!alloc_fired())
 *                     break;          // the run needs no more than n allocations
 *     }
 *     alloc_fail_after(-1);
 */
#ifndef ALLOC_H
#define ALLOC_H

#include "common/defs.h"

/* The next n allocations succeed, the one after them fails, once; -1 turns it off. Any thread. */
void alloc_fail_after(long n);
bool alloc_fired(void);     /* has it failed since alloc_fail_after? */
long alloc_count(void);     /* allocations since the program began, without those spared */
/* The calling thread's allocations are neither counted nor made to fail, until as many
 * alloc_unspare(): for what is the test's own. */
void alloc_spare(void);
void alloc_unspare(void);

#endif
