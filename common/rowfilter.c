/* rowfilter.c - see rowfilter.h. One table of operators: what each takes, its opposite, its SQL.
 * Invariant: what rowfilter_check has passed, rowfilter_sql and rowfilter_test understand whole. */
#include "common/defs.h"
#include "common/rowfilter.h"

#include <inttypes.h>
#include <string.h>

enum takes { TAKES_FILTERS, TAKES_NOTHING, TAKES_ONE, TAKES_MANY, TAKES_PARTS, TAKES_COLUMN };
enum op {
	OP_ALL, OP_ANY, OP_NULL, OP_SOME, OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE, OP_IN, OP_OUT,
	OP_LIKE, OP_UNLIKE, OP_SAME, OP_DIFFER, OP_COUNT_
};

struct op_info {
	const char *name;
	enum takes takes;
	enum op opposite;            /* of an order: where there is a value */
	const char *sql;             /* between the column and what it takes */
};

static const struct op_info ops[OP_COUNT_] = {
	[OP_ALL] = { "all", TAKES_FILTERS, OP_ANY, " AND " },
	[OP_ANY] = { "any", TAKES_FILTERS, OP_ALL, " OR " },
	[OP_NULL] = { "null", TAKES_NOTHING, OP_SOME, " IS NULL" },
	[OP_SOME] = { "some", TAKES_NOTHING, OP_NULL, " IS NOT NULL" },
	[OP_EQ] = { "eq", TAKES_ONE, OP_NE, " IS NOT DISTINCT FROM " },
	[OP_NE] = { "ne", TAKES_ONE, OP_EQ, " IS DISTINCT FROM " },
	[OP_LT] = { "lt", TAKES_ONE, OP_GE, " < " },
	[OP_LE] = { "le", TAKES_ONE, OP_GT, " <= " },
	[OP_GT] = { "gt", TAKES_ONE, OP_LE, " > " },
	[OP_GE] = { "ge", TAKES_ONE, OP_LT, " >= " },
	[OP_IN] = { "in", TAKES_MANY, OP_OUT, " IN " },
	[OP_OUT] = { "out", TAKES_MANY, OP_IN, " NOT IN " },
	[OP_LIKE] = { "like", TAKES_PARTS, OP_UNLIKE, " LIKE " },
	[OP_UNLIKE] = { "unlike", TAKES_PARTS, OP_LIKE, " NOT LIKE " },
	[OP_SAME] = { "same", TAKES_COLUMN, OP_DIFFER, " IS NOT DISTINCT FROM " },
	[OP_DIFFER] = { "differ", TAKES_COLUMN, OP_SAME, " IS DISTINCT FROM " },
};

static enum op op_of(const struct value *filter)
{
	const char *name = value_as_str(value_at(filter, 0));
	for (int i = 0; name && i < OP_COUNT_; i++)
		if (strcmp(ops[i].name, name) == 0)
			return (enum op)i;
	return OP_COUNT_;
}

static bool is_order(enum op op)
{
	return op >= OP_LT && op <= OP_GE;
}

static const char *column_of(const struct value *filter)
{
	return value_as_str(value_at(filter, 1));
}

/* --- builders --- */

static struct value *headed(struct arena *arena, const char *op)
{
	struct value *filter = value_list(arena);
	if (filter)
		value_add_str(filter, op);
	return filter;
}

struct value *rowfilter_const(struct arena *arena, bool all_rows)
{
	return headed(arena, ops[all_rows ? OP_ALL : OP_ANY].name);
}

bool rowfilter_is(const struct value *filter, bool all_rows)
{
	return value_len(filter) == 1 && op_of(filter) == (all_rows ? OP_ALL : OP_ANY);
}

struct value *rowfilter_on(struct arena *arena, const char *op, const char *column,
                           const struct value *item)
{
	struct value *filter = headed(arena, op);
	if (!filter)
		return NULL;
	value_add_str(filter, column);
	if (item)
		value_add(filter, value_copy(arena, item));
	return filter;
}

