/* test_cedar_eval.c - operators, their errors and what short-circuits, over entities read from
 * JSON. */
#include "common/defs.h"
#include "policy/cedar_entities.h"
#include "policy/cedar_eval.h"
#include "policy/cedar_json.h"
#include "policy/cedar_parse.h"

#include <criterion/criterion.h>
#include <string.h>

#define USER(id) "{\"type\": \"User\", \"id\": \"" id "\"}"

static const char entities_text[] =
	"[{\"uid\": " USER("ann") ", \"attrs\": {\"age\": 40, \"boss\": "
	"{\"__entity\": " USER("bob") "},"
	"  \"ip\": {\"__extn\": {\"fn\": \"ip\", \"arg\": \"10.0.0.1\"}}},"
	"  \"tags\": {\"t\\u0000\": \"x\"},"
	"  \"parents\": [{\"type\": \"Group\", \"id\": \"staff\"}]},"
	" {\"uid\": {\"type\": \"Group\", \"id\": \"staff\"}, \"attrs\": {},"
	"  \"parents\": [{\"type\": \"Group\", \"id\": \"all\"}]}]";

static struct arena *arena;
static struct err err;
static struct cedar_entities *entities;
static struct cedar_request request;

static struct value *json(const char *text)
{
	struct value *value = NULL;
	cr_assert_eq(cedar_json_read(arena, text, strlen(text), &value, &err), 0, "%s", err.text);
	return value;
}

static void start(void)
{
	cr_assert_eq(arena_new(64 * MIB, &arena, &err), 0);
	cr_assert_eq(cedar_entities_new(arena, &entities, &err), 0);
	cr_assert_eq(cedar_json_entities(entities, arena, json(entities_text), NULL, &err), 0, "%s",
	             err.text);
	cr_assert_eq(cedar_entities_close(entities, &err), 0);
	cr_assert_eq(cedar_json_request(arena, json("{\"principal\": " USER("ann") ","
	             "\"action\": {\"type\": \"Action\", \"id\": \"view\"}, "
	             "\"resource\": " USER("bob") ","
	             "\"context\": {\"n\": 7, \"s\": [1, 2, 2], \"r\": {\"a\": {\"b\": true}}}}"),
	             NULL,
	             &request, &err), 0, "%s", err.text);
}

static void stop(void)
{
	arena_free(arena);
}

TestSuite(cedar_eval, .init = start, .fini = stop);
TestSuite(cedar_entities, .init = start, .fini = stop);
TestSuite(cedar_json, .init = start, .fini = stop);

/* 1, 0, or -1 for an error. */
static int outcome(const char *text)
{
	const struct cedar_expr *expr = NULL;
	struct cedar_env env;
	struct cedar_value value;
	cr_assert_eq(cedar_parse_expr(arena, text, strlen(text), &expr, &err), 0, "%s: %s", text,
	             err.text);
	cedar_env_init(&env, arena, &request, entities, &err);
	if (cedar_eval(&env, expr, &value) < 0)
		return -1;
	cr_assert_eq(value.kind, CEDAR_BOOL, "%s gives no boolean", text);
	return value.b;
}

static void all_are(int expected, const char *const *texts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		cr_expect_eq(outcome(texts[i]), expected, "%s", texts[i]);
}

