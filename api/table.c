/* table.c - snapshots as canonical msgpack of one version. Invariants of every snapshot that is
 * read or made here: rows and bytes are the sums of its files'; ids grow by one along a chain;
 * all files of a snapshot have its schema. */
#include "common/defs.h"
#include "api/table.h"

#include "api/wire.h"
#include "common/clock.h"
#include "common/pack.h"

#include <inttypes.h>
#include <string.h>

enum {
	SNAPSHOT_VERSION = 1, COLUMNS_MAX = 4096, PATH_MAX_LEN = 400, TASK_ID_MAX = 64,
	SNAPSHOT_BYTES_MAX = 8 * 1024 * 1024, SNAPSHOT_ARENA_MAX = 64 * 1024 * 1024
};

static const struct wire_member file_members[] = {
	W_TEXT(struct table_file, path, "path", 1, PATH_MAX_LEN),
	W_INT(struct table_file, rows, "rows", 0, INT64_MAX),
	W_INT(struct table_file, bytes, "bytes", 0, INT64_MAX),
	W_INT(struct table_file, plain_bytes, "plain", 0, INT64_MAX),
	W_VALUE_OPT(struct table_file, stats, "stats", WIRE_MAP_OF, 0, COLUMNS_MAX),
	W_END
};
static const struct wire file_wire = { "file", sizeof(struct table_file), true, file_members };

/* The version stands first in the struct that is written, not in struct snapshot. */
struct stored {
	int64_t version;
	struct snapshot snapshot;
};

static const struct wire_member stored_members[] = {
	W_INT(struct stored, version, "v", SNAPSHOT_VERSION, SNAPSHOT_VERSION),
	W_INT(struct stored, snapshot.id, "id", 1, INT64_MAX),
	W_INT(struct stored, snapshot.parent, "parent", 0, INT64_MAX),
	W_INT(struct stored, snapshot.at_ms, "at", 0, INT64_MAX),
	W_TEXT(struct stored, snapshot.task, "task", 1, TASK_ID_MAX),
	W_TEXT(struct stored, snapshot.operation, "operation", 1, 16),
	W_VALUE(struct stored, snapshot.schema, "schema", WIRE_LIST_OF, 0, COLUMNS_MAX),
	W_STRUCTS(struct stored, snapshot.files, snapshot.file_count, "files", 0, TABLE_FILES_MAX,
	          &file_wire),
	W_INT(struct stored, snapshot.rows, "rows", 0, INT64_MAX),
	W_INT(struct stored, snapshot.bytes, "bytes", 0, INT64_MAX),
	W_INT(struct stored, snapshot.rejected_rows, "rejected", 0, INT64_MAX),
	W_TEXT_OPT(struct stored, snapshot.rejects_path, "rejects", 1, PATH_MAX_LEN),
	W_END
};
static const struct wire stored_wire = {
	"snapshot", sizeof(struct stored), true, stored_members
};

/* ---- schemas ---- */

static const char *column_name(const struct value *schema, size_t i)
{
	const char *name = value_get_str(value_at(schema, i), "name");
	return name ? name : "";
}

static const struct value *column_find(const struct value *schema, const char *name)
{
	for (size_t i = 0; i < value_len(schema); i++)
		if (strcmp(column_name(schema, i), name) == 0)
			return value_at(schema, i);
	return NULL;
}

static int column_match(const struct value *have, const struct value *column, const char *name,
                        struct err *err)
{
	const char *type = value_get_str(column, "type");
	const char *other = value_get_str(have, "type");
	if (!have)
		return err_set(err, E_INPUT, "schema: the column \"%.128s\" is new; the dataset "
		               "does not have it: leave it out, or write to another dataset", name);
	if (!type || !other || strcmp(type, other) != 0)
		return err_set(err, E_INPUT, "schema: the column \"%.128s\" is %.32s, in the "
		               "dataset it is %.32s: cast it, or write to another dataset", name,
		               type ? type : "untyped", other ? other : "untyped");
	return 0;
}

/* The same columns with the same types, in any order: files are read by name. */
static int schema_match(const struct value *schema, const struct value *added, struct err *err)
{
	for (size_t i = 0; i < value_len(added); i++) {
		const char *name = column_name(added, i);
		TRY(column_match(column_find(schema, name), value_at(added, i), name, err));
	}
	for (size_t i = 0; i < value_len(schema); i++) {
		const char *name = column_name(schema, i);
		if (!column_find(added, name))
			return err_set(err, E_INPUT, "schema: the column \"%.128s\" of the dataset "
			               "is missing; add it, NULL where there is no value", name);
	}
	return 0;
}

/* ---- the next snapshot ---- */

static int check_base(const struct snapshot *current, int64_t base, struct err *err)
{
	int64_t id = current ? current->id : 0;
	if (id == base)
		return 0;
	return err_set(err, E_CONFLICT, "snapshot: the dataset is at %" PRId64 ", the replacement "
	               "was built on %" PRId64 "; run the task again", id, base);
}

