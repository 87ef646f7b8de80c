/* test_jwt.c - JWTs and JWK sets: what is read, and every way to be refused. */
#include "common/defs.h"
#include "tenant/jwt.h"

#include "common/json.h"
#include "tenant/jwks.h"
#include "tests/support/idp.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { NOW_S = 1700000000 };

#define CLAIMS "{'iss':'https://id.example.com','sub':'ada','aud':'freehold','exp':1700000600," \
	"'iat':1700000000}"
#define HEADER(more) "{'alg':'ES256','kid':'k'" more "}"

struct bench { struct idp *idp; struct arena *arena; struct jwks *jwks; };

static struct bench start(enum signature_kind kind)
{
	struct bench bench = { .idp = idp_start() };
	struct err err = { 0 };
	cr_assert_eq(arena_new(8 * MIB, &bench.arena, NULL), 0);
	idp_add_key(bench.idp, "k", kind);
	const char *text = idp_jwks(bench.idp, bench.arena);
	cr_assert_eq(jwks_read(text, strlen(text), &bench.jwks, &err), 0, "%s", err.text);
	cr_assert_eq(jwks_count(bench.jwks), 1);
	return bench;
}

static void stop(struct bench *bench)
{
	jwks_free(bench->jwks);
	arena_free(bench->arena);
	idp_stop(bench->idp);
}

static bool holds(const struct bench *bench, const char *text)
{
	struct jwt jwt;
	if (jwt_read(bench->arena, text, &jwt, NULL) < 0)
		return false;
	const struct signature_key *key = jwks_find(bench->jwks, jwt.kid, jwt.kind);
	return key && jwt_verify(&jwt, key);
}

static void expect_whole(enum signature_kind kind)
{
	struct bench bench = start(kind);
	const char *text = idp_jwt(bench.idp, bench.arena, "k", CLAIMS);
	cr_assert(holds(&bench, text), "%s", signature_name(kind));
	size_t len = strlen(text), wrong = 0;
	for (size_t i = 0; i < len; i += 3) {
		char *changed = arena_strdup(bench.arena, text);
		changed[i] = changed[i] == 'A' ? 'B' : 'A';
		wrong += holds(&bench, changed);
	}
	cr_expect_eq(wrong, 0, "%s", signature_name(kind));
	stop(&bench);
}

Test(jwt, each_algorithm_holds_and_no_changed_character_does)
{
	expect_whole(SIGNATURE_ES256);
	expect_whole(SIGNATURE_EDDSA);
	expect_whole(SIGNATURE_RS256);
}

static int read_code(struct bench *bench, const char *header, const char *claims)
{
	struct jwt jwt;
	return jwt_read(bench->arena, idp_sign(bench->idp, bench->arena, "k", header, claims),
	                &jwt, NULL);
}

Test(jwt, headers_that_ask_for_something_else_are_refused)
{
	static const char *const bad[] = {
		"{'alg':'none','kid':'k'}", "{'alg':'HS256','kid':'k'}", "{'kid':'k'}",
		"{'alg':'ES384','kid':'k'}", "{'alg':5,'kid':'k'}", "{'alg':['ES256'],'kid':'k'}",
		HEADER(",'crit':['exp']"), HEADER(",'crit':[]"), HEADER(",'b64':false"),
		HEADER(",'b64':true"), HEADER(",'zip':'DEF'"), HEADER(",'enc':'A256GCM'"),
		HEADER(",'kid':'k'"), HEADER(",'alg':'ES256'"), "{'alg':'ES256'}",
		"{'alg':'ES256','kid':''}", "{'alg':'ES256','kid':7}", "[]", "{", "",
		HEADER(",'typ':'logout+jwt'"), HEADER(",'typ':'secevent+jwt'"), HEADER(",'typ':1"),
	};
	struct bench bench = start(SIGNATURE_ES256);
	cr_expect_eq(read_code(&bench, HEADER(""), CLAIMS), 0);
	cr_expect_eq(read_code(&bench, HEADER(",'typ':'at+jwt'"), CLAIMS), 0);
	/* Keys that a token brings along are never looked at. */
	cr_expect_eq(read_code(&bench, HEADER(",'jku':'https://evil.example.com','x5u':'x'"),
	                       CLAIMS), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_expect_eq(read_code(&bench, bad[i], CLAIMS), E_UNAUTHENTICATED, "%s", bad[i]);
	stop(&bench);
}

Test(jwt, forms_that_are_none_are_refused)
{
	struct bench bench = start(SIGNATURE_ES256);
	const char *good = idp_jwt(bench.idp, bench.arena, "k", CLAIMS);
	const char *const bad[] = {
		"", ".", "..", "a.b", "a.b.c.d", "a..c", arena_printf(bench.arena, "%s=", good),
		arena_printf(bench.arena, " %s", good), arena_printf(bench.arena, "%s.x", good),
		arena_printf(bench.arena, "%.*s", (int)(strrchr(good, '.') - good + 1), good),
	};
	struct jwt jwt;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cr_expect_eq(jwt_read(bench.arena, bad[i], &jwt, NULL), E_UNAUTHENTICATED, "%s",
		             bad[i]);
	}
	char *longest = arena_alloc(bench.arena, JWT_TEXT_MAX + 2);
	memset(longest, 'a', JWT_TEXT_MAX + 1);
	longest[10] = longest[20] = '.';
	longest[JWT_TEXT_MAX + 1] = 0;
	cr_expect_not(jwt_is(longest), "over the most");
	cr_expect_eq(read_code(&bench, HEADER(""), "{'iss':'a','iss':'b'}"), E_UNAUTHENTICATED,
	             "a member twice");
	cr_expect_eq(read_code(&bench, HEADER(""), "{'iss':5}"), E_UNAUTHENTICATED);
	cr_expect_eq(read_code(&bench, HEADER(""), "{}"), E_UNAUTHENTICATED);
	cr_expect_eq(read_code(&bench, HEADER(""), "['iss']"), E_UNAUTHENTICATED);
	stop(&bench);
}

