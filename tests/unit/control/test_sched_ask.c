/* test_sched_ask.c - what who admits tasks asks the scheduler. */
#include "common/defs.h"
#include "control/sched_ask.h"

#include <criterion/criterion.h>
#include <string.h>

static struct arena *arena;
static struct sched *sched;
static struct err err;

static void begin(void)
{
	const struct sched_conf conf = { .seed = 1 };
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	cr_assert_eq(sched_new(&conf, &sched, &err), 0, "%s", err.text);
}

static void end(void)
{
	sched_free(sched);
	arena_free(arena);
}

TestSuite(sched_ask, .init = begin, .fini = end);

static void add_worker(const char *name, int64_t cpu, const struct label *label)
{
	const struct sched_worker worker = {
		.name = name, .labels = label, .label_count = label != NULL,
		.total = { { cpu, (int64_t)4096 * MIB, 4 } },
	};
	cr_assert_eq(sched_worker_set(sched, &worker, &err), 0, "%s", err.text);
}

static const char *never(int64_t cpu, const char *pool, const struct label *selector)
{
	const struct sched_spec spec = {
		.tenant = "acme", .domain = "ops", .pool = pool, .selector = selector,
		.selector_count = selector != NULL, .demand = { { cpu, MIB, 1 } },
	};
	return sched_never(sched, &spec, arena);
}

Test(sched_ask, what_no_worker_of_a_pool_could_hold_is_known_by_how_much)
{
	const struct label zone = { "zone", "a" }, other = { "zone", "b" };
	cr_expect_null(never(64000, NULL, NULL), "no worker is known: nobody knows");
	add_worker("w1", 4000, NULL);
	add_worker("w2", 8000, &zone);
	cr_expect_null(never(8000, NULL, NULL));
	const char *why = never(8001, NULL, NULL);
	cr_assert_not_null(why);
	cr_expect(strstr(why, "8001") && strstr(why, "w2") && strstr(why, "8000"), "%s", why);
	cr_expect_null(never(8000, NULL, &zone));
	cr_expect_not_null(never(8001, NULL, &zone));
	cr_expect_null(never(64000, NULL, &other), "a worker with that label may come");
	cr_expect_null(never(64000, "gpu", NULL));
}

Test(sched_ask, who_is_to_come_back_is_told_by_the_rate_of_starts)
{
	struct sched_entry entries[64];
	const struct sched_spec spec = { .tenant = "acme", .domain = "ops",
	                                 .demand = { { 1, 1, 1 } } };
	memset(entries, 0, sizeof entries);
	cr_expect_eq(sched_soon_s(sched, 1, 0), 10, "nothing starts");
	add_worker("w1", 4000, NULL);
	for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
		cr_assert_eq(sched_add(sched, &entries[i], &spec, 0, &err), 0);
		cr_assert_not_null(sched_pick(sched, "w1", (int64_t)i));
		sched_remove(sched, &entries[i]);
	}
	int64_t one = sched_soon_s(sched, 1, 64), many = sched_soon_s(sched, 20, 64);
	cr_expect_eq(one, 1);
	cr_expect(many > one && many <= 30, "%d", (int)many);
	cr_expect_eq(sched_soon_s(sched, 1000000, 64), 30);
}
