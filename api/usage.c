/* usage.c - a usage record as a map. */
#include "common/defs.h"
#include "api/usage.h"

struct value *usage_value(struct arena *arena, const struct usage *usage)
{
	struct value *map = value_map(arena);
	value_set_int(map, "cpuMs", usage->cpu_ms);
	value_set_int(map, "memoryPeakBytes", usage->memory_peak_bytes);
	value_set_int(map, "bytesRead", usage->bytes_read);
	value_set_int(map, "bytesWritten", usage->bytes_written);
	value_set_int(map, "rows", usage->rows);
	value_set_int(map, "wallMs", usage->wall_ms);
	return map;
}

static int64_t amount(const struct value *map, const char *name)
{
	int64_t n = value_get_int(map, name, 0);
	return n > 0 ? n : 0;
}

void usage_read(const struct value *map, struct usage *ret_usage)
{
	*ret_usage = (struct usage) {
		.cpu_ms = amount(map, "cpuMs"),
		.memory_peak_bytes = amount(map, "memoryPeakBytes"),
		.bytes_read = amount(map, "bytesRead"),
		.bytes_written = amount(map, "bytesWritten"),
		.rows = amount(map, "rows"),
		.wall_ms = amount(map, "wallMs"),
	};
}
