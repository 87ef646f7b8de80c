/* cage_group.h - a control group (version 2) for each executor: the kernel holds it to its job's
 * memory, threads and cores. Sources: cgroups(7), Linux's Documentation/admin-guide/cgroup-v2.rst.
 *
 * The worker must be alone in a group that it may write: its processes then move into a group
 * "agent" below it, beside those of executors. */
#ifndef CAGE_GROUP_H
#define CAGE_GROUP_H

#include "api/tasks.h"

struct cage_groups;

/* root: "" in life; in tests the folder that proc/ and sys/ lie below. E_UNAVAILABLE: says why this
 * host gives none. */
MUST_USE int cage_groups_new(const char *root, struct cage_groups **ret_groups, struct err *err);
void cage_groups_free(struct cage_groups *groups);
DEFINE_AUTO(cage_groups)

/* Puts a process into a group of its own, with these limits. */
MUST_USE int cage_groups_put(struct cage_groups *groups, int pid, const struct limits *limits,
                             struct err *err);
/* Whether the kernel killed in that group for its memory. */
bool cage_groups_killed(const struct cage_groups *groups, int pid);
/* The process has been waited for. */
void cage_groups_drop(struct cage_groups *groups, int pid);

#endif
