/* sealed.h - a dataset sealed as a worker reads it, and SQL over it from grant to report. */
#ifndef TESTS_BENCH_SEALED_H
#define TESTS_BENCH_SEALED_H

#include "tests/bench/inputs.h"
#include "tests/bench/local.h"

/* columns: name and type each. What is made lies in bench->arena. */
MUST_USE int sealed_table(struct bench *bench, struct local *local,
			  const struct input_files *files, const char *name,
			  const char *const (*columns)[2], size_t column_count,
			  struct grant_table *ret_table, struct err *err);
MUST_USE int sealed_drop(struct local *local, const struct grant_table *table, struct err *err);
/* One transformation. */
MUST_USE int sealed_select(struct local *local, const struct grant_table *table, const char *sql,
			   double *ret_seconds, struct err *err);

#endif
