/* test_bindings.c - who has which role by whatever way, and how quickly that is known. */
#include "common/defs.h"
#include "control/bindings_impl.h"

#include "common/json.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fixture {
	struct bindings *bindings;
	struct arena *arena;
	struct err err;
};

static struct fixture start(void)
{
	struct fixture f = {.bindings = NULL};
	cr_assert_eq(crypto_start(&f.err), 0);
	cr_assert_eq(bindings_new(&f.bindings, &f.err), 0);
	cr_assert_eq(arena_new(64 * MIB, &f.arena, &f.err), 0);
	return f;
}

static void end(struct fixture *f)
{
	bindings_free(f->bindings);
	arena_free(f->arena);
}

static struct value *resource(struct fixture *f, const char *spec)
{
	struct value *value = NULL;
	char *text = arena_printf(f->arena, "{'spec':%s}", spec);
	for (char *at = text; *at; at++)
		if (*at == '\'')
			*at = '"';
	cr_assert_eq(json_parse(f->arena, text, strlen(text), &value, &f->err), 0, "%s",
	             f->err.text);
	return value;
}

static void put(struct fixture *f, const char *key, const char *spec)
{
	bindings_changed(f->bindings, key, spec ? resource(f, spec) : NULL);
}

Test(bindings, what_a_resource_claims_is_kept_in_one_block_and_one_that_is_disabled_is_not_there)
{
	struct fixture f = start();
	struct claims read, kept;
	const char *key = "r/principal/acme/ada";
	struct value *ada = resource(&f, "{'roles':['auditor'],'domain':'sales'}");
	cr_assert_eq(claims_read(f.arena, key, ada, &read, &f.err), 0);
	cr_assert(claims_copy(&read, &kept));
	cr_assert_eq(kept.count, 2);
	cr_expect_eq(kept.items[0].kind, CLAIM_ROLE);
	cr_expect_str_eq(kept.items[0].subject, "acme/ada");
	cr_expect_str_eq(kept.items[0].domain, "sales");
	cr_expect(kept.items[0].own);
	cr_expect_eq(kept.items[1].kind, CLAIM_IS);
	free(kept.items);
	ada = resource(&f, "{'disabled':true}");
	cr_assert_eq(claims_read(f.arena, key, ada, &read, &f.err), 0);
	cr_expect_eq(read.count, 0);
	cr_assert_eq(claims_read(f.arena, "r/dataset/acme/sales/x", ada, &read, &f.err), 0);
	cr_expect_eq(read.count, 0, "another kind claims nothing");
	end(&f);
}

/* "role@domain role@*", in no order that is promised; groups behind " | ". */
static const char *held(struct fixture *f, const char *tenant, const char *principal)
{
	struct asker asker = {.tenant = tenant, .principal = principal};
	bindings_fill(f->bindings, f->arena, &asker);
	const char *text = "";
	for (size_t i = 0; i < asker.binding_count; i++)
		text = arena_printf(f->arena, "%s%s%s@%s", text, i ? " " : "",
		                    asker.bindings[i].role,
		                    asker.bindings[i].domain ? asker.bindings[i].domain : "*");
	for (size_t i = 0; i < asker.group_count; i++)
		text = arena_printf(f->arena, "%s | %s", text, asker.groups[i]);
	return text;
}

Test(bindings, gather_a_principals_groups_bindings_and_domains)
{
	struct fixture f = start();
	put(&f, "r/principal/acme/ann", "{'roles':['consumer'],'domain':'home'}");
	put(&f, "r/group/acme/crew",
	    "{'members':['ann'],'roles':[{'role':'producer',"
	    "'domain':'trips'}]}");
	cr_expect_str_eq(held(&f, "acme", "ann"), "producer@trips | crew");
	put(&f, "r/rolebinding/acme/one", "{'role':'auditor','subjects':['ann','bob']}");
	cr_expect_str_eq(held(&f, "acme", "bob"), "auditor@*");
	put(&f, "r/rolebinding/acme/two",
	    "{'role':'consumer','subjects':['group:crew'],"
	    "'domain':'fleet'}");
	put(&f, "r/domain/acme/sales", "{'owners':['ann']}");
	cr_expect_str_eq(held(&f, "acme", "ann"),
	                 "auditor@* domain-owner@sales producer@trips consumer@fleet | crew");
	end(&f);
}

Test(bindings, end_with_what_gave_them)
{
	struct fixture f = start();
	put(&f, "r/group/acme/crew", "{'members':['ann'],'roles':[{'role':'producer'}]}");
	put(&f, "r/rolebinding/acme/one", "{'role':'auditor','subjects':['ann']}");
	cr_expect_str_eq(held(&f, "acme", "ann"), "auditor@* producer@* | crew");
	put(&f, "r/group/acme/crew", "{'members':['bob'],'roles':[{'role':'producer'}]}");
	cr_expect_str_eq(held(&f, "acme", "ann"), "auditor@*");
	put(&f, "r/rolebinding/acme/one", NULL);
	cr_expect_str_eq(held(&f, "acme", "ann"), "");
	cr_expect_str_eq(held(&f, "acme", "bob"), "producer@* | crew");
	put(&f, "r/group/acme/crew", NULL);
	cr_expect_str_eq(held(&f, "acme", "bob"), "");
	end(&f);
}

Test(bindings, of_one_tenant_are_nothing_to_another)
{
	struct fixture f = start();
	put(&f, "r/rolebinding/acme/one",
	    "{'role':'tenant-admin','subjects':['ann',"
	    "'group:crew']}");
	put(&f, "r/group/globex/crew", "{'members':['ann']}");
	cr_expect_str_eq(held(&f, "globex", "ann"), " | crew");
	cr_expect_str_eq(held(&f, "acm", "ann"), "");
	end(&f);
}

