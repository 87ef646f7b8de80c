/* cron.h - five-field cron expressions, in a time zone: "30 2 * * mon-fri" or "@daily".
 *
 *   minute 0-59, hour 0-23, day of month 1-31, month 1-12 or jan-dec, day of week 0-7 or sun-sat
 *   (0 and 7 are Sunday). Lists (1,15), ranges (9-17), steps (0-30/10, and a star with a step).
 *   @hourly @daily @midnight @weekly @monthly @yearly @annually.
 *
 * As in Vixie cron, a day matches by either of day of month and day of week when both are
 * restricted, and by both otherwise. When clocks change: an expression whose hour is fixed fires
 * once for a time that comes twice (the first), and for a time that is left out at the first
 * instant after the gap. One whose hour begins with a star goes by the clock as it is: what is left
 * out does not fire, what comes twice fires twice; so every N minutes stay every N minutes. */
#ifndef CRON_H
#define CRON_H

#include "common/zone.h"

struct cron {
	uint64_t minutes;            /* bit n: fires at n */
	uint32_t hours, days;
	uint16_t months;
	uint8_t weekdays;            /* bit 0: Sunday */
	bool any_hour;               /* the hour begins with a star */
	bool any_day, any_weekday;   /* likewise */
};

enum { CRON_TEXT_MAX = 256 };
/* E_INVALID names the character from which on it is wrong, and what may stand there. What never
 * fires (February 30) is an error too. */
MUST_USE int cron_parse(const char *text, struct cron *ret_cron, struct err *err);
/* The first instant after (or the last at or before) that one at which it fires, unix ms. It fires
 * within every 40 years; INT64_MAX and INT64_MIN where those end. */
int64_t cron_next(const struct cron *cron, const struct zone *zone, int64_t after_ms);
int64_t cron_last(const struct cron *cron, const struct zone *zone, int64_t until_ms);

#endif
