/* t_query.c - one SELECT of a client, in an executor: first what it names is told to the agent,
 * then it is run over what was granted, and its rows go into the pipe `out` as they come.
 * The author's text is never pasted into a statement of ours: it is checked by itself, and then
 * given to query() as a literal, which takes one SELECT and nothing else. Until it is granted
 * anything it is only parsed.
 *
 * work    {sql, format: json|jsonl|csv|parquet, limit: rows at most, 0: all}
 * result  {rows, more: there would have been others} */
#include "common/defs.h"
#include "worker/t_query.h"
#include "common/json.h"
#include "worker/duck.h"
#include "worker/lens.h"
#include "worker/run_impl.h"
#include "worker/shop.h"
#include "worker/sql_rules.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum {
	SQL_MAX = 4 * 1024 * 1024, COLUMNS_MAX = 4096, BLOCK = 128 * 1024,
	BLOCK_MAX = 64 * 1024 * 1024
};

struct column {
	const char *name;
	char type[32];               /* ours, or "json" */
};

struct pour {
	struct shop *shop;
	struct column *columns;
	size_t column_count;
	const char *source;          /* "query('...')" */
	int64_t limit;               /* 0: none */
	int fd;
	struct buf block;
	int64_t rows;
	bool list;                   /* the rows are items of a JSON list */
	bool more;
};

/* ---- the first half: what is named ---- */

static const char *sql_of(const struct shop *shop)
{
	return value_get_str(value_get(shop->job, "work"), "sql");
}

int query_ask(struct shop *shop, struct err *err)
{
	const char *sql = sql_of(shop), *tree = NULL;
	struct value *tables = NULL;
	if (!sql)
		return err_set(err, E_INVALID, "sql: is missing");
	TRY(lens_shut(err));
	TRY(duck_parse(shop->duck, shop->arena, sql, &tree, err));
	TRY(sql_rules_names(shop->arena, tree, &tables, err));
	TRY(sql_rules_check(tree, tables, err));
	struct value *question = value_map(shop->arena);
	value_set(question, "tables", tables);
	return shop_ask(shop, question, err);
}

/* ---- columns ---- */

static int read_columns(struct pour *pour, struct err *err)
{
	struct shop *shop = pour->shop;
	const struct value *rows;
	AUTO_BUF sql;
	buf_init(&sql, SQL_MAX);
	buf_printf(&sql, "DESCRIBE SELECT * FROM %s", pour->source);
	TRY(buf_check(&sql, err));
	TRY(duck_table(shop->duck, shop->arena, (const char *)sql.data, COLUMNS_MAX, &rows, err));
	pour->column_count = value_len(rows);
	pour->columns = arena_alloc(shop->arena, (pour->column_count + 1) * sizeof *pour->columns);
	if (!pour->columns)
		return err_set(err, E_NOMEM, "no memory for the columns of a query");
	for (size_t i = 0; i < pour->column_count; i++) {
		const char *name = value_as_str(value_at(value_at(rows, i), 0));
		const char *type = value_as_str(value_at(value_at(rows, i), 1));
		pour->columns[i].name = name ? name : "";
		shop_type(type ? type : "", pour->columns[i].type);
		if (type && (strchr(type, '[') || strchr(type, '(')) &&
		    strcmp(pour->columns[i].type, "string") == 0 && strncmp(type, "ENUM", 4) != 0)
			memcpy(pour->columns[i].type, "json", sizeof "json");
	}
	return 0;
}

/* One column's value as JSON shall show it: exact, and with no word that JSON does not know. */
static void put_cell(struct buf *sql, const char *type, size_t i)
{
	if (strcmp(type, "timestamp") == 0)
		buf_printf(sql, "strftime(CAST(c%zu AS TIMESTAMP), '%%Y-%%m-%%dT%%H:%%M:%%S.%%fZ')",
		           i);
	else if (strcmp(type, "bytes") == 0)
		buf_printf(sql, "base64(c%zu)", i);
	else if (strncmp(type, "decimal", 7) == 0)
		buf_printf(sql, "CAST(c%zu AS VARCHAR)", i);
	else if (strcmp(type, "float64") == 0)
		buf_printf(sql, "CASE WHEN isfinite(c%zu) THEN to_json(c%zu) "
		           "ELSE to_json(CAST(c%zu AS VARCHAR)) END", i, i, i);
	else
		buf_printf(sql, "c%zu", i);
}

/* A row as one JSON text: a list, or an object by column. */
static int put_json_select(const struct pour *pour, bool objects, struct buf *sql, struct err *err)
{
	buf_printf(sql, "SELECT CAST(%s(", objects ? "json_object" : "json_array");
	for (size_t i = 0; i < pour->column_count; i++) {
		buf_puts(sql, i ? ", " : "");
		if (objects) {
			duck_put_text(sql, pour->columns[i].name);
			buf_puts(sql, ", ");
		}
		put_cell(sql, pour->columns[i].type, i);
	}
	buf_printf(sql, ") AS VARCHAR) FROM %s AS q(", pour->source);
	for (size_t i = 0; i < pour->column_count; i++)
		buf_printf(sql, "%sc%zu", i ? ", " : "", i);
	buf_putc(sql, ')');
	if (pour->limit)
		buf_printf(sql, " LIMIT %" PRId64, pour->limit + 1);
	return buf_check(sql, err);
}

/* ---- rows as JSON ---- */

static int write_all(int fd, const uint8_t *data, size_t len, struct err *err)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, errno, "a query's result could not be given on");
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int flush(struct pour *pour, struct err *err)
{
	TRY(buf_check(&pour->block, err));
	TRY(write_all(pour->fd, pour->block.data, pour->block.len, err));
	buf_clear(&pour->block);
	return 0;
}

