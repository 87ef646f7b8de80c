/* test_cedar_set.c - the decision, links, and that the index changes nothing about it. */
#include "common/defs.h"
#include "common/buf.h"
#include "policy/cedar_entities.h"
#include "policy/cedar_set.h"
#include "tests/support/alloc.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct cedar_uid uid(const char *type, const char *id)
{
	struct cedar_uid made;
	cedar_uid_init(&made, cedar_str(type), cedar_str(id));
	return made;
}

static const struct cedar_record no_context = { 0, NULL };

static struct cedar_request ask(const char *who, const char *action, const char *what)
{
	return (struct cedar_request){ uid("User", who), uid("Action", action), uid("Doc", what),
	                               &no_context };
}

static struct cedar_set *set_of(const char *text)
{
	struct err err;
	struct cedar_set *set = NULL;
	cr_assert_eq(cedar_set_new(16 * MIB, &set, &err), 0);
	cr_assert_eq(cedar_set_add(set, text, strlen(text), "policy", &err), 0, "%s", err.text);
	return set;
}

static struct cedar_entities *none(struct arena *arena)
{
	struct err err;
	struct cedar_entities *entities = NULL;
	cr_assert_eq(cedar_entities_new(arena, &entities, &err), 0);
	cr_assert_eq(cedar_entities_close(entities, &err), 0);
	return entities;
}

static struct cedar_answer decide(struct cedar_set *set, struct arena *arena,
				  struct cedar_request request)
{
	struct err err;
	struct cedar_answer answer;
	cr_assert_eq(cedar_set_decide(set, arena, &request, none(arena), &answer, &err), 0);
	return answer;
}

Test(cedar_set, denies_by_default_and_lets_a_forbid_win)
{
	struct err err;
	AUTO(arena) *arena = NULL;
	cr_assert_eq(arena_new(16 * MIB, &arena, &err), 0);
	AUTO(cedar_set) *set = set_of(
		"permit(principal == User::\"a\", action, resource);"
		"forbid(principal, action == Action::\"drop\", resource);"
		"permit(principal, action, resource) when { principal.nothing };");
	cr_assert_eq(cedar_set_close(set, &err), 0);
	struct cedar_answer answer = decide(set, arena, ask("a", "view", "d"));
	cr_expect(answer.allowed && answer.reason_count == 1 && answer.error_count == 1);
	cr_expect(cedar_str_is(answer.reasons[0]->id, "policy0"));
	cr_expect(cedar_str_is(answer.errors[0].policy->id, "policy2"));
	answer = decide(set, arena, ask("a", "drop", "d"));
	cr_expect(!answer.allowed && answer.reason_count == 1);
	cr_expect(cedar_str_is(answer.reasons[0]->id, "policy1"));
	answer = decide(set, arena, ask("b", "view", "d"));
	cr_expect(!answer.allowed && answer.reason_count == 0 && answer.error_count == 1);
}

Test(cedar_set, decides_by_links_and_never_by_templates)
{
	struct err err;
	struct cedar_uid ann = uid("User", "ann"), doc = uid("Doc", "d");
	AUTO(arena) *arena = NULL;
	cr_assert_eq(arena_new(16 * MIB, &arena, &err), 0);
	AUTO(cedar_set) *set = set_of("permit(principal == ?principal, action, resource == "
		"?resource);"
	                              "permit(principal in ?principal, action, resource);");
	cr_expect_eq(cedar_set_link(set, "policy9", "l", &ann, &doc, &err), E_NOT_FOUND);
	cr_assert_eq(cedar_set_link(set, "policy0", "l", &ann, &doc, &err), 0);
	cr_assert_eq(cedar_set_close(set, &err), 0);
	cr_expect_eq(cedar_set_count(set), 3);
	struct cedar_answer answer = decide(set, arena, ask("ann", "view", "d"));
	cr_expect(answer.allowed && cedar_str_is(answer.reasons[0]->id, "l"));
	cr_expect(!decide(set, arena, ask("bob", "view", "d")).allowed);
	cr_expect(!decide(set, arena, ask("ann", "view", "e")).allowed);
}

