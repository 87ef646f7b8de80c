/* ingest_parquet.c - Parquet, whose own schema is cast to the dataset's. */
#include "common/defs.h"
#include "worker/duck.h"
#include "worker/ingest.h"
#include "worker/shop.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum { FOOT_BYTES = 8, LEAST_BYTES = 12 };

/* "PAR1" at both ends and a footer that fits: what a file that was cut off has not. */
static int check_magic(const struct ingest *ingest, struct err *err)
{
	uint8_t head[4] = {0}, foot[FOOT_BYTES] = {0};
	if (pread(ingest->fd, head, sizeof head, 0) != (ssize_t)sizeof head ||
	    memcmp(head, "PAR1", 4) != 0)
		return err_set(err, E_INPUT,
		               "path \"%s\": is no Parquet file (it does not begin with PAR1)",
		               ingest->path);
	int64_t at = ingest->bytes - FOOT_BYTES;
	uint32_t len = 0;
	if (ingest->bytes >= LEAST_BYTES &&
	    pread(ingest->fd, foot, sizeof foot, (off_t)at) == (ssize_t)sizeof foot)
		len = foot[0] | (uint32_t)foot[1] << 8 | (uint32_t)foot[2] << 16 |
		      (uint32_t)foot[3] << 24;
	if (memcmp(foot + 4, "PAR1", 4) != 0 || (int64_t)len > ingest->bytes - LEAST_BYTES)
		return err_set(err, E_INPUT,
		               "path \"%s\": the Parquet file is truncated: its %" PRId64
		               " bytes do "
		               "not end with a footer",
		               ingest->path, ingest->bytes);
	return 0;
}

static int parquet_look(struct ingest *ingest, struct err *err)
{
	if (strcmp(ingest->compression, "none") != 0)
		return err_set(
			err, E_INPUT,
			"path \"%s\": Parquet is compressed inside; compression must be none, "
			"not %s",
			ingest->path, ingest->compression);
	TRY(check_magic(ingest, err));
	AUTO_BUF sql;
	buf_init(&sql, 256);
	buf_puts(&sql, "SELECT * FROM read_parquet(");
	duck_put_fd(&sql, ingest->fd);
	buf_putc(&sql, ')');
	TRY(buf_check(&sql, err));
	struct value *found = NULL;
	TRY(shop_schema(ingest->shop, (const char *)sql.data, &found, err));
	ingest->found = found;
	if (!ingest->inferred)
		return ingest_check_names(ingest, err);
	ingest->schema = found;
	return 0;
}

static int parquet_source(const struct ingest *ingest, bool numbered, struct buf *sql,
                          struct err *err)
{
	buf_puts(sql, numbered ? "(SELECT *, file_row_number + 1 AS line FROM read_parquet("
	                       : "read_parquet(");
	duck_put_fd(sql, ingest->fd);
	buf_puts(sql, numbered ? ", file_row_number = true))" : ")");
	return buf_check(sql, err);
}

static void parquet_cell(struct buf *sql, const char *name, const char *sql_type)
{
	buf_puts(sql, "TRY_CAST(");
	duck_put_name(sql, name);
	buf_printf(sql, " AS %s)", sql_type);
}

static void parquet_wrong(struct buf *sql, const char *name, const char *sql_type)
{
	buf_putc(sql, '(');
	parquet_cell(sql, name, sql_type);
	buf_puts(sql, " IS NULL AND ");
	duck_put_name(sql, name);
	buf_puts(sql, " IS NOT NULL)");
}

const struct ingest_format ingest_parquet = {
	parquet_look, parquet_source, parquet_cell, parquet_wrong, NULL, "NULL", NULL};
