/* test_due.c - see control/due.h and control/timetable.h. */
#include "common/defs.h"
#include "control/due.h"
#include "control/timetable.h"

#include "common/clock.h"
#include "common/json.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MINUTE_MS = 60000 };

static int64_t at(const char *utc)
{
	int64_t unix_ms = 0;
	cr_assert_eq(time_parse(utc, &unix_ms, NULL), 0, "%s", utc);
	return unix_ms;
}

static int read_spec(const char *text, struct timetable *timetable, struct err *err)
{
	AUTO(arena) *arena = NULL;
	struct value *spec = NULL;
	char copy[512];
	snprintf(copy, sizeof copy, "%s", text);
	for (char *c = copy; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	cr_assert_eq(json_parse(arena, copy, strlen(copy), &spec, err), 0, "%s", err->text);
	return timetable_read(spec, at("2024-01-01T00:00:30Z"), timetable, err);
}

static struct timetable timetable_of(const char *text)
{
	struct timetable timetable;
	struct err err = {0};
	cr_assert_eq(read_spec(text, &timetable, &err), 0, "%s: %s", text, err.text);
	return timetable;
}

/* --- timetables --- */

Test(timetable, says_what_is_wrong_and_where)
{
	static const struct {
		const char *spec, *says;
	} rows[] = {
		{"{}", "0 of cron, every and onDatasets"},
		{"{'cron':'@daily','every':'1h'}", "2 of cron"},
		{"{'cron':'0 25 * * *'}", "spec.cron: character 3: the hour 25 is out of 0 to 23"},
		{"{'cron':'0 0 * *'}", "spec.cron: character 8"},
		{"{'cron':'@daily','timeZone':'Europe/Berlni'}",
	         "spec.timeZone: there is no time zone Europe/Berlni; did you mean Europe/Berlin?"},
		{"{'every':'1h','timeZone':'UTC'}", "spec.timeZone: is for cron only"},
		{"{'every':'1h','trigger':'all'}", "spec.trigger: is for onDatasets only"},
		{"{'every':'10ms'}", "spec.every: is under 1s"},
		{"{'every':'1h','start':'soon'}", "spec.start: a time must be RFC 3339"},
		{"{'every':'1h','start':'2024-01-02T00:00:00Z','end':'2024-01-01T00:00:00Z'}",
	         "spec.end: lies before the start"},
		{"{'every':'1h','maxActive':0}", "spec.maxActive: is 1 to 1000"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct timetable timetable;
		struct err err = {0};
		cr_expect_eq(read_spec(rows[i].spec, &timetable, &err), E_INVALID, "%s",
		             rows[i].spec);
		cr_expect_not_null(strstr(err.text, rows[i].says), "%s: %s", rows[i].spec,
		                   err.text);
	}
}

Test(timetable, is_anchored_at_its_start)
{
	struct timetable every = timetable_of("{'every':'7m','start':'2024-01-01T00:03:00Z'}");
	cr_expect_eq(timetable_next(&every, at("2024-01-01T00:03:00Z")),
	             at("2024-01-01T00:10:00Z"));
	cr_expect_eq(timetable_last(&every, at("2024-01-01T00:16:59Z")),
	             at("2024-01-01T00:10:00Z"));
	cr_expect_eq(timetable_last(&every, at("2024-01-01T00:02:00Z")), at("2023-12-31T23:56:00Z"),
	             "and goes back before it");
	timetable_release(&every);
	struct timetable made = timetable_of("{'every':'1h'}");
	cr_expect_eq(timetable_next(&made, at("2024-01-01T00:10:00Z")), at("2024-01-01T01:00:30Z"),
	             "without one, when it was made");
	timetable_release(&made);
}

Test(timetable, has_no_end_of_time_to_fall_over)
{
	struct timetable every = timetable_of("{'every':'7m','start':'2024-01-01T00:03:00Z'}");
	cr_expect_eq(timetable_next(&every, INT64_MAX - 1), INT64_MAX);
	cr_expect_eq(timetable_last(&every, INT64_MIN), INT64_MIN);
	timetable_release(&every);
	struct timetable cron = timetable_of("{'cron':'@daily'}");
	cr_expect_eq(timetable_next(&cron, INT64_MAX - 1), INT64_MAX);
	cr_expect_gt(timetable_next(&cron, INT64_MIN), INT64_MIN);
	timetable_release(&cron);
}

Test(timetable, counts_whole_intervals_only)
{
	struct timetable daily = timetable_of("{'cron':'@daily','timeZone':'Europe/Berlin'}");
	int64_t from = 0, to = 0;
	cr_assert(timetable_whole(&daily, at("2024-03-30T12:00:00Z"), at("2024-04-02T12:00:00Z"),
	                          &from, &to));
	cr_expect_eq(from, at("2024-03-30T23:00:00Z"));
	cr_expect_eq(to, at("2024-04-01T22:00:00Z"));
	cr_expect_eq(due_count(&daily, NULL, 0, from, to, 100), 2, "one of them has 23 hours");
	cr_expect_not(timetable_whole(&daily, at("2024-04-01T00:00:00Z"),
	                              at("2024-04-02T00:00:00Z"), &from, &to));
	timetable_release(&daily);
}

/* --- what is due --- */

struct window_row {
	const char *spec, *now;
	int64_t from_minute, until_minute;
};

Test(due, is_what_the_catch_up_policy_says)
{
	static const struct window_row rows[] = {
		{"{'every':'10m','start':'2024-01-01T00:00:00Z'}", "2024-01-01T00:09:59Z", -1, -1},
		{"{'every':'10m','start':'2024-01-01T00:00:00Z'}", "2024-01-01T00:35:00Z", 0, 30},
		{"{'every':'10m','start':'2024-01-01T00:00:00Z','catchUp':'latest'}",
	         "2024-01-01T00:35:00Z", 20, 30},
		{"{'every':'10m','start':'2024-01-01T00:00:00Z','catchUp':'none'}",
	         "2024-01-01T00:30:59Z", 20, 30},
		{"{'every':'10m','start':'2024-01-01T00:00:00Z','catchUp':'none'}",
	         "2024-01-01T00:31:01Z", -1, -1},
		{"{'every':'10m','start':'2024-01-01T00:00:00Z','end':'2024-01-01T00:25:00Z'}",
	         "2024-01-01T00:35:00Z", 0, 20},
		{"{'every':'10m','start':'2024-01-01T00:00:00Z','paused':true}",
	         "2024-01-01T00:35:00Z", -1, -1},
		{"{'cron':'*/10 * * * *','start':'2024-01-01T00:03:00Z'}", "2024-01-01T00:35:00Z",
	         10, 30},
	};
	int64_t zero = at("2024-01-01T00:00:00Z");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct timetable timetable = timetable_of(rows[i].spec);
		int64_t from = zero - MINUTE_MS, until = zero - MINUTE_MS;
		bool due = due_window(&timetable, at(rows[i].now), &from, &until);
		cr_expect_eq(due, rows[i].from_minute >= 0, "%s", rows[i].spec);
		cr_expect_eq((from - zero) / MINUTE_MS, rows[i].from_minute, "%s", rows[i].spec);
		cr_expect_eq((until - zero) / MINUTE_MS, rows[i].until_minute, "%s", rows[i].spec);
		timetable_release(&timetable);
	}
}

/* Whatever has run already, in whatever order pieces are taken: they fill exactly the rest. */
Test(due, fills_what_is_missing_and_nothing_else)
{
	struct timetable timetable = timetable_of("{'every':'10m','start':'2024-01-01T00:00:00Z'}");
	int64_t zero = at("2024-01-01T00:00:00Z"), end = zero + 600 * MINUTE_MS;
	srand(3);
	for (int round = 0; round < 200; round++) {
		struct stretches set = {.items = NULL};
		bool minutes[600] = {false};
		for (int i = rand() % 8; i > 0; i--) {
			int from = rand() % 600, to = from + 1 + rand() % 60;
			to = to > 600 ? 600 : to;
			struct stretch stretch = {zero + from * MINUTE_MS, zero + to * MINUTE_MS, 1,
			                          STRETCH_DONE};
			cr_assert_eq(stretches_reserve(&set, 1, NULL), 0);
			stretches_set(&set, &stretch);
			memset(minutes + from, true, (size_t)(to - from));
		}
		int64_t count = due_count(&timetable, set.items, set.len, zero, end, 1000), from,
			to;
		for (; due_piece(&timetable, set.items, set.len, zero, end, &from, &to); count--) {
			cr_assert_leq(to - from, 10 * MINUTE_MS);
			for (int64_t m = (from - zero) / MINUTE_MS; m < (to - zero) / MINUTE_MS;
			     m++) {
				cr_assert_not(minutes[m], "minute %lld twice", (long long)m);
				minutes[m] = true;
			}
			struct stretch stretch = {from, to, 1, STRETCH_FAILED};
			cr_assert_eq(stretches_reserve(&set, 1, NULL), 0);
			stretches_set(&set, &stretch);
		}
		cr_assert_eq(count, 0);
		cr_assert_null(memchr(minutes, false, sizeof minutes));
		stretches_release(&set);
	}
	timetable_release(&timetable);
}

Test(due, leaves_to_a_backfill_what_it_is_to_redo)
{
	struct stretch all[] = {{0, 10, 1, STRETCH_DONE},
	                        {10, 20, 1, STRETCH_FAILED},
	                        {20, 30, 1, STRETCH_RUNNING}};
	struct stretch mine[] = {{40, 50, 1, STRETCH_FAILED}};
	const struct view schedule = {.items = all, .len = 3}, own = {.items = mine, .len = 1};
	static const struct {
		enum redo redo;
		int64_t first;
	} rows[] = {{REDO_MISSING, 30}, {REDO_FAILED, 10}, {REDO_ALL, 0}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct stretches taken;
		int64_t from = 0, to = 0;
		cr_assert_eq(due_taken(&schedule, &own, rows[i].redo, &taken, NULL), 0);
		cr_assert(stretches_hole(taken.items, taken.len, 0, 100, &from, &to));
		cr_expect_eq(from, rows[i].first);
		cr_assert(stretches_hole(taken.items, taken.len, 30, 100, &from, &to));
		cr_expect_eq(to, 40, "its own is not run again");
		stretches_release(&taken);
	}
}
