/* test_isolation_refs.c - what a request refers to: every reference of every kind (api/kinds.def)
 * and task type (api/tasks.def), every parameter of every list, to another tenant's things as to
 * things that do not exist. */
#include "common/defs.h"
#include "tests/support/questions.h"
#include "tests/support/strangers.h"
#include "tests/support/tells.h"

#include "api/tasks.h"
#include "common/log.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool refers(const char *spec)
{
	return strstr(spec, "'acmething'") != NULL;
}

/* The spec with references as they are written from afar, and as if they were at home. What is
 * written goes to another name ("mine-a") than its like ("mine-b"). */
static void try_refs(struct strangers *w, const char *method, const char *path, const char *body,
                     bool refused)
{
	static const char *const pairs[][2] = {
		{"'acmedomain.acmething'", "'nonedomain.nonething'"},
		{"'acmething'", "'nonething'"},
	};
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		const char *theirs = strangers_swap(w, body, "'acmething'", pairs[i][0]);
		const char *none = strangers_swap(w, body, "'acmething'", pairs[i][1]);
		struct answer a = plane_call(w->plane, w->globex, method, path, theirs);
		struct answer b = plane_call(w->plane, w->globex, method,
		                             strangers_swap(w, path, "mine-a", "mine-b"),
		                             strangers_swap(w, none, "mine-a", "mine-b"));
		cr_expect(!refused || a.status >= 400, "%s %s: %d %s", method, path, a.status,
		          theirs);
		strangers_same(w, body, a, b);
		strangers_silent(path, a);
		plane_call(w->plane, w->globex, "DELETE", path, NULL);
		plane_call(w->plane, w->globex, "DELETE",
		           strangers_swap(w, path, "mine-a", "mine-b"), NULL);
	}
}

Test(isolation, refers_to_nothing_of_another_tenant_from_any_kind)
{
	struct strangers w;
	strangers_open(&w);
	size_t tried = 0;
	for (int kind = 0; kind < KIND_COUNT_; kind++) {
		const struct kind_info *info = &kind_info[kind];
		const char *spec = strangers_spec(&w, (enum kind)kind);
		spec = strangers_swap(&w, spec, "acmeout", "own");
		spec = strangers_swap(&w, spec, "acmecol", "owncol");
		spec = strangers_swap(&w, spec, "acmefile", "ownfile");
		if (info->scope != SCOPE_DOMAIN || !refers(spec))
			continue;
		const char *path = strangers_text(&w, "/v1/tenants/globex/domains/own/%s/%s",
		                                  info->plural, "mine-a");
		const char *body = strangers_manifest(&w, (enum kind)kind, "mine-a", spec);
		/* A pipeline may come before what its tasks name. */
		try_refs(&w, "PUT", path, body, kind != KIND_PIPELINE);
		try_refs(&w, "PUT", strangers_text(&w, "%s%s", path, "?dryRun=true"), body, false);
		tried++;
	}
	cr_expect_gt(tried, 4);
	strangers_close(&w);
}

Test(isolation, refers_to_nothing_of_another_tenant_from_any_task)
{
	static const char tasks[] = "/v1/tenants/globex/domains/own/tasks";
	static const char runs[] = "/v1/tenants/globex/domains/own/runs";
	struct strangers w;
	strangers_open(&w);
	size_t tried = 0;
	for (int type = 0; type < TASK_COUNT_; type++) {
		const char *spec = strangers_sample(&w, task_info[type].fields);
		const char *body = arena_printf(w.plane->arena, "{'type':'%s','spec':%s}",
		                                task_info[type].name, spec);
		bool platform = plane_call(w.plane, w.acme, "POST",
		                           "/v1/tenants/acme/domains/acmedomain/tasks", body)
		                        .status == 400;
		if (!refers(spec) && !platform)
			continue;
		try_refs(&w, "POST", tasks, body, true);
		try_refs(&w, "POST", strangers_text(&w, "%s%s", tasks, ":batch"),
		         arena_printf(w.plane->arena, "{'items':[%s]}", body), true);
		try_refs(&w, "POST", runs,
		         arena_printf(w.plane->arena,
		                      "{'tasks':[{'name':'a','type':'%s','spec':"
		                      "%s}]}",
		                      task_info[type].name, spec),
		         true);
		tried++;
	}
	try_refs(&w, "POST", runs, "{'pipeline':'acmething'}", true);
	cr_expect_gt(tried, 3);
	strangers_close(&w);
}

