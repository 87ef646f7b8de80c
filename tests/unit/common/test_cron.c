/* test_cron.c - see common/cron.h. The oracle walks every minute of years in which clocks change,
 * by libc's time zones, and fires as the header says. */
#include "common/defs.h"
#include "common/cron.h"

#include "common/clock.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t at(const char *utc)
{
	int64_t unix_ms = 0;
	cr_assert_eq(time_parse(utc, &unix_ms, NULL), 0, "%s", utc);
	return unix_ms;
}

static struct cron parse(const char *text)
{
	struct cron cron;
	struct err err = {0};
	cr_assert_eq(cron_parse(text, &cron, &err), 0, "%s: %s", text, err.text);
	return cron;
}

static struct zone *open_zone(const char *name)
{
	struct zone *zone = NULL;
	struct err err = {0};
	cr_assert_eq(zone_open(name, &zone, &err), 0, "%s", err.text);
	return zone;
}

static const char *next(const char *text, const char *zone_name, const char *after)
{
	static char out[TIME_TEXT_MAX];
	struct cron cron = parse(text);
	AUTO(zone) *zone = open_zone(zone_name);
	return time_print_s(cron_next(&cron, zone, at(after)), out);
}

/* --- what it is --- */

Test(cron, fires_strictly_after)
{
	cr_expect_str_eq(next("*/15 * * * *", "UTC", "2024-01-01T00:00:00Z"),
	                 "2024-01-01T00:15:00Z");
	cr_expect_str_eq(next("*/15 * * * *", "UTC", "2024-01-01T00:14:59.999Z"),
	                 "2024-01-01T00:15:00Z");
	cr_expect_str_eq(next("0 0 29 2 *", "UTC", "2024-03-01T00:00:00Z"), "2028-02-29T00:00:00Z");
	cr_expect_str_eq(next("0 0 29 2 *", "UTC", "1896-03-01T00:00:00Z"), "1904-02-29T00:00:00Z");
}

Test(cron, takes_names_lists_ranges_steps_and_short_forms)
{
	cr_expect_str_eq(next("5,50 9-17/4 * * mon-FRI", "UTC", "2024-06-07T17:51:00Z"),
	                 "2024-06-10T09:05:00Z");
	cr_expect_str_eq(next("0 12 1 jan,Jul *", "UTC", "2024-01-02T00:00:00Z"),
	                 "2024-07-01T12:00:00Z");
	cr_expect_str_eq(next("0 0 * * 7", "UTC", "2024-06-03T00:00:00Z"), "2024-06-09T00:00:00Z");
	cr_expect_str_eq(next("0 0 * * fri-sun", "UTC", "2024-06-08T00:00:00Z"),
	                 "2024-06-09T00:00:00Z");
	cr_expect_str_eq(next("@weekly", "UTC", "2024-06-03T00:00:00Z"), "2024-06-09T00:00:00Z");
	cr_expect_str_eq(next(" 0   0\t1 1 * ", "UTC", "2024-06-03T00:00:00Z"),
	                 "2025-01-01T00:00:00Z");
	cr_expect_str_eq(next("@yearly", "UTC", "2024-06-03T00:00:00Z"), "2025-01-01T00:00:00Z");
}

Test(cron, matches_either_day_where_both_are_restricted)
{
	cr_expect_str_eq(next("0 0 13 * fri", "UTC", "2024-06-08T00:00:00Z"),
	                 "2024-06-13T00:00:00Z");
	cr_expect_str_eq(next("0 0 13 * fri", "UTC", "2024-06-13T00:00:00Z"),
	                 "2024-06-14T00:00:00Z");
	cr_expect_str_eq(next("0 0 */13 * fri", "UTC", "2024-06-08T00:00:00Z"),
	                 "2024-06-14T00:00:00Z", "a star with a step does not restrict: both");
}

