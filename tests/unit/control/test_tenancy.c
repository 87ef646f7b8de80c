/* test_tenancy.c - what a tenant's state forbids, and how it is changed. */
#include "common/defs.h"
#include "control/tenancy.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>

#include <stdio.h>
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

/* --- the routes --- */

static struct answer ask(struct plane *plane, const char *key, const char *verb)
{
	char path[64];
	snprintf(path, sizeof path, "/v1/tenants/acme/%s", verb);
	return plane_call(plane, key, "POST", path, "{'reason':'a test'}");
}

static const char *state_now(struct plane *plane)
{
	struct answer answer = plane_call(plane, plane->operator_key, "GET", "/v1/tenants/acme",
	                                  NULL);
	const char *state = value_get_str(value_get(answer.body, "status"), "state");
	return state ? state : "none";
}

Test(tenancy, an_operator_suspends_and_resumes_as_often_as_it_likes)
{
	struct plane *plane = plane_start();
	plane_tenant(plane, "acme", "sales");
	cr_assert_str_eq(state_now(plane), "active");
	for (int i = 0; i < 2; i++) {
		struct answer answer = ask(plane, plane->operator_key, "suspend");
		cr_assert_eq(answer.status, 200, "%s", answer.text);
		cr_assert_str_eq(state_now(plane), "suspended");
	}
	cr_assert_eq(tenant_state(plane->control, "acme"), TENANT_SUSPENDED);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(ask(plane, plane->operator_key, "resume").status, 200);
	cr_assert_str_eq(state_now(plane), "active");
	plane_stop(plane);
}

Test(tenancy, unsealing_goes_back_to_what_there_was_before)
{
	struct plane *plane = plane_start();
	plane_tenant(plane, "acme", "sales");
	cr_assert_eq(ask(plane, plane->operator_key, "suspend").status, 200);
	cr_assert_eq(ask(plane, plane->operator_key, "seal").status, 200);
	cr_assert_eq(ask(plane, plane->operator_key, "resume").status, 409);
	cr_assert_eq(ask(plane, plane->operator_key, "suspend").status, 409);
	cr_assert_eq(ask(plane, plane->operator_key, "unseal").status, 200);
	cr_assert_str_eq(state_now(plane), "suspended");
	plane_stop(plane);
}

Test(tenancy, a_tenants_admin_may_seal_it_and_only_an_operator_unseals_it)
{
	struct plane *plane = plane_start();
	const char *admin = plane_tenant(plane, "acme", "sales");
	const char *consumer = plane_principal(plane, "acme", "eve", "'consumer'", NULL);
	cr_assert_eq(ask(plane, admin, "suspend").status, 403);
	cr_assert_eq(ask(plane, consumer, "seal").status, 403);
	cr_assert_eq(ask(plane, admin, "seal").status, 200);
	cr_assert_eq(ask(plane, admin, "unseal").status, 403);
	cr_assert_eq(ask(plane, plane->operator_key, "unseal").status, 200);
	plane_stop(plane);
}

Test(tenancy, a_state_needs_a_reason_and_the_version_that_was_read)
{
	struct plane *plane = plane_start();
	plane_tenant(plane, "acme", "sales");
	const struct header stale[] = { { "If-Match", "\"1\"" },
	                                { "Content-Type", "application/json" }, { NULL, NULL } };
	const struct asked asked = { .method = "POST", .path = "/v1/tenants/acme/seal",
	                             .key = plane->operator_key, .headers = stale,
	                             .body = "{\"reason\":\"a test\"}" };
	cr_assert_eq(plane_ask(plane, &asked).status, 412);
	cr_assert_eq(plane_call(plane, plane->operator_key, "POST", "/v1/tenants/acme/seal",
	                        "{}").status, 400);
	cr_assert_eq(plane_call(plane, plane->operator_key, "POST", "/v1/tenants/platform/seal",
	                        "{'reason':'a test'}").status, 409);
	cr_assert_eq(plane_call(plane, plane->operator_key, "POST",
	                        "/v1/tenants/acme/seal?dryRun=true",
	                        "{'reason':'a test'}").status, 200);
	cr_assert_str_eq(state_now(plane), "active");
	plane_stop(plane);
}

Test(tenancy, a_change_of_its_spec_leaves_the_state)
{
	struct plane *plane = plane_start();
	plane_tenant(plane, "acme", "sales");
	cr_assert_eq(ask(plane, plane->operator_key, "seal").status, 200);
	plane_put(plane, plane->operator_key, "Tenant", "/v1/tenants/acme",
	          "{'displayName':'Acme Ltd'}");
	cr_assert_str_eq(state_now(plane), "sealed");
	plane_restart(plane);
	cr_assert_str_eq(state_now(plane), "sealed");
	plane_stop(plane);
}

#define PROBE "{'type':'probe','spec':{'sleepMs':1}}"
#define TASKS "/v1/tenants/acme/domains/sales/tasks"

Test(tenancy, a_suspended_tenant_is_refused_tasks_and_a_queued_one_says_why_it_waits)
{
	struct plane *plane = plane_start();
	const char *admin = plane_tenant(plane, "acme", "sales");
	struct answer task = plane_call(plane, admin, "POST", TASKS, PROBE);
	cr_assert_eq(task.status, 202, "%s", task.text);
	cr_assert_eq(ask(plane, plane->operator_key, "suspend").status, 200);
	struct answer refused = plane_call(plane, admin, "POST", TASKS, PROBE);
	cr_assert_eq(refused.status, 409);
	cr_assert(strstr(refused.detail, "a test") && strstr(refused.detail, "resume"), "%s",
	          refused.detail);
	const char *path = arena_printf(plane->arena, TASKS "/%s/explain",
	                                value_get_str(task.body, "id"));
	struct answer why = plane_call(plane, admin, "GET", path, NULL);
	cr_assert(strstr(why.text, "tenant-state"), "%s", why.text);
	cr_assert_eq(plane_call(plane, admin, "GET", TASKS, NULL).status, 200);
	cr_assert_eq(ask(plane, plane->operator_key, "resume").status, 200);
	why = plane_call(plane, admin, "GET", path, NULL);
	cr_assert_not(strstr(why.text, "tenant-state"), "%s", why.text);
	plane_stop(plane);
}

Test(tenancy, a_sealed_tenants_keys_are_neither_opened_nor_made)
{
	struct plane *plane = plane_start();
	const char *admin = plane_tenant(plane, "acme", "sales");
	const char *dataset = "{'apiVersion':'freehold.io/v1','kind':'Dataset','metadata':"
		"{'name':'orders'},'spec':{}}";
	const char *path = "/v1/tenants/acme/domains/sales/datasets/orders";
	cr_assert_eq(ask(plane, plane->operator_key, "seal").status, 200);
	struct answer answer = plane_call(plane, admin, "PUT", path, dataset);
	cr_assert_eq(answer.status, 409, "%s", answer.text);
	cr_assert_eq(tenancy_needs(plane->control, "acme", TENANCY_KEYS, NULL), E_CONFLICT);
	cr_assert_eq(ask(plane, plane->operator_key, "unseal").status, 200);
	cr_assert_eq(plane_call(plane, admin, "PUT", path, dataset).status, 201);
	plane_stop(plane);
}
