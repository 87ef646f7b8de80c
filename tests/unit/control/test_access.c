/* test_access.c - access grants: what they say, for whom, and that refusals tell nothing. */
#include "common/defs.h"
#include "control/access.h"

#include "api/access_grant.h"

#include "api/envelope.h"
#include "common/json.h"
#include "control/dispatch.h"
#include "control/identity.h"
#include "control/keys.h"
#include "tests/support/idp.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#define FLIGHTS "/v1/tenants/acme/domains/flights"

struct world {
	struct plane *plane;
	const char *admin, *reader, *producer, *globex;
	uint8_t box_public[BOX_PUBLIC_BYTES];
	struct secret *box_secret;
};

static void add_view(struct plane *plane, const char *key, const char *domain)
{
	const char *at = arena_printf(plane->arena, "/v1/tenants/acme/domains/%s", domain);
	plane_put(plane, key, "Dataset", arena_printf(plane->arena, "%s/datasets/d", at), "{}");
	plane_put(plane, key, "Entity", arena_printf(plane->arena, "%s/entities/airport", at),
	          "{'joinKey':'code'}");
	plane_put(plane, key, "FeatureView",
	          arena_printf(plane->arena, "%s/featureviews/delays", at),
	          "{'entities':['airport'],'dataset':'d','timestampField':'at','ttl':'24h',"
	          "'features':[{'name':'mean','type':'float64'},{'name':'p95','type':'int64'}]}");
}

static void start(struct world *w)
{
	struct err err = { 0 };
	w->plane = plane_start();
	w->admin = plane_tenant(w->plane, "acme", "flights");
	w->globex = plane_tenant(w->plane, "globex", "own");
	add_view(w->plane, w->admin, "flights");
	w->reader = plane_principal(w->plane, "acme", "reader", "'consumer'", "flights");
	w->producer = plane_principal(w->plane, "acme", "producer", "'producer'", "flights");
	cr_assert_eq(secret_new(BOX_SECRET_BYTES, &w->box_secret, &err), 0);
	box_keypair(w->box_public, secret_data(w->box_secret));
}

static void end(struct world *w)
{
	secret_free(w->box_secret);
	plane_stop(w->plane);
}

static int ask(struct world *w, const char *key, const char *view, struct buf *grant,
               struct err *err)
{
	struct arena *arena = NULL;
	const struct access_ask asked = { .credential = key, .views = &view, .view_count = 1,
	                                  .box_public = w->box_public };
	cr_assert_eq(arena_new(16 * MIB, &arena, err), 0);
	buf_init(grant, MIB);
	int code = access_answer(w->plane->control, arena, &asked, "w1", grant, err);
	arena_free(arena);
	return code;
}

static int ask_from(struct world *w, const char *key, const char *address, struct err *err)
{
	static const char *const view = "delays";
	struct arena *arena = NULL;
	AUTO_BUF grant;
	const struct access_ask asked = { .credential = key, .views = &view, .view_count = 1,
	                                  .box_public = w->box_public, .address = address };
	cr_assert_eq(arena_new(16 * MIB, &arena, err), 0);
	buf_init(&grant, MIB);
	int code = access_answer(w->plane->control, arena, &asked, "w1", &grant, err);
	arena_free(arena);
	return code;
}

static int try_ask(struct world *w, const char *key, const char *view, struct err *err)
{
	AUTO_BUF grant;
	int code = ask(w, key, view, &grant, err);
	cr_expect(code == 0 || grant.len == 0, "a refusal carries no grant");
	return code;
}