Test(cron, names_the_character_at_which_it_is_wrong)
{
	static const struct { const char *text; int position; } rows[] = {
		{"", 1}, {"60 * * * *", 1}, {"* 24 * * *", 3}, {"0 0 0 * *", 5}, {"0 0 32 * *", 5},
		{"0 0 * 13 *", 7}, {"0 0 * * 8", 9}, {"0 0 * foo *", 7}, {"0 0 * * mond", 9},
		{"0 0 * *", 8}, {"0 0 * * * *", 11}, {"5-1 * * * *", 1}, {"*/0 * * * *", 3},
		{"1,,2 * * * *", 3}, {"1- * * * *", 3}, {"x * * * *", 1}, {"1;2 * * * *", 2},
		{"5/10 * * * *", 2}, {"0 0 L * *", 5}, {"0 0 30 2 *", 6}, {"@often", 1},
		{"* * * * sun#2", 12}, {"0 jan * * *", 3}, {"99999999999999999999 * * * *", 1},
		{"0 0 * * */9", 11}, {"0 0 31 2,4,6,9,11 *", 6},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct cron cron;
		struct err err = {0};
		char expect[32];
		snprintf(expect, sizeof expect, "character %d:", rows[i].position);
		cr_expect_eq(cron_parse(rows[i].text, &cron, &err), E_INVALID, "%s", rows[i].text);
		cr_expect_not_null(strstr(err.text, expect), "%s: %s", rows[i].text, err.text);
	}
}

/* --- when clocks change --- */

Test(cron, fires_what_is_left_out_at_the_first_instant_after_the_gap)
{
	cr_expect_str_eq(next("30 2 * * *", "Europe/Berlin", "2024-03-30T12:00:00Z"),
	                 "2024-03-31T01:00:00Z");
	cr_expect_str_eq(next("30 2 * * *", "Europe/Berlin", "2024-03-31T01:00:00Z"),
	                 "2024-04-01T00:30:00Z");
	cr_expect_str_eq(next("*/15 2 * * *", "America/New_York", "2024-03-10T00:00:00Z"),
	                 "2024-03-10T07:00:00Z", "four times that are one instant fire once");
	cr_expect_str_eq(next("*/15 2 * * *", "America/New_York", "2024-03-10T07:00:00Z"),
	                 "2024-03-11T06:00:00Z");
}

Test(cron, fires_what_comes_twice_once)
{
	cr_expect_str_eq(next("30 2 * * *", "Europe/Berlin", "2024-10-26T12:00:00Z"),
	                 "2024-10-27T00:30:00Z");
	cr_expect_str_eq(next("30 2 * * *", "Europe/Berlin", "2024-10-27T00:30:00Z"),
	                 "2024-10-28T01:30:00Z");
	cr_expect_str_eq(next("45 1 * * *", "Australia/Lord_Howe", "2024-04-06T14:45:00Z"),
	                 "2024-04-07T15:15:00Z");
}

Test(cron, runs_through_both_hours_every_n_minutes)
{
	static const char *const zones[] = {"Europe/Berlin", "America/New_York",
	                                    "Australia/Lord_Howe"};
	for (size_t i = 0; i < ARRAY_LEN(zones); i++) {
		AUTO(zone) *zone = open_zone(zones[i]);
		struct cron cron = parse("*/10 * * * *");
		int64_t last = at("2024-01-01T00:00:00Z"), until = at("2025-01-01T00:00:00Z");
		while (last < until) {
			int64_t fires = cron_next(&cron, zone, last);
			cr_assert_eq(fires - last, 600000, "%s", zones[i]);
			last = fires;
		}
	}
}

/* --- the oracle --- */

enum { YEAR_MINUTES = 366 * 1440 };

struct year {
	int64_t from_s;
	int *local;      /* wall clock of each minute, in minutes from from_s */
	struct tm *tm;
	bool *fires;
};

static void year_open(struct year *year, const char *zone_name, const char *from)
{
	year->from_s = at(from) / 1000;
	year->local = malloc(YEAR_MINUTES * sizeof *year->local);
	year->tm = malloc(YEAR_MINUTES * sizeof *year->tm);
	year->fires = malloc(YEAR_MINUTES);
	setenv("TZ", zone_name, 1);
	tzset();
	for (int i = 0; i < YEAR_MINUTES; i++) {
		time_t time = (time_t)(year->from_s + (int64_t)i * 60);
		localtime_r(&time, &year->tm[i]);
		year->local[i] = i + (int)(year->tm[i].tm_gmtoff / 60);
	}
}

