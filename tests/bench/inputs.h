/* inputs.h - the data the benchmarks work on, made once and kept in build/bench-data. */
#ifndef TESTS_BENCH_INPUTS_H
#define TESTS_BENCH_INPUTS_H

#include "tests/bench/bench.h"

/* The flights of third_party/vega as CSV, at bench->data/bench/flights.csv (or -SCALE); path is
 * below bench->data/bench. */
MUST_USE int input_flights(struct bench *bench, const char **ret_path, int64_t *ret_rows,
			   struct err *err);
/* Parquet files of one table. rows: of each. */
struct input_files {
	const char **paths; /* absolute */
	size_t count;
	int64_t rows;
};
/* The flights as DuckDB writes them, once in each of sixty files: about 1 GB. */
MUST_USE int input_flights_files(struct bench *bench, struct input_files *ret_files,
				 struct err *err);
/* Five columns that do not compress, in one file of about 250 MB: k BIGINT, seen TIMESTAMP, price
 * DOUBLE, quantity BIGINT, code VARCHAR. */
MUST_USE int input_random(struct bench *bench, struct input_files *ret_files, struct err *err);

#endif
