/* test_quota.c - limits, windows, holds and prices. */
#include "common/defs.h"
#include "tenant/quota.h"

#include <criterion/criterion.h>
#include <string.h>

static const int64_t noon = 1795348800000;       /* 2026-11-22T12:00:00Z */
static const int64_t day = 86400000;

struct fixture {
	struct quota *quota;
	struct arena *arena;
	struct err err;
};

static struct fixture fixture_new(void)
{
	struct fixture f = { 0 };
	cr_assert_eq(quota_new("globex", &f.quota, &f.err), 0);
	cr_assert_eq(arena_new(MIB, &f.arena, &f.err), 0);
	return f;
}

static void fixture_end(struct fixture *f)
{
	quota_free(f->quota);
	arena_free(f->arena);
}

static void limit(struct fixture *f, const char *name, const char *window, const char *field,
                  int64_t most)
{
	struct value *spec = value_map(f->arena);
	value_set_str(spec, "window", window);
	value_set_int(spec, field, most);
	cr_assert_eq(quota_limit(f->quota, name, spec, &f->err), 0);
}

static struct amounts one(enum dim dim, int64_t amount)
{
	struct amounts amounts = { { 0 } };
	amounts.v[dim] = amount;
	return amounts;
}

static void charge(struct fixture *f, const char *domain, enum dim dim, int64_t amount, int64_t at)
{
	struct amounts amounts = one(dim, amount);
	cr_assert_eq(quota_charge(f->quota, domain, &amounts, at, &f->err), 0);
}

Test(quota, refusal_names_the_rule_the_numbers_and_the_way_out)
{
	struct fixture f = fixture_new();
	struct hold held, more;
	struct amounts second = one(DIM_CPU_MS, 1000);
	limit(&f, "default", "day", "cpuSeconds", 4);
	charge(&f, "ops", DIM_CPU_MS, 3200 - 1000, noon);
	cr_assert_eq(quota_reserve(f.quota, "ops", &second, noon, &held, &f.err), 0);
	charge(&f, "ops", DIM_CPU_MS, 1000, noon);
	cr_assert_eq(quota_reserve(f.quota, "dev", &second, noon, &more, &f.err), E_QUOTA);
	cr_assert_str_eq(f.err.text, "quota \"default\" of tenant globex: cpuSeconds used 3.2 + "
	                 "reserved 1 + asked 1 is over the limit 4 in the day that ends "
	                 "2026-11-23T00:00:00Z; wait until then or ask the platform operator to "
	                 "raise it");
	fixture_end(&f);
}

Test(quota, starts_anew_with_its_window)
{
	struct fixture f = fixture_new();
	struct amounts ask = one(DIM_TASKS, 1), used;
	limit(&f, "daily", "day", "tasks", 1);
	charge(&f, "ops", DIM_TASKS, 1, noon);
	cr_assert_eq(quota_check(f.quota, "ops", &ask, noon, &f.err), E_QUOTA);
	cr_assert_eq(quota_check(f.quota, "ops", &ask, noon + day, &f.err), 0);
	limit(&f, "monthly", "month", "tasks", 1);
	cr_assert_eq(quota_check(f.quota, "ops", &ask, noon + day, &f.err), E_QUOTA);
	cr_assert(strstr(f.err.text, "month that ends 2026-12-01T00:00:00Z"), "%s", f.err.text);
	cr_assert_eq(quota_check(f.quota, "ops", &ask, noon + 9 * day, &f.err), 0);
	quota_used(f.quota, NULL, noon + 40 * day, "total", &used);
	cr_assert_eq(used.v[DIM_TASKS], 1);
	fixture_end(&f);
}

Test(quota, a_late_charge_does_not_reopen_an_earlier_day)
{
	struct fixture f = fixture_new();
	struct amounts used;
	charge(&f, "ops", DIM_TASKS, 1, noon + day);
	charge(&f, "ops", DIM_TASKS, 5, noon);
	quota_used(f.quota, "ops", noon + day, "day", &used);
	cr_assert_eq(used.v[DIM_TASKS], 1);
	quota_used(f.quota, "ops", noon + day, "month", &used);
	cr_assert_eq(used.v[DIM_TASKS], 6);
	fixture_end(&f);
}

