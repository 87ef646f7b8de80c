/* test_reading.c - what of a dataset or view someone may read: roles, policies, offers, purposes,
 * and a view as its dataset seen through another door. */
#include "common/defs.h"
#include "control/reading.h"

#include "control/identity.h"

#include "common/json.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <string.h>

#define ACME "/v1/tenants/acme"
#define SALES ACME "/domains/sales"
#define ORDERS \
	"{'schema':[{'name':'region','type':'string'}," \
	"{'name':'email','type':'string','tags':['pii']}," \
	"{'name':'amount','type':'int64'},{'name':'id','type':'string'}," \
	"{'name':'at','type':'timestamp'}]%s}"

/* acme with sales.orders, and the view sales.spend over it. */
struct scene {
	struct plane *plane;
	const char *admin;
	struct asker carl;               /* a consumer of sales */
	struct err err;
};

static void put_orders(struct scene *s, const char *more)
{
	struct arena *arena = s->plane->arena;
	plane_put(s->plane, s->admin, "Dataset", SALES "/datasets/orders",
	          arena_printf(arena, ORDERS, more));
}

static struct scene start(void)
{
	struct scene s = { .plane = plane_start(),
		           .carl = { .tenant = "acme", .principal = "carl", .auth = AUTH_KEY } };
	s.admin = plane_tenant(s.plane, "acme", "sales");
	cr_assert(asker_bind(&s.carl, "consumer", "sales"));
	put_orders(&s, "");
	plane_put(s.plane, s.admin, "Entity", SALES "/entities/customer", "{'joinKey':'id'}");
	plane_put(s.plane, s.admin, "FeatureView", SALES "/featureviews/spend",
	          "{'entities':['customer'],'dataset':'orders','timestampField':'at',"
	          "'features':[{'name':'email','type':'string'},"
	          "{'name':'amount','type':'int64'}]}");
	return s;
}

static void policy(struct scene *s, const char *name, const char *text)
{
	struct arena *arena = s->plane->arena;
	struct value *spec = value_map(arena);
	AUTO_BUF out;
	buf_init(&out, MIB);
	value_set_str(spec, "text", text);
	json_print(spec, &out);
	cr_assert_eq(buf_check(&out, NULL), 0);
	plane_put(s->plane, s->admin, "Policy", arena_printf(arena, ACME "/policies/%s", name),
	          arena_strndup(arena, (const char *)out.data, out.len));
}

static struct value *stored(struct scene *s, const char *key)
{
	struct value *found = NULL;
	cr_assert_eq(catalog_get(s->plane->control->catalog, s->plane->arena, key, &found, NULL,
	                         &s->err), 0, "%s", s->err.text);
	return found;
}

static int read_as(struct scene *s, struct reading_ask ask, struct reading *ret_reading)
{
	s->err = (struct err){ 0 };
	ask.now_ms = 1000;
	return reading_decide(s->plane->control, s->plane->arena, &ask, ret_reading, &s->err);
}

static struct reading_ask orders(struct scene *s, const struct asker *asker)
{
	struct value *found = stored(s, "r/dataset/acme/sales/orders");
	return (struct reading_ask){ .asker = asker, .tenant = "acme", .domain = "sales",
		                     .kind = KIND_DATASET, .name = "orders", .stored = found,
		                     .schema = value_get(value_get(found, "spec"), "schema") };
}

static struct reading_ask spend(struct scene *s, const struct asker *asker)
{
	struct value *found = stored(s, "r/featureview/acme/sales/spend"), *schema = NULL;
	cr_assert_eq(reading_view_schema(s->plane->arena, "id", "string",
	                                 value_get(value_get(found, "spec"), "features"), &schema,
	                                 &s->err), 0);
	return (struct reading_ask){ .asker = asker, .tenant = "acme", .domain = "sales",
		                     .kind = KIND_FEATUREVIEW, .name = "spend",
		                     .stored = found, .schema = schema };
}

static const char *mask_of(const struct reading *reading, const char *column)
{
	return mask_name(restriction_mask(&reading->restriction, column));
}

