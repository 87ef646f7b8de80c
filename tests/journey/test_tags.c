/* test_tags.c - a tag on a source's column, followed through real tasks: a join that renames, an
 * aggregate, SELECT *, a feature view; what a policy on the tag does to who reads it online; a lift
 * and its end. */
#include "common/defs.h"
#include "tests/support/yard.h"

#include <criterion/criterion.h>
#include <string.h>

#define PEOPLE(rest) "/v1/tenants/acme/domains/people/" rest
#define READ "{'features':['cards:ident','cards:total'],'entities':{'who':['ann']}}"

struct cast {
	struct yard *yard;
	struct plane *plane;
	struct company acme;
	const char *reader; /* a consumer's key */
};

static void put(struct cast *cast, const char *kind, const char *path, const char *spec)
{
	plane_put(cast->plane, cast->acme.key, kind, path, spec);
}

static void put_sql(struct cast *cast, const char *name, const char *inputs, const char *sql)
{
	struct arena *arena = cast->plane->arena;
	const char *spec = arena_printf(arena, "{'sql':'%s','inputs':[%s],'output':'%s'}", sql,
	                                inputs, name);
	put(cast, "Transformation", arena_printf(arena, PEOPLE("transformations/%s"), name), spec);
}

static void run(struct cast *cast, const char *type, const char *spec)
{
	const char *id = yard_submit(cast->yard, &cast->acme, type, spec);
	const struct value *task = yard_await(cast->yard, &cast->acme, id, NULL);
	cr_assert_str_eq(value_get_str(task, "state"), "succeeded", "%s: %s", type,
	                 value_get_str(value_get(task, "error"), "text"));
}

static void transform(struct cast *cast, const char *name)
{
	run(cast, "transform", arena_printf(cast->plane->arena, "{'transformation':'%s'}", name));
}

static const char *joined_sql =
	"SELECT p.name AS who, p.ssn AS ident, s.pay, s.paid FROM people p JOIN salaries s ON "
	"s.person = p.name";

static void raise_curtain(struct cast *cast)
{
	static const char *const derived[] = {"joined", "sums", "copied"};
	struct plane *plane = NULL;
	cast->yard = yard_open();
	cast->plane = plane = cast->yard->stage->plane;
	cast->acme = (struct company){"acme", "people", plane_tenant(plane, "acme", "people")};
	cast->reader = plane_principal(plane, "acme", "eve", "'consumer'", "people");
	put(cast, "Dataset", PEOPLE("datasets/people"),
	    "{'columnTags':[{'name':'ssn','tags':['pii']}]}");
	put(cast, "Dataset", PEOPLE("datasets/salaries"),
	    "{'schema':[{'name':'person','type':'string'},{'name':'paid','type':'timestamp'},"
	    "{'name':'pay','type':'int64','tags':['money']}]}");
	for (size_t i = 0; i < ARRAY_LEN(derived); i++)
		put(cast, "Dataset",
		    arena_printf(plane->arena, PEOPLE("datasets/%s"), derived[i]), "{}");
	put(cast, "Source", PEOPLE("sources/people"),
	    "{'connector':'file','path':'people.csv','dataset':'people','format':'csv'}");
	put(cast, "Source", PEOPLE("sources/salaries"),
	    "{'connector':'file','path':'salaries.csv','dataset':'salaries','format':'csv'}");
	put_sql(cast, "joined", "'people','salaries'", joined_sql);
	put_sql(cast, "sums", "'joined'",
	        "SELECT who, max(ident) AS ident, sum(pay)::BIGINT AS total, max(paid) AS at FROM "
	        "joined GROUP BY who");
	put_sql(cast, "copied", "'sums'", "SELECT * FROM sums");
	put(cast, "Entity", PEOPLE("entities/person"), "{'joinKey':'who'}");
	put(cast, "FeatureView", PEOPLE("featureviews/cards"),
	    "{'entities':['person'],'dataset':'copied','timestampField':'at','features':["
	    "{'name':'ident','type':'string'},{'name':'total','type':'int64'}]}");
	yard_file(cast->yard, "acme", "people.csv", "name,ssn\nann,123-45-6789\nbob,999-99-0000\n");
	yard_file(cast->yard, "acme", "salaries.csv",
	          "person,paid,pay\nann,2001-09-08 10:00:00,5\nann,2001-09-08 11:00:00,6\n");
	run(cast, "ingest", "{'source':'people'}");
	run(cast, "ingest", "{'source':'salaries'}");
	for (size_t i = 0; i < ARRAY_LEN(derived); i++)
		transform(cast, derived[i]);
	run(cast, "materialize", "{'featureView':'cards'}");
}

