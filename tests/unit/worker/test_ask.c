/* Requests for features: read quickly or thoroughly, with one result; refused with the reason. */
#include "common/defs.h"
#include "worker/ask.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { KEYS = 64 };

static struct arena *arena_make(void)
{
	struct arena *arena = NULL;
	cr_assert_eq(arena_new(16 * MIB, &arena, NULL), 0);
	return arena;
}

static bool same_keys(const struct ask *a, const struct ask *b)
{
	for (size_t e = 0; e < a->entity_count; e++) {
		const struct ask_entity *x = &a->entities[e], *y = &b->entities[e];
		if (x->name_len != y->name_len || memcmp(x->name, y->name, x->name_len) != 0)
			return false;
		for (size_t i = 0; i < a->rows; i++)
			if (x->keys[i].len != y->keys[i].len ||
			    x->keys[i].number != y->keys[i].number || memcmp(x->keys[i].text,
			                                                     y->keys[i].text,
			                                                     x->keys[i].len) != 0)
				return false;
	}
	return true;
}

static void expect_alike(const char *body)
{
	AUTO(arena) *arena = arena_make();
	struct ask_key keys[KEYS];
	struct ask quick, slow;
	struct err err = { 0 };
	cr_assert(ask_scan(body, strlen(body), keys, KEYS, &quick), "%s", body);
	cr_assert_eq(ask_parse(arena, body, strlen(body), &slow, &err), 0, "%s", err.text);
	cr_expect_eq(quick.rows, slow.rows);
	cr_expect_eq(quick.full_names, slow.full_names);
	cr_assert_eq(quick.entity_count, slow.entity_count);
	cr_expect(same_keys(&quick, &slow), "%s", body);
	struct ask_feature *a, *b;
	size_t a_count, b_count;
	cr_assert_eq(ask_features(arena, quick.features, quick.features_len, &a, &a_count, NULL),
	             0);
	cr_assert_eq(ask_features(arena, slow.features, slow.features_len, &b, &b_count, NULL), 0);
	cr_assert_eq(a_count, b_count);
	for (size_t i = 0; i < a_count; i++) {
		cr_expect_str_eq(a[i].view, b[i].view);
		cr_expect_str_eq(a[i].feature, b[i].feature);
	}
}

Test(ask, plain_requests_are_read_alike_by_both)
{
	expect_alike("{\"features\":[\"v:a\"],\"entities\":{\"airport\":[\"ATL\"]}}");
	expect_alike(" { \"entities\" : { \"airport\" : [ \"ATL\" , \"ORD\" ] } , \"features\" : "
	             "[ \"v:a\" , \"d.v:b\" ] , \"full_feature_names\" : true } \n");
	expect_alike("{\"features\":[\"v:a\"],\"entities\":{\"id\":[0,-1,12345678901234567]}}");
	expect_alike("{\"features\":[\"v:a\"],\"entities\":{\"a\":[\"x\"],\"b\":[7]},"
	             "\"full_feature_names\":false}");
	expect_alike("{\"features\":[\"v:\xc3\xa9\"],"
	             "\"entities\":{\"caf\xc3\xa9\":[\"\xe2\x82\xac\"]}}");
}

/* The scanner may refuse anything; what it refuses rightly, the parser refuses with a reason. */
static void expect_refused(const char *body, const char *says)
{
	AUTO(arena) *arena = arena_make();
	struct ask_key keys[KEYS];
	struct ask ask;
	struct err err = { 0 };
	cr_expect_not(ask_scan(body, strlen(body), keys, KEYS, &ask), "%s", body);
	cr_expect_eq(ask_parse(arena, body, strlen(body), &ask, &err), E_INVALID, "%s", body);
	cr_expect_not_null(strstr(err.text, says), "%s: %s", body, err.text);
}