Test(access, grants_a_view_with_its_key_to_that_worker_alone)
{
	struct world w;
	struct err err = { 0 };
	AUTO_BUF bytes;
	struct access_grant *grant = NULL;
	start(&w);
	cr_assert_eq(ask(&w, w.reader, "delays", &bytes, &err), 0, "%s", err.text);
	struct grant_opener opener = { .worker = "w1", .box_secret = w.box_secret };
	memcpy(opener.control_key, w.plane->control->signer_public, SIGN_PUBLIC_BYTES);
	memcpy(opener.box_public, w.box_public, BOX_PUBLIC_BYTES);
	int64_t now_ms = clock_unix_ms(clock_system());
	cr_assert_eq(
		access_open(&opener, now_ms, w.plane->arena, bytes.data, bytes.len, &grant, &err),
		0, "%s", err.text);
	cr_expect_str_eq(grant->tenant, "acme");
	cr_expect_str_eq(grant->principal, "reader");
	cr_assert_eq(grant->view_count, 1);
	const struct access_view *view = &grant->views[0];
	cr_expect_str_eq(view->domain, "flights");
	cr_expect_str_eq(view->join_key, "code");
	cr_expect_str_eq(view->key_type, "string");
	cr_expect_eq(view->ttl_ms, 24 * 3600 * 1000);
	cr_assert_eq(view->feature_count, 2);
	cr_expect_str_eq(view->features[1].name, "p95");
	cr_expect_leq(grant->expires_ms, now_ms + ACCESS_GRANT_MS + 1000);
	struct value *resource = NULL;
	uint8_t key[KEY_BYTES];
	uint32_t version = 0;
	cr_assert_eq(catalog_get(w.plane->control->catalog, w.plane->arena,
	                         "r/featureview/acme/flights/delays", &resource, NULL, &err), 0);
	cr_assert_eq(keys_open_resource(w.plane->control, w.plane->arena, "acme", resource, key,
	                                &version, &err), 0, "%s", err.text);
	cr_expect_eq(memcmp(key, view->key, KEY_BYTES), 0);
	cr_expect_eq(version, view->key_version);
	access_wipe(grant);
	opener.worker = "w2";
	cr_expect_neq(
		access_open(&opener, now_ms, w.plane->arena, bytes.data, bytes.len, &grant, &err),
		0);
	end(&w);
}

Test(access, says_the_same_of_a_view_that_is_hidden_and_of_one_that_is_not_there)
{
	struct world w;
	struct err none = { 0 }, err = { 0 };
	start(&w);
	plane_put(w.plane, w.admin, "Domain", "/v1/tenants/acme/domains/hotels", "{}");
	add_view(w.plane, w.admin, "hotels");
	cr_expect_eq(try_ask(&w, w.globex, "nothing", &none), E_NOT_FOUND);
	const struct { const char *key, *view;
	} hidden[] = {
		{ w.globex, "delays" },
		{ w.globex, "flights.delays" },
		{ w.reader, "nothing" },
		{ w.reader, "hotels.delays" },
		{ w.reader, "hotels.nothing" },
		{ w.globex, "own.delays" },
		{ w.plane->operator_key, "delays" },
	};
	for (size_t i = 0; i < ARRAY_LEN(hidden); i++) {
		cr_expect_eq(try_ask(&w, hidden[i].key, hidden[i].view, &err), E_NOT_FOUND,
		             "%zu %s", i, err.text);
		cr_expect_str_eq(err.text, none.text);
	}
	end(&w);
}

Test(access, tells_a_producer_that_it_may_not_read_whatever_it_names)
{
	struct world w;
	struct err one = { 0 }, two = { 0 };
	start(&w);
	cr_expect_eq(try_ask(&w, w.producer, "delays", &one), E_DENIED);
	cr_expect_eq(try_ask(&w, w.producer, "nothing", &two), E_DENIED);
	cr_expect_str_eq(one.text, two.text);
	end(&w);
}

Test(access, finds_the_one_view_of_a_name_and_asks_which_of_two)
{
	struct world w;
	struct err err = { 0 };
	start(&w);
	cr_expect_eq(try_ask(&w, w.admin, "delays", &err), 0, "%s", err.text);
	plane_put(w.plane, w.admin, "Domain", "/v1/tenants/acme/domains/hotels", "{}");
	add_view(w.plane, w.admin, "hotels");
	cr_expect_eq(try_ask(&w, w.admin, "delays", &err), E_INVALID);
	cr_expect_not_null(strstr(err.text, "DOMAIN.VIEW"), "%s", err.text);
	cr_expect_eq(try_ask(&w, w.admin, "hotels.delays", &err), 0, "%s", err.text);
	end(&w);
}

