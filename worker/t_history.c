/* t_history.c - a page of a tenant's ended tasks, newest id first. A row is [id, document]: the
 * task as the API shows it, as JSON text. */
#include "common/defs.h"
#include "worker/page.h"

static const struct page_filter filters[] = {
	{ "domain",   "domain",   " = ",  PAGE_TEXT },
	{ "type",     "type",     " = ",  PAGE_TEXT },
	{ "run",      "run",      " = ",  PAGE_TEXT },
	{ "schedule", "schedule", " = ",  PAGE_TEXT },
	{ "id",       "id",       " = ",  PAGE_TEXT },
	{ "from",     "id",       " >= ", PAGE_TEXT },
	{ "before",   "id",       " < ",  PAGE_TEXT },
	{ NULL, NULL, NULL, PAGE_TEXT },
};
static const struct page_shape shape = {
	.filters = filters, .list_member = "states", .list_column = "state", .order = "id",
	.columns = { "id", "document", NULL },
};

static int history_work(struct shop *shop, struct err *err)
{
	return page_work(shop, &shape, err);
}

const struct task_side history_side = {run_open_nothing, history_work, NULL, page_seal};
