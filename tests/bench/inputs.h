/* inputs.h - the data the benchmarks work on, made once and kept in build/bench-data. */
#ifndef TESTS_BENCH_INPUTS_H
#define TESTS_BENCH_INPUTS_H

#include "tests/bench/bench.h"

/* The flights of third_party/vega as CSV, at bench->data/bench/flights.csv (or -SCALE); path is below
 * bench->data/bench. */
MUST_USE int input_flights(struct bench *bench, const char **ret_path, int64_t *ret_rows,
                           struct err *err);
/* Five columns of about 1 GB in Parquet, hard to compress: k BIGINT, at TIMESTAMP, price DOUBLE,
 * quantity BIGINT, code VARCHAR. ret_path is absolute. */
MUST_USE int input_wide(struct bench *bench, const char **ret_path, int64_t *ret_rows,
                        struct err *err);

#endif
