/* test_logins.c - people who come with a token of an identity provider: a real HTTP issuer in this
 * process, its keys and their rotation, and what attackers send. */
#include "common/defs.h"
#include "control/logins.h"

#include "control/issuers.h"
#include "control/tokens.h"
#include "tests/support/idp.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ACME "/v1/tenants/acme"
#define FLIGHTS ACME "/domains/flights"
#define GROUPS "'groups':[{'claim':'readers','roles':['consumer']}," \
	"{'claim':'admins','roles':['tenant-admin']}," \
	"{'claim':'pilots','roles':['domain-owner'],'domain':'flights'}]"

enum { MINUTE = 60 * 1000, WAIT_MS = 20000 };

struct world {
	struct clock *clock;
	struct plane *plane;
	struct idp *idp;
	const char *admin;
};

static void put_provider(struct world *w, const char *tenant, const char *key, const char *more)
{
	const char *path = arena_printf(w->plane->arena, "/v1/tenants/%s/identityproviders/corp",
	                                tenant);
	plane_put(w->plane, key, "IdentityProvider", path,
	          arena_printf(w->plane->arena, "{'issuer':'%s','audiences':['freehold']%s%s}",
	                       idp_url(w->idp), *more ? "," : "", more));
}

static struct world start(void)
{
	struct world w = { .idp = idp_start() };
	cr_assert_eq(clock_new_simulated(1700000000000, &w.clock, NULL), 0);
	w.plane = plane_start_at(w.clock);
	w.admin = plane_tenant(w.plane, "acme", "flights");
	idp_add_key(w.idp, "k1", SIGNATURE_ES256);
	put_provider(&w, "acme", w.admin, GROUPS);
	return w;
}

static void stop(struct world *w)
{
	plane_stop(w->plane);
	clock_free(w->clock);
	idp_stop(w->idp);
}

/* What a good issuer says of somebody, for ten minutes. */
static const char *claims(struct world *w, const char *subject, const char *groups)
{
	int64_t now_s = clock_unix_ms(w->clock) / 1000;
	return arena_printf(w->plane->arena, "{'iss':'%s','aud':'freehold','sub':'%s',"
	                    "'groups':[%s],'iat':%" PRId64 ",'exp':%" PRId64 "}", idp_url(w->idp),
	                    subject, groups, now_s, now_s + 600);
}

static const char *login(struct world *w, const char *kid, const char *groups)
{
	return idp_jwt(w->idp, w->plane->arena, kid, claims(w, "ada@example.com", groups));
}

static int get(struct world *w, const char *key, const char *path)
{
	return plane_call(w->plane, key, "GET", path, NULL).status;
}

static uint64_t fetches(struct world *w)
{
	return issuers_fetches(logins_issuers(w->plane->control->logins));
}

Test(logins, a_login_has_the_roles_of_its_groups_and_a_name_of_its_own)
{
	struct world w = start();
	const char *text = login(&w, "k1", "'readers','unheard-of'");
	struct answer who = plane_call(w.plane, text, "GET", "/v1/whoami", NULL);
	cr_assert_eq(who.status, 200, "%s", who.text);
	cr_expect_str_eq(value_get_str(who.body, "tenant"), "acme");
	cr_expect_str_eq(value_get_str(who.body, "principal"), "corp:ada@example.com");
	cr_expect_eq(get(&w, text, FLIGHTS), 200);
	cr_expect_eq(get(&w, text, ACME "/principals"), 403);
	const char *admin = login(&w, "k1", "'admins'");
	cr_expect_eq(get(&w, admin, ACME "/principals"), 200);
	const char *pilot = login(&w, "k1", "'pilots'");
	cr_expect_eq(get(&w, pilot, FLIGHTS "/datasets"), 200);
	const char *nobody = login(&w, "k1", "");
	cr_expect_eq(get(&w, nobody, "/v1/whoami"), 200, "SELF works for whoever logs in");
	cr_expect_eq(get(&w, nobody, FLIGHTS), 403);
	cr_expect_eq(fetches(&w), 1, "all that was one fetch");
	struct answer log = plane_call(w.plane, w.admin, "GET",
	                               ACME "/audit?actor=acme/corp:ada@example.com", NULL);
	cr_expect_neq(value_len(value_get(log.body, "items")), 0, "%s", log.text);
	stop(&w);
}