Test(reading, without_policies_is_what_roles_permit_whole)
{
	struct scene s = start();
	struct reading reading;
	struct asker nobody = { .tenant = "acme", .principal = "nora" };
	struct asker stranger = { .tenant = "globex", .principal = "carl" };
	cr_assert(asker_bind(&stranger, "tenant-admin", NULL));
	cr_assert_eq(read_as(&s, orders(&s, &s.carl), &reading), 0, "%s", s.err.text);
	cr_expect(!restriction_any(&reading.restriction));
	cr_expect_str_eq(reading.rule, "consumer");
	cr_expect_eq(read_as(&s, orders(&s, &nobody), &reading), E_DENIED);
	cr_expect_not_null(strstr(s.err.text, "acme/nora may not dataset:read the dataset "
	                                      "sales.orders"), "%s", s.err.text);
	cr_expect_eq(read_as(&s, orders(&s, &stranger), &reading), E_DENIED);
	plane_stop(s.plane);
}

#define EU "resource.row.region == \"EU\""

Test(reading, is_the_rows_that_policies_leave)
{
	struct scene s = start();
	struct reading reading;
	struct asker nora = { .tenant = "acme", .principal = "nora" };
	policy(&s, "eu", "forbid(principal == User::\"acme/carl\", action == "
	                 "Action::\"dataset:read\", resource is Dataset) unless { " EU " };"
	                 "permit(principal == User::\"acme/nora\", action == "
	                 "Action::\"dataset:read\", resource is Dataset) when { " EU " };");
	cr_assert_eq(read_as(&s, orders(&s, &s.carl), &reading), 0, "%s", s.err.text);
	cr_expect_not_null(reading.restriction.filter);
	cr_assert_eq(read_as(&s, orders(&s, &nora), &reading), 0, "%s", s.err.text);
	cr_expect_not_null(reading.restriction.filter);
	cr_expect_str_eq(reading.rule, "eu.1");
	struct reading_ask unknown = orders(&s, &s.carl);
	unknown.schema = NULL;
	cr_expect_eq(read_as(&s, unknown, &reading), E_DENIED);
	plane_stop(s.plane);
}

static const struct value *rows_of(struct scene *s, const char *name)
{
	struct asker asker = { .auth = AUTH_KEY };
	struct reading reading;
	const struct identity_name who = { "acme", name, NULL };
	cr_assert_eq(identity_named(s->plane->control, s->plane->arena, &who, &asker, &s->err), 0,
	             "%s", s->err.text);
	int rc = read_as(s, orders(s, &asker), &reading);
	cr_expect(rc == 0 || rc == E_DENIED, "%s", s->err.text);
	return rc == 0 ? reading.restriction.filter : NULL;
}

static const struct value *eq(struct scene *s, const char *text)
{
	struct value *list = value_list(s->plane->arena);
	value_add_str(list, "eq");
	value_add_str(list, "region");
	value_add_str(list, text);
	return list;
}

static void clerk(struct scene *s, const char *name, const char *spec)
{
	plane_put(s->plane, s->admin, "Principal",
	          arena_printf(s->plane->arena, ACME "/principals/%s", name), spec);
}

Test(reading, is_each_principals_own_rows_by_its_attribute_under_one_policy)
{
	struct scene s = start();
	policy(&s, "own", "permit(principal, action == Action::\"dataset:read\", resource == "
	                  "Dataset::\"acme/sales/orders\") when { resource.row.region == "
	                  "principal.region };");
	clerk(&s, "uma", "{'attributes':{'region':'US'}}");
	clerk(&s, "eva", "{'attributes':{'region':'EU'}}");
	clerk(&s, "nil", "{}");
	const struct value *uma = rows_of(&s, "uma"), *eva = rows_of(&s, "eva");
	cr_expect(value_equal(uma, eq(&s, "US")));
	cr_expect(value_equal(eva, eq(&s, "EU")));
	cr_expect_null(rows_of(&s, "nil"));
	clerk(&s, "uma", "{'attributes':{'region':'EU'}}");
	cr_expect(value_equal(rows_of(&s, "uma"), eva));
	clerk(&s, "uma", "{}");
	cr_expect_null(rows_of(&s, "uma"));
	plane_stop(s.plane);
}