Test(access, finds_the_view_of_another_domain_that_a_binding_lets_read)
{
	struct world w;
	struct err err = { 0 };
	start(&w);
	plane_put(w.plane, w.admin, "Domain", "/v1/tenants/acme/domains/hotels", "{}");
	add_view(w.plane, w.admin, "hotels");
	const char *guest = plane_principal(w.plane, "acme", "guest", "'consumer'", "hotels");
	plane_put(w.plane, w.admin, "Domain", "/v1/tenants/acme/domains/empty", "{}");
	plane_put(w.plane, w.admin, "Principal", "/v1/tenants/acme/principals/guest",
	          "{'roles':['consumer'],'domain':'empty'}");
	cr_expect_eq(try_ask(&w, guest, "delays", &err), E_NOT_FOUND);
	plane_put(w.plane, w.admin, "RoleBinding", "/v1/tenants/acme/rolebindings/guests",
	          "{'role':'consumer','subjects':['guest'],'domain':'hotels'}");
	cr_expect_eq(try_ask(&w, guest, "delays", &err), 0, "%s", err.text);
	cr_expect_eq(try_ask(&w, guest, "flights.delays", &err), E_NOT_FOUND);
	end(&w);
}

Test(access, refuses_a_credential_that_is_none_and_a_tenant_over_its_quota)
{
	struct world w;
	struct err err = { 0 };
	start(&w);
	cr_expect_eq(try_ask(&w, "fh_x", "delays", &err), E_UNAUTHENTICATED);
	cr_expect_eq(try_ask(&w, NULL, "delays", &err), E_UNAUTHENTICATED);
	plane_put(w.plane, w.plane->operator_key, "Quota", "/v1/tenants/acme/quotas/reads",
	          "{'onlineReads':0}");
	cr_expect_eq(try_ask(&w, w.reader, "delays", &err), E_QUOTA, "%s", err.text);
	cr_expect_not_null(strstr(err.text, "reads"), "%s", err.text);
	end(&w);
}

Test(access, audits_what_it_grants_and_what_it_refuses)
{
	struct world w;
	struct err err = { 0 };
	start(&w);
	cr_expect_eq(try_ask(&w, w.reader, "delays", &err), 0);
	cr_expect_eq(try_ask(&w, w.reader, "nothing", &err), E_NOT_FOUND);
	struct answer list = plane_call(w.plane, w.admin, "GET",
	                                "/v1/tenants/acme/audit?action=features:read", NULL);
	const struct value *items = value_get(list.body, "items");
	cr_assert_eq(value_len(items), 2, "%s", list.text);
	cr_expect_str_eq(value_get_str(value_at(items, 0), "result"), "denied");
	cr_expect_str_eq(value_get_str(value_at(items, 1), "result"), "allowed");
	cr_expect_str_eq(value_get_str(value_at(items, 1), "actor"), "acme/reader");
	const char *resource = value_get_str(value_at(items, 1), "resource");
	cr_expect(strncmp(resource, "featureviews/", 13) == 0 && strstr(resource, ".delays"),
	          "with its domain, to be found by: %s", resource);
	cr_expect_not_null(value_get_str(value_at(items, 1), "rule"));
	end(&w);
}

Test(access, is_the_leaders_to_answer)
{
	struct world w;
	struct err err = { 0 };
	int code = 0;
	start(&w);
	/* The lead's thread looks now and then, and leads again: it is asked again then. */
	for (int i = 0; i < 100 && code != E_NOT_LEADER; i++) {
		w.plane->part->led = 0;
		code = try_ask(&w, w.reader, "delays", &err);
	}
	cr_expect_eq(code, E_NOT_LEADER);
	end(&w);
}

