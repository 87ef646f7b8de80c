/* clock.h - time and waiting, injected, so that tests own both. */
#ifndef CLOCK_H
#define CLOCK_H

#include "common/err.h"

#include <pthread.h>

struct clock;

struct clock *clock_system(void);                 /* the machine's; a constant, never freed */
MUST_USE int clock_new_simulated(int64_t start_unix_ms, struct clock **ret_clock, struct err *err);
void clock_free(struct clock *clock);             /* accepts NULL and the system clock */
void clock_advance(struct clock *clock, int64_t ms);   /* simulated only; wakes its waiters */

int64_t clock_unix_ms(struct clock *clock);       /* wall time; may step */
int64_t clock_mono_ms(struct clock *clock);       /* never goes back */
int64_t clock_mono_us(struct clock *clock);

/* Waits for cond (made with clock_cond_init) until a monotonic deadline; mutex is held on entry and
 * return. False when the deadline passed. Spurious wake-ups return true. */
void clock_cond_init(pthread_cond_t *cond);
bool clock_wait(struct clock *clock, pthread_cond_t *cond, pthread_mutex_t *mutex,
		int64_t deadline_mono_ms);

DEFINE_AUTO(clock)

/* RFC 3339 in UTC. Out must hold TIME_TEXT_MAX. Parse accepts any offset and fraction. */
enum { TIME_TEXT_MAX = 32 };
const char *time_print_ms(int64_t unix_ms, char out[TIME_TEXT_MAX]); /* 2001-01-31T08:00:00.000Z */
const char *time_print_s(int64_t unix_ms, char out[TIME_TEXT_MAX]);  /* 2001-01-31T08:00:00Z */
MUST_USE int time_parse(const char *text, int64_t *ret_unix_ms, struct err *err);
/* "90s", "15m", "24h", "7d" and sums like "1h30m". A bare number is refused. */
MUST_USE int duration_parse(const char *text, int64_t *ret_ms, struct err *err);
const char *duration_print(int64_t ms, char out[TIME_TEXT_MAX]);

#endif