Test(ask, what_is_wrong_is_refused_by_name)
{
	expect_refused("", "");
	expect_refused("[]", "must be an object");
	expect_refused("{\"features\":[\"v:a\"]}", "entities: must be");
	expect_refused("{\"entities\":{\"a\":[1]}}", "features: must be a list");
	expect_refused("{\"features\":[],\"entities\":{\"a\":[1]}}", "features: must have 1 to "
	               "200");
	expect_refused("{\"features\":[\"v:a\"],\"entities\":{}}", "entities: must be");
	expect_refused("{\"features\":[\"v:a\"],\"entities\":{\"a\":[]}}",
	               "entities.a: must have 1 to 1000");
	expect_refused("{\"features\":[\"v:a\"],\"entities\":{\"a\":[1],\"b\":[1,2]}}",
	               "entities.b: has 2 items, the others have 1");
	expect_refused("{\"features\":[\"v:a\"],\"entities\":{\"a\":[1.5]}}", "entities.a[0]: must "
	               "be");
	expect_refused("{\"features\":[\"v:a\"],\"entities\":{\"a\":[null]}}", "entities.a[0]: "
	               "must be");
	expect_refused("{\"features\":[\"v:a\"],\"entities\":{\"a\":[01]}}", "");
	expect_refused("{\"features\":[\"v:a\"],\"entities\":{\"a\":[1]},"
	               "\"full_feature_name\":true}",
	               "did you mean full_feature_names");
	expect_refused("{\"features\":[\"v:a\"],\"entities\":{\"a\":[1]},\"full_feature_names\":1}",
	               "full_feature_names: must be");
	expect_refused("{\"features\":[\"v:a\"],\"features\":[\"v:b\"],\"entities\":{\"a\":[1]}}",
	               "");
	expect_refused("{\"features\":[\"v:a\"],\"entities\":{\"a\":[1],\"a\":[2]}}", "");
	expect_refused("{\"features\":[\"v:a\"],\"entities\":{\"a\":[1]}} x", "");
	expect_refused("{\"features\":[\"v:a\"],\"entities\":{\"a\":[\"\xff\"]}}", "");
}

Test(ask, escapes_are_left_to_the_parser)
{
	AUTO(arena) *arena = arena_make();
	const char *body = "{\"features\":[\"v:a\"],\"entities\":{\"a\":[\"A\\u0042\"]}}";
	struct ask_key keys[KEYS];
	struct ask ask;
	cr_expect_not(ask_scan(body, strlen(body), keys, KEYS, &ask));
	cr_assert_eq(ask_parse(arena, body, strlen(body), &ask, NULL), 0);
	cr_expect_str_eq(ask.entities[0].keys[0].text, "AB");
}

static int features_of(const char *list, struct err *err)
{
	AUTO(arena) *arena = arena_make();
	struct ask_feature *features;
	size_t count;
	return ask_features(arena, list, strlen(list), &features, &count, err);
}

Test(ask, a_feature_names_its_view_and_comes_once)
{
	struct err err = { 0 };
	cr_expect_eq(features_of("[\"v:a\",\"d.v:a\"]", &err), 0, "%s", err.text);
	cr_expect_eq(features_of("[\"v:a\",\"v:a\"]", &err), E_INVALID);
	cr_expect_not_null(strstr(err.text, "features[1]: is there already"), "%s", err.text);
	static const char *const bad[] = { "[\"va\"]", "[\":a\"]", "[\"v:\"]", "[1]", "[null]" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_expect_eq(features_of(bad[i], &err), E_INVALID, "%s", bad[i]);
}

Test(ask, every_truncation_of_a_request_is_refused_by_both)
{
	AUTO(arena) *arena = arena_make();
	const char *body = "{\"features\":[\"v:a\"],\"entities\":{\"a\":[\"x\",\"y\"]}}";
	struct ask_key keys[KEYS];
	struct ask ask;
	for (size_t len = 0; len < strlen(body); len++) {
		cr_expect_not(ask_scan(body, len, keys, KEYS, &ask), "%zu", len);
		cr_expect_lt(ask_parse(arena, body, len, &ask, NULL), 0, "%zu", len);
	}
	cr_expect_not(ask_scan(body, strlen(body), keys, 1, &ask), "no room for two keys");
}
