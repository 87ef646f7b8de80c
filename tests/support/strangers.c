/* strangers.c - see strangers.h. */
#include "common/defs.h"
#include "tests/support/strangers.h"

#include "common/text.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { SAMPLE_MAX = 16 * 1024, PASSES = 6 };

/* Where rules ask for more than the fields' table says. */
static const struct {
	const char *kind, *spec;
} special[] = {
	{"Tenant", "{}"},
	{"Dataset", "{'schema':[{'name':'at','type':'timestamp'},"
                    "{'name':'acmecol','type':'string'}]}"},
	{"Source", "{'connector':'file','path':'acmefile','dataset':'acmething','format':'csv'}"},
	{"FeatureView", "{'entities':['acmething'],'dataset':'acmething','timestampField':'at',"
                        "'features':[{'name':'acmecol','type':'string'}]}"},
	{"Transformation", "{'sql':'SELECT 1','inputs':['acmething'],'output':'acmeout'}"},
	{"Pipeline", "{'tasks':[{'name':'one','type':'ingest','spec':{'source':'acmething'}}]}"},
	{"Schedule", "{'every':'24h','start':'2001-01-01T00:00:00Z','paused':true,'task':"
                     "{'type':'ingest','spec':{'source':'acmething'}}}"},
	{"Backfill", "{'schedule':'acmething','from':'2001-01-01T00:00:00Z',"
                     "'to':'2001-01-02T00:00:00Z','paused':true}"},
	{"Principal", "{'roles':['consumer']}"},
	{"Group", "{'members':['acmething']}"},
	{"RoleBinding", "{'role':'consumer','subjects':['acmething']}"},
	{"Quota", "{'tasks':1000}"},
	{"RateCard", "{'currency':'EUR'}"},
	{"IdentityProvider", "{'issuer':'https://acmecol.example.com','audiences':['acmecol']}"},
	{"Policy", "{'text':'permit(principal, action, resource) when { false };'}"},
	{"Offer", "{'datasets':['acmething'],'to':{'tenant':'initech'}}"},
	{"Acceptance", "{'from':{'tenant':'initech','domain':'gifts','offer':'gift'}}"},
};

const char *strangers_text(struct strangers *w, const char *fmt, const char *a, const char *b)
{
	const char *made = arena_printf(w->plane->arena, fmt, a, b);
	cr_assert_not_null(made);
	return made;
}

/* --- samples --- */

static void put_sample(struct buf *out, const struct field *table);

static void put_first(struct buf *out, const char *words)
{
	buf_printf(out, "'%.*s'", (int)strcspn(words, "|"), words);
}

static void put_list(struct buf *out, const struct field *field)
{
	buf_puts(out, "[");
	if (field->kind == FIELD_OBJECTS)
		put_sample(out, field->sub);
	else if (field->kind == FIELD_ENUMS)
		put_first(out, field->arg);
	else
		buf_puts(out, "'acmething'");
	buf_puts(out, "]");
}

static void put_member(struct buf *out, const struct field *field)
{
	switch (field->kind) {
	case FIELD_TEXT:
		buf_puts(out, "'acmecol'");
		break;
	case FIELD_INT:
	case FIELD_REAL:
		buf_puts(out, "1");
		break;
	case FIELD_BOOL:
		buf_puts(out, "true");
		break;
	case FIELD_DURATION:
		buf_puts(out, "'1h'");
		break;
	case FIELD_ENUM:
		put_first(out, field->arg);
		break;
	case FIELD_TYPE:
		buf_puts(out, "'string'");
		break;
	case FIELD_MAP:
		buf_puts(out, "{}");
		break;
	case FIELD_OBJECT:
		put_sample(out, field->sub);
		break;
	case FIELD_NAME:
	case FIELD_SUBJECT:
	case FIELD_REF:
		buf_puts(out, "'acmething'");
		break;
	default:
		put_list(out, field);
		break;
	}
}

static void put_sample(struct buf *out, const struct field *table)
{
	const char *comma = "";
	buf_puts(out, "{");
	for (const struct field *field = table; field && field->name; field++) {
		bool refers = field->kind == FIELD_REF || field->kind == FIELD_REFS;
		if (!field->required && !refers)
			continue;
		buf_printf(out, "%s'%s':", comma, field->name);
		put_member(out, field);
		comma = ",";
	}
	buf_puts(out, "}");
}

const char *strangers_sample(struct strangers *w, const struct field *table)
{
	AUTO_BUF out;
	buf_init(&out, SAMPLE_MAX);
	put_sample(&out, table);
	cr_assert_eq(buf_check(&out, NULL), 0);
	return arena_strdup(w->plane->arena, (const char *)out.data);
}

const char *strangers_spec(struct strangers *w, enum kind kind)
{
	for (size_t i = 0; i < ARRAY_LEN(special); i++)
		if (strcmp(special[i].kind, kind_info[kind].kind) == 0)
			return special[i].spec;
	return strangers_sample(w, kind_info[kind].fields);
}

