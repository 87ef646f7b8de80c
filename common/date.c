/* date.c - days and dates, by Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms". */
#include "common/defs.h"
#include "common/date.h"

int64_t date_floor(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

int64_t date_to_days(int64_t year, int month, int day)
{
	year -= month <= 2;
	int64_t era = date_floor(year, 400);
	int64_t year_of_era = year - era * 400;
	int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
	return era * 146097 + day_of_era - 719468;
}

struct date date_of_days(int64_t days)
{
	days += 719468;
	int64_t era = date_floor(days, 146097);
	int64_t doe = days - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;
	int month = (int)(mp < 10 ? mp + 3 : mp - 9);
	return (struct date){ yoe + era * 400 + (month <= 2), month,
	                      (int)(doy - (153 * mp + 2) / 5 + 1) };
}

int date_weekday(int64_t days)
{
	return (int)((days % 7 + 11) % 7);   /* 1970-01-01 was a Thursday */
}

int date_month_days(int64_t year, int month)
{
	if (month == 2)
		return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
	return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}
