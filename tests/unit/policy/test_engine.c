/* test_engine.c - the roles mean by Cedar what they mean by their table, and a tenant's own
 * policies come on top of them. */
#include "common/defs.h"
#include "policy/engine.h"

#include <criterion/criterion.h>
#include <string.h>

static struct arena *arena;
static struct err err;

static void setup(void)
{
	cr_assert_eq(arena_new(64 * MIB, &arena, &err), 0);
}
static void teardown(void)
{
	arena_free(arena);
}
TestSuite(engine, .init = setup, .fini = teardown);

static struct engine *engine_of(const char *tenant, const char *policy)
{
	static const char *const domains[] = { "sales", "trips" };
	const struct engine_policy one = { "own", policy };
	const struct engine_conf conf = { .tenant = tenant, .domains = domains, .domain_count = 2,
		                          .policies = &one, .policy_count = policy ? 1 : 0 };
	struct engine *engine = NULL;
	cr_assert_eq(engine_new(&conf, &engine, &err), 0, "%s", err.text);
	return engine;
}

static struct engine_answer ask(const struct engine *engine, const struct asker *asker,
                                const char *action, struct engine_resource resource)
{
	const struct engine_ask asked = { .asker = asker, .action = action, .resource = resource,
		                          .now_ms = 1000, .address = "10.1.2.3" };
	struct engine_answer answer;
	cr_assert_eq(engine_decide(engine, arena, &asked, &answer, &err), 0, "%s", err.text);
	return answer;
}

static struct asker asker_of(const char *tenant, const char *role, const char *domain)
{
	struct asker asker = { .tenant = tenant, .principal = "ann", .auth = AUTH_KEY };
	if (role)
		cr_assert(asker_bind(&asker, role, domain));
	return asker;
}

static const char *const role_names[] = { "operator", "autoscaler", "tenant-admin", "domain-owner",
	                                  "producer", "consumer", "auditor", "nothing" };

/* One role in one place, over every action and every kind of target. */
static void compare(const struct engine *engine, const struct asker *asker)
{
	const struct { struct target target; struct engine_resource resource; } targets[] = {
		{ { .tenant = NULL }, { .platform = true } },
		{ { .tenant = "acme" }, { .domain = NULL } },
		{ { .tenant = "acme", .whole = true }, { .whole = true } },
		{ { .tenant = "acme", .domain = "sales" }, { .domain = "sales" } },
		{ { .tenant = "acme", .domain = "trips", .kind = "Dataset", .name = "rides" },
		  { .domain = "trips", .kind = "Dataset", .name = "rides" } },
		{ { .tenant = "acme", .domain = "trips", .kind = "Dataset", .name = "fares" },
		  { .domain = "trips", .kind = "Dataset", .name = "fares" } },
		{ { .tenant = "acme", .domain = "sales", .kind = "Dataset", .name = "rides" },
		  { .domain = "sales", .kind = "Dataset", .name = "rides" } },
		{ { .tenant = "acme", .domain = "trips", .kind = "FeatureView", .name = "rides" },
		  { .domain = "trips", .kind = "FeatureView", .name = "rides" } },
	};
	for (int action = ACTION_SELF + 1; action < ACTION_COUNT_; action++)
		for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
			const char *name = action_name((enum action)action);
			bool table = policy_decide(asker, (enum action)action,
			                           &targets[i].target).allowed;
			struct engine_answer answer =
				ask(engine, asker, name, targets[i].resource);
			cr_expect_eq(answer.allowed, table, "%s in %s: %s on target %zu",
			             asker->bindings[0].role,
			             asker->bindings[0].domain ? asker->bindings[0].domain : "all",
			             name, i);
			arena_reset(arena);
		}
}

Test(engine, decides_every_role_as_its_row_says)
{
	static const char *const places[] = { NULL, "sales", "trips" };
	AUTO(engine) *engine = engine_of("acme", NULL);
	for (size_t i = 0; i < ARRAY_LEN(role_names); i++)
		for (size_t j = 0; j < ARRAY_LEN(places); j++) {
			struct asker own = asker_of("acme", role_names[i], places[j]);
			compare(engine, &own);
		}
	struct asker operator = asker_of("platform", "operator", NULL);
	struct asker scaler = asker_of("platform", "autoscaler", NULL);
	compare(engine, &operator);
	compare(engine, &scaler);
}

