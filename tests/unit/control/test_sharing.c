/* test_sharing.c - what a name stands for: one's own, what another tenant gives, or nothing. */
#include "common/defs.h"
#include "control/sharing.h"

#include "tests/support/desk.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* desk_put leaves tenant and domain out of metadata; the server never does. */
static void put(struct desk *desk, enum kind kind, const char *tenant, const char *domain,
                const char *name, const char *spec)
{
	char key[STORE_KEY_MAX];
	struct change *change = NULL;
	struct value *value = value_map(desk->arena), *metadata = value_map(desk->arena);
	value_set_str(metadata, "name", name);
	value_set_str(metadata, "tenant", tenant);
	value_set_str(metadata, "domain", domain);
	value_set_str(value, "kind", kind_info[kind].kind);
	value_set(value, "metadata", metadata);
	value_set(value, "spec", desk_json(desk, spec));
	cr_assert_eq(change_new(&change, &desk->err), 0);
	cr_assert_eq(change_put(change, catalog_key(key, kind, tenant, domain, name), value, -1,
	                        &desk->err),
	             0);
	cr_assert_eq(journal_commit(desk->part.journal, change, &desk->err), 0);
	change_free(change);
}

static void offer(struct desk *desk, const char *to)
{
	put(desk, KIND_OFFER, "acme", "sales", "gold",
	    arena_printf(desk->arena, "{'datasets':['rides'],'featureViews':['views'],%s}", to));
}

static struct desk *start(void)
{
	struct desk *desk = desk_new(false);
	put(desk, KIND_TENANT, "acme", NULL, "acme", "{}");
	put(desk, KIND_ACCEPTANCE, "globex", "trips", "theirs",
	    "{'from':{'tenant':'acme','domain':'sales','offer':'gold'}}");
	return desk;
}

static int resolve(struct desk *desk, const char *domain, enum kind kind, const char *name,
                   struct shared *ret_shared)
{
	const struct reader reader = {"globex", domain};
	return sharing_resolve(&desk->control, desk->arena, &reader, kind, "theirs", name,
	                       ret_shared, &desk->err);
}

Test(sharing, finds_what_is_offered_under_the_acceptances_name)
{
	struct desk *desk = start();
	struct shared shared;
	offer(desk, "'to':{'tenant':'globex'}");
	cr_assert_eq(resolve(desk, "trips", KIND_DATASET, "rides", &shared), 0, "%s",
	             desk->err.text);
	cr_expect_str_eq(shared.tenant, "acme");
	cr_expect_str_eq(shared.domain, "sales");
	cr_expect_str_eq(shared.offer, "gold");
	cr_expect_eq(resolve(desk, "trips", KIND_FEATUREVIEW, "views", &shared), 0);
	cr_expect_eq(resolve(desk, "trips", KIND_FEATUREVIEW, "rides", &shared), E_INPUT,
	             "a dataset of that name is no view");
	desk_end(desk);
}

Test(sharing, takes_a_name_that_is_no_acceptance_for_ones_own)
{
	struct desk *desk = start();
	struct shared shared;
	offer(desk, "'to':{'tenant':'globex'}");
	cr_assert_eq(resolve(desk, "elsewhere", KIND_DATASET, "rides", &shared), 0);
	cr_expect_str_eq(shared.tenant, "globex", "an acceptance holds in its own domain only");
	cr_expect_null(shared.offer);
	desk_end(desk);
}

Test(sharing, says_the_same_of_whatever_is_not_given)
{
	struct desk *desk = start();
	struct shared shared;
	char said[sizeof desk->err.text];
	static const char *const offers[] = {
		"'to':{'tenant':'initech'}",
		"'to':{'tenant':'globex','domain':'fleet'}",
		"'to':{'domain':'trips'}",
		"'to':{}",
		"'to':{'tenant':'globex'},'expiresAt':'2026-11-22T11:59:59Z'",
		"'to':{'tenant':'globex'},'expiresAt':'never'",
	};
	cr_assert_eq(resolve(desk, "trips", KIND_DATASET, "rides", &shared), E_INPUT);
	memcpy(said, desk->err.text, sizeof said);
	for (size_t i = 0; i < ARRAY_LEN(offers); i++) {
		offer(desk, offers[i]);
		cr_expect_eq(resolve(desk, "trips", KIND_DATASET, "rides", &shared), E_INPUT, "%zu",
		             i);
		cr_expect_str_eq(desk->err.text, said, "%zu", i);
	}
	offer(desk, "'to':{'tenant':'globex'}");
	cr_expect_eq(resolve(desk, "trips", KIND_DATASET, "other", &shared), E_INPUT);
	cr_expect_eq(resolve(desk, "trips", KIND_DATASET, "rides", &shared), 0);
	desk_end(desk);
}

Test(sharing, inside_a_tenant_goes_by_the_offer_to_a_domain)
{
	struct desk *desk = start();
	const struct reader ops = {"acme", "ops"}, hr = {"acme", "hr"};
	const struct reader other = {"globex", "ops"};
	offer(desk, "'to':{'domain':'ops'}");
	cr_expect(
		sharing_offers(&desk->control, desk->arena, &ops, KIND_DATASET, "sales", "rides"));
	cr_expect(
		!sharing_offers(&desk->control, desk->arena, &ops, KIND_DATASET, "sales", "views"));
	cr_expect(
		!sharing_offers(&desk->control, desk->arena, &hr, KIND_DATASET, "sales", "rides"));
	cr_expect(!sharing_offers(&desk->control, desk->arena, &other, KIND_DATASET, "sales",
	                          "rides"));
	desk_end(desk);
}

static void note(void *context, const char *tenant)
{
	snprintf(context, 64, "%s", tenant);
}

Test(sharing, knows_who_has_accepted)
{
	struct desk *desk = start();
	char reader[64] = "";
	sharing_readers(&desk->control, "acme", note, reader);
	cr_expect_str_eq(reader, "globex");
	reader[0] = 0;
	sharing_readers(&desk->control, "acm", note, reader);
	cr_expect_str_eq(reader, "");
	cr_expect(sharing_has_alias(&desk->control, "globex", "theirs"));
	cr_expect(!sharing_has_alias(&desk->control, "globex", "the"));
	desk_end(desk);
}
