/* strip.h - a schedule's intervals as people would rather look at them, and a switch that several
 * resources have. */
#ifndef STRIP_H
#define STRIP_H

#include "api/cli/cli.h"

enum { STRIP_WIDTH = 60 };

/* One character an interval, oldest first, STRIP_WIDTH to a line, each line after the time of its
 * first: "2026-01-31 08:00  ####x#>.". Where `colours`, blocks and colours instead. intervals: a
 * list of {from, state}. */
void strip_draw(const struct value *intervals, bool colours, struct buf *out);
/* What the characters mean. */
const char *strip_legend(bool colours);

/* spec.paused of a resource, as it is now. */
MUST_USE int pause_set(struct cli *cli, const char *path, bool paused, struct err *err);
/* Waits a little between two looks; not on the simulated clock: a person waits. */
void pause_between_looks(void);

#endif