Test(quota, a_level_goes_down_again)
{
	struct fixture f = fixture_new();
	struct amounts ask = one(DIM_BYTES_STORED, 20);
	limit(&f, "disk", "day", "bytesStored", 100);
	charge(&f, "ops", DIM_BYTES_STORED, 90, noon);
	cr_assert_eq(quota_check(f.quota, "ops", &ask, noon + 3 * day, &f.err), E_QUOTA);
	cr_assert(strstr(f.err.text, "delete data"), "%s", f.err.text);
	charge(&f, "ops", DIM_BYTES_STORED, -50, noon + day);
	cr_assert_eq(quota_check(f.quota, "ops", &ask, noon + 3 * day, &f.err), 0);
	fixture_end(&f);
}

Test(quota, a_domains_limit_leaves_other_domains_alone)
{
	struct fixture f = fixture_new();
	struct amounts ask = one(DIM_TASKS, 1);
	struct value *spec = value_map(f.arena);
	value_set_str(spec, "domain", "ops");
	value_set_int(spec, "tasks", 0);
	cr_assert_eq(quota_limit(f.quota, "ops-only", spec, &f.err), 0);
	cr_assert_eq(quota_check(f.quota, "ops", &ask, noon, &f.err), E_QUOTA);
	cr_assert_eq(quota_check(f.quota, "dev", &ask, noon, &f.err), 0);
	cr_assert_eq(quota_limit(f.quota, "ops-only", NULL, &f.err), 0);
	cr_assert_eq(quota_check(f.quota, "ops", &ask, noon, &f.err), 0);
	fixture_end(&f);
}

Test(quota, reserved_is_the_sum_of_open_holds_through_any_history)
{
	struct fixture f = fixture_new();
	struct hold holds[32] = { 0 };
	struct amounts sum, reserved;
	uint64_t seed = 42;
	static const char *const domains[] = { "a", "b", "c" };
	for (int step = 0; step < 5000; step++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		size_t i = (seed >> 33) % ARRAY_LEN(holds);
		struct amounts ask = one((enum dim)((seed >> 40) % DIM_COUNT_),
		                         (int64_t)(seed >> 50));
		if (!holds[i].open)
			cr_assert_eq(quota_take(f.quota, domains[(seed >> 45) % 3], &ask, &holds[i],
			                        &f.err), 0);
		else if (seed >> 63)
			quota_rehold(f.quota, &holds[i], &ask);
		else
			quota_release(f.quota, &holds[i]);
		memset(&sum, 0, sizeof sum);
		for (size_t j = 0; j < ARRAY_LEN(holds); j++)
			if (holds[j].open)
				amounts_add(&sum, &holds[j].amounts);
		quota_reserved(f.quota, &reserved);
		cr_assert_eq(memcmp(&sum, &reserved, sizeof sum), 0, "step %d", step);
	}
	fixture_end(&f);
}

Test(rate, cost_rounds_half_up_per_dimension_and_saturates)
{
	struct fixture f = fixture_new();
	struct value *card = value_map(f.arena);
	value_set_int(card, "cpuSecond", 10);
	value_set_int(card, "gibRead", 1000);
	struct amounts amounts = one(DIM_CPU_MS, 150);       /* 1.5 micro-units */
	cr_assert_eq(rate_cost(card, &amounts), 2);
	amounts.v[DIM_BYTES_READ] = 536870912;               /* half a GiB */
	cr_assert_eq(rate_cost(card, &amounts), 502);
	amounts.v[DIM_BYTES_READ] = -1;
	cr_assert_eq(rate_cost(card, &amounts), 2);
	value_set_int(card, "cpuSecond", INT64_MAX);
	amounts.v[DIM_CPU_MS] = INT64_MAX;
	cr_assert_eq(rate_cost(card, &amounts), INT64_MAX);
	cr_assert_eq(rate_cost(NULL, &amounts), 0);
	fixture_end(&f);
}

Test(rate, amounts_survive_a_record)
{
	struct fixture f = fixture_new();
	struct amounts back, amounts = one(DIM_ROWS, 7);
	amounts.v[DIM_BYTES_STORED] = -3;
	amounts_read(amounts_value(f.arena, &amounts), &back);
	cr_assert_eq(memcmp(&amounts, &back, sizeof back), 0);
	fixture_end(&f);
}
