/* lookup.h - reads what a plan asks for out of the online store and prints it in the shape of
 * Feast's feature server, column by column: entities first (PRESENT, at 1970-01-01T00:00:00Z),
 * then features in the order asked for. Statuses: PRESENT; NULL_VALUE; NOT_FOUND, null at
 * 1970-01-01T00:00:00Z; and OUTSIDE_MAX_AGE, which keeps the value and its time, as Feast's
 * servers do. */
#ifndef LOOKUP_H
#define LOOKUP_H

#include "common/buf.h"
#include "worker/access_cache.h"
#include "worker/ask.h"

struct meter;

/* One entity in one view. */
struct found {
	bool here, stale;
	char time[32];               /* as JSON, quoted */
	uint8_t time_len;
};

/* Memory for one answer: rows * views of found, rows * columns of cells, and bytes for the values.
 * With an arena the values go there instead, however many there are. */
struct lookup_room {
	struct found *found;
	size_t found_max;
	const uint8_t **cells;
	size_t cell_max;
	uint8_t *bytes;              /* with an arena: ONLINE_ROOM of them, used again and again */
	size_t byte_max;
	struct arena *arena;         /* NULL: none */
};
MUST_USE int lookup_room_new(struct arena *arena, const struct access_plan *plan,
                             const struct ask *ask, struct lookup_room *ret_room,
                             struct err *err);
/* Appends the answer. E_TOO_LARGE: the room does not suffice. Counts the reads when it succeeds. */
MUST_USE int lookup_print(const struct access_plan *plan, const struct ask *ask, int64_t now_us,
                          struct lookup_room *room, struct meter *meter, struct buf *out,
                          struct err *err);

#endif
