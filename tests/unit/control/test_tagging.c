/* test_tagging.c - which tags are in force of what: declared, inherited through lineage as it was
 * kept, lifted. */
#include "common/defs.h"
#include "control/tagging.h"

#include "common/json.h"
#include "control/lifts.h"
#include "control/tagnode.h"
#include "tests/support/plane.h"
#include "tests/support/tells.h"

#include <criterion/criterion.h>
#include <string.h>

#define PEOPLE(rest) "/v1/tenants/acme/domains/people/" rest

static struct plane *plane;
static const char *admin;

static void begin(void)
{
	plane = plane_start();
	admin = plane_tenant(plane, "acme", "people");
}

static void end(void)
{
	plane_stop(plane);
}

TestSuite(tagging, .init = begin, .fini = end);

static bool has(const struct value *list, const char *tag)
{
	for (size_t i = 0; i < value_len(list); i++)
		if (strcmp(value_as_str(value_at(list, i)), tag) == 0)
			return true;
	return false;
}

static struct tags tags_in(const char *dataset)
{
	struct tags tags = { 0 };
	struct err err = { .text = "" };
	cr_assert_eq(tags_of(plane->control, plane->arena, "acme", "people", dataset, &tags, &err),
	             0, "%s", err.text);
	return tags;
}

static bool column_has(const char *dataset, const char *column, const char *tag)
{
	struct tags tags = tags_in(dataset);
	return has(tags_of_column(&tags, column), tag);
}

static const char *path_of(const char *dataset, const char *rest)
{
	return arena_printf(plane->arena, PEOPLE("datasets/%s%s"), dataset, rest);
}

static void put(const char *dataset, const char *spec)
{
	plane_put(plane, admin, "Dataset", path_of(dataset, ""), spec);
}

static const char *uid_of(const char *tenant, const char *domain, const char *dataset)
{
	char key[STORE_KEY_MAX];
	struct value *stored = NULL;
	catalog_key(key, KIND_DATASET, tenant, domain, dataset);
	cr_assert_eq(catalog_get(plane->control->catalog, plane->arena, key, &stored, NULL, NULL),
	             0, "%s", key);
	return value_get_str(value_get(stored, "metadata"), "uid");
}

static struct value *parsed(const char *text)
{
	struct value *value = NULL;
	struct err err = { .text = "" };
	char *copy = arena_strdup(plane->arena, text);
	for (char *at = copy; *at; at++)
		*at = *at == '\'' ? '"' : *at;
	cr_assert_eq(json_parse(plane->arena, copy, strlen(copy), &value, &err), 0, "%s: %s",
	             err.text, text);
	return value;
}

/* As SETTLE keeps it: what is at `to` is made of `from` by that SQL. said: exact, columns,
 * influence. */
static void derive_at(const struct dataset_at *to, const struct dataset_at *from, const char *alias,
                      const char *sql, const char *said)
{
	char key[STORE_KEY_MAX];
	struct change *change = NULL;
	struct value *lineage = parsed(said), *known = NULL, *inputs = value_list(plane->arena);
	struct value *input = value_map(plane->arena);
	cr_assert_eq(tagging_known(plane->control, plane->arena, from, to->tenant, &known, NULL),
	             0);
	value_set_str(input, "tenant", from->tenant);
	value_set_str(input, "domain", from->domain);
	value_set_str(input, "name", from->name);
	value_set_str(input, "alias", alias);
	value_set_str(input, "uid", uid_of(from->tenant, from->domain, from->name));
	value_set(input, "known", known);
	value_add(inputs, input);
	value_set_str(lineage, "uid", uid_of(to->tenant, to->domain, to->name));
	value_set(lineage, "by",
	          value_str(plane->arena, arena_printf(plane->arena, "%s.make", to->domain)));
	value_set_str(lineage, "sql", sql);
	value_set(lineage, "inputs", inputs);
	cr_assert_eq(change_new(&change, NULL), 0);
	cr_assert_eq(change_put(change, lineage_key(key, to), lineage, -1, NULL), 0);
	struct err err = { .text = "" };
	cr_assert_eq(journal_commit(plane->part->journal, change, &err), 0, "%s", err.text);
	change_free(change);
}

static void derive(const char *dataset, const char *from, const char *sql, const char *said)
{
	const struct dataset_at to = { "acme", "people", dataset }, at = { "acme", "people", from };
	derive_at(&to, &at, NULL, sql, said);
}

