/* The cache of access grants: what is kept, for whom, and what is not kept. */
#include "common/defs.h"
#include "worker/access_cache.h"

#include "worker/meter.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START_MS INT64_C(980985600000)

struct rig {
	char dir[48];
	struct clock *clock;
	struct online *online;
	struct meter *meter;
	struct access_cache *cache;
	int asked;
	bool revoke_meanwhile;
	const char *tenant;
};

static const struct access_feature features[] = {
	{ .name = "a", .type = "int64" },
	{ .name = "b", .type = "string" },
};

static int play_control(void *context, const struct access_want *want, const char *const *views,
                        size_t count, struct arena *arena, struct access_grant **ret_grant,
                        struct err *err)
{
	struct rig *rig = context;
	struct access_view *list = arena_alloc(arena, count * sizeof *list);
	struct access_grant *grant = arena_alloc(arena, sizeof *grant);
	(void)want;
	(void)err;
	rig->asked++;
	for (size_t i = 0; i < count; i++) {
		const char *dot = strchr(views[i], '.');
		list[i] = (struct access_view) {
			.domain = "d", .name = dot ? dot + 1 : views[i],
			.uid = dot ? dot + 1 : views[i], .join_key = "k", .key_type = "string",
			.features = features, .feature_count = ARRAY_LEN(features),
		};
	}
	*grant = (struct access_grant) {
		.id = "g", .worker = "w", .tenant = rig->tenant, .principal = "p", .views = list,
		.view_count = count, .expires_ms = clock_unix_ms(rig->clock) + 60000,
	};
	if (rig->revoke_meanwhile)
		access_cache_drop(rig->cache, rig->tenant);
	*ret_grant = grant;
	return 0;
}

static void rig_start(struct rig *rig)
{
	char path[64];
	memset(rig, 0, sizeof *rig);
	snprintf(rig->dir, sizeof rig->dir, "/tmp/access-cache-XXXXXX");
	rig->tenant = "acme";
	cr_assert_eq(crypto_start(NULL), 0);
	cr_assert_not_null(mkdtemp(rig->dir));
	cr_assert_eq(clock_new_simulated(START_MS, &rig->clock, NULL), 0);
	snprintf(path, sizeof path, "%s/online", rig->dir);
	cr_assert_eq(online_new(path, 16 * MIB, &rig->online, NULL), 0);
	snprintf(path, sizeof path, "%s/meter", rig->dir);
	cr_assert_eq(meter_new(path, &rig->meter, NULL), 0);
	struct access_cache_conf conf = {
		.clock = rig->clock, .online = rig->online, .meter = rig->meter,
		.ask = play_control, .context = rig,
	};
	cr_assert_eq(access_cache_new(&conf, &rig->cache, NULL), 0);
}

static void rig_stop(struct rig *rig)
{
	char command[80];
	access_cache_free(rig->cache);
	meter_free(rig->meter);
	online_free(rig->online);
	clock_free(rig->clock);
	snprintf(command, sizeof command, "rm -rf '%s'", rig->dir);
	cr_assert_eq(system(command), 0);
}

static struct access_want want_of(struct rig *rig, const char *credential, const char *list)
{
	struct access_want want = {
		.credential = credential, .features = list, .features_len = strlen(list),
	};
	access_cache_key(rig->cache, &want);
	return want;
}

static int fetch(struct rig *rig, const char *credential, const char *list, struct err *err)
{
	struct access_want want = want_of(rig, credential, list);
	struct access_plan *plan = NULL;
	int rc = access_cache_fetch(rig->cache, &want, &plan, err);
	access_plan_release(plan);
	return rc;
}

static bool is_kept(struct rig *rig, const char *credential, const char *list)
{
	struct access_want want = want_of(rig, credential, list);
	struct access_plan *plan = access_cache_get(rig->cache, &want);
	access_plan_release(plan);
	return plan != NULL;
}

Test(access_cache, a_plan_knows_columns_views_and_where_each_feature_goes)
{
	struct rig rig;
	struct access_plan *plan = NULL;
	rig_start(&rig);
	struct access_want want = want_of(&rig, "ann", "[\"v:b\",\"d.w:a\"]");
	cr_assert_eq(access_cache_fetch(rig.cache, &want, &plan, NULL), 0);
	cr_assert_eq(plan->column_count, 2);
	cr_expect_str_eq(plan->columns[0].name, "\"b\"");
	cr_expect_str_eq(plan->columns[1].name, "\"a\"");
	cr_expect_eq(plan->columns[0].view, 0);
	cr_expect_eq(plan->columns[1].view, 1);
	cr_expect_eq(plan->views[0].column_of[0], -1);
	cr_expect_eq(plan->views[0].column_of[1], 0);
	cr_expect_eq(plan->views[1].column_of[0], 1);
	access_plan_release(plan);
	rig_stop(&rig);
}

