/* test_agreements.c - data that one domain or tenant reads of another, through the whole path: the
 * agreement, the task, the features, the bill and both logs; and what ends it. */
#include "common/defs.h"
#include "tests/support/yard.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define SALES(rest) "/v1/tenants/acme/domains/sales/" rest
#define OPS(rest) "/v1/tenants/acme/domains/ops/" rest
#define TRIPS(rest) "/v1/tenants/globex/domains/trips/" rest
#define FROM "{'from':{'tenant':'acme','domain':'sales','offer':'gold'}}"

enum { HOUR_MS = 3600000 };

/* acme's sales has flights, delays and a view of these; globex' trips would read them. */
struct cast {
	struct yard *yard;
	struct plane *plane;
	struct company acme, globex;
	const char *reader; /* a consumer of trips */
};

static void write_flights(struct cast *cast)
{
	char text[4096];
	int len = snprintf(text, sizeof text, "origin,seen,delay\n");
	for (int i = 0; i < 60; i++)
		len += snprintf(text + len, sizeof text - (size_t)len,
		                "%s,2001-09-09 01:%02d:00,%d\n", i % 2 ? "ATL" : "ORD", i % 40,
		                i % 10);
	yard_file(cast->yard, "acme", "flights.csv", text);
}

static const struct value *await(struct cast *cast, const struct company *company, const char *type,
                                 const char *spec)
{
	return yard_await(cast->yard, company, yard_submit(cast->yard, company, type, spec), NULL);
}

static void run(struct cast *cast, const struct company *company, const char *type,
                const char *spec)
{
	const struct value *task = await(cast, company, type, spec);
	cr_assert_str_eq(value_get_str(task, "state"), "succeeded", "%s: %s", type,
	                 value_get_str(value_get(task, "error"), "text"));
}

static struct cast raise_curtain(void)
{
	struct cast cast = {.yard = yard_open()};
	struct plane *plane = cast.plane = cast.yard->stage->plane;
	cast.acme = (struct company){"acme", "sales", plane_tenant(plane, "acme", "sales")};
	cast.globex = (struct company){"globex", "trips", plane_tenant(plane, "globex", "trips")};
	cast.reader = plane_principal(plane, "globex", "eve", "'consumer'", "trips");
	const char *key = cast.acme.key;
	plane_put(plane, key, "Dataset", SALES("datasets/flights"),
	          "{'schema':[{'name':'origin','type':'string'},{'name':'seen','type':'timestamp'},"
	          "{'name':'delay','type':'int64'}]}");
	plane_put(plane, key, "Dataset", SALES("datasets/delays"), "{}");
	plane_put(plane, key, "Source", SALES("sources/flights"),
	          "{'connector':'file','path':'flights.csv','dataset':'flights','format':'csv'}");
	plane_put(plane, key, "Transformation", SALES("transformations/delays"),
	          "{'sql':'SELECT origin AS airport, max(seen) AS hour, count(*) AS flights FROM "
	          "flights GROUP BY origin','inputs':['flights'],'output':'delays'}");
	plane_put(plane, key, "Entity", SALES("entities/airport"), "{'joinKey':'airport'}");
	plane_put(plane, key, "FeatureView", SALES("featureviews/delays"),
	          "{'entities':['airport'],'dataset':'delays','timestampField':'hour','features':["
	          "{'name':'flights','type':'int64'}]}");
	write_flights(&cast);
	run(&cast, &cast.acme, "ingest", "{'source':'flights'}");
	run(&cast, &cast.acme, "transform", "{'transformation':'delays'}");
	run(&cast, &cast.acme, "materialize", "{'featureView':'delays'}");
	return cast;
}

static void agree(struct cast *cast, const char *expires)
{
	const char *spec = arena_printf(cast->plane->arena,
	                                "{'datasets':['delays'],'featureViews':"
	                                "['delays'],'to':{'tenant':'globex','domain':'trips'},"
	                                "'purpose':'planning'%s}",
	                                expires);
	plane_put(cast->plane, cast->acme.key, "Offer", SALES("offers/gold"), spec);
	plane_put(cast->plane, cast->globex.key, "Acceptance", TRIPS("acceptances/acme_sales"),
	          FROM);
	plane_put(cast->plane, cast->globex.key, "Dataset", TRIPS("datasets/busy"), "{}");
	plane_put(cast->plane, cast->globex.key, "Transformation", TRIPS("transformations/busy"),
	          "{'sql':'SELECT airport, flights FROM acme_sales.delays','inputs':"
	          "['acme_sales.delays'],'output':'busy'}");
}