/* salaries.ssn is pii; a: renamed and counted; b: made of a. */
static void make_chain(void)
{
	put("salaries", "{'columnTags':[{'name':'ssn','tags':['pii']}],'tags':['internal']}");
	put("a", "{}");
	put("b", "{}");
	derive("a", "salaries", "s1",
	       "{'exact':true,'columns':{'id':[[0,'SSN']],'n':[]},'influence':[[0,'city']]}");
	derive("b", "a", "s2",
	       "{'exact':true,'columns':{'who':[[0,'id']],'total':[[0,'n']]},'influence':[]}");
}

Test(tagging, a_column_has_its_own_tags_and_its_datasets)
{
	put("salaries", "{'tags':['secret'],'columnTags':[{'name':'ssn','tags':['pii']}],'schema':["
	                "{'name':'ssn','type':'string','tags':['national-id']},"
	                "{'name':'pay','type':'int64'}]}");
	struct tags tags = tags_in("salaries");
	cr_expect(has(tags.dataset, "secret"));
	cr_expect_not(has(tags.dataset, "pii"));
	const struct value *ssn = tags_of_column(&tags, "SSN");
	cr_expect(has(ssn, "secret") && has(ssn, "pii") && has(ssn, "national-id"));
	cr_expect_eq(value_len(tags_of_column(&tags, "pay")), 1);
	cr_expect_eq(value_len(tags_in("nothing").dataset), 0);
}

Test(tagging, tags_are_inherited_column_by_column_over_two_steps)
{
	make_chain();
	cr_expect(column_has("a", "id", "pii"));
	cr_expect_not(column_has("a", "n", "pii"));
	cr_expect(column_has("b", "who", "pii"));
	cr_expect_not(column_has("b", "total", "pii"));
	cr_expect(column_has("b", "total", "internal"));
	cr_expect(has(tags_in("b").dataset, "internal"));
	cr_expect_not(has(tags_in("b").dataset, "pii"));
}

Test(tagging, a_tag_that_is_declared_or_taken_away_later_holds_at_once_for_what_was_derived)
{
	make_chain();
	cr_expect(column_has("b", "who", "pii"));
	put("salaries", "{'columnTags':[{'name':'ssn','tags':['health']}]}");
	cr_expect(column_has("b", "who", "health"));
	cr_expect_not(column_has("b", "who", "pii"));
	cr_expect_not(has(tags_in("b").dataset, "internal"));
}

Test(tagging, a_column_that_decides_the_rows_gives_its_tags_to_the_dataset_but_to_no_column)
{
	put("salaries", "{'columnTags':[{'name':'ssn','tags':['pii']}]}");
	put("a", "{}");
	derive("a", "salaries", "s1", "{'exact':true,'columns':{'n':[]},'influence':[[0,'ssn']]}");
	cr_expect(has(tags_in("a").dataset, "pii"));
	cr_expect_not(column_has("a", "n", "pii"));
	put("b", "{}");
	derive("b", "a", "s2", "{'exact':true,'columns':{'n':[[0,'n']]},'influence':[]}");
	cr_expect(has(tags_in("b").dataset, "pii"));
	cr_expect_not(column_has("b", "n", "pii"));
}

Test(tagging, where_it_is_not_known_what_columns_are_made_of_each_has_every_tag)
{
	put("salaries", "{'columnTags':[{'name':'ssn','tags':['pii']}]}");
	put("a", "{}");
	derive("a", "salaries", "s1", "{'exact':false}");
	cr_expect(column_has("a", "whatever", "pii"));
	cr_expect(has(tags_in("a").dataset, "pii"));
	put("b", "{}");
	derive("b", "salaries", "s1", "{'exact':true,'columns':{'x':[[0]]},'influence':[]}");
	cr_expect(column_has("b", "x", "pii"));
}