Test(engine, decides_a_role_at_one_resource_as_the_table_does)
{
	AUTO(engine) *engine = engine_of("acme", NULL);
	for (size_t i = 0; i < ARRAY_LEN(role_names); i++) {
		const struct binding binding = { role_names[i], "trips", "Dataset", "rides" };
		struct asker one = asker_of("acme", NULL, NULL);
		cr_assert(asker_bind_at(&one, &binding));
		compare(engine, &one);
		struct asker more = asker_of("acme", "consumer", "sales");
		cr_assert(asker_bind_at(&more, &binding));
		compare(engine, &more);
		struct asker stranger = asker_of("globex", NULL, NULL);
		cr_assert(asker_bind_at(&stranger, &binding));
		compare(engine, &stranger);
	}
}

Test(engine, lets_a_role_at_one_resource_reach_its_columns_and_policies_name_it)
{
	static const char *const role = "principal in Role::\"acme/trips/Dataset/rides/consumer\"";
	AUTO(engine) *plain = engine_of("acme", NULL);
	AUTO(engine) *own = engine_of("acme", arena_printf(arena, "permit(%s, action == Action::"
	                                                   "\"quota:read\", resource);", role));
	const struct binding binding = { "consumer", "trips", "Dataset", "rides" };
	struct asker asker = asker_of("acme", NULL, NULL);
	cr_assert(asker_bind_at(&asker, &binding));
	struct engine_resource at = { .domain = "trips", .kind = "Dataset", .name = "rides",
		                      .column = "fare" };
	struct engine_answer answer = ask(plain, &asker, "dataset:read", at);
	cr_expect(answer.allowed);
	cr_expect_str_eq(answer.rules[0], "consumer");
	at.name = "fares";
	cr_expect_not(ask(plain, &asker, "dataset:read", at).allowed);
	at = (struct engine_resource){ .domain = "trips" };
	cr_expect_not(ask(plain, &asker, "quota:read", at).allowed);
	cr_expect(ask(own, &asker, "quota:read", at).allowed);
}

Test(engine, adds_up_what_several_bindings_give)
{
	AUTO(engine) *engine = engine_of("acme", NULL);
	struct asker asker = asker_of("acme", "consumer", "sales");
	cr_assert(asker_bind(&asker, "producer", "trips"));
	cr_expect(ask(engine, &asker, "features:read",
	              (struct engine_resource){ .domain = "sales" }).allowed);
	cr_expect_not(ask(engine, &asker, "task:run",
	                  (struct engine_resource){ .domain = "sales" }).allowed);
	struct engine_answer runs = ask(engine, &asker, "task:run",
	                                (struct engine_resource){ .domain = "trips" });
	cr_expect(runs.allowed);
	cr_assert_eq(runs.rule_count, 1);
	cr_expect_str_eq(runs.rules[0], "producer");
}

static const struct engine_resource rides = { .domain = "trips", .kind = "Dataset",
	                                      .name = "rides" };

Test(engine, lets_a_tenants_own_policies_permit_and_forbid)
{
	AUTO(engine) *engine = engine_of(
		"acme",
		"permit(principal in Group::\"acme/analysts\", action in Action::\"read\","
		" resource in Domain::\"acme/trips\");\n"
		"forbid(principal, action == Action::\"dataset:read\", resource)"
		" when { resource.tags.contains(\"secret\") };");
	struct asker asker = asker_of("acme", NULL, NULL);
	cr_expect_not(ask(engine, &asker, "dataset:read", rides).allowed);
	asker.groups[asker.group_count++] = "analysts";
	struct engine_answer answer = ask(engine, &asker, "dataset:read", rides);
	cr_expect(answer.allowed);
	cr_expect_str_eq(answer.rules[0], "own.0");
	cr_expect_not(ask(engine, &asker, "dataset:write", rides).allowed);
	struct engine_resource secret = rides;
	struct value *tags = value_list(arena);
	value_add_str(tags, "secret");
	secret.tags = tags;
	answer = ask(engine, &asker, "dataset:read", secret);
	cr_expect_not(answer.allowed);
	cr_expect_str_eq(answer.rules[0], "own.1");
	struct asker admin = asker_of("acme", "tenant-admin", NULL);
	cr_expect_not(ask(engine, &admin, "dataset:read", secret).allowed);
}

