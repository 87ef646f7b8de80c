/* gone.h - the erased tenants whose online data is gone from here, until the leader who asked for
 * it has heard so: what it does not ask for any more, it has. Any thread. */
#ifndef GONE_H
#define GONE_H

#include "api/poll.h"
#include "common/text.h"

#include <pthread.h>

typedef void gone_drop_fn(void *context, const char *tenant);
typedef int gone_erase_fn(void *context, const char *tenant, int64_t *ret_rows, struct err *err);

struct gone_entry {
	int shard;
	char tenant[NAME_MAX_LEN + 1], uid[NAME_MAX_LEN + 1];
	int64_t rows;
	bool told;                   /* by a poll: an answer from before one means nothing */
};
struct gone {
	gone_drop_fn *drop;          /* its access grants go first; NULL: there are none */
	gone_erase_fn *erase;        /* NULL: there is no online data here */
	void *context;
	pthread_mutex_t mutex;       /* guards all below */
	struct gone_entry entries[POLL_ERASED_MAX];
	size_t count;
};
void gone_init(struct gone *gone, gone_drop_fn *drop, gone_erase_fn *erase, void *context);
void gone_release(struct gone *gone);
/* Erases what the answer asks for, unless it is done already. What cannot be done now is asked for
 * again. True: there is something to tell. */
bool gone_take(struct gone *gone, int shard, const struct poll_answer *answer);
/* After an answer of that shard's leader. */
void gone_heard(struct gone *gone, int shard, const struct poll_answer *answer);
/* What the next poll of that shard says. */
MUST_USE int gone_fill(struct gone *gone, int shard, struct arena *arena, struct poll *poll,
                       struct err *err);

#endif
