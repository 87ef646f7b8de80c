/* The worker's side of task types, and what their halves share. */
#include "common/defs.h"
#include "tests/support/worksite.h"
#include "worker/duck.h"
#include "worker/ingest.h"
#include "worker/run_impl.h"
#include "worker/shop.h"
#include "worker/types.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

Test(types, each_has_both_halves)
{
	for (int type = 0; type < TASK_COUNT_; type++) {
		cr_expect_not_null(task_side((enum task_type)type)->open);
		cr_expect_not_null(task_side((enum task_type)type)->work);
	}
}

static void put(struct buf *sql, const char *name, const char *sql_type)
{
	buf_printf(sql, "%s %s", name, sql_type);
}

Test(shop, prints_columns_and_refuses_what_is_no_type)
{
	static struct worksite site;
	struct err err = {0};
	struct buf sql;
	worksite_open(&site, 0, false);
	buf_init(&sql, 1000);
	cr_assert_eq(
		shop_columns(worksite_schema(&site, "a:int64;b:decimal(10,2)"), put, &sql, &err),
		0);
	cr_expect_str_eq((char *)sql.data, "a BIGINT, b DECIMAL(10,2)");
	cr_expect_eq(shop_columns(worksite_schema(&site, "a:number"), put, &sql, &err), E_INVALID);
	buf_release(&sql);
	worksite_close(&site);
}

Test(ingest_names, are_compared_whole)
{
	static struct worksite site;
	worksite_open(&site, 0, false);
	const struct value *schema = worksite_schema(&site, "a:int64;ab:string");
	cr_expect_eq(ingest_column(schema, "ab"), value_at(schema, 1));
	cr_expect_null(ingest_column(schema, "A"));
	worksite_close(&site);
}

Test(run_job, takes_no_more_descriptors_than_a_job_may_bring)
{
	static struct run run;
	struct err err = {0};
	run.fd_count = POOL_FDS_MAX;
	cr_expect_eq(run_add_fd(&run, NULL, open("/dev/null", O_RDONLY), &err), E_TOO_LARGE);
}