Test(logins, rsa_and_ed25519_do_as_well_and_only_what_the_provider_allows)
{
	struct world w = start();
	idp_add_key(w.idp, "r", SIGNATURE_RS256);
	idp_add_key(w.idp, "e", SIGNATURE_EDDSA);
	cr_expect_eq(get(&w, login(&w, "r", "'readers'"), FLIGHTS), 200);
	cr_expect_eq(get(&w, login(&w, "e", "'readers'"), FLIGHTS), 200);
	put_provider(&w, "acme", w.admin, GROUPS ",'algorithms':['EdDSA']");
	cr_expect_eq(get(&w, login(&w, "e", "'readers'"), FLIGHTS), 200);
	cr_expect_eq(get(&w, login(&w, "r", "'readers'"), FLIGHTS), 401);
	cr_expect_eq(get(&w, login(&w, "k1", "'readers'"), FLIGHTS), 401);
	stop(&w);
}

Test(logins, a_login_is_exchanged_for_a_token_that_follows_the_provider)
{
	struct world w = start();
	struct answer made = plane_call(w.plane, login(&w, "k1", "'readers'"), "POST", "/v1/token",
	                                "{'lifetime':'1h'}");
	cr_assert_eq(made.status, 201, "%s", made.text);
	const char *text = value_get_str(made.body, "token");
	cr_expect_eq(get(&w, text, FLIGHTS), 200);
	cr_expect_eq(get(&w, text, ACME "/principals"), 403);
	put_provider(&w, "acme", w.admin, "'groups':[{'claim':'readers','roles':['auditor']}]");
	cr_expect_eq(get(&w, text, ACME "/principals"), 200, "mappings are looked up afresh");
	clock_advance(w.clock, 11 * MINUTE);
	cr_expect_eq(get(&w, text, FLIGHTS), 401, "it ends with the login, skew included");
	struct answer other = plane_call(w.plane, login(&w, "k1", "'readers'"), "POST",
	                                 "/v1/token", NULL);
	text = value_get_str(other.body, "token");
	cr_expect_eq(get(&w, text, FLIGHTS), 200);
	cr_assert_eq(plane_call(w.plane, w.admin, "DELETE", ACME "/identityproviders/corp",
	                        NULL).status, 200);
	cr_expect_eq(get(&w, text, FLIGHTS), 401, "it dies with its provider");
	stop(&w);
}

/* --- attackers --- */

static void expect_none(struct world *w, const char *what, const char *text)
{
	const char *none = plane_call(w->plane, NULL, "GET", FLIGHTS, NULL).detail;
	struct answer answer = plane_call(w->plane, text, "GET", FLIGHTS, NULL);
	cr_expect_eq(answer.status, 401, "%s: %s", what, answer.text);
	cr_expect_str_eq(answer.detail, none, "%s", what);
}