static int take_row(void *context, const struct value *row, struct err *err)
{
	struct pour *pour = context;
	const char *text = value_as_str(value_at(row, 0));
	if (pour->limit && pour->rows == pour->limit) {
		pour->more = true;
		return 0;
	}
	if (!text)
		return err_set(err, E_INTERNAL, "a row of a query came without its text");
	buf_puts(&pour->block, pour->list && pour->rows ? ",\n" : "");
	buf_puts(&pour->block, text);
	buf_puts(&pour->block, pour->list ? "" : "\n");
	pour->rows++;
	return pour->block.len < BLOCK ? 0 : flush(pour, err);
}

static int pour_rows(struct pour *pour, bool objects, struct err *err)
{
	AUTO_BUF sql;
	buf_init(&sql, SQL_MAX);
	TRY(put_json_select(pour, objects, &sql, err));
	return duck_rows(pour->shop->duck, (const char *)sql.data, take_row, pour, err);
}

static void put_json_head(struct pour *pour)
{
	buf_puts(&pour->block, "{\"columns\":[");
	for (size_t i = 0; i < pour->column_count; i++) {
		const struct column *column = &pour->columns[i];
		buf_printf(&pour->block, "%s{\"name\":", i ? "," : "");
		json_print_str(column->name, strlen(column->name), &pour->block);
		buf_printf(&pour->block, ",\"type\":\"%s\"}", column->type);
	}
	buf_puts(&pour->block, "],\"rows\":[\n");
}

static int pour_json(struct pour *pour, struct err *err)
{
	pour->list = true;
	put_json_head(pour);
	TRY(pour_rows(pour, false, err));
	buf_printf(&pour->block, "],\n\"rowCount\":%" PRId64 ",\"more\":%s}\n", pour->rows,
	           pour->more ? "true" : "false");
	return flush(pour, err);
}

static int pour_jsonl(struct pour *pour, struct err *err)
{
	TRY(pour_rows(pour, true, err));
	return flush(pour, err);
}

/* ---- rows as files ---- */

static int pour_copy(struct pour *pour, const char *options, struct err *err)
{
	const struct value *rows;
	AUTO_BUF sql;
	buf_init(&sql, SQL_MAX);
	buf_printf(&sql, "COPY (SELECT * FROM %s", pour->source);
	if (pour->limit)
		buf_printf(&sql, " LIMIT %" PRId64, pour->limit);
	buf_puts(&sql, ") TO ");
	duck_put_fd(&sql, pour->fd);
	buf_printf(&sql, " (%s, USE_TMP_FILE false)", options);
	TRY(buf_check(&sql, err));
	TRY(duck_table(pour->shop->duck, pour->shop->arena, (const char *)sql.data, 1, &rows, err));
	pour->rows = value_as_int(value_at(value_at(rows, 0), 0), 0);
	return 0;
}

static int pour_csv(struct pour *pour, struct err *err)
{
	return pour_copy(pour, "FORMAT csv, HEADER true, NEW_LINE '\\r\\n'", err);
}

static int pour_parquet(struct pour *pour, struct err *err)
{
	return pour_copy(pour, "FORMAT parquet", err);
}

/* ---- the second half ---- */

static int pour_all(struct pour *pour, const char *format, struct err *err)
{
	static const struct {
		const char *name;
		int (*pour)(struct pour *pour, struct err *err);
	} formats[] = {
		{"json", pour_json}, {"jsonl", pour_jsonl}, {"csv", pour_csv},
		{"parquet", pour_parquet},
	};
	for (size_t i = 0; format && i < ARRAY_LEN(formats); i++)
		if (strcmp(format, formats[i].name) == 0)
			return formats[i].pour(pour, err);
	return err_set(err, E_INVALID, "format: must be json, jsonl, csv or parquet");
}

/* Before anything of it is bound: binding opens what it names. */
static int check_author(struct shop *shop, const char *sql, struct err *err)
{
	const char *tree = NULL;
	TRY(duck_parse(shop->duck, shop->arena, sql, &tree, err));
	TRY(sql_rules_check(tree, value_get(shop->job, "tables"), err));
	return duck_check_select(shop->duck, sql, err);
}

static int run_query(struct pour *pour, const char *sql, struct err *err)
{
	struct shop *shop = pour->shop;
	const struct value *work = value_get(shop->job, "work");
	AUTO_BUF source;
	buf_init(&source, SQL_MAX);
	buf_puts(&source, "query(");
	duck_put_text(&source, sql);
	buf_putc(&source, ')');
	TRY(buf_check(&source, err));
	pour->source = (const char *)source.data;
	pour->limit = value_get_int(work, "limit", 0);
	TRY(read_columns(pour, err));
	shop_phase(shop, "reading");
	return pour_all(pour, value_get_str(work, "format"), err);
}

static int query_work(struct shop *shop, struct err *err)
{
	const char *sql = sql_of(shop);
	struct pour pour = {.shop = shop, .fd = shop_fd(shop, "out")};
	if (!sql || pour.fd < 0)
		return err_set(err, E_INTERNAL, "the job lacks its SQL or its way out");
	shop_phase(shop, "planning");
	TRY(check_author(shop, sql, err));
	buf_init(&pour.block, BLOCK_MAX);
	int rc = run_query(&pour, sql, err);
	buf_release(&pour.block);
	TRY(rc);
	close(pour.fd);
	value_set_int(shop->result, "rows", pour.rows);
	value_set_bool(shop->result, "more", pour.more);
	return value_check(shop->result, err);
}

/* Nobody queues one: worker/query.c runs it while its client waits. */
static int query_open(struct run *run, struct err *err)
{
	(void)run;
	return err_set(err, E_INVALID, "a query is run for a client that waits, never as a task");
}

const struct task_side query_side = {query_open, query_work, NULL, NULL};
