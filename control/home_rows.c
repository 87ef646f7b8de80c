/* home_rows.c - rows of the datasets in a tenant's home, as a grant carries them. */
#include "common/defs.h"
#include "control/home.h"

#include "common/json.h"

#include <string.h>

enum { ROWS_BYTES_MAX = 1890000, DOCUMENT_MAX = 64 * 1024 };

/* "usage.cpuMs" of a task. */
static const struct value *member_at(const struct value *task, const char *path)
{
	char name[32];
	for (;;) {
		size_t len = strcspn(path, ".");
		if (len >= sizeof name)
			return NULL;
		memcpy(name, path, len);
		name[len] = 0;
		task = value_get(task, name);
		if (!path[len])
			return task;
		path += len + 1;
	}
}

static int print_document(const struct value *task, struct buf *out, struct err *err)
{
	buf_clear(out);
	json_print(task, out);
	return buf_check(out, err);
}

/* A task with an enormous spec is remembered without it. */
static int document_of(struct arena *arena, const struct value *task, struct value **ret_cell,
                       struct err *err)
{
	AUTO_BUF text;
	buf_init(&text, DOCUMENT_MAX);
	int rc = print_document(task, &text, err);
	if (rc == E_TOO_LARGE) {
		struct value *lesser = value_copy(arena, task);
		TRY(value_check(lesser, err));
		value_remove(lesser, "spec");
		value_remove(lesser, "outputs");
		rc = print_document(lesser, &text, err);
	}
	TRY(rc);
	*ret_cell = value_strn(arena, (const char *)text.data, text.len);
	return value_check(*ret_cell, err);
}

static int cell_of(struct arena *arena, const struct value *task, const char *path,
                   struct value **ret_cell, struct err *err)
{
	if (!*path)
		return document_of(arena, task, ret_cell, err);
	const struct value *member = member_at(task, path);
	bool scalar = value_kind(member) != VALUE_MAP && value_kind(member) != VALUE_LIST;
	*ret_cell = member && scalar ? value_copy(arena, member) : value_null(arena);
	return value_check(*ret_cell, err);
}

int home_row(struct arena *arena, const struct home_column *columns, const struct value *thing,
             struct value *rows, struct err *err)
{
	struct value *row = value_list(arena), *cell = NULL;
	for (const struct home_column *column = columns; column->name; column++) {
		TRY(cell_of(arena, thing, column->path, &cell, err));
		value_add(row, cell);
	}
	value_add(rows, row);
	return value_check(rows, err);
}

int home_rows_print(struct arena *arena, const struct value *rows, const char **ret_rows,
                    struct err *err)
{
	AUTO_BUF text;
	buf_init(&text, ROWS_BYTES_MAX);
	json_print(rows, &text);
	TRY(buf_check(&text, err));
	*ret_rows = arena_strdup(arena, (const char *)text.data);
	return *ret_rows ? 0 : err_set(err, E_NOMEM, "no memory for an archive's rows");
}
