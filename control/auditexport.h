/* auditexport.h - audit events for other systems, a line of JSON each, oldest first: OCSF, byte for
 * byte as the log's tree hashes them, or CloudEvents 1.0 (structured JSON) around that. Events are
 * named by their number in the tenant's log, so whoever was cut off goes on after the last one it
 * has. What cannot be had any more is an error, never left out. */
#ifndef AUDITEXPORT_H
#define AUDITEXPORT_H

#include "control/admit.h"
#include "control/auditlog.h"

enum export_format { EXPORT_OCSF, EXPORT_CLOUDEVENTS };
enum { EXPORT_MOST = 1000, EXPORT_BYTES = 4 * 1024 * 1024 /* a page ends there */ };

struct export {
	const struct auditlog *log;
	enum export_format format;
	int64_t since;               /* events after that number; 0: from the first */
	int64_t limit;               /* 1 to EXPORT_MOST */
	struct buf *out;
};
/* At least one line where there is an event after `since`; none: there is no such event yet. */
MUST_USE int auditexport_print(const struct export *export, struct err *err);

/* A CloudEvent around a line; origin: the log's, as its source. */
MUST_USE int auditexport_wrap(const char *line, size_t len, const char *origin, struct buf *out,
                              struct err *err);

/* ?from and ?to of a request, RFC 3339; 0: absent. */
MUST_USE int auditexport_times(const struct request *request, int64_t *ret_from_ms,
                               int64_t *ret_to_ms, struct err *err);

#endif
