/* test_rules_sharing.c - who may offer and accept, and what an agreement must agree with. */
#include "common/defs.h"
#include "control/rules_sharing.h"

#include "common/json.h"
#include "common/yaml.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define SALES(rest) "/v1/tenants/acme/domains/sales/" rest
#define TRIPS(rest) "/v1/tenants/globex/domains/trips/" rest

struct scene {
	struct plane *plane;
	const char *acme, *globex, *owner; /* two administrators, and sales' owner */
};

static struct scene start(void)
{
	struct scene s = {.plane = plane_start()};
	s.acme = plane_tenant(s.plane, "acme", "sales");
	s.globex = plane_tenant(s.plane, "globex", "trips");
	s.owner = plane_principal(s.plane, "acme", "otto", "'domain-owner'", "sales");
	plane_put(s.plane, s.acme, "Dataset", SALES("datasets/rides"), "{}");
	plane_put(s.plane, s.acme, "Domain", "/v1/tenants/acme/domains/ops", "{}");
	return s;
}

static struct answer put(const struct scene *s, const char *key, const char *kind, const char *path,
                         const char *spec)
{
	const char *body = arena_printf(s->plane->arena,
	                                "{'apiVersion':'freehold.io/v1','kind':"
	                                "'%s','metadata':{'name':'%s'},'spec':%s}",
	                                kind, strrchr(path, '/') + 1, spec);
	return plane_call(s->plane, key, "PUT", path, body);
}

#define GOLD "{'datasets':['rides'],'to':{'tenant':'globex'}}"
#define INSIDE "{'datasets':['rides'],'to':{'domain':'ops'}}"
#define FROM "{'from':{'tenant':'acme','domain':'sales','offer':'gold'}}"

Test(rules_sharing, let_owners_offer_inside_and_only_administrators_outside)
{
	struct scene s = start();
	cr_expect_eq(put(&s, s.owner, "Offer", SALES("offers/in"), INSIDE).status, 201);
	cr_expect_eq(put(&s, s.owner, "Offer", SALES("offers/gold"), GOLD).status, 403);
	cr_expect_eq(put(&s, s.owner, "Offer", SALES("offers/in"), GOLD).status, 403);
	cr_expect_eq(put(&s, s.acme, "Offer", SALES("offers/gold"), GOLD).status, 201);
	cr_expect_eq(put(&s, s.owner, "Offer", SALES("offers/gold"), INSIDE).status, 403,
	             "an agreement is not the owner's to change");
	const char *trips = plane_principal(s.plane, "globex", "tess", "'domain-owner'", "trips");
	cr_expect_eq(put(&s, trips, "Acceptance", TRIPS("acceptances/theirs"), FROM).status, 403);
	cr_expect_eq(put(&s, s.globex, "Acceptance", TRIPS("acceptances/theirs"), FROM).status,
	             201);
	plane_stop(s.plane);
}

