/* test_date.c - see common/date.h. */
#include "common/defs.h"
#include "common/date.h"

#include <criterion/criterion.h>

Test(date, counts_days_from_1970)
{
	cr_expect_eq(date_to_days(1970, 1, 1), 0);
	cr_expect_eq(date_to_days(2000, 3, 1), 11017);
	cr_expect_eq(date_to_days(1, 1, 1), -719162);
	cr_expect_eq(date_to_days(9999, 12, 31), 2932896);
}

Test(date, follows_every_day_of_eight_centuries)
{
	struct date at = {1600, 1, 1};
	int64_t days = date_to_days(1600, 1, 1);
	int weekday = 6; /* a Saturday */
	for (; at.year < 2400; days++, weekday = (weekday + 1) % 7) {
		struct date found = date_of_days(days);
		cr_assert(found.year == at.year && found.month == at.month && found.day == at.day);
		cr_assert_eq(date_to_days(at.year, at.month, at.day), days);
		cr_assert_eq(date_weekday(days), weekday);
		if (++at.day > date_month_days(at.year, at.month)) {
			at.day = 1;
			at.year += at.month == 12;
			at.month = at.month % 12 + 1;
		}
	}
}

Test(date, rounds_down_below_zero)
{
	cr_expect_eq(date_floor(-1, 86400), -1);
	cr_expect_eq(date_floor(-86400, 86400), -1);
	cr_expect_eq(date_floor(86399, 86400), 0);
}