struct value *rowfilter_ms(struct arena *arena, int64_t ms)
{
	struct value *item = value_map(arena);
	if (item)
		value_set_int(item, "ms", ms);
	return item;
}

static void take_up(struct arena *arena, struct value *into, enum op op, const struct value *part)
{
	if (op_of(part) != op) {
		value_add(into, value_copy(arena, part));
		return;
	}
	for (size_t i = 1; i < value_len(part); i++)
		value_add(into, value_copy(arena, value_at(part, i)));
}

static struct value *joined(struct arena *arena, enum op op, const struct value *a,
                            const struct value *b)
{
	bool unit = op == OP_ALL;
	if (!a || !b)
		return NULL;
	if (rowfilter_is(a, !unit) || rowfilter_is(b, !unit))
		return rowfilter_const(arena, !unit);
	if (rowfilter_is(a, unit) || value_equal(a, b))
		return value_copy(arena, b);
	if (rowfilter_is(b, unit))
		return value_copy(arena, a);
	struct value *filter = headed(arena, ops[op].name);
	if (!filter)
		return NULL;
	take_up(arena, filter, op, a);
	take_up(arena, filter, op, b);
	return filter;
}

struct value *rowfilter_both(struct arena *arena, const struct value *a, const struct value *b)
{
	return joined(arena, OP_ALL, a, b);
}

struct value *rowfilter_either(struct arena *arena, const struct value *a, const struct value *b)
{
	return joined(arena, OP_ANY, a, b);
}

static struct value *not_each(struct arena *arena, const struct value *filter, enum op op)
{
	struct value *opposite = headed(arena, ops[ops[op].opposite].name);
	for (size_t i = 1; opposite && i < value_len(filter); i++)
		value_add(opposite, rowfilter_not(arena, value_at(filter, i)));
	return opposite;
}

struct value *rowfilter_not(struct arena *arena, const struct value *filter)
{
	enum op op = op_of(filter);
	if (op == OP_COUNT_)
		return rowfilter_const(arena, false);
	if (ops[op].takes == TAKES_FILTERS)
		return not_each(arena, filter, op);
	struct value *opposite = headed(arena, ops[ops[op].opposite].name);
	for (size_t i = 1; opposite && i < value_len(filter); i++)
		value_add(opposite, value_copy(arena, value_at(filter, i)));
	if (!is_order(op))
		return opposite;
	return rowfilter_either(arena, opposite,
	                        rowfilter_on(arena, "null", column_of(filter), NULL));
}

/* --- checked --- */

struct check {
	const struct value *schema;
	int nodes;
	struct err *err;
};

static const char *type_of(const struct value *schema, const char *column)
{
	for (size_t i = 0; column && i < value_len(schema); i++) {
		const char *name = value_get_str(value_at(schema, i), "name");
		if (name && strcmp(name, column) == 0)
			return value_get_str(value_at(schema, i), "type");
	}
	return NULL;
}

static bool is_time(const char *type)
{
	return strcmp(type, "timestamp") == 0 || strcmp(type, "date") == 0;
}

static bool fits(const char *type, const struct value *item)
{
	switch (value_kind(item)) {
	case VALUE_BOOL:
		return strcmp(type, "boolean") == 0;
	case VALUE_INT:
		return strcmp(type, "int32") == 0 || strcmp(type, "int64") == 0;
	case VALUE_STR:
		return strcmp(type, "string") == 0;
	case VALUE_MAP:
		return is_time(type) && value_len(item) == 1 &&
		       value_kind(value_get(item, "ms")) == VALUE_INT;
	default:
		return false;
	}
}

