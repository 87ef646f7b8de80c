/* test_restricted.c - rows, masks and hidden columns from the policy's text to what people get:
 * through a task, a query and an online read, each by somebody else; and what a change of the
 * policy, a purpose and a principal that goes do to it. */
#include "common/defs.h"
#include "common/json.h"
#include "tests/support/yard.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define SALES(rest) "/v1/tenants/acme/domains/sales/" rest

/* anna is a producer of sales, eve a consumer; the admin sees all. What is looked for in answers
 * has a hyphen: a refusal has an id, which is random letters and digits and may spell the rest. */
struct cast {
	struct yard *yard;
	struct plane *plane;
	struct company acme, anna;
	const char *eve;
};

static void put(struct cast *cast, const char *kind, const char *path, const char *spec)
{
	plane_put(cast->plane, cast->acme.key, kind, path, spec);
}

static const struct value *run(struct cast *cast, const struct company *who, const char *type,
                               const char *spec)
{
	return yard_await(cast->yard, &cast->acme, yard_submit(cast->yard, who, type, spec), NULL);
}

static void must_run(struct cast *cast, const struct company *who, const char *type,
                     const char *spec)
{
	const struct value *task = run(cast, who, type, spec);
	cr_assert_str_eq(value_get_str(task, "state"), "succeeded", "%s: %s", type,
	                 value_get_str(value_get(task, "error"), "text"));
}

static const char *refusal(struct cast *cast, const struct company *who, const char *type,
                           const char *spec)
{
	const struct value *error = value_get(run(cast, who, type, spec), "error");
	const char *text = value_get_str(error, "text");
	return text ? text : "(none)";
}

static void policy(struct cast *cast, const char *text)
{
	struct arena *arena = cast->plane->arena;
	struct value *spec = value_map(arena);
	AUTO_BUF out;
	buf_init(&out, MIB);
	value_set_str(spec, "text", text);
	json_print(spec, &out);
	cr_assert_eq(buf_check(&out, NULL), 0);
	put(cast, "Policy", "/v1/tenants/acme/policies/people",
	    arena_strndup(arena, (const char *)out.data, out.len));
}

#define PEOPLE(more) \
	"{'schema':[{'name':'id','type':'string'},{'name':'seen','type':'timestamp'}," \
	"{'name':'region','type':'string'},{'name':'phone','type':'string','tags':['pii']}," \
	"{'name':'salary','type':'int64'}]" more "}"

static void raise_curtain(struct cast *cast)
{
	cast->yard = yard_open();
	cast->plane = cast->yard->stage->plane;
	cast->acme = (struct company){"acme", "sales", plane_tenant(cast->plane, "acme", "sales")};
	cast->anna = (struct company){"acme", "sales", plane_principal(cast->plane, "acme", "anna",
	                                                               "'producer'", "sales")};
	cast->eve = plane_principal(cast->plane, "acme", "eve", "'consumer'", "sales");
	yard_file(cast->yard, "acme", "people.csv",
	          "id,seen,region,phone,salary\n"
	          "p-1,2001-09-09 01:00:00,EU,030-5550123,10\n"
	          "p-2,2001-09-09 01:00:00,US,212-5550456,20\n"
	          "p-3,2001-09-09 01:00:00,,212-5550789,30\n");
	put(cast, "Dataset", SALES("datasets/people"), PEOPLE(""));
	put(cast, "Dataset", SALES("datasets/copy"), "{}");
	put(cast, "Source", SALES("sources/people"),
	    "{'connector':'file','path':'people.csv','dataset':'people','format':'csv'}");
	put(cast, "Transformation", SALES("transformations/copy"),
	    "{'sql':'SELECT id, phone FROM people','inputs':['people'],'output':'copy'}");
	put(cast, "Transformation", SALES("transformations/pay"),
	    "{'sql':'SELECT salary FROM people','inputs':['people'],'output':'copy'}");
	put(cast, "Entity", SALES("entities/person"), "{'joinKey':'id'}");
	put(cast, "FeatureView", SALES("featureviews/people"),
	    "{'entities':['person'],'dataset':'people','timestampField':'seen','features':["
	    "{'name':'phone','type':'string'},{'name':'salary','type':'int64'}]}");
	must_run(cast, &cast->acme, "ingest", "{'source':'people'}");
	must_run(cast, &cast->acme, "materialize", "{'featureView':'people'}");
}

/* Rows outside of the EU, salaries, and all of a phone but its end are not for anna and eve. */
#define NOT_ADMIN "unless { principal in Role::\"acme/tenant-admin\" };\n"
#define RULES \
	"forbid(principal, action == Action::\"dataset:read\", resource == " \
	"Dataset::\"acme/sales/people\") unless { principal in Role::\"acme/tenant-admin\" || " \
	"(resource.row has region && resource.row.region == \"EU\") };\n" \
	"@mask(\"show-last-4\") forbid(principal, action == Action::\"column:read\", resource) " \
	"when { resource.tags.contains(\"pii\") } " NOT_ADMIN \
	"forbid(principal, action == Action::\"column:read\", resource == " \
	"Column::\"acme/sales/people/salary\") " NOT_ADMIN

