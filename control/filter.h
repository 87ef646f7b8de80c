/* filter.h - which tasks a list shows: ?state=queued,running&type=ingest&run=ID&schedule=NAME
 * &since=TIME&until=TIME&continue=TOKEN. */
#ifndef FILTER_H
#define FILTER_H

#include "control/admit.h"

/* Of the path's domain. E_INVALID names the parameter and what it may be. */
MUST_USE int filter_read(struct request *request, struct task_filter *ret_filter, struct err *err);
/* As members of a question to the history (worker/t_history.c). */
void filter_spec(const struct task_filter *filter, struct value *spec, struct arena *arena);
/* Whether tasks that have ended can be among them. */
bool filter_ends(const struct task_filter *filter);

#endif
