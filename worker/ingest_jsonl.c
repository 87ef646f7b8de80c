/* ingest_jsonl.c - JSON lines: one object a line. Lines are read as text, so that each can be told
 * to be bad by itself, and taken apart once, by json_transform. */
#include "common/defs.h"
#include "worker/duck.h"
#include "worker/ingest.h"
#include "worker/shop.h"
#include "api/field.h"
#include "common/json.h"

#include <string.h>

enum { LINE_BYTES_MAX = 2 * 1024 * 1024 };

static int jsonl_look(struct ingest *ingest, struct err *err)
{
	if (!ingest->inferred)
		return 0;
	AUTO_BUF sql;
	buf_init(&sql, INGEST_SQL_MAX);
	buf_puts(&sql, "SELECT * FROM read_json(");
	duck_put_fd(&sql, ingest->fd);
	buf_puts(&sql, ", format = 'newline_delimited', records = true, ignore_errors = true, "
	               "compression = ");
	bool none = strcmp(ingest->compression, "none") == 0;
	duck_put_text(&sql, none ? "uncompressed" : ingest->compression);
	buf_putc(&sql, ')');
	TRY(buf_check(&sql, err));
	struct value *schema = NULL;
	TRY(shop_schema(ingest->shop, (const char *)sql.data, &schema, err));
	ingest->schema = schema;
	return 0;
}

/* {"name":"TYPE",...}, what json_transform is given. */
static int put_shape(const struct ingest *ingest, struct buf *sql, struct err *err)
{
	AUTO_BUF shape;
	buf_init(&shape, INGEST_SQL_MAX);
	for (size_t i = 0; i < value_len(ingest->schema); i++) {
		const struct value *column = value_at(ingest->schema, i);
		const char *name = value_get_str(column, "name");
		char type[32];
		if (!name || !field_type_sql(value_get_str(column, "type"), type))
			return err_set(err, E_INVALID,
			               "schema: column %zu has no name or no known type", i + 1);
		buf_putc(&shape, i ? ',' : '{');
		json_print_str(name, strlen(name), &shape);
		buf_printf(&shape, ":\"%s\"", type);
	}
	buf_putc(&shape, '}');
	TRY(buf_check(&shape, err));
	duck_put_text(sql, (const char *)shape.data);
	return 0;
}

static int jsonl_source(const struct ingest *ingest, bool numbered, struct buf *sql,
                        struct err *err)
{
	buf_printf(sql, "(SELECT text, %sok, CASE WHEN ok THEN json_transform(text, ",
	           numbered ? "line, " : "");
	TRY(put_shape(ingest, sql, err));
	/* The inner CASE keeps json_type from seeing what is no JSON, which it refuses. */
	buf_printf(sql,
	           ") END AS v FROM (SELECT text, %scoalesce(CASE WHEN json_valid(text) THEN "
	           "json_type(text) = 'OBJECT' ELSE false END, false) AS ok FROM (SELECT text%s "
	           "FROM read_csv(",
	           numbered ? "line, " : "", numbered ? ", row_number() OVER () AS line" : "");
	duck_put_fd(sql, ingest->fd);
	buf_printf(
		sql,
		", auto_detect = false, header = false, columns = {'text': 'VARCHAR'}, "
		"delim = '\x01', quote = '', escape = '', max_line_size = %d, strict_mode = false, "
		"compression = ",
		LINE_BYTES_MAX);
	duck_put_text(sql, ingest->compression);
	buf_puts(sql, ")) WHERE text IS NOT NULL))");
	return buf_check(sql, err);
}

static void jsonl_cell(struct buf *sql, const char *name, const char *sql_type)
{
	(void)sql_type;
	buf_puts(sql, "v.");
	duck_put_name(sql, name);
}

static void put_pointer(struct buf *sql, const char *name)
{
	AUTO_BUF pointer;
	buf_init(&pointer, 1024);
	buf_putc(&pointer, '/');
	for (; *name; name++) {
		if (*name == '~' || *name == '/')
			buf_puts(&pointer, *name == '~' ? "~0" : "~1");
		else
			buf_putc(&pointer, *name);
	}
	if (buf_check(&pointer, NULL) < 0)
		sql->failed = true;
	else
		duck_put_text(sql, (const char *)pointer.data);
}

/* There is something at the name, and it did not become a value. */
static void jsonl_wrong(struct buf *sql, const char *name, const char *sql_type)
{
	(void)sql_type;
	buf_puts(sql, "CASE WHEN ok AND v.");
	duck_put_name(sql, name);
	buf_puts(sql, " IS NULL THEN coalesce(json_type(text, ");
	put_pointer(sql, name);
	buf_puts(sql, ") <> 'NULL', false) ELSE false END");
}

const struct ingest_format ingest_jsonl = {jsonl_look, jsonl_source, jsonl_cell, jsonl_wrong,
                                           "NOT ok",   "text",       NULL};
