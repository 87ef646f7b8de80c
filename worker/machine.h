/* machine.h - what this process may use of its machine: the processors it may run on and the
 * memory, less where a control group (v2) says so. Sources: sched(7), cgroups(7) and Linux's
 * Documentation/admin-guide/cgroup-v2.rst. */
#ifndef MACHINE_H
#define MACHINE_H

#include "common/defs.h"

struct machine {
	int64_t cpu_millis;          /* thousandths of a core; at least 100 */
	uint64_t memory_bytes;
};

/* root: "" in life; in tests the folder that proc/ and sys/ lie below. */
void machine_look(const char *root, struct machine *ret_machine);

#endif