Test(reading, masks_by_the_columns_tags_and_a_view_as_its_dataset)
{
	struct scene s = start();
	struct reading reading;
	policy(&s, "pii", "@mask(\"show-last-4\") forbid(principal, action == "
	                  "Action::\"column:read\", resource) "
	                  "when { resource.tags.contains(\"pii\") };");
	cr_assert_eq(read_as(&s, orders(&s, &s.carl), &reading), 0, "%s", s.err.text);
	cr_expect_str_eq(mask_of(&reading, "email"), "show-last-4");
	cr_expect_eq(value_len(reading.restriction.masks), 1);
	cr_assert_eq(read_as(&s, spend(&s, &s.carl), &reading), 0, "%s", s.err.text);
	cr_expect_str_eq(mask_of(&reading, "email"), "show-last-4");
	policy(&s, "amounts", "forbid(principal, action == Action::\"column:read\", "
	                      "resource == Column::\"acme/sales/orders/amount\");");
	cr_assert_eq(read_as(&s, spend(&s, &s.carl), &reading), 0, "%s", s.err.text);
	cr_expect(restriction_hides(&reading.restriction, "amount"));
	cr_expect(!restriction_hides(&reading.restriction, "email"));
	plane_stop(s.plane);
}

Test(reading, gives_another_tenant_by_an_offer_what_no_policy_forbids_it)
{
	struct scene s = start();
	struct reading reading;
	struct asker globex = { .tenant = "globex", .principal = "*" };
	struct reading_ask ask = orders(&s, &globex);
	ask.offered = true;
	cr_assert_eq(read_as(&s, ask, &reading), 0, "%s", s.err.text);
	cr_expect(!restriction_any(&reading.restriction));
	policy(&s, "away", "forbid(principal, action == Action::\"dataset:read\", "
	                   "resource is Dataset) "
	                   "unless { principal.tenant == \"acme\" || " EU " };");
	cr_assert_eq(read_as(&s, ask, &reading), 0, "%s", s.err.text);
	cr_expect_not_null(reading.restriction.filter);
	cr_assert_eq(read_as(&s, orders(&s, &s.carl), &reading), 0, "%s", s.err.text);
	cr_expect_null(reading.restriction.filter);
	policy(&s, "never", "forbid(principal, action, resource) "
	                    "unless { principal.tenant == \"acme\" };");
	cr_expect_eq(read_as(&s, ask, &reading), E_DENIED);
	plane_stop(s.plane);
}

Test(reading, needs_one_of_the_purposes_and_tells_policies_which)
{
	struct scene s = start();
	struct reading reading;
	put_orders(&s, ",'purposes':['billing','fraud']");
	struct reading_ask ask = orders(&s, &s.carl), view = spend(&s, &s.carl);
	cr_expect_eq(read_as(&s, ask, &reading), E_DENIED);
	cr_expect_not_null(strstr(s.err.text, "billing, fraud"), "%s", s.err.text);
	cr_expect_eq(read_as(&s, view, &reading), E_DENIED);
	ask.purpose = view.purpose = "marketing";
	cr_expect_eq(read_as(&s, ask, &reading), E_DENIED);
	cr_expect_null(strstr(s.err.text, "marketing"), "%s", s.err.text);
	ask.purpose = view.purpose = "fraud";
	cr_expect_eq(read_as(&s, ask, &reading), 0, "%s", s.err.text);
	cr_expect_eq(read_as(&s, view, &reading), 0, "%s", s.err.text);
	policy(&s, "billing", "forbid(principal, action == Action::\"dataset:read\", resource) "
	                      "unless { context has purpose && context.purpose == \"billing\" };");
	cr_expect_eq(read_as(&s, ask, &reading), E_DENIED);
	ask.purpose = "billing";
	cr_expect_eq(read_as(&s, ask, &reading), 0, "%s", s.err.text);
	plane_stop(s.plane);
}

