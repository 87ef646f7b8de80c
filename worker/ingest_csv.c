/* ingest_csv.c - CSV (RFC 4180; any delimiter). DuckDB's reader keeps bad lines aside by itself
 * (store_rejects): a wrong count of columns, a value that is not of its type, a broken quote, bytes
 * that are no UTF-8. A required column that is empty fails its cast that way too; only text does
 * not, and is found by ingest's own rule. */
#include "common/defs.h"
#include "worker/duck.h"
#include "worker/ingest.h"
#include "worker/shop.h"
#include "api/field.h"

#include <inttypes.h>
#include <string.h>

/* Longer lines would cost every ingestion: the reader's buffers are a multiple of the longest line.
 */
enum { LINE_BYTES_MAX = 2 * 1024 * 1024, HEADER_BYTES_MAX = 256 * 1024, STORED_MAX = 1000000 };

static bool has_header(const struct ingest *ingest)
{
	return value_get_bool(ingest->work, "header", true);
}

/* What is the same for every reading of the file. */
static void put_dialect(const struct ingest *ingest, struct buf *sql)
{
	const char *delimiter = value_get_str(ingest->work, "delimiter");
	if (!delimiter || !*delimiter)
		delimiter = ",";
	duck_put_fd(sql, ingest->fd);
	buf_printf(sql, ", header = %s, quote = '\"', escape = '\"', compression = ",
	           has_header(ingest) ? "true" : "false");
	duck_put_text(sql, ingest->compression);
	buf_puts(sql, ", delim = ");
	duck_put_text(sql, strcmp(delimiter, "\\t") == 0 ? "\t" : delimiter);
	buf_puts(sql, ", nullstr = ");
	const char *null_text = value_get_str(ingest->work, "nullText");
	duck_put_text(sql, null_text ? null_text : "");
}

static int describe(struct ingest *ingest, bool as_text, struct value **ret_schema, struct err *err)
{
	AUTO_BUF sql;
	buf_init(&sql, INGEST_SQL_MAX);
	buf_puts(&sql, "SELECT * FROM read_csv(");
	put_dialect(ingest, &sql);
	buf_printf(&sql,
	           ", store_rejects = true, rejects_table = 'look_errors', rejects_scan = "
	           "'look_scans', "
	           "max_line_size = %d",
	           as_text ? HEADER_BYTES_MAX : LINE_BYTES_MAX);
	if (as_text) /* only the header matters */
		buf_printf(&sql, ", all_varchar = true, sample_size = 1, buffer_size = %d",
		           HEADER_BYTES_MAX);
	buf_putc(&sql, ')');
	TRY(buf_check(&sql, err));
	return shop_schema(ingest->shop, (const char *)sql.data, ret_schema, err);
}

static int csv_look(struct ingest *ingest, struct err *err)
{
	struct value *found = NULL;
	if (ingest->inferred) {
		TRY(describe(ingest, false, &found, err));
		ingest->schema = found;
		ingest->found = found;
		return 0;
	}
	if (!has_header(ingest)) {
		ingest->found = ingest->schema;
		return 0;
	}
	TRY(describe(ingest, true, &found, err));
	ingest->found = found;
	return ingest_check_names(ingest, err);
}

/* The file's columns in its own order; what the schema does not name is read as text and left out.
 */
static void put_columns(const struct ingest *ingest, struct buf *sql)
{
	buf_puts(sql, ", auto_detect = false, columns = {");
	for (size_t i = 0; i < value_len(ingest->found); i++) {
		const char *name = value_get_str(value_at(ingest->found, i), "name");
		const struct value *column = ingest_column(ingest->schema, name);
		char type[32];
		buf_puts(sql, i ? ", " : "");
		duck_put_text(sql, name);
		buf_puts(sql, ": ");
		duck_put_text(sql, column && field_type_sql(value_get_str(column, "type"), type)
		                           ? type
		                           : "VARCHAR");
	}
	buf_putc(sql, '}');
}

