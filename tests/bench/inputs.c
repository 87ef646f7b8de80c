/* inputs.c - the data, made by DuckDB alone. A file is renamed into place when it is whole. */
#include "common/defs.h"
#include "tests/bench/inputs.h"

#include "tests/bench/floors.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FLIGHTS = 3000000, WIDE = 28000000, THREADS = 2 };

static int make(const char *path, const char *part, const char *sql, struct err *err)
{
	AUTO(plain) *plain = NULL;
	fprintf(stderr, "bench: making %s\n", path);
	TRY(plain_new(THREADS, &plain, err));
	TRY(plain_exec(plain, sql, err));
	return rename(part, path) < 0 ? err_errno(err, errno, "%s", path) : 0;
}

int input_flights(struct bench *bench, const char **ret_path, int64_t *ret_rows, struct err *err)
{
	size_t rows = bench_scaled(bench, FLIGHTS, 1000);
	const char *folder = arena_printf(bench->arena, "%s/bench", bench->data);
	const char *name = arena_printf(bench->arena, "flights-%zu.csv", rows);
	const char *path = arena_printf(bench->arena, "%s/%s", folder, name);
	const char *part = arena_printf(bench->arena, "%s.part", path);
	const char *sql = arena_printf(bench->arena,
		"COPY (SELECT date, delay::BIGINT AS delay, distance::BIGINT AS distance, origin, destination "
		"FROM 'third_party/vega/flights-3m.parquet' LIMIT %zu) TO '%s' (FORMAT csv, HEADER true)",
		rows, part);
	if (!folder || !name || !path || !part || !sql)
		return err_set(err, E_NOMEM, "no memory for paths");
	if (mkdir(folder, 0700) < 0 && errno != EEXIST)
		return err_errno(err, errno, "%s", folder);
	if (access(path, F_OK) < 0)
		TRY(make(path, part, sql, err));
	*ret_path = name;
	*ret_rows = (int64_t)rows;
	return 0;
}

int input_wide(struct bench *bench, const char **ret_path, int64_t *ret_rows, struct err *err)
{
	size_t rows = bench_scaled(bench, WIDE, 100000);
	const char *path = arena_printf(bench->arena, "%s/wide-%zu.parquet", bench->data, rows);
	const char *part = arena_printf(bench->arena, "%s.part", path);
	const char *sql = arena_printf(bench->arena,
		"COPY (SELECT (hash(i) >> 1)::BIGINT AS k, "
		"make_timestamp(978307200000000 + (hash(i + 1) %% 31536000000000)::BIGINT) AS at, "
		"(hash(i + 2) >> 11)::DOUBLE / 1e9 AS price, (hash(i + 3) >> 24)::BIGINT AS quantity, "
		"to_base(hash(i + 4) >> 30, 36, 7) AS code "
		"FROM range(%zu) r(i)) TO '%s' (FORMAT parquet)", rows, part);
	if (!path || !part || !sql)
		return err_set(err, E_NOMEM, "no memory for paths");
	if (access(path, F_OK) < 0)
		TRY(make(path, part, sql, err));
	*ret_path = path;
	*ret_rows = (int64_t)rows;
	return 0;
}
