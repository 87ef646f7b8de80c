/* t_materialize.c - the latest row of every entity of a dataset, put online.
 * The executor finds the rows; the agent, which has the view's key, seals and stores them. An
 * entity's key is its text: a whole number is written in decimal. Rows without key or event time
 * are left out. */
#include "common/defs.h"
#include "common/pack.h"
#include "worker/duck.h"
#include "worker/online.h"
#include "worker/run_impl.h"
#include "worker/shop.h"

#include <inttypes.h>
#include <string.h>

enum {
	SQL_MAX = 1024 * 1024,
	BATCH_ROWS = 1000,
	BATCH_BYTES_MAX = 8 * 1024 * 1024,
	VALUES_MAX = 1024 * 1024
};

/* --- executor --- */

/* What a feature's value is online: JSON's kinds, and text where JSON has none. */
static void put_feature(struct buf *sql, const struct value *feature)
{
	const char *type = value_get_str(feature, "type");
	const char *name = value_get_str(feature, "name");
	const char *cast = "VARCHAR";
	static const char *const kinds[][2] = {
		{"boolean", "BOOLEAN"}, {"int32", "BIGINT"}, {"int64", "BIGINT"},
		{"float64", "DOUBLE"},  {"bytes", "BLOB"},
	};
	for (size_t i = 0; type && i < ARRAY_LEN(kinds); i++)
		if (strcmp(kinds[i][0], type) == 0)
			cast = kinds[i][1];
	if (type && strncmp(type, "decimal", 7) == 0)
		cast = "DOUBLE";
	bool time = type && strcmp(type, "timestamp") == 0;
	buf_puts(sql, time ? "strftime(CAST(" : "CAST(");
	duck_put_name(sql, name ? name : "");
	buf_printf(sql, " AS %s)%s", time ? "TIMESTAMP" : cast,
	           time ? ", '%Y-%m-%dT%H:%M:%S.%fZ')" : "");
}

static void put_key(struct buf *sql, const struct value *work)
{
	const char *type = value_get_str(work, "keyType");
	buf_puts(sql, "CAST(");
	if (type && strcmp(type, "int64") == 0) {
		buf_puts(sql, "CAST(");
		duck_put_name(sql, value_get_str(work, "joinKey"));
		buf_puts(sql, " AS BIGINT)");
	} else {
		duck_put_name(sql, value_get_str(work, "joinKey"));
	}
	buf_puts(sql, " AS VARCHAR)");
}

static void put_time(struct buf *sql, const struct value *work)
{
	buf_puts(sql, "CAST(");
	duck_put_name(sql, value_get_str(work, "timestampField"));
	buf_puts(sql, " AS TIMESTAMP)");
}

static void put_table(struct buf *sql, const struct shop *shop)
{
	const struct value *table = value_at(value_get(shop->job, "tables"), 0);
	buf_puts(sql, "memory."); /* the catalog: a domain may be called like one */
	duck_put_name(sql, value_get_str(table, "domain"));
	buf_putc(sql, '.');
	duck_put_name(sql, value_get_str(table, "name"));
}

/* SELECT key, time, value, ... of the latest row of each key. */
static void put_latest(struct buf *sql, const struct shop *shop)
{
	const struct value *work = value_get(shop->job, "work"),
			   *features = value_get(work, "features");
	buf_puts(sql, "SELECT k, t");
	for (size_t i = 0; i < value_len(features); i++)
		buf_printf(sql, ", v.f%zu", i);
	buf_puts(sql, " FROM (SELECT k, max(t) AS t, arg_max(r, t) AS v FROM (SELECT ");
	put_key(sql, work);
	buf_puts(sql, " AS k, ");
	put_time(sql, work);
	buf_puts(sql, " AS t, {");
	for (size_t i = 0; i < value_len(features); i++) {
		buf_printf(sql, "%sf%zu: ", i ? ", " : "", i);
		put_feature(sql, value_at(features, i));
	}
	buf_puts(sql, "} AS r FROM ");
	put_table(sql, shop);
	buf_puts(sql, ") WHERE k IS NOT NULL AND t IS NOT NULL GROUP BY k)");
}

static int check_column(const struct value *schema, const char *what, const char *name,
                        struct err *err)
{
	for (size_t i = 0; name && i < value_len(schema); i++) {
		const char *other = value_get_str(value_at(schema, i), "name");
		if (other && strcmp(other, name) == 0)
			return 0;
	}
	return err_set(err, E_INPUT, "%s: the view's dataset has no column \"%s\"", what,
	               name ? name : "");
}

static int check_columns(struct shop *shop, const struct value *work, struct err *err)
{
	AUTO_BUF sql;
	buf_init(&sql, SQL_MAX);
	buf_puts(&sql, "SELECT * FROM ");
	put_table(&sql, shop);
	TRY(buf_check(&sql, err));
	struct value *schema;
	TRY(shop_schema(shop, (const char *)sql.data, &schema, err));
	TRY(check_column(schema, "joinKey", value_get_str(work, "joinKey"), err));
	TRY(check_column(schema, "timestampField", value_get_str(work, "timestampField"), err));
	const struct value *features = value_get(work, "features");
	if (value_len(features) == 0)
		return err_set(err, E_INVALID, "features: the view has none");
	for (size_t i = 0; i < value_len(features); i++)
		TRY(check_column(schema, "features", value_get_str(value_at(features, i), "name"),
		                 err));
	return 0;
}

