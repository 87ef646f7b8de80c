/* sealed.c - see sealed.h. */
#include "common/defs.h"
#include "tests/bench/sealed.h"

#include "common/object.h"
#include "common/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { COPY_BYTES = 4 * 1024 * 1024, RUN_ARENA_MAX = 64 * 1024 * 1024 };

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

static int seal_file(struct local *local, const struct grant_table *table, const char *path,
		     struct grant_file *file, struct err *err)
{
	struct seal_label label = {.tenant = LOCAL_TENANT,
				   .dataset = table->uid,
				   .path = file->path,
				   .version = table->key_version};
	AUTO(object_writer) *writer = NULL;
	AUTO(sealer) *sealer = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC), sealed = -1;
	uint64_t len = 0;
	if (fd < 0)
		return err_errno(err, errno, "%s", path);
	int rc = object_writer_new(local->objects, file->path, &writer, err);
	rc = rc < 0 ? rc : sealer_new(&label, table->key, to_object, writer, &sealer, err);
	rc = rc < 0 ? rc : copy_sealed(fd, sealer, err);
	close(fd);
	TRY(rc);
	TRY(object_commit(writer, err));
	TRY(object_open(local->objects, file->path, &sealed, &len, err));
	close(sealed);
	file->bytes = (int64_t)len;
	return 0;
}

int sealed_table(struct bench *bench, struct local *local, const struct input_files *files,
		 const char *name, const char *const (*columns)[2], size_t column_count,
		 struct grant_table *ret_table, struct err *err)
{
	struct value *schema = value_list(bench->arena);
	struct grant_file *sealed = arena_alloc(bench->arena, files->count * sizeof *sealed);
	for (size_t i = 0; i < column_count; i++) {
		struct value *column = value_map(bench->arena);
		value_set_str(column, "name", columns[i][0]);
		value_set_str(column, "type", columns[i][1]);
		value_set_bool(column, "required", false);
		value_add(schema, column);
	}
	TRY(value_check(schema, err));
	struct grant_table table = {
		.domain = LOCAL_DOMAIN, .name = name, .uid = name, .snapshot = 1, .key_version = 1,
		.schema = schema, .files = sealed, .file_count = files->count,
	};
	table.key = local_key(bench->arena);
	for (size_t i = 0; sealed && i < files->count; i++) {
		sealed[i].path = arena_printf(bench->arena, "%s/%s/0-1/%s-%zu.parquet",
					      LOCAL_TENANT, LOCAL_DOMAIN, name, i);
		sealed[i].rows = files->rows;
		if (!sealed[i].path)
			return err_set(err, E_NOMEM, "no memory for a path");
		TRY(seal_file(local, &table, files->paths[i], &sealed[i], err));
	}
	*ret_table = table;
	return sealed ? 0 : err_set(err, E_NOMEM, "no memory for a list of files");
}

int sealed_drop(struct local *local, const struct grant_table *table, struct err *err)
{
	for (size_t i = 0; i < table->file_count; i++)
		TRY(object_delete(local->objects, table->files[i].path, err));
	return 0;
}

int sealed_select(struct local *local, const struct grant_table *table, const char *sql,
		  double *ret_seconds, struct err *err)
{
	AUTO(arena) *arena = NULL;
	TRY(arena_new(RUN_ARENA_MAX, &arena, err));
	struct value *work = value_map(arena);
	value_set_str(work, "sql", sql);
	struct grant_table output = {
		.domain = LOCAL_DOMAIN, .name = "result", .uid = "bench-result", .key_version = 1};
	output.key = local_key(arena);
	TRY(value_check(work, err));
	struct grant grant = {.type = TASK_TRANSFORM,
			      .work = work,
			      .inputs = table,
			      .input_count = 1,
			      .outputs = &output,
			      .output_count = 1};
	double began = now_s();
	TRY(local_run(local, arena, &grant, NULL, err));
	*ret_seconds = now_s() - began;
	return 0;
}
