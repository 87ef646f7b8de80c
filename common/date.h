/* date.h - days of the proleptic Gregorian calendar, counted from 1970-01-01. Pure. */
#ifndef DATE_H
#define DATE_H

#include "common/defs.h"

struct date { int64_t year; int month, day; };   /* month and day from 1 */

int64_t date_to_days(int64_t year, int month, int day);
struct date date_of_days(int64_t days);
int date_weekday(int64_t days);                  /* 0: Sunday */
int date_month_days(int64_t year, int month);
int64_t date_floor(int64_t a, int64_t b);        /* a / b, rounded down; b positive */

#endif
