/* stop.h - control itself ends a task or a run that somebody started through it. */
#ifndef STOP_H
#define STOP_H

#include "control/control.h"

struct stop {
	const char *tenant;
	const char *id;              /* of the task or the run */
	bool is_run;
	const char *principal;       /* "system/backfill" */
	int64_t now_ms;
};
/* The record, then whatever runs of it. What has ended stays as it is. */
MUST_USE int stop_now(struct part *part, const struct stop *stop, struct err *err);

#endif
