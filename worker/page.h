/* page.h - a page of a dataset that the platform keeps for a tenant, told in the report: {rows,
 * more}. What t_history.c and t_events.c have in common. */
#ifndef PAGE_H
#define PAGE_H

#include "worker/run_impl.h"
#include "worker/shop.h"

enum page_compare { PAGE_TEXT, PAGE_NUMBER, PAGE_PATH /* it, or what lies below it */ };
/* A member of the work, and what it says of a column. */
struct page_filter {
	const char *member, *column, *compare;       /* " = "; of a path NULL */
	enum page_compare kind;
};
struct page_shape {
	const struct page_filter *filters;           /* ends with a NULL member */
	const char *list_member, *list_column;       /* one of a list of texts; NULL: none */
	const char *order;                           /* column; the greatest first */
	const char *columns[4];                      /* of a row, in order; ends with NULL */
};
/* Rows of the job's first table, newest first, work's limit at most (1 to 1000). A page ends early
 * when it is large: `more` then says so. For task_side's work and seal. */
MUST_USE int page_work(struct shop *shop, const struct page_shape *shape, struct err *err);
MUST_USE int page_seal(struct run *run, struct err *err);

#endif
