/* test_grants.c - nobody gives more than it has: a test for each way that might lead past it. */
#include "common/defs.h"
#include "control/grants.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#define ACME "/v1/tenants/acme"

/* acme with the domains trips and fleet; olga owns trips, admin the tenant. */
struct scene {
	struct plane *plane;
	const char *admin, *olga;
};

static struct scene start(void)
{
	struct scene s = {.plane = plane_start()};
	s.admin = plane_tenant(s.plane, "acme", "trips");
	plane_put(s.plane, s.admin, "Domain", ACME "/domains/fleet", "{}");
	s.olga = plane_principal(s.plane, "acme", "olga", "'consumer'", "trips");
	plane_put(s.plane, s.admin, "Domain", ACME "/domains/trips",
	          "{'owners':['olga'],'tags':{'tier':'gold'},'owner':'olga@example.com'}");
	return s;
}

static struct answer put(const struct scene *s, const char *key, const char *kind, const char *path,
                         const char *spec)
{
	const char *body = arena_printf(s->plane->arena,
	                                "{'apiVersion':'freehold.io/v1','kind':'%s','metadata':"
	                                "{'name':'%s'},'spec':%s}",
	                                kind, strrchr(path, '/') + 1, spec);
	return plane_call(s->plane, key, "PUT", path, body);
}

static int put_status(const struct scene *s, const char *key, const char *kind, const char *path,
                      const char *spec)
{
	struct answer answer = put(s, key, kind, path, spec);
	return answer.status == 200 ? 201 : answer.status;
}

static int call(const struct scene *s, const char *key, const char *method, const char *path)
{
	return plane_call(s->plane, key, method, path, NULL).status;
}

Test(grants, let_a_domains_owner_manage_its_people_without_the_tenants_admin)
{
	struct scene s = start();
	cr_expect_eq(put_status(&s, s.olga, "Principal", ACME "/principals/loader",
	                        "{'type':'service','roles':['producer'],'domain':'trips'}"),
	             201);
	struct answer made =
		plane_call(s.plane, s.olga, "POST", ACME "/principals/loader/keys", NULL);
	cr_assert_eq(made.status, 201, "%s", made.text);
	const char *loader = value_get_str(made.body, "key");
	cr_expect_eq(call(&s, loader, "GET", ACME "/domains/trips/datasets"), 200);
	cr_expect_eq(call(&s, loader, "GET", ACME "/domains/fleet/datasets"), 403);
	plane_principal(s.plane, "acme", "ben", "'consumer'", "fleet");
	cr_expect_eq(put_status(&s, s.olga, "RoleBinding", ACME "/rolebindings/helpers",
	                        "{'role':'domain-owner','subjects':['ben'],'domain':'trips'}"),
	             201);
	cr_expect_eq(call(&s, s.olga, "DELETE", ACME "/rolebindings/helpers"), 200);
	cr_expect_eq(call(&s, s.olga, "DELETE", ACME "/principals/loader"), 200);
	plane_stop(s.plane);
}

Test(grants, take_effect_and_end_at_once)
{
	struct scene s = start();
	const char *ben = plane_principal(s.plane, "acme", "ben", "'consumer'", "fleet");
	cr_expect_eq(call(&s, ben, "GET", ACME "/domains/trips/sources"), 403);
	plane_put(s.plane, s.admin, "Group", ACME "/groups/crew", "{'members':['ben']}");
	plane_put(s.plane, s.admin, "RoleBinding", ACME "/rolebindings/crew",
	          "{'role':'producer','subjects':['group:crew'],'domain':'trips'}");
	cr_expect_eq(call(&s, ben, "GET", ACME "/domains/trips/sources"), 200);
	cr_expect_eq(call(&s, s.admin, "DELETE", ACME "/groups/crew"), 409, "it is bound");
	plane_put(s.plane, s.admin, "Group", ACME "/groups/crew", "{}");
	cr_expect_eq(call(&s, ben, "GET", ACME "/domains/trips/sources"), 403);
	plane_put(s.plane, s.admin, "Principal", ACME "/principals/ben",
	          "{'roles':['consumer'],'domain':'fleet','disabled':true}");
	struct answer off = plane_call(s.plane, ben, "GET", "/v1/whoami", NULL);
	cr_expect_eq(off.status, 401);
	cr_expect_str_eq(off.detail, plane_call(s.plane, "x", "GET", "/v1/whoami", NULL).detail,
	                 "as an unknown credential");
	plane_stop(s.plane);
}

