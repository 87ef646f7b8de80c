/* history.h - a tenant's ended tasks that have left memory, for whoever asks: control has no
 * engine, so a worker reads the sealed history (a question, control/shard_archive.h) while the
 * request is held. */
#ifndef HISTORY_H
#define HISTORY_H

#include "control/admit.h"

struct history_ask {
	struct task_filter filter;
	const char *id;              /* NULL: any */
	size_t limit;
};
/* Newest id first, as the API shows them, each with "archived": true. No more than limit; ret_more:
 * there are others behind the last. E_UNAVAILABLE: no worker answered in time; ask again. */
MUST_USE int history_page(struct request *request, const struct history_ask *ask,
                          struct value **ret_items, bool *ret_more, struct err *err);
/* NULL: it is not in the history of the request's domain. */
MUST_USE int history_find(struct request *request, const char *id, struct value **ret_task,
                          struct err *err);
/* The page of the tenant's tasks in memory and in the history alike. resume: the next page's
 * `before`, in the request's arena; NULL: there is none. */
MUST_USE int history_list(struct request *request, const struct history_ask *ask,
                          struct value **ret_items, const char **ret_resume, struct err *err);

#endif