Test(tagging, datasets_made_of_each_other_share_their_tags_and_that_ends)
{
	put("a", "{'columnTags':[{'name':'x','tags':['pii']}]}");
	put("b", "{'columnTags':[{'name':'x','tags':['health']}]}");
	derive("a", "b", "s1", "{'exact':true,'columns':{'x':[[0,'x']]},'influence':[]}");
	derive("b", "a", "s2", "{'exact':true,'columns':{'x':[[0,'x']]},'influence':[]}");
	cr_expect(column_has("a", "x", "health") && column_has("a", "x", "pii"));
	cr_expect(column_has("b", "x", "health") && column_has("b", "x", "pii"));
	put("b", "{'columnTags':[{'name':'x','tags':['geo']}]}");
	cr_expect(column_has("a", "x", "geo"));
}

Test(tagging, what_was_known_stays_when_its_origin_is_gone_or_another_of_the_name)
{
	make_chain();
	const char *uid = uid_of("acme", "people", "salaries");
	struct answer gone = plane_call(plane, admin, "DELETE", path_of("salaries", ""), NULL);
	cr_assert_eq(gone.status, 200, "%s", gone.text);
	cr_expect(column_has("b", "who", "pii"));
	put("salaries", "{}");
	cr_expect_str_neq(uid_of("acme", "people", "salaries"), uid);
	cr_expect(column_has("b", "who", "pii"));
}

Test(tagging, a_view_has_the_tags_of_what_it_shows)
{
	make_chain();
	plane_put(plane, admin, "Entity", PEOPLE("entities/one"), "{'joinKey':'who'}");
	plane_put(plane, admin, "FeatureView", PEOPLE("featureviews/view"),
	          "{'entities':['one'],'dataset':'b','timestampField':'at','tags':['served'],"
	          "'features':[{'name':'total','type':'int64','tags':['money']},"
	          "{'name':'who','type':'string'}]}");
	struct tags tags = { 0 };
	cr_assert_eq(tags_of_view(plane->control, plane->arena, "acme", "people", "view", &tags,
	                          NULL), 0);
	cr_expect(has(tags.dataset, "served") && has(tags.dataset, "internal"));
	cr_expect(has(tags_of_column(&tags, "total"), "money"));
	cr_expect(has(tags_of_column(&tags, "who"), "pii"));
	cr_expect_not(has(tags_of_column(&tags, "total"), "pii"));
}

Test(tagging, a_view_that_shows_another_dataset_now_keeps_the_tags_of_what_it_showed)
{
	static const char view[] = "{'entities':['one'],'dataset':'%s','timestampField':'at',"
	                           "'features':[{'name':'who','type':'string'}]}";
	struct tags tags = { 0 };
	make_chain();
	put("plain", "{}");
	plane_put(plane, admin, "Entity", PEOPLE("entities/one"), "{'joinKey':'who'}");
	static const char *const shown[] = { "b", "plain", "plain" };
	for (size_t i = 0; i < ARRAY_LEN(shown); i++) {
		plane_put(plane, admin, "FeatureView", PEOPLE("featureviews/view"),
		          arena_printf(plane->arena, view, shown[i]));
		cr_assert_eq(tags_of_view(plane->control, plane->arena, "acme", "people", "view",
		                          &tags, NULL), 0);
		cr_expect(has(tags_of_column(&tags, "who"), "pii"), "%s", shown[i]);
		cr_expect(has(tags_of_column(&tags, "other"), "internal"), "%s", shown[i]);
		cr_expect_not(has(tags_of_column(&tags, "other"), "pii"), "%s", shown[i]);
	}
}

/* --- lifting --- */

static struct answer lift(const char *key, const char *dataset, const char *what)
{
	const char *body = arena_printf(plane->arena, "{%s,'reason':'it is a hash'}", what);
	return plane_call(plane, key, "POST", path_of(dataset, "/tags/lift"), body);
}

static const char *lift_state(const char *dataset)
{
	struct answer answer = plane_call(plane, admin, "GET", path_of(dataset, "/tags"), NULL);
	cr_assert_eq(answer.status, 200, "%s", answer.text);
	const struct value *lifts = value_get(answer.body, "lifts");
	return value_len(lifts) ? value_get_str(value_at(lifts, 0), "state") : "none";
}