/* Of a column's tags, or "-" for the whole dataset's: "pii money". */
static const char *tags_of(struct cast *cast, const char *dataset, const char *column)
{
	struct arena *arena = cast->plane->arena;
	struct answer answer = plane_call(cast->plane, cast->acme.key, "GET",
	                                  arena_printf(arena, PEOPLE("datasets/%s/tags"), dataset),
	                                  NULL);
	cr_assert_eq(answer.status, 200, "%s", answer.text);
	const struct value *columns = value_get(answer.body, "columns");
	const struct value *list = value_get(answer.body, *column == '-' ? "tags" : "none");
	const char *text = "";
	for (size_t i = 0; i < value_len(columns); i++)
		if (strcmp(value_get_str(value_at(columns, i), "name"), column) == 0)
			list = value_get(value_at(columns, i), "tags");
	for (size_t i = 0; i < value_len(list); i++)
		text = arena_printf(arena, "%s%s%s", text, i ? " " : "",
		                    value_get_str(value_at(list, i), "tag"));
	return text;
}

static void lift(struct cast *cast, const char *what)
{
	struct answer answer = plane_call(cast->plane, cast->acme.key, "POST",
	                                  PEOPLE("datasets/copied/tags/lift"), what);
	cr_assert_eq(answer.status, 200, "%s", answer.text);
}

/* Whether the number can be read online. */
static bool reads_number(struct cast *cast)
{
	struct answer answer = yard_read(cast->yard, cast->reader, READ);
	cr_assert_eq(answer.status, 200, "%s", answer.text);
	cr_expect(strstr(answer.text, "11"), "%s", answer.text);
	return strstr(answer.text, "123-45-6789") != NULL;
}

/* Grants of before the change are taken back with the worker's next poll. */
static bool is_masked(void *context)
{
	return !reads_number(context);
}

static bool is_shown(void *context)
{
	return reads_number(context);
}

Test(tags, follow_the_data_through_join_aggregate_and_star_to_who_reads_it_online)
{
	struct cast cast;
	raise_curtain(&cast);
	cr_expect_str_eq(tags_of(&cast, "joined", "ident"), "pii");
	cr_expect_str_eq(tags_of(&cast, "joined", "pay"), "money");
	cr_expect_str_eq(tags_of(&cast, "joined", "who"), "");
	cr_expect_str_eq(tags_of(&cast, "sums", "ident"), "pii");
	cr_expect_str_eq(tags_of(&cast, "sums", "total"), "money");
	cr_expect_str_eq(tags_of(&cast, "copied", "ident"), "pii");
	cr_expect_str_eq(tags_of(&cast, "copied", "total"), "money");
	cr_expect_str_eq(tags_of(&cast, "copied", "-"), "");
	cr_expect(reads_number(&cast));
	put(&cast, "Policy", "/v1/tenants/acme/policies/pii",
	    "{'text':'@mask(\\'replace-with-null\\') forbid(principal, action == Action::"
	    "\\'column:read\\', resource is Column) when { resource.tags.contains(\\'pii\\') };'}");
	cr_expect(stage_await(cast.yard->stage, is_masked, &cast, 30000));
	lift(&cast, "{'tag':'pii','column':'ident','reason':'made up for a test'}");
	cr_expect(stage_await(cast.yard->stage, is_shown, &cast, 30000));

	/* The same SQL again keeps the lift; other SQL, two steps above, ends it. */
	put(&cast, "Policy", "/v1/tenants/acme/policies/pii", "{'text':'permit(principal is User, "
	    "action == Action::\\'dataset:read\\', resource is Dataset);'}");
	transform(&cast, "joined");
	cr_expect_str_eq(tags_of(&cast, "copied", "ident"), "");
	put_sql(&cast, "joined", "'people','salaries'",
	        arena_printf(cast.plane->arena, "%s WHERE p.ssn > %s", joined_sql, "chr(1)"));
	cr_expect_str_eq(tags_of(&cast, "copied", "ident"), "", "it did not run yet");
	transform(&cast, "joined");
	cr_expect_str_eq(tags_of(&cast, "copied", "ident"), "pii");
	cr_expect_str_eq(tags_of(&cast, "copied", "-"), "pii", "it decides the rows now");
	yard_close(cast.yard);
}
