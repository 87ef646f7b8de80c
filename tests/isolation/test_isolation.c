/* test_isolation.c - invariant 2: no request reads, writes, counts or learns of another tenant's
 * anything. Every row of api/routes.def is asked with another tenant's names and ids, and with ones
 * that do not exist: the answers are the same to the byte, the request's id apart. */
#include "common/defs.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* Ours is globex; acme is the other one. What acme has is named so that it is found in any answer;
 * what does not exist has names of the same form. */
struct names { const char *tenant, *domain, *name, *task, *key; };

struct world {
	struct plane *plane;
	const char *acme, *globex;       /* their admins' keys */
	const char *limited;             /* a consumer of globex, in one domain */
	struct names theirs, none;
};

static const char *const manifests[][3] = {
	{ "Dataset", "datasets", "{'schema':[{'name':'at','type':'timestamp'},"
	                         "{'name':'acmecol','type':'string'}]}" },
	{ "Source", "sources", "{'connector':'file','path':'acmefile','dataset':'acmething',"
	                       "'format':'csv'}" },
	{ "Entity", "entities", "{'joinKey':'acmecol'}" },
	{ "FeatureView", "featureviews", "{'entities':['acmething'],'dataset':'acmething',"
	  "'timestampField':'at','features':[{'name':'acmecol','type':'string'}]}" },
};

static const char *text(struct world *w, const char *fmt, const char *a, const char *b)
{
	const char *made = arena_printf(w->plane->arena, fmt, a, b);
	cr_assert_not_null(made);
	return made;
}

/* All of acme's things bear one name, so that one substitution fits every route. */
static void fill_acme(struct world *w)
{
	static const char domain[] = "/v1/tenants/acme/domains/acmedomain";
	struct plane *plane = w->plane;
	for (size_t i = 0; i < ARRAY_LEN(manifests); i++)
		plane_put(plane, w->acme, manifests[i][0],
		          text(w, "%s/%s/acmething", domain, manifests[i][1]), manifests[i][2]);
	plane_put(plane, w->acme, "Dataset", text(w, "%s/datasets/%s", domain, "acmeout"), "{}");
	plane_put(plane, w->acme, "Transformation",
	          text(w, "%s/transformations/%s", domain, "acmething"),
	          "{'sql':'SELECT 1','inputs':['acmething'],'output':'acmeout'}");
	plane_put(plane, plane->operator_key, "Quota", "/v1/tenants/acme/quotas/acmething",
	          "{'tasks':1000}");
	plane_principal(plane, "acme", "acmething", "'consumer'", NULL);
	struct answer key = plane_call(plane, w->acme, "POST",
	                               "/v1/tenants/acme/principals/acmething/keys", NULL);
	struct answer task = plane_call(plane, w->acme, "POST", text(w, "%s/%s", domain, "tasks"),
	                                "{'type':'ingest','spec':{'source':'acmething'}}");
	cr_assert_eq(task.status, 202, "%s", task.text);
	w->theirs = (struct names){ "acme", "acmedomain", "acmething",
	                            value_get_str(task.body, "id"), value_get_str(key.body, "id") };
	w->none = (struct names){ "none", "nonedomain", "nonething", "01h455vb4pex5vsknk084sn02q",
	                          "01h455vb4pex5vsknk084sn02r" };
}

static void start(struct world *w)
{
	w->plane = plane_start();
	w->acme = plane_tenant(w->plane, "acme", "acmedomain");
	w->globex = plane_tenant(w->plane, "globex", "own");
	w->limited = plane_principal(w->plane, "globex", "limited", "'consumer'", "own");
	plane_principal(w->plane, "globex", "someone", "'consumer'", NULL);
	fill_acme(w);
}

