/* clock.c - the machine's time, simulated time, and time as text.
 * A waiter on simulated time registers its condition; clock_advance wakes every registered waiter
 * that is due, with the waiter's own mutex held, so that no wake-up is lost. Lock order:
 * the waiter's mutex, then the clock's. A waiter stays until nobody holds it pinned. */
#include "common/defs.h"
#include "common/clock.h"
#include "common/date.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct waiter {
	struct waiter *next;
	pthread_cond_t *cond;
	pthread_mutex_t *mutex;
	int64_t deadline_mono_ms;
	bool woken;             /* an advance has seen its deadline pass */
	bool pinned;            /* an advance is about to use cond and mutex */
};

struct clock {
	bool simulated;
	int64_t start_unix_ms;
	pthread_mutex_t mutex;      /* guards what follows */
	pthread_cond_t unpinned;
	int64_t elapsed_ms;
	struct waiter *waiters;
};

/* Simulated monotonic time does not begin at 0, which callers may use for "not set". */
enum { MONO_START_MS = 1000000 };

struct clock *clock_system(void)
{
	static const struct clock machine = { .simulated = false };
	return (struct clock *)&machine;    /* only ever read */
}

int clock_new_simulated(int64_t start_unix_ms, struct clock **ret_clock, struct err *err)
{
	struct clock *clock = calloc(1, sizeof *clock);
	if (!clock)
		return err_set(err, E_NOMEM, "no memory for a simulated clock");
	clock->simulated = true;
	clock->start_unix_ms = start_unix_ms;
	pthread_mutex_init(&clock->mutex, NULL);
	pthread_cond_init(&clock->unpinned, NULL);
	*ret_clock = clock;
	return 0;
}

void clock_free(struct clock *clock)
{
	if (!clock || !clock->simulated)
		return;
	REQUIRE(!clock->waiters);
	pthread_cond_destroy(&clock->unpinned);
	pthread_mutex_destroy(&clock->mutex);
	free(clock);
}

static struct waiter *find_due(struct clock *clock)
{
	int64_t now = MONO_START_MS + clock->elapsed_ms;
	struct waiter *waiter = clock->waiters;
	while (waiter && (waiter->woken || waiter->deadline_mono_ms > now))
		waiter = waiter->next;
	return waiter;
}

void clock_advance(struct clock *clock, int64_t ms)
{
	REQUIRE(clock->simulated && ms >= 0);
	pthread_mutex_lock(&clock->mutex);
	clock->elapsed_ms += ms;
	struct waiter *waiter;
	while ((waiter = find_due(clock))) {
		waiter->woken = true;
		waiter->pinned = true;
		pthread_mutex_unlock(&clock->mutex);
		pthread_mutex_lock(waiter->mutex);
		pthread_cond_broadcast(waiter->cond);
		pthread_mutex_unlock(waiter->mutex);
		pthread_mutex_lock(&clock->mutex);
		waiter->pinned = false;
		pthread_cond_broadcast(&clock->unpinned);
	}
	pthread_mutex_unlock(&clock->mutex);
}

static int64_t elapsed_ms(struct clock *clock)
{
	pthread_mutex_lock(&clock->mutex);
	int64_t ms = clock->elapsed_ms;
	pthread_mutex_unlock(&clock->mutex);
	return ms;
}