static void put_required(const struct ingest *ingest, struct buf *sql)
{
	int count = 0;
	for (size_t i = 0; i < value_len(ingest->schema); i++) {
		const struct value *column = value_at(ingest->schema, i);
		const char *type = value_get_str(column, "type");
		bool text = type && (strcmp(type, "string") == 0 || strcmp(type, "bytes") == 0);
		if (!value_get_bool(column, "required", false) || text)
			continue;
		buf_puts(sql, count++ ? ", " : ", force_not_null = [");
		duck_put_text(sql, value_get_str(column, "name"));
	}
	buf_puts(sql, count ? "]" : "");
}

static void put_reader(const struct ingest *ingest, bool numbered, struct buf *sql)
{
	buf_puts(sql, "read_csv(");
	put_dialect(ingest, sql);
	if (!ingest->inferred) {
		put_columns(ingest, sql);
		put_required(ingest, sql);
	}
	/* The second reading must not be counted again. */
	buf_printf(
		sql,
		", max_line_size = %d, store_rejects = true, rejects_limit = %d, rejects_table = "
		"'csv_errors%s', rejects_scan = 'csv_scans%s')",
		LINE_BYTES_MAX, STORED_MAX, numbered ? "2" : "", numbered ? "2" : "");
}

/* A row's line as the reader counts them: those before it, and the lines refused between them. A
 * line break inside quotes begins no line. The hash makes the reader look at every column, as it
 * did the first time: it refuses a line only for columns that somebody wants. */
static void put_numbered(const struct ingest *ingest, struct buf *sql)
{
	buf_printf(
		sql,
		"(SELECT * REPLACE (line + (SELECT count(*) FROM (SELECT line - row_number() OVER "
		"(ORDER BY line) + 1 AS base FROM (SELECT DISTINCT line FROM csv_errors)) e WHERE "
		"e.base <= r.line) AS line) FROM (SELECT *, row_number() OVER () + %d AS line FROM "
		"(SELECT * FROM ",
		has_header(ingest) ? 1 : 0);
	put_reader(ingest, true, sql);
	buf_puts(sql, " WHERE hash(");
	for (size_t i = 0; i < value_len(ingest->schema); i++) {
		buf_puts(sql, i ? ", " : "");
		duck_put_name(sql, value_get_str(value_at(ingest->schema, i), "name"));
	}
	buf_puts(sql, ") IS NOT NULL)) r)");
}

static int csv_source(const struct ingest *ingest, bool numbered, struct buf *sql, struct err *err)
{
	if (numbered)
		put_numbered(ingest, sql);
	else
		put_reader(ingest, false, sql);
	return buf_check(sql, err);
}

static void csv_cell(struct buf *sql, const char *name, const char *sql_type)
{
	(void)sql_type;
	duck_put_name(sql, name);
}

static int csv_collect(struct ingest *ingest, int64_t *ret_count, struct err *err)
{
	struct shop *shop = ingest->shop;
	AUTO_BUF sql;
	buf_init(&sql, 4096);
	buf_printf(&sql,
	           "INSERT INTO freehold_rejects SELECT line, column_name, "
	           "lower(replace(error_type::VARCHAR, 'CAST', 'not a value of its type')), "
	           "error_message, "
	           "csv_line FROM csv_errors LIMIT %d",
	           INGEST_KEPT_MAX);
	TRY(buf_check(&sql, err));
	TRY(duck_exec(shop->duck, (const char *)sql.data, err));
	const struct value *rows;
	TRY(duck_table(shop->duck, shop->arena, "SELECT count(DISTINCT line) FROM csv_errors", 1,
	               &rows, err));
	*ret_count = value_as_int(value_at(value_at(rows, 0), 0), 0);
	return 0;
}

const struct ingest_format ingest_csv = {csv_look, csv_source, csv_cell,   NULL,
                                         NULL,     "NULL",     csv_collect};
