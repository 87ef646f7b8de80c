/* cron.c - when an expression fires: matching minutes of the wall clock, turned into instants. */
#include "common/defs.h"
#include "common/cron.h"
#include "common/date.h"

enum {
	MINUTE_S = 60, HOUR_MINUTES = 60, DAY_MINUTES = 1440, YEARS_MOST = 40,
	YEAR_LEAST = 1, YEAR_MOST = 9999
};

static bool day_matches(const struct cron *cron, struct date date, int64_t days)
{
	bool by_day = cron->days >> date.day & 1;
	bool by_weekday = cron->weekdays >> date_weekday(days) & 1;
	bool either = !cron->any_day && !cron->any_weekday;
	return either ? by_day || by_weekday : by_day && by_weekday;
}

/* The first matching day from that one on, in days since 1970; INT64_MAX: none. */
static int64_t next_day(const struct cron *cron, int64_t from)
{
	struct date date = date_of_days(from);
	int64_t last_year = date.year + YEARS_MOST;
	for (int64_t days = from; date.year <= last_year && date.year <= YEAR_MOST;) {
		if (!(cron->months >> date.month & 1))
			days = date_to_days(date.year, date.month, 1) +
				date_month_days(date.year, date.month);
		else if (!day_matches(cron, date, days))
			days++;
		else
			return days;
		date = date_of_days(days);
	}
	return INT64_MAX;
}

/* The first matching minute of a day from that one on; -1: none. */
static int minute_of_day(const struct cron *cron, int from)
{
	for (int hour = from / HOUR_MINUTES, minute = from % HOUR_MINUTES; hour < 24;
	     hour++, minute = 0) {
		uint64_t left = cron->hours >> hour & 1 ? cron->minutes >> minute : 0;
		if (left && minute < HOUR_MINUTES)
			return hour * HOUR_MINUTES + minute + __builtin_ctzll(left);
	}
	return -1;
}

/* The first matching minute of the wall clock from that one on; INT64_MAX: none. */
static int64_t next_minute(const struct cron *cron, int64_t from)
{
	int64_t first = date_floor(from, DAY_MINUTES);
	int64_t day = next_day(cron, first);
	if (day == INT64_MAX)
		return INT64_MAX;
	int minute = minute_of_day(cron, day == first ? (int)(from - day * DAY_MINUTES) : 0);
	if (minute < 0) {
		day = next_day(cron, day + 1);
		minute = minute_of_day(cron, 0);
	}
	return day == INT64_MAX ? INT64_MAX : day * DAY_MINUTES + minute;
}

static int64_t next_fixed(const struct cron *cron, const struct zone *zone, int64_t after_s)
{
	int64_t local = date_floor(after_s + zone_offset_s(zone, after_s), MINUTE_S);
	for (;;) {
		struct zone_instant instant;
		local = next_minute(cron, local);
		if (local == INT64_MAX)
			return INT64_MAX;
		zone_instant(zone, local * MINUTE_S, &instant);
		if (instant.unix_s > after_s)
			return instant.unix_s;
		local++;
	}
}

/* Stretch by stretch of one offset. */
static int64_t next_running(const struct cron *cron, const struct zone *zone, int64_t after_s)
{
	for (int64_t from = after_s + 1;;) {
		int offset = zone_offset_s(zone, from);
		int64_t end = zone_next_change(zone, from);
		int64_t local = date_floor(from + offset + MINUTE_S - 1, MINUTE_S);
		local = next_minute(cron, local);
		if (local == INT64_MAX)
			return INT64_MAX;
		if (local * MINUTE_S - offset < end)
			return local * MINUTE_S - offset;
		from = end;
	}
}

int64_t cron_next(const struct cron *cron, const struct zone *zone, int64_t after_ms)
{
	int64_t after_s = date_floor(after_ms, 1000);
	int64_t least_s = date_to_days(YEAR_LEAST, 1, 3) * DAY_MINUTES * MINUTE_S;
	if (after_s < least_s)
		after_s = least_s;
	if (after_s > date_to_days(YEAR_MOST, 12, 30) * DAY_MINUTES * MINUTE_S)
		return INT64_MAX;
	int64_t next_s = cron->any_hour ? next_running(cron, zone, after_s)
	                                : next_fixed(cron, zone, after_s);
	return next_s == INT64_MAX ? INT64_MAX : next_s * 1000;
}

/* Looked for in ever longer stretches of the past, so that few steps lead back to it. */
int64_t cron_last(const struct cron *cron, const struct zone *zone, int64_t until_ms)
{
	static const int64_t hour_ms = 3600000;
	static const int64_t back_hours[] = { 1, 26, 31 * 24, 366 * 24, YEARS_MOST * 366 * 24 };
	for (size_t i = 0; i < ARRAY_LEN(back_hours); i++) {
		int64_t last = INT64_MIN, next = until_ms - back_hours[i] * hour_ms - 1;
		while ((next = cron_next(cron, zone, next)) <= until_ms)
			last = next;
		if (last != INT64_MIN)
			return last;
	}
	return INT64_MIN;
}
