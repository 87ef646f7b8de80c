/* test_metrics.c - counters by route and class, and their text. */
#include "common/defs.h"
#include "control/metrics.h"

#include <criterion/criterion.h>
#include <string.h>

Test(metrics, count_by_route_and_class_and_keep_what_matches_none)
{
	struct metrics *metrics = NULL;
	struct err err = { 0 };
	cr_assert_eq(metrics_new(2, &metrics, &err), 0);
	metrics_request(metrics, 0, 200, 10);
	metrics_request(metrics, 0, 201, 5);
	metrics_request(metrics, 0, 404, 1);
	metrics_request(metrics, 1, 503, -7);
	metrics_request(metrics, 99, 404, 3);
	cr_expect_eq(metrics_count(metrics, 0, 2), 2);
	cr_expect_eq(metrics_count(metrics, 0, 4), 1);
	cr_expect_eq(metrics_us(metrics, 0), 16);
	cr_expect_eq(metrics_count(metrics, 1, 5), 1);
	cr_expect_eq(metrics_us(metrics, 1), 0);
	cr_expect_eq(metrics_count(metrics, 2, 4), 1);
	metrics_free(metrics);
}

Test(metrics, print_lines_that_prometheus_reads)
{
	AUTO_BUF out;
	struct err err = { 0 };
	buf_init(&out, KIB);
	metrics_head(&out, "a_total", "counter", "What it is.");
	metrics_line(&out, "a_total", "x=\"y\"", 12);
	metrics_line(&out, "a_total", NULL, 0.5);
	cr_assert_eq(buf_check(&out, &err), 0);
	cr_expect_str_eq((char *)out.data, "# HELP a_total What it is.\n# TYPE a_total counter\n"
	                 "a_total{x=\"y\"} 12\na_total 0.5\n");
}
