/* zone.h - IANA time zones: what a wall clock somewhere shows at an instant, and which instants a
 * wall clock's time is. Read from TZif files (RFC 9636, version 2 and later) with their footer, so
 * without libc's time zone, which a process has only one of. Immutable; any thread. */
#ifndef ZONE_H
#define ZONE_H

#include "common/err.h"

enum { ZONE_NAME_MAX = 63, ZONE_FILE_MAX = 64 * 1024 };

struct zone;
/* "Europe/Berlin" or "UTC". E_INVALID names an unknown one and the nearest that is known. */
MUST_USE int zone_open(const char *name, struct zone **ret_zone, struct err *err);
/* The bytes of a TZif file. E_CORRUPT. */
MUST_USE int zone_parse(const void *data, size_t len, struct zone **ret_zone, struct err *err);
MUST_USE int zone_utc(struct zone **ret_zone, struct err *err);   /* needs no file */
void zone_free(struct zone *zone);
DEFINE_AUTO(zone)

/* Seconds east of UTC at an instant. */
int zone_offset_s(const struct zone *zone, int64_t unix_s);
/* The first instant after that one at which the offset may be another; INT64_MAX: it stays. */
int64_t zone_next_change(const struct zone *zone, int64_t unix_s);

/* What a wall clock's time is; local_s counts its seconds as if it showed UTC. */
struct zone_instant {
	int count;                   /* 0: it is left out; 1; 2: it comes twice */
	int64_t unix_s;              /* the first; left out: the first instant after the gap */
	int64_t second_unix_s;       /* if it comes twice */
};
void zone_instant(const struct zone *zone, int64_t local_s, struct zone_instant *ret_instant);

#endif
