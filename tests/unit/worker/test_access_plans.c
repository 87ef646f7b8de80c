/* The cache of access grants with the online store behind it: whose plans go, when they end, what
 * control's refusals leave, and allocations that fail. */
#include "common/defs.h"
#include "worker/access_cache.h"

#include "tests/support/alloc.h"
#include "tests/support/shelf.h"
#include "worker/ask.h"
#include "worker/lookup.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct shelf shelf;
static void setup(void)
{
	shelf_open(&shelf);
}
static void teardown(void)
{
	shelf_close(&shelf);
}
TestSuite(access_plans, .init = setup, .fini = teardown);

#define TWO "['delays:departures','delays:delay']"

static struct access_plan *fetch(const char *credential, const char *features, bool full)
{
	struct access_want want = shelf_want(&shelf, credential, features, full);
	struct access_plan *plan = NULL;
	struct err err = { 0 };
	cr_assert_eq(access_cache_fetch(shelf.cache, &want, &plan, &err), 0, "%s", err.text);
	return plan;
}

static bool is_kept(const char *credential, const char *features)
{
	struct access_want want = shelf_want(&shelf, credential, features, false);
	struct access_plan *plan = access_cache_get(shelf.cache, &want);
	access_plan_release(plan);
	return plan != NULL;
}

static void refuse(const char *features, int code, const char *text)
{
	struct access_want want = shelf_want(&shelf, "key", features, false);
	struct access_plan *plan = NULL;
	struct err err = { 0 };
	cr_expect_eq(access_cache_fetch(shelf.cache, &want, &plan, &err), code, "%s: %s", features,
	             err.text);
	cr_expect_not_null(strstr(err.text, text), "\"%s\" is not in: %s", text, err.text);
	cr_expect_null(plan);
	cr_expect_not(is_kept("key", features));
}

static struct access_cache_status status(void)
{
	struct access_cache_status status;
	access_cache_status(shelf.cache, &status);
	return status;
}

Test(access_plans, end_when_the_grant_does)
{
	access_plan_release(fetch("key", TWO, false));
	clock_advance(shelf.clock, SHELF_GRANT_MS - 1);
	cr_expect(is_kept("key", TWO));
	clock_advance(shelf.clock, 1);
	cr_expect_not(is_kept("key", TWO));
	access_plan_release(fetch("key", TWO, false));
	cr_expect_eq(shelf.asked, 2);
	cr_expect_eq(status().plans, 1, "the new one took the place of the old");
	cr_expect(is_kept("key", TWO));
}

Test(access_plans, of_one_tenant_go_without_the_others)
{
	access_plan_release(fetch("ours", TWO, false));
	shelf.tenant = "globex";
	access_plan_release(fetch("theirs", TWO, false));
	cr_expect_eq(status().views, 2, "the same view of two tenants is two");
	access_cache_drop(shelf.cache, "acme");
	cr_expect_not(is_kept("ours", TWO));
	cr_expect(is_kept("theirs", TWO));
	access_cache_drop(shelf.cache, "nobody");
	access_cache_drop(shelf.cache, "glob");
	cr_expect_eq(status().plans, 1);
	cr_expect_eq(status().views, 1);
}

Test(access_plans, are_not_made_of_refusals)
{
	shelf.refuse = E_DENIED;
	refuse(TWO, E_DENIED, "control says no");
	refuse(TWO, E_DENIED, "control says no");
	cr_expect_eq(shelf.asked, 2);
	cr_expect_eq(status().refused, 2);
	shelf.refuse = 0;
	access_plan_release(fetch("key", TWO, false));
	cr_expect_eq(status().refused, 2);
}

Test(access_plans, of_malformed_lists_and_too_many_views_are_refused_unasked)
{
	char list[4096] = "[";
	size_t at = 1;
	for (int i = 0; i <= GRANT_TABLES_MAX; i++)
		at += (size_t)snprintf(list + at, sizeof list - at, "%s'v%d:late'", i ? "," : "",
		                       i);
	snprintf(list + at, sizeof list - at, "]");
	refuse(list, E_INVALID, "of 65 views, at most 64");
	refuse("['delays']", E_INVALID, "features");
	refuse("[]", E_INVALID, "features");
	refuse("{}", E_INVALID, "features");
	cr_expect_eq(shelf.asked, 0);
	refuse("['elsewhere.delays:late']", E_NOT_FOUND, "\"elsewhere.delays\"");
	cr_expect_eq(shelf.asked, 1);
	cr_expect_eq(status().views, 0);
}

static void linger(struct shelf *at)
{
	(void)at;
	usleep(50000);
}

static void *fetch_refused(void *context)
{
	struct access_plan *plan = NULL;
	struct err err = { 0 };
	int rc = access_cache_fetch(shelf.cache, context, &plan, &err);
	return rc == E_QUOTA && err.code == E_QUOTA && !plan ? context : NULL;
}