static int join_files(struct arena *arena, const struct snapshot *kept,
                      const struct snapshot *added, struct snapshot *next, struct err *err)
{
	size_t before = kept ? kept->file_count : 0;
	size_t count = before + added->file_count;
	if (count > TABLE_FILES_MAX)
		return err_set(err, E_TOO_LARGE, "snapshot: %zu files, at most %d are allowed; "
		               "replace the dataset with a transformation of itself to join them",
		               count, TABLE_FILES_MAX);
	struct table_file *files = arena_alloc(arena, count * sizeof *files + 1);
	if (!files)
		return err_set(err, E_NOMEM, "snapshot: no memory for %zu files", count);
	if (before)
		memcpy(files, kept->files, before * sizeof *files);
	if (added->file_count)
		memcpy(files + before, added->files, added->file_count * sizeof *files);
	next->files = files;
	next->file_count = count;
	next->rows = next->bytes = 0;
	for (size_t i = 0; i < count; i++)
		if (__builtin_add_overflow(next->rows, files[i].rows, &next->rows) ||
		    __builtin_add_overflow(next->bytes, files[i].bytes, &next->bytes))
			return err_set(err, E_TOO_LARGE, "snapshot: rows or bytes pass 63 bits");
	return 0;
}

int snapshot_next(struct arena *arena, const struct snapshot *current, bool replace,
                  int64_t base, const struct snapshot *added, struct snapshot **ret_next,
                  struct err *err)
{
	static const struct snapshot none_yet = { 0 };
	if (replace)
		TRY(check_base(current, base, err));
	const struct snapshot *kept = replace ? NULL : current;
	bool has_schema = kept && value_len(kept->schema) > 0;
	if (has_schema && added->file_count > 0)
		TRY(schema_match(kept->schema, added->schema, err));
	struct snapshot *next = arena_alloc(arena, sizeof *next);
	struct value *none = value_list(arena);
	if (!next || !none)
		return err_set(err, E_NOMEM, "snapshot: no memory for it");
	*next = *added;
	TRY(join_files(arena, kept, added, next, err));
	next->parent = (current ? current : &none_yet)->id;
	next->id = next->parent + 1;
	next->operation = replace ? "replace" : "append";
	if (has_schema)
		next->schema = kept->schema;
	if (!next->schema)
		next->schema = none;
	*ret_next = next;
	return 0;
}

/* ---- bytes ---- */

int snapshot_encode(const struct snapshot *snapshot, struct buf *out, struct err *err)
{
	AUTO(arena) *arena = NULL;
	struct value *map;
	struct stored stored = { SNAPSHOT_VERSION, *snapshot };
	TRY(arena_new(SNAPSHOT_ARENA_MAX, &arena, err));
	TRY(wire_value(arena, &stored_wire, &stored, &map, err));
	return pack_write(map, out, err);
}

static int check_totals(const struct snapshot *snapshot, struct err *err)
{
	int64_t rows = 0, bytes = 0;
	for (size_t i = 0; i < snapshot->file_count; i++)
		if (__builtin_add_overflow(rows, snapshot->files[i].rows, &rows) ||
		    __builtin_add_overflow(bytes, snapshot->files[i].bytes, &bytes))
			return err_set(err, E_CORRUPT, "snapshot: rows or bytes pass 63 bits");
	if (rows != snapshot->rows || bytes != snapshot->bytes)
		return err_set(err, E_CORRUPT, "snapshot: its totals are not those of its files");
	return 0;
}

static int read_stored(struct arena *arena, const void *data, size_t len, struct stored *stored,
                       struct err *err)
{
	struct value *map;
	TRY(pack_read(arena, data, len, &map, err));
	TRY(wire_read(arena, &stored_wire, map, stored, err));
	return check_totals(&stored->snapshot, err);
}

int snapshot_decode(struct arena *arena, const void *data, size_t len,
                    struct snapshot **ret_snapshot, struct err *err)
{
	if (len > SNAPSHOT_BYTES_MAX)
		return err_set(err, E_TOO_LARGE, "snapshot: %zu bytes, at most %d are allowed", len,
		               SNAPSHOT_BYTES_MAX);
	struct stored *stored = arena_alloc(arena, sizeof *stored);
	if (!stored)
		return err_set(err, E_NOMEM, "snapshot: no memory for it");
	int rc = read_stored(arena, data, len, stored, err);
	if (rc == E_INVALID && err)    /* what is stored was written by us */
		err->code = E_CORRUPT;
	if (rc < 0)
		return rc == E_INVALID ? E_CORRUPT : rc;
	*ret_snapshot = &stored->snapshot;
	return 0;
}

struct value *snapshot_summary(struct arena *arena, const struct snapshot *snapshot)
{
	struct value *map = value_map(arena);
	value_set_int(map, "id", snapshot->id);
	value_set_int(map, "parent", snapshot->parent);
	char at[TIME_TEXT_MAX];
	value_set_str(map, "at", time_print_ms(snapshot->at_ms, at));
	value_set_str(map, "task", snapshot->task);
	value_set_str(map, "operation", snapshot->operation);
	value_set(map, "schema", snapshot->schema ? value_copy(arena, snapshot->schema)
	                                          : value_list(arena));
	value_set_int(map, "files", (int64_t)snapshot->file_count);
	value_set_int(map, "rows", snapshot->rows);
	value_set_int(map, "bytes", snapshot->bytes);
	value_set_int(map, "rejectedRows", snapshot->rejected_rows);
	return map;
}