Test(cedar_set, refuses_a_bad_text_whole_and_an_id_that_is_there)
{
	struct err err;
	const char *bad = "permit(principal, action, resource);\npermit(principal, action);";
	AUTO(cedar_set) *set = set_of("permit(principal, action, resource);");
	cr_expect_eq(cedar_set_add(set, bad, strlen(bad), "more", &err), E_INVALID);
	cr_expect_eq(strncmp(err.text, "line 2, column ", 15), 0, "%s", err.text);
	cr_expect_eq(cedar_set_count(set), 1);
	cr_assert_eq(cedar_set_add(set, bad, 36, "policy", &err), 0);
	cr_expect_eq(cedar_set_close(set, &err), E_INVALID);
}

Test(cedar_set, lives_until_its_last_hold_is_given_back)
{
	struct err err;
	struct cedar_set *set = set_of("permit(principal, action, resource);");
	cr_assert_eq(cedar_set_close(set, &err), 0);
	cr_expect_gt(cedar_set_bytes(set), 0);
	cedar_set_hold(set);
	cedar_set_free(set);
	cr_expect(cedar_str_is(cedar_set_at(set, 0)->id, "policy0"));
	cr_expect_null(cedar_set_at(set, 1));
	cedar_set_free(set);
}

/* One of a few, so that scopes and requests meet. */
static const char *pick(unsigned *seed, const char *const *words, size_t count)
{
	return words[(unsigned)rand_r(seed) % count];
}

static void put_policies(unsigned *seed, struct buf *text)
{
	static const char *const effects[] = { "permit", "forbid", "permit", "permit" };
	static const char *const principals[] = { "principal", "principal == User::\"1\"",
		"principal in Group::\"1\"", "principal in Group::\"2\"", "principal is User",
		"principal is User in Group::\"2\"", "principal == User::\"2\"",
		"principal is Doc" };
	static const char *const actions[] = { "action", "action == Action::\"1\"",
		"action in Action::\"all\"",
		"action in [Action::\"1\", Action::\"all\", Action::\"2\"]",
		"action in []", "action in [Action::\"2\"]" };
	static const char *const resources[] = { "resource", "resource == Doc::\"1\"",
		"resource in Doc::\"2\"", "resource is Doc", "resource is Doc in Doc::\"2\"" };
	static const char *const clauses[] = { "", "", "when { principal == User::\"1\" }",
		"unless { action == Action::\"1\" }", "when { resource.no }" };
	for (int i = rand_r(seed) % 40; i >= 0; i--)
		buf_printf(text, "%s(%s, %s, %s) %s;\n", pick(seed, effects, ARRAY_LEN(effects)),
		           pick(seed, principals, ARRAY_LEN(principals)),
		           pick(seed, actions, ARRAY_LEN(actions)),
		           pick(seed, resources, ARRAY_LEN(resources)),
		           pick(seed, clauses, ARRAY_LEN(clauses)));
}

static void add(struct cedar_entities *entities, struct arena *arena, struct cedar_uid self,
		struct cedar_uid parent)
{
	struct err err;
	struct cedar_uid *copy = arena_alloc(arena, sizeof *copy);
	const struct cedar_uid **parents = arena_alloc(arena, sizeof *parents);
	*copy = parent;
	*parents = copy;
	struct cedar_entity entity = { .uid = self, .parents = parents, .parent_count = 1 };
	cr_assert_eq(cedar_entities_add(entities, &entity, &err), 0);
}