/* A route's path with its {segments} filled in. */
static const char *fill(struct world *w, const char *path, const struct names *names)
{
	const struct { const char *segment, *value;
	} parts[] = {
		{ "{tenant}", names->tenant }, { "{domain}", names->domain },
		{ "{name}", names->name },     { "{task}", names->task },
		{ "{key}", names->key },
	};
	const char *made = path;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		const char *at = strstr(made, parts[i].segment);
		if (at)
			made = arena_printf(w->plane->arena, "%.*s%s%s", (int)(at - made), made,
			                    parts[i].value, at + strlen(parts[i].segment));
		cr_assert_not_null(made);
	}
	return made;
}

/* A body that would be taken, where the route takes one. */
static const char *body_for(struct world *w, const struct route *route, const char *name)
{
	if (strcmp(route->method, "PUT") == 0) {
		const char *spec = "{}";
		for (size_t i = 0; i < ARRAY_LEN(manifests); i++)
			if (strcmp(manifests[i][0], kind_info[route->kind].kind) == 0)
				spec = manifests[i][2];
		if (route->kind == KIND_PRINCIPAL)
			spec = "{'roles':['consumer']}";
		if (route->kind == KIND_TRANSFORMATION)
			spec = "{'sql':'SELECT 1','inputs':['acmething'],'output':'acmeout'}";
		return arena_printf(w->plane->arena, "{'apiVersion':'freehold.io/v1','kind':'%s',"
		                    "'metadata':{'name':'%s'},'spec':%s}",
		                    kind_info[route->kind].kind, name, spec);
	}
	bool submits = strcmp(route->method, "POST") == 0 && strstr(route->path, "/tasks") &&
	               !strstr(route->path, "cancel");
	const char *task = "{'type':'ingest','spec':{'source':'acmething'}}";
	if (submits && strstr(route->path, ":batch"))
		return text(w, "{'items':[%s,%s]}", task, task);
	return submits ? task : NULL;
}

static const char *manifest_name(const struct route *route, const struct names *names)
{
	if (route->kind == KIND_TENANT)
		return names->tenant;
	return route->kind == KIND_DOMAIN ? names->domain : names->name;
}

/* The answer's text without the request's id and with the names made alike. */
static const char *without(struct world *w, struct answer answer, const struct names *names)
{
	const char *const words[] = { answer.request_id, names->tenant, names->domain, names->name,
	                              names->task, names->key };
	char *copy = arena_strdup(w->plane->arena, answer.text);
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		for (char *at; words[i] && (at = strstr(copy, words[i]));)
			memset(at, '#', strlen(words[i]));
	return copy;
}

static bool same_text(const char *a, const char *b)
{
	return (!a && !b) || (a && b && strcmp(a, b) == 0);
}

/* Two answers that only the request's id tells apart. */
static void check_same(struct world *w, const struct route *route, struct answer theirs,
                       const struct names *their_names, struct answer none,
                       const struct names *no_names)
{
	cr_expect_eq(theirs.status, none.status, "%s %s: %d and %d: %s", route->method, route->path,
	             theirs.status, none.status, theirs.text);
	const char *a = without(w, theirs, their_names), *b = without(w, none, no_names);
	cr_expect_str_eq(a, b, "%s %s:\n%s\n%s", route->method, route->path, a, b);
	cr_expect(same_text(theirs.content_type, none.content_type) &&
	          same_text(theirs.etag, none.etag) && same_text(theirs.location, none.location) &&
	          same_text(theirs.allow, none.allow) && theirs.retry_after_s == none.retry_after_s,
	          "%s %s: headers differ", route->method, route->path);
}

/* Nothing of acme's may be read off an answer to globex: neither what the path did not say ... */
static void check_silent(const struct route *route, struct answer answer)
{
	static const char *const words[] = { "acmecol", "acmefile", "acmeout" };
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		cr_expect_null(strstr(answer.text, words[i]), "%s %s tells %s: %s", route->method,
		               route->path, words[i], answer.text);
}

static bool has_segments(const struct route *route)
{
	return strstr(route->path, "{tenant}") != NULL;
}