/* --- over the link --- */

/* A tenant of that shard. */
static const char *tenant_of(struct plane *plane, int shard)
{
	static const char *const names[] = { "acme", "globex", "initech", "hooli", "umbrella",
		                             "stark", "wayne", "tyrell", "cyberdyne", "soylent" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (part_of(plane->control, names[i])->index == shard)
			return names[i];
	cr_assert_fail("no tenant is of shard %d", shard);
	return NULL;
}

/* What control says to that credential; asked of the first shard, as workers do first. */
static struct envelope ask_link(struct world *w, struct link_client *link, const char *key)
{
	static const char *const views[] = { "delays" };
	const struct access_ask asked = { .credential = key, .views = views, .view_count = 1,
	                                  .box_public = w->box_public };
	struct value *body = NULL;
	struct err err = { 0 };
	struct envelope answered;
	AUTO_BUF out, in;
	buf_init(&out, LINK_MESSAGE_MAX);
	buf_init(&in, LINK_MESSAGE_MAX);
	cr_assert_eq(access_ask_value(w->plane->arena, &asked, &body, &err), 0, "%s", err.text);
	const struct envelope envelope = {
		.version = ENVELOPE_VERSION, .kind = "access", .worker = "w1", .incarnation = 1,
		.seq = 1, .body = body,
	};
	cr_assert_eq(envelope_write(&envelope, &out, &err), 0, "%s", err.text);
	cr_assert_eq(link_client_call(link, 0, out.data, out.len, 20000, &in, &err), 0, "%s",
	             err.text);
	cr_assert_eq(envelope_read(w->plane->arena, in.data, in.len, &answered, &err), 0);
	return answered;
}

Test(access, names_the_shard_whose_leader_can_answer_to_who_may_know_it)
{
	static const char *const urls[] = { "inproc://access-shard", NULL };
	const struct plane_options options = { .replica = "control-1", .shards = 2 };
	const struct link_client_conf conf = { .urls = urls };
	struct world w = { .plane = plane_start_with(&options) };
	struct link_server *server = NULL;
	struct link_client *link = NULL;
	struct err said = { 0 };
	uint8_t unused[BOX_SECRET_BYTES];
	box_keypair(w.box_public, unused);
	const char *tenant = tenant_of(w.plane, 1);
	const char *key = plane_tenant(w.plane, tenant, "flights");
	const struct link_server_conf served = { .url = urls[0], .contexts = 4,
	                                         .call = dispatch_call, .gone = dispatch_gone,
	                                         .context = w.plane->control };
	cr_assert_eq(link_server_new(&served, &server, NULL), 0);
	cr_assert_eq(link_client_new(&conf, &link, NULL), 0);
	struct envelope answer = { .kind = NULL };
	for (int i = 0; i < 100 && !(answer.kind && strcmp(answer.kind, "problem") == 0); i++) {
		w.plane->control->parts[1].led = 0;
		answer = ask_link(&w, link, key);
	}
	cr_assert_str_eq(answer.kind, "problem");
	link_problem_read(answer.body, &said);
	cr_expect_eq(said.code, E_NOT_LEADER, "%s", said.text);
	cr_expect_eq(value_get_int(answer.body, "shard", -1), 1);
	answer = ask_link(&w, link, "fh_nobody");
	cr_assert_str_eq(answer.kind, "problem");
	cr_expect_eq(value_get_int(answer.body, "shard", -1), -1);
	link_client_free(link);
	control_stop(w.plane->control);
	link_server_free(server);
	plane_stop(w.plane);
}

/* --- tokens and logins at this door --- */

static const char *token(struct world *w, const char *key, const char *body)
{
	struct answer made = plane_call(w->plane, key, "POST", "/v1/token", body);
	cr_assert_eq(made.status, 201, "%s", made.text);
	return value_get_str(made.body, "token");
}

Test(access, a_token_reads_when_it_is_for_serving_and_of_that_scope)
{
	struct world w;
	struct err err = { 0 };
	AUTO_BUF bytes;
	struct access_grant *grant = NULL;
	start(&w);
	cr_expect_eq(try_ask(&w, token(&w, w.reader, NULL), "delays", &err), 0, "%s", err.text);
	cr_expect_eq(try_ask(&w, token(&w, w.reader, "{'audience':['control']}"), "delays", &err),
	             E_UNAUTHENTICATED);
	cr_expect_eq(try_ask(&w, token(&w, w.reader, "{'scope':['dataset:*']}"), "delays", &err),
	             E_NOT_FOUND, "%s", err.text);
	const char *soon = token(&w, w.reader, "{'audience':['serving'],'scope':['features:read'],"
	                         "'lifetime':'20s'}");
	cr_assert_eq(ask(&w, soon, "delays", &bytes, &err), 0, "%s", err.text);
	struct grant_opener opener = { .worker = "w1", .box_secret = w.box_secret };
	memcpy(opener.control_key, w.plane->control->signer_public, SIGN_PUBLIC_BYTES);
	memcpy(opener.box_public, w.box_public, BOX_PUBLIC_BYTES);
	int64_t now_ms = clock_unix_ms(clock_system());
	cr_assert_eq(access_open(&opener, now_ms, w.plane->arena, bytes.data, bytes.len, &grant,
	                         &err), 0, "%s", err.text);
	cr_expect_leq(grant->expires_ms, now_ms + 21 * 1000, "no longer than the token");
	access_wipe(grant);
	buf_release(&bytes);
	end(&w);
}

Test(access, a_login_reads_and_does_not_make_this_door_wait_for_its_issuer)
{
	struct world w;
	struct err err = { 0 };
	start(&w);
	struct idp *idp = idp_start();
	idp_add_key(idp, "k", SIGNATURE_EDDSA);
	plane_put(w.plane, w.admin, "IdentityProvider", "/v1/tenants/acme/identityproviders/corp",
	          arena_printf(w.plane->arena, "{'issuer':'%s','audiences':['freehold'],'groups':"
	          "[{'claim':'g','roles':['consumer'],'domain':'flights'}]}", idp_url(idp)));
	const char *text = idp_jwt(idp, w.plane->arena, "k", arena_printf(w.plane->arena,
		"{'iss':'%s','aud':'freehold','sub':'ada','groups':'g','exp':%lld}", idp_url(idp),
		(long long)(clock_unix_ms(clock_system()) / 1000 + 600)));
	int code = try_ask(&w, text, "delays", &err);
	cr_expect_eq(code, E_UNAUTHENTICATED, "the keys are fetched behind it");
	for (int ms = 0; code != 0; ms++) {
		cr_assert_lt(ms, 20000, "%s", err.text);
		usleep(1000);
		code = try_ask(&w, text, "delays", &err);
	}
	end(&w);
	idp_stop(idp);
}

/* --- what policies leave of a view --- */

static void policy(struct world *w, const char *text)
{
	struct arena *arena = w->plane->arena;
	struct value *spec = value_map(arena);
	AUTO_BUF out;
	buf_init(&out, MIB);
	value_set_str(spec, "text", text);
	json_print(spec, &out);
	cr_assert_eq(buf_check(&out, NULL), 0);
	plane_put(w->plane, w->admin, "Policy", "/v1/tenants/acme/policies/p",
	          arena_strndup(arena, (const char *)out.data, out.len));
}

/* The view delays as that grant has it. */
static const struct access_view *view_for(struct world *w, const char *key, const char *purpose)
{
	AUTO_BUF bytes;
	struct err err = { 0 };
	struct access_grant *grant = NULL;
	const char *view = "flights.delays";
	const struct access_ask asked = { .credential = key, .views = &view, .view_count = 1,
	                                  .box_public = w->box_public, .purpose = purpose };
	struct grant_opener opener = { .worker = "w1", .box_secret = w->box_secret };
	memcpy(opener.control_key, w->plane->control->signer_public, SIGN_PUBLIC_BYTES);
	memcpy(opener.box_public, w->box_public, BOX_PUBLIC_BYTES);
	buf_init(&bytes, MIB);
	if (access_answer(w->plane->control, w->plane->arena, &asked, "w1", &bytes, &err) < 0)
		return NULL;
	cr_assert_eq(access_open(&opener, clock_unix_ms(clock_system()), w->plane->arena,
	                         bytes.data, bytes.len, &grant, &err), 0, "%s", err.text);
	return &grant->views[0];
}

#define ON_COLUMN(where) "forbid(principal, action == Action::\"column:read\", resource == " \
	"Column::\"acme/flights/" where "\");"

Test(access, a_view_has_the_rows_and_features_that_policies_leave)
{
	struct world w;
	start(&w);
	policy(&w, "forbid(principal, action == Action::\"features:read\", "
	           "resource is FeatureView) "
	           "unless { resource.row.code == \"ATL\" && resource.row.p95 < 60 };"
	           "@mask(\"mask-to-fixed-value\") " ON_COLUMN("delays/mean") ON_COLUMN("d/p95"));
	const struct access_view *view = view_for(&w, w.reader, NULL);
	cr_assert_not_null(view);
	cr_expect_not_null(view->filter, "it may ask for what is hidden");
	cr_assert_eq(view->feature_count, 2);
	cr_expect_eq(view->features[0].mask, MASK_FIXED);
	cr_expect(!view->features[0].hidden);
	cr_expect(view->features[1].hidden, "as the dataset's column of that name");
	policy(&w, ON_COLUMN("delays/mean") ON_COLUMN("delays/p95"));
	cr_expect_null(view_for(&w, w.reader, NULL), "nothing is left of it");
	end(&w);
}

Test(access, who_is_permitted_some_rows_only_reads_those)
{
	struct world w;
	struct err err = { 0 };
	start(&w);
	cr_expect_null(view_for(&w, w.producer, NULL));
	policy(&w, "permit(principal == User::\"acme/producer\", action == "
	           "Action::\"features:read\", resource is FeatureView) "
	           "when { resource.row.code == \"ATL\" };");
	const struct access_view *some = view_for(&w, w.producer, NULL);
	cr_assert_not_null(some);
	cr_expect_not_null(some->filter);
	const struct access_view *all = view_for(&w, w.reader, NULL);
	cr_assert_not_null(all);
	cr_expect_null(all->filter);
	cr_expect_eq(try_ask(&w, w.globex, "flights.delays", &err), E_NOT_FOUND);
	cr_expect_eq(try_ask(&w, w.producer, "flights.none", &err), E_DENIED);
	end(&w);
}

Test(access, a_view_is_read_for_the_purposes_of_its_dataset_only)
{
	struct world w;
	start(&w);
	plane_put(w.plane, w.admin, "Dataset", FLIGHTS "/datasets/d", "{'purposes':['planning']}");
	cr_expect_null(view_for(&w, w.reader, NULL));
	cr_expect_null(view_for(&w, w.reader, "marketing"));
	cr_expect_not_null(view_for(&w, w.reader, "planning"));
	end(&w);
}

Test(access, asks_policies_from_where_the_view_is_read)
{
	struct world w;
	struct err err = { 0 };
	start(&w);
	policy(&w, "forbid(principal, action == Action::\"features:read\", resource) unless "
	           "{ context has address && context.address.isInRange(ip(\"10.0.0.0/8\")) };");
	cr_expect_eq(ask_from(&w, w.reader, "10.1.2.3", &err), 0, "%s", err.text);
	cr_expect_eq(ask_from(&w, w.reader, "192.0.2.1", &err), E_DENIED);
	cr_expect_eq(ask_from(&w, w.reader, NULL, &err), E_DENIED);
	end(&w);
}
