/* test_inputs.c - a task reads what whoever it runs for may read by now; what is shared, only what
 * its owner lets out as well. */
#include "common/defs.h"
#include "control/inputs.h"

#include "common/json.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <string.h>

#define ACME "/v1/tenants/acme"
#define SALES ACME "/domains/sales"

/* acme with sales.orders; globex with trips, which has orders as gold.orders. */
struct scene {
	struct plane *plane;
	const char *admin, *globex;
	struct err err;
};

static struct scene start(void)
{
	struct scene s = { .plane = plane_start() };
	s.admin = plane_tenant(s.plane, "acme", "sales");
	s.globex = plane_tenant(s.plane, "globex", "trips");
	plane_put(s.plane, s.admin, "Dataset", SALES "/datasets/orders",
	          "{'schema':[{'name':'region','type':'string'},"
	          "{'name':'email','type':'string','tags':['pii']}]}");
	plane_principal(s.plane, "acme", "etl", "'producer'", "sales");
	plane_principal(s.plane, "globex", "gina", "'producer'", "trips");
	plane_put(s.plane, s.admin, "Offer", SALES "/offers/gold",
	          "{'datasets':['orders'],'to':{'tenant':'globex'}}");
	plane_put(s.plane, s.globex, "Acceptance",
	          "/v1/tenants/globex/domains/trips/acceptances/gold",
	          "{'from':{'tenant':'acme','domain':'sales','offer':'gold'}}");
	return s;
}

static void policy(struct scene *s, const char *tenant, const char *key, const char *text)
{
	struct arena *arena = s->plane->arena;
	struct value *spec = value_map(arena);
	AUTO_BUF out;
	buf_init(&out, MIB);
	value_set_str(spec, "text", text);
	json_print(spec, &out);
	cr_assert_eq(buf_check(&out, NULL), 0);
	plane_put(s->plane, key, "Policy", arena_printf(arena, "/v1/tenants/%s/policies/p", tenant),
	          arena_strndup(arena, (const char *)out.data, out.len));
}

/* What is left of sales.orders for a task of that principal; alias: it is another tenant's. */
static int restricted(struct scene *s, const struct work *work, const char *alias,
                      struct restriction *ret_restriction)
{
	struct value *stored = NULL;
	s->err = (struct err){ 0 };
	cr_assert_eq(catalog_get(s->plane->control->catalog, s->plane->arena,
	                         "r/dataset/acme/sales/orders", &stored, NULL, &s->err), 0);
	struct inputs inputs = { .control = s->plane->control, .arena = s->plane->arena,
		                 .work = work };
	const struct input input = {
		.by = work->domain, .alias = alias, .tenant = "acme", .domain = "sales",
		.name = "orders", .stored = stored,
		.schema = value_get(value_get(stored, "spec"), "schema"),
	};
	*ret_restriction = (struct restriction){ NULL, NULL, NULL };
	return inputs_restrict(&inputs, &input, ret_restriction, &s->err);
}

static struct work work_of(const char *principal)
{
	bool globex = strncmp(principal, "globex/", 7) == 0;
	return (struct work){ .id = "t", .tenant = globex ? "globex" : "acme",
		              .domain = globex ? "trips" : "sales", .principal = principal,
		              .type = TASK_TRANSFORM };
}

#define EU "resource.row.region == \"EU\""
#define PII "@mask(\"mask-alphanum\") forbid(principal, action == Action::\"column:read\", " \
	"resource) when { resource.tags.contains(\"pii\") };"

Test(inputs, are_what_the_tasks_principal_may_read_by_now)
{
	struct scene s = start();
	struct restriction restriction;
	struct work work = work_of("acme/etl");
	cr_assert_eq(restricted(&s, &work, NULL, &restriction), 0, "%s", s.err.text);
	cr_expect(!restriction_any(&restriction));
	policy(&s, "acme", s.admin,
	       "forbid(principal == User::\"acme/etl\", action == Action::\"dataset:read\", "
	       "resource is Dataset) unless { " EU " };" PII);
	cr_assert_eq(restricted(&s, &work, NULL, &restriction), 0, "%s", s.err.text);
	cr_expect_not_null(restriction.filter);
	cr_expect_eq(restriction_mask(&restriction, "email"), MASK_ALPHANUM);
	policy(&s, "acme", s.admin, "permit(principal, action, resource) when { false };");
	cr_assert_eq(restricted(&s, &work, NULL, &restriction), 0, "%s", s.err.text);
	cr_expect(!restriction_any(&restriction));
	plane_stop(s.plane);
}