/* --- claims --- */

static int check(struct bench *bench, const char *claims, int64_t now_s)
{
	struct jwt jwt;
	struct value *audiences = value_list(bench->arena);
	int64_t expires_ms = 0;
	value_add_str(audiences, "freehold");
	value_add_str(audiences, "freehold-cli");
	const struct jwt_rules rules = { .issuer = "https://id.example.com",
		.audiences = audiences, .skew_ms = 30000, .now_ms = now_s * 1000 };
	cr_assert_eq(jwt_read(bench->arena, idp_jwt(bench->idp, bench->arena, "k", claims), &jwt,
	                      NULL), 0, "%s", claims);
	return jwt_check(&jwt, &rules, &expires_ms, NULL);
}

#define ISS "'iss':'https://id.example.com',"
#define EXP "'exp':1700000600"

Test(jwt, issuer_audience_and_party_must_be_meant)
{
	static const struct { const char *claims; bool fits; } cases[] = {
		{ "{" ISS "'aud':'freehold'," EXP "}", true },
		{ "{" ISS "'aud':['other','freehold']," EXP "}", true },
		{ "{" ISS "'aud':['other','freehold'],'azp':'freehold-cli'," EXP "}", true },
		{ "{" ISS "'aud':['other','freehold'],'azp':'other'," EXP "}", false },
		{ "{" ISS "'aud':'freehold','azp':7," EXP "}", false },
		{ "{" ISS "'aud':'Freehold'," EXP "}", false },
		{ "{" ISS "'aud':[]," EXP "}", false },
		{ "{" ISS "'aud':{'freehold':1}," EXP "}", false },
		{ "{" ISS "'aud':[['freehold']]," EXP "}", false },
		{ "{" ISS EXP "}", false },
		{ "{'iss':'https://id.example.com/','aud':'freehold'," EXP "}", false },
		{ "{'iss':'http://id.example.com','aud':'freehold'," EXP "}", false },
	};
	struct bench bench = start(SIGNATURE_ES256);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		cr_expect_eq(check(&bench, cases[i].claims, NOW_S) == 0, cases[i].fits, "%s",
		             cases[i].claims);
	stop(&bench);
}

Test(jwt, times_hold_within_the_skew_and_no_further)
{
#define TIMES(more) "{" ISS "'aud':'freehold'" more "}"
	static const struct { const char *claims; int64_t now_s; bool fits; } cases[] = {
		{ TIMES(",'exp':1700000600"), 1700000629, true },
		{ TIMES(",'exp':1700000600"), 1700000630, false },
		{ TIMES(",'exp':1700000600.5"), 1700000600, true },
		{ TIMES(""), NOW_S, false },
		{ TIMES(",'exp':'1700000600'"), NOW_S, false },
		{ TIMES(",'exp':null"), NOW_S, false },
		{ TIMES(",'exp':-1"), NOW_S, false },
		{ TIMES(",'exp':1e300"), NOW_S, false },
		{ TIMES(",'exp':true"), NOW_S, false },
		{ TIMES(",'exp':1700000600,'nbf':1700000030"), NOW_S, true },
		{ TIMES(",'exp':1700000600,'nbf':1700000031"), NOW_S, false },
		{ TIMES(",'exp':1700000600,'nbf':'soon'"), NOW_S, false },
		{ TIMES(",'exp':1700000600,'iat':1700000030"), NOW_S, true },
		{ TIMES(",'exp':1700000600,'iat':1700000031"), NOW_S, false },
		{ TIMES(",'exp':1700000600,'iat':[]"), NOW_S, false },
	};
	struct bench bench = start(SIGNATURE_ES256);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		cr_expect_eq(check(&bench, cases[i].claims, cases[i].now_s) == 0, cases[i].fits,
		             "%s", cases[i].claims);
	stop(&bench);
}