/* Each route, as `key`, with all of acme's names and with names that are nobody's. */
static void try_all(struct world *w, const char *key, const struct names *theirs,
                    const struct names *none)
{
	size_t tried = 0;
	for (size_t i = 0; i < route_count; i++) {
		const struct route *route = &routes[i];
		if (!has_segments(route))
			continue;
		struct answer a =
			plane_call(w->plane, key, route->method, fill(w, route->path, theirs),
		                   body_for(w, route, manifest_name(route, theirs)));
		struct answer b =
			plane_call(w->plane, key, route->method, fill(w, route->path, none),
		                   body_for(w, route, manifest_name(route, none)));
		cr_expect_geq(a.status, 400, "%s %s: %d", route->method, route->path, a.status);
		check_same(w, route, a, theirs, b, none);
		check_silent(route, a);
		tried++;
	}
	cr_expect_gt(tried, 30);
}

/* What acme has, as acme sees it. */
static const char *seen_by_acme(struct world *w)
{
	static const char *const lists[] = { "principals",
		                             "quotas",
		                             "domains",
		                             "domains/acmedomain/datasets",
		                             "domains/acmedomain/sources",
		                             "domains/acmedomain/tasks",
		                             "domains/acmedomain/featureviews",
		                             "domains/acmedomain/entities",
		                             "domains/acmedomain/transformations",
		                             "principals/acmething/keys",
		                             "usage" };
	const char *all = "";
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		struct answer list =
			plane_call(w->plane, w->acme, "GET",
		                   text(w, "/v1/tenants/%s/%s", "acme", lists[i]), NULL);
		cr_assert_eq(list.status, 200, "%s: %s", lists[i], list.text);
		all = text(w, "%s%s", all, list.text);
	}
	return all;
}

static size_t events_of_acme(struct world *w)
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

Test(isolation, answers_for_another_tenants_ids_as_for_ids_that_do_not_exist)
{
	struct world w;
	start(&w);
	const char *before = seen_by_acme(&w);
	try_all(&w, w.globex, &w.theirs, &w.none);
	try_all(&w, w.limited, &w.theirs, &w.none);
	cr_expect_str_eq(seen_by_acme(&w), before, "acme has lost or gained something");
	cr_expect_eq(events_of_acme(&w), 0, "acme's log tells of globex");
	plane_stop(w.plane);
}

/* Within the asker's own tenant and domain, a foreign id is just as unknown as any. */
Test(isolation, knows_no_foreign_id_under_a_path_of_its_own)
{
	struct world w;
	start(&w);
	struct names theirs = w.theirs, none = w.none;
	theirs.tenant = none.tenant = "globex";
	for (size_t i = 0; i < route_count; i++) {
		const struct route *route = &routes[i];
		bool domain = strstr(route->path, "{domain}") != NULL;
		theirs.domain = none.domain = "own";
		/* Below its own domain by foreign names; a PUT or list there is globex's own
		 * affair. */
		bool reads = strcmp(route->method, "PUT") != 0 && (strstr(route->path, "{name}") ||
		             strstr(route->path, "{task}"));
		if (!has_segments(route) || !reads)
			continue;
		struct answer a = plane_call(w.plane, w.globex, route->method,
		                             fill(&w, route->path, &theirs), NULL);
		struct answer b = plane_call(w.plane, w.globex, route->method,
		                             fill(&w, route->path, &none), NULL);
		check_same(&w, route, a, &theirs, b, &none);
		cr_expect(!domain || a.status == 404, "%s %s: %d", route->method, route->path,
		          a.status);
	}
	plane_stop(w.plane);
}

Test(isolation, revokes_no_key_by_a_foreign_id)
{
	struct world w;
	start(&w);
	struct answer answer = plane_call(
		w.plane, w.globex, "DELETE",
		text(&w, "/v1/tenants/globex/principals/%s/keys/%s", "someone", w.theirs.key),
		NULL);
	struct answer none = plane_call(w.plane, w.globex, "DELETE",
		text(&w, "/v1/tenants/globex/principals/%s/keys/%s", "someone", w.none.key), NULL);
	cr_expect_eq(answer.status, 404);
	cr_expect_str_eq(without(&w, answer, &w.theirs), without(&w, none, &w.none));
	plane_stop(w.plane);
}

