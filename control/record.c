/* record.c - the types of records, and the members that several have. */
#include "common/defs.h"
#include "control/record.h"

#include <string.h>

static const char *const names[] = {
	[RECORD_ACCEPTED] = "accepted", [RECORD_ATTEMPT] = "attempt", [RECORD_OUTCOME] = "outcome",
	[RECORD_CANCEL] = "cancel", [RECORD_USAGE] = "usage", [RECORD_AUDIT] = "audit",
	[RECORD_METER] = "meter", [RECORD_INTERVAL] = "interval",
	[RECORD_RUN] = "run", [RECORD_REPLAY] = "replay", [RECORD_TASK] = "task",
	[RECORD_ENDED] = "ended", [RECORD_KEY] = "key", [RECORD_TALLY] = "tally",
	[RECORD_GONE] = "gone", [RECORD_LOG] = "log", [RECORD_STOP] = "stop",
	[RECORD_ERASED] = "erased",
	[RECORD_HEAD] = "head", [RECORD_NODES] = "nodes",
};

enum record_type record_type(const struct value *record)
{
	const char *name = value_get_str(record, "t");
	for (size_t i = RECORD_UNKNOWN + 1; name && i < ARRAY_LEN(names); i++)
		if (strcmp(names[i], name) == 0)
			return (enum record_type)i;
	return RECORD_UNKNOWN;
}

struct value *record_new(struct arena *arena, enum record_type type, int64_t at_ms)
{
	struct value *record = value_map(arena);
	if (!record)
		return NULL;
	value_set_str(record, "t", names[type]);
	value_set_int(record, "at", at_ms);
	return record;
}

struct value *record_limits(struct arena *arena, const struct limits *limits)
{
	struct value *map = value_map(arena);
	if (!map)
		return NULL;
	value_set_int(map, "deadlineMs", limits->deadline_ms);
	value_set_int(map, "memoryBytes", (int64_t)limits->memory_bytes);
	value_set_int(map, "threads", limits->threads);
	value_set_int(map, "cpuMs", limits->cpu_ms);
	value_set_int(map, "attempts", limits->attempts_max);
	if (limits->retry_first_ms)
		value_set_int(map, "retryFirstMs", limits->retry_first_ms);
	if (limits->retry_most_ms)
		value_set_int(map, "retryMostMs", limits->retry_most_ms);
	return map;
}

void record_limits_read(const struct value *map, struct limits *ret_limits)
{
	limits_default(ret_limits);
	ret_limits->deadline_ms = value_get_int(map, "deadlineMs", ret_limits->deadline_ms);
	ret_limits->memory_bytes = (uint64_t)value_get_int(map, "memoryBytes",
	                                                   (int64_t)ret_limits->memory_bytes);
	ret_limits->threads = (int)value_get_int(map, "threads", ret_limits->threads);
	ret_limits->cpu_ms = value_get_int(map, "cpuMs", ret_limits->cpu_ms);
	ret_limits->attempts_max = (int)value_get_int(map, "attempts", ret_limits->attempts_max);
	ret_limits->retry_first_ms = (int)value_get_int(map, "retryFirstMs", 0);
	ret_limits->retry_most_ms = (int)value_get_int(map, "retryMostMs", 0);
}