Test(reading, of_two_at_once_is_the_stricter_in_everything)
{
	struct scene s = start();
	struct arena *arena = s.plane->arena;
	struct reading a = { .rule = "a" }, b = { .rule = "b" }, both;
	struct value *first = value_map(arena), *second = value_map(arena);
	struct value *hidden = value_list(arena);
	value_set_str(first, "email", "show-last-4");
	value_set_str(second, "email", "sha-256-global");
	value_set_str(second, "name", "mask-alphanum");
	value_add_str(hidden, "name");
	a.restriction = (struct restriction){ rowfilter_on(arena, "some", "region", NULL), first,
		                              hidden };
	b.restriction = (struct restriction){ NULL, second, NULL };
	cr_assert_eq(reading_both(arena, &a, &b, &both, &s.err), 0);
	cr_expect_str_eq(mask_of(&both, "email"), "sha-256-global");
	cr_expect_str_eq(mask_of(&both, "name"), "none");
	cr_expect(restriction_hides(&both.restriction, "name"));
	cr_expect(value_equal(both.restriction.filter, a.restriction.filter));
	cr_assert_eq(reading_both(arena, &b, &a, &both, &s.err), 0);
	cr_expect_str_eq(mask_of(&both, "email"), "sha-256-global");
	cr_expect(value_equal(both.restriction.filter, a.restriction.filter));
	plane_stop(s.plane);
}

Test(reading, the_rows_of_the_audit_log_are_for_who_may_audit_read_and_for_nobody_else)
{
	struct scene s = start();
	struct value *schema = value_list(s.plane->arena);
	struct reading reading;
	struct asker consumer = { .tenant = "acme", .principal = "eve", .auth = AUTH_KEY };
	struct asker auditor = { .tenant = "acme", .principal = "olga", .auth = AUTH_KEY };
	cr_assert(asker_bind(&consumer, "consumer", NULL));
	cr_assert(asker_bind(&auditor, "auditor", NULL));
	struct reading_ask ask = {
		.asker = &consumer, .tenant = "acme", .domain = "freehold", .kind = KIND_DATASET,
		.name = "tasks", .stored = value_map(s.plane->arena), .schema = schema,
		.now_ms = 1,
	};
	cr_expect_eq(reading_decide(s.plane->control, s.plane->arena, &ask, &reading, &s.err), 0);
	ask.name = "audit";
	cr_expect_eq(reading_decide(s.plane->control, s.plane->arena, &ask, &reading, &s.err),
	             E_DENIED);
	cr_expect(strstr(s.err.text, "audit:read"), "%s", s.err.text);
	ask.asker = &auditor;
	cr_expect_eq(reading_decide(s.plane->control, s.plane->arena, &ask, &reading, &s.err), 0);
	plane_stop(s.plane);
}

Test(reading, of_some_rows_is_enough_to_refer_to_them_from_another_domain)
{
	struct scene s = start();
	plane_put(s.plane, s.admin, "Domain", ACME "/domains/west", "{}");
	const char *olga = plane_principal(s.plane, "acme", "olga", "'domain-owner'", "west");
	plane_put(s.plane, olga, "Dataset", ACME "/domains/west/datasets/own", "{}");
	const struct asked refers = {
		.method = "PUT", .key = olga, .path = ACME "/domains/west/transformations/own",
		.body = "{\"apiVersion\":\"freehold.io/v1\",\"kind\":\"Transformation\","
			"\"metadata\":{\"name\":\"own\"},\"spec\":{\"sql\":\"SELECT 1 AS one\","
			"\"inputs\":[\"sales.orders\"],\"output\":\"own\"}}",
	};
	cr_expect_eq(plane_ask(s.plane, &refers).status, 403);
	policy(&s, "west", "permit(principal == User::\"acme/olga\", action == "
	                   "Action::\"dataset:read\", resource is Dataset) when { " EU " };");
	struct answer made = plane_ask(s.plane, &refers);
	cr_expect_eq(made.status, 201, "%s", made.text);
	plane_stop(s.plane);
}
