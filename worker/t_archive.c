/* t_archive.c - ended tasks into the tenant's history, and audit events into its stored ones: rows
 * that control put into the grant become one Parquet file of the output; with mode replace, what is
 * in the dataset already becomes part of that file, so that it is never of many small ones. What is
 * older than `since` is then left out.
 * Rows are JSON text that control wrote: a list of rows, each a list of cells in the order of
 * the output's schema. */
#include "common/defs.h"
#include "worker/duck.h"
#include "worker/run_impl.h"
#include "worker/shop.h"
#include "api/field.h"

#include <string.h>

enum { SQL_MAX = 8 * 1024 * 1024 };

static bool replaces(const struct value *work)
{
	const char *mode = value_get_str(work, "mode");
	return mode && strcmp(mode, "replace") == 0;
}

static int archive_open(struct run *run, struct err *err)
{
	const struct value *schema = run->grant->outputs[0].schema;
	if (value_len(schema) == 0)
		return err_set(err, E_INVALID, "the history has no declared schema");
	if (replaces(run->grant->work) != (run->grant->input_count == 1))
		return err_set(err, E_INVALID, "mode replace takes the history as its input, "
		               "append takes none");
	value_set(run->job, "schema", value_copy(run->arena, schema));
	return run_add_outlet(run, &run->data, "out", "data-0.parquet", err);
}

static int put_cell(struct buf *sql, const struct value *column, size_t i, struct err *err)
{
	const char *name = value_get_str(column, "name"), *type = value_get_str(column, "type");
	char sql_type[32];
	if (!name || !field_type_sql(type, sql_type))
		return err_set(err, E_INVALID, "column %zu of the history has no known type",
		               i + 1);
	buf_printf(sql, "%sCAST(json_extract_string(cells, '$[%zu]') AS %s) AS ", i ? ", " : "", i,
	           sql_type);
	duck_put_name(sql, name);
	return 0;
}

static int put_rows(struct buf *sql, const struct value *schema, const char *rows, struct err *err)
{
	buf_puts(sql, "SELECT ");
	for (size_t i = 0; i < value_len(schema); i++)
		TRY(put_cell(sql, value_at(schema, i), i, err));
	buf_puts(sql, " FROM (SELECT unnest(CAST(");
	duck_put_text(sql, rows);
	buf_puts(sql, " AS JSON[])) AS cells)");
	return buf_check(sql, err);
}

/* The dataset's own columns, by name: an earlier release's files may lack some. */
static void put_before(struct buf *sql, const struct value *table, const char *since)
{
	buf_puts(sql, " UNION ALL BY NAME SELECT * FROM memory.");
	duck_put_name(sql, value_get_str(table, "domain"));
	buf_putc(sql, '.');
	duck_put_name(sql, value_get_str(table, "name"));
	if (!since)
		return;
	buf_puts(sql, " WHERE \"time\" >= ");
	duck_put_text(sql, since);
}

static int archive_work(struct shop *shop, struct err *err)
{
	const struct value *work = value_get(shop->job, "work");
	const struct value *schema = value_get(shop->job, "schema");
	const char *rows = value_get_str(work, "rows");
	if (!rows)
		return err_set(err, E_INVALID, "rows: is missing");
	AUTO_BUF select;
	buf_init(&select, SQL_MAX);
	TRY(put_rows(&select, schema, rows, err));
	if (replaces(work))
		put_before(&select, value_at(value_get(shop->job, "tables"), 0),
		           value_get_str(work, "since"));
	TRY(buf_check(&select, err));
	struct value *written;
	shop_phase(shop, "writing");
	TRY(shop_write(shop, (const char *)select.data, schema, "out", &written, err));
	/* Nobody looks for files of the history by their columns' bounds, and there are many. */
	value_remove(written, "stats");
	value_set(shop->result, "written", written);
	value_set(shop->result, "schema", value_copy(shop->arena, schema));
	return value_check(shop->result, err);
}

static int archive_seal(struct run *run, struct err *err)
{
	return run_seal_output(run, replaces(run->grant->work), err);
}

const struct task_side archive_side = {archive_open, archive_work, NULL, archive_seal};
const struct task_side audit_side = {archive_open, archive_work, NULL, archive_seal};