static struct answer put(struct cast *cast, const char *key, const char *kind, const char *path,
                         const char *spec)
{
	const char *body = arena_printf(cast->plane->arena,
	                                "{'apiVersion':'freehold.io/v1','kind':"
	                                "'%s','metadata':{'name':'%s'},'spec':%s}",
	                                kind, strrchr(path, '/') + 1, spec);
	return plane_call(cast->plane, key, "PUT", path, body);
}

static const char *text_of(const struct value *task)
{
	const char *text = value_get_str(value_get(task, "error"), "text");
	return text ? text : "";
}

static struct answer features(struct cast *cast, const char *view)
{
	return yard_read(cast->yard, cast->reader,
	                 arena_printf(cast->plane->arena,
	                              "{'features':['%s:flights'],'entities':"
	                              "{'airport':['ATL','nowhere']}}",
	                              view));
}

/* Events with that action in a tenant's log whose text holds `part`. */
static int events(struct cast *cast, const struct company *company, const char *action,
                  const char *part)
{
	const char *path = arena_printf(cast->plane->arena,
	                                "/v1/tenants/%s/audit?action=%s&limit="
	                                "100",
	                                company->tenant, action);
	struct answer answer = plane_call(cast->plane, company->key, "GET", path, NULL);
	const struct value *items = value_get(answer.body, "items");
	int count = 0;
	for (size_t i = 0; i < value_len(items); i++) {
		const char *actor = value_get_str(value_at(items, i), "actor");
		const char *resource = value_get_str(value_at(items, i), "resource");
		count += (actor && strstr(actor, part)) || (resource && strstr(resource, part));
	}
	return count;
}

struct heard {
	struct cast *cast;
	const struct company *company;
	const char *action, *part;
};

static bool is_heard(void *context)
{
	const struct heard *heard = context;
	return events(heard->cast, heard->company, heard->action, heard->part) > 0;
}

static bool hears(struct cast *cast, const struct company *company, const char *action,
                  const char *part)
{
	struct heard heard = {cast, company, action, part};
	return stage_await(cast->yard->stage, is_heard, &heard, 60000);
}

Test(agreements, let_another_tenants_task_and_reader_read_what_is_offered_and_no_more)
{
	struct cast cast = raise_curtain();
	agree(&cast, "");
	run(&cast, &cast.globex, "transform", "{'transformation':'busy'}");
	struct answer list = plane_call(cast.plane, cast.globex.key, "GET",
	                                TRIPS("datasets/busy/snapshots"), NULL);
	cr_expect_eq(value_get_int(value_at(value_get(list.body, "items"), 0), "rows", 0), 2);
	struct answer read = features(&cast, "acme_sales.delays");
	cr_assert_eq(read.status, 200, "%s", read.text);
	cr_expect_not_null(strstr(read.text, "30"), "%s", read.text);
	/* What is not offered looks like what is not there. */
	static const char *const sql = "{'sql':'SELECT 1','inputs':['acme_sales.%s'],'output':"
				       "'busy'}";
	struct answer kept =
		put(&cast, cast.globex.key, "Transformation", TRIPS("transformations/x"),
	            arena_printf(cast.plane->arena, sql, "flights"));
	struct answer none =
		put(&cast, cast.globex.key, "Transformation", TRIPS("transformations/x"),
	            arena_printf(cast.plane->arena, sql, "nothing"));
	cr_expect_eq(kept.status, none.status);
	cr_expect_str_eq(kept.code, none.code);
	cr_expect_null(strstr(kept.text, "denied"), "%s", kept.text);
	cr_expect_eq(features(&cast, "acme_sales.flights").status,
	             features(&cast, "acme_sales.nothing").status);
	cr_expect_eq(plane_call(cast.plane, cast.globex.key, "GET", SALES("datasets/delays"), NULL)
	                     .status,
	             404, "the data is shared, the resource is not");
	cr_expect_neq(put(&cast, cast.globex.key, "Transformation", TRIPS("transformations/x"),
	                  "{'sql':'SELECT 1','inputs':['busy'],'output':'acme_sales.delays'}")
	                      .status,
	              201, "it is never written");
	yard_close(cast.yard);
}

