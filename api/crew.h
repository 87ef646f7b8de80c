/* crew.h - threads that work off a bounded queue. */
#ifndef CREW_H
#define CREW_H

#include "common/err.h"

typedef void crew_fn(void *context, void *item);

struct crew;
MUST_USE int crew_new(int threads, int queue_max, crew_fn *work, void *context,
                      struct crew **ret_crew, struct err *err);
/* Any thread. False: queue_max items wait already. */
MUST_USE bool crew_push(struct crew *crew, void *item);
/* Works off what waits, then joins the threads. No crew_push from then on. */
void crew_free(struct crew *crew);
DEFINE_AUTO(crew)

#endif
