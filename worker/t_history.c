/* t_history.c - a page of a tenant's history, newest id first, told in the report: {rows, more}. A
 * row is [id, document]: the task as the API shows it, as JSON text. A page ends early when it is
 * large: `more` then says so. */
#include "common/defs.h"
#include "worker/duck.h"
#include "worker/run_impl.h"
#include "worker/shop.h"

#include <inttypes.h>
#include <string.h>

enum { SQL_MAX = 64 * 1024, PAGE_BYTES_MAX = 200 * 1024, CELL_BYTES = 9, LIMIT_MOST = 1000 };

static int history_open(struct run *run, struct err *err)
{
	(void)run;
	(void)err;
	return 0;
}

static void put_states(struct buf *sql, const struct value *states)
{
	for (size_t i = 0; i < value_len(states); i++) {
		const char *state = value_as_str(value_at(states, i));
		buf_puts(sql, i == 0 ? " AND \"state\" IN (" : ", ");
		duck_put_text(sql, state ? state : "");
	}
	if (value_len(states) > 0)
		buf_puts(sql, ")");
}

static void put_filter(struct buf *sql, const struct value *work)
{
	static const struct { const char *member, *column, *compare; } filters[] = {
		{"domain", "domain", " = "},
		{"type", "type", " = "},
		{"run", "run", " = "},
		{"schedule", "schedule", " = "},
		{"id", "id", " = "},
		{"from", "id", " >= "},
		{"before", "id", " < "},
	};
	buf_puts(sql, " WHERE true");
	for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
		const char *text = value_get_str(work, filters[i].member);
		if (!text)
			continue;
		buf_puts(sql, " AND ");
		duck_put_name(sql, filters[i].column);
		buf_puts(sql, filters[i].compare);
		duck_put_text(sql, text);
	}
	put_states(sql, value_get(work, "states"));
}

static int put_page(struct buf *sql, const struct value *table, const struct value *work,
                    int64_t limit, struct err *err)
{
	buf_puts(sql, "SELECT \"id\", \"document\" FROM memory.");
	duck_put_name(sql, value_get_str(table, "domain"));
	buf_putc(sql, '.');
	duck_put_name(sql, value_get_str(table, "name"));
	put_filter(sql, work);
	buf_printf(sql, " ORDER BY \"id\" DESC LIMIT %" PRId64, limit);
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

static int history_work(struct shop *shop, struct err *err)
{
	const struct value *work = value_get(shop->job, "work"), *found = NULL;
	const struct value *table = value_at(value_get(shop->job, "tables"), 0);
	int64_t limit = value_get_int(work, "limit", 0);
	if (limit < 1 || limit > LIMIT_MOST)
		return err_set(err, E_INVALID, "limit: must be from 1 to %d", LIMIT_MOST);
	AUTO_BUF sql;
	buf_init(&sql, SQL_MAX);
	TRY(put_page(&sql, table, work, limit + 1, err));
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

static int history_seal(struct run *run, struct err *err)
{
	struct value *told = value_map(run->arena);
	const struct value *rows = value_get(run->result, "rows");
	value_set(told, "rows", rows ? value_copy(run->arena, rows) : value_list(run->arena));
	value_set_bool(told, "more", value_get_bool(run->result, "more", false));
	run->told = told;
	return value_check(told, err);
}

const struct task_side history_side = {history_open, history_work, NULL, history_seal};