static void year_close(struct year *year)
{
	free(year->local);
	free(year->tm);
	free(year->fires);
}

static bool matches(const struct cron *cron, const struct tm *tm)
{
	bool day = cron->days >> tm->tm_mday & 1, weekday = cron->weekdays >> tm->tm_wday & 1;
	bool both = cron->any_day || cron->any_weekday;
	return (cron->minutes >> tm->tm_min & 1) && (cron->hours >> tm->tm_hour & 1) &&
	       (cron->months >> (tm->tm_mon + 1) & 1) && (both ? day && weekday : day || weekday);
}

/* The wall clock's time that many minutes after the minute i, had clocks not changed. */
static struct tm shifted(const struct year *year, int i, int minutes)
{
	struct tm tm = year->tm[i];
	time_t time = (time_t)(year->from_s + (int64_t)(i + minutes) * 60) + tm.tm_gmtoff;
	gmtime_r(&time, &tm);
	return tm;
}

static void walk(const struct cron *cron, struct year *year)
{
	int latest = year->local[0] - 1; /* the wall clock's highest so far */
	memset(year->fires, 0, YEAR_MINUTES);
	for (int i = 0; i < YEAR_MINUTES; i++) {
		bool fires = matches(cron, &year->tm[i]);
		if (!cron->any_hour && year->local[i] <= latest)
			fires = false; /* it comes for the second time */
		for (int left = latest + 1; i && !cron->any_hour && left < year->local[i]; left++) {
			struct tm tm = shifted(year, i - 1, left - year->local[i - 1]);
			fires |= matches(cron, &tm);
		}
		latest = year->local[i] > latest ? year->local[i] : latest;
		year->fires[i] = fires;
	}
}

static void compare(const char *text, const struct zone *zone, struct year *year)
{
	struct cron cron = parse(text);
	walk(&cron, year);
	int64_t last_ms = INT64_MIN;
	int64_t next_ms = cron_next(&cron, zone, year->from_s * 1000 - 1);
	for (int i = 0; i < YEAR_MINUTES; i++) {
		int64_t now_ms = (year->from_s + (int64_t)i * 60) * 1000;
		cr_assert_eq(year->fires[i], next_ms == now_ms, "%s at minute %d", text, i);
		if (!year->fires[i])
			continue;
		last_ms = now_ms;
		cr_assert_eq(cron_last(&cron, zone, now_ms), now_ms, "%s", text);
		cr_assert_eq(cron_last(&cron, zone, now_ms + 59999), now_ms, "%s", text);
		next_ms = cron_next(&cron, zone, now_ms);
		cr_assert_eq(cron_last(&cron, zone, next_ms - 1), last_ms, "%s", text);
	}
}

static void compare_all(const char *zone_name)
{
	static const char *const texts[] = {
		"0 * * * *",  "30 2 * * *",      "15 1,2,3 * * *",    "*/20 1-3 * * *",
		"0 0 * * *",  "0 */2 * * *",     "45 1 * * sun",      "5 4 1,15 * mon",
		"59 23 31 * *", "30 1-2 * 3,4,10,11 *", "0 12 29 2 *", "0 3 */9 * tue-thu",
	};
	AUTO(zone) *zone = open_zone(zone_name);
	struct year year;
	year_open(&year, zone_name, "2024-01-01T00:00:00Z");
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		compare(texts[i], zone, &year);
	year_close(&year);
}

Test(cron, agrees_with_a_walk_over_every_minute_in_berlin) { compare_all("Europe/Berlin"); }
Test(cron, agrees_with_a_walk_over_every_minute_in_new_york) { compare_all("America/New_York"); }
Test(cron, agrees_with_a_walk_over_every_minute_on_lord_howe)
{
	compare_all("Australia/Lord_Howe");
}
Test(cron, agrees_with_a_walk_over_every_minute_in_casablanca) { compare_all("Africa/Casablanca"); }
Test(cron, agrees_with_a_walk_over_every_minute_in_utc) { compare_all("UTC"); }
