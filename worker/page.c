/* page.c - see page.h. */
#include "common/defs.h"
#include "worker/page.h"

#include "api/datapath.h"
#include "worker/duck.h"

#include <inttypes.h>
#include <string.h>

enum { SQL_MAX = 64 * 1024, PAGE_BYTES_MAX = 200 * 1024, CELL_BYTES = 9, LIMIT_MOST = 1000 };

static void put_one_of(struct buf *sql, const char *column, const struct value *texts)
{
	for (size_t i = 0; i < value_len(texts); i++) {
		const char *text = value_as_str(value_at(texts, i));
		if (i == 0) {
			buf_puts(sql, " AND ");
			duck_put_name(sql, column);
		}
		buf_puts(sql, i == 0 ? " IN (" : ", ");
		duck_put_text(sql, text ? text : "");
	}
	if (value_len(texts) > 0)
		buf_puts(sql, ")");
}

/* As datapath_matches. */
static void put_data(struct buf *sql, const char *column, const char *path)
{
	char needle[DATAPATH_MAX];
	if (!datapath_needle(path, needle))
		return;
	buf_puts(sql, " OR (NOT starts_with(");
	duck_put_name(sql, column);
	buf_puts(sql, ", '/') AND contains(' ' || ");
	duck_put_name(sql, column);
	buf_puts(sql, " || ' ', ");
	duck_put_text(sql, needle);
	buf_puts(sql, "))");
}

static void put_path(struct buf *sql, const char *column, const char *path)
{
	size_t len = strlen(path);
	bool ends = len > 0 && path[len - 1] == '/';
	buf_puts(sql, " AND (");
	duck_put_name(sql, column);
	buf_puts(sql, " = ");
	duck_put_text(sql, path);
	buf_puts(sql, " OR starts_with(");
	duck_put_name(sql, column);
	buf_puts(sql, ", ");
	duck_put_text(sql, path);
	buf_puts(sql, ends ? ")" : " || '/')");
	put_data(sql, column, path);
	buf_puts(sql, ")");
}

static void put_filter(struct buf *sql, const struct page_filter *filter, const struct value *said)
{
	const char *text = value_as_str(said);
	if (filter->kind == PAGE_PATH) {
		put_path(sql, filter->column, text ? text : "");
		return;
	}
	buf_puts(sql, " AND ");
	duck_put_name(sql, filter->column);
	buf_puts(sql, filter->compare);
	if (filter->kind == PAGE_NUMBER)
		buf_printf(sql, "%" PRId64, value_as_int(said, 0));
	else
		duck_put_text(sql, text ? text : "");
}

static void put_filters(struct buf *sql, const struct page_shape *shape, const struct value *work)
{
	buf_puts(sql, " WHERE true");
	for (const struct page_filter *at = shape->filters; at->member; at++)
		if (value_get(work, at->member))
			put_filter(sql, at, value_get(work, at->member));
	if (shape->list_member)
		put_one_of(sql, shape->list_column, value_get(work, shape->list_member));
}

static int put_page(struct buf *sql, const struct page_shape *shape, const struct value *table,
                    const struct value *work, int64_t limit, struct err *err)
{
	for (size_t i = 0; shape->columns[i]; i++) {
		buf_puts(sql, i == 0 ? "SELECT " : ", ");
		duck_put_name(sql, shape->columns[i]);
	}
	buf_puts(sql, " FROM memory.");
	duck_put_name(sql, value_get_str(table, "domain"));
	buf_putc(sql, '.');
	duck_put_name(sql, value_get_str(table, "name"));
	put_filters(sql, shape, work);
	buf_puts(sql, " ORDER BY ");
	duck_put_name(sql, shape->order);
	buf_printf(sql, " DESC LIMIT %" PRId64, limit);
	return buf_check(sql, err);
}

static size_t row_bytes(const struct value *row)
{
	size_t bytes = 0;
	for (size_t i = 0; i < value_len(row); i++) {
		const char *text = value_as_str(value_at(row, i));
		bytes += CELL_BYTES + (text ? strlen(text) : 0);
	}
	return bytes;
}

int page_work(struct shop *shop, const struct page_shape *shape, struct err *err)
{
	const struct value *work = value_get(shop->job, "work"), *found = NULL;
	const struct value *table = value_at(value_get(shop->job, "tables"), 0);
	int64_t limit = value_get_int(work, "limit", 0);
	if (limit < 1 || limit > LIMIT_MOST)
		return err_set(err, E_INVALID, "limit: must be from 1 to %d", LIMIT_MOST);
	AUTO_BUF sql;
	buf_init(&sql, SQL_MAX);
	TRY(put_page(&sql, shape, table, work, limit + 1, err));
	shop_phase(shop, "reading");
	TRY(duck_table(shop->duck, shop->arena, (const char *)sql.data, (size_t)limit + 1, &found,
	               err));
	struct value *rows = value_list(shop->arena);
	size_t bytes = 0, count = 0;
	for (; count < value_len(found) && count < (size_t)limit; count++) {
		bytes += row_bytes(value_at(found, count));
		if (count > 0 && bytes > PAGE_BYTES_MAX)
			break;
		value_add(rows, value_copy(shop->arena, value_at(found, count)));
	}
	value_set(shop->result, "rows", rows);
	value_set_bool(shop->result, "more", count < value_len(found));
	return value_check(shop->result, err);
}

int page_seal(struct run *run, struct err *err)
{
	struct value *told = value_map(run->arena);
	const struct value *rows = value_get(run->result, "rows");
	value_set(told, "rows", rows ? value_copy(run->arena, rows) : value_list(run->arena));
	value_set_bool(told, "more", value_get_bool(run->result, "more", false));
	run->told = told;
	return value_check(told, err);
}
