/* b_query.c - queries as a client sees them, over HTTP at a worker of a whole system, beside DuckDB
 * alone on the same rows in the clear. */
#include "common/defs.h"
#include "tests/bench/bench.h"

#include "tests/bench/floors.h"
#include "tests/bench/inputs.h"
#include "tests/bench/system.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SMALL_ROUNDS = 30, LARGE_ROUNDS = 3, THREADS = 2, ANSWER_MS = 300000 };

#define SMALL "SELECT count(*) AS n, avg(c) AS c, max(e) AS e FROM %s WHERE a > 10"

static const char flights_yaml[] =
	"apiVersion: freehold.io/v1\nkind: Dataset\n"
	"metadata: {name: flights, tenant: bench, domain: bench}\nspec: {description: flights}\n"
	"---\napiVersion: freehold.io/v1\nkind: Source\n"
	"metadata: {name: flights, tenant: bench, domain: bench}\n"
	"spec: {connector: file, path: flights.csv, format: csv, dataset: flights, mode: "
	"replace}\n";

struct job {
	struct bench *bench;
	struct bench_system *system;
	struct plain *plain;
	const char *small_file, *flights_file; /* plain Parquet */
	const char *format, *options;	       /* of an export, and of DuckDB's COPY */
	int64_t rows, bytes;
};

/* ---- ours ---- */

static bool count(void *context, const char *data, size_t len)
{
	struct job *job = context;
	(void)data;
	job->bytes += (int64_t)len;
	return true;
}

static int ask(struct job *job, const char *sql, const char *format, struct err *err)
{
	const char *headers[] = {job->system->reader, "Content-Type: application/json", NULL};
	char body[512], url[256];
	int len = snprintf(body, sizeof body, "{\"sql\":\"%s\",\"format\":\"%s\"}", sql, format);
	int status = 0;
	snprintf(url, sizeof url, "%s/query", job->system->serve_url);
	const struct fetch_call call = {.url = url,
					.headers = headers,
					.body = body,
					.body_len = (size_t)len,
					.timeout_ms = ANSWER_MS};
	job->bytes = 0;
	TRY(fetch_stream(job->system->fetch, &call, count, job, 0, NULL, &status, err));
	return status == 200 ? 0 : err_set(err, E_INTERNAL, "the query was answered %d", status);
}

static int small(void *context, double *ret_value, struct err *err)
{
	struct job *job = context;
	char sql[256];
	snprintf(sql, sizeof sql, SMALL, "readings");
	double began = now_s();
	TRY(ask(job, sql, "json", err));
	*ret_value = (now_s() - began) * 1000;
	return 0;
}

static int export(void *context, double *ret_value, struct err *err)
{
	struct job *job = context;
	double began = now_s();
	TRY(ask(job, "SELECT * FROM flights", job->format, err));
	*ret_value = (double)job->rows / (now_s() - began);
	return job->bytes > job->rows ? 0 : err_set(err, E_INTERNAL, "the export is too short");
}

/* ---- DuckDB alone ---- */

static int plain_small(void *context, double *ret_value, struct err *err)
{
	struct job *job = context;
	char from[300], sql[600];
	snprintf(from, sizeof from, "'%s'", job->small_file);
	snprintf(sql, sizeof sql, SMALL, from);
	double began = now_s();
	TRY(plain_exec(job->plain, sql, err));
	*ret_value = (now_s() - began) * 1000;
	return 0;
}

static int plain_export(void *context, double *ret_value, struct err *err)
{
	struct job *job = context;
	const char *sql = arena_printf(job->bench->arena, "COPY (FROM '%s') TO '%s/export' (%s)",
				       job->flights_file, job->bench->folder, job->options);
	if (!sql)
		return err_set(err, E_NOMEM, "no memory for a statement");
	double began = now_s();
	TRY(plain_exec(job->plain, sql, err));
	*ret_value = (double)job->rows / (now_s() - began);
	return 0;
}

/* ---- the data ---- */

static int to_parquet(struct job *job, const char *csv, const char **ret_file, struct err *err)
{
	const char *file = arena_printf(job->bench->arena, "%s.parquet", csv);
	const char *sql = arena_printf(job->bench->arena,
				       "COPY (FROM read_csv('%s')) TO '%s' (FORMAT parquet)", csv,
				       file);
	if (!file || !sql)
		return err_set(err, E_NOMEM, "no memory for a statement");
	*ret_file = file;
	return plain_exec(job->plain, sql, err);
}

static int load_flights(struct job *job, struct err *err)
{
	struct bench *bench = job->bench;
	const char *csv = NULL;
	TRY(input_flights(bench, &csv, &job->rows, err));
	const char *from = arena_printf(bench->arena, "%s/bench/%s", bench->data, csv);
	const char *to = arena_printf(bench->arena, "%s/files/bench/flights.csv", bench->folder);
	const char *yaml = arena_printf(bench->arena, "%s/flights.yaml", bench->folder);
	const char *readings =
		arena_printf(bench->arena, "%s/files/bench/readings.csv", bench->folder);
	if (!from || !to || !yaml || !readings)
		return err_set(err, E_NOMEM, "no memory for a path");
	const char *const copy[] = {"cp", from, to, NULL};
	const char *const apply[] = {"apply", "-f", yaml, NULL};
	const char *const ingest[] = {"run", "ingest", "flights", NULL};
	char output[4096];
	FILE *file = fopen(yaml, "w");
	bool written = file && fputs(flights_yaml, file) >= 0;
	if (!file || fclose(file) != 0 || !written)
		return err_errno(err, errno, "%s", yaml);
	TRY(process_run(copy, NULL, output, sizeof output, err));
	TRY(system_cli(bench, "owner", apply, err));
	TRY(system_cli(bench, "owner", ingest, err));
	TRY(to_parquet(job, readings, &job->small_file, err));
	return to_parquet(job, to, &job->flights_file, err);
}

static int measure_exports(struct job *job, struct err *err)
{
	static const struct {
		const char *format, *options;
		enum figure_id figure;
	} exports[] = {
		{"parquet", "FORMAT parquet", FIGURE_query_parquet},
		{"csv", "FORMAT csv, HEADER", FIGURE_query_csv},
		{"jsonl", "FORMAT json", FIGURE_query_jsonl},
	};
	double value, floor;
	for (size_t i = 0; i < ARRAY_LEN(exports); i++) {
		job->format = exports[i].format;
		job->options = exports[i].options;
		TRY(bench_turns(LARGE_ROUNDS, export, plain_export, job, &value, &floor, err));
		bench_figure(job->bench, exports[i].figure, value, floor);
	}
	return 0;
}

int bench_query(struct bench *bench, struct err *err)
{
	AUTO(plain) *plain = NULL;
	struct job job = {.bench = bench};
	double value, floor;
	TRY(system_get(bench, &job.system, err));
	TRY(plain_new(THREADS, &plain, err));
	job.plain = plain;
	TRY(load_flights(&job, err));
	TRY(bench_turns(bench_scaled(bench, SMALL_ROUNDS, 5), small, plain_small, &job, &value,
			&floor, err));
	bench_figure(bench, FIGURE_query_small, value, floor);
	return measure_exports(&job, err);
}