Test(isolation, refers_to_nothing_of_another_tenant)
{
	struct world w;
	start(&w);
	static const char spec[] = "{'apiVersion':'freehold.io/v1','kind':'Source','metadata':"
				   "{'name':'s'},'spec':{'connector':'file','path':'x','format':'"
	                           "csv','dataset':'%s.%s'}}";
	static const char path[] = "/v1/tenants/globex/domains/own/sources/s";
	struct answer theirs = plane_call(w.plane, w.globex, "PUT", path,
	                                  text(&w, spec, "acmedomain", "acmething"));
	struct answer none = plane_call(w.plane, w.globex, "PUT", path,
	                                text(&w, spec, "nonedomain", "nonething"));
	cr_expect_eq(theirs.status, 400);
	cr_expect_str_eq(without(&w, theirs, &w.theirs), without(&w, none, &w.none));
	static const char task[] = "{'type':'ingest','spec':{'source':'%s.%s'}}";
	static const char tasks[] = "/v1/tenants/globex/domains/own/tasks";
	theirs = plane_call(w.plane, w.globex, "POST", tasks,
	                    text(&w, task, "acmedomain", "acmething"));
	none = plane_call(w.plane, w.globex, "POST", tasks,
	                  text(&w, task, "nonedomain", "nonething"));
	cr_expect_eq(theirs.status, 400);
	cr_expect_str_eq(without(&w, theirs, &w.theirs), without(&w, none, &w.none));
	plane_stop(w.plane);
}

Test(isolation, lists_nothing_of_another_tenant_on_any_route)
{
	struct world w;
	start(&w);
	struct names own = { "globex", "own", "someone", w.none.task, w.none.key };
	for (size_t i = 0; i < route_count; i++) {
		const struct route *route = &routes[i];
		/* The OpenAPI document's examples are nobody's. */
		if (strcmp(route->method, "GET") != 0 || strcmp(route->path, "/openapi.json") == 0)
			continue;
		struct answer answer =
			plane_call(w.plane, w.globex, "GET", fill(&w, route->path, &own), NULL);
		cr_expect_null(strstr(answer.text, "acme"), "%s: %s", route->path, answer.text);
		cr_expect_null(strstr(answer.text, "platform\""), "%s: %s", route->path,
		               answer.text);
	}
	struct answer tenants = plane_call(w.plane, w.globex, "GET", "/v1/tenants", NULL);
	cr_expect_eq(value_len(value_get(tenants.body, "items")), 1);
	plane_stop(w.plane);
}

Test(isolation, goes_on_with_no_list_from_a_foreign_place)
{
	struct world w;
	start(&w);
	static const char path[] = "/v1/tenants/globex/domains/own/tasks?continue=%s%s";
	struct answer theirs =
		plane_call(w.plane, w.globex, "GET", text(&w, path, w.theirs.task, ""), NULL);
	struct answer none =
		plane_call(w.plane, w.globex, "GET", text(&w, path, w.none.task, ""), NULL);
	cr_expect_eq(theirs.status, none.status);
	cr_expect_str_eq(without(&w, theirs, &w.theirs), without(&w, none, &w.none));
	cr_expect_null(strstr(theirs.text, "acme"));
	plane_stop(w.plane);
}

Test(isolation, keeps_operators_away_from_data_and_tasks)
{
	struct world w;
	start(&w);
	for (size_t i = 0; i < route_count; i++) {
		const struct route *route = &routes[i];
		bool data = strstr(route->path, "/domains/{domain}/") != NULL;
		if (!data)
			continue;
		struct answer answer = plane_call(w.plane, w.plane->operator_key, route->method,
		                                  fill(&w, route->path, &w.theirs),
		                                  body_for(&w, route, w.theirs.name));
		cr_expect_eq(answer.status, 403, "%s %s: %d %s", route->method, route->path,
		             answer.status, answer.text);
		check_silent(route, answer);
	}
	plane_stop(w.plane);
}
