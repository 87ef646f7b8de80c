/* metrics.h - what this replica's door did: requests by route and status class, and their time.
 * Counters only; no tenant appears in them. Any thread. */
#ifndef METRICS_H
#define METRICS_H

#include "common/buf.h"

struct metrics;

/* routes: how many rows are counted; one more counts requests that match none. */
MUST_USE int metrics_new(size_t routes, struct metrics **ret_metrics, struct err *err);
void metrics_free(struct metrics *metrics);
DEFINE_AUTO(metrics)

void metrics_request(struct metrics *metrics, size_t route, int status, int64_t us);
/* Requests of a route that ended in a class (2 for 200-299 ...), and the time of all of them. */
uint64_t metrics_count(const struct metrics *metrics, size_t route, int class);
uint64_t metrics_us(const struct metrics *metrics, size_t route);

/* One line of Prometheus text: "NAME{LABELS} VALUE"; labels may be NULL. */
void metrics_line(struct buf *out, const char *name, const char *labels, double value);
void metrics_head(struct buf *out, const char *name, const char *type, const char *help);

#endif