static int check_items(struct check *check, const struct value *filter, const char *type)
{
	for (size_t i = 2; i < value_len(filter); i++)
		if (!fits(type, value_at(filter, i)))
			return err_set(check->err, E_INVALID,
			               "a row filter compares the column \"%s\" of type %s with %s",
			               column_of(filter), type,
			               value_kind_name(value_kind(value_at(filter, i))));
	return 0;
}

static bool counts(enum op op, size_t items, const char *type)
{
	switch (ops[op].takes) {
	case TAKES_NOTHING:
		return items == 0;
	case TAKES_ONE:
		return items == 1 && !(is_order(op) && strcmp(type, "boolean") == 0);
	case TAKES_PARTS:
		return items >= 1 && strcmp(type, "string") == 0;
	default:
		return true;
	}
}

static int check_leaf(struct check *check, const struct value *filter, enum op op)
{
	const char *column = column_of(filter), *type = type_of(check->schema, column);
	const char *other = value_as_str(value_at(filter, 2));
	if (!column || !type)
		return err_set(check->err, E_INVALID, "a row filter names the column \"%s\", which "
		               "the table does not have", column ? column : "");
	if (ops[op].takes == TAKES_COLUMN) {
		const char *other_type = type_of(check->schema, other);
		if (value_len(filter) == 3 && other_type && strcmp(type, other_type) == 0)
			return 0;
		return err_set(check->err, E_INVALID, "a row filter compares the column \"%s\" "
		               "with no other column of its type", column);
	}
	if (!counts(op, value_len(filter) - 2, type))
		return err_set(check->err, E_INVALID, "a row filter's \"%s\" cannot take %zu "
		               "values on the column \"%s\" of type %s", ops[op].name,
		               value_len(filter) - 2, column, type);
	return check_items(check, filter, type);
}

static int check_node(struct check *check, const struct value *filter, int depth)
{
	enum op op = op_of(filter);
	check->nodes += (int)(value_len(filter) < ROWFILTER_NODES_MAX ? value_len(filter)
	                                                               : ROWFILTER_NODES_MAX);
	if (depth > ROWFILTER_DEPTH_MAX || check->nodes > ROWFILTER_NODES_MAX)
		return err_set(check->err, E_TOO_LARGE, "a row filter has over %d parts or is over "
		               "%d deep; write a simpler policy", ROWFILTER_NODES_MAX,
		               ROWFILTER_DEPTH_MAX);
	if (value_kind(filter) != VALUE_LIST || op == OP_COUNT_)
		return err_set(check->err, E_INVALID, "a row filter has a part without a known "
		               "operator");
	if (ops[op].takes != TAKES_FILTERS)
		return check_leaf(check, filter, op);
	for (size_t i = 1; i < value_len(filter); i++)
		TRY(check_node(check, value_at(filter, i), depth + 1));
	return 0;
}

int rowfilter_check(const struct value *filter, const struct value *schema, struct err *err)
{
	struct check check = { .schema = schema, .err = err };
	return check_node(&check, filter, 1);
}

/* --- as SQL --- */

static void put_quoted(struct buf *out, const char *text, char quote)
{
	buf_putc(out, quote);
	for (; *text; text++) {
		if (*text == quote)
			buf_putc(out, quote);
		buf_putc(out, *text);
	}
	buf_putc(out, quote);
}

static void put_item(struct buf *out, const struct value *item)
{
	if (value_kind(item) == VALUE_BOOL)
		buf_puts(out, value_as_bool(item, false) ? "true" : "false");
	else if (value_kind(item) == VALUE_INT)
		buf_printf(out, "CAST('%" PRId64 "' AS BIGINT)", value_as_int(item, 0));
	else if (value_kind(item) == VALUE_STR)
		put_quoted(out, value_as_str(item), '\'');
	else
		buf_printf(out, "epoch_ms(CAST('%" PRId64 "' AS BIGINT))",
		           value_get_int(item, "ms", 0));
}

