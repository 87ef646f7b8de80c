/* zone_rule.c - the footer's rule: POSIX's TZ with times of -167 to 167 hours (RFC 9636, 3.3.1). */
#include "common/defs.h"
#include "common/date.h"
#include "common/zone_impl.h"

#include <string.h>

enum { DAY_S = 86400, HOUR_S = 3600, RULE_HOURS_MAX = 167, SUMMER_DEFAULT_S = 3600 };

/* --- parsing: each moves *at past what it took; false: it is not there --- */

static bool is_letter(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool take_char(const char **at, char c)
{
	if (**at != c)
		return false;
	(*at)++;
	return true;
}

/* "CET" or "<+03>". */
static bool take_name(const char **at)
{
	const char *from = *at;
	if (take_char(at, '<')) {
		while (is_letter(**at) || is_digit(**at) || **at == '+' || **at == '-')
			(*at)++;
		return *at - from >= 4 && take_char(at, '>');
	}
	while (is_letter(**at))
		(*at)++;
	return *at - from >= 3;
}

static bool take_number(const char **at, int least, int most, int *ret)
{
	int number = 0, digits = 0;
	for (; is_digit(**at) && digits < 4; digits++, (*at)++)
		number = number * 10 + (**at - '0');
	*ret = number;
	return digits > 0 && number >= least && number <= most;
}

/* [+-]h[h][:mm[:ss]] */
static bool take_time(const char **at, int hours_max, int *ret_s)
{
	int hours = 0, minutes = 0, seconds = 0, sign = 1;
	if (take_char(at, '-'))
		sign = -1;
	else
		take_char(at, '+');
	if (!take_number(at, 0, hours_max, &hours))
		return false;
	if (take_char(at, ':') && !take_number(at, 0, 59, &minutes))
		return false;
	if (take_char(at, ':') && !take_number(at, 0, 59, &seconds))
		return false;
	*ret_s = sign * (hours * HOUR_S + minutes * 60 + seconds);
	return true;
}

/* ",M3.5.0/2", ",J60" or ",59" */
static bool take_day(const char **at, struct zone_day *day)
{
	bool good;
	if (!take_char(at, ','))
		return false;
	if (take_char(at, 'M')) {
		day->kind = DAY_MONTH_WEEK;
		good = take_number(at, 1, 12, &day->month) && take_char(at, '.') &&
			take_number(at, 1, 5, &day->week) && take_char(at, '.') &&
			take_number(at, 0, 6, &day->day);
	} else if (take_char(at, 'J')) {
		day->kind = DAY_JULIAN;
		good = take_number(at, 1, 365, &day->day);
	} else {
		day->kind = DAY_OF_YEAR;
		good = take_number(at, 0, 365, &day->day);
	}
	day->time_s = 2 * HOUR_S;
	return good && (!take_char(at, '/') || take_time(at, RULE_HOURS_MAX, &day->time_s));
}

static bool take_summer(const char **at, struct zone_rule *rule)
{
	int west_s = -rule->standard_s - SUMMER_DEFAULT_S;
	rule->has_summer = true;
	if (!take_name(at) || (**at != ',' && !take_time(at, 24, &west_s)))
		return false;
	rule->summer_s = -west_s;
	return take_day(at, &rule->begins) && take_day(at, &rule->ends);
}

bool zone_rule_parse(const char *text, struct zone_rule *ret_rule)
{
	struct zone_rule rule = { .has_summer = false };
	const char *at = text;
	int west_s = 0;
	if (!take_name(&at) || !take_time(&at, 24, &west_s))
		return false;
	rule.standard_s = -west_s;
	if ((*at && !take_summer(&at, &rule)) || *at)
		return false;
	*ret_rule = rule;
	return true;
}

/* --- asked --- */

static int64_t day_in(const struct zone_day *day, int64_t year)
{
	int64_t first = date_to_days(year, 1, 1);
	bool leap = date_month_days(year, 2) == 29;
	if (day->kind == DAY_OF_YEAR)
		return first + day->day;
	if (day->kind == DAY_JULIAN)         /* February 29 is never counted */
		return first + day->day - 1 + (leap && day->day >= 60);
	int64_t month = date_to_days(year, day->month, 1);
	int into = (day->day - date_weekday(month) + 7) % 7 + (day->week - 1) * 7;
	if (into >= date_month_days(year, day->month))
		into -= 7;                   /* the fifth is the last */
	return month + into;
}

struct turn { int64_t at; int offset_s; };

/* The turn number i, two a year from the year on; summer's begin wins a tie by coming last. */
static struct turn turn_of(const struct zone_rule *rule, int64_t year, int i)
{
	bool begins = i % 2 == 1;
	const struct zone_day *day = begins ? &rule->begins : &rule->ends;
	int64_t local = day_in(day, year + i / 2) * DAY_S + day->time_s;
	return (struct turn){ local - (begins ? rule->standard_s : rule->summer_s),
	                      begins ? rule->summer_s : rule->standard_s };
}

static int64_t year_of(int64_t unix_s)
{
	return date_of_days(date_floor(unix_s, DAY_S)).year;
}

int zone_rule_offset_s(const struct zone_rule *rule, int64_t unix_s)
{
	struct turn last = { INT64_MIN, rule->standard_s };
	if (!rule->has_summer)
		return rule->standard_s;
	int64_t year = year_of(unix_s) - 2;
	for (int i = 0; i < 8; i++) {
		struct turn turn = turn_of(rule, year, i);
		if (turn.at <= unix_s && turn.at >= last.at)
			last = turn;
	}
	return last.offset_s;
}

int64_t zone_rule_next_change(const struct zone_rule *rule, int64_t unix_s)
{
	int64_t next = INT64_MAX;
	if (!rule->has_summer)
		return INT64_MAX;
	int64_t year = year_of(unix_s) - 1;
	for (int i = 0; i < 8; i++) {
		struct turn turn = turn_of(rule, year, i);
		if (turn.at > unix_s && turn.at < next)
			next = turn.at;
	}
	return next;
}
