/* test_zone.c - see common/zone.h. Tables are zdump's (tzdata 2025b); libc is the other opinion. */
#include "common/defs.h"
#include "common/zone.h"
#include "common/zone_impl.h"

#include "common/buf.h"
#include "common/clock.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct zone *open_zone(const char *name)
{
	struct zone *zone = NULL;
	struct err err = {0};
	cr_assert_eq(zone_open(name, &zone, &err), 0, "%s: %s", name, err.text);
	return zone;
}

static int64_t at(const char *utc)
{
	int64_t unix_ms = 0;
	cr_assert_eq(time_parse(utc, &unix_ms, NULL), 0, "%s", utc);
	return unix_ms / 1000;
}

/* --- offsets --- */

struct offset_row {
	const char *zone, *utc;
	int before, after; /* seconds east; the change is at utc */
};

static const struct offset_row offset_rows[] = {
	{"Europe/Berlin", "1893-03-31T23:06:32Z", 3208, 3600},
	{"Europe/Berlin", "2023-03-26T01:00:00Z", 3600, 7200},
	{"Europe/Berlin", "2023-10-29T01:00:00Z", 7200, 3600},
	{"Europe/Berlin", "2099-03-29T01:00:00Z", 3600, 7200},
	{"America/New_York", "2024-03-10T07:00:00Z", -18000, -14400},
	{"America/New_York", "2024-11-03T06:00:00Z", -14400, -18000},
	{"Australia/Lord_Howe", "2024-04-06T15:00:00Z", 39600, 37800},
	{"Australia/Lord_Howe", "2024-10-05T15:30:00Z", 37800, 39600},
	{"Pacific/Apia", "2011-12-30T10:00:00Z", -36000, 50400},
	{"Europe/Dublin", "2024-10-27T01:00:00Z", 3600, 0}, /* its winter is the rule's summer */
	{"America/Nuuk", "2024-03-31T01:00:00Z", -7200, -3600}, /* a time below zero */
	{"Africa/Casablanca", "2024-03-10T02:00:00Z", 3600, 0},
};

Test(zone, changes_its_offset_when_zdump_says)
{
	for (size_t i = 0; i < ARRAY_LEN(offset_rows); i++) {
		const struct offset_row *row = &offset_rows[i];
			continue;
		AUTO(zone) *zone = open_zone(row->zone);
		int64_t change = at(row->utc);
		cr_expect_eq(zone_offset_s(zone, change - 1), row->before, "%s before %s: %d",
		             row->zone, row->utc, zone_offset_s(zone, change - 1));
		cr_expect_eq(zone_offset_s(zone, change), row->after, "%s at %s: %d", row->zone,
		             row->utc, zone_offset_s(zone, change));
		cr_expect_eq(zone_next_change(zone, change - 1), change, "%s", row->zone);
	}
}

static void agree_with_libc(const char *name, int64_t from, int64_t until, int64_t step)
{
	AUTO(zone) *zone = open_zone(name);
	setenv("TZ", name, 1);
	tzset();
	for (int64_t unix_s = from; unix_s < until; unix_s += step) {
		time_t time = (time_t)unix_s;
		struct tm tm;
		localtime_r(&time, &tm);
		cr_assert_eq(zone_offset_s(zone, unix_s), tm.tm_gmtoff, "%s at %lld: %d, not %ld",
		             name, (long long)unix_s, zone_offset_s(zone, unix_s), tm.tm_gmtoff);
	}
}

/* Debian's table of zones, one for each that has differed since 1970. */
Test(zone, agrees_with_libc_in_every_zone)
{
	char line[512], name[64];
	int zones = 0;
	FILE *table = fopen("/usr/share/zoneinfo/zone1970.tab", "r");
	cr_assert_not_null(table, "tzdata is not installed");
	while (fgets(line, sizeof line, table)) {
		if (line[0] == '#' || sscanf(line, "%*s %*s %63s", name) != 1)
			continue;
		agree_with_libc(name, at("1900-01-01T00:00:00Z"), at("2100-01-01T00:00:00Z"),
		                86400 * 5 + 3601);
		zones++;
	}
	fclose(table);
	cr_expect_gt(zones, 200);
}