Test(bindings, give_a_login_what_its_groups_have)
{
	struct fixture f = start();
	put(&f, "r/rolebinding/acme/one", "{'role':'auditor','subjects':['group:staff']}");
	put(&f, "r/group/acme/staff", "{'members':['ann']}");
	struct asker asker = {
		.tenant = "acme", .principal = "ann", .groups = {"staff"}, .group_count = 1};
	bindings_fill(f.bindings, f.arena, &asker);
	cr_expect_eq(asker.binding_count, 1, "a group that is known twice counts once");
	cr_expect_eq(asker.group_count, 1);
	end(&f);
}

Test(bindings, are_refused_beyond_what_a_request_looks_at)
{
	struct fixture f = start();
	char key[80];
	put(&f, "r/group/acme/crew", "{'members':['ann']}");
	for (int i = 0; i < BINDINGS_MAX; i++) {
		snprintf(key, sizeof key, "r/rolebinding/acme/b%d", i);
		put(&f, key, "{'role':'consumer','subjects':['group:crew'],'domain':'d'}");
	}
	struct value *more = resource(&f, "{'role':'producer','subjects':['group:crew']}");
	struct what_if what_if = {"r/rolebinding/acme/more", more};
	cr_expect_eq(bindings_check_room(f.bindings, f.arena, "acme", &what_if, &f.err), E_INVALID);
	cr_expect_not_null(strstr(f.err.text, "ann would have 65 roles"), "%s", f.err.text);
	what_if.key = "r/rolebinding/acme/b0"; /* instead of one that is there */
	cr_expect_eq(bindings_check_room(f.bindings, f.arena, "acme", &what_if, &f.err), 0);
	what_if = (struct what_if){"r/group/acme/crew",
	                           resource(&f, "{'members':['ann','bob'],"
	                                        "'roles':[{'role':'consumer'}]}")};
	cr_expect_eq(bindings_check_room(f.bindings, f.arena, "acme", &what_if, &f.err), E_INVALID);
	end(&f);
}

Test(bindings, know_whether_an_administrator_would_be_left)
{
	struct fixture f = start();
	bool has = false;
	const struct what_if gone = {"r/principal/acme/ann", NULL};
	const struct what_if off = {"r/principal/acme/ann",
	                            resource(&f, "{'roles':['tenant-admin'],'disabled':true}")};
	put(&f, "r/principal/acme/ann", "{'roles':['tenant-admin']}");
	put(&f, "r/principal/globex/eve", "{'roles':['tenant-admin']}");
	cr_expect_eq(bindings_has_holder(f.bindings, f.arena, "acme", "tenant-admin", NULL, &has,
	                                 &f.err),
	             0);
	cr_expect(has);
	(void)!bindings_has_holder(f.bindings, f.arena, "acme", "tenant-admin", &gone, &has,
	                           &f.err);
	cr_expect(!has);
	(void)!bindings_has_holder(f.bindings, f.arena, "acme", "tenant-admin", &off, &has, &f.err);
	cr_expect(!has);
	put(&f, "r/group/acme/crew", "{'members':['bob'],'roles':[{'role':'tenant-admin'}]}");
	(void)!bindings_has_holder(f.bindings, f.arena, "acme", "tenant-admin", &gone, &has,
	                           &f.err);
	cr_expect(!has, "a name in a group is nobody until there is a principal of that name");
	put(&f, "r/principal/acme/bob", "{}");
	(void)!bindings_has_holder(f.bindings, f.arena, "acme", "tenant-admin", &gone, &has,
	                           &f.err);
	cr_expect(has);
	end(&f);
}

Test(bindings, say_who_names_a_subject_or_a_domain)
{
	struct fixture f = start();
	char key[STORE_KEY_MAX];
	put(&f, "r/principal/acme/ann", "{'roles':['consumer']}");
	bindings_user_of(f.bindings, "acme", "ann", key);
	cr_expect_str_eq(key, "", "its own roles are no reference");
	put(&f, "r/rolebinding/acme/one",
	    "{'role':'consumer','subjects':['ann','group:crew'],"
	    "'domain':'trips'}");
	bindings_user_of(f.bindings, "acme", "ann", key);
	cr_expect_str_eq(key, "r/rolebinding/acme/one");
	bindings_user_of(f.bindings, "acme", "group:crew", key);
	cr_expect_str_eq(key, "r/rolebinding/acme/one");
	bindings_user_of_domain(f.bindings, "acme", "trips", key);
	cr_expect_str_eq(key, "r/rolebinding/acme/one");
	bindings_user_of_domain(f.bindings, "globex", "trips", key);
	cr_expect_str_eq(key, "");
	end(&f);
}

Test(bindings, stay_right_through_ten_thousand_changes)
{
	struct fixture f = start();
	char key[80], spec[120];
	for (int i = 0; i < 10000; i++) {
		snprintf(key, sizeof key, "r/rolebinding/acme/b%d", i % 500);
		snprintf(spec, sizeof spec,
		         "{'role':'consumer','subjects':['p%d','p%d'],"
		         "'domain':'d%d'}",
		         i % 97, 97 + i % 89, i);
		put(&f, key, i % 3 == 2 ? NULL : spec);
		if (i % 1000 == 0)
			arena_reset(f.arena);
	}
	for (int i = 0; i < 500; i++) {
		snprintf(key, sizeof key, "r/rolebinding/acme/b%d", i);
		put(&f, key, NULL);
	}
	for (int i = 0; i < 200; i++) {
		snprintf(key, sizeof key, "p%d", i);
		cr_assert_str_eq(held(&f, "acme", key), "");
	}
	end(&f);
}
