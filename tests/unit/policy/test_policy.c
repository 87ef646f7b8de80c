/* test_policy.c - default deny, the reach of each role, and what stays invisible. */
#include "common/defs.h"
#include "policy/policy.h"

#include <criterion/criterion.h>

static struct asker asker(const char *tenant, const char *domain, const char *role)
{
	return (struct asker){ .tenant = tenant, .principal = "p", .domain = domain,
	                       .bindings = { { role, domain } }, .binding_count = role ? 1 : 0 };
}

static struct decision ask(struct asker who, enum action action, const char *tenant,
                           const char *domain)
{
	struct target target = { .tenant = tenant, .domain = domain };
	return policy_decide(&who, action, &target);
}

Test(policy, denies_whoever_has_no_role)
{
	for (int action = ACTION_SELF + 1; action < ACTION_COUNT_; action++) {
		struct decision d =
			ask(asker("acme", NULL, NULL), (enum action)action, "acme", "d");
		cr_expect(!d.allowed && d.visible, "%s", action_name((enum action)action));
	}
}

Test(policy, denies_an_unknown_role_action_and_nobody)
{
	cr_expect(!ask(asker("acme", NULL, "root"), ACTION_DOMAIN_READ, "acme", NULL).allowed);
	cr_expect(!ask(asker("acme", NULL, "tenant-admin"), ACTION_COUNT_, "acme", NULL).allowed);
	struct target target = { .tenant = "acme" };
	cr_expect(!policy_decide(NULL, ACTION_DOMAIN_READ, &target).allowed);
	cr_expect(!policy_decide(NULL, ACTION_SELF, &target).allowed);
	cr_expect(policy_decide(NULL, ACTION_PUBLIC, &target).allowed);
}

