/* b_scan.c - SQL over a sealed dataset, from grant to report, beside DuckDB on the very same
 * Parquet files in the clear; both in the page cache. */
#include "common/defs.h"
#include "tests/bench/bench.h"

#include "tests/bench/floors.h"
#include "tests/bench/sealed.h"

enum { ROUNDS = 3, THREADS = 2 };

struct table {
	const char *name;
	const char *const columns[5][2]; /* name, type */
	const char *all, *one;	   /* what is selected */
};

static const struct table flights = {"flights",
				     {{"date", "timestamp"},
				      {"delay", "int64"},
				      {"distance", "int64"},
				      {"origin", "string"},
				      {"destination", "string"}},
				     "max(date) AS a, avg(delay) AS b, avg(distance) AS c, "
				     "min(origin) AS d, max(destination) AS e",
				     "avg(delay) AS b"};

static const struct table noise = {
	"noise",
	{{"k", "int64"},
	 {"seen", "timestamp"},
	 {"price", "float64"},
	 {"quantity", "int64"},
	 {"code", "string"}},
	"max(k) AS a, max(seen) AS b, avg(price) AS c, max(quantity) AS d, min(code) AS e",
	"avg(price) AS c"};

struct job {
	struct bench *bench;
	struct local *local;
	struct plain *plain;
	const struct table *table;
	const char *select;
	struct input_files files;
	struct grant_table input;
};

static int product(void *context, double *ret_value, struct err *err)
{
	struct job *job = context;
	const char *sql = arena_printf(job->bench->arena, "SELECT %s FROM %s", job->select,
				       job->table->name);
	if (!sql)
		return err_set(err, E_NOMEM, "no memory for a statement");
	return sealed_select(job->local, &job->input, sql, ret_value, err);
}

static int alone(void *context, double *ret_value, struct err *err)
{
	struct job *job = context;
	AUTO_BUF sql;
	buf_init(&sql, MIB);
	buf_printf(&sql, "SELECT %s FROM read_parquet([", job->select);
	for (size_t i = 0; i < job->files.count; i++)
		buf_printf(&sql, "%s'%s'", i ? ", " : "", job->files.paths[i]);
	buf_puts(&sql, "])");
	TRY(buf_check(&sql, err));
	double began = now_s();
	TRY(plain_exec(job->plain, (const char *)sql.data, err));
	*ret_value = now_s() - began;
	return 0;
}

static int figure(struct job *job, const char *select, enum figure_id id, struct err *err)
{
	double value, floor;
	job->select = select;
	TRY(bench_turns(ROUNDS, product, alone, job, &value, &floor, err));
	bench_figure(job->bench, id, value, floor);
	return 0;
}

static int scan(struct job *job, enum figure_id all, enum figure_id one, struct err *err)
{
	TRY(sealed_table(job->bench, job->local, &job->files, job->table->name,
			 job->table->columns, ARRAY_LEN(job->table->columns), &job->input, err));
	TRY(figure(job, job->table->all, all, err));
	TRY(figure(job, job->table->one, one, err));
	return sealed_drop(job->local, &job->input, err);
}

int bench_scan(struct bench *bench, struct err *err)
{
	AUTO(local) *local = NULL;
	AUTO(plain) *plain = NULL;
	TRY(local_new(bench, 1, &local, err));
	TRY(plain_new(THREADS, &plain, err));
	struct job job = {.bench = bench, .local = local, .plain = plain, .table = &flights};
	TRY(input_flights_files(bench, &job.files, err));
	TRY(scan(&job, FIGURE_scan_all, FIGURE_scan_one, err));
	job.table = &noise;
	TRY(input_random(bench, &job.files, err));
	return scan(&job, FIGURE_scan_random_all, FIGURE_scan_random_one, err);
}
