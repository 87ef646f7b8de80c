/* table.h - a dataset as a chain of immutable snapshots. The only module that knows how a
 * snapshot is encoded; it will become Apache Iceberg here and nowhere else.
 *
 * A snapshot lists every file of the table: path, rows, sizes, column statistics. The current
 * one changes only by compare-and-swap in the SETTLE transaction. */
#ifndef TABLE_H
#define TABLE_H

#include "common/buf.h"
#include "common/value.h"

enum { TABLE_FILES_MAX = 4096 };

struct table_file {
	const char *path;
	int64_t rows;
	int64_t bytes;               /* sealed */
	int64_t plain_bytes;
	const struct value *stats;   /* {column: {nulls, min, max}} as text; NULL: none */
};

struct snapshot {
	int64_t id;                  /* 1, 2, ... */
	int64_t parent;              /* 0: none */
	int64_t at_ms;
	const char *task;            /* that wrote it */
	const char *operation;       /* "append", "replace" */
	const struct value *schema;  /* list of {name, type} */
	const struct table_file *files;
	size_t file_count;
	int64_t rows, bytes;         /* totals */
	int64_t rejected_rows;       /* of this operation */
	const char *rejects_path;    /* NULL: none */
};

/* The next snapshot after `current` (NULL: the first). append: adds files; E_INPUT when schemas
 * differ, naming the column. replace: E_CONFLICT when current->id is not base. */
MUST_USE int snapshot_next(struct arena *arena, const struct snapshot *current, bool replace,
                           int64_t base, const struct snapshot *added,
                           struct snapshot **ret_next, struct err *err);
MUST_USE int snapshot_encode(const struct snapshot *snapshot, struct buf *out, struct err *err);
MUST_USE int snapshot_decode(struct arena *arena, const void *data, size_t len,
                             struct snapshot **ret_snapshot, struct err *err);
/* For the API: without the files' paths. */
struct value *snapshot_summary(struct arena *arena, const struct snapshot *snapshot);

#endif