Test(zone, agrees_with_libc_at_every_quarter_of_an_hour)
{
	static const char *const names[] = {"Europe/Berlin", "America/New_York",
	                                    "Australia/Lord_Howe", "Africa/Casablanca"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		agree_with_libc(names[i], at("2024-01-01T00:00:00Z"), at("2026-01-01T00:00:00Z"),
		                900);
	agree_with_libc("Europe/Berlin", at("2060-01-01T00:00:00Z"), at("2061-01-01T00:00:00Z"),
	                900);
}

/* --- a wall clock's time --- */

Test(zone, gives_the_first_instant_after_a_gap)
{
	AUTO(zone) *zone = open_zone("Europe/Berlin");
	struct zone_instant instant;
	zone_instant(zone, at("2023-03-26T02:30:00Z"), &instant);
	cr_expect_eq(instant.count, 0);
	cr_expect_eq(instant.unix_s, at("2023-03-26T01:00:00Z"));
	zone_instant(zone, at("2023-03-26T03:00:00Z"), &instant);
	cr_expect_eq(instant.count, 1);
	cr_expect_eq(instant.unix_s, at("2023-03-26T01:00:00Z"));
	zone_instant(zone, at("2023-03-26T01:59:59Z"), &instant);
	cr_expect_eq(instant.count, 1);
	cr_expect_eq(instant.unix_s, at("2023-03-26T00:59:59Z"));
}

Test(zone, gives_both_instants_of_a_time_that_comes_twice)
{
	AUTO(zone) *zone = open_zone("Australia/Lord_Howe");
	struct zone_instant instant;
	zone_instant(zone, at("2024-04-07T01:45:00Z"), &instant);
	cr_expect_eq(instant.count, 2);
	cr_expect_eq(instant.unix_s, at("2024-04-06T14:45:00Z"));
	cr_expect_eq(instant.second_unix_s, at("2024-04-06T15:15:00Z"));
	zone_instant(zone, at("2024-04-07T02:00:00Z"), &instant);
	cr_expect_eq(instant.count, 1, "two o'clock is past the half hour that comes twice");
}

Test(zone, leaves_out_a_whole_day_where_the_date_line_moved)
{
	AUTO(zone) *zone = open_zone("Pacific/Apia");
	struct zone_instant instant;
	zone_instant(zone, at("2011-12-30T12:00:00Z"), &instant);
	cr_expect_eq(instant.count, 0);
	cr_expect_eq(instant.unix_s, at("2011-12-30T10:00:00Z"));
}

Test(zone, takes_every_instant_there_and_back)
{
	static const char *const names[] = {"Europe/Berlin", "America/New_York",
	                                    "Australia/Lord_Howe", "Pacific/Apia", "UTC"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		AUTO(zone) *zone = open_zone(names[i]);
		for (int64_t unix_s = at("2011-01-01T00:00:00Z");
		     unix_s < at("2012-06-01T00:00:00Z"); unix_s += 997) {
			struct zone_instant instant;
			zone_instant(zone, unix_s + zone_offset_s(zone, unix_s), &instant);
			bool first = instant.unix_s == unix_s;
			bool second = instant.count == 2 && instant.second_unix_s == unix_s;
			cr_assert(instant.count > 0 && (first || second), "%s", names[i]);
		}
	}
}

/* --- names --- */

Test(zone, names_the_nearest_of_an_unknown_zone)
{
	struct zone *zone = NULL;
	struct err err = {0};
	cr_expect_eq(zone_open("Europe/Berln", &zone, &err), E_INVALID);
	cr_expect_not_null(strstr(err.text, "Europe/Berlin"), "%s", err.text);
	cr_expect_eq(zone_open("europe/berlin", &zone, &err), E_INVALID);
	cr_expect_not_null(strstr(err.text, "Europe/Berlin"), "%s", err.text);
}

Test(zone, does_not_leave_its_folder)
{
	static const char *const names[] = {
		"", "/etc/passwd", "../../../etc/passwd", "Europe/../Europe/Berlin",
		"Europe//Berlin", "Europe/", "Europe", "zone.tab", "Europe/Berlin\n", "-",
		"right/Europe/Berlin"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct zone *zone = NULL;
		struct err err = {0};
		cr_expect_eq(zone_open(names[i], &zone, &err), E_INVALID, "%s", names[i]);
		cr_expect_gt(strlen(err.text), 10);
	}
}

/* --- files --- */

static size_t read_berlin(uint8_t *data, size_t most)
{
	FILE *file = fopen("/usr/share/zoneinfo/Europe/Berlin", "r");
	cr_assert_not_null(file);
	size_t len = fread(data, 1, most, file);
	fclose(file);
	return len;
}

Test(zone, refuses_a_file_that_ends_early)
{
	uint8_t data[8192];
	size_t len = read_berlin(data, sizeof data);
	for (size_t cut = 0; cut < len; cut++) {
		struct zone *zone = NULL;
		struct err err = {0};
		cr_assert_eq(zone_parse(data, cut, &zone, &err), E_CORRUPT, "%zu of %zu", cut, len);
	}
}

Test(zone, reads_only_rules_that_are_whole)
{
	static const struct { const char *text; bool good; } rows[] = {
		{"UTC0", true}, {"CET-1CEST,M3.5.0,M10.5.0/3", true},
		{"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", true},
		{"IST-1GMT0,M10.5.0,M3.5.0/1", true}, {"XXX3EDT4,0/0,J365/23", true},
		{"CET", false}, {"CE-1", false}, {"CET-1CEST", false}, {"CET-1CEST,M3.5.0", false},
		{"CET-1CEST,M13.5.0,M10.5.0", false}, {"CET-1CEST,M3.6.0,M10.5.0", false},
		{"CET-1CEST,M3.5.7,M10.5.0", false}, {"CET-1CEST,J0,J365", false},
		{"CET-1CEST,M3.5.0/168,M10.5.0", false}, {"CET-1x", false}, {"<CET-1", false},
		{"CET-1CEST,M3.5.0,M10.5.0/3 ", false}, {"CET-99", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct zone_rule rule;
		cr_expect_eq(zone_rule_parse(rows[i].text, &rule), rows[i].good, "%s",
		             rows[i].text);
	}
}

Test(zone, has_summer_all_year_where_the_rule_says_so)
{
	struct zone_rule rule;
	cr_assert(zone_rule_parse("XXX3EDT4,0/0,J365/23", &rule));
	for (int64_t unix_s = at("2023-12-30T00:00:00Z"); unix_s < at("2025-01-03T00:00:00Z");
	     unix_s += 1800)
		cr_assert_eq(zone_rule_offset_s(&rule, unix_s), -4 * 3600);
}