/* What has a special meaning in a pattern stands behind a backslash. */
static void put_pattern(struct buf *out, const struct value *filter)
{
	buf_putc(out, '\'');
	for (size_t i = 2; i < value_len(filter); i++) {
		if (i > 2)
			buf_putc(out, '%');
		for (const char *at = value_as_str(value_at(filter, i)); at && *at; at++) {
			if (strchr("%_\\", *at))
				buf_putc(out, '\\');
			if (*at == '\'')
				buf_putc(out, '\'');
			buf_putc(out, *at);
		}
	}
	buf_puts(out, "' ESCAPE '\\'");
}

static void put_items(struct buf *out, const struct value *filter)
{
	buf_putc(out, '(');
	for (size_t i = 2; i < value_len(filter); i++) {
		buf_puts(out, i > 2 ? ", " : "");
		put_item(out, value_at(filter, i));
	}
	buf_putc(out, ')');
}

/* The column that is compared with item. A date may lie beyond all timestamps, and no filter may
 * fail on a row. */
static void put_operand(struct buf *out, const char *column, const struct value *item)
{
	bool time = value_kind(item) == VALUE_MAP;
	buf_puts(out, time ? "TRY_CAST(" : "");
	put_quoted(out, column, '"');
	buf_puts(out, time ? " AS TIMESTAMP)" : "");
}

/* Where there is no value SQL does not know: as nothing is negated, that is as good as false for a
 * row; an opposite is true. */
static void put_guarded(struct buf *out, const struct value *filter, enum op op)
{
	bool opposite = op == OP_OUT || op == OP_UNLIKE;
	bool many = ops[op].takes == TAKES_MANY;
	const char *column = column_of(filter);
	if (many && value_len(filter) == 2) {
		buf_puts(out, opposite ? "true" : "false");
		return;
	}
	buf_putc(out, '(');
	if (opposite) {
		put_quoted(out, column, '"');
		buf_puts(out, " IS NULL OR ");
	}
	put_operand(out, column, value_at(filter, 2));
	buf_puts(out, ops[op].sql);
	if (many)
		put_items(out, filter);
	else if (ops[op].takes == TAKES_PARTS)
		put_pattern(out, filter);
	else
		put_item(out, value_at(filter, 2));
	buf_putc(out, ')');
}

static void put_leaf(struct buf *out, const struct value *filter, enum op op)
{
	if (is_order(op) || ops[op].takes == TAKES_MANY || ops[op].takes == TAKES_PARTS) {
		put_guarded(out, filter, op);
		return;
	}
	buf_putc(out, '(');
	put_operand(out, column_of(filter), value_at(filter, 2));
	buf_puts(out, ops[op].sql);
	if (ops[op].takes == TAKES_ONE)
		put_item(out, value_at(filter, 2));
	else if (ops[op].takes == TAKES_COLUMN)
		put_quoted(out, value_as_str(value_at(filter, 2)), '"');
	buf_putc(out, ')');
}

static void put_node(struct buf *out, const struct value *filter)
{
	enum op op = op_of(filter);
	if (op == OP_COUNT_ || value_len(filter) == 1) {
		buf_puts(out, op == OP_ALL ? "true" : "false");
		return;
	}
	if (ops[op].takes != TAKES_FILTERS) {
		put_leaf(out, filter, op);
		return;
	}
	buf_putc(out, '(');
	for (size_t i = 1; i < value_len(filter); i++) {
		buf_puts(out, i > 1 ? ops[op].sql : "");
		put_node(out, value_at(filter, i));
	}
	buf_putc(out, ')');
}

int rowfilter_sql(const struct value *filter, struct buf *out, struct err *err)
{
	put_node(out, filter);
	return buf_check(out, err);
}

/* --- on a row --- */

struct row {
	rowfilter_get_fn *get;
	void *context;
};

static const struct value *item_of(const struct row *row, const char *column)
{
	const struct value *item = row->get(row->context, column);
	return value_kind(item) == VALUE_NULL ? NULL : item;
}

