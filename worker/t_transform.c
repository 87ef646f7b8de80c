/* t_transform.c - one SELECT over the tenant's datasets into a dataset it replaces.
 * The author's text is never pasted into a statement of ours: it is checked by itself, and then
 * given to query() as a literal, which takes one SELECT and nothing else. */
#include "common/defs.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/text.h"
#include "worker/duck.h"
#include "worker/run_impl.h"
#include "worker/shop.h"
#include "worker/sql_lineage.h"
#include "worker/sql_rules.h"

#include <inttypes.h>
#include <string.h>

enum { SQL_MAX = 1024 * 1024 };

static int transform_open(struct run *run, struct err *err)
{
	const struct value *schema = run->grant->outputs[0].schema;
	if (schema)
		value_set(run->job, "schema", value_copy(run->arena, schema));
	return run_add_outlet(run, &run->data, "out", "data-0.parquet", err);
}

static const struct value *find_column(const struct value *schema, const char *name)
{
	for (size_t i = 0; i < value_len(schema); i++) {
		const char *other = value_get_str(value_at(schema, i), "name");
		if (other && strcmp(other, name) == 0)
			return value_at(schema, i);
	}
	return NULL;
}

/* The result's columns are the declared ones, in any order. */
static int check_declared(const struct value *declared, const struct value *result, struct err *err)
{
	for (size_t i = 0; i < value_len(declared); i++) {
		const char *name = value_get_str(value_at(declared, i), "name");
		if (name && !find_column(result, name))
			return err_set(err, E_INPUT,
			               "sql: the result has no column \"%s\", which the output's "
			               "schema declares",
			               name);
	}
	for (size_t i = 0; i < value_len(result); i++) {
		const char *name = value_get_str(value_at(result, i), "name");
		if (name && !find_column(declared, name))
			return err_set(err, E_INPUT,
			               "sql: the result has a column \"%s\", which the output's "
			               "schema does not declare",
			               name);
	}
	return 0;
}

/* A required column without a value ends the statement: no row of a result is left out in silence.
 */
static void put_required(const struct value *schema, const char *select, struct buf *sql)
{
	buf_printf(sql, "SELECT * FROM (%s) WHERE true", select);
	for (size_t i = 0; i < value_len(schema); i++) {
		const struct value *column = value_at(schema, i);
		if (!value_get_bool(column, "required", false))
			continue;
		buf_puts(sql, " AND CASE WHEN ");
		duck_put_name(sql, value_get_str(column, "name"));
		buf_puts(sql, " IS NULL THEN nextval('freehold_missing') < 0 ELSE true END");
	}
}

static int count_missing(struct shop *shop, int64_t *ret_count, struct err *err)
{
	const struct value *rows;
	TRY(duck_table(shop->duck, shop->arena,
	               "SELECT coalesce(last_value, 0) FROM duckdb_sequences() "
	               "WHERE sequence_name = 'freehold_missing'",
	               1, &rows, err));
	*ret_count = value_as_int(value_at(value_at(rows, 0), 0), 0);
	return 0;
}

static int transform_write(struct shop *shop, const char *select, const struct value *schema,
                           struct err *err)
{
	struct value *written;
	TRY(duck_exec(shop->duck, "CREATE TEMP SEQUENCE freehold_missing", err));
	AUTO_BUF checked;
	buf_init(&checked, SQL_MAX);
	put_required(schema, select, &checked);
	TRY(buf_check(&checked, err));
	shop_phase(shop, "writing");
	TRY(shop_write(shop, (const char *)checked.data, schema, "out", &written, err));
	int64_t missing = 0;
	TRY(count_missing(shop, &missing, err));
	if (missing > 0)
		return err_set(err, E_INPUT,
		               "%" PRId64 " rows of the result have no value in a column that the "
		               "output's schema requires",
		               missing);
	value_set(shop->result, "written", written);
	value_set(shop->result, "schema", value_copy(shop->arena, schema));
	return value_check(shop->result, err);
}