/* Two datasets in trips; ben has no role but what a binding gives him at one of them. */
static const char *bind_rides(const struct scene *s, const char *role)
{
	const char *ben = plane_principal(s->plane, "acme", "ben", "'consumer'", "fleet");
	plane_put(s->plane, s->admin, "Dataset", ACME "/domains/trips/datasets/rides", "{}");
	plane_put(s->plane, s->admin, "Dataset", ACME "/domains/trips/datasets/fares", "{}");
	const char *spec = arena_printf(s->plane->arena, "{'role':'%s','subjects':['ben'],"
	                                "'domain':'trips','resource':{'kind':'Dataset',"
	                                "'name':'rides'}}", role);
	cr_assert_eq(put_status(s, s->olga, "RoleBinding", ACME "/rolebindings/one", spec), 201);
	return ben;
}

Test(grants, give_a_role_at_one_resource_and_nothing_beside_it)
{
	struct scene s = start();
	const char *ben = bind_rides(&s, "consumer");
	cr_expect_eq(call(&s, ben, "GET", ACME "/domains/trips/datasets/rides"), 200);
	cr_expect_eq(call(&s, ben, "GET", ACME "/domains/trips/datasets/rides/snapshots"), 200);
	cr_expect_eq(call(&s, ben, "GET", ACME "/domains/trips/datasets/fares"), 403);
	cr_expect_eq(call(&s, ben, "GET", ACME "/domains/trips/datasets/none"), 403);
	cr_expect_eq(call(&s, ben, "DELETE", ACME "/domains/trips/datasets/rides"), 403);
	cr_expect_eq(call(&s, ben, "GET", ACME "/domains/trips"), 403);
	struct answer me = plane_call(s.plane, ben, "GET", "/v1/whoami", NULL);
	cr_expect_not_null(strstr(me.text, "\"rides\""), "%s", me.text);
	cr_expect_eq(call(&s, s.olga, "DELETE", ACME "/rolebindings/one"), 200);
	cr_expect_eq(call(&s, ben, "GET", ACME "/domains/trips/datasets/rides"), 403);
	plane_stop(s.plane);
}

Test(grants, list_to_each_the_resources_that_it_may_read)
{
	struct scene s = start();
	const char *ben = bind_rides(&s, "consumer");
	struct answer list = plane_call(s.plane, ben, "GET", ACME "/domains/trips/datasets", NULL);
	cr_assert_eq(list.status, 200, "%s", list.text);
	cr_assert_eq(value_len(value_get(list.body, "items")), 1, "%s", list.text);
	cr_expect_null(strstr(list.text, "fares"), "%s", list.text);
	cr_expect_eq(call(&s, ben, "GET", ACME "/domains/trips/sources"), 403);
	cr_expect_eq(call(&s, ben, "GET", ACME "/domains/nowhere/datasets"), 403);
	plane_stop(s.plane);
}

Test(grants, let_a_domain_refer_to_the_one_resource_its_writer_may_read)
{
	struct scene s = start();
	bind_rides(&s, "consumer");
	const char *fay = plane_principal(s.plane, "acme", "fay", "'domain-owner'", "fleet");
	static const char spec[] = "{'features':[{'name':'x','type':'int64'}],"
				   "'entities':['car'],'dataset':'trips.%s','timestampField':'at'}";
	const char *path = ACME "/domains/fleet/featureviews/v";
	plane_put(s.plane, fay, "Entity", ACME "/domains/fleet/entities/car", "{'joinKey':'id'}");
	const char *one = arena_printf(s.plane->arena, spec, "rides");
	const char *other = arena_printf(s.plane->arena, spec, "fares");
	struct answer refused = put(&s, fay, "FeatureView", path, one);
	cr_expect_eq(refused.status, 403, "%s", refused.text);
	plane_put(s.plane, s.admin, "RoleBinding", ACME "/rolebindings/one",
	          "{'role':'consumer','subjects':['fay'],'domain':'trips',"
	          "'resource':{'kind':'Dataset','name':'rides'}}");
	refused = put(&s, fay, "FeatureView", path, one);
	cr_expect_eq(refused.status, 201, "%s", refused.text);
	cr_expect_eq(put(&s, fay, "FeatureView", path, other).status, 403);
	plane_stop(s.plane);
}

