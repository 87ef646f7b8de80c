/* test_clock.c - time, waiting and time as text. */
#include "common/defs.h"
#include "common/clock.h"
#include "tests/support/alloc.h"

#include <criterion/criterion.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

Test(clock, simulated_time_moves_only_when_advanced)
{
	AUTO(clock) *clock = NULL;
	struct err err;
	cr_assert_eq(clock_new_simulated(1000000000000, &clock, &err), 0);
	int64_t mono = clock_mono_ms(clock);
	cr_expect_gt(mono, 0);
	cr_expect_eq(clock_unix_ms(clock), 1000000000000);
	clock_advance(clock, 1500);
	cr_expect_eq(clock_unix_ms(clock), 1000000001500);
	cr_expect_eq(clock_mono_ms(clock), mono + 1500);
	cr_expect_eq(clock_mono_us(clock), (mono + 1500) * 1000);
}

struct sleeper {
	struct clock *clock;
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	int64_t deadline_mono_ms;
	bool waiting;
	bool signalled;
	bool timed_out;
	atomic_bool done;
	pthread_t thread;
};

static void *sleep_until(void *arg)
{
	struct sleeper *sleeper = arg;
	pthread_mutex_lock(&sleeper->mutex);
	sleeper->waiting = true;
	bool in_time = true;
	while (!sleeper->signalled && in_time)
		in_time = clock_wait(sleeper->clock, &sleeper->cond, &sleeper->mutex,
		                     sleeper->deadline_mono_ms);
	sleeper->timed_out = !in_time;
	pthread_mutex_unlock(&sleeper->mutex);
	atomic_store(&sleeper->done, true);
	return NULL;
}

static void sleeper_start(struct sleeper *sleeper, struct clock *clock, int64_t ms)
{
	*sleeper = (struct sleeper){ .clock = clock };
	sleeper->deadline_mono_ms = clock_mono_ms(clock) + ms;
	pthread_mutex_init(&sleeper->mutex, NULL);
	clock_cond_init(&sleeper->cond);
	cr_assert_eq(pthread_create(&sleeper->thread, NULL, sleep_until, sleeper), 0);
	for (bool waiting = false; !waiting; sched_yield()) {
		pthread_mutex_lock(&sleeper->mutex);
		waiting = sleeper->waiting;
		pthread_mutex_unlock(&sleeper->mutex);
	}
}

static void sleeper_join(struct sleeper *sleeper)
{
	pthread_join(sleeper->thread, NULL);
	pthread_cond_destroy(&sleeper->cond);
	pthread_mutex_destroy(&sleeper->mutex);
}

Test(clock, advance_wakes_those_whose_deadline_it_passes)
{
	enum { COUNT = 8 };
	struct sleeper sleepers[COUNT];
	AUTO(clock) *clock = NULL;
	struct err err;
	cr_assert_eq(clock_new_simulated(0, &clock, &err), 0);
	for (int i = 0; i < COUNT; i++)
		sleeper_start(&sleepers[i], clock, 100 * (i + 1));
	clock_advance(clock, 99);
	for (int i = 0; i < COUNT; i++)
		cr_expect_not(atomic_load(&sleepers[i].done));
	clock_advance(clock, 301);
	for (int i = 0; i < 4; i++) {
		sleeper_join(&sleepers[i]);
		cr_expect(sleepers[i].timed_out);
	}
	for (int i = 4; i < COUNT; i++)
		cr_expect_not(atomic_load(&sleepers[i].done));
	clock_advance(clock, 1000);
	for (int i = 4; i < COUNT; i++)
		sleeper_join(&sleepers[i]);
}

Test(clock, a_signal_wakes_before_the_deadline)
{
	struct sleeper sleeper;
	AUTO(clock) *clock = NULL;
	struct err err;
	cr_assert_eq(clock_new_simulated(0, &clock, &err), 0);
	struct clock *both[] = { clock, clock_system() };
	for (int i = 0; i < 2; i++) {
		sleeper_start(&sleeper, both[i], 3600000);
		pthread_mutex_lock(&sleeper.mutex);
		sleeper.signalled = true;
		pthread_cond_signal(&sleeper.cond);
		pthread_mutex_unlock(&sleeper.mutex);
		sleeper_join(&sleeper);
		cr_expect_not(sleeper.timed_out);
	}
}

Test(clock, no_wake_up_is_lost_in_a_race)
{
	AUTO(clock) *clock = NULL;
	struct err err;
	cr_assert_eq(clock_new_simulated(0, &clock, &err), 0);
	for (int i = 0; i < 500; i++) {
		struct sleeper sleeper;
		sleeper_start(&sleeper, clock, 1);
		clock_advance(clock, 1);
		sleeper_join(&sleeper);
		cr_assert(sleeper.timed_out);
	}
}

Test(clock, waiting_for_the_past_returns_at_once)
{
	AUTO(clock) *clock = NULL;
	struct err err;
	cr_assert_eq(clock_new_simulated(0, &clock, &err), 0);
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t cond;
	clock_cond_init(&cond);
	pthread_mutex_lock(&mutex);
	cr_expect_not(clock_wait(clock, &cond, &mutex, clock_mono_ms(clock)));
	cr_expect_not(clock_wait(clock_system(), &cond, &mutex, clock_mono_ms(clock_system())));
	cr_expect_not(clock_wait(clock_system(), &cond, &mutex, -1));
	pthread_mutex_unlock(&mutex);
	pthread_cond_destroy(&cond);
}