/* So that the SQL may say getvariable('interval_start'); NULL without a data interval. */
static int set_time(struct shop *shop, const char *variable, const char *member, struct err *err)
{
	int64_t unix_ms = 0;
	char time[TIME_TEXT_MAX];
	const char *text = value_get_str(value_get(shop->job, "work"), member);
	AUTO_BUF sql;
	buf_init(&sql, SQL_MAX);
	if (!text)
		return 0;
	TRY(time_parse(text, &unix_ms, err));
	buf_printf(&sql, "SET VARIABLE %s = ", variable);
	duck_put_text(&sql, time_print_ms(unix_ms, time));
	buf_puts(&sql, "::TIMESTAMPTZ");
	TRY(buf_check(&sql, err));
	return duck_exec(shop->duck, (const char *)sql.data, err);
}

/* Before anything of it is bound: binding opens what it names. */
static int check_author(struct shop *shop, const char *text, const char **ret_tree,
                        struct err *err)
{
	const char *tree;
	TRY(duck_tree(shop->duck, shop->arena, text, &tree, err));
	if (tree)
		TRY(sql_rules_check(tree, value_get(shop->job, "tables"), err));
	TRY(duck_check_select(shop->duck, text, err));
	*ret_tree = tree;
	return tree ? 0 : err_set(err, E_INVALID, "sql must be one SELECT statement");
}

static int tell_lineage(struct shop *shop, const char *tree, const struct value *result,
                        struct err *err)
{
	struct value *lineage = NULL;
	TRY(sql_lineage(shop->arena, tree, value_get_str(shop->job, "domain"),
	                value_get(shop->job, "tables"), result, &lineage, err));
	value_set(shop->result, "lineage", lineage);
	return 0;
}

static int transform_work(struct shop *shop, struct err *err)
{
	const char *tree = NULL, *text = value_get_str(value_get(shop->job, "work"), "sql");
	if (!text)
		return err_set(err, E_INVALID, "sql: is missing");
	TRY(set_time(shop, "interval_start", "intervalStart", err));
	TRY(set_time(shop, "interval_end", "intervalEnd", err));
	shop_phase(shop, "planning");
	TRY(check_author(shop, text, &tree, err));
	AUTO_BUF select;
	buf_init(&select, SQL_MAX);
	buf_puts(&select, "SELECT * FROM query(");
	duck_put_text(&select, text);
	buf_putc(&select, ')');
	TRY(buf_check(&select, err));
	struct value *result;
	TRY(shop_schema(shop, (const char *)select.data, &result, err));
	TRY(tell_lineage(shop, tree, result, err));
	const struct value *declared = value_get(shop->job, "schema");
	if (declared)
		TRY(check_declared(declared, result, err));
	return transform_write(shop, (const char *)select.data, declared ? declared : result, err);
}

static struct value *input_of(struct arena *arena, const struct grant_table *table)
{
	struct value *input = value_map(arena);
	value_set_str(input, "tenant", table->tenant);
	value_set_str(input, "domain", table->domain);
	value_set_str(input, "name", table->name);
	value_set_str(input, "uid", table->uid);
	value_set_int(input, "snapshot", table->snapshot);
	return input;
}

/* What the executor says of columns, and of which SQL and inputs the grant says so. */
static int seal_lineage(struct run *run, struct err *err)
{
	static const char *const members[] = { "exact", "inputs", "columns", "influence" };
	const struct value *told = value_get(run->result, "lineage");
	const char *sql = value_get_str(run->grant->work, "sql");
	uint8_t digest[32];
	char hex[2 * sizeof digest + 1];
	if (!told || !sql)
		return 0;
	struct value *lineage = value_map(run->arena), *from = value_list(run->arena);
	sha256(sql, strlen(sql), digest);
	hex_print(digest, sizeof digest, hex);
	value_set_str(lineage, "sql", hex);
	for (size_t i = 0; i < run->grant->input_count; i++)
		value_add(from, input_of(run->arena, &run->grant->inputs[i]));
	value_set(lineage, "from", from);
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		value_set(lineage, members[i], value_copy(run->arena, value_get(told, members[i])));
	run->output.lineage = lineage;
	return value_check(lineage, err);
}

static int transform_seal(struct run *run, struct err *err)
{
	TRY(run_seal_output(run, true, err));
	return seal_lineage(run, err);
}

const struct task_side transform_side = {transform_open, transform_work, NULL, transform_seal};