static struct answer query(struct cast *cast, const char *key, const char *purpose,
                           const char *sql)
{
	return yard_query(cast->yard, key, purpose,
	                  arena_printf(cast->plane->arena, "{'sql':'%s'}", sql));
}

static bool says(const struct answer *answer, const char *text)
{
	return answer->text && strstr(answer->text, text);
}

/* --- the story --- */

static void by_a_task(struct cast *cast)
{
	must_run(cast, &cast->anna, "transform", "{'transformation':'copy'}");
	static const char all[] = "SELECT id, phone FROM sales.copy";
	struct answer copied = query(cast, cast->acme.key, NULL, all);
	cr_expect(says(&copied, "p-1") && says(&copied, "nnn-nnn0123"), "%s", copied.text);
	cr_expect(!says(&copied, "p-2") && !says(&copied, "p-3"), "%s", copied.text);
	const char *hidden = refusal(cast, &cast->anna, "transform", "{'transformation':'pay'}");
	cr_expect_not_null(strstr(hidden, "salary"), "%s", hidden);
	must_run(cast, &cast->acme, "transform", "{'transformation':'copy'}");
	copied = query(cast, cast->acme.key, NULL, all);
	cr_expect(says(&copied, "p-3") && says(&copied, "212-5550789"), "%s", copied.text);
}

static void by_a_query(struct cast *cast)
{
	struct answer seen = query(cast, cast->eve, NULL, "SELECT * FROM sales.people");
	cr_expect(says(&seen, "p-1") && says(&seen, "nnn-nnn0123"), "%s", seen.text);
	cr_expect(!says(&seen, "p-2") && !says(&seen, "-5550") && !says(&seen, "salary"), "%s",
	          seen.text);
	struct answer whole = query(cast, cast->acme.key, NULL, "SELECT * FROM sales.people");
	cr_expect(says(&whole, "212-5550456") && says(&whole, "salary"), "%s", whole.text);
}

#define PHONES "{'features':['people:phone'],'entities':{'id':['p-1']}}"

static bool is_unmasked(void *context)
{
	struct cast *cast = context;
	struct answer seen = yard_read(cast->yard, cast->eve, PHONES);
	return says(&seen, "030-5550123");
}

static void by_an_online_read(struct cast *cast)
{
	struct answer seen = yard_read(cast->yard, cast->eve, PHONES);
	cr_expect(says(&seen, "nnn-nnn0123") && !says(&seen, "-5550"), "%s", seen.text);
	struct answer none = yard_read(cast->yard, cast->eve,
	                               "{'features':['people:salary'],'entities':{'id':['p-1']}}");
	cr_expect_eq(none.status, 404, "%s", none.text);
	policy(cast, "permit(principal, action, resource) when { false };");
	cr_expect(stage_await(cast->yard->stage, is_unmasked, cast, 30000),
	          "a grant of before the change is in use for ever");
}

static void for_a_purpose(struct cast *cast)
{
	put(cast, "Dataset", SALES("datasets/people"), PEOPLE(",'purposes':['payroll']"));
	struct answer none = query(cast, cast->eve, NULL, "SELECT id FROM sales.people");
	cr_expect_eq(none.status, 403, "%s", none.text);
	cr_expect(says(&none, "payroll"), "%s", none.text);
	struct answer one = query(cast, cast->eve, "payroll", "SELECT id FROM sales.people");
	cr_expect_eq(one.status, 200, "%s", one.text);
	const char *text = refusal(cast, &cast->anna, "transform", "{'transformation':'copy'}");
	cr_expect_not_null(strstr(text, "payroll"), "%s", text);
}

/* anna has no region, and eve that of the second. */
static void by_its_own_attribute(struct cast *cast)
{
	const char *all = "SELECT id FROM sales.people ORDER BY id";
	policy(cast, "forbid(principal, action == Action::\"dataset:read\", resource == "
	             "Dataset::\"acme/sales/people\") unless { principal has region && "
	             "resource.row has region && resource.row.region == principal.region };");
	put(cast, "Principal", "/v1/tenants/acme/principals/eve",
	    "{'roles':['consumer'],'domain':'sales','attributes':{'region':'US'}}");
	struct answer seen = query(cast, cast->eve, NULL, all);
	cr_expect(says(&seen, "p-2") && !says(&seen, "p-1") && !says(&seen, "p-3"), "%s",
	          seen.text);
	seen = query(cast, cast->anna.key, NULL, all);
	cr_expect(!says(&seen, "p-1") && !says(&seen, "p-2"), "%s", seen.text);
	put(cast, "Principal", "/v1/tenants/acme/principals/eve",
	    "{'roles':['consumer'],'domain':'sales','attributes':{'region':'EU'}}");
	seen = query(cast, cast->eve, NULL, all);
	cr_expect(says(&seen, "p-1") && !says(&seen, "p-2"), "%s", seen.text);
}

Test(restricted, people_get_what_policies_leave_them_through_every_door)
{
	struct cast cast;
	raise_curtain(&cast);
	policy(&cast, RULES);
	by_a_task(&cast);
	by_a_query(&cast);
	by_an_online_read(&cast);
	by_its_own_attribute(&cast);
	for_a_purpose(&cast);
	yard_close(cast.yard);
}
