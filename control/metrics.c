/* metrics.c - an array of atomic counters; nothing is locked. */
#include "common/defs.h"
#include "control/metrics.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { CLASSES = 6 };      /* by the first digit; 0 for what is none */

struct counters {
	_Atomic uint64_t by_class[CLASSES];
	_Atomic uint64_t us;
};

struct metrics {
	size_t routes;
	struct counters counters[];
};

int metrics_new(size_t routes, struct metrics **ret_metrics, struct err *err)
{
	struct metrics *metrics =
		calloc(1, sizeof *metrics + (routes + 1) * sizeof(struct counters));
	if (!metrics)
		return err_set(err, E_NOMEM, "no memory for the counters of %zu routes", routes);
	metrics->routes = routes;
	*ret_metrics = metrics;
	return 0;
}

void metrics_free(struct metrics *metrics)
{
	free(metrics);
}

void metrics_request(struct metrics *metrics, size_t route, int status, int64_t us)
{
	struct counters *counters = &metrics->counters[route < metrics->routes ? route
	                                                                       : metrics->routes];
	int class = status >= 100 && status < 600 ? status / 100 : 0;
	atomic_fetch_add_explicit(&counters->by_class[class], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&counters->us, us > 0 ? (uint64_t)us : 0, memory_order_relaxed);
}

uint64_t metrics_count(const struct metrics *metrics, size_t route, int class)
{
	REQUIRE(route <= metrics->routes && class >= 0 && class < CLASSES);
	return atomic_load_explicit(&metrics->counters[route].by_class[class],
	                            memory_order_relaxed);
}

uint64_t metrics_us(const struct metrics *metrics, size_t route)
{
	REQUIRE(route <= metrics->routes);
	return atomic_load_explicit(&metrics->counters[route].us, memory_order_relaxed);
}

void metrics_head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metrics_line(struct buf *out, const char *name, const char *labels, double value)
{
	buf_printf(out, labels ? "%s{%s} %.15g\n" : "%s%s %.15g\n", name, labels ? labels : "",
	           value);
}
