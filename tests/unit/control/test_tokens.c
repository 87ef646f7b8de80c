/* test_tokens.c - short-lived tokens: made from a key, narrowed, never widened, dead with what they
 * rest on. */
#include "common/defs.h"
#include "control/tokens.h"

#include "common/json.h"
#include "common/text.h"
#include "tenant/paseto.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define ACME "/v1/tenants/acme"
#define FLIGHTS ACME "/domains/flights"
#define DATASET "{'apiVersion':'freehold.io/v1','kind':'Dataset','metadata':{'name':'legs'}," \
	"'spec':{}}"

enum { MINUTE = 60 * 1000, HOUR = 60 * MINUTE };

struct world {
	struct clock *clock;
	struct plane *plane;
	const char *admin;
};

static struct world start(void)
{
	struct world w = { .clock = NULL };
	cr_assert_eq(clock_new_simulated(1700000000000, &w.clock, NULL), 0);
	w.plane = plane_start_at(w.clock);
	w.admin = plane_tenant(w.plane, "acme", "flights");
	return w;
}

static void stop(struct world *w)
{
	plane_stop(w->plane);
	clock_free(w->clock);
}

static struct answer ask(struct world *w, const char *key, const char *body)
{
	return plane_call(w->plane, key, "POST", "/v1/token", body);
}

static const char *token(struct world *w, const char *key, const char *body)
{
	struct answer made = ask(w, key, body);
	cr_assert_eq(made.status, 201, "%s", made.text);
	cr_assert_not_null(value_get_str(made.body, "token"));
	return value_get_str(made.body, "token");
}

static int get(struct world *w, const char *key, const char *path)
{
	return plane_call(w->plane, key, "GET", path, NULL).status;
}

static struct value *claims(struct world *w, const char *text)
{
	struct paseto read;
	struct value *map = NULL;
	cr_assert_eq(paseto_read(w->plane->arena, text, &read, NULL), 0);
	cr_assert_eq(json_parse(w->plane->arena, (const char *)read.message, read.message_len,
	                        &map, NULL), 0);
	return map;
}

Test(tokens, a_token_is_its_owner_for_a_quarter_of_an_hour)
{
	struct world w = start();
	const char *text = token(&w, w.admin, NULL);
	struct answer who = plane_call(w.plane, text, "GET", "/v1/whoami", NULL);
	cr_assert_eq(who.status, 200, "%s", who.text);
	cr_expect_str_eq(value_get_str(who.body, "tenant"), "acme");
	cr_expect_str_eq(value_get_str(who.body, "principal"), "admin");
	const struct value *said = claims(&w, text);
	cr_expect_str_eq(value_get_str(said, "iss"), "freehold");
	cr_expect_str_eq(value_get_str(said, "aud"), "control serving");
	cr_expect_str_eq(value_get_str(said, "sub"), "acme/admin");
	cr_expect_str_eq(value_get_str(said, "tenant"), "acme");
	cr_expect(id_valid(value_get_str(said, "jti")));
	cr_expect_eq(strncmp(value_get_str(said, "key"), w.admin + 3, ID_LEN), 0);
	cr_expect_eq(plane_call(w.plane, text, "PUT", FLIGHTS "/datasets/legs", DATASET).status,
	             201);
	clock_advance(w.clock, 14 * MINUTE);
	cr_expect_eq(get(&w, text, FLIGHTS), 200);
	clock_advance(w.clock, MINUTE);
	struct answer late = plane_call(w.plane, text, "GET", FLIGHTS, NULL);
	cr_expect_eq(late.status, 401, "%s", late.text);
	cr_expect_null(strstr(late.text, text));
	stop(&w);
}

Test(tokens, a_changed_token_is_refused_with_the_sentence_for_all)
{
	struct world w = start();
	const char *text = token(&w, w.admin, NULL);
	const char *none = plane_call(w.plane, NULL, "GET", "/v1/whoami", NULL).detail;
	size_t len = strlen(text);
	for (size_t i = 0; i < len; i += 7) {
		char *changed = arena_strdup(w.plane->arena, text);
		changed[i] = changed[i] == 'A' ? 'B' : 'A';
		struct answer answer = plane_call(w.plane, changed, "GET", "/v1/whoami", NULL);
		cr_expect_eq(answer.status, 401, "character %zu", i);
		cr_expect_str_eq(answer.detail, none);
	}
	stop(&w);
}

Test(tokens, a_scope_narrows_and_self_goes_on)
{
	struct world w = start();
	const char *text = token(&w, w.admin, "{'scope':['dataset:read','domain:*']}");
	cr_expect_eq(get(&w, text, "/v1/whoami"), 200);
	cr_expect_eq(get(&w, text, FLIGHTS), 200);
	cr_expect_eq(get(&w, text, FLIGHTS "/datasets"), 200);
	cr_expect_eq(get(&w, text, FLIGHTS "/sources"), 403);
	cr_expect_eq(plane_call(w.plane, text, "PUT", FLIGHTS "/datasets/legs", DATASET).status,
	             403);
	cr_expect_eq(ask(&w, w.admin, "{'scope':['dataset:fly']}").status, 400);
	cr_expect_eq(ask(&w, w.admin, "{'scope':['*']}").status, 400);
	const char *nothing = token(&w, w.admin, "{'scope':[]}");
	cr_expect_eq(get(&w, nothing, "/v1/whoami"), 200);
	cr_expect_eq(get(&w, nothing, FLIGHTS), 403);
	stop(&w);
}

