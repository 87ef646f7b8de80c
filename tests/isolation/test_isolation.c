/* test_isolation.c - invariant 2: no request reads, writes, counts or learns of another tenant's
 * anything. Every row of api/routes.def is asked with another tenant's names and ids, and with ones
 * that do not exist: the answers are the same to the byte, the request's id apart. */
#include "common/defs.h"
#include "tests/support/strangers.h"
#include "tests/support/tells.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const char *const roles[] = { "tenant-admin", "domain-owner", "producer", "consumer",
	                             "auditor" };

static const char *route_name(struct strangers *w, const struct route *route)
{
	return strangers_text(w, "%s %s", route->method, route->path);
}

static bool of_a_tenant(const struct route *route)
{
	return strstr(route->path, "{tenant}") != NULL;
}

static struct answer ask(struct strangers *w, const char *key, const struct route *route,
                         const struct names *names, const struct header *headers)
{
	const char *body = strangers_body(w, route, names);
	const struct asked asked = {
		.method = route->method, .path = strangers_path(w, route->path, names), .key = key,
		.body = body ? strangers_swap(w, body, "'", "\"") : NULL, .headers = headers,
	};
	return plane_ask(w->plane, &asked);
}

/* Each route, as `key`, with all of acme's names and with names that are nobody's. */
static void try_all(struct strangers *w, const char *key, const struct header *theirs,
                    const struct header *none)
{
	size_t tried = 0;
	for (size_t i = 0; i < route_count; i++) {
		const struct route *route = &routes[i];
		if (!of_a_tenant(route))
			continue;
		const char *what = route_name(w, route);
		struct answer a = ask(w, key, route, &w->theirs, theirs);
		struct answer b = ask(w, key, route, &w->none, none);
		cr_expect_geq(a.status, 400, "%s: %d", what, a.status);
		strangers_same(w, what, a, b);
		strangers_silent(what, a);
		tried++;
	}
	cr_expect_gt(tried, 60);
}

/* What acme has, as acme sees it: every list of its own. */
static const char *seen_by_acme(struct strangers *w)
{
	const char *all = "";
	for (size_t i = 0; i < route_count; i++) {
		const struct route *route = &routes[i];
		bool list = route->kind != KIND_NONE && strcmp(route->method, "GET") == 0 &&
			    !strstr(route->path, "{name}");
		if (!of_a_tenant(route) || !list)
			continue;
		struct answer answer = ask(w, w->acme, route, &w->theirs, NULL);
		cr_assert_eq(answer.status, 200, "%s: %s", route->path, answer.text);
		all = strangers_text(w, "%s%s", all, answer.text);
	}
	return all;
}

static size_t events_of_acme(struct strangers *w)
{
	struct answer list = plane_call(w->plane, w->plane->operator_key, "GET",
	                                "/v1/tenants/acme/audit?limit=500", NULL);
	size_t own = 0;
	for (size_t i = 0; i < value_len(value_get(list.body, "items")); i++) {
		const char *actor =
			value_get_str(value_at(value_get(list.body, "items"), i), "actor");
		own += actor && strncmp(actor, "globex/", 7) == 0;
	}
	return own;
}

Test(isolation, answers_every_role_for_another_tenants_ids_as_for_ids_that_do_not_exist)
{
	struct strangers w;
	strangers_open(&w);
	const char *before = seen_by_acme(&w);
	for (size_t i = 0; i < 2 * ARRAY_LEN(roles); i++) {
		char name[32], role[32];
		bool whole = i / 2 == 0 || i / 2 == ARRAY_LEN(roles) - 1;
		if (i % 2 && whole)
			continue;    /* such a role is for a whole tenant */
		snprintf(name, sizeof name, "one-%zu", i);
		snprintf(role, sizeof role, "'%s'", roles[i / 2]);
		try_all(&w, plane_principal(w.plane, "globex", name, role, i % 2 ? "own" : NULL),
		        NULL, NULL);
	}
	cr_expect_str_eq(seen_by_acme(&w), before, "acme has lost or gained something");
	cr_expect_eq(events_of_acme(&w), 0, "acme's log tells of globex");
	strangers_close(&w);
}

Test(isolation, answers_alike_whatever_of_another_tenants_the_headers_name)
{
	static const char *const names[] = { "If-Match", "If-None-Match", "Idempotency-Key",
		                             "Last-Event-ID" };
	struct strangers w;
	strangers_open(&w);
	const char *before = seen_by_acme(&w);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		bool etag = strstr(names[i], "Match") != NULL;
		const struct header theirs[] = {
			{ names[i], etag ? w.theirs.etag : w.theirs.task }, { NULL, NULL }
		};
		const struct header none[] = {
			{ names[i], etag ? w.none.etag : w.none.task }, { NULL, NULL }
		};
		try_all(&w, w.globex, theirs, none);
	}
	cr_expect_str_eq(seen_by_acme(&w), before, "acme has lost or gained something");
	strangers_close(&w);
}

