/* test_may.c - outside of a request policies know a resource as it is stored. */
#include "common/defs.h"
#include "control/may.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <string.h>

Test(may, ask_policies_about_the_resource_as_it_is_stored)
{
	struct plane *plane = plane_start();
	const char *admin = plane_tenant(plane, "acme", "trips");
	plane_put(plane, admin, "Dataset", "/v1/tenants/acme/domains/trips/datasets/rides", "{}");
	plane_put(plane, admin, "Policy", "/v1/tenants/acme/policies/own",
	          "{'text':'permit(principal, action, resource is Dataset) when { resource.labels "
	          "== {} };'}");
	struct asker asker = { .tenant = "acme", .principal = "ann" };
	const struct target trips = { .tenant = "acme", .domain = "trips" };
	struct decision on = may_asker(plane->control, plane->arena, &asker, ACTION_DATASET_READ,
	                               &trips, KIND_DATASET, "rides");
	cr_expect(on.allowed);
	cr_expect_str_eq(on.rule, "own.0");
	struct decision off = may_asker(plane->control, plane->arena, &asker, ACTION_DATASET_READ,
	                                &trips, KIND_NONE, NULL);
	cr_expect_not(off.allowed);
	cr_expect(off.visible);
	asker.confined = true;
	cr_expect_not(may_asker(plane->control, plane->arena, &asker, ACTION_DATASET_READ, &trips,
	                        KIND_DATASET, "rides")
	                      .allowed);
	plane_stop(plane);
}