Test(logins, what_attackers_send_gets_the_sentence_for_all)
{
	struct world w = start();
	struct arena *arena = w.plane->arena;
	struct idp *evil = idp_start();
	const char *good = claims(&w, "ada", "'admins'"), *jwks = idp_jwks(w.idp, arena);
	const struct bytes empty = { (const uint8_t *)"x", 1 };
	cr_assert_eq(get(&w, idp_jwt(w.idp, arena, "k1", good), FLIGHTS), 200);
	idp_add_key(evil, "k1", SIGNATURE_ES256);
	expect_none(&w, "another's key under the same id", idp_jwt(evil, arena, "k1", good));
	expect_none(&w, "a key that the token brings along",
	            idp_sign(evil, arena, "k1", arena_printf(arena,
	            "{'alg':'ES256','kid':'k1','jku':'%s/keys','jwk':%s}", idp_url(evil),
	            "{'kty':'EC'}"), good));
	expect_none(&w, "none", idp_compose(arena, "{'alg':'none','kid':'k1'}", good, empty));
	expect_none(&w, "None", idp_compose(arena, "{'alg':'None','kid':'k1'}", good, empty));
	uint8_t mac[32];
	hmac_sha256(jwks, strlen(jwks), good, strlen(good), mac);
	expect_none(&w, "HS256 with the public key",
	            idp_compose(arena, "{'alg':'HS256','kid':'k1'}", good,
	                        (struct bytes){ mac, sizeof mac }));
	uint8_t zeros[64] = { 0 };
	expect_none(&w, "an ES256 signature of zeros",
	            idp_compose(arena, "{'alg':'ES256','kid':'k1'}", good,
	                        (struct bytes){ zeros, sizeof zeros }));
	expect_none(&w, "another algorithm's name",
	            idp_sign(w.idp, arena, "k1", "{'alg':'RS256','kid':'k1'}", good));
	expect_none(&w, "crit", idp_sign(w.idp, arena, "k1",
	            "{'alg':'ES256','kid':'k1','crit':['exp']}", good));
	expect_none(&w, "b64", idp_sign(w.idp, arena, "k1",
	            "{'alg':'ES256','kid':'k1','b64':false,'crit':['b64']}", good));
	expect_none(&w, "two audiences' members", idp_jwt(w.idp, arena, "k1", arena_printf(arena,
	            "{'aud':'x',%s", good + 1)));
	idp_stop(evil);
	stop(&w);
}

