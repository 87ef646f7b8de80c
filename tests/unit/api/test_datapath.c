/* test_datapath.c - data that was read is found by its path. */
#include "common/defs.h"
#include "api/datapath.h"

#include <criterion/criterion.h>

#define SALES "/v1/tenants/acme/domains/sales"

Test(datapath, finds_what_an_event_names_among_others)
{
	const char *both = "datasets/hr.pay datasets/sales.orders";
	cr_expect(datapath_matches(SALES "/datasets/orders", both));
	cr_expect(datapath_matches(SALES "/datasets", both));
	cr_expect(datapath_matches(SALES "/datasets/", both));
	cr_expect(datapath_matches(SALES, both));
	cr_expect(datapath_matches("/v1/tenants/acme/domains/hr/datasets/pay", both));
	cr_expect(datapath_matches(SALES "/featureviews/spend", "featureviews/sales.spend"));
}

Test(datapath, finds_nothing_that_is_only_named_alike)
{
	const char *orders = "datasets/sales.orders";
	cr_expect_not(datapath_matches(SALES "/datasets/order", orders));
	cr_expect_not(datapath_matches(SALES "/datasets/orders2", orders));
	cr_expect_not(datapath_matches(SALES "/sources/orders", orders));
	cr_expect_not(datapath_matches("/v1/tenants/acme/domains/sale", orders));
	cr_expect_not(datapath_matches("/v1/tenants/acme/domains/presales", orders));
	cr_expect_not(datapath_matches(SALES "/datasets/orders/tags", orders));
	cr_expect_not(datapath_matches("/v1/tenants/acme", orders));
	cr_expect_not(datapath_matches("", orders));
	cr_expect_not(datapath_matches(SALES, SALES "/datasets/orders"), "a path is a path's");
	cr_expect_not(datapath_matches(SALES, NULL));
}