/* An offer to somebody else is none. */
Test(isolation, accepts_no_offer_that_was_made_to_another)
{
	static const char path[] = "/v1/tenants/globex/domains/own/acceptances/mine-a";
	static const char spec[] = "{'from':{'tenant':'%s','domain':'%s','offer':'acmething'}}";
	struct strangers w;
	strangers_open(&w);
	const char *theirs = strangers_manifest(&w, KIND_ACCEPTANCE, "mine-a",
	                                        strangers_text(&w, spec, "acme", "acmedomain"));
	const char *none = strangers_swap(&w, theirs, "acmething", "nonething");
	struct answer a = plane_call(w.plane, w.globex, "PUT", path, theirs);
	struct answer b = plane_call(w.plane, w.globex, "PUT", path, none);
	none = strangers_swap(&w, strangers_swap(&w, none, "acmedomain", "nonedomain"), "'acme'",
	                      "'none'");
	struct answer c = plane_call(w.plane, w.globex, "PUT", path, none);
	cr_expect_geq(a.status, 400, "%s", a.text);
	strangers_same(&w, "an offer of another tenant", a, b);
	strangers_same(&w, "a tenant that is none", a, c);
	strangers_close(&w);
}

/* --- parameters --- */

struct search {
	struct strangers *w;
	size_t tried;
};

static struct answer search(struct strangers *w, const char *path, const char *parameter,
                            const char *value)
{
	const struct names own = {"globex",    "own",       "someone",   w->none.task,
	                          w->none.key, w->none.run, w->none.etag};
	return plane_call(w->plane, w->globex, "GET",
	                  arena_printf(w->plane->arena, "%s?%s=%s", strangers_path(w, path, &own),
	                               parameter, value),
	                  NULL);
}

static void try_parameter(void *context, const char *path, const char *parameter)
{
	struct search *state = context;
	struct strangers *w = state->w;
	const struct names *t = &w->theirs, *n = &w->none;
	const char *const values[][2] = {
		{t->tenant, n->tenant},
		{t->domain, n->domain},
		{t->name, n->name},
		{t->task, n->task},
		{t->key, n->key},
		{t->run, n->run},
		{"acme/acmething", "none/nonething"},
	};
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		struct answer a = search(w, path, parameter, values[i][0]);
		strangers_same(w, strangers_text(w, "%s?%s", path, parameter), a,
		               search(w, path, parameter, values[i][1]));
		strangers_silent(path, a);
	}
	state->tried++;
}

Test(isolation, finds_nothing_of_another_tenant_by_any_parameter)
{
	struct strangers w;
	strangers_open(&w);
	struct search state = {&w, 0};
	questions(try_parameter, &state);
	cr_expect_gt(state.tried, 15);
	strangers_close(&w);
}

/* --- keys that were used before, by another --- */

Test(isolation, an_idempotency_key_of_another_tenant_is_just_a_key)
{
	struct strangers w;
	strangers_open(&w);
	const struct header headers[] = {{"Idempotency-Key", "acme-once"}, {NULL, NULL}};
	struct asked asked = {"POST",  "/v1/tenants/acme/domains/acmedomain/tasks",
	                      w.acme,  "{\"type\":\"probe\",\"spec\":{}}",
	                      headers, NULL, NULL};
	struct answer acme = plane_ask(w.plane, &asked);
	cr_assert_eq(acme.status, 202, "%s", acme.text);
	asked.path = "/v1/tenants/globex/domains/own/tasks";
	asked.key = w.globex;
	asked.body = "{\"type\":\"probe\",\"spec\":{\"sleepMs\":1}}";
	struct answer globex = plane_ask(w.plane, &asked);
	cr_expect_eq(globex.status, 202, "%s", globex.text);
	cr_expect_str_neq(value_get_str(acme.body, "id"), value_get_str(globex.body, "id"));
	strangers_close(&w);
}

/* --- logs --- */

static int capture(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600),
	    kept = dup(STDERR_FILENO);
	cr_assert(fd >= 0 && kept >= 0);
	fflush(stderr);
	dup2(fd, STDERR_FILENO);
	close(fd);
	return kept;
}

/* Lines about a request of globex, with whatever it asked for, tell nothing of acme's own. */
Test(isolation, no_log_line_of_a_request_tells_of_another_tenant)
{
	struct strangers w;
	char line[4096], path[80];
	size_t lines = 0;
	strangers_open(&w);
	snprintf(path, sizeof path, "%s/log", w.plane->dir);
	int kept = capture(path);
	log_start("control", LOG_DEBUG);
	log_warn(&(struct log_context){.tenant = "globex"}, "beginning", " ");
	for (size_t i = 0; i < route_count; i++)
		if (strstr(routes[i].path, "{tenant}"))
			plane_call(w.plane, w.globex, routes[i].method,
			           strangers_path(&w, routes[i].path, &w.theirs),
			           strangers_body(&w, &routes[i], &w.theirs));
	fflush(stderr);
	dup2(kept, STDERR_FILENO);
	close(kept);
	FILE *log = fopen(path, "r");
	while (fgets(line, sizeof line, log)) {
		bool ours = strstr(line, "\"tenant\":\"globex\"") != NULL;
		lines += ours;
		cr_expect(!ours || !tells(line, "acme"), "%s", line);
		cr_expect_null(strstr(line, "acmecol"), "%s", line);
		cr_expect_null(strstr(line, "fh_"), "a key is logged: %s", line);
	}
	fclose(log);
	unlink(path);
	cr_expect_gt(lines, 0, "nothing was captured");
	strangers_close(&w);
}