/* Below, at or above; both are there and of one kind. */
static int compare(const struct value *item, const struct value *with)
{
	if (value_kind(with) == VALUE_STR)
		return strcmp(value_as_str(item), value_as_str(with));
	int64_t a = value_as_int(item, 0), b = value_as_int(with, 0);
	if (value_kind(with) == VALUE_MAP) {
		__int128 micros = (__int128)value_get_int(with, "ms", 0) * 1000;
		return (a > micros) - (a < micros);
	}
	return (a > b) - (a < b);
}

static bool comparable(const struct value *item, const struct value *with)
{
	enum value_kind kind = value_kind(with) == VALUE_MAP ? VALUE_INT : value_kind(with);
	return value_kind(item) == kind;
}

static bool equals(const struct value *item, const struct value *with)
{
	if (!comparable(item, with))
		return false;
	if (value_kind(with) == VALUE_BOOL)
		return value_as_bool(item, false) == value_as_bool(with, false);
	return compare(item, with) == 0;
}

static bool is_among(const struct value *item, const struct value *filter)
{
	for (size_t i = 2; i < value_len(filter); i++)
		if (equals(item, value_at(filter, i)))
			return true;
	return false;
}

/* The first part at the start, the last at the end, each other at its first place. */
static bool is_like(const char *text, const struct value *filter)
{
	size_t count = value_len(filter), len = strlen(text);
	const char *first = value_as_str(value_at(filter, 2));
	const char *last = value_as_str(value_at(filter, count - 1));
	if (count == 3)
		return strcmp(text, first) == 0;
	if (len < strlen(first) + strlen(last) || strncmp(text, first, strlen(first)) != 0)
		return false;
	const char *end = text + len - strlen(last);
	text += strlen(first);
	for (size_t i = 3; i + 1 < count; i++) {
		const char *part = value_as_str(value_at(filter, i));
		const char *found = memmem(text, (size_t)(end - text), part, strlen(part));
		if (!found)
			return false;
		text = found + strlen(part);
	}
	return strcmp(end, last) == 0;
}

static bool in_order(enum op op, int order)
{
	switch (op) {
	case OP_LT:
		return order < 0;
	case OP_LE:
		return order <= 0;
	case OP_GT:
		return order > 0;
	default:
		return order >= 0;
	}
}

/* Of the operators that say something of what is there; each opposite is its negation. */
static bool holds(enum op op, const struct row *row, const struct value *filter)
{
	const struct value *item = item_of(row, column_of(filter)), *with = value_at(filter, 2);
	const struct value *other = NULL;
	switch (op) {
	case OP_NULL:
		return !item;
	case OP_EQ:
		return item && equals(item, with);
	case OP_IN:
		return item && is_among(item, filter);
	case OP_LIKE:
		return item && value_kind(item) == VALUE_STR && is_like(value_as_str(item), filter);
	case OP_SAME:
		other = item_of(row, value_as_str(with));
		return item && other ? value_equal(item, other) : !item && !other;
	default:
		return item && comparable(item, with) && in_order(op, compare(item, with));
	}
}

static bool test_node(const struct row *row, const struct value *filter)
{
	enum op op = op_of(filter);
	if (op == OP_COUNT_)
		return false;
	if (ops[op].takes != TAKES_FILTERS) {
		bool negated = op == OP_SOME || op == OP_NE || op == OP_OUT || op == OP_UNLIKE ||
		               op == OP_DIFFER;
		return negated ? !holds(ops[op].opposite, row, filter) : holds(op, row, filter);
	}
	for (size_t i = 1; i < value_len(filter); i++)
		if (test_node(row, value_at(filter, i)) == (op == OP_ANY))
			return op == OP_ANY;
	return op == OP_ALL;
}

bool rowfilter_test(const struct value *filter, rowfilter_get_fn *get, void *context)
{
	const struct row row = { get, context };
	return test_node(&row, filter);
}
