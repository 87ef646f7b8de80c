/* b_scan.c - SQL over a sealed dataset, from grant to report, beside DuckDB on the very same
 * Parquet files in the clear; both in the page cache. */
#include "common/defs.h"
#include "tests/bench/bench.h"

#include "common/object.h"
#include "common/seal.h"
#include "tests/bench/floors.h"
#include "tests/bench/inputs.h"
#include "tests/bench/local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { ROUNDS = 3, THREADS = 2, ARENA_MAX = 64 * 1024 * 1024, COPY_BYTES = 4 * 1024 * 1024 };

struct table {
	const char *name;
	const char *columns[5][2]; /* name, type */
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
	struct grant_file *sealed;
	struct grant_table input;
};

/* ---- the sealed copies ---- */

static int to_object(void *context, const void *data, size_t len, struct err *err)
{
	return object_write(context, data, len, err);
}

static int copy_sealed(int fd, struct sealer *sealer, struct err *err)
{
	uint8_t *bytes = malloc(COPY_BYTES);
	int rc = bytes ? 0 : err_set(err, E_NOMEM, "no memory for a copy");
	ssize_t n = 1;
	while (rc >= 0 && (n = read(fd, bytes, COPY_BYTES)) > 0)
		rc = sealer_write(sealer, bytes, (size_t)n, err);
	free(bytes);
	if (rc >= 0 && n < 0)
		return err_errno(err, errno, "reading the plain file");
	return rc < 0 ? rc : sealer_finish(sealer, err);
}

static int seal_file(struct job *job, const char *path, struct grant_file *file, struct err *err)
{
	struct seal_label label = {.tenant = LOCAL_TENANT,
				   .dataset = job->input.uid,
				   .path = file->path,
				   .version = job->input.key_version};
	AUTO(object_writer) *writer = NULL;
	AUTO(sealer) *sealer = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC), sealed = -1;
	uint64_t len = 0;
	if (fd < 0)
		return err_errno(err, errno, "%s", path);
	int rc = object_writer_new(job->local->objects, file->path, &writer, err);
	rc = rc < 0 ? rc : sealer_new(&label, job->input.key, to_object, writer, &sealer, err);
	rc = rc < 0 ? rc : copy_sealed(fd, sealer, err);
	close(fd);
	TRY(rc);
	TRY(object_commit(writer, err));
	TRY(object_open(job->local->objects, file->path, &sealed, &len, err));
	close(sealed);
	file->bytes = (int64_t)len;
	return 0;
}

static int seal_files(struct job *job, struct err *err)
{
	job->sealed = arena_alloc(job->bench->arena, job->files.count * sizeof *job->sealed);
	if (!job->sealed)
		return err_set(err, E_NOMEM, "no memory for a list of files");
	for (size_t i = 0; i < job->files.count; i++) {
		job->sealed[i].path = arena_printf(job->bench->arena, "%s/%s/0-1/%s-%zu.parquet",
						   LOCAL_TENANT, LOCAL_DOMAIN, job->table->name, i);
		if (!job->sealed[i].path)
			return err_set(err, E_NOMEM, "no memory for a path");
		job->sealed[i].rows = job->files.rows;
		TRY(seal_file(job, job->files.paths[i], &job->sealed[i], err));
	}
	job->input.files = job->sealed;
	job->input.file_count = job->files.count;
	return 0;
}

static int describe(struct job *job, struct err *err)
{
	struct arena *arena = job->bench->arena;
	struct value *schema = value_list(arena);
	for (size_t i = 0; i < ARRAY_LEN(job->table->columns); i++) {
		struct value *column = value_map(arena);
		value_set_str(column, "name", job->table->columns[i][0]);
		value_set_str(column, "type", job->table->columns[i][1]);
		value_set_bool(column, "required", false);
		value_add(schema, column);
	}
	job->input = (struct grant_table){
		.domain = LOCAL_DOMAIN,
		.name = job->table->name,
		.uid = job->table->name,
		.snapshot = 1,
		.key_version = 1,
		.schema = schema,
	};
	job->input.key = local_key(arena);
	return value_check(schema, err);
}

/* ---- the two sides ---- */

static int product(void *context, double *ret_value, struct err *err)
{
	struct job *job = context;
	AUTO(arena) *arena = NULL;
	TRY(arena_new(ARENA_MAX, &arena, err));
	struct value *work = value_map(arena);
	value_set_str(work, "sql",
		      arena_printf(arena, "SELECT %s FROM %s", job->select, job->table->name));
	struct grant_table output = {
		.domain = LOCAL_DOMAIN, .name = "result", .uid = "bench-result", .key_version = 1};
	output.key = local_key(arena);
	TRY(value_check(work, err));
	struct grant grant = {.type = TASK_TRANSFORM,
			      .work = work,
			      .inputs = &job->input,
			      .input_count = 1,
			      .outputs = &output,
			      .output_count = 1};
	double began = now_s();
	TRY(local_run(job->local, arena, &grant, NULL, err));
	*ret_value = now_s() - began;
	return 0;
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
	TRY(describe(job, err));
	TRY(seal_files(job, err));
	TRY(figure(job, job->table->all, all, err));
	TRY(figure(job, job->table->one, one, err));
	for (size_t i = 0; i < job->files.count; i++)
		TRY(object_delete(job->local->objects, job->sealed[i].path, err));
	return 0;
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