Test(clock, the_machines_deadline_passes_by_itself)
{
	struct sleeper sleeper;
	sleeper_start(&sleeper, clock_system(), 20);
	sleeper_join(&sleeper);
	cr_expect(sleeper.timed_out);
	cr_expect_geq(clock_mono_ms(clock_system()), sleeper.deadline_mono_ms);
}

Test(clock, a_failed_allocation_is_reported)
{
	struct clock *clock = NULL;
	struct err err;
	alloc_fail_after(0);
	cr_expect_eq(clock_new_simulated(0, &clock, &err), E_NOMEM);
	alloc_fail_after(-1);
	cr_expect_null(clock);
}

static void reads(const char *text, int64_t unix_ms)
{
	struct err err = { 0 };
	int64_t got = 0;
	cr_expect_eq(time_parse(text, &got, &err), 0, "%s: %s", text, err.text);
	cr_expect_eq(got, unix_ms, "%s gave %ld", text, (long)got);
}

Test(time, reads_rfc_3339)
{
	reads("1970-01-01T00:00:00Z", 0);
	reads("1970-01-01t00:00:00z", 0);
	reads("1970-01-01 00:00:00.001Z", 1);
	reads("2001-09-09T01:46:40Z", 1000000000000);
	reads("2001-09-09T03:46:40+02:00", 1000000000000);
	reads("2001-09-08T20:16:40.5-05:30", 1000000000500);
	reads("2001-09-09T01:46:40.123456789Z", 1000000000123);
	reads("2000-02-29T00:00:00Z", 951782400000);
	reads("2016-12-31T23:59:60Z", 1483228800000);
	reads("2017-01-01T00:59:60+01:00", 1483228800000);
	reads("0001-01-01T00:00:00Z", -62135596800000);
	reads("9999-12-31T23:59:59.999Z", 253402300799999);
}

Test(time, refuses_what_is_no_time)
{
	static const char *const bad[] = { "", "2001-01-01", "2001-01-01T00:00:00",
		"2001-13-01T00:00:00Z",
		"2001-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2001-04-31T00:00:00Z",
		"2001-01-01T24:00:00Z", "2001-01-01T00:60:00Z", "2001-01-01T00:00:61Z",
		"2001-01-01T00:00:60Z", "2001-01-01T00:00:00.Z", "2001-01-01T00:00:00Zx",
		"2001-01-01T00:00:00+0100", "2001-01-01T00:00:00+24:00", "0000-01-01T00:00:00Z",
		"0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-00:01", "+2001-01-01T00:00:00Z",
		"2001-1-01T00:00:00Z" };
	struct err err;
	int64_t got = 7;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_expect_eq(time_parse(bad[i], &got, &err), E_INVALID, "%s", bad[i]);
	cr_expect_eq(time_parse(NULL, &got, &err), E_INVALID);
	cr_expect_eq(got, 7);
}

Test(time, prints_what_it_reads_for_every_day_of_four_centuries)
{
	char text[TIME_TEXT_MAX];
	struct err err;
	for (int64_t day = -146097 / 2; day < 146097; day++) {
		int64_t ms = day * 86400000 + 86399999, back = 0;
		cr_assert_eq(time_parse(time_print_ms(ms, text), &back, &err), 0, "%s", text);
		cr_assert_eq(back, ms, "%s", text);
	}
	cr_expect_str_eq(time_print_s(-1, text), "1969-12-31T23:59:59Z");
	cr_expect_str_eq(time_print_ms(-1, text), "1969-12-31T23:59:59.999Z");
	cr_expect_str_eq(time_print_ms(INT64_MIN, text), "0001-01-01T00:00:00.000Z");
	cr_expect_str_eq(time_print_ms(INT64_MAX, text), "9999-12-31T23:59:59.999Z");
}

Test(duration, reads_sums_of_units)
{
	static const struct { const char *text; int64_t ms; } good[] = {
		{ "90s", 90000 }, { "15m", 900000 }, { "24h", 86400000 }, { "7d", 604800000 },
		{ "1h30m", 5400000 }, { "1d2h3m4s5ms", 93784005 }, { "0s", 0 }, { "250ms", 250 },
	};
	struct err err;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		int64_t ms = -1;
		cr_expect_eq(duration_parse(good[i].text, &ms, &err), 0, "%s", good[i].text);
		cr_expect_eq(ms, good[i].ms, "%s", good[i].text);
	}
}

Test(duration, refuses_what_is_ambiguous_or_too_long)
{
	static const char *const bad[] = { "", "90", "s", "-1s", "1.5h", "1h 30m", "30m1h",
		"1s1s", "1x",
		"1hh", "1h30", "9223372036854775808ms", "106751991168d", "99999999999999999999s" };
	struct err err;
	int64_t ms = 7;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_expect_eq(duration_parse(bad[i], &ms, &err), E_INVALID, "%s", bad[i]);
	cr_expect_eq(duration_parse(NULL, &ms, &err), E_INVALID);
	cr_expect_eq(ms, 7);
}

Test(duration, prints_what_it_reads)
{
	static const int64_t all[] = { 0, 1, 999, 1000, 59999, 60000, 5400000, 86400000, 93784005,
	                               INT64_MAX };
	char text[TIME_TEXT_MAX];
	struct err err;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		int64_t back = -1;
		duration_print(all[i], text);
		cr_assert_eq(duration_parse(text, &back, &err), 0, "%s", text);
		cr_expect_eq(back, all[i], "%s", text);
	}
	cr_expect_str_eq(duration_print(5400000, text), "1h30m");
	cr_expect_str_eq(duration_print(-1500, text), "-1s500ms");
	cr_expect_lt(strlen(duration_print(INT64_MIN, text)), TIME_TEXT_MAX - 1);
}