Test(grants, refuse_a_role_at_a_resource_to_who_may_not_do_it_there)
{
	struct scene s = start();
	const char *ben = bind_rides(&s, "domain-owner");
	static const char to_all[] = "{'role':'consumer','subjects':['ben'],'domain':'trips'}";
	static const char to_one[] = "{'role':'consumer','subjects':['ben'],'domain':'trips',"
				     "'resource':{'kind':'Dataset','name':'fares'}}";
	cr_expect_eq(put_status(&s, ben, "RoleBinding", ACME "/rolebindings/a", to_all), 403);
	cr_expect_eq(put_status(&s, ben, "RoleBinding", ACME "/rolebindings/b", to_one), 403);
	const char *fay = plane_principal(s.plane, "acme", "fay", "'domain-owner'", "fleet");
	cr_expect_eq(put_status(&s, fay, "RoleBinding", ACME "/rolebindings/b", to_one), 403);
	cr_expect_eq(put_status(&s, s.olga, "RoleBinding", ACME "/rolebindings/b", to_one), 201);
	struct answer bad = put(&s, s.olga, "RoleBinding", ACME "/rolebindings/c",
	                        "{'role':'consumer','subjects':['ben'],'domain':'trips',"
	                        "'resource':{'kind':'Dataset','name':'none'}}");
	cr_expect_eq(bad.status, 400, "%s", bad.text);
	bad = put(&s, s.admin, "RoleBinding", ACME "/rolebindings/c",
	          "{'role':'consumer','subjects':['ben'],"
	          "'resource':{'kind':'Dataset','name':'rides'}}");
	cr_expect_eq(bad.status, 400, "%s", bad.text);
	plane_stop(s.plane);
}

Test(grants, refuse_to_delete_a_resource_that_a_role_is_still_bound_to)
{
	struct scene s = start();
	bind_rides(&s, "consumer");
	struct answer kept = plane_call(s.plane, s.olga, "DELETE",
	                                ACME "/domains/trips/datasets/rides", NULL);
	cr_expect_eq(kept.status, 409, "%s", kept.text);
	cr_expect_eq(call(&s, s.olga, "DELETE", ACME "/domains/trips/datasets/fares"), 200);
	cr_expect_eq(call(&s, s.olga, "DELETE", ACME "/rolebindings/one"), 200);
	cr_expect_eq(call(&s, s.olga, "DELETE", ACME "/domains/trips/datasets/rides"), 200);
	plane_stop(s.plane);
}

Test(grants, show_each_what_it_may_read_and_no_more)
{
	struct scene s = start();
	const char *ben = plane_principal(s.plane, "acme", "ben", "'consumer'", "fleet");
	struct answer list = plane_call(s.plane, ben, "GET", ACME "/domains?limit=1", NULL);
	cr_expect_eq(value_len(value_get(list.body, "items")), 1, "%s", list.text);
	cr_expect_null(strstr(list.text, "trips"), "%s", list.text);
	plane_put(s.plane, s.admin, "RoleBinding", ACME "/rolebindings/b",
	          "{'role':'domain-owner','subjects':['ben'],'domain':'trips'}");
	list = plane_call(s.plane, ben, "GET", ACME "/domains", NULL);
	cr_expect_eq(value_len(value_get(list.body, "items")), 2, "%s", list.text);
	list = plane_call(s.plane, s.olga, "GET", ACME "/principals", NULL);
	cr_expect_not_null(strstr(list.text, "olga"));
	cr_expect_null(strstr(list.text, "'ben'"), "%s", list.text);
	cr_expect_null(strstr(list.text, "\"admin\""), "%s", list.text);
	cr_expect_eq(call(&s, s.olga, "GET", ACME "/principals/ben"), 403);
	cr_expect_eq(call(&s, s.olga, "GET", ACME "/principals/nobody"), 403,
	             "who is there is not told either");
	plane_stop(s.plane);
}

