/* t_events.c - a page of a tenant's stored audit events, newest first. A row is [seq, document]:
 * the event as control keeps it, as JSON text. */
#include "common/defs.h"
#include "worker/page.h"

static const struct page_filter filters[] = {
	{ "actor",    "actor",    " = ",  PAGE_TEXT },
	{ "onBehalfOf", "on_behalf", " = ", PAGE_TEXT },
	{ "action",   "action",   " = ",  PAGE_TEXT },
	{ "resource", "resource", NULL,   PAGE_PATH },
	{ "result",   "result",   " = ",  PAGE_TEXT },
	{ "purpose",  "purpose",  " = ",  PAGE_TEXT },
	{ "request",  "request",  " = ",  PAGE_TEXT },
	{ "task",     "task",     " = ",  PAGE_TEXT },
	{ "class",    "class",    " = ",  PAGE_NUMBER },
	{ "since",    "time",     " >= ", PAGE_TEXT },
	{ "until",    "time",     " < ",  PAGE_TEXT },
	{ "from",     "seq",      " >= ", PAGE_NUMBER },
	{ "before",   "seq",      " < ",  PAGE_NUMBER },
	{ NULL, NULL, NULL, PAGE_TEXT },
};
static const struct page_shape shape = {
	.filters = filters, .order = "seq", .columns = { "seq", "document", NULL },
};

static int events_work(struct shop *shop, struct err *err)
{
	return page_work(shop, &shape, err);
}

const struct task_side events_side = {run_open_nothing, events_work, NULL, page_seal};