Test(logins, claims_that_do_not_fit_get_the_sentence_for_all)
{
	struct world w = start();
	struct arena *arena = w.plane->arena;
	const char *iss = idp_url(w.idp);
	int64_t now = clock_unix_ms(w.clock) / 1000;
	const struct { const char *what, *claims; } cases[] = {
		{ "another issuer", arena_printf(arena, "{'iss':'http://127.0.0.1:1','aud':"
		  "'freehold','sub':'a','exp':%" PRId64 "}", now + 60) },
		{ "another audience", arena_printf(arena, "{'iss':'%s','aud':'other','sub':'a',"
		  "'exp':%" PRId64 "}", iss, now + 60) },
		{ "another party", arena_printf(arena, "{'iss':'%s','aud':'freehold','azp':'x',"
		  "'sub':'a','exp':%" PRId64 "}", iss, now + 60) },
		{ "expired", arena_printf(arena, "{'iss':'%s','aud':'freehold','sub':'a',"
		  "'exp':%" PRId64 "}", iss, now - 31) },
		{ "no end", arena_printf(arena, "{'iss':'%s','aud':'freehold','sub':'a'}", iss) },
		{ "not yet", arena_printf(arena, "{'iss':'%s','aud':'freehold','sub':'a',"
		  "'nbf':%" PRId64 ",'exp':%" PRId64 "}", iss, now + 31, now + 60) },
		{ "of the future", arena_printf(arena, "{'iss':'%s','aud':'freehold','sub':'a',"
		  "'iat':%" PRId64 ",'exp':%" PRId64 "}", iss, now + 31, now + 60) },
		{ "no subject", arena_printf(arena, "{'iss':'%s','aud':'freehold',"
		  "'exp':%" PRId64 "}", iss, now + 60) },
		{ "a subject with a line break", arena_printf(arena, "{'iss':'%s','aud':'freehold',"
		  "'sub':'a\\nb','exp':%" PRId64 "}", iss, now + 60) },
		{ "an endless subject", arena_printf(arena, "{'iss':'%s','aud':'freehold',"
		  "'sub':'%0200d','exp':%" PRId64 "}", iss, 7, now + 60) },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		expect_none(&w, cases[i].what, idp_jwt(w.idp, arena, "k1", cases[i].claims));
	stop(&w);
}

/* --- keys come and go --- */

Test(logins, the_issuers_keys_rotate_while_it_runs)
{
	struct world w = start();
	const char *old = login(&w, "k1", "'readers'");
	cr_assert_eq(get(&w, old, FLIGHTS), 200);
	idp_add_key(w.idp, "k2", SIGNATURE_EDDSA);
	clock_advance(w.clock, ISSUERS_PAUSE_MS);
	cr_expect_eq(get(&w, login(&w, "k2", "'readers'"), FLIGHTS), 200, "an unknown key is "
	             "asked for");
	cr_expect_eq(fetches(&w), 2);
	cr_expect_eq(get(&w, old, FLIGHTS), 200);
	idp_drop_key(w.idp, "k1");
	clock_advance(w.clock, ISSUERS_FRESH_MS);
	/* The set is old: it is used once more, and fetched again behind that. */
	get(&w, login(&w, "k2", "'readers'"), FLIGHTS);
	for (int ms = 0; get(&w, login(&w, "k1", "'readers'"), FLIGHTS) != 401; ms++) {
		cr_assert_lt(ms, WAIT_MS, "a key that its issuer has withdrawn still does");
		usleep(1000);
	}
	cr_expect_eq(get(&w, login(&w, "k2", "'readers'"), FLIGHTS), 200);
	stop(&w);
}

Test(logins, unknown_key_ids_make_one_fetch_in_a_while)
{
	struct world w = start();
	struct idp *evil = idp_start();
	cr_assert_eq(get(&w, login(&w, "k1", "'readers'"), FLIGHTS), 200);
	clock_advance(w.clock, ISSUERS_PAUSE_MS);
	for (int i = 0; i < 8; i++) {
		const char *kid = arena_printf(w.plane->arena, "unknown-%d", i);
		idp_add_key(evil, kid, SIGNATURE_EDDSA);
		cr_expect_eq(get(&w, idp_jwt(evil, w.plane->arena, kid, claims(&w, "eve", "")),
		                 FLIGHTS), 401);
	}
	cr_expect_eq(fetches(&w), 2);
	cr_expect_eq(get(&w, login(&w, "k1", "'readers'"), FLIGHTS), 200);
	idp_stop(evil);
	stop(&w);
}

Test(logins, an_issuer_that_does_not_answer_keeps_its_keys_for_a_day)
{
	struct world w = start();
	cr_assert_eq(get(&w, login(&w, "k1", "'readers'"), FLIGHTS), 200);
	idp_break(w.idp, 500);
	clock_advance(w.clock, ISSUERS_FRESH_MS + MINUTE);
	cr_expect_eq(get(&w, login(&w, "k1", "'readers'"), FLIGHTS), 200);
	clock_advance(w.clock, ISSUERS_KEPT_MS - ISSUERS_FRESH_MS - 2 * MINUTE);
	cr_expect_eq(get(&w, login(&w, "k1", "'readers'"), FLIGHTS), 200);
	clock_advance(w.clock, 2 * MINUTE);
	cr_expect_eq(get(&w, login(&w, "k1", "'readers'"), FLIGHTS), 401, "a day is over");
	idp_break(w.idp, 0);
	clock_advance(w.clock, ISSUERS_PAUSE_MS);
	for (int ms = 0; get(&w, login(&w, "k1", "'readers'"), FLIGHTS) != 200; ms++) {
		cr_assert_lt(ms, WAIT_MS, "it is not asked again");
		clock_advance(w.clock, 100);
		usleep(1000);
	}
	stop(&w);
}

Test(logins, an_issuer_that_was_never_heard_lets_nobody_in)
{
	struct world w = start();
	idp_break(w.idp, 503);
	expect_none(&w, "nobody home", login(&w, "k1", "'readers'"));
	int asked = idp_asked(w.idp);
	for (int i = 0; i < 5; i++)
		expect_none(&w, "nobody home", login(&w, "k1", "'readers'"));
	cr_expect_eq(idp_asked(w.idp), asked, "and is not asked over and over");
	stop(&w);
}

/* --- tenants --- */

Test(logins, of_two_tenants_that_trust_one_issuer_the_paths_decides)
{
	struct world w = start();
	const char *other = plane_tenant(w.plane, "globex", "own");
	const char *text = login(&w, "k1", "'readers'");
	cr_assert_eq(get(&w, text, "/v1/whoami"), 200);
	put_provider(&w, "globex", other, "");
	cr_expect_eq(get(&w, text, FLIGHTS), 200);
	cr_expect_eq(get(&w, text, "/v1/tenants/globex/domains/own"), 403, "there it has no role");
	cr_expect_eq(get(&w, text, "/v1/tenants/initech"), 401, "neither is meant");
	cr_expect_eq(get(&w, text, "/v1/whoami"), 401);
	struct answer who = plane_call(w.plane, text, "GET", "/v1/whoami?tenant=globex", NULL);
	cr_assert_eq(who.status, 200, "%s", who.text);
	cr_expect_str_eq(value_get_str(who.body, "tenant"), "globex");
	put_provider(&w, "platform", w.plane->operator_key,
	             "'groups':[{'claim':'admins','roles':['operator']}]");
	const char *operator = login(&w, "k1", "'admins'");
	who = plane_call(w.plane, operator, "GET", "/v1/whoami", NULL);
	cr_assert_eq(who.status, 200, "%s", who.text);
	cr_expect_str_eq(value_get_str(who.body, "tenant"), "platform");
	cr_expect_eq(get(&w, operator, "/v1/tenants"), 200);
	stop(&w);
}

Test(logins, providers_say_what_they_need)
{
	static const struct { const char *tenant, *spec; int status; } cases[] = {
		{ "acme", "{'issuer':'https://id.example.com','audiences':['a']}", 201 },
		{ "acme", "{'issuer':'https://id.example.com'}", 400 },
		{ "acme", "{'issuer':'https://id.example.com','audiences':[]}", 400 },
		{ "acme", "{'issuer':'http://id.example.com','audiences':['a']}", 400 },
		{ "acme", "{'issuer':'http://127.0.0.1.example.com','audiences':['a']}", 400 },
		{ "acme", "{'issuer':'http://localhost@example.com/','audiences':['a']}", 400 },
		{ "acme", "{'issuer':'file:///etc/passwd','audiences':['a']}", 400 },
		{ "acme", "{'issuer':'https://id.example.com?x','audiences':['a']}", 400 },
		{ "acme", "{'issuer':'https://id.example.com','audiences':['a'],"
		  "'jwksUri':'ftp://x/'}", 400 },
		{ "acme", "{'issuer':'https://id.example.com','audiences':['a'],"
		  "'algorithms':['HS256']}", 400 },
		{ "acme", "{'issuer':'https://id.example.com','audiences':['a'],"
		  "'clockSkew':'61s'}", 400 },
		{ "acme", "{'issuer':'https://id.example.com','audiences':['a'],"
		  "'groups':[{'claim':'g'}]}", 400 },
		{ "acme", "{'issuer':'https://id.example.com','audiences':['a'],"
		  "'groups':[{'claim':'g','roles':['operator']}]}", 400 },
		{ "acme", "{'issuer':'https://id.example.com','audiences':['a'],"
		  "'groups':[{'claim':'g','roles':['producer'],'domain':'none'}]}", 400 },
	};
	struct world w = start();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *path = arena_printf(w.plane->arena, "/v1/tenants/%s/identityproviders/"
		                                "p%zu", cases[i].tenant, i);
		const char *body = arena_printf(w.plane->arena, "{'apiVersion':'freehold.io/v1',"
			"'kind':'IdentityProvider','metadata':{'name':'p%zu'},'spec':%s}", i,
			cases[i].spec);
		struct answer answer = plane_call(w.plane, w.admin, "PUT", path, body);
		cr_expect_eq(answer.status, cases[i].status, "%s: %s", cases[i].spec, answer.text);
	}
	const char *reader = plane_principal(w.plane, "acme", "carol", "'consumer'", NULL);
	cr_expect_eq(get(&w, reader, ACME "/identityproviders"), 403);
	cr_expect_eq(get(&w, w.admin, ACME "/identityproviders"), 200);
	stop(&w);
}

Test(logins, a_replica_that_did_not_see_the_login_before_takes_it_as_well)
{
	struct world w = start();
	const char *text = login(&w, "k1", "'readers'");
	cr_assert_eq(get(&w, text, FLIGHTS), 200);
	plane_restart(w.plane);
	cr_expect_eq(get(&w, text, FLIGHTS), 200);
	stop(&w);
}
