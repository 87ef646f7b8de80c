/* shop.c - tables, columns and Parquet output for the executor's half of task types. */
#include "common/defs.h"
#include "worker/shop.h"
#include "api/field.h"
#include "common/crypto.h"
#include "worker/duck.h"
#include "worker/sql_rules.h"
#include "worker/veil.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SQL_MAX = 8 * 1024 * 1024, COLUMNS_MAX = 4096, BOUND_MAX = 64 };

int shop_fd(const struct shop *shop, const char *member)
{
	int64_t index = value_get_int(shop->job, member, -1);
	return index >= 0 && (size_t)index < shop->fd_count ? shop->fds[index] : -1;
}

void shop_phase(struct shop *shop, const char *phase)
{
	pthread_mutex_lock(&shop->mutex);
	shop->phase = phase;
	pthread_mutex_unlock(&shop->mutex);
}

int shop_columns(const struct value *schema, shop_column_fn *put, struct buf *sql, struct err *err)
{
	for (size_t i = 0; i < value_len(schema); i++) {
		const char *name = value_get_str(value_at(schema, i), "name");
		char sql_type[32];
		if (!name || !field_type_sql(value_get_str(value_at(schema, i), "type"), sql_type))
			return err_set(err, E_INVALID,
			               "column %zu of the schema has no name or no known type",
			               i + 1);
		buf_puts(sql, i ? ", " : "");
		put(sql, name, sql_type);
	}
	return buf_check(sql, err);
}

static void put_cast(struct buf *sql, const char *name, const char *sql_type)
{
	buf_puts(sql, "CAST(");
	duck_put_name(sql, name);
	buf_printf(sql, " AS %s) AS ", sql_type);
	duck_put_name(sql, name);
}

static void put_null(struct buf *sql, const char *name, const char *sql_type)
{
	buf_printf(sql, "CAST(NULL AS %s) AS ", sql_type);
	duck_put_name(sql, name);
}

/* A table as a relation: its files, or nothing with the columns it has. */
static int put_relation(const struct shop *shop, const struct value *table, struct buf *sql,
                        struct err *err)
{
	const struct value *files = value_get(table, "files"), *schema = value_get(table, "schema");
	if (value_len(files) == 0 && value_len(schema) == 0)
		return err_set(err, E_CONFLICT,
		               "dataset %s.%s has no data and no declared schema yet; load it "
		               "first",
		               value_get_str(table, "domain"), value_get_str(table, "name"));
	if (value_len(files) == 0) {
		buf_puts(sql, "SELECT ");
		TRY(shop_columns(schema, put_null, sql, err));
		buf_puts(sql, " WHERE false");
		return 0;
	}
	buf_puts(sql, "SELECT * FROM read_parquet([");
	for (size_t i = 0; i < value_len(files); i++) {
		int64_t index = value_as_int(value_at(files, i), -1);
		if (index < 0 || (size_t)index >= shop->fd_count)
			return err_set(err, E_INTERNAL, "the job names a file it does not bring");
		buf_puts(sql, i ? ", " : "");
		duck_put_fd(sql, shop->fds[index]);
	}
	buf_puts(sql, "])");
	return 0;
}

/* As its reader may see it. */
static int put_table(struct shop *shop, const struct value *table, bool plain, struct buf *sql,
                     struct err *err)
{
	if (!veil_is_on(table))
		return put_relation(shop, table, sql, err);
	AUTO_BUF relation;
	struct value *columns;
	buf_init(&relation, SQL_MAX);
	TRY(put_relation(shop, table, &relation, err));
	TRY(buf_check(&relation, err));
	TRY(shop_schema(shop, (const char *)relation.data, &columns, err));
	return veil_put(shop->arena, table, (const char *)relation.data, columns, plain,
	                sql, err);
}

static int make_table(struct shop *shop, const struct value *table, bool plain, struct err *err)
{
	const char *domain = value_get_str(table, "domain"), *name = value_get_str(table, "name");
	if (!domain || !name)
		return err_set(err, E_INTERNAL, "the job has a table without a name");
	AUTO_BUF sql;
	buf_init(&sql, SQL_MAX);
	buf_puts(&sql, "CREATE SCHEMA IF NOT EXISTS memory.");
	duck_put_name(&sql, domain);
	buf_puts(&sql, "; CREATE OR REPLACE VIEW memory.");
	duck_put_name(&sql, domain);
	buf_putc(&sql, '.');
	duck_put_name(&sql, name);
	buf_puts(&sql, " AS ");
	TRY(put_table(shop, table, plain, &sql, err));
	TRY(buf_check(&sql, err));
	int rc = duck_exec(shop->duck, (const char *)sql.data, err);
	/* What the engine says of a veil quotes it. */
	return rc == E_INVALID && veil_is_on(table) ? veil_misfit(table, err) : rc;
}

/* Our own SQL is. */
static int is_plain(struct shop *shop, bool *ret_plain, struct err *err)
{
	const char *sql = value_get_str(value_get(shop->job, "work"), "sql"), *tree = NULL;
	if (sql)
		TRY(duck_tree(shop->duck, shop->arena, sql, &tree, err));
	*ret_plain = !sql || (tree && sql_rules_plain(tree));
	return 0;
}

