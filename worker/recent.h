/* recent.h - the datasets whose bytes this worker has lately had in its hands (read as inputs,
 * written, put online): what of them is in its caches makes the next task on them cheaper here.
 * Any thread. */
#ifndef RECENT_H
#define RECENT_H

#include "common/arena.h"

#include <pthread.h>

enum { RECENT_MAX = 64, RECENT_NAME_LEN = 192 };      /* TENANT/DOMAIN/NAME */

struct recent {
	pthread_mutex_t mutex;       /* guards what follows */
	char names[RECENT_MAX][RECENT_NAME_LEN + 1];      /* newest first */
	size_t count;
};

void recent_init(struct recent *recent);
void recent_release(struct recent *recent);
void recent_add(struct recent *recent, const char *name);         /* one that is too long: not */
/* Newest first, in arena. E_NOMEM. */
MUST_USE int recent_list(struct recent *recent, struct arena *arena, const char *const **ret_names,
                         size_t *ret_count, struct err *err);

#endif
