/* ingest.h - the executor's half of an ingestion, by format; used by t_ingest.c and ingest_*.c
 * only.
 *
 * A format says, as SQL, where its rows come from, what a column's cell is, and when a row is bad.
 * Bad rows are kept out of the dataset and listed in the table freehold_rejects:
 * line, column, kind (what may be told), reason, row (the last two may hold data: only ever
 * sealed). */
#ifndef INGEST_H
#define INGEST_H

#include "common/buf.h"
#include "common/value.h"

enum { INGEST_SQL_MAX = 4 * 1024 * 1024, INGEST_KEPT_MAX = 100000 };

struct shop;

struct ingest {
	struct shop *shop;
	const struct value *work;
	const char *path;        /* as the user wrote it */
	const char *compression; /* "none", "gzip", "zstd" */
	int fd;
	int64_t bytes; /* of the source */
	const struct value
		*schema; /* list of {name, type, required}; set by `look` when inferred */
	bool inferred;
	const struct value *found; /* list of {name, type}: the file's own columns, when it says */
	int64_t reject_limit;
};

struct ingest_format {
	/* Finds the file's columns; infers the schema or checks the declared one. */
	int (*look)(struct ingest *ingest, struct err *err);
	/* A relation with the file's rows. numbered: with a column "line". */
	int (*put_source)(const struct ingest *ingest, bool numbered, struct buf *sql,
	                  struct err *err);
	/* The cell of a column, of its type or NULL. */
	void (*put_cell)(struct buf *sql, const char *name, const char *sql_type);
	/* True when a column holds something that is not of its type; NULL: such rows never come
	 * here. */
	void (*put_wrong)(struct buf *sql, const char *name, const char *sql_type);
	const char *whole; /* true when a row as a whole cannot be read; NULL: never */
	const char *text;  /* the row as text, for freehold_rejects */
	/* Adds rows that the reader itself kept out to freehold_rejects; NULL: it keeps none out.
	 */
	int (*collect)(struct ingest *ingest, int64_t *ret_count, struct err *err);
};

extern const struct ingest_format ingest_csv, ingest_jsonl, ingest_parquet;

/* E_INPUT when a column of the schema is not among found; names both sides. */
MUST_USE int ingest_check_names(const struct ingest *ingest, struct err *err);
const struct value *ingest_column(const struct value *schema, const char *name);

#endif