Test(agreements, are_paid_by_the_reader_and_told_to_both_logs)
{
	struct cast cast = raise_curtain();
	int64_t before = 0;
	struct answer usage =
		plane_call(cast.plane, cast.acme.key, "GET", "/v1/tenants/acme/usage", NULL);
	before = value_get_int(value_get(usage.body, "total"), "bytesRead", 0);
	agree(&cast, "");
	run(&cast, &cast.globex, "transform", "{'transformation':'busy'}");
	usage = plane_call(cast.plane, cast.acme.key, "GET", "/v1/tenants/acme/usage", NULL);
	cr_expect_eq(value_get_int(value_get(usage.body, "total"), "bytesRead", 0), before);
	usage = plane_call(cast.plane, cast.globex.key, "GET", "/v1/tenants/globex/usage", NULL);
	cr_expect_gt(value_get_int(value_get(usage.body, "total"), "bytesRead", 0), 0, "%s",
	             usage.text);
	cr_expect(hears(&cast, &cast.acme, "dataset:read", "globex"));
	cr_expect(hears(&cast, &cast.globex, "dataset:read", "acme/domains/sales"));
	cr_expect_eq(events(&cast, &cast.acme, "dataset:read", "globex/admin"), 0,
	             "the provider learns which tenant, not who in it");
	cr_expect_eq(features(&cast, "acme_sales.delays").status, 200);
	cr_expect_eq(events(&cast, &cast.acme, "features:read", "globex"), 1);
	cr_expect_eq(events(&cast, &cast.acme, "acceptance:write", "globex"), 1);
	struct answer offer =
		plane_call(cast.plane, cast.acme.key, "GET", SALES("offers/gold"), NULL);
	cr_expect_not_null(strstr(offer.text, "\"acceptedBy\":[{\"tenant\":\"globex\",\"domain\":"
	                                      "\"trips\"}]"),
	                   "%s", offer.text);
	struct answer deleted =
		plane_call(cast.plane, cast.acme.key, "DELETE", SALES("datasets/delays"), NULL);
	cr_expect_eq(deleted.status, 409);
	yard_close(cast.yard);
}

/* The grant of before is taken back with the worker's next poll. */
static bool reads_nothing(void *context)
{
	struct cast *cast = context;
	return features(cast, "acme_sales.delays").status != 200;
}

Test(agreements, end_at_once_when_either_side_withdraws)
{
	struct cast cast = raise_curtain();
	agree(&cast, "");
	cr_expect_eq(features(&cast, "acme_sales.delays").status, 200);
	cr_assert_eq(
		plane_call(cast.plane, cast.acme.key, "DELETE", SALES("offers/gold"), NULL).status,
		200);
	cr_expect(hears(&cast, &cast.globex, "offer:write", "acme"));
	const struct value *task =
		await(&cast, &cast.globex, "transform", "{'transformation':'busy'}");
	cr_expect_str_eq(value_get_str(task, "state"), "failed");
	cr_expect_not_null(strstr(text_of(task), "acme_sales.delays"), "%s", text_of(task));
	cr_expect(stage_await(cast.yard->stage, reads_nothing, &cast, 30000));
	agree(&cast, "");
	run(&cast, &cast.globex, "transform", "{'transformation':'busy'}");
	cr_assert_eq(plane_call(cast.plane, cast.globex.key, "DELETE",
	                        TRIPS("acceptances/acme_sales"), NULL)
	                     .status,
	             200);
	task = await(&cast, &cast.globex, "transform", "{'transformation':'busy'}");
	cr_expect_str_eq(value_get_str(task, "state"), "failed");
	yard_close(cast.yard);
}

Test(agreements, give_no_more_than_the_providers_policies_let_out)
{
	struct cast cast = raise_curtain();
	agree(&cast, "");
	cr_expect_eq(features(&cast, "acme_sales.delays").status, 200);
	plane_put(cast.plane, cast.acme.key, "Policy", "/v1/tenants/acme/policies/inside",
	          "{'text':'forbid(principal, action, resource) unless "
	          "{ principal.tenant == \\'acme\\' };'}");
	cr_expect(stage_await(cast.yard->stage, reads_nothing, &cast, 30000));
	const struct value *task =
		await(&cast, &cast.globex, "transform", "{'transformation':'busy'}");
	cr_expect_str_eq(value_get_str(task, "state"), "failed");
	cr_expect_not_null(strstr(text_of(task), "globex/*"), "%s", text_of(task));
	cr_assert_eq(plane_call(cast.plane, cast.acme.key, "DELETE",
	                        "/v1/tenants/acme/policies/inside", NULL)
	                     .status,
	             200);
	run(&cast, &cast.globex, "transform", "{'transformation':'busy'}");
	cr_expect_eq(features(&cast, "acme_sales.delays").status, 200);
	yard_close(cast.yard);
}

