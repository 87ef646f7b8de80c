/* b_ingest.c - the flights as CSV into a sealed dataset: one attempt from its grant to its report,
 * in a real executor, beside DuckDB writing the same CSV as plain Parquet. */
#include "common/defs.h"
#include "tests/bench/bench.h"

#include "tests/bench/floors.h"
#include "tests/bench/inputs.h"
#include "tests/bench/local.h"

#include <inttypes.h>

enum { ROUNDS = 3, THREADS = 2, ARENA_MAX = 64 * 1024 * 1024 };

struct job {
	struct bench *bench;
	struct local *local;
	struct plain *plain;
	const char *path;
	int64_t rows;
};

static void column(struct arena *arena, struct value *schema, const char *name, const char *type,
		   bool required)
{
	struct value *row = value_map(arena);
	value_set_str(row, "name", name);
	value_set_str(row, "type", type);
	value_set_bool(row, "required", required);
	value_add(schema, row);
}

static struct value *flights_schema(struct arena *arena)
{
	struct value *schema = value_list(arena);
	column(arena, schema, "date", "timestamp", true);
	column(arena, schema, "delay", "int64", false);
	column(arena, schema, "distance", "int64", false);
	column(arena, schema, "origin", "string", true);
	column(arena, schema, "destination", "string", true);
	return schema;
}

static int product(void *context, double *ret_value, struct err *err)
{
	struct job *job = context;
	AUTO(arena) *arena = NULL;
	TRY(arena_new(ARENA_MAX, &arena, err));
	struct value *work = value_map(arena);
	value_set_str(work, "connector", "file");
	value_set_str(work, "path", job->path);
	value_set_str(work, "format", "csv");
	value_set_str(work, "mode", "append");
	struct grant_table output = {.domain = LOCAL_DOMAIN,
				     .name = "flights",
				     .uid = "bench-flights",
				     .key_version = 1,
				     .schema = flights_schema(arena)};
	output.key = local_key(arena);
	TRY(value_check(work, err));
	TRY(value_check(output.schema, err));
	struct grant grant = {
		.type = TASK_INGEST, .work = work, .outputs = &output, .output_count = 1};
	int64_t rows = 0;
	double began = now_s();
	TRY(local_run(job->local, arena, &grant, &rows, err));
	*ret_value = (double)rows / (now_s() - began);
	return rows == job->rows
		       ? 0
		       : err_set(err, E_INTERNAL, "%" PRId64 " rows of %" PRId64 " arrived", rows,
				 job->rows);
}

static int alone(void *context, double *ret_value, struct err *err)
{
	struct job *job = context;
	const char *sql = arena_printf(
		job->bench->arena,
		"COPY (FROM read_csv('%s/bench/%s', header=true, columns={'date': 'TIMESTAMP', "
		"'delay': 'BIGINT', 'distance': 'BIGINT', 'origin': 'VARCHAR', 'destination': "
		"'VARCHAR'})) "
		"TO '%s/flights.parquet' (FORMAT parquet)",
		job->bench->data, job->path, job->bench->folder);
	if (!sql)
		return err_set(err, E_NOMEM, "no memory for a statement");
	double began = now_s();
	TRY(plain_exec(job->plain, sql, err));
	*ret_value = (double)job->rows / (now_s() - began);
	return 0;
}

int bench_ingest(struct bench *bench, struct err *err)
{
	struct job job = {.bench = bench};
	AUTO(local) *local = NULL;
	AUTO(plain) *plain = NULL;
	double value, floor;
	TRY(input_flights(bench, &job.path, &job.rows, err));
	TRY(local_new(bench, 1, &local, err));
	TRY(plain_new(THREADS, &plain, err));
	job.local = local;
	job.plain = plain;
	TRY(bench_turns(ROUNDS, product, alone, &job, &value, &floor, err));
	bench_figure(bench, FIGURE_ingest, value, floor);
	return 0;
}