Test(grants, refuse_an_owner_every_way_beyond_its_domain)
{
	struct scene s = start();
	plane_principal(s.plane, "acme", "ben", "'consumer'", "fleet");
	plane_put(s.plane, s.admin, "Principal", ACME "/principals/svc",
	          "{'type':'service','roles':['consumer'],'domain':'trips'}");
	static const struct {
		const char *kind, *path, *spec;
	} tries[] = {
		{"RoleBinding", ACME "/rolebindings/x",
	         "{'role':'tenant-admin','subjects':['olga']}"},
		{"RoleBinding", ACME "/rolebindings/x",
	         "{'role':'tenant-admin','subjects':['olga'],'domain':'trips'}"},
		{"RoleBinding", ACME "/rolebindings/x",
	         "{'role':'domain-owner','subjects':['olga']}"},
		{"RoleBinding", ACME "/rolebindings/x",
	         "{'role':'consumer','subjects':['olga'],'domain':'fleet'}"},
		{"RoleBinding", ACME "/rolebindings/x",
	         "{'role':'auditor','subjects':['olga'],'domain':'trips'}"},
		{"Principal", ACME "/principals/y", "{'type':'service','roles':['tenant-admin']}"},
		{"Principal", ACME "/principals/y",
	         "{'type':'service','roles':['producer'],'domain':'fleet'}"},
		{"Principal", ACME "/principals/y", "{'roles':['producer'],'domain':'trips'}"},
		{"Principal", ACME "/principals/svc", "{'type':'service','roles':['producer']}"},
		{"Principal", ACME "/principals/ben",
	         "{'type':'service','roles':['producer'],'domain':'trips'}"},
		{"Principal", ACME "/principals/olga",
	         "{'type':'service','roles':['tenant-admin'],'domain':'trips'}"},
		{"Group", ACME "/groups/g", "{'members':['olga'],'roles':[{'role':'producer'}]}"},
		{"Domain", ACME "/domains/fleet", "{'owners':['olga']}"},
		{"Domain", ACME "/domains/mine", "{'owners':['olga']}"},
	};
	for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
		struct answer answer = put(&s, s.olga, tries[i].kind, tries[i].path, tries[i].spec);
		cr_expect(answer.status == 403 || answer.status == 400, "%zu: %d %s", i,
		          answer.status, answer.text);
	}
	cr_expect_eq(call(&s, s.olga, "POST", ACME "/principals/admin/keys"), 403);
	cr_expect_eq(call(&s, s.olga, "POST", ACME "/principals/ben/keys"), 403);
	cr_expect_eq(call(&s, s.olga, "DELETE", ACME "/principals/ben"), 403);
	plane_stop(s.plane);
}

Test(grants, refuse_an_owner_its_own_binding_made_wider)
{
	struct scene s = start();
	plane_put(s.plane, s.admin, "Domain", ACME "/domains/trips", "{}");
	plane_put(s.plane, s.admin, "RoleBinding", ACME "/rolebindings/own",
	          "{'role':'domain-owner','subjects':['olga'],'domain':'trips'}");
	cr_expect_eq(put_status(&s, s.olga, "RoleBinding", ACME "/rolebindings/own",
	                        "{'role':'domain-owner','subjects':['olga']}"),
	             403);
	cr_expect_eq(put_status(&s, s.olga, "RoleBinding", ACME "/rolebindings/own",
	                        "{'role':'domain-owner','subjects':['olga'],'domain':'fleet'}"),
	             403);
	plane_put(s.plane, s.admin, "RoleBinding", ACME "/rolebindings/other",
	          "{'role':'consumer','subjects':['olga'],'domain':'fleet'}");
	cr_expect_eq(put_status(&s, s.olga, "RoleBinding", ACME "/rolebindings/other",
	                        "{'role':'consumer','subjects':['olga'],'domain':'trips'}"),
	             403, "another domain's binding is not taken over either");
	plane_stop(s.plane);
}

/* A service account of trips that somebody above has given more than trips' owner has. */
Test(grants, refuse_an_owner_the_key_of_a_service_account_that_has_more)
{
	struct scene s = start();
	plane_put(s.plane, s.admin, "Principal", ACME "/principals/svc",
	          "{'type':'service','roles':['consumer'],'domain':'trips'}");
	cr_expect_eq(call(&s, s.olga, "POST", ACME "/principals/svc/keys"), 201);
	plane_put(s.plane, s.admin, "RoleBinding", ACME "/rolebindings/more",
	          "{'role':'consumer','subjects':['svc'],'domain':'fleet'}");
	struct answer answer =
		plane_call(s.plane, s.olga, "POST", ACME "/principals/svc/keys", NULL);
	cr_expect_eq(answer.status, 403);
	cr_expect_not_null(strstr(answer.detail, "fleet"), "%s", answer.detail);
	cr_expect_eq(put_status(&s, s.olga, "Principal", ACME "/principals/svc",
	                        "{'type':'service','roles':['producer'],'domain':'trips'}"),
	             403);
	cr_expect_eq(call(&s, s.olga, "DELETE", ACME "/principals/svc"), 409);
	plane_stop(s.plane);
}