/* --- key sets --- */

static size_t taken(struct bench *bench, const char *from, const char *to)
{
	const char *set = idp_jwks(bench->idp, bench->arena), *at = strstr(set, from);
	struct jwks *jwks = NULL;
	cr_assert_not_null(at, "%s is not in %s", from, set);
	const char *text = arena_printf(bench->arena, "%.*s%s%s", (int)(at - set), set, to,
	                                at + strlen(from));
	if (jwks_read(text, strlen(text), &jwks, NULL) < 0)
		return 0;
	size_t count = jwks_count(jwks);
	jwks_free(jwks);
	return count;
}

Test(jwt, a_key_is_taken_only_when_all_it_says_of_itself_fits)
{
	struct bench bench = start(SIGNATURE_ES256);
	cr_expect_eq(taken(&bench, "\"use\"", "\"use\""), 1);
	cr_expect_eq(taken(&bench, "\"use\":\"sig\",", ""), 1);
	cr_expect_eq(taken(&bench, "\"use\":\"sig\"", "\"key_ops\":[\"verify\"]"), 1);
	cr_expect_eq(taken(&bench, "\"use\":\"sig\"", "\"key_ops\":[\"sign\"]"), 0);
	cr_expect_eq(taken(&bench, "\"use\":\"sig\"", "\"use\":\"enc\""), 0);
	cr_expect_eq(taken(&bench, "\"alg\":\"ES256\"", "\"alg\":\"ES384\""), 0);
	cr_expect_eq(taken(&bench, "\"alg\":\"ES256\"", "\"alg\":\"RS256\""), 0);
	cr_expect_eq(taken(&bench, "\"alg\":\"ES256\"", "\"d\":\"AAAA\""), 0, "a private key");
	cr_expect_eq(taken(&bench, "\"crv\":\"P-256\"", "\"crv\":\"P-384\""), 0);
	cr_expect_eq(taken(&bench, "\"kty\":\"EC\"", "\"kty\":\"oct\""), 0);
	cr_expect_eq(taken(&bench, "\"kty\":\"EC\"", "\"kty\":\"RSA\""), 0);
	cr_expect_eq(taken(&bench, "\"kid\":\"k\",", ""), 0, "a key without an id");
	cr_expect_eq(taken(&bench, "\"x\":\"", "\"x\":\"AA"), 0);
	idp_add_key(bench.idp, "k", SIGNATURE_ES256);
	cr_expect_eq(taken(&bench, "\"use\"", "\"use\""), 0, "one id twice");
	stop(&bench);
}

Test(jwt, key_sets_have_bounds)
{
	AUTO_BUF text;
	struct jwks *jwks = NULL;
	buf_init(&text, 2 * JWKS_BYTES_MAX);
	cr_expect_eq(jwks_read("{}", 2, &jwks, NULL), E_INVALID);
	cr_expect_eq(jwks_read("[]", 2, &jwks, NULL), E_INVALID);
	cr_expect_lt(jwks_read("{\"keys\":", 8, &jwks, NULL), 0);
	buf_puts(&text, "{\"keys\":[");
	for (int i = 0; i <= JWKS_KEYS_MOST; i++)
		buf_puts(&text, i ? ",{}" : "{}");
	buf_puts(&text, "]}");
	cr_assert_eq(buf_check(&text, NULL), 0);
	cr_expect_eq(jwks_read((char *)text.data, text.len, &jwks, NULL), E_TOO_LARGE);
	cr_expect_eq(jwks_read((char *)text.data, JWKS_BYTES_MAX + 1, &jwks, NULL), E_TOO_LARGE);
	cr_expect_null(jwks);
}

Test(jwt, a_key_is_never_used_with_another_algorithm)
{
	struct bench bench = start(SIGNATURE_EDDSA);
	const char *text = idp_sign(bench.idp, bench.arena, "k", HEADER(""), CLAIMS);
	struct jwt jwt;
	cr_assert_eq(jwt_read(bench.arena, text, &jwt, NULL), 0);
	cr_expect_null(jwks_find(bench.jwks, "k", SIGNATURE_ES256));
	const struct signature_key *key = jwks_find(bench.jwks, "k", SIGNATURE_EDDSA);
	cr_assert_not_null(key);
	cr_expect_not(jwt_verify(&jwt, key), "it says ES256 and is signed with Ed25519");
	stop(&bench);
}