Test(access_cache, a_key_is_of_the_whole_credential_and_the_whole_list)
{
	struct rig rig;
	rig_start(&rig);
	cr_assert_eq(fetch(&rig, "ann", "[\"v:a\"]", NULL), 0);
	cr_expect(is_kept(&rig, "ann", "[\"v:a\"]"));
	cr_expect_not(is_kept(&rig, "an", "n[\"v:a\"]"));
	cr_expect_not(is_kept(&rig, "ann[", "\"v:a\"]"));
	cr_expect_not(is_kept(&rig, "bob", "[\"v:a\"]"));
	cr_expect_not(is_kept(&rig, "ann", "[\"v:b\"]"));
	struct access_want full = want_of(&rig, "ann", "[\"v:a\"]"), same = full;
	full.full_names = true;
	access_cache_key(rig.cache, &full);
	cr_expect(memcmp(full.key, same.key, DIGEST_BYTES) != 0);
	rig_stop(&rig);
}

Test(access_cache, what_one_address_was_granted_another_asks_for_itself)
{
	struct rig rig;
	rig_start(&rig);
	struct access_want here = want_of(&rig, "ann", "[\"v:a\"]"), there = here;
	here.address = "10.1.2.3";
	there.address = "192.0.2.1";
	access_cache_key(rig.cache, &here);
	access_cache_key(rig.cache, &there);
	struct access_plan *plan = NULL;
	cr_assert_eq(access_cache_fetch(rig.cache, &here, &plan, NULL), 0);
	access_plan_release(plan);
	plan = access_cache_get(rig.cache, &there);
	cr_expect_null(plan);
	plan = access_cache_get(rig.cache, &here);
	cr_expect_not_null(plan);
	access_plan_release(plan);
	rig_stop(&rig);
}

Test(access_cache, long_lists_have_keys_of_their_own_too)
{
	struct rig rig;
	AUTO_BUF list;
	buf_init(&list, MIB);
	rig_start(&rig);
	buf_puts(&list, "[\"v:a\"");
	for (int i = 0; i < 190; i++)
		buf_printf(&list, ",\"view-number-%d:a\"", i % 60);
	buf_puts(&list, "]");
	cr_assert_eq(buf_check(&list, NULL), 0);
	struct access_want one = want_of(&rig, "ann", (char *)list.data);
	list.data[2] = 'w';
	struct access_want two = want_of(&rig, "ann", (char *)list.data);
	struct access_want three = want_of(&rig, "bob", (char *)list.data);
	cr_expect(memcmp(one.key, two.key, DIGEST_BYTES) != 0);
	cr_expect(memcmp(two.key, three.key, DIGEST_BYTES) != 0);
	rig_stop(&rig);
}

Test(access_cache, what_was_revoked_while_it_was_asked_for_is_not_kept)
{
	struct rig rig;
	rig_start(&rig);
	rig.revoke_meanwhile = true;
	cr_expect_eq(fetch(&rig, "ann", "[\"v:a\"]", NULL), 0);
	cr_expect_not(is_kept(&rig, "ann", "[\"v:a\"]"));
	rig.revoke_meanwhile = false;
	cr_expect_eq(fetch(&rig, "ann", "[\"v:a\"]", NULL), 0);
	cr_expect(is_kept(&rig, "ann", "[\"v:a\"]"));
	rig_stop(&rig);
}

Test(access_cache, a_revoked_plan_lives_until_its_reader_lets_go)
{
	struct rig rig;
	struct access_plan *plan = NULL;
	struct access_cache_status status;
	rig_start(&rig);
	struct access_want want = want_of(&rig, "ann", "[\"v:a\"]");
	cr_assert_eq(access_cache_fetch(rig.cache, &want, &plan, NULL), 0);
	access_cache_drop(rig.cache, "acme");
	cr_expect_not(is_kept(&rig, "ann", "[\"v:a\"]"));
	access_cache_status(rig.cache, &status);
	cr_expect_eq(status.plans, 0);
	cr_expect_eq(status.views, 1);
	cr_expect_str_eq(plan->tenant, "acme");
	access_plan_release(plan);
	access_cache_status(rig.cache, &status);
	cr_expect_eq(status.views, 0);
	rig_stop(&rig);
}

Test(access_cache, plans_share_an_open_view_and_more_than_fit_make_room)
{
	struct rig rig;
	struct access_cache_status status;
	char credential[32];
	rig_start(&rig);
	for (int i = 0; i < 4100; i++) {
		snprintf(credential, sizeof credential, "caller %d", i);
		cr_assert_eq(fetch(&rig, credential, "[\"v:a\"]", NULL), 0);
	}
	access_cache_status(rig.cache, &status);
	cr_expect_eq(status.views, 1);
	cr_expect_leq(status.plans, 4096);
	cr_expect_gt(status.plans, 0);
	cr_expect_eq(rig.asked, 4100);
	rig_stop(&rig);
}

Test(access_cache, an_unknown_feature_and_equal_names_are_refused_and_leak_nothing)
{
	struct rig rig;
	struct access_cache_status status;
	struct err err = { 0 };
	rig_start(&rig);
	cr_expect_eq(fetch(&rig, "ann", "[\"v:c\"]", &err), E_NOT_FOUND);
	cr_expect_not_null(strstr(err.text, "\"v\" has no feature \"c\""), "%s", err.text);
	cr_expect_eq(fetch(&rig, "ann", "[\"v:a\",\"w:a\"]", &err), E_INVALID);
	cr_expect_eq(fetch(&rig, "ann", "[\"v\"]", &err), E_INVALID);
	access_cache_status(rig.cache, &status);
	cr_expect_eq(status.views, 0);
	cr_expect_eq(status.refused, 3);
	rig_stop(&rig);
}