Test(rules_sharing, refuse_an_offer_that_gives_nothing_or_what_is_not_the_domains)
{
	struct scene s = start();
	static const char *const bad[] = {
		"{'to':{'domain':'ops'}}",
		"{'datasets':['rides'],'to':{}}",
		"{'datasets':['rides'],'to':{'domain':'sales'}}",
		"{'datasets':['rides'],'to':{'domain':'nowhere'}}",
		"{'datasets':['ops.other'],'to':{'domain':'ops'}}",
		"{'datasets':['nothing'],'to':{'domain':'ops'}}",
		"{'datasets':['rides'],'to':{'domain':'ops'},'expiresAt':'soon'}",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_expect_eq(put(&s, s.acme, "Offer", SALES("offers/x"), bad[i]).status, 400, "%zu",
		             i);
	struct answer one = put(&s, s.acme, "Offer", SALES("offers/x"), GOLD);
	struct answer none = put(&s, s.acme, "Offer", SALES("offers/y"),
	                         "{'datasets':['rides'],'to':{'tenant':'nobody'}}");
	cr_expect_eq(one.status, none.status, "which tenants there are is not told");
	plane_stop(s.plane);
}

Test(rules_sharing, answer_alike_to_an_offer_that_is_not_and_one_that_is_anothers)
{
	struct scene s = start();
	plane_put(s.plane, s.acme, "Offer", SALES("offers/other"),
	          "{'datasets':['rides'],'to':{'tenant':'initech'}}");
	plane_put(s.plane, s.acme, "Offer", SALES("offers/in"), INSIDE);
	struct answer none = put(&s, s.globex, "Acceptance", TRIPS("acceptances/a"), FROM);
	static const char *const offers[] = {"other", "in"};
	cr_expect_eq(none.status, 400);
	for (size_t i = 0; i < ARRAY_LEN(offers); i++) {
		const char *spec = arena_printf(s.plane->arena,
		                                "{'from':{'tenant':'acme','domain':"
		                                "'sales','offer':'%s'}}",
		                                offers[i]);
		struct answer answer =
			put(&s, s.globex, "Acceptance", TRIPS("acceptances/a"), spec);
		cr_expect_eq(answer.status, none.status);
		cr_expect_str_eq(answer.detail, none.detail);
	}
	plane_stop(s.plane);
}

Test(rules_sharing, keep_an_acceptances_name_and_a_domains_apart)
{
	struct scene s = start();
	plane_put(s.plane, s.acme, "Offer", SALES("offers/gold"), GOLD);
	cr_expect_eq(put(&s, s.globex, "Acceptance", TRIPS("acceptances/trips"), FROM).status, 400);
	cr_expect_eq(put(&s, s.globex, "Acceptance", TRIPS("acceptances/main"), FROM).status, 400);
	cr_expect_eq(put(&s, s.globex, "Acceptance", TRIPS("acceptances/theirs"), FROM).status,
	             201);
	cr_expect_eq(put(&s, s.globex, "Domain", "/v1/tenants/globex/domains/theirs", "{}").status,
	             400);
	cr_expect_eq(put(&s, s.acme, "Domain", "/v1/tenants/acme/domains/theirs", "{}").status, 201,
	             "in another tenant the name is free");
	plane_stop(s.plane);
}

Test(rules_sharing, say_to_whom_a_dataset_is_offered_when_it_is_to_be_deleted)
{
	struct scene s = start();
	plane_put(s.plane, s.acme, "Offer", SALES("offers/gold"), GOLD);
	struct answer answer = plane_call(s.plane, s.acme, "DELETE", SALES("datasets/rides"), NULL);
	cr_expect_eq(answer.status, 409);
	cr_expect_not_null(strstr(answer.detail, "the tenant globex"), "%s", answer.detail);
	cr_expect_eq(plane_call(s.plane, s.acme, "DELETE", SALES("offers/gold"), NULL).status, 200);
	cr_expect_eq(plane_call(s.plane, s.acme, "DELETE", SALES("datasets/rides"), NULL).status,
	             200);
	plane_stop(s.plane);
}

/* --- the examples --- */

static void put_document(const struct scene *s, const char *key, const struct value *document)
{
	struct manifest manifest;
	struct err err = {0};
	AUTO_BUF path, body;
	buf_init(&path, 4096);
	buf_init(&body, 64 * KIB);
	cr_assert_eq(manifest_check(document, &manifest, &err), 0, "%s", err.text);
	cr_assert_eq(manifest_path(&manifest, &path, &err), 0, "%s", err.text);
	json_print(document, &body);
	cr_assert_eq(buf_check(&body, &err), 0, "%s", err.text);
	const struct asked asked = {
		.method = "PUT",
		.key = key,
		.path = arena_strndup(s->plane->arena, (char *)path.data, path.len),
		.body = arena_strndup(s->plane->arena, (char *)body.data, body.len),
	};
	struct answer answer = plane_ask(s->plane, &asked);
	cr_assert(answer.status == 200 || answer.status == 201, "%s: %s", asked.path, answer.text);
}

static void apply(const struct scene *s, const char *key, const char *file)
{
	char text[8192];
	struct value *documents = NULL;
	struct err err = {0};
	FILE *in = fopen(file, "r");
	cr_assert_not_null(in, "%s", file);
	size_t len = fread(text, 1, sizeof text, in);
	fclose(in);
	cr_assert_eq(yaml_parse(s->plane->arena, text, len, &documents, &err), 0, "%s", err.text);
	for (size_t i = 0; i < value_len(documents); i++)
		put_document(s, key, value_at(documents, i));
}

Test(rules_sharing, take_the_examples_that_the_documentation_shows)
{
	struct scene s = start();
	apply(&s, s.acme, "deploy/examples/people.yaml");
	apply(&s, s.acme, "deploy/examples/offer.yaml");
	apply(&s, s.globex, "deploy/examples/acceptance.yaml");
	struct answer offer = plane_call(s.plane, s.acme, "GET", SALES("offers/gold"), NULL);
	cr_expect_not_null(strstr(offer.text, "\"acceptedBy\":[{\"tenant\":\"globex\""), "%s",
	                   offer.text);
	plane_stop(s.plane);
}

/* A tenant whose shard is another than acme's. */
static const char *elsewhere(const struct plane *plane)
{
	const struct part *own = part_of(plane->control, "acme");
	for (int i = 0; i < 64; i++) {
		const char *name = arena_printf(plane->arena, "globex%d", i);
		if (part_of(plane->control, name) != own)
			return name;
	}
	cr_assert_fail("all names are in one shard");
	return NULL;
}

Test(rules_sharing, tell_the_other_side_in_its_own_shard)
{
	struct plane *plane = plane_start_with(&(struct plane_options){.shards = 4});
	const char *acme = plane_tenant(plane, "acme", "sales"), *other = elsewhere(plane);
	const char *key = plane_tenant(plane, other, "trips");
	plane_put(plane, acme, "Dataset", SALES("datasets/rides"), "{}");
	plane_put(plane, acme, "Offer", SALES("offers/gold"),
	          arena_printf(plane->arena, "{'datasets':['rides'],'to':{'tenant':'%s'}}", other));
	plane_put(plane, key, "Acceptance",
	          arena_printf(plane->arena, "/v1/tenants/%s/domains/trips/acceptances/theirs",
	                       other),
	          FROM);
	struct answer log = plane_call(plane, acme, "GET",
	                               "/v1/tenants/acme/audit?action=acceptance:write", NULL);
	cr_expect_eq(value_len(value_get(log.body, "items")), 1, "%s", log.text);
	cr_expect_not_null(strstr(log.text, other), "%s", log.text);
	plane_stop(plane);
}
