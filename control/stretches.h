/* stretches.h - a set of stretches of time, each in a state: disjoint, ascending, and merged where
 * two of one state meet, so that a year of hourly successes is one. Pure; its owner guards it. */
#ifndef STRETCHES_H
#define STRETCHES_H

#include "common/err.h"

enum stretch_state {
	STRETCH_MISSING, STRETCH_RUNNING, STRETCH_DONE, STRETCH_FAILED, STRETCH_STATE_COUNT_
};
const char *stretch_state_name(enum stretch_state state);

struct stretch {
	int64_t from_ms, to_ms;      /* [from, to), unix */
	int64_t count;               /* intervals in it; of one that was cut: by length */
	enum stretch_state state;
};

/* Past STRETCHES_MAX the oldest is forgotten, and floor_ms moves to its end. */
enum { STRETCHES_MAX = 65536 };
struct stretches {
	struct stretch *items;
	size_t len, cap;
	int64_t floor_ms;            /* what lies before it is not known any more */
	bool floored;
};

void stretches_release(struct stretches *stretches);
/* Memory for that many more stretches_set, which then cannot fail. */
MUST_USE int stretches_reserve(struct stretches *stretches, size_t more, struct err *err);
/* Over whatever was there; MISSING takes out. */
void stretches_set(struct stretches *stretches, const struct stretch *stretch);
/* The index of the first one that ends after that instant; len: none. */
size_t stretches_at(const struct stretches *stretches, int64_t at_ms);
/* The first part of [from, to) that is in none of them. False: there is none. */
bool stretches_hole(const struct stretch *items, size_t len, int64_t from_ms, int64_t to_ms,
                    int64_t *ret_from_ms, int64_t *ret_to_ms);

#endif