const char *strangers_manifest(struct strangers *w, enum kind kind, const char *name,
                               const char *spec)
{
	return arena_printf(w->plane->arena,
	                    "{'apiVersion':'freehold.io/v1','kind':'%s',"
	                    "'metadata':{'name':'%s'},'spec':%s}",
	                    kind_info[kind].kind, name, spec);
}

const char *strangers_swap(struct strangers *w, const char *text, const char *from, const char *to)
{
	AUTO_BUF out;
	buf_init(&out, SAMPLE_MAX);
	for (const char *at; (at = strstr(text, from)); text = at + strlen(from))
		buf_printf(&out, "%.*s%s", (int)(at - text), text, to);
	buf_puts(&out, text);
	cr_assert_eq(buf_check(&out, NULL), 0);
	return arena_strdup(w->plane->arena, (const char *)out.data);
}

/* --- what acme has --- */

static const char *name_of(enum kind kind, const struct names *names)
{
	return kind == KIND_TENANT   ? names->tenant
	       : kind == KIND_DOMAIN ? names->domain
	                             : names->name;
}

static struct answer put_kind(struct strangers *w, enum kind kind)
{
	const struct kind_info *info = &kind_info[kind];
	const char *path = strangers_text(w,
	                                  info->scope == SCOPE_DOMAIN
	                                          ? "/v1/tenants/acme/domains/acmedomain/%s/%s"
	                                          : "/v1/tenants/acme/%s/%s",
	                                  info->plural, "acmething");
	const char *body = strangers_manifest(w, kind, "acmething", strangers_spec(w, kind));
	struct answer answer = plane_call(w->plane, w->acme, "PUT", path, body);
	if (answer.status == 403)
		answer = plane_call(w->plane, w->plane->operator_key, "PUT", path, body);
	return answer;
}

static bool is_put(struct answer answer)
{
	return answer.status == 200 || answer.status == 201;
}

/* In as many passes as it takes until what a kind refers to is there. */
static void put_kinds(struct strangers *w)
{
	bool there[KIND_COUNT_] = {false};
	struct answer answer = {0};
	int missing = 1;
	for (int pass = 0; pass < PASSES && missing; pass++) {
		missing = 0;
		for (int kind = 0; kind < KIND_COUNT_; kind++) {
			bool own = kind_info[kind].scope == SCOPE_PLATFORM || kind == KIND_DOMAIN;
			if (there[kind] || own)
				continue;
			answer = put_kind(w, (enum kind)kind);
			there[kind] = is_put(answer);
			missing += !there[kind];
			cr_assert(there[kind] || pass < PASSES - 1,
			          "the sample of a %s is refused: "
			          "%s; add one to tests/support/strangers.c",
			          kind_info[kind].kind, answer.text);
		}
	}
}

static const char *start(struct strangers *w, const char *what, const char *body)
{
	struct answer answer = plane_call(
		w->plane, w->acme, "POST",
		strangers_text(w, "/v1/tenants/acme/domains/%s/%s", "acmedomain", what), body);
	cr_assert(answer.status == 201 || answer.status == 202, "%s", answer.text);
	return value_get_str(answer.body, "id");
}

/* A third tenant, which acme takes something from and offers something to. */
static void offer_to_acme(struct plane *plane)
{
	static const char domain[] = "/v1/tenants/initech/domains/gifts";
	const char *key = plane_tenant(plane, "initech", "gifts");
	plane_put(plane, key, "Dataset", arena_printf(plane->arena, "%s/datasets/given", domain),
	          "{}");
	plane_put(plane, key, "Offer", arena_printf(plane->arena, "%s/offers/gift", domain),
	          "{'datasets':['given'],'to':{'tenant':'acme'}}");
}

void strangers_open(struct strangers *w)
{
	static const char task[] = "{'type':'ingest','spec':{'source':'acmething'}}";
	w->plane = plane_start();
	struct plane *plane = w->plane;
	w->acme = plane_tenant(plane, "acme", "acmedomain");
	w->globex = plane_tenant(plane, "globex", "own");
	plane_principal(plane, "globex", "someone", "'consumer'", NULL);
	plane_put(plane, w->acme, "Dataset", "/v1/tenants/acme/domains/acmedomain/datasets/acmeout",
	          "{}");
	offer_to_acme(plane);
	put_kinds(w);
	struct answer key = plane_call(plane, w->acme, "POST",
	                               "/v1/tenants/acme/principals/acmething/keys", NULL);
	struct answer seen = plane_call(plane, w->acme, "GET",
	                                "/v1/tenants/acme/domains/acmedomain/"
	                                "datasets/acmething",
	                                NULL);
	w->theirs = (struct names){"acme",
	                           "acmedomain",
	                           "acmething",
	                           start(w, "tasks", task),
	                           value_get_str(key.body, "id"),
	                           start(w, "runs", "{'pipeline':'acmething'}"),
	                           seen.etag};
	w->none = (struct names){"none",
	                         "nonedomain",
	                         "nonething",
	                         "01h455vb4pex5vsknk084sn02q",
	                         "01h455vb4pex5vsknk084sn02r",
	                         "01h455vb4pex5vsknk084sn02s",
	                         "\"987654321\""};
	cr_assert(w->theirs.task && w->theirs.key && w->theirs.run && w->theirs.etag);
}