Test(policy, hides_every_other_tenant_from_every_role_but_the_operators)
{
	static const char *const names[] = { "tenant-admin", "domain-owner", "producer", "consumer",
	                                     "auditor", "operator" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		for (int action = ACTION_SELF + 1; action < ACTION_COUNT_; action++) {
			struct decision d = ask(asker("globex", NULL, names[i]),
			                        (enum action)action, "acme", "d");
			cr_expect(!d.allowed && !d.visible, "%s %s", names[i],
			          action_name((enum action)action));
		}
}

Test(policy, lets_an_operator_administrate_tenants_but_not_read_their_data)
{
	struct asker op = asker("platform", NULL, "operator");
	cr_expect(ask(op, ACTION_TENANT_WRITE, "acme", NULL).allowed);
	cr_expect(ask(op, ACTION_QUOTA_WRITE, "acme", NULL).allowed);
	cr_expect(ask(op, ACTION_USAGE_READ_ALL, NULL, NULL).allowed);
	static const enum action data[] = { ACTION_DATASET_READ, ACTION_DATASET_WRITE,
		ACTION_FEATURES_READ, ACTION_TASK_RUN, ACTION_TASK_READ, ACTION_SOURCE_READ };
	for (size_t i = 0; i < ARRAY_LEN(data); i++) {
		struct decision d = ask(op, data[i], "acme", "flights");
		cr_expect(!d.allowed && d.visible, "%s", action_name(data[i]));
	}
}

Test(policy, grants_an_operator_role_outside_the_platform_tenant_nothing)
{
	struct asker fake = asker("acme", NULL, "operator");
	cr_expect(!ask(fake, ACTION_TENANT_WRITE, "acme", NULL).allowed);
	cr_expect(!ask(fake, ACTION_TENANT_READ, NULL, NULL).allowed);
	cr_expect(!ask(fake, ACTION_TENANT_READ, "globex", NULL).visible);
}

Test(policy, keeps_a_principal_of_a_domain_in_its_domain)
{
	struct asker owner = asker("acme", "flights", "domain-owner");
	cr_expect(ask(owner, ACTION_DATASET_WRITE, "acme", "flights").allowed);
	struct decision d = ask(owner, ACTION_DATASET_READ, "acme", "hotels");
	cr_expect(!d.allowed && d.visible);
	cr_expect(ask(owner, ACTION_QUOTA_READ, "acme", NULL).allowed);
	cr_expect(!ask(owner, ACTION_DOMAIN_WRITE, "acme", "flights").allowed);
	cr_expect(
		ask(asker("acme", NULL, "domain-owner"), ACTION_DATASET_READ, "acme", "x").allowed);
}

Test(policy, gives_a_role_of_the_whole_tenant_nothing_in_a_principal_of_one_domain)
{
	cr_expect(!ask(asker("acme", "flights", "tenant-admin"), ACTION_PRINCIPAL_WRITE, "acme",
	               NULL).allowed);
	cr_expect(
		!ask(asker("acme", "flights", "auditor"), ACTION_AUDIT_READ, "acme", NULL).allowed);
}

Test(policy, lets_no_tenant_change_its_own_quota_or_rate)
{
	static const char *const names[] = { "tenant-admin", "domain-owner", "producer", "consumer",
	                                     "auditor" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		cr_expect(!ask(asker("acme", NULL, names[i]), ACTION_QUOTA_WRITE, "acme", NULL)
		                   .allowed);
		cr_expect(!ask(asker("acme", NULL, names[i]), ACTION_RATECARD_WRITE, NULL, NULL)
		                   .allowed);
		cr_expect(!ask(asker("acme", NULL, names[i]), ACTION_TENANT_WRITE, NULL, NULL)
		                   .allowed);
		cr_expect(!ask(asker("acme", NULL, names[i]), ACTION_USAGE_READ_ALL, NULL,
		               NULL).allowed);
	}
}

Test(policy, lets_a_consumer_read_features_and_run_nothing)
{
	struct asker consumer = asker("acme", "flights", "consumer");
	cr_expect(ask(consumer, ACTION_FEATURES_READ, "acme", "flights").allowed);
	cr_expect(!ask(consumer, ACTION_TASK_RUN, "acme", "flights").allowed);
	cr_expect(!ask(consumer, ACTION_SOURCE_READ, "acme", "flights").allowed);
}

Test(policy, names_the_rule_that_decided)
{
	cr_expect_str_eq(ask(asker("acme", NULL, "auditor"), ACTION_AUDIT_READ, "acme", NULL).rule,
	                 "auditor");
	cr_expect_str_eq(ask(asker("acme", NULL, "auditor"), ACTION_TASK_RUN, "acme", "d").rule,
	                 "default-deny");
	cr_expect_str_eq(ask(asker("acme", NULL, "auditor"), ACTION_TASK_READ, "globex", "d").rule,
	                 "other-tenant");
}

Test(policy, what_no_tenants_role_permits_is_the_operators)
{
	cr_expect(policy_is_operators(ACTION_QUEUE_READ));
	cr_expect(policy_is_operators(ACTION_TENANT_WRITE));
	cr_expect_not(policy_is_operators(ACTION_TASK_RUN));
	cr_expect_not(policy_is_operators(ACTION_TENANT_READ));
}

Test(policy, lets_a_binding_reach_its_own_domain_only_and_several_add_up)
{
	struct asker who = asker("acme", "sales", "consumer");
	cr_expect(asker_bind(&who, "producer", "trips"));
	cr_expect(ask(who, ACTION_FEATURES_READ, "acme", "sales").allowed);
	cr_expect(!ask(who, ACTION_FEATURES_READ, "acme", "trips").allowed);
	cr_expect(ask(who, ACTION_TASK_RUN, "acme", "trips").allowed);
	cr_expect(!ask(who, ACTION_TASK_RUN, "acme", "sales").allowed);
}

Test(policy, binds_no_more_than_there_is_room_for)
{
	struct asker who = asker("acme", NULL, NULL);
	for (int i = 0; i < BINDINGS_MAX; i++)
		cr_expect(asker_bind(&who, "consumer", "sales"));
	cr_expect(!asker_bind(&who, "tenant-admin", NULL));
	cr_expect(!ask(who, ACTION_DOMAIN_WRITE, "acme", "sales").allowed);
}

Test(policy, permits_a_token_no_more_than_its_scope_and_its_owners_roles)
{
	struct asker who = asker("acme", NULL, "tenant-admin");
	who.scoped = true;
	cr_expect(!ask(who, ACTION_DATASET_READ, "acme", "sales").allowed);
	cr_expect(ask(who, ACTION_SELF, "acme", NULL).allowed);
	who.scopes[who.scope_count++] = "dataset:*";
	who.scopes[who.scope_count++] = "usage:read-all";
	cr_expect(ask(who, ACTION_DATASET_READ, "acme", "sales").allowed);
	cr_expect(!ask(who, ACTION_TASK_RUN, "acme", "sales").allowed);
	cr_expect(!ask(who, ACTION_USAGE_READ_ALL, NULL, NULL).allowed);
}

static bool may_grant(struct asker who, const char *role, const char *domain)
{
	const struct target target = { .tenant = "acme", .domain = domain, .whole = !domain };
	return policy_may_grant(&who, role, &target);
}

Test(policy, lets_nobody_give_a_role_that_permits_more_than_its_own)
{
	const struct asker owner = asker("acme", "trips", "domain-owner");
	static const char *const below[] = { "domain-owner", "producer", "consumer" };
	for (size_t i = 0; i < ARRAY_LEN(below); i++) {
		cr_expect(may_grant(owner, below[i], "trips"), "%s", below[i]);
		cr_expect(!may_grant(owner, below[i], "fleet"), "%s", below[i]);
		cr_expect(!may_grant(owner, below[i], NULL), "%s", below[i]);
	}
	cr_expect(!may_grant(owner, "auditor", NULL));
	cr_expect(!may_grant(owner, "tenant-admin", NULL));
	const struct asker admin = asker("acme", NULL, "tenant-admin");
	cr_expect(may_grant(admin, "auditor", NULL) && may_grant(admin, "tenant-admin", NULL));
	cr_expect(!may_grant(admin, "operator", NULL) && !may_grant(admin, "autoscaler", NULL));
	cr_expect(!may_grant(asker("globex", NULL, "tenant-admin"), "consumer", "trips"));
	cr_expect(!may_grant(asker("acme", NULL, "operator"), "consumer", "trips"));
	cr_expect(may_grant(asker("platform", NULL, "operator"), "tenant-admin", NULL));
}

Test(policy, lets_a_token_of_limited_scope_give_nothing_beyond_it)
{
	struct asker admin = asker("acme", NULL, "tenant-admin");
	struct asker operator = asker("platform", NULL, "operator");
	admin.scoped = operator.scoped = true;
	admin.scopes[0] = operator.scopes[0] = "principal:*";
	admin.scope_count = operator.scope_count = 1;
	cr_expect(!may_grant(admin, "consumer", "trips"));
	cr_expect(!may_grant(operator, "tenant-admin", NULL));
	cr_expect(!may_grant(operator, "operator", NULL));
}
