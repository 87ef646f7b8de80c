/* explain.c - see explain.h. The numbers are the scheduler's; here they become words and sums. */
#include "common/defs.h"
#include "control/explain.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NEVER "never-fits"

/* --- a task --- */

static const struct value *reason_at(const struct value *explained, size_t i)
{
	return value_at(value_get(explained, "reasons"), i);
}

/* Nothing keeps it but its place in line. */
static bool is_turn(const struct value *reason)
{
	const char *rule = value_get_str(reason, "rule");
	return rule && strcmp(rule, "turn") == 0;
}

const char *explain_never(const struct value *explained)
{
	const struct value *reason = NULL;
	for (size_t i = 0; (reason = reason_at(explained, i)); i++) {
		const char *rule = value_get_str(reason, "rule");
		const char *detail = value_get_str(reason, "detail");
		if (rule && strcmp(rule, NEVER) == 0)
			return detail ? detail : "no worker of its pool could ever hold it";
	}
	return NULL;
}

struct value *explain_asked(struct arena *arena, struct value *explained)
{
	if (explained)
		value_set_str(explained, "summary", explain_summary(arena, explained, true));
	return explained;
}

/* ", and 3 tasks are before it; about 40 s" */
static const char *outlook(struct arena *arena, const struct value *explained)
{
	int64_t ahead = value_get_int(explained, "ahead", 0);
	int64_t seconds = value_get_int(explained, "estimateSeconds", -1);
	char before[64] = "", about[48] = "";
	if (ahead > 0)
		snprintf(before, sizeof before, ", and %" PRId64 " task%s before it", ahead,
		         ahead == 1 ? " is" : "s are");
	if (seconds >= 0)
		snprintf(about, sizeof about, "; about %" PRId64 " s", seconds);
	return arena_printf(arena, "%s%s", before, about);
}

static bool waits(const struct value *explained)
{
	static const char *const states[] = { "waiting", "parked", "queued", "blocked" };
	const char *state = value_get_str(explained, "state");
	for (size_t i = 0; state && i < ARRAY_LEN(states); i++)
		if (strcmp(state, states[i]) == 0)
			return true;
	return !state;
}

/* Nothing but its turn, and nobody is before it. */
static bool is_free(const struct value *explained)
{
	size_t reasons = value_len(value_get(explained, "reasons"));
	return reasons == 0 || (reasons == 1 && is_turn(reason_at(explained, 0)) &&
	                        value_get_int(explained, "ahead", 0) == 0);
}

static const char *waiting_summary(struct arena *arena, const struct value *explained, bool asked)
{
	const char *detail = value_get_str(reason_at(explained, 0), "detail");
	size_t reasons = value_len(value_get(explained, "reasons"));
	char more[48] = "";
	const char *begin = asked ? "would be accepted and wait: " : "waits: ";
	if (detail && strncmp(detail, "waits ", 6) == 0)     /* "waits for load" */
		begin = "";
	if (reasons > 1)
		snprintf(more, sizeof more, " (and %zu more reason%s)", reasons - 1,
		         reasons > 2 ? "s" : "");
	return arena_printf(arena, "it %s%s%s%s", begin, detail ? detail : "for its turn", more,
	                    outlook(arena, explained));
}

static const char *not_waiting(struct arena *arena, const char *state)
{
	bool has = strcmp(state, "succeeded") == 0 || strcmp(state, "failed") == 0;
	return arena_printf(arena, "it does not wait: it %s %s", has ? "has" :
	                    strcmp(state, "cancelled") == 0 ? "was" : "is", state);
}

const char *explain_summary(struct arena *arena, const struct value *explained, bool asked)
{
	const char *never = explain_never(explained);
	if (never)
		return arena_printf(arena, "it can never start as things are: %s", never);
	if (!waits(explained))
		return not_waiting(arena, value_get_str(explained, "state"));
	if (asked && is_free(explained))
		return "it would start at once";
	return waiting_summary(arena, explained, asked);
}

/* --- pools --- */

static struct value *pool_of(struct arena *arena, struct value *by_name, const char *name)
{
	struct value *pool = value_get_mut(by_name, name);
	if (pool)
		return pool;
	pool = value_map(arena);
	value_set_str(pool, "pool", name);
	value_set(by_name, name, pool);
	return pool;
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* Every number of a map added to, or the larger one kept in, the map of that name. */
static void merge(struct arena *arena, struct value *pool, const struct value *row,
                  const char *name, bool adds)
{
	const struct value *from = value_get(row, name), *item = NULL;
	struct value *to = value_get_mut(pool, name);
	const char *member = NULL;
	if (!to) {
		to = value_map(arena);
		value_set(pool, name, to);
	}
	for (size_t i = 0; (item = value_member(from, i, &member)); i++) {
		int64_t was = value_get_int(to, member, 0), is = value_as_int(item, 0);
		value_set_int(to, member, adds ? was + is : larger(was, is));
	}
}

static void merge_number(struct value *pool, const struct value *row, const char *name, bool adds)
{
	int64_t was = value_get_int(pool, name, 0), is = value_get_int(row, name, 0);
	value_set_int(pool, name, adds ? was + is : larger(was, is));
}

static void merge_pool(struct arena *arena, struct value *by_name, const struct value *row)
{
	const char *name = value_get_str(row, "pool");
	if (!name)
		return;
	struct value *pool = pool_of(arena, by_name, name);
	merge_number(pool, row, "workers", false);
	merge(arena, pool, row, "total", false);
	merge(arena, pool, row, "used", true);
	merge(arena, pool, row, "waiting", true);
	merge_number(pool, row, "neverFits", true);
	merge_number(pool, row, "oldestWaitMs", false);
}

/* What runs and what waits together: how large the pool is to be. */
static void set_wanted(struct arena *arena, struct value *pool)
{
	static const char *const members[] = { "cpuMillis", "memoryBytes" };
	struct value *wanted = value_map(arena);
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		value_set_int(wanted, members[i],
		              value_get_int(value_get(pool, "used"), members[i], 0) +
		              value_get_int(value_get(pool, "waiting"), members[i], 0));
	value_set(pool, "wanted", wanted);
}

struct value *explain_pools(struct arena *arena, const struct value *const *parts, size_t count)
{
	struct value *by_name = value_map(arena), *pools = value_list(arena);
	for (size_t i = 0; i < count; i++)
		for (size_t n = 0; n < value_len(parts[i]); n++)
			merge_pool(arena, by_name, value_at(parts[i], n));
	for (size_t i = 0; i < value_len(by_name); i++) {
		struct value *pool = value_copy(arena, value_member(by_name, i, NULL));
		if (pool)
			set_wanted(arena, pool);
		value_add(pools, pool);
	}
	return value_check(by_name, NULL) < 0 ? NULL : pools;
}