Test(cedar_eval, finds_these_true)
{
	static const char *const texts[] = {
		"true || 1", "false || true", "!(false && 1)", "if true then true else 1",
		"1 + 2 * 3 == 7", "-(3) == -3", "2 - 3 < 0", "3 >= 3", "1 != \"1\"",
		"principal.age == 40", "principal has age", "!(resource has age)",
		"principal has boss && !(principal.boss has age)", "context has r.a.b",
		"!(context has r.x.b)", "context.r[\"a\"].b", "context.s == [2, 1]",
		"context.s.contains(2)", "[1, 2].containsAll([1])", "![1].containsAll([1, 2])",
		"[1].containsAny([2, 1])", "![1].containsAny([])", "[].isEmpty()",
		"[[1, 2]].contains([2, 1, 1])", "{a: 1, b: [2]} == {b: [2], a: 1}",
		"principal in Group::\"staff\"", "principal in Group::\"all\"",
		"principal in principal", "resource in [User::\"x\", User::\"bob\"]",
		"!(User::\"nobody\" in Group::\"all\")", "principal is User",
		"principal is User in Group::\"all\"", "!(principal is Group)",
		"\"abc\" like \"a*c\"", "\"a*c\" like \"a\\*c\"", "!(\"abc\" like \"a\\*c\")",
		"\"\" like \"*\"", "\"aXbXc\" like \"*X*X*\"", "!(\"aba\" like \"ab*ba\")",
		"principal.hasTag(\"t\\0\")", "principal.getTag(\"t\\0\") == \"x\"",
		"!principal.hasTag(\"t\")", "!resource.hasTag(\"t\")",
		"principal.ip.isInRange(ip(\"10.0.0.0/8\"))", "ip(\"::1\").isIpv6()",
		"decimal(\"1.50\") == decimal(\"1.5\")",
		"decimal(\"1.1\").lessThan(decimal(\"1.2\"))",
		"datetime(\"2024-01-01\") < datetime(\"2024-01-01T00:00:00.001Z\")",
		"datetime(\"1969-12-31T23:00:00Z\").toDate() == datetime(\"1969-12-31\")",
		"datetime(\"1969-12-31T23:00:00Z\").toTime() == duration(\"23h\")",
		"datetime(\"1970-01-02\").durationSince(datetime(\"1970-01-01\")).toHours() == 24",
		"duration(\"-90s\").toMinutes() == -1", "duration(\"1d\") >= duration(\"24h\")",
	};
	all_are(1, texts, ARRAY_LEN(texts));
}

Test(cedar_eval, fails_on_these)
{
	static const char *const texts[] = {
		"1", "true && 1", "false || 1", "1 && false", "!1", "if 1 then true else true",
		"9223372036854775807 + 1 == 0", "-9223372036854775808 - 1 == 0",
		"4611686018427387904 * 2 == 0", "-(-9223372036854775808) == 0", "1 + \"1\" == 2",
		"1 < \"1\"", "\"a\" < \"b\"", "decimal(\"1.0\") < decimal(\"2.0\")",
		"datetime(\"2024-01-01\") < duration(\"1d\")", "resource.age == 40",
		"principal.height == 1", "context.n.x", "context.n has x", "1 has x",
		"1 in principal",
		"principal in 1", "principal in [principal, 1]", "1 like \"*\"", "1 is User",
		"1.contains(1)", "[1].containsAll(1)", "principal.getTag(\"t\") == 1",
		"principal.getTag(1) == 1", "resource.getTag(\"t\") == 1", "context.hasTag(\"t\")",
		"decimal(\"1\") == 1", "ip(\"nowhere\") == 1", "ip(\"1.2.3.4\", 1) == 1",
		"ip(context.n) == 1", "principal.ip.lessThan(decimal(\"1.0\"))",
		"datetime(\"9999-12-31\").offset(duration(\"9223372036854775807ms\")) == 1",
	};
	/* The first is no boolean; as a clause it fails, here it is only written differently. */
	all_are(-1, texts + 1, ARRAY_LEN(texts) - 1);
}

Test(cedar_eval, refuses_a_condition_that_is_no_boolean)
{
	struct cedar_policies all;
	struct cedar_env env;
	bool applies = false;
	const char *text = "permit(principal, action, resource) when { 1 };"
		"permit(principal == User::\"x\", action, resource) when { 1 };";
	cr_assert_eq(cedar_parse_policies(arena, text, strlen(text), &all, &err), 0);
	cedar_env_init(&env, arena, &request, entities, &err);
	cr_expect_eq(cedar_policy_applies(&env, &all.items[0], &applies), E_INVALID);
	cr_expect_eq(cedar_policy_applies(&env, &all.items[1], &applies), 0, "the scope comes "
		"first");
	cr_expect(!applies);
}

Test(cedar_eval, tells_a_want_of_memory_from_a_failure_of_the_policy)
{
	static const char *const texts[] = { "ip(if context.n == 7 then \"1.2.3.4\" else \"\")",
	                                     "[context.n]", "{a: context.n}" };
	AUTO(arena) *full = NULL;
	cr_assert_eq(arena_new(16 * KIB, &full, &err), 0);
	while (arena_alloc(full, 16))
		;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		const struct cedar_expr *expr = NULL;
		struct cedar_env env;
		struct cedar_value value;
		cr_assert_eq(cedar_parse_expr(arena, texts[i], strlen(texts[i]), &expr, &err), 0);
		cedar_env_init(&env, full, &request, entities, &err);
		cr_expect_eq(cedar_eval(&env, expr, &value), E_NOMEM, "%s", texts[i]);
	}
}