Test(inputs, are_denied_to_a_principal_that_is_gone_disabled_or_has_no_role_any_more)
{
	struct scene s = start();
	struct restriction restriction;
	struct work work = work_of("acme/etl"), gone = work_of("acme/ghost");
	cr_expect_eq(restricted(&s, &gone, NULL, &restriction), E_DENIED);
	cr_expect_not_null(strstr(s.err.text, "acme/ghost"), "%s", s.err.text);
	plane_put(s.plane, s.admin, "Principal", ACME "/principals/etl",
	          "{'roles':['producer'],'domain':'sales','disabled':true}");
	cr_expect_eq(restricted(&s, &work, NULL, &restriction), E_DENIED);
	cr_expect_not_null(strstr(s.err.text, "gone or disabled"), "%s", s.err.text);
	plane_put(s.plane, s.admin, "Principal", ACME "/principals/etl", "{}");
	cr_expect_eq(restricted(&s, &work, NULL, &restriction), E_DENIED);
	cr_expect_not_null(strstr(s.err.text, "acme/etl may not dataset:read"), "%s", s.err.text);
	plane_stop(s.plane);
}

Test(inputs, of_another_tenant_are_what_its_policies_let_out_and_the_readers_own_let_in)
{
	struct scene s = start();
	struct restriction restriction;
	struct work work = work_of("globex/gina");
	cr_assert_eq(restricted(&s, &work, "gold", &restriction), 0, "%s", s.err.text);
	cr_expect(!restriction_any(&restriction));
	policy(&s, "acme", s.admin,
	       "forbid(principal, action == Action::\"dataset:read\", resource is Dataset) "
	       "unless { principal.tenant == \"acme\" || " EU " };");
	cr_assert_eq(restricted(&s, &work, "gold", &restriction), 0, "%s", s.err.text);
	cr_expect_not_null(restriction.filter);
	cr_expect_null(restriction.masks);
	policy(&s, "globex", s.globex, PII);
	cr_assert_eq(restricted(&s, &work, "gold", &restriction), 0, "%s", s.err.text);
	cr_expect_not_null(restriction.filter);
	cr_expect_eq(restriction_mask(&restriction, "email"), MASK_ALPHANUM);
	policy(&s, "globex", s.globex,
	       "forbid(principal, action == Action::\"dataset:read\", "
	       "resource == Dataset::\"globex/trips/gold.orders\");");
	cr_expect_eq(restricted(&s, &work, "gold", &restriction), E_DENIED);
	policy(&s, "globex", s.globex, "permit(principal, action, resource) when { false };");
	policy(&s, "acme", s.admin, "forbid(principal, action, resource) "
	                            "unless { principal.tenant == \"acme\" };");
	cr_expect_eq(restricted(&s, &work, "gold", &restriction), E_DENIED);
	plane_stop(s.plane);
}

Test(inputs, of_a_schedule_are_its_writers_and_nobodys_where_no_writer_is_kept)
{
	struct scene s = start();
	struct restriction restriction;
	struct work old = work_of("system/schedule/nightly"), now = old;
	struct value *reader = value_map(s.plane->arena);
	value_set_str(reader, "principal", "acme/etl");
	now.reader = reader;
	cr_expect_eq(restricted(&s, &old, NULL, &restriction), 0, "%s", s.err.text);
	policy(&s, "acme", s.admin, PII);
	cr_expect_eq(restricted(&s, &old, NULL, &restriction), E_DENIED);
	cr_expect_not_null(strstr(s.err.text, "apply the schedule again"), "%s", s.err.text);
	cr_assert_eq(restricted(&s, &now, NULL, &restriction), 0, "%s", s.err.text);
	cr_expect_eq(restriction_mask(&restriction, "email"), MASK_ALPHANUM);
	plane_stop(s.plane);
}

Test(inputs, of_what_the_platform_does_are_whole)
{
	static const enum task_type types[] = { TASK_ARCHIVE, TASK_HISTORY, TASK_REKEY,
		                                TASK_SWEEP, TASK_ERASE };
	struct scene s = start();
	struct restriction restriction;
	policy(&s, "acme", s.admin, "forbid(principal, action == Action::\"dataset:read\", "
	                            "resource);" PII);
	struct work work = work_of("acme/etl");
	cr_expect_eq(restricted(&s, &work, NULL, &restriction), E_DENIED);
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		work.type = types[i];
		cr_expect_eq(restricted(&s, &work, NULL, &restriction), 0, "%s", s.err.text);
		cr_expect(!restriction_any(&restriction));
	}
	plane_stop(s.plane);
}

Test(inputs, with_purposes_are_read_for_one_of_these_by_whatever_reads)
{
	struct scene s = start();
	struct restriction restriction;
	plane_put(s.plane, s.admin, "Dataset", SALES "/datasets/orders",
	          "{'schema':[{'name':'region','type':'string'}],'purposes':['billing']}");
	static const char *const readers[] = { "acme/etl", "globex/gina",
		                               "system/schedule/nightly" };
	for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
		struct work work = work_of(readers[i]);
		const char *alias = i == 1 ? "gold" : NULL;
		cr_expect_eq(restricted(&s, &work, alias, &restriction), E_DENIED);
		cr_expect_not_null(strstr(s.err.text, "billing"), "%s", s.err.text);
		work.purpose = "billing";
		cr_expect_eq(restricted(&s, &work, alias, &restriction), 0, "%s", s.err.text);
	}
	plane_stop(s.plane);
}