Test(tagging, a_lift_is_for_administrators_and_stewards_and_holds_downstream)
{
	make_chain();
	const char *who = "'tag':'pii','column':'id'";
	const char *steward = plane_principal(plane, "acme", "sue", "'steward'", "people");
	static const char *const others[] = { "'domain-owner'", "'producer'", "'consumer'" };
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		const char *name = arena_printf(plane->arena, "p%zu", i);
		const char *key = plane_principal(plane, "acme", name, others[i], "people");
		cr_expect_eq(lift(key, "a", who).status, 403, "%s", others[i]);
	}
	cr_expect(column_has("b", "who", "pii"));
	struct answer done = lift(steward, "a", who);
	cr_assert_eq(done.status, 200, "%s", done.text);
	cr_expect(strstr(done.text, "acme/sue") && strstr(done.text, "it is a hash"));
	cr_expect_not(column_has("a", "id", "pii"));
	cr_expect_not(column_has("b", "who", "pii"));
	cr_expect_str_eq(lift_state("a"), "in force");
	struct answer back = plane_call(plane, admin, "POST", path_of("a", "/tags/unlift"),
	                                "{'tag':'pii','column':'id'}");
	cr_assert_eq(back.status, 200, "%s", back.text);
	cr_expect(column_has("b", "who", "pii"));
	cr_expect_str_eq(lift_state("a"), "none");
}

Test(tagging, a_lift_lapses_when_the_sql_changes_here_or_above)
{
	make_chain();
	cr_assert_eq(lift(admin, "b", "'tag':'pii','column':'who'").status, 200);
	cr_expect_not(column_has("b", "who", "pii"));
	derive("a", "salaries", "s1",
	       "{'exact':true,'columns':{'id':[[0,'ssn']],'n':[]},'influence':[]}");
	cr_expect_not(column_has("b", "who", "pii"), "the same SQL ran again");
	derive("a", "salaries", "s9",
	       "{'exact':true,'columns':{'id':[[0,'ssn']],'n':[]},'influence':[]}");
	cr_expect(column_has("b", "who", "pii"));
	cr_expect_str_eq(lift_state("b"), "lapsed");
}

Test(tagging, a_lift_is_not_for_a_tag_that_comes_from_elsewhere_later)
{
	make_chain();
	derive("a", "salaries", "s1",
	       "{'exact':true,'columns':{'id':[[0,'ssn','mail']]},'influence':[]}");
	cr_assert_eq(lift(admin, "a", "'tag':'pii','column':'id'").status, 200);
	cr_expect_not(column_has("a", "id", "pii"));
	put("salaries", "{'columnTags':[{'name':'ssn','tags':['pii']},"
	                "{'name':'mail','tags':['pii']}]}");
	cr_expect(column_has("a", "id", "pii"));
	cr_expect_str_eq(lift_state("a"), "lapsed");
}

Test(tagging, a_lift_of_the_whole_leaves_columns_that_have_it_by_themselves)
{
	put("salaries", "{'tags':['pii'],'columnTags':[{'name':'ssn','tags':['pii']}]}");
	put("a", "{}");
	derive("a", "salaries", "s1",
	       "{'exact':true,'columns':{'id':[[0,'ssn']],'n':[[0,'n']]},'influence':[]}");
	cr_expect(column_has("a", "n", "pii"));
	cr_assert_eq(lift(admin, "a", "'tag':'pii'").status, 200);
	cr_expect_not(has(tags_in("a").dataset, "pii"));
	cr_expect_not(column_has("a", "n", "pii"));
	cr_expect(column_has("a", "id", "pii"));
}

Test(tagging, only_what_is_inherited_is_lifted_and_as_it_was_looked_at)
{
	make_chain();
	cr_expect_eq(lift(admin, "salaries", "'tag':'pii','column':'ssn'").status, 409);
	cr_expect_eq(lift(admin, "b", "'tag':'nothing'").status, 404);
	cr_expect_eq(lift(admin, "b", "'tag':'pii','column':'who','lineage':'old'").status, 409);
	cr_expect_eq(plane_call(plane, admin, "POST", path_of("b", "/tags/lift"),
	                        "{'tag':'pii','column':'who'}").status, 400);
	cr_expect(column_has("b", "who", "pii"));
}

Test(tagging, policies_decide_by_tags_in_force)
{
	make_chain();
	plane_put(plane, admin, "Policy", "/v1/tenants/acme/policies/own",
	          "{'text':'forbid(principal, action == Action::\\'dataset:read\\', resource is "
	          "Dataset) when { resource.tags.contains(\\'internal\\') };'}");
	const char *reader = plane_principal(plane, "acme", "eve", "'consumer'", "people");
	cr_expect_eq(plane_call(plane, reader, "GET", path_of("b", ""), NULL).status, 403);
	put("salaries", "{}");
	cr_expect_eq(plane_call(plane, reader, "GET", path_of("b", ""), NULL).status, 200);
}

