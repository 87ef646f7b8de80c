/* test_lockout.c - no change of people leaves a tenant with policies that nobody of it can
 * change. */
#include "common/defs.h"
#include "control/lockout.h"

#include "common/json.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <string.h>

#define ACME "/v1/tenants/acme"

struct scene {
	struct plane *plane;
	const char *admin;
};

static struct answer put(const struct scene *s, const char *key, const char *kind, const char *path,
                         const char *spec)
{
	const char *name = strrchr(path, '/') + 1;
	return plane_call(s->plane, key, "PUT", path,
	                  arena_printf(s->plane->arena,
	                               "{'apiVersion':'freehold.io/v1','kind':'%s','metadata':"
	                               "{'name':'%s'},'spec':%s}", kind, name, spec));
}

static void put_policy(const struct scene *s, const char *text)
{
	struct arena *arena = s->plane->arena;
	struct value *spec = value_map(arena), *meta = value_map(arena), *body = value_map(arena);
	AUTO_BUF out;
	buf_init(&out, MIB);
	value_set_str(spec, "text", text);
	value_set_str(meta, "name", "writers");
	value_set_str(body, "apiVersion", "freehold.io/v1");
	value_set_str(body, "kind", "Policy");
	value_set(body, "metadata", meta);
	value_set(body, "spec", spec);
	json_print(body, &out);
	cr_assert_eq(buf_check(&out, NULL), 0);
	const struct asked asked = { .method = "PUT", .path = ACME "/policies/writers",
		                     .key = s->admin, .body = (const char *)out.data };
	struct answer answer = plane_ask(s->plane, &asked);
	cr_assert_eq(answer.status, 201, "%s", answer.text);
}

/* Policies are for the group writers alone, in which the administrator is. */
static struct scene start(void)
{
	struct scene s = { .plane = plane_start() };
	s.admin = plane_tenant(s.plane, "acme", "trips");
	plane_put(s.plane, s.admin, "Group", ACME "/groups/writers", "{'members':['admin']}");
	put_policy(&s, "forbid(principal, action == Action::\"policy:write\", resource) unless "
	               "{ principal in Group::\"acme/writers\" };"
	               "forbid(principal in Group::\"acme/away\", action, resource);");
	return s;
}

Test(lockout, keeps_one_who_can_change_policies_when_a_group_loses_its_members)
{
	struct scene s = start();
	struct answer empty = put(&s, s.admin, "Group", ACME "/groups/writers", "{}");
	cr_expect_eq(empty.status, 409, "%s", empty.text);
	cr_expect_not_null(strstr(empty.detail, "nobody of acme"), "%s", empty.detail);
	cr_expect_eq(plane_call(s.plane, s.admin, "DELETE", ACME "/groups/writers", NULL).status,
	             409);
	plane_principal(s.plane, "acme", "second", "'tenant-admin'", NULL);
	struct answer other =
		put(&s, s.admin, "Group", ACME "/groups/writers", "{'members':['second']}");
	cr_expect_eq(other.status, 200, "%s", other.text);
	plane_stop(s.plane);
}

Test(lockout, counts_what_a_new_group_or_binding_would_forbid)
{
	struct scene s = start();
	struct answer away =
		put(&s, s.admin, "Group", ACME "/groups/away", "{'members':['admin']}");
	cr_expect_eq(away.status, 409, "%s", away.text);
	plane_principal(s.plane, "acme", "second", "'consumer'", NULL);
	cr_expect_eq(put(&s, s.admin, "Group", ACME "/groups/away",
	                 "{'members':['second']}").status, 201);
	plane_stop(s.plane);
}

Test(lockout, counts_only_who_is_not_disabled_and_leaves_operators_the_last_word)
{
	struct scene s = start();
	plane_principal(s.plane, "acme", "second", "'tenant-admin'", NULL);
	plane_put(s.plane, s.admin, "Principal", ACME "/principals/second",
	          "{'roles':['tenant-admin'],'disabled':true}");
	struct answer other =
		put(&s, s.admin, "Group", ACME "/groups/writers", "{'members':['second']}");
	cr_expect_eq(other.status, 409, "%s", other.text);
	other = put(&s, s.plane->operator_key, "Group", ACME "/groups/writers", "{}");
	cr_expect_eq(other.status, 200, "%s", other.text);
	other = put(&s, s.plane->operator_key, "Group", ACME "/groups/writers",
	            "{'members':['admin']}");
	cr_expect_eq(other.status, 200, "the operator mends it: %s", other.text);
	plane_stop(s.plane);
}

Test(lockout, counts_the_attributes_that_policies_go_by)
{
	struct scene s = { .plane = plane_start() };
	const char *path = ACME "/principals/admin";
	const char *cleared = "{'roles':['tenant-admin'],'attributes':{'level':'top'}}";
	s.admin = plane_tenant(s.plane, "acme", "trips");
	plane_put(s.plane, s.admin, "Principal", path, cleared);
	put_policy(&s, "forbid(principal, action == Action::\"policy:write\", resource) unless "
	               "{ principal has level && principal.level == \"top\" };");
	struct answer lowered = put(&s, s.admin, "Principal", path,
	                            "{'roles':['tenant-admin'],'attributes':{'level':'low'}}");
	cr_expect_eq(lowered.status, 409, "%s", lowered.text);
	cr_expect_eq(put(&s, s.admin, "Principal", path, "{'roles':['tenant-admin']}").status,
	             409);
	plane_put(s.plane, s.admin, "Principal", ACME "/principals/second",
	          "{'roles':['tenant-admin'],'attributes':{'level':'top'}}");
	lowered = put(&s, s.admin, "Principal", path, "{'roles':['tenant-admin']}");
	cr_expect_eq(lowered.status, 200, "another can: %s", lowered.text);
	plane_stop(s.plane);
}

Test(lockout, keeps_the_platforms_last_operator)
{
	struct scene s = { .plane = plane_start() };
	const char *key = s.plane->operator_key;
	const char *path = "/v1/tenants/platform/principals/operator";
	struct answer off = put(&s, key, "Principal", path, "{'roles':['operator'],"
	                        "'disabled':true}");
	cr_expect_eq(off.status, 409, "%s", off.text);
	cr_expect_eq(plane_call(s.plane, key, "DELETE", path, NULL).status, 409);
	plane_principal(s.plane, "platform", "second", "'operator'", NULL);
	off = put(&s, key, "Principal", path, "{'roles':['operator'],'disabled':true}");
	cr_expect_eq(off.status, 200, "%s", off.text);
	plane_stop(s.plane);
}