void strangers_close(struct strangers *w)
{
	plane_stop(w->plane);
}

/* --- requests --- */

const char *strangers_path(struct strangers *w, const char *path, const struct names *names)
{
	const struct {
		const char *segment, *value;
	} parts[] = {
		{"{tenant}", names->tenant}, {"{domain}", names->domain}, {"{name}", names->name},
		{"{task}", names->task},     {"{key}", names->key},       {"{run}", names->run},
		{"{path}", "0/000.p/1"},
	};
	const char *made = path;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		made = strangers_swap(w, made, parts[i].segment, parts[i].value);
	cr_assert_null(strchr(made, '{'),
	               "%s: no sample for a segment; add one to "
	               "tests/support/strangers.c",
	               made);
	return made;
}

const char *strangers_body(struct strangers *w, const struct route *route,
                           const struct names *names)
{
	static const char task[] = "{'type':'ingest','spec':{'source':'acmething'}}";
	const char *tail = strrchr(route->path, '/');
	if (strcmp(route->method, "PUT") == 0 && route->kind != KIND_NONE)
		return strangers_manifest(w, route->kind, name_of(route->kind, names),
		                          strangers_spec(w, route->kind));
	if (strcmp(route->method, "POST") != 0)
		return NULL;
	if (strcmp(tail, "/tasks:batch") == 0)
		return strangers_text(w, "{'items':[%s,%s]}", task, task);
	if (strcmp(tail, "/runs") == 0)
		return "{'pipeline':'acmething'}";
	return strcmp(tail, "/tasks") == 0 ? task : NULL;
}

/* --- answers --- */

/* What is new in every answer: ids, times and revisions. */
static void mask_fresh(char *text)
{
	static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	for (char *at = text; *at; at++) {
		size_t len = strspn(at, letters);
		bool time = len == 4 && strncmp(at, "20", 2) == 0 && at[4] == '-' && at[10] == 'T';
		if (len == ID_LEN || time)
			memset(at, '#', time ? strcspn(at, "Z") : len);
		at += len ? len - 1 : 0;
	}
	for (char *at = strstr(text, "\\\""); at; at = strstr(at + 1, "\\\""))
		memset(at + 2, '#', strspn(at + 2, "0123456789")); /* an ETag in a body */
	for (char *at; (at = strstr(text, "##"));)
		memmove(at, at + 1, strlen(at));
}

/* The answer's text without the request's id and with the names made alike. */
static const char *without(struct strangers *w, struct answer answer)
{
	const struct names *const both[] = {&w->theirs, &w->none};
	char *copy = arena_strdup(w->plane->arena, answer.text);
	for (size_t i = 0; i < ARRAY_LEN(both); i++) {
		const struct names *names = both[i];
		const char *const words[] = {answer.request_id, names->domain, names->name,
		                             names->tenant,     names->task,   names->key,
		                             names->run,        "mine-a",      "mine-b"};
		for (size_t j = 0; j < ARRAY_LEN(words); j++)
			for (char *at; words[j] && *words[j] && (at = strstr(copy, words[j]));)
				memset(at, '#', strlen(words[j]));
	}
	mask_fresh(copy);
	return copy;
}

static bool same_text(const char *a, const char *b)
{
	return (!a && !b) || (a && b && strcmp(a, b) == 0);
}

void strangers_same(struct strangers *w, const char *what, struct answer theirs, struct answer none)
{
	cr_expect_eq(theirs.status, none.status, "%s: %d and %d: %s", what, theirs.status,
	             none.status, theirs.text);
	const char *a = without(w, theirs), *b = without(w, none);
	cr_expect_str_eq(a, b, "%s:\n%s\n%s", what, a, b);
	cr_expect(same_text(theirs.content_type, none.content_type) &&
	                  (theirs.status < 300 ? !theirs.etag == !none.etag
	                                       : same_text(theirs.etag, none.etag)) &&
	                  same_text(theirs.location, none.location) &&
	                  same_text(theirs.allow, none.allow) &&
	                  theirs.retry_after_s == none.retry_after_s &&
	                  !theirs.revision == !none.revision,
	          "%s: headers differ", what);
}

void strangers_silent(const char *what, struct answer answer)
{
	static const char *const words[] = {"acmecol", "acmefile", "acmeout"};
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		cr_expect_null(strstr(answer.text, words[i]), "%s tells %s: %s", what, words[i],
		               answer.text);
}
