/* usage.h - what one attempt of a task took, as the worker measured it (from the kernel). */
#ifndef USAGE_H
#define USAGE_H

#include "common/value.h"

struct usage {
	int64_t cpu_ms;              /* user + system: the executor's, and the agent's share */
	int64_t memory_peak_bytes;   /* executor's highest resident size */
	int64_t bytes_read;          /* sealed bytes opened, or source bytes read */
	int64_t bytes_written;       /* sealed bytes written */
	int64_t rows;                /* rows written or put online */
	int64_t wall_ms;
};
struct value *usage_value(struct arena *arena, const struct usage *usage);
void usage_read(const struct value *map, struct usage *ret_usage);   /* negative or absent: 0 */

#endif
