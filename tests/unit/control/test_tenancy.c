#include "common/defs.h"
#include "control/tenancy.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>

#include <string.h>

static struct value *tenant_in(struct arena *arena, const char *is)
{
	struct value *tenant = value_map(arena), *metadata = value_map(arena);
	value_set_str(metadata, "name", "acme");
	value_set(tenant, "metadata", metadata);
	if (is) {
		struct value *state = value_map(arena);
		value_set_str(state, "is", is);
		value_set_int(state, "since", 1700000000000);
		value_set_str(state, "by", "platform/root");
		value_set_str(state, "reason", "unpaid bills");
		value_set(tenant, "state", state);
	}
	return tenant;
}

static bool may(const struct value *tenant, enum tenancy_need need)
{
	return tenancy_allows(tenant, need, NULL) == 0;
}

Test(tenancy, a_tenant_without_a_state_is_active_and_may_everything)
{
	AUTO(arena) *arena = NULL;
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	struct value *tenant = tenant_in(arena, NULL);
	cr_assert_eq(tenant_state_of(tenant), TENANT_ACTIVE);
	cr_assert(may(tenant, TENANCY_READ) && may(tenant, TENANCY_RUN));
	cr_assert(may(tenant, TENANCY_KEYS) && may(NULL, TENANCY_KEYS));
}

Test(tenancy, a_suspended_tenant_is_read_but_starts_nothing)
{
	AUTO(arena) *arena = NULL;
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	struct value *tenant = tenant_in(arena, "suspended");
	cr_assert_eq(tenant_state_of(tenant), TENANT_SUSPENDED);
	cr_assert(may(tenant, TENANCY_READ) && may(tenant, TENANCY_KEYS));
	cr_assert_not(may(tenant, TENANCY_RUN));
}

Test(tenancy, a_sealed_tenant_and_one_of_an_unknown_state_open_nothing)
{
	AUTO(arena) *arena = NULL;
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	static const char *const states[] = { "sealed", "frozen", "" };
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		struct value *tenant = tenant_in(arena, states[i]);
		cr_assert_eq(tenant_state_of(tenant), TENANT_SEALED);
		cr_assert_not(may(tenant, TENANCY_READ) || may(tenant, TENANCY_RUN) ||
		              may(tenant, TENANCY_KEYS));
	}
}

Test(tenancy, a_deletion_that_waits_forbids_what_the_state_before_it_did)
{
	AUTO(arena) *arena = NULL;
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	struct value *tenant = tenant_in(arena, "deleting");
	struct value *state = value_get_mut(tenant, "state");
	cr_assert(may(tenant, TENANCY_KEYS) && !may(tenant, TENANCY_RUN));
	value_set(state, "before",
	          value_copy(arena, value_get(tenant_in(arena, "sealed"), "state")));
	cr_assert_not(may(tenant, TENANCY_KEYS));
	value_remove(state, "before");
	value_set_int(state, "erasingAt", 1700000000001);
	cr_assert_not(may(tenant, TENANCY_KEYS) || may(tenant, TENANCY_READ));
}

Test(tenancy, a_refusal_names_the_state_since_when_by_whom_why_and_the_way_out)
{
	AUTO(arena) *arena = NULL;
	struct err err = { 0 };
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	cr_assert_eq(tenancy_allows(tenant_in(arena, "sealed"), TENANCY_KEYS, &err), E_CONFLICT);
	static const char *const parts[] = {
		"acme", "sealed", "2023-11-14T22:13:20", "platform/root", "unpaid bills", "unseal",
	};
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		cr_assert(strstr(err.text, parts[i]), "%s is missing in: %s", parts[i], err.text);
}

Test(tenancy, is_asked_of_the_catalog_by_name)
{
	struct plane *plane = plane_start();
	plane_tenant(plane, "acme", "sales");
	cr_assert_eq(tenant_state(plane->control, "acme"), TENANT_ACTIVE);
	cr_assert_eq(tenant_state(plane->control, "nobody"), TENANT_ACTIVE);
	cr_assert_eq(tenancy_needs(plane->control, "acme", TENANCY_KEYS, NULL), 0);
	plane_stop(plane);
}