struct batcher {
	struct shop *shop;
	struct arena *arena; /* of the batch under way */
	struct value *rows;
	int64_t sent;
};

static int flush(struct batcher *batcher, struct err *err)
{
	if (value_len(batcher->rows) == 0)
		return 0;
	batcher->sent += (int64_t)value_len(batcher->rows);
	struct value *message = value_map(batcher->arena);
	value_set(message, "rows", batcher->rows);
	TRY(shop_send_rows(batcher->shop, message, err));
	arena_reset(batcher->arena);
	batcher->rows = value_list(batcher->arena);
	return 0;
}

static int take_row(void *context, const struct value *row, struct err *err)
{
	struct batcher *batcher = context;
	value_add(batcher->rows, value_copy(batcher->arena, row));
	TRY(value_check(batcher->rows, err));
	if (value_len(batcher->rows) < BATCH_ROWS && arena_used(batcher->arena) < BATCH_BYTES_MAX)
		return 0;
	return flush(batcher, err);
}

static int count_skipped(struct shop *shop, const struct value *work, struct err *err)
{
	AUTO_BUF sql;
	buf_init(&sql, SQL_MAX);
	buf_puts(&sql, "SELECT count(*) FROM ");
	put_table(&sql, shop);
	buf_puts(&sql, " WHERE ");
	duck_put_name(&sql, value_get_str(work, "joinKey"));
	buf_puts(&sql, " IS NULL OR ");
	duck_put_name(&sql, value_get_str(work, "timestampField"));
	buf_puts(&sql, " IS NULL");
	TRY(buf_check(&sql, err));
	const struct value *rows;
	TRY(duck_table(shop->duck, shop->arena, (const char *)sql.data, 1, &rows, err));
	value_set_int(shop->result, "skipped", value_as_int(value_at(value_at(rows, 0), 0), 0));
	return 0;
}

static int materialize_work(struct shop *shop, struct err *err)
{
	const struct value *work = value_get(shop->job, "work");
	TRY(check_columns(shop, work, err));
	TRY(count_skipped(shop, work, err));
	shop_phase(shop, "reading");
	AUTO_BUF sql;
	buf_init(&sql, SQL_MAX);
	put_latest(&sql, shop);
	TRY(buf_check(&sql, err));
	AUTO(arena) *arena = NULL;
	TRY(arena_new(4 * BATCH_BYTES_MAX, &arena, err));
	struct batcher batcher = {shop, arena, value_list(arena), 0};
	TRY(duck_rows(shop->duck, (const char *)sql.data, take_row, &batcher, err));
	TRY(flush(&batcher, err));
	value_set_int(shop->result, "rows", batcher.sent);
	return value_check(shop->result, err);
}

/* --- agent --- */

static int materialize_open(struct run *run, struct err *err)
{
	if (!run->runner->online)
		return err_set(err, E_UNAVAILABLE,
		               "this worker has no online store; materialize on one that "
		               "serves");
	const struct grant_table *view = &run->grant->outputs[0];
	const struct value *features = value_get(run->grant->work, "features");
	int64_t layout = 0;
	for (size_t i = 0; i < value_len(features); i++)
		layout = online_layout(layout, value_get_str(value_at(features, i), "name"),
		                       value_get_str(value_at(features, i), "type"));
	TRY(online_view_new(run->runner->online, run->grant->tenant, view->uid, view->key_version,
	                    view->key, &run->view, err));
	online_view_set_layout(run->view, layout);
	return online_batch_new(run->view, &run->batch, err);
}

/* [key, time, value, ...]: the values are packed as one list. */
static int put_online(struct run *run, struct arena *arena, const struct value *row,
                      struct buf *packed, struct err *err)
{
	size_t key_len = 0, count = value_len(row);
	const char *key = value_as_bin(value_at(row, 0), &key_len);
	if (!key || count < 3 || value_kind(value_at(row, 1)) != VALUE_INT)
		return err_set(err, E_INTERNAL, "an executor sent a row without key or time");
	struct value *values = value_list(arena);
	for (size_t i = 2; i < count; i++)
		value_add(values, value_copy(arena, value_at(row, i)));
	buf_clear(packed);
	TRY(pack_write(values, packed, err));
	return online_put(run->batch, key, key_len, value_as_int(value_at(row, 1), 0), packed->data,
	                  packed->len, err);
}

static int materialize_rows(struct run *run, const struct value *message, struct err *err)
{
	const struct value *rows = value_get(message, "rows");
	AUTO(arena) *arena = NULL;
	TRY(arena_new(VALUES_MAX * 4, &arena, err));
	AUTO_BUF packed;
	buf_init(&packed, VALUES_MAX);
	for (size_t i = 0; i < value_len(rows); i++) {
		arena_reset(arena);
		TRY(put_online(run, arena, value_at(rows, i), &packed, err));
	}
	run->usage.rows += (int64_t)value_len(rows);
	attempt_progress(run->attempt, "materializing", run->usage.rows, 0, -1);
	return 0;
}

static int materialize_seal(struct run *run, struct err *err)
{
	int64_t changed = 0, bytes = 0;
	TRY(online_commit(run->batch, &changed, &bytes, err));
	run->usage.bytes_written = bytes;
	return 0;
}

const struct task_side materialize_side = {materialize_open, materialize_work, materialize_rows,
                                           materialize_seal};
