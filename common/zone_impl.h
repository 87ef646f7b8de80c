/* zone_impl.h - the rule in a TZif file's footer. Private to common/zone*.c. */
#ifndef ZONE_IMPL_H
#define ZONE_IMPL_H

#include "common/zone.h"

enum { OFFSET_MOST_S = 26 * 3600, RULE_TEXT_MAX = 255 };

/* A day of any year, and a time on it by the clock that is then left. */
struct zone_day {
	enum { DAY_MONTH_WEEK, DAY_JULIAN, DAY_OF_YEAR } kind;
	int month, week, day;        /* day: of the week from Sunday, or of the year */
	int time_s;
};
/* POSIX's TZ with RFC 9636's longer times: "CET-1CEST,M3.5.0,M10.5.0/3". */
struct zone_rule {
	int standard_s, summer_s;    /* east of UTC */
	bool has_summer;
	struct zone_day begins, ends;
};

bool zone_rule_parse(const char *text, struct zone_rule *ret_rule);
int zone_rule_offset_s(const struct zone_rule *rule, int64_t unix_s);
int64_t zone_rule_next_change(const struct zone_rule *rule, int64_t unix_s);

#endif