int shop_tables(struct shop *shop, struct err *err)
{
	const struct value *tables = value_get(shop->job, "tables");
	bool plain = true;
	if (veil_hides_rows(tables))
		TRY(is_plain(shop, &plain, err));
	random_bytes(shop->salt.bytes, sizeof shop->salt.bytes);
	TRY(veil_prepare(shop->arena, shop->duck, tables, &shop->salt, plain, err));
	for (size_t i = 0; i < value_len(tables); i++)
		TRY(make_table(shop, value_at(tables, i), plain, err));
	const char *domain = value_get_str(shop->job, "domain");
	if (!domain)
		return err_set(err, E_INTERNAL, "the job has no domain");
	AUTO_BUF sql;
	buf_init(&sql, SQL_MAX);
	buf_puts(&sql, "CREATE SCHEMA IF NOT EXISTS memory.");
	duck_put_name(&sql, domain);
	buf_puts(&sql, "; USE memory.");
	duck_put_name(&sql, domain);
	TRY(buf_check(&sql, err));
	return duck_exec(shop->duck, (const char *)sql.data, err);
}

void shop_type(const char *sql_type, char out[32])
{
	static const struct {
		const char *sql, *ours;
	} types[] = {
		{"BOOLEAN", "boolean"},
		{"TINYINT", "int32"},
		{"SMALLINT", "int32"},
		{"INTEGER", "int32"},
		{"UTINYINT", "int32"},
		{"USMALLINT", "int32"},
		{"BIGINT", "int64"},
		{"UINTEGER", "int64"},
		{"UBIGINT", "int64"},
		{"HUGEINT", "int64"},
		{"FLOAT", "float64"},
		{"DOUBLE", "float64"},
		{"DATE", "date"},
		{"TIMESTAMP", "timestamp"},
		{"TIMESTAMP_S", "timestamp"},
		{"TIMESTAMP_MS", "timestamp"},
		{"TIMESTAMP_NS", "timestamp"},
		{"TIMESTAMP WITH TIME ZONE", "timestamp"},
		{"BLOB", "bytes"},
	};
	int precision, scale, end = 0;
	if (sscanf(sql_type, "DECIMAL(%2d,%2d)%n", &precision, &scale, &end) == 2 && end &&
	    !sql_type[end]) {
		snprintf(out, 32, "decimal(%d,%d)", precision, scale);
		return;
	}
	const char *ours = "string";
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (strcmp(types[i].sql, sql_type) == 0)
			ours = types[i].ours;
	snprintf(out, 32, "%s", ours);
}

int shop_schema(struct shop *shop, const char *select, struct value **ret_schema, struct err *err)
{
	AUTO_BUF sql;
	buf_init(&sql, SQL_MAX);
	buf_printf(&sql, "DESCRIBE %s", select);
	TRY(buf_check(&sql, err));
	const struct value *rows;
	TRY(duck_table(shop->duck, shop->arena, (const char *)sql.data, COLUMNS_MAX, &rows, err));
	struct value *schema = value_list(shop->arena);
	for (size_t i = 0; i < value_len(rows); i++) {
		const char *name = value_as_str(value_at(value_at(rows, i), 0));
		const char *sql_type = value_as_str(value_at(value_at(rows, i), 1));
		char type[32];
		shop_type(sql_type ? sql_type : "", type);
		struct value *column = value_map(shop->arena);
		value_set_str(column, "name", name);
		value_set_str(column, "type", type);
		value_add(schema, column);
	}
	TRY(value_check(schema, err));
	*ret_schema = schema;
	return 0;
}

/* DuckDB quotes the names of columns: "delay", or "a"."b" of a nested one, which we do not have. */
static const char *bare_name(struct arena *arena, const char *quoted)
{
	size_t len = strlen(quoted);
	if (len < 2 || quoted[0] != '"' || quoted[len - 1] != '"')
		return quoted;
	char *name = arena_strndup(arena, quoted + 1, len - 2);
	char *to = name;
	for (const char *from = name; from && *from; from++) {
		*to++ = *from;
		if (from[0] == '"' && from[1] == '"')
			from++;
	}
	if (name)
		*to = 0;
	return name;
}

static struct value *read_stats(struct arena *arena, const struct value *columns)
{
	struct value *stats = value_map(arena);
	for (size_t i = 0; i < value_len(columns); i++) {
		const char *quoted;
		const struct value *from = value_member(columns, i, &quoted);
		const char *name = bare_name(arena, quoted);
		struct value *to = value_map(arena);
		value_set_str(to, "nulls", value_get_str(from, "null_count"));
		static const char *const bounds[] = {"min", "max"};
		for (size_t b = 0; b < ARRAY_LEN(bounds); b++) {
			const char *text = value_get_str(from, bounds[b]);
			if (text && strlen(text) <= BOUND_MAX)
				value_set_str(to, bounds[b], text);
		}
		value_set(stats, name ? name : quoted, to);
	}
	return stats;
}

int shop_write(struct shop *shop, const char *select, const struct value *schema,
               const char *member, struct value **ret_written, struct err *err)
{
	int fd = shop_fd(shop, member);
	if (fd < 0)
		return err_set(err, E_INTERNAL, "the job brings no descriptor for its output");
	AUTO_BUF sql;
	buf_init(&sql, SQL_MAX);
	buf_puts(&sql, "COPY (SELECT ");
	if (schema)
		TRY(shop_columns(schema, put_cast, &sql, err));
	buf_printf(&sql, "%s FROM (%s)) TO ", schema ? "" : "*", select);
	duck_put_fd(&sql, fd);
	buf_puts(&sql, " (FORMAT parquet, USE_TMP_FILE false, RETURN_STATS true)");
	TRY(buf_check(&sql, err));
	const struct value *rows;
	TRY(duck_table(shop->duck, shop->arena, (const char *)sql.data, 1, &rows, err));
	close(fd);
	const struct value *row = value_at(rows, 0);
	struct value *written = value_map(shop->arena);
	value_set_int(written, "rows", value_as_int(value_at(row, 1), 0));
	value_set_int(written, "plainBytes", value_as_int(value_at(row, 2), 0));
	value_set(written, "stats", read_stats(shop->arena, value_at(row, 4)));
	TRY(value_check(written, err));
	*ret_written = written;
	return 0;
}