/* One who may act in one domain only is told nothing of the tenant's other domains. */
Test(isolation, answers_for_another_domain_as_for_one_that_does_not_exist)
{
	struct strangers w;
	strangers_open(&w);
	plane_put(w.plane, w.acme, "Domain", "/v1/tenants/acme/domains/acmeown", "{}");
	struct names none = w.none;
	none.tenant = "acme";
	for (size_t r = 1; r < ARRAY_LEN(roles) - 1; r++) {
		const char *key = plane_principal(w.plane, "acme", roles[r],
		                                  strangers_text(&w, "'%s'%s", roles[r], ""),
		                                  "acmeown");
		for (size_t i = 0; i < route_count; i++) {
			if (!strstr(routes[i].path, "{domain}"))
				continue;
			struct answer a = ask(&w, key, &routes[i], &w.theirs, NULL);
			struct answer b = ask(&w, key, &routes[i], &none, NULL);
			cr_expect_geq(a.status, 400, "%s: %d", routes[i].path, a.status);
			strangers_same(&w, route_name(&w, &routes[i]), a, b);
			strangers_silent(routes[i].path, a);
		}
	}
	strangers_close(&w);
}

/* Within the asker's own tenant and domain, a foreign id is just as unknown as any. */
Test(isolation, knows_no_foreign_id_under_a_path_of_its_own)
{
	struct strangers w;
	strangers_open(&w);
	struct names theirs = w.theirs, none = w.none;
	theirs.tenant = none.tenant = "globex";
	theirs.domain = none.domain = "own";
	for (size_t i = 0; i < route_count; i++) {
		const struct route *route = &routes[i];
		bool domain = strstr(route->path, "{domain}") != NULL;
		/* A PUT or a list there is globex's own affair. */
		bool reads = strcmp(route->method, "PUT") != 0 &&
			     (strstr(route->path, "{name}") || strstr(route->path, "{task}") ||
			      strstr(route->path, "{run}"));
		if (!of_a_tenant(route) || !reads)
			continue;
		struct answer a = ask(&w, w.globex, route, &theirs, NULL);
		struct answer b = ask(&w, w.globex, route, &none, NULL);
		strangers_same(&w, route_name(&w, route), a, b);
		cr_expect(!domain || a.status == 404, "%s: %d", route->path, a.status);
	}
	strangers_close(&w);
}

Test(isolation, revokes_and_rotates_no_key_by_a_foreign_id)
{
	struct strangers w;
	strangers_open(&w);
	size_t tried = 0;
	struct names theirs = w.theirs, none = w.none;
	theirs.tenant = none.tenant = "globex";
	theirs.name = none.name = "someone";
	for (size_t i = 0; i < route_count; i++) {
		if (!strstr(routes[i].path, "{key}"))
			continue;
		struct answer a = ask(&w, w.globex, &routes[i], &theirs, NULL);
		struct answer b = ask(&w, w.globex, &routes[i], &none, NULL);
		cr_expect_geq(a.status, 400, "%s: %d", routes[i].path, a.status);
		strangers_same(&w, route_name(&w, &routes[i]), a, b);
		tried++;
	}
	cr_expect_gt(tried, 0);
	strangers_close(&w);
}

Test(isolation, lists_nothing_of_another_tenant_on_any_route)
{
	struct strangers w;
	strangers_open(&w);
	struct names own = w.none;
	own.tenant = "globex";
	own.domain = "own";
	own.name = "someone";
	for (size_t i = 0; i < route_count; i++) {
		const struct route *route = &routes[i];
		/* The OpenAPI document's examples are nobody's. */
		if (strcmp(route->method, "GET") != 0 || strcmp(route->path, "/openapi.json") == 0)
			continue;
		struct answer answer = ask(&w, w.globex, route, &own, NULL);
		cr_expect_not(tells(answer.text, "acme"), "%s: %s", route->path, answer.text);
		cr_expect_null(strstr(answer.text, "\"platform\""), "%s: %s", route->path,
		               answer.text);
	}
	struct answer tenants = plane_call(w.plane, w.globex, "GET", "/v1/tenants", NULL);
	cr_expect_eq(value_len(value_get(tenants.body, "items")), 1);
	strangers_close(&w);
}

/* What needs no credential or is the operator's to scrape says how many, never who. */
Test(isolation, what_is_public_names_no_tenant)
{
	static const char *const words[] = { "acme", "globex", "someone" };
	struct strangers w;
	strangers_open(&w);
	size_t tried = 0;
	for (size_t i = 0; i < route_count; i++) {
		const struct route *route = &routes[i];
		if (strcmp(route->method, "GET") != 0 || of_a_tenant(route) ||
		    strchr(route->path, '{') || strcmp(route->path, "/openapi.json") == 0)
			continue;
		struct answer answer = ask(&w, NULL, route, &w.none, NULL);
		for (size_t j = 0; j < ARRAY_LEN(words); j++)
			cr_expect_not(tells(answer.text, words[j]), "%s: %s", route->path,
			              answer.text);
		tried++;
	}
	cr_expect_gt(tried, 5);
	strangers_close(&w);
}

Test(isolation, keeps_operators_away_from_data_and_tasks)
{
	struct strangers w;
	strangers_open(&w);
	for (size_t i = 0; i < route_count; i++) {
		const struct route *route = &routes[i];
		if (!strstr(route->path, "/domains/{domain}/"))
			continue;
		struct answer answer = ask(&w, w.plane->operator_key, route, &w.theirs, NULL);
		cr_expect_eq(answer.status, 403, "%s: %d %s", route_name(&w, route), answer.status,
		             answer.text);
		strangers_silent(route->path, answer);
	}
	strangers_close(&w);
}