Test(engine, asks_of_the_context_what_is_known)
{
	AUTO(engine) *engine = engine_of(
		"acme",
		"permit(principal, action == Action::\"dataset:read\", resource) when "
		"{ context.address.isInRange(ip(\"10.0.0.0/8\")) && principal.strength == \"key\" "
		"&& context.now < datetime(\"1970-01-02\") && context has purpose && "
		"context.purpose == \"billing\" };");
	struct asker asker = asker_of("acme", NULL, NULL);
	struct engine_ask asked = { .asker = &asker, .action = "dataset:read", .resource = rides,
		                    .now_ms = 5, .address = "10.1.2.3", .purpose = "billing" };
	struct engine_answer answer;
	cr_assert_eq(engine_decide(engine, arena, &asked, &answer, &err), 0);
	cr_expect(answer.allowed);
	asked.purpose = NULL;
	cr_assert_eq(engine_decide(engine, arena, &asked, &answer, &err), 0);
	cr_expect_not(answer.allowed);
	asked.purpose = "billing";
	asked.address = NULL;
	cr_assert_eq(engine_decide(engine, arena, &asked, &answer, &err), 0);
	cr_expect_not(answer.allowed);
	cr_expect_eq(answer.skipped, 1);
	cr_expect_not_null(strstr(answer.failure, "own.0"), "%s", answer.failure);
}

Test(engine, knows_how_a_caller_has_proved_who_it_is)
{
	AUTO(engine) *engine = engine_of(
		"acme", "forbid(principal, action in Action::\"write\", resource) unless "
		        "{ context.strength == \"oidc\" };");
	struct asker asker = asker_of("acme", "tenant-admin", NULL);
	cr_expect_not(ask(engine, &asker, "dataset:write", rides).allowed);
	cr_expect(ask(engine, &asker, "dataset:read", rides).allowed);
	asker.auth = AUTH_OIDC;
	cr_expect(ask(engine, &asker, "dataset:write", rides).allowed);
}

Test(engine, is_told_apart_by_its_policies_and_not_by_when_it_was_made)
{
	AUTO(engine) *one = engine_of("acme", "permit(principal, action, resource);");
	AUTO(engine) *same = engine_of("acme", "permit(principal, action, resource);");
	AUTO(engine) *other = engine_of("acme", "forbid(principal, action, resource);");
	cr_expect_eq(strlen(engine_digest(one)), 64);
	cr_expect_str_eq(engine_digest(one), engine_digest(same));
	cr_expect_str_neq(engine_digest(one), engine_digest(other));
}

Test(engine, knows_columns_below_their_dataset)
{
	AUTO(engine) *engine = engine_of(
		"acme",
		"permit(principal, action == Action::\"column:read\", "
		"resource in Dataset::\"acme/trips/rides\") unless "
		"{ resource.name == \"email\" };");
	struct asker asker = asker_of("acme", NULL, NULL);
	struct engine_resource column = rides;
	column.column = "fare";
	cr_expect(ask(engine, &asker, "column:read", column).allowed);
	column.column = "email";
	cr_expect_not(ask(engine, &asker, "column:read", column).allowed);
}

Test(engine, refuses_a_bad_policy_with_its_name_and_place)
{
	const struct engine_policy bad = { "night", "permit(principal, action, resource)\n"
		                                    "when { 1 + };" };
	const struct engine_conf conf = { .tenant = "acme", .policies = &bad, .policy_count = 1 };
	struct engine *engine = NULL;
	cr_expect_eq(engine_new(&conf, &engine, &err), E_INVALID);
	cr_expect_not_null(strstr(err.text, "policy night"), "%s", err.text);
	cr_expect_not_null(strstr(err.text, "line 2"), "%s", err.text);
	cr_expect_null(engine);
}

Test(engine, denies_without_memory)
{
	AUTO(engine) *engine = engine_of("acme", NULL);
	struct asker asker = asker_of("acme", "tenant-admin", NULL);
	const struct engine_ask asked = { .asker = &asker, .action = "dataset:read",
		                          .resource = rides };
	for (size_t bytes = 256; bytes < 4096; bytes += 256) {
		AUTO(arena) *small = NULL;
		struct engine_answer answer = { .allowed = false };
		cr_assert_eq(arena_new(bytes, &small, &err), 0);
		if (engine_decide(engine, small, &asked, &answer, &err) < 0)
			cr_expect_not(answer.allowed);
	}
}
