/* inputs.c - the data, made by DuckDB alone. A file is renamed into place when it is whole. */
#include "common/defs.h"
#include "tests/bench/inputs.h"

#include "tests/bench/floors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FLIGHTS = 3000000, RANDOM = 6250000, COPIES = 60, THREADS = 2, COPY_BYTES = 1024 * 1024 };

#define FLIGHTS_COLUMNS                                                                            \
	"date, delay::BIGINT AS delay, distance::BIGINT AS distance, origin, "                     \
	"destination FROM 'third_party/vega/flights-3m.parquet'"

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
				       "COPY (SELECT " FLIGHTS_COLUMNS
				       " LIMIT %zu) TO '%s' (FORMAT csv, HEADER true)",
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

static int copy_file(const char *from, const char *to, struct err *err)
{
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = in < 0 ? -1 : open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ssize_t n = 1;
	while (out >= 0 && n > 0)
		n = copy_file_range(in, NULL, out, NULL, COPY_BYTES, 0);
	int reason = errno;
	if (in >= 0)
		close(in);
	if (out < 0 || close(out) < 0 || n < 0)
		return err_errno(err, reason, "copying to %s", to);
	return 0;
}

int input_flights_files(struct bench *bench, struct input_files *ret_files, struct err *err)
{
	size_t count = bench_scaled(bench, COPIES, 1);
	const char **paths = arena_alloc(bench->arena, count * sizeof *paths);
	for (size_t i = 0; paths && i < count; i++) {
		paths[i] = arena_printf(bench->arena, "%s/flights-%02zu.parquet", bench->data, i);
		const char *part = arena_printf(bench->arena, "%s.part", paths[i]);
		const char *sql = arena_printf(
			bench->arena, "COPY (SELECT " FLIGHTS_COLUMNS ") TO '%s' (FORMAT parquet)",
			part);
		if (!paths[i] || !part || !sql)
			return err_set(err, E_NOMEM, "no memory for paths");
		if (access(paths[i], F_OK) == 0)
			continue;
		TRY(i == 0 ? make(paths[i], part, sql, err) : copy_file(paths[0], paths[i], err));
	}
	*ret_files = (struct input_files){paths, count, FLIGHTS};
	return paths ? 0 : err_set(err, E_NOMEM, "no memory for paths");
}

int input_random(struct bench *bench, struct input_files *ret_files, struct err *err)
{
	size_t rows = bench_scaled(bench, RANDOM, 100000);
	const char **path = arena_alloc(bench->arena, sizeof *path);
	const char *part = arena_printf(bench->arena, "%s/random-%zu.part", bench->data, rows);
	const char *sql = arena_printf(bench->arena,
				       "COPY (SELECT (hash(i) >> 1)::BIGINT AS k, "
				       "make_timestamp(978307200000000 + (hash(i + 1) %% "
				       "31536000000000)::BIGINT) AS seen, "
				       "(hash(i + 2) >> 11)::DOUBLE / 1e9 AS price, (hash(i + 3) "
				       ">> 24)::BIGINT AS quantity, "
				       "to_base((hash(i + 4) >> 30)::BIGINT, 36, 7) AS code "
				       "FROM range(%zu) r(i)) TO '%s' (FORMAT parquet)",
				       rows, part);
	if (!path || !part || !sql)
		return err_set(err, E_NOMEM, "no memory for paths");
	*path = arena_printf(bench->arena, "%s/random-%zu.parquet", bench->data, rows);
	if (!*path)
		return err_set(err, E_NOMEM, "no memory for paths");
	if (access(*path, F_OK) < 0)
		TRY(make(*path, part, sql, err));
	*ret_files = (struct input_files){path, 1, (int64_t)rows};
	return 0;
}