Test(grants, refuse_to_delete_who_is_still_named_so_that_no_name_is_inherited)
{
	struct scene s = start();
	plane_put(s.plane, s.admin, "Principal", ACME "/principals/svc", "{'type':'service'}");
	plane_put(s.plane, s.admin, "Group", ACME "/groups/crew",
	          "{'members':['svc'],'roles':[{'role':'producer','domain':'fleet'}]}");
	struct answer answer = plane_call(s.plane, s.admin, "DELETE", ACME "/principals/svc", NULL);
	cr_expect_eq(answer.status, 409);
	cr_expect_not_null(strstr(answer.detail, "group crew"), "%s", answer.detail);
	answer = plane_call(s.plane, s.admin, "DELETE", ACME "/domains/fleet", NULL);
	cr_expect_eq(answer.status, 409, "%s", answer.text);
	cr_expect_eq(call(&s, s.admin, "DELETE", ACME "/groups/crew"), 200);
	cr_expect_eq(call(&s, s.admin, "DELETE", ACME "/principals/svc"), 200);
	plane_stop(s.plane);
}

Test(grants, keep_the_last_administrator_of_a_tenant_from_the_tenant_itself)
{
	struct scene s = start();
	struct answer answer =
		plane_call(s.plane, s.admin, "DELETE", ACME "/principals/admin", NULL);
	cr_expect_eq(answer.status, 409);
	cr_expect_not_null(strstr(answer.detail, "tenant-admin"), "%s", answer.detail);
	cr_expect_eq(put_status(&s, s.admin, "Principal", ACME "/principals/admin",
	                        "{'roles':['tenant-admin'],'disabled':true}"),
	             409);
	cr_expect_eq(put_status(&s, s.admin, "Principal", ACME "/principals/admin",
	                        "{'roles':['auditor']}"),
	             409);
	plane_principal(s.plane, "acme", "second", "'consumer'", NULL);
	plane_put(s.plane, s.admin, "Group", ACME "/groups/admins",
	          "{'members':['second'],'roles':[{'role':'tenant-admin'}]}");
	const char *second = value_get_str(
		plane_call(s.plane, s.admin, "POST", ACME "/principals/second/keys", NULL).body,
		"key");
	cr_expect_eq(call(&s, second, "DELETE", ACME "/principals/admin"), 200);
	cr_expect_eq(call(&s, second, "DELETE", ACME "/groups/admins"), 409);
	cr_expect_eq(call(&s, s.plane->operator_key, "DELETE", ACME "/groups/admins"), 200,
	             "the operator may");
	plane_stop(s.plane);
}

Test(grants, leave_the_operators_role_to_operators)
{
	struct scene s = start();
	const char *clerk = plane_principal(s.plane, "platform", "clerk", "'tenant-admin'", NULL);
	static const struct {
		const char *kind, *path, *spec;
	} tries[] = {
		{"RoleBinding", "/v1/tenants/platform/rolebindings/x",
	         "{'role':'operator','subjects':['clerk']}"},
		{"Group", "/v1/tenants/platform/groups/ops",
	         "{'members':['clerk'],'roles':[{'role':'operator'}]}"},
		{"Principal", "/v1/tenants/platform/principals/clerk", "{'roles':['operator']}"},
	};
	for (size_t i = 0; i < ARRAY_LEN(tries); i++)
		cr_expect_eq(put_status(&s, clerk, tries[i].kind, tries[i].path, tries[i].spec),
		             403, "%zu", i);
	plane_put(s.plane, s.plane->operator_key, "Group", "/v1/tenants/platform/groups/ops",
	          "{'roles':[{'role':'operator'}]}");
	cr_expect_eq(put_status(&s, clerk, "Group", "/v1/tenants/platform/groups/ops",
	                        "{'members':['clerk'],'roles':[{'role':'operator'}]}"),
	             403, "membership is a way, too");
	cr_expect_eq(call(&s, clerk, "POST", "/v1/tenants/platform/principals/operator/keys"), 403);
	cr_expect_eq(put_status(&s, s.plane->operator_key, "RoleBinding", ACME "/rolebindings/x",
	                        "{'role':'operator','subjects':['admin']}"),
	             400, "and no tenant has it");
	plane_stop(s.plane);
}