Test(tokens, a_token_never_widens_what_it_was_made_from)
{
	struct world w = start();
	const char *owner = plane_principal(w.plane, "acme", "olga", "'domain-owner'", NULL);
	const char *narrow = token(&w, owner, "{'scope':['dataset:*'],'lifetime':'5m',"
	                           "'domain':'flights'}");
	cr_expect_eq(ask(&w, narrow, "{'scope':['source:read']}").status, 403);
	cr_expect_eq(ask(&w, narrow, "{'domain':'other'}").status, 403);
	const char *again = token(&w, narrow, "{'lifetime':'1h'}");
	cr_expect_eq(get(&w, again, FLIGHTS "/datasets"), 200);
	cr_expect_eq(get(&w, again, FLIGHTS "/sources"), 403, "the scope is the parent's");
	cr_expect_str_eq(value_get_str(claims(&w, again), "exp"),
	                 value_get_str(claims(&w, narrow), "exp"), "and so is the end");
	const char *less = token(&w, narrow, "{'scope':['dataset:read']}");
	cr_expect_eq(plane_call(w.plane, less, "PUT", FLIGHTS "/datasets/legs", DATASET).status,
	             403);
	const char *serving = token(&w, w.admin, "{'audience':['serving']}");
	cr_expect_eq(get(&w, serving, "/v1/whoami"), 401, "this door is another");
	const char *control = token(&w, w.admin, "{'audience':['control']}");
	cr_expect_eq(ask(&w, control, "{'audience':['serving']}").status, 403);
	cr_expect_str_eq(value_get_str(claims(&w, token(&w, control, NULL)), "aud"), "control");
	stop(&w);
}

Test(tokens, a_token_of_limited_scope_makes_no_api_keys)
{
	struct world w = start();
	const char *text = token(&w, w.admin, "{'scope':['principal:*']}");
	struct answer made = plane_call(w.plane, text, "POST", ACME "/principals/admin/keys", NULL);
	cr_expect_eq(made.status, 403, "%s", made.text);
	cr_expect_eq(get(&w, text, ACME "/principals/admin/keys"), 200);
	stop(&w);
}

Test(tokens, a_domain_confines_its_owners_roles)
{
	struct world w = start();
	plane_put(w.plane, w.plane->operator_key, "Domain", ACME "/domains/rail", "{}");
	const char *owner = plane_principal(w.plane, "acme", "olga", "'domain-owner'", NULL);
	const char *text = token(&w, owner, "{'domain':'flights'}");
	cr_expect_eq(get(&w, owner, ACME "/domains/rail/datasets"), 200);
	cr_expect_eq(get(&w, text, ACME "/domains/rail/datasets"), 403);
	cr_expect_eq(get(&w, text, FLIGHTS "/datasets"), 200);
	const char *admin = token(&w, w.admin, "{'domain':'flights'}");
	cr_expect_eq(get(&w, admin, ACME "/principals"), 403, "a role of the whole tenant is not "
	             "given in one domain");
	cr_expect_eq(ask(&w, w.plane->operator_key, "{'domain':'x'}").status, 400);
	stop(&w);
}

Test(tokens, a_policy_that_permits_does_not_reach_beyond_scope_and_domain)
{
	struct world w = start();
	plane_put(w.plane, w.plane->operator_key, "Domain", ACME "/domains/rail", "{}");
	const char *owner = plane_principal(w.plane, "acme", "olga", "'domain-owner'", "flights");
	const char *wide = token(&w, owner, NULL);
	const char *there = token(&w, owner, "{'domain':'flights'}");
	const char *little = token(&w, owner, "{'scope':['source:read']}");
	cr_expect_eq(get(&w, wide, ACME "/domains/rail/datasets"), 403);
	struct answer put = plane_call(w.plane, w.admin, "PUT", ACME "/policies/open",
		"{'apiVersion':'freehold.io/v1','kind':'Policy','metadata':{'name':'open'},"
		"'spec':{'text':'permit(principal, action, resource);'}}");
	cr_assert_eq(put.status, 201, "%s", put.text);
	cr_expect_eq(get(&w, wide, ACME "/domains/rail/datasets"), 200, "the policy permits it");
	cr_expect_eq(get(&w, there, ACME "/domains/rail/datasets"), 403, "the token does not");
	cr_expect_eq(get(&w, little, ACME "/domains/rail/datasets"), 403);
	cr_expect_eq(get(&w, there, FLIGHTS "/datasets"), 200);
	stop(&w);
}