Test(access_plans, a_refusal_is_told_to_all_who_waited_for_it)
{
	pthread_t threads[4];
	struct access_want want = shelf_want(&shelf, "key", TWO, false);
	shelf.during = linger;
	shelf.refuse = E_QUOTA;
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, fetch_refused, &want), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		void *right = NULL;
		pthread_join(threads[i], &right);
		cr_expect_not_null(right);
	}
	cr_expect_eq(status().asked, shelf.asked);
	cr_expect_eq(status().refused, shelf.asked);
}

/* What lookup prints for one airport of one plan. */
static const char *look(const char *features, const char *airport)
{
	struct access_plan *plan = fetch("key", features, true);
	struct ask ask;
	struct lookup_room room;
	struct buf out;
	struct err err = { 0 };
	const char *body = shelf_json(&shelf, arena_printf(shelf.arena, "{'features':%s,"
	                              "'entities':{'airport':['%s']}}", features, airport));
	buf_init(&out, MIB);
	cr_assert_eq(ask_parse(shelf.arena, body, strlen(body), &ask, &err), 0, "%s", err.text);
	cr_assert_eq(lookup_room_new(shelf.arena, plan, &ask, &room, &err), 0, "%s", err.text);
	cr_assert_eq(lookup_print(plan, &ask, SHELF_MS * 1000, &room, shelf.meter, &out, &err), 0,
	             "%s", err.text);
	const char *text = arena_strndup(shelf.arena, (char *)out.data, out.len);
	buf_release(&out);
	access_plan_release(plan);
	return text;
}

static void expect_in(const char *text, const char *part)
{
	cr_expect_not_null(strstr(text, part), "%s is not in: %s", part, text);
}

Test(access_plans, read_several_views_each_into_its_columns)
{
	shelf_put(&shelf, "delays", "ATL", SHELF_MS * 1000, "[12,3.25,'Atlanta',true]");
	shelf_put(&shelf, "other", "ATL", SHELF_MS * 1000, "[99,null,'x',false]");
	const char *text = look("['other:delay','delays:delay','other:departures']", "ATL");
	expect_in(text, "[\"airport\",\"other__delay\",\"delays__delay\",\"other__departures\"]");
	expect_in(text, "{\"values\":[null],\"statuses\":[\"NULL_VALUE\"]");
	expect_in(text, "{\"values\":[3.25],\"statuses\":[\"PRESENT\"]");
	expect_in(text, "{\"values\":[99],\"statuses\":[\"PRESENT\"]");
	cr_expect_eq(meter_total(shelf.meter), 2, "one row of two views");
}

Test(access_plans, a_value_is_fresh_to_the_last_microsecond_of_its_time)
{
	int64_t oldest = (SHELF_MS - SHELF_TTL_MS) * 1000;
	shelf_put(&shelf, "delays", "NEW", oldest, "[1,1.5,'a',true]");
	shelf_put(&shelf, "delays", "OLD", oldest - 1, "[1,1.5,'a',true]");
	expect_in(look("['delays:departures']", "NEW"),
	          "{\"values\":[1],\"statuses\":[\"PRESENT\"]");
	expect_in(look("['delays:departures']", "OLD"),
	          "{\"values\":[1],\"statuses\":[\"OUTSIDE_MAX_AGE\"]");
}

Test(access_plans, times_beyond_the_calendar_are_its_first_and_last_second)
{
	shelf_put(&shelf, "delays", "FIRST", INT64_MIN, "[1,1.5,'a',true]");
	shelf_put(&shelf, "delays", "LAST", INT64_MAX, "[1,1.5,'a',true]");
	expect_in(look("['delays:departures']", "FIRST"), "[\"0001-01-01T00:00:00");
	expect_in(look("['delays:departures']", "LAST"), "[\"9999-12-31T23:59:59");
}

Test(access_plans, each_allocation_may_fail)
{
	for (long n = 0;; n++) {
		AUTO(access_cache) *cache = NULL;
		struct access_plan *plan = NULL;
		struct access_cache_conf conf = {
			.clock = shelf.clock, .online = shelf.online, .meter = shelf.meter,
		};
		struct access_want want = shelf_want(&shelf, "key", TWO, false);
		access_cache_drop(shelf.cache, "acme");
		alloc_fail_after(n);
		int rc = access_cache_new(&conf, &cache, NULL);
		if (rc == 0)
			rc = access_cache_fetch(shelf.cache, &want, &plan, NULL);
		bool fired = alloc_fired();
		alloc_fail_after(-1);
		access_plan_release(plan);
		cr_assert(rc == 0 || (fired && rc == E_NOMEM && !plan), "allocation %ld: %d", n,
		          rc);
		if (!fired)
			break;
	}
	access_cache_drop(shelf.cache, "acme");
	cr_expect_eq(status().plans, 0);
	cr_expect_eq(status().views, 0);
}
