/* cage.h - what a process that runs other people's SQL gives up before it does, in layers
 * (cage.def). cage_prepare is done once, by the process that executors are forked from, and gives
 * up what all of them share; cage_enter by each executor, before it waits for its job. Nothing of
 * it can be taken back. A layer that the host does not give is left out, and the report says why;
 * who needs it looks there. The layer "cgroup" is the agent's to give (cage_group.h). */
#ifndef CAGE_H
#define CAGE_H

#include "worker/cage_report.h"

struct cage_calls;

struct cage {
	struct cage_report report;
	struct cage_calls *calls; /* made by cage_prepare */
};

/* Both while the process has one thread. channel: the one descriptor that messages go over.
 * parent: who must be alive. An error: the least that is needed (no new privileges, limits, the
 * filter of system calls) cannot be had. */
MUST_USE int cage_prepare(struct cage *cage, int channel, struct err *err);
MUST_USE int cage_enter(struct cage *cage, int parent, struct err *err);
void cage_release(struct cage *cage);

#endif