static struct cedar_entity child(const char *id, const struct cedar_uid *const *parents)
{
	struct cedar_entity entity = { .parents = parents, .parent_count = parents ? 1 : 0 };
	cedar_uid_init(&entity.uid, CEDAR_STR("T"), cedar_str(id));
	return entity;
}

Test(cedar_entities, refuses_a_circle_and_a_second_entity_of_one_uid)
{
	struct cedar_uid a, b;
	const struct cedar_uid *to_a[] = { &a }, *to_b[] = { &b };
	struct cedar_entities *store = NULL;
	cedar_uid_init(&a, CEDAR_STR("T"), CEDAR_STR("a"));
	cedar_uid_init(&b, CEDAR_STR("T"), CEDAR_STR("b"));
	cr_assert_eq(cedar_entities_new(arena, &store, &err), 0);
	struct cedar_entity first = child("a", to_b), second = child("b", to_a);
	cr_assert_eq(cedar_entities_add(store, &first, &err), 0);
	cr_assert_eq(cedar_entities_add(store, &first, &err), E_INVALID);
	cr_assert_eq(cedar_entities_add(store, &second, &err), 0);
	cr_assert_eq(cedar_entities_close(store, &err), E_INVALID);
}

Test(cedar_entities, follows_a_long_chain_without_recursion)
{
	enum { LINKS = 2000 };
	struct cedar_entities *store = NULL;
	struct cedar_uid *uids = arena_alloc(arena, LINKS * sizeof *uids);
	cr_assert_eq(cedar_entities_new(arena, &store, &err), 0);
	for (int i = 0; i < LINKS; i++) {
		const struct cedar_uid **parent = arena_alloc(arena, sizeof *parent);
		struct cedar_entity entity = child(arena_printf(arena, "%d", i), i ? parent : NULL);
		uids[i] = entity.uid;
		if (i)
			*parent = &uids[i - 1];
		cr_assert_eq(cedar_entities_add(store, &entity, &err), 0);
	}
	cr_assert_eq(cedar_entities_close(store, &err), 0);
	const struct cedar_entity *last = cedar_entities_find(store, &uids[LINKS - 1]);
	cr_expect_eq(last->ancestor_count, LINKS - 1);
	cr_expect(cedar_entity_in(&last->uid, last, &uids[0]));
	cr_expect(!cedar_entity_in(&uids[0], cedar_entities_find(store, &uids[0]), &last->uid));
	cr_expect_eq(cedar_entities_count(store), LINKS);
}

Test(cedar_json, restores_what_the_document_model_cannot_hold)
{
	const struct cedar_record *record = NULL;
	const char text[] = "{\"a\\u0000b\": \"\\ue000\\u0000 \\\\u0000 \xee\x80\x80\"}";
	cr_assert_eq(cedar_json_record(arena, json(text), NULL, &record, &err), 0);
	cr_assert_eq(record->count, 1);
	cr_expect(cedar_str_equal(record->fields[0].name, CEDAR_STR("a\0b")));
	cr_expect(cedar_str_equal(record->fields[0].value.str,
	          CEDAR_STR("\xee\x80\x80\0 \\u0000 \xee\x80\x80")));
}

Test(cedar_json, refuses_what_is_no_value)
{
	static const char *const bad[] = {
		"null", "1.5", "{\"__entity\": {\"type\": \"A\"}}",
		"{\"__extn\": {\"fn\": \"no\", \"arg\": \"\"}}",
		"{\"__extn\": {\"fn\": \"ip\", \"arg\": \"x\"}}",
		"{\"__extn\": {\"fn\": \"ip\", \"arg\": 1}}",
		"{\"__entity\": {\"type\": \"A\", \"id\": \"b\"}, \"x\": 1}", "{\"__expr\": \"1\"}",
		"{\"__extn\": {\"fn\": \"offset\", \"args\": [1, 2]}}", "[null]",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct cedar_value value;
		cr_expect_eq(cedar_json_value(arena, json(bad[i]), NULL, &value, &err), E_INVALID,
			"%s",
		             bad[i]);
	}
}
