/* gone.h - the erased tenants whose online data is gone from here, until the leader who asked for
 * it has heard so: what it does not ask for any more, it has. Its owner guards it. */
#ifndef GONE_H
#define GONE_H

#include "api/poll.h"
#include "common/text.h"

struct gone_entry {
	int shard;
	char tenant[NAME_MAX_LEN + 1], uid[NAME_MAX_LEN + 1];
	int64_t rows;
};
struct gone {                        /* zeroed: none */
	struct gone_entry entries[POLL_ERASED_MAX];
	size_t count;
};
bool gone_has(const struct gone *gone, int shard, const char *uid);
/* False: there is no room; it is asked for again. */
bool gone_add(struct gone *gone, int shard, const struct erasure *erasure, int64_t rows);
/* After an answer of that shard's leader. */
void gone_heard(struct gone *gone, int shard, const struct poll_answer *answer);
/* What the next poll of that shard says. */
MUST_USE int gone_fill(const struct gone *gone, int shard, struct arena *arena, struct poll *poll,
                       struct err *err);

#endif