/* --- of another tenant --- */

#define OFFER "/v1/tenants/globex/domains/hr/offers/pay"

/* people.a is made of globex's hr.raw, which is made of its hr.inner. */
static const char *make_shared(void)
{
	const char *globex = plane_tenant(plane, "globex", "hr");
	plane_put(plane, globex, "Dataset", "/v1/tenants/globex/domains/hr/datasets/raw",
	          "{'columnTags':[{'name':'ssn','tags':['pii']}]}");
	plane_put(plane, globex, "Offer", OFFER,
	          "{'datasets':['raw'],'to':{'tenant':'acme'}}");
	plane_put(plane, admin, "Acceptance", PEOPLE("acceptances/gx"),
	          "{'from':{'tenant':'globex','domain':'hr','offer':'pay'}}");
	put("a", "{}");
	plane_put(plane, globex, "Dataset", "/v1/tenants/globex/domains/hr/datasets/inner",
	          "{'tags':['staff']}");
	const struct dataset_at raw = { "globex", "hr", "raw" },
		inner = { "globex", "hr", "inner" },
	                        a = { "acme", "people", "a" };
	derive_at(&raw, &inner, NULL, "s0",
	          "{'exact':true,'columns':{'ssn':[[0,'k']]},'influence':[]}");
	derive_at(&a, &raw, "gx", "s1",
	          "{'exact':true,'columns':{'x':[[0,'ssn']]},'influence':[]}");
	return globex;
}

Test(tagging, another_tenants_tags_come_along_and_stay_when_its_offer_ends)
{
	const char *globex = make_shared();
	cr_expect(column_has("a", "x", "pii") && column_has("a", "x", "staff"));
	plane_put(plane, globex, "Dataset", "/v1/tenants/globex/domains/hr/datasets/raw",
	          "{'columnTags':[{'name':'ssn','tags':['pii','health']}]}");
	cr_expect(column_has("a", "x", "health"));
	struct answer told = plane_call(plane, admin, "GET", path_of("a", "/tags"), NULL);
	cr_expect(strstr(told.text, "globex/hr/raw.ssn"), "%s", told.text);
	cr_expect_not(strstr(told.text, "inner"), "%s", told.text);
	told = plane_call(plane, admin, "GET", path_of("a", "/lineage"), NULL);
	cr_expect(strstr(told.text, "globex/hr/raw"), "%s", told.text);
	cr_expect_not(strstr(told.text, "inner"), "%s", told.text);
	told = plane_call(plane, globex, "GET",
	                  "/v1/tenants/globex/domains/hr/datasets/raw/lineage", NULL);
	cr_assert_eq(told.status, 200, "%s", told.text);
	cr_expect_not(tells(told.text, "acme"), "%s", told.text);
	struct answer gone = plane_call(plane, globex, "DELETE", OFFER, NULL);
	cr_assert_eq(gone.status, 200, "%s", gone.text);
	cr_expect(column_has("a", "x", "pii"));
	plane_put(plane, globex, "Dataset", "/v1/tenants/globex/domains/hr/datasets/raw",
	          "{'columnTags':[{'name':'ssn','tags':['later']}]}");
	cr_expect(column_has("a", "x", "pii") && column_has("a", "x", "staff"));
	cr_expect_not(column_has("a", "x", "later"));
}

/* --- memory is missing --- */

enum { BYTES_STEP = 48 };

static bool same_node(const struct tagnode *a, const struct tagnode *b)
{
	return value_equal(a->flow, b->flow) && value_equal(a->influence, b->influence) &&
	       value_equal(a->rest, b->rest) && value_equal(a->columns, b->columns);
}

