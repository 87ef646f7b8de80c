/* cedar_number.c - fixed forms, read left to right; every step checks for overflow. */
#include "common/defs.h"
#include "policy/cedar_number.h"

#include <string.h>

enum { DECIMAL_PLACES = 4 };
#define DAY_MS ((int64_t)86400000)
#define HOUR_MS ((int64_t)3600000)
#define MINUTE_MS ((int64_t)60000)
#define SECOND_MS ((int64_t)1000)

struct cursor {
	const char *at;
	const char *end;
};

static struct cursor cursor_of(struct cedar_str text)
{
	return (struct cursor){ text.text, text.text + text.len };
}

static bool accept(struct cursor *in, char c)
{
	if (in->at == in->end || *in->at != c)
		return false;
	in->at++;
	return true;
}

static size_t digits_ahead(const struct cursor *in)
{
	const char *p = in->at;
	while (p < in->end && *p >= '0' && *p <= '9')
		p++;
	return (size_t)(p - in->at);
}

/* Counts down from zero, because the smallest number has no positive twin. */
static bool digits_negated(struct cursor *in, size_t count, int64_t *ret_n)
{
	int64_t n = 0;
	for (; count; count--)
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_sub_overflow(n, *in->at++ - '0', &n))
			return false;
	*ret_n = n;
	return true;
}

/* Exactly count digits, as a number from 0 to most. */
static bool fixed(struct cursor *in, size_t count, int64_t most, int64_t *ret_n)
{
	int64_t n = 0;
	if (digits_ahead(in) < count || !digits_negated(in, count, &n) || -n > most)
		return false;
	*ret_n = -n;
	return true;
}

/* The digits after the point, negated, in units of the last place. */
static bool fraction(struct cursor *in, int64_t *ret_units)
{
	size_t count = digits_ahead(in);
	if (!count || count > DECIMAL_PLACES || !digits_negated(in, count, ret_units))
		return false;
	for (; count < DECIMAL_PLACES; count++)
		*ret_units *= 10;
	return true;
}

/* A sum that was kept negated, given its sign; the smallest number has no positive twin. */
static bool signed_sum(int64_t negated, bool negative, int64_t *ret_n)
{
	if (!negative && negated == INT64_MIN)
		return false;
	*ret_n = negative ? negated : -negated;
	return true;
}

bool cedar_decimal_parse(struct cedar_str text, int64_t *ret_units)
{
	struct cursor in = cursor_of(text);
	bool negative = accept(&in, '-');
	int64_t whole = 0, part = 0, units = 0;
	size_t count = digits_ahead(&in);
	if (!count || !digits_negated(&in, count, &whole) || !accept(&in, '.'))
		return false;
	if (!fraction(&in, &part) || in.at != in.end)
		return false;
	if (__builtin_mul_overflow(whole, 10000, &units) ||
	    __builtin_add_overflow(units, part, &units))
		return false;
	return signed_sum(units, negative, ret_units);
}

/* Days from 1970-01-01 of the proleptic Gregorian calendar; years of 400 repeat exactly. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
	int64_t shifted = month <= 2 ? year - 1 : year;
	int64_t era = (shifted >= 0 ? shifted : shifted - 399) / 400;
	int64_t in_era = shifted - era * 400;
	int64_t in_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

static int64_t month_length(int64_t year, int64_t month)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

static bool date(struct cursor *in, int64_t *ret_ms)
{
	int64_t year = 0, month = 0, day = 0;
	bool ok = fixed(in, 4, 9999, &year) && accept(in, '-') && fixed(in, 2, 12, &month) &&
		accept(in, '-') && fixed(in, 2, 31, &day);
	if (!ok || month < 1 || day < 1 || day > month_length(year, month))
		return false;
	*ret_ms = days_of(year, month, day) * DAY_MS;
	return true;
}

static bool time_of_day(struct cursor *in, int64_t *ret_ms)
{
	int64_t hour = 0, minute = 0, second = 0, milli = 0;
	if (!fixed(in, 2, 23, &hour) || !accept(in, ':') || !fixed(in, 2, 59, &minute) ||
	    !accept(in, ':') || !fixed(in, 2, 59, &second))
		return false;
	if (accept(in, '.') && !fixed(in, 3, 999, &milli))
		return false;
	*ret_ms = hour * HOUR_MS + minute * MINUTE_MS + second * SECOND_MS + milli;
	return true;
}

static bool zone(struct cursor *in, int64_t *ret_ms)
{
	int64_t hour = 0, minute = 0;
	*ret_ms = 0;
	if (accept(in, 'Z'))
		return true;
	bool east = accept(in, '+');
	if (!east && !accept(in, '-'))
		return false;
	if (!fixed(in, 2, 23, &hour) || !fixed(in, 2, 59, &minute))
		return false;
	int64_t ahead = hour * HOUR_MS + minute * MINUTE_MS;
	*ret_ms = east ? ahead : -ahead;
	return true;
}

bool cedar_datetime_parse(struct cedar_str text, int64_t *ret_ms)
{
	struct cursor in = cursor_of(text);
	int64_t day = 0, clock = 0, ahead = 0;
	if (!date(&in, &day))
		return false;
	if (in.at == in.end) {
		*ret_ms = day;
		return true;
	}
	if (!accept(&in, 'T') || !time_of_day(&in, &clock) || !zone(&in, &ahead) ||
	    in.at != in.end)
		return false;
	*ret_ms = day + clock - ahead;
	return true;
}

static bool unit_ahead(struct cursor *in, const char *unit)
{
	size_t len = strlen(unit);
	if ((size_t)(in->end - in->at) < len || memcmp(in->at, unit, len) != 0)
		return false;
	/* "5ms" holds no minutes. */
	if (len == 1 && *unit == 'm' && in->at + 1 < in->end && in->at[1] == 's')
		return false;
	in->at += len;
	return true;
}

/* Digits and this unit, when they stand here, onto the sum; false when the sum does not fit. */
static bool component(struct cursor *in, const char *unit, int64_t unit_ms, int64_t *sum)
{
	struct cursor ahead = *in;
	int64_t n = 0;
	size_t count = digits_ahead(in);
	if (!count)
		return true;
	if (!digits_negated(&ahead, count, &n))
		return false;
	if (!unit_ahead(&ahead, unit))
		return true;
	*in = ahead;
	return !__builtin_mul_overflow(n, unit_ms, &n) && !__builtin_add_overflow(*sum, n, sum);
}

bool cedar_duration_parse(struct cedar_str text, int64_t *ret_ms)
{
	static const struct { const char *name; int64_t ms; } units[] = {
		{ "d", DAY_MS }, { "h", HOUR_MS }, { "m", MINUTE_MS }, { "s", SECOND_MS },
		{ "ms", 1 },
	};
	struct cursor in = cursor_of(text);
	bool negative = accept(&in, '-');
	const char *first = in.at;
	int64_t sum = 0;     /* negated */
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (!component(&in, units[i].name, units[i].ms, &sum))
			return false;
	return in.at != first && in.at == in.end && signed_sum(sum, negative, ret_ms);
}