Test(grants, let_an_administrator_make_every_role_of_a_tenant)
{
	struct scene s = start();
	static const char *const roles[] = {"tenant-admin", "domain-owner", "producer", "consumer",
	                                    "auditor"};
	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		const char *spec =
			arena_printf(s.plane->arena, "{'role':'%s','subjects':['olga']}", roles[i]);
		struct answer answer =
			put(&s, s.admin, "RoleBinding", ACME "/rolebindings/r", spec);
		cr_expect(answer.status <= 201, "%s: %s", roles[i], answer.text);
	}
	plane_stop(s.plane);
}

struct rival {
	struct plane *plane;
	const char *key, *path;
	int status;
};

static void *remove_rival(void *context)
{
	struct rival *rival = context;
	rival->status = plane_call(rival->plane, rival->key, "DELETE", rival->path, NULL).status;
	return NULL;
}

/* plane_call keeps its answers in one arena: two callers need a plane's arena each. */
Test(grants, let_only_one_of_two_administrators_remove_the_other)
{
	struct scene s = start();
	struct plane twins[2] = {*s.plane, *s.plane};
	pthread_t threads[2];
	struct rival rivals[2] = {{.path = ACME "/principals/second"},
	                          {.path = ACME "/principals/admin"}};
	const char *second = plane_principal(s.plane, "acme", "second", "'tenant-admin'", NULL);
	rivals[0].key = s.admin;
	rivals[1].key = second;
	for (int i = 0; i < 2; i++) {
		rivals[i].plane = &twins[i];
		cr_assert_eq(arena_new(16 * MIB, &twins[i].arena, NULL), 0);
		cr_assert_eq(pthread_create(&threads[i], NULL, remove_rival, &rivals[i]), 0);
	}
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		arena_free(twins[i].arena);
	}
	cr_expect_eq((rivals[0].status == 200) + (rivals[1].status == 200), 1, "%d %d",
	             rivals[0].status, rivals[1].status);
	plane_stop(s.plane);
}

Test(grants, leave_service_accounts_to_the_administrator_where_policies_permit_more_than_roles)
{
	struct scene s = start();
	plane_put(s.plane, s.admin, "Principal", ACME "/principals/svc",
	          "{'type':'service','roles':['consumer'],'domain':'trips'}");
	cr_expect_eq(call(&s, s.olga, "POST", ACME "/principals/svc/keys"), 201);
	plane_put(s.plane, s.admin, "Policy", ACME "/policies/more",
	          "{'text':'permit(principal, action, resource);'}");
	cr_expect_eq(call(&s, s.olga, "POST", ACME "/principals/svc/keys"), 403);
	cr_expect_eq(call(&s, s.admin, "POST", ACME "/principals/svc/keys"), 201);
	plane_stop(s.plane);
}

#define LOADER(more) "{'type':'service','roles':['producer'],'domain':'trips'" more "}"

Test(grants, leave_attributes_and_who_has_them_to_the_administrator)
{
	struct scene s = start();
	const char *loader = ACME "/principals/loader", *eu = LOADER(",'attributes':{'a':'b'}");
	cr_expect_eq(put_status(&s, s.olga, "Principal", loader, eu), 403);
	cr_expect_eq(put_status(&s, s.olga, "Principal", loader, LOADER("")), 201);
	cr_expect_eq(put_status(&s, s.olga, "Principal", loader, eu), 403);
	cr_expect_eq(put_status(&s, s.olga, "Principal", ACME "/principals/olga",
	                        "{'attributes':{'a':'b'}}"), 403);
	cr_expect_eq(put_status(&s, s.admin, "Principal", loader, eu), 201);
	cr_expect_eq(put_status(&s, s.olga, "Principal", loader, LOADER("")), 403);
	cr_expect_eq(call(&s, s.olga, "POST", ACME "/principals/loader/keys"), 403);
	cr_expect_eq(call(&s, s.olga, "DELETE", loader), 403);
	cr_expect_eq(call(&s, s.admin, "POST", ACME "/principals/loader/keys"), 201);
	cr_expect_eq(put_status(&s, s.admin, "Principal", loader,
	                        LOADER(",'attributes':{'tenant':'globex'}")), 400);
	plane_stop(s.plane);
}