int64_t clock_unix_ms(struct clock *clock)
{
	if (clock->simulated)
		return clock->start_unix_ms + elapsed_ms(clock);
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_mono_us(struct clock *clock)
{
	if (clock->simulated)
		return (MONO_START_MS + elapsed_ms(clock)) * 1000;
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_mono_ms(struct clock *clock)
{
	return clock_mono_us(clock) / 1000;
}

void clock_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

static bool wait_machine(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t deadline_mono_ms)
{
	int64_t ms = deadline_mono_ms < 0 ? 0 : deadline_mono_ms;
	struct timespec until = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
	return pthread_cond_timedwait(cond, mutex, &until) == 0;
}

static void unlink_waiter(struct clock *clock, const struct waiter *waiter)
{
	struct waiter **at = &clock->waiters;
	while (*at != waiter)
		at = &(*at)->next;
	*at = waiter->next;
}

/* Called and left with the waiter's mutex held and the clock's free. An advance that has the waiter
 * pinned needs that mutex to finish, so it is lent to it meanwhile. */
static bool leave(struct clock *clock, struct waiter *waiter)
{
	pthread_mutex_lock(&clock->mutex);
	bool lent = waiter->pinned;
	if (lent)
		pthread_mutex_unlock(waiter->mutex);
	while (waiter->pinned)
		pthread_cond_wait(&clock->unpinned, &clock->mutex);
	unlink_waiter(clock, waiter);
	bool passed = MONO_START_MS + clock->elapsed_ms >= waiter->deadline_mono_ms;
	pthread_mutex_unlock(&clock->mutex);
	if (lent)
		pthread_mutex_lock(waiter->mutex);
	return !passed;
}

static bool wait_simulated(struct clock *clock, struct waiter *waiter)
{
	pthread_mutex_lock(&clock->mutex);
	bool passed = MONO_START_MS + clock->elapsed_ms >= waiter->deadline_mono_ms;
	if (!passed) {
		waiter->next = clock->waiters;
		clock->waiters = waiter;
	}
	pthread_mutex_unlock(&clock->mutex);
	if (passed)
		return false;
	pthread_cond_wait(waiter->cond, waiter->mutex);
	return leave(clock, waiter);
}

bool clock_wait(struct clock *clock, pthread_cond_t *cond, pthread_mutex_t *mutex,
		int64_t deadline_mono_ms)
{
	if (!clock->simulated)
		return wait_machine(cond, mutex, deadline_mono_ms);
	struct waiter waiter = {
		.cond = cond, .mutex = mutex, .deadline_mono_ms = deadline_mono_ms
	};
	return wait_simulated(clock, &waiter);
}

static const int64_t day_ms = 86400000;
static const int64_t unix_ms_least = -62135596800000;    /* 0001-01-01T00:00:00.000Z */
static const int64_t unix_ms_most = 253402300799999;     /* 9999-12-31T23:59:59.999Z */

static const char *print_time(int64_t unix_ms, bool fraction, char out[TIME_TEXT_MAX])
{
	if (unix_ms < unix_ms_least)
		unix_ms = unix_ms_least;
	if (unix_ms > unix_ms_most)
		unix_ms = unix_ms_most;
	int64_t days = date_floor(unix_ms, day_ms);
	int rest = (int)(unix_ms - days * day_ms);
	struct date date = date_of_days(days);
	int used = snprintf(out, TIME_TEXT_MAX, "%04d-%02d-%02dT%02d:%02d:%02d", (int)date.year,
	                    date.month, date.day, rest / 3600000, rest / 60000 % 60,
	                    rest / 1000 % 60);
	if (fraction)
		used += snprintf(out + used, (size_t)(TIME_TEXT_MAX - used), ".%03d", rest % 1000);
	snprintf(out + used, (size_t)(TIME_TEXT_MAX - used), "Z");
	return out;
}

const char *time_print_ms(int64_t unix_ms, char out[TIME_TEXT_MAX])
{
	return print_time(unix_ms, true, out);
}

const char *time_print_s(int64_t unix_ms, char out[TIME_TEXT_MAX])
{
	return print_time(unix_ms, false, out);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Exactly `width` digits with a value of least..most, then on; false for anything else. */
static bool take_digits(const char **at, int width, int least, int most, int *ret_number)
{
	int number = 0;
	for (int i = 0; i < width; i++, (*at)++) {
		if (!is_digit(**at))
			return false;
		number = number * 10 + (**at - '0');
	}
	*ret_number = number;
	return number >= least && number <= most;
}

static bool take_char(const char **at, const char *any_of)
{
	if (!**at || !strchr(any_of, **at))
		return false;
	(*at)++;
	return true;
}

static bool take_date(const char **at, int64_t *ret_days)
{
	int year = 0, month = 0, day = 0;
	if (!take_digits(at, 4, 1, 9999, &year) || !take_char(at, "-") ||
	    !take_digits(at, 2, 1, 12, &month) || !take_char(at, "-") ||
	    !take_digits(at, 2, 1, date_month_days(year, month), &day))
		return false;
	*ret_days = date_to_days(year, month, day);
	return true;
}

/* What lies below a millisecond is cut off. */
static bool take_fraction(const char **at, int *ret_ms)
{
	int ms = 0, weight = 100;
	*ret_ms = 0;
	if (!take_char(at, "."))
		return true;
	if (!is_digit(**at))
		return false;
	for (; is_digit(**at); (*at)++, weight /= 10)
		ms += (**at - '0') * weight;
	*ret_ms = ms;
	return true;
}

static bool take_offset(const char **at, int64_t *ret_ms)
{
	*ret_ms = 0;
	if (take_char(at, "Zz"))
		return true;
	int hours = 0, minutes = 0;
	bool west = **at == '-';
	if (!take_char(at, "+-") || !take_digits(at, 2, 0, 23, &hours) || !take_char(at, ":") ||
	    !take_digits(at, 2, 0, 59, &minutes))
		return false;
	*ret_ms = (hours * 60 + minutes) * (int64_t)60000 * (west ? -1 : 1);
	return true;
}

static bool take_time(const char **at, int64_t *ret_ms, bool *ret_leap)
{
	int hour = 0, minute = 0, second = 0, ms = 0;
	if (!take_digits(at, 2, 0, 23, &hour) || !take_char(at, ":") ||
	    !take_digits(at, 2, 0, 59, &minute) || !take_char(at, ":") ||
	    !take_digits(at, 2, 0, 60, &second) || !take_fraction(at, &ms))
		return false;
	*ret_ms = ((hour * 60 + minute) * (int64_t)60 + second) * 1000 + ms;
	*ret_leap = second == 60;
	return true;
}

int time_parse(const char *text, int64_t *ret_unix_ms, struct err *err)
{
	const char *at = text ? text : "";
	int64_t days = 0, ms = 0, offset_ms = 0;
	bool leap = false;
	if (!take_date(&at, &days) || !take_char(&at, "Tt ") || !take_time(&at, &ms, &leap) ||
	    !take_offset(&at, &offset_ms) || *at)
		return err_set(err, E_INVALID, "a time must be RFC 3339 like 2001-01-31T08:00:00Z "
		               "or 2001-01-31T09:00:00+01:00; character %d is wrong",
		               (int)(at - (text ? text : at)) + 1);
	int64_t unix_ms = days * day_ms + ms - offset_ms;
	/* A leap second is the last of a UTC day; Unix time counts it as the next day's first. */
	if (leap && (unix_ms % day_ms + day_ms) % day_ms >= 1000)
		return err_set(err, E_INVALID, "second 60 exists only at 23:59 UTC");
	if (unix_ms < unix_ms_least || unix_ms > unix_ms_most)
		return err_set(err, E_INVALID, "a time must lie in the years 0001 to 9999");
	*ret_unix_ms = unix_ms;
	return 0;
}

struct unit {
	const char *name;
	int64_t ms;
};

/* Largest first, which is also the order a sum must have. */
static const struct unit units[] = {
	{ "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 },
};

static int bad_duration(struct err *err)
{
	return err_set(err, E_INVALID, "a duration is numbers with units d h m s ms, largest "
	               "first, like 90s or 1h30m");
}

/* The unit at *at, no larger than those before it. */
static const struct unit *take_unit(const char **at, size_t *next)
{
	size_t len = 0;
	while ((*at)[len] >= 'a' && (*at)[len] <= 'z')
		len++;
	for (size_t i = *next; i < ARRAY_LEN(units); i++) {
		if (strlen(units[i].name) != len || strncmp(units[i].name, *at, len) != 0)
			continue;
		*at += len;
		*next = i + 1;
		return &units[i];
	}
	return NULL;
}

int duration_parse(const char *text, int64_t *ret_ms, struct err *err)
{
	int64_t total = 0;
	size_t next = 0;
	if (!text || !*text)
		return bad_duration(err);
	for (const char *at = text; *at;) {
		int64_t number = 0;
		if (!is_digit(*at))
			return bad_duration(err);
		bool over = false;
		for (; is_digit(*at); at++)
			over |= __builtin_mul_overflow(number, 10, &number) ||
				__builtin_add_overflow(number, *at - '0', &number);
		const struct unit *unit = take_unit(&at, &next);
		if (!unit)
			return bad_duration(err);
		if (over || __builtin_mul_overflow(number, unit->ms, &number) ||
		    __builtin_add_overflow(total, number, &total))
			return err_set(err, E_INVALID, "the duration is too long to count in "
			               "milliseconds");
	}
	*ret_ms = total;
	return 0;
}

const char *duration_print(int64_t ms, char out[TIME_TEXT_MAX])
{
	uint64_t left = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
	int used = snprintf(out, TIME_TEXT_MAX, "%s%s", ms < 0 ? "-" : "", ms == 0 ? "0s" : "");
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		uint64_t count = left / (uint64_t)units[i].ms;
		left %= (uint64_t)units[i].ms;
		size_t room = (size_t)(TIME_TEXT_MAX - used);
		if (count)
			used += snprintf(out + used, room, "%" PRIu64 "%s", count, units[i].name);
	}
	return out;
}