Test(agreements, end_when_they_expire)
{
	struct cast cast = raise_curtain();
	char text[TIME_TEXT_MAX];
	time_print_ms(clock_unix_ms(cast.yard->stage->clock) + HOUR_MS, text);
	agree(&cast, arena_printf(cast.plane->arena, ",'expiresAt':'%s'", text));
	run(&cast, &cast.globex, "transform", "{'transformation':'busy'}");
	stage_jump(cast.yard->stage, HOUR_MS);
	const struct value *task =
		await(&cast, &cast.globex, "transform", "{'transformation':'busy'}");
	cr_expect_str_eq(value_get_str(task, "state"), "failed", "%s", text_of(task));
	struct answer offer =
		plane_call(cast.plane, cast.acme.key, "GET", SALES("offers/gold"), NULL);
	cr_expect_not_null(strstr(offer.text, "expired"), "%s", offer.text);
	yard_close(cast.yard);
}

Test(agreements, inside_a_tenant_need_the_offer_of_the_domain_alone)
{
	struct cast cast = raise_curtain();
	plane_put(cast.plane, cast.acme.key, "Domain", "/v1/tenants/acme/domains/ops", "{}");
	const char *owner = plane_principal(cast.plane, "acme", "otto", "'domain-owner'", "ops");
	const char *seller = plane_principal(cast.plane, "acme", "sam", "'domain-owner'", "sales");
	const struct company ops = {"acme", "ops", owner};
	static const char *const spec = "{'sql':'SELECT airport FROM sales.delays','inputs':"
					"['sales.delays'],'output':'busy'}";
	plane_put(cast.plane, owner, "Dataset", OPS("datasets/busy"), "{}");
	cr_expect_eq(put(&cast, owner, "Transformation", OPS("transformations/busy"), spec).status,
	             403);
	plane_put(cast.plane, seller, "Offer", SALES("offers/inside"),
	          "{'datasets':['delays'],'to':{'domain':'ops'}}");
	plane_put(cast.plane, owner, "Transformation", OPS("transformations/busy"), spec);
	run(&cast, &ops, "transform", "{'transformation':'busy'}");
	cr_expect_eq(plane_call(cast.plane, seller, "DELETE", SALES("offers/inside"), NULL).status,
	             200);
	const struct value *task = await(&cast, &ops, "transform", "{'transformation':'busy'}");
	cr_expect_str_eq(value_get_str(task, "state"), "failed");
	cr_expect_not_null(strstr(text_of(task), "no more"), "%s", text_of(task));
	yard_close(cast.yard);
}

static void set_state(struct cast *cast, const char *verb)
{
	const char *path = arena_printf(cast->plane->arena, "/v1/tenants/acme/%s", verb);
	struct answer answer = plane_call(cast->plane, cast->plane->operator_key, "POST", path,
	                                  "{'reason':'a test'}");
	cr_assert_leq(answer.status, 202, "%s: %s", verb, answer.text);
}

Test(agreements, rest_while_the_provider_is_suspended_or_sealed)
{
	struct cast cast = raise_curtain();
	static const char *const states[][2] = {{"suspend", "resume"}, {"seal", "unseal"}};
	agree(&cast, "");
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		cr_expect_eq(features(&cast, "acme_sales.delays").status, 200);
		set_state(&cast, states[i][0]);
		const struct value *task =
			await(&cast, &cast.globex, "transform", "{'transformation':'busy'}");
		cr_expect_str_eq(value_get_str(task, "state"), "failed", "%s", states[i][0]);
		cr_expect_null(strstr(text_of(task), states[i][0]),
		               "what the other is in is not told: %s", text_of(task));
		cr_expect(stage_await(cast.yard->stage, reads_nothing, &cast, 30000));
		set_state(&cast, states[i][1]);
		run(&cast, &cast.globex, "transform", "{'transformation':'busy'}");
	}
	yard_close(cast.yard);
}

Test(agreements, end_with_the_key_of_what_is_shared_long_before_a_readers_grant_does)
{
	struct cast cast = raise_curtain();
	agree(&cast, "");
	cr_assert_eq(features(&cast, "acme_sales.delays").status, 200, "warm");
	struct answer gone = plane_call(cast.plane, cast.acme.key, "DELETE",
	                                SALES("datasets/delays/keys?confirm=delays"), NULL);
	cr_assert_eq(gone.status, 200, "%s", gone.text);
	cr_assert(stage_await(cast.yard->stage, reads_nothing, &cast, 20000));
	const struct value *task =
		await(&cast, &cast.globex, "transform", "{'transformation':'busy'}");
	cr_expect_str_eq(value_get_str(task, "state"), "failed", "%s", text_of(task));
	yard_close(cast.yard);
}