/* How often it was refused; what it is with less memory than that is what it is with more. */
static size_t starve_node(const struct dataset_at *at)
{
	struct tagnode whole;
	struct err err = { 0 };
	AUTO(arena) *ample = NULL;
	size_t refused = 0;
	cr_assert_eq(arena_new(16 * MIB, &ample, NULL), 0);
	cr_assert_eq(tagnode_make(plane->control, ample, at, &whole, NULL), 0);
	for (size_t bytes = 1; bytes < 2 * arena_used(ample); bytes += BYTES_STEP) {
		struct tagnode node;
		AUTO(arena) *arena = NULL;
		cr_assert_eq(arena_new(bytes, &arena, NULL), 0);
		int rc = tagnode_make(plane->control, arena, at, &node, &err);
		cr_assert(rc == 0 || rc == E_NOMEM, "%zu: %d %s", bytes, rc, err.text);
		cr_assert(rc < 0 || same_node(&node, &whole), "%s of %zu bytes", at->name, bytes);
		refused += rc < 0;
	}
	return refused;
}

static size_t starve_view(const char *view)
{
	struct tags whole;
	AUTO(arena) *ample = NULL;
	size_t refused = 0;
	cr_assert_eq(arena_new(16 * MIB, &ample, NULL), 0);
	cr_assert_eq(tags_of_view(plane->control, ample, "acme", "people", view, &whole, NULL), 0);
	for (size_t bytes = 1; bytes < 2 * arena_used(ample); bytes += BYTES_STEP) {
		struct tags tags;
		AUTO(arena) *arena = NULL;
		cr_assert_eq(arena_new(bytes, &arena, NULL), 0);
		int rc = tags_of_view(plane->control, arena, "acme", "people", view, &tags, NULL);
		cr_assert(rc < 0 || (value_equal(tags.dataset, whole.dataset) &&
		                     value_equal(tags.columns, whole.columns) &&
		                     value_equal(tags.rest, whole.rest)), "%zu bytes", bytes);
		refused += rc < 0;
	}
	return refused;
}

Test(tagging, tags_that_memory_is_missing_for_are_an_error_and_never_fewer_tags)
{
	const struct dataset_at a = { "acme", "people", "a" }, b = { "acme", "people", "b" };
	make_shared();
	put("b", "{'tags':['internal'],'columnTags':[{'name':'own','tags':['money']}]}");
	derive("b", "a", "s2", "{'exact':true,'columns':{'who':[[0,'x']]},'influence':[[0]]}");
	cr_assert_eq(lift(admin, "b", "'tag':'staff'").status, 200);
	plane_put(plane, admin, "Entity", PEOPLE("entities/one"), "{'joinKey':'who'}");
	plane_put(plane, admin, "FeatureView", PEOPLE("featureviews/view"),
	          "{'entities':['one'],'dataset':'b','timestampField':'at','tags':['served'],"
	          "'features':[{'name':'who','type':'string','tags':['more']}]}");
	cr_expect_gt(starve_node(&a), 10);
	cr_expect_gt(starve_node(&b), 10);
	cr_expect_gt(starve_view("view"), 10);
}

/* --- lineage shown --- */

Test(tagging, lineage_is_shown_up_and_down_and_not_beyond_what_the_caller_may_read)
{
	make_chain();
	struct answer answer = plane_call(plane, admin, "GET", path_of("a", "/lineage"), NULL);
	cr_assert_eq(answer.status, 200, "%s", answer.text);
	const struct value *up = value_at(value_get(answer.body, "up"), 0);
	const struct value *down = value_at(value_get(answer.body, "down"), 0);
	cr_expect_str_eq(value_get_str(up, "dataset"), "acme/people/salaries");
	cr_expect_str_eq(value_get_str(down, "dataset"), "acme/people/b");
	cr_expect(strstr(answer.text, "acme/people/salaries.SSN"), "%s", answer.text);
	plane_put(plane, admin, "Policy", "/v1/tenants/acme/policies/own",
	          "{'text':'forbid(principal, action == Action::\\'dataset:read\\', resource == "
	          "Dataset::\\'acme/people/salaries\\');'}");
	const char *reader = plane_principal(plane, "acme", "eve", "'consumer'", "people");
	answer = plane_call(plane, reader, "GET", path_of("a", "/lineage"), NULL);
	cr_assert_eq(answer.status, 200, "%s", answer.text);
	cr_expect_not(strstr(answer.text, "salaries"), "%s", answer.text);
	answer = plane_call(plane, reader, "GET", path_of("a", "/tags"), NULL);
	cr_assert_eq(answer.status, 200, "%s", answer.text);
	cr_expect_not(strstr(answer.text, "salaries"), "%s", answer.text);
	cr_expect(strstr(answer.text, "acme/people\""), "%s", answer.text);
}