Test(tokens, a_token_dies_with_its_key_and_its_principal)
{
	struct world w = start();
	const char *carol = plane_principal(w.plane, "acme", "carol", "'consumer'", NULL);
	const char *first = token(&w, carol, NULL);
	cr_assert_eq(get(&w, first, FLIGHTS), 200);
	const char *path = arena_printf(w.plane->arena, ACME "/principals/carol/keys/%.26s",
	                                carol + 3);
	cr_assert_eq(plane_call(w.plane, w.admin, "DELETE", path, NULL).status, 200);
	cr_expect_eq(get(&w, first, FLIGHTS), 401);
	const char *other = value_get_str(plane_call(w.plane, w.admin, "POST",
		ACME "/principals/carol/keys", NULL).body, "key");
	const char *second = token(&w, other, NULL);
	cr_assert_eq(get(&w, second, FLIGHTS), 200);
	plane_put(w.plane, w.admin, "Principal", ACME "/principals/carol", "{'roles':['auditor']}");
	cr_expect_eq(get(&w, second, ACME "/audit"), 200, "roles are looked up afresh");
	cr_assert_eq(plane_call(w.plane, w.admin, "DELETE", ACME "/principals/carol", NULL).status,
	             200);
	cr_expect_eq(get(&w, second, FLIGHTS), 401);
	stop(&w);
}

Test(tokens, a_token_ends_with_its_key_at_the_latest_and_lives_an_hour_at_most)
{
	struct world w = start();
	struct answer made = plane_call(w.plane, w.admin, "POST", ACME "/principals/admin/keys",
	                                "{'expiresIn':'10m'}");
	const char *key = value_get_str(made.body, "key");
	const char *text = token(&w, key, "{'lifetime':'1h'}");
	cr_expect_eq(get(&w, text, FLIGHTS), 200);
	clock_advance(w.clock, 10 * MINUTE);
	cr_expect_eq(get(&w, text, FLIGHTS), 401);
	cr_expect_eq(ask(&w, w.admin, "{'lifetime':'61m'}").status, 400);
	cr_expect_eq(ask(&w, w.admin, "{'lifetime':'1h'}").status, 201);
	cr_expect_eq(ask(&w, w.admin, "{'audience':['moon']}").status, 400);
	cr_expect_eq(ask(&w, NULL, NULL).status, 401);
	stop(&w);
}

static size_t key_count(struct world *w)
{
	struct answer keys = plane_call(w->plane, NULL, "GET", "/v1/token/keys", NULL);
	cr_assert_eq(keys.status, 200, "%s", keys.text);
	return value_len(value_get(keys.body, "keys"));
}

Test(tokens, keys_rotate_and_old_tokens_go_on_until_they_expire_or_are_dropped)
{
	struct world w = start();
	const char *before = token(&w, w.admin, "{'lifetime':'1h'}");
	cr_expect_eq(key_count(&w), 1);
	cr_expect_eq(plane_call(w.plane, w.admin, "POST", "/v1/token/keys/rotate", NULL).status,
	             403);
	struct answer rotated = plane_call(w.plane, w.plane->operator_key, "POST",
	                                   "/v1/token/keys/rotate", NULL);
	cr_assert_eq(rotated.status, 200, "%s", rotated.text);
	cr_expect_eq(key_count(&w), 2);
	const char *after = token(&w, w.admin, "{'lifetime':'1h'}");
	cr_expect_eq(get(&w, before, FLIGHTS), 200);
	cr_expect_eq(get(&w, after, FLIGHTS), 200);
	plane_restart(w.plane);
	cr_expect_eq(get(&w, before, FLIGHTS), 200, "another start knows the same keys");
	struct answer dropped = plane_call(w.plane, w.plane->operator_key, "POST",
	                                   "/v1/token/keys/rotate", "{'drop':true}");
	cr_assert_eq(dropped.status, 200, "%s", dropped.text);
	cr_expect_eq(get(&w, before, FLIGHTS), 401);
	cr_expect_eq(get(&w, after, FLIGHTS), 401);
	cr_expect_eq(key_count(&w), 1);
	cr_expect_eq(get(&w, token(&w, w.admin, NULL), FLIGHTS), 200);
	stop(&w);
}

Test(tokens, an_older_key_is_forgotten_when_its_tokens_have_expired)
{
	struct world w = start();
	cr_assert_eq(plane_call(w.plane, w.plane->operator_key, "POST", "/v1/token/keys/rotate",
	                        NULL).status, 200);
	cr_expect_eq(key_count(&w), 2);
	clock_advance(w.clock, HOUR + 2 * MINUTE);
	cr_expect_eq(key_count(&w), 1);
	stop(&w);
}

Test(tokens, each_token_that_is_made_is_an_event_of_its_owners_tenant)
{
	struct world w = start();
	token(&w, w.admin, NULL);
	struct answer log = plane_call(w.plane, w.admin, "GET", ACME "/audit?actor=acme/admin",
	                               NULL);
	cr_assert_eq(log.status, 200, "%s", log.text);
	cr_expect_not_null(strstr(log.text, "/v1/token"), "%s", log.text);
	cr_expect_null(strstr(log.text, "v4.public"));
	stop(&w);
}
