/* grace.h - readers that lock nothing. Who reads what a pointer shows stands in a section for that
 * long; who has put another there waits until all that might still see the old one have left
 * theirs, and frees it. Sections are short - some look-ups - and never nest; two parities, waited
 * for one after the other, so that readers that come without end delay nobody (the method of SRCU:
 * McKenney, "Sleepable read-copy update", 2006). Pointers are _Atomic, used in order. */
#ifndef GRACE_H
#define GRACE_H

#include "common/defs.h"

#include <pthread.h>
#include <stdatomic.h>

enum { GRACE_STRIPES = 16 };

struct grace {
	atomic_uint parity;
	struct {
		atomic_uint inside[2];       /* by parity */
		char apart[56];              /* each its own line of the cache */
	} stripes[GRACE_STRIPES];
	pthread_mutex_t waiting;         /* one at a time */
};

void grace_init(struct grace *grace);
void grace_release(struct grace *grace);

struct section { atomic_uint *inside; };
struct section grace_enter(struct grace *grace);
void grace_leave(struct section section);
/* Every section that was entered before has ended. Not from inside one. */
void grace_wait(struct grace *grace);

#endif
