/* b_scan.c - SQL over a sealed dataset of about 1 GB, from grant to report, beside DuckDB on the very
 * same Parquet file in the clear; both in the page cache. */
#include "common/defs.h"
#include "tests/bench/bench.h"

#include "common/object.h"
#include "common/seal.h"
#include "tests/bench/floors.h"
#include "tests/bench/inputs.h"
#include "tests/bench/local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ROUNDS = 5, THREADS = 2, ARENA_MAX = 64 * 1024 * 1024, COPY_BYTES = 4 * 1024 * 1024 };

#define ALL_COLUMNS "SELECT max(k) AS k, max(at) AS at, avg(price) AS price, " \
	"max(quantity) AS quantity, min(code) AS code FROM "
#define ONE_COLUMN "SELECT avg(price) AS price FROM "

struct job {
	struct local *local;
	struct plain *plain;
	struct bench *bench;
	const char *plain_path;
	const char *select;
	struct grant_file file;
	struct grant_table wide;
};

/* ---- the sealed copy ---- */

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

static int seal_file(struct job *job, struct err *err)
{
	struct seal_label label = { .tenant = LOCAL_TENANT, .dataset = job->wide.uid,
	                            .path = job->file.path, .version = job->wide.key_version };
	AUTO(object_writer) *writer = NULL;
	AUTO(sealer) *sealer = NULL;
	int fd = open(job->plain_path, O_RDONLY | O_CLOEXEC), sealed = -1;
	uint64_t len = 0;
	if (fd < 0)
		return err_errno(err, errno, "%s", job->plain_path);
	int rc = object_writer_new(job->local->objects, job->file.path, &writer, err);
	rc = rc < 0 ? rc : sealer_new(&label, job->wide.key, to_object, writer, &sealer, err);
	rc = rc < 0 ? rc : copy_sealed(fd, sealer, err);
	close(fd);
	TRY(rc);
	TRY(object_commit(writer, err));
	TRY(object_open(job->local->objects, job->file.path, &sealed, &len, err));
	close(sealed);
	job->file.bytes = (int64_t)len;
	return 0;
}

static struct value *wide_schema(struct arena *arena)
{
	static const char *const columns[][2] = {
		{ "k", "int64" }, { "at", "timestamp" }, { "price", "float64" }, { "quantity", "int64" },
		{ "code", "string" },
	};
	struct value *schema = value_list(arena);
	for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
		struct value *column = value_map(arena);
		value_set_str(column, "name", columns[i][0]);
		value_set_str(column, "type", columns[i][1]);
		value_set_bool(column, "required", false);
		value_add(schema, column);
	}
	return schema;
}

/* ---- the two sides ---- */

static int product(void *context, double *ret_value, struct err *err)
{
	struct job *job = context;
	AUTO(arena) *arena = NULL;
	TRY(arena_new(ARENA_MAX, &arena, err));
	struct value *work = value_map(arena);
	value_set_str(work, "sql", arena_printf(arena, "%swide", job->select));
	struct grant_table output = { .domain = LOCAL_DOMAIN, .name = "result", .uid = "bench-result",
	                              .key_version = 1 };
	random_bytes(output.key, sizeof output.key);
	TRY(value_check(work, err));
	struct grant grant = { .type = TASK_TRANSFORM, .work = work, .inputs = &job->wide,
	                       .input_count = 1, .outputs = &output, .output_count = 1 };
	double began = now_s();
	TRY(local_run(job->local, arena, &grant, NULL, err));
	*ret_value = now_s() - began;
	return 0;
}

static int alone(void *context, double *ret_value, struct err *err)
{
	struct job *job = context;
	const char *sql = arena_printf(job->bench->arena, "%sread_parquet('%s')", job->select,
	                               job->plain_path);
	if (!sql)
		return err_set(err, E_NOMEM, "no memory for a statement");
	double began = now_s();
	TRY(plain_exec(job->plain, sql, err));
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

int bench_scan(struct bench *bench, struct err *err)
{
	struct job job = { .bench = bench };
	AUTO(local) *local = NULL;
	AUTO(plain) *plain = NULL;
	TRY(input_wide(bench, &job.plain_path, &job.file.rows, err));
	TRY(local_new(bench, 1, &local, err));
	TRY(plain_new(THREADS, &plain, err));
	job.local = local;
	job.plain = plain;
	job.file.path = LOCAL_TENANT "/" LOCAL_DOMAIN "/0-1/wide.parquet";
	job.wide = (struct grant_table){
		.domain = LOCAL_DOMAIN, .name = "wide", .uid = "bench-wide", .snapshot = 1, .key_version = 1,
		.schema = wide_schema(bench->arena), .files = &job.file, .file_count = 1,
	};
	random_bytes(job.wide.key, sizeof job.wide.key);
	TRY(value_check(job.wide.schema, err));
	TRY(seal_file(&job, err));
	TRY(figure(&job, ALL_COLUMNS, FIGURE_scan_all, err));
	TRY(figure(&job, ONE_COLUMN, FIGURE_scan_one, err));
	return object_delete(local->objects, job.file.path, err);
}