static struct cedar_entities *family(struct arena *arena)
{
	struct err err;
	struct cedar_entities *entities = NULL;
	cr_assert_eq(cedar_entities_new(arena, &entities, &err), 0);
	add(entities, arena, uid("User", "1"), uid("Group", "1"));
	add(entities, arena, uid("User", "2"), uid("Group", "3"));
	add(entities, arena, uid("Group", "1"), uid("Group", "2"));
	add(entities, arena, uid("Action", "1"), uid("Action", "all"));
	add(entities, arena, uid("Action", "2"), uid("Action", "all"));
	add(entities, arena, uid("Doc", "1"), uid("Doc", "2"));
	cr_assert_eq(cedar_entities_close(entities, &err), 0);
	return entities;
}

/* Every policy is asked, in order. */
static void compare_naive(const struct cedar_set *set, struct arena *arena,
			  const struct cedar_entities *entities,
			  const struct cedar_request *request)
{
	struct err err, reason;
	struct cedar_env env;
	struct cedar_answer answer;
	size_t counts[2] = { 0, 0 }, errors = 0;
	cr_assert_eq(cedar_set_decide(set, arena, request, entities, &answer, &err), 0);
	cedar_env_init(&env, arena, request, entities, &reason);
	for (size_t i = 0; i < cedar_set_count(set); i++) {
		const struct cedar_policy *policy = cedar_set_at(set, i);
		bool applies = false;
		if (cedar_policy_applies(&env, policy, &applies) < 0) {
			cr_assert_lt(errors, answer.error_count);
			cr_assert_eq(answer.errors[errors++].policy, policy);
		} else if (applies) {
			counts[policy->forbid]++;
		}
	}
	cr_assert_eq(errors, answer.error_count);
	cr_assert_eq(answer.allowed, counts[0] && !counts[1]);
	cr_assert_eq(answer.reason_count, counts[1] ? counts[1] : counts[0]);
	for (size_t i = 0; i < answer.reason_count; i++) {
		bool applies = false;
		cr_assert_eq(cedar_policy_applies(&env, answer.reasons[i], &applies), 0);
		cr_assert(applies && answer.reasons[i]->forbid == (counts[1] != 0));
		cr_assert(i == 0 || answer.reasons[i - 1] < answer.reasons[i]);
	}
}

Test(cedar_set, decides_by_its_index_as_without_one)
{
	static const char *const ids[] = { "1", "2", "3" };
	unsigned seed = 20240117;
	for (int round = 0; round < 300; round++) {
		struct err err;
		AUTO_BUF text;
		AUTO(arena) *arena = NULL;
		buf_init(&text, MIB);
		put_policies(&seed, &text);
		cr_assert_eq(buf_check(&text, &err), 0);
		cr_assert_eq(arena_new(16 * MIB, &arena, &err), 0);
		AUTO(cedar_set) *set = set_of((const char *)text.data);
		cr_assert_eq(cedar_set_close(set, &err), 0);
		struct cedar_entities *entities = family(arena);
		for (size_t i = 0; i < 27; i++) {
			struct cedar_request request = ask(ids[i % 3], ids[i / 3 % 3], ids[i / 9]);
			compare_naive(set, arena, entities, &request);
		}
	}
}

static int build(void)
{
	struct err err;
	const char *text = "permit(principal == ?principal, action, resource) when { [1, 2] == {a: "
		"1} };";
	struct cedar_uid ann = uid("User", "ann");
	AUTO(cedar_set) *set = NULL;
	TRY(cedar_set_new(16 * MIB, &set, &err));
	TRY(cedar_set_add(set, text, strlen(text), "policy", &err));
	TRY(cedar_set_link(set, "policy0", "l", &ann, NULL, &err));
	return cedar_set_close(set, &err);
}

Test(cedar_set, survives_every_allocation_that_fails)
{
	long n = 0;
	for (;; n++) {
		alloc_fail_after(n);
		int rc = build();
		bool fired = alloc_fired();
		alloc_fail_after(-1);
		if (!fired) {
			cr_expect_eq(rc, 0);
			break;
		}
		cr_expect_eq(rc, E_NOMEM);
	}
	cr_expect_gt(n, 2);
}
