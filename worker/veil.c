/* veil.c - see veil.h. Invariants: a column that control did not know when it decided is not shown;
 * a restriction that does not fit shows nothing at all. */
#include "common/defs.h"
#include "worker/veil.h"
#include "api/field.h"
#include "worker/duck.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { FUNCTION_NAME_MAX = 48, SQL_TYPE_MAX = 32, DECIMALS = 39 };

void veil_pack(struct arena *arena, const struct restriction *restriction, struct value *table)
{
	if (restriction->filter)
		value_set(table, "filter", value_copy(arena, restriction->filter));
	if (restriction->masks)
		value_set(table, "masks", value_copy(arena, restriction->masks));
	if (restriction->hidden)
		value_set(table, "hidden", value_copy(arena, restriction->hidden));
}

static struct restriction unpack(const struct value *table)
{
	return (struct restriction){value_get(table, "filter"), value_get(table, "masks"),
	                            value_get(table, "hidden")};
}

bool veil_is_on(const struct value *table)
{
	struct restriction restriction = unpack(table);
	return restriction_any(&restriction);
}

bool veil_hides_rows(const struct value *tables)
{
	for (size_t i = 0; i < value_len(tables); i++)
		if (value_get(value_at(tables, i), "filter"))
			return true;
	return false;
}

/* --- functions --- */

/* Of one action for one type. */
struct veil_function {
	struct duck_function function;
	char name[FUNCTION_NAME_MAX];
	enum mask mask;
	const struct mask_salt *salt;
};

static int64_t on_int32(const void *context, int64_t value)
{
	const struct veil_function *function = context;
	return mask_int32(function->mask, function->salt, (int32_t)value);
}

static int64_t on_int64(const void *context, int64_t value)
{
	const struct veil_function *function = context;
	return mask_int64(function->mask, function->salt, value);
}

static int64_t on_date(const void *context, int64_t value)
{
	const struct veil_function *function = context;
	return mask_date(function->mask, (int32_t)value);
}

static int64_t on_timestamp(const void *context, int64_t value)
{
	const struct veil_function *function = context;
	return mask_timestamp(function->mask, value);
}

static int on_text(const void *context, const void *data, size_t len, struct buf *out,
                   struct err *err)
{
	const struct veil_function *function = context;
	return mask_text(function->mask, function->salt, data, len, out, err);
}

static int on_bytes(const void *context, const void *data, size_t len, struct buf *out,
                    struct err *err)
{
	const struct veil_function *function = context;
	return mask_bytes(function->mask, function->salt, data, len, out, err);
}

static const struct {
	const char *type;
	int64_t (*number)(const void *context, int64_t value);
	int (*bytes)(const void *context, const void *data, size_t len, struct buf *out,
	             struct err *err);
} kinds[] = {
	{"int32", on_int32, NULL}, {"int64", on_int64, NULL}, {"date", on_date, NULL},
	{"timestamp", on_timestamp, NULL}, {"string", NULL, on_text}, {"bytes", NULL, on_bytes},
};

/* What does not look at the value needs no function. */
static bool is_constant(enum mask mask)
{
	return mask == MASK_NULL || mask == MASK_FIXED;
}

static void function_name(enum mask mask, const char *type, char out[FUNCTION_NAME_MAX])
{
	snprintf(out, FUNCTION_NAME_MAX, "freehold_%s_%s", mask ? mask_name(mask) : "same", type);
}

/* mask: MASK_NONE for the function that writes anew. */
static int add_function(struct arena *arena, struct duck *duck, enum mask mask, const char *type,
                        const struct mask_salt *salt, struct err *err)
{
	struct veil_function *made = arena_alloc(arena, sizeof *made);
	char *sql_type = arena_alloc(arena, SQL_TYPE_MAX);
	if (!made || !sql_type)
		return err_set(err, E_NOMEM, "no memory for a mask");
	if (!field_type_sql(type, sql_type))
		return err_set(err, E_INTERNAL, "a mask is for no type");
	function_name(mask, type, made->name);
	made->mask = mask;
	made->salt = salt;
	made->function = (struct duck_function){made->name, sql_type, made, NULL, NULL};
	for (size_t i = 0; i < ARRAY_LEN(kinds) && mask != MASK_NONE; i++)
		if (strcmp(kinds[i].type, type) == 0) {
			made->function.number = kinds[i].number;
			made->function.bytes = kinds[i].bytes;
		}
	return duck_add_function(duck, &made->function, err);
}

static int add_masks(struct arena *arena, struct duck *duck, const struct mask_salt *salt,
                     struct err *err)
{
	for (int mask = MASK_NONE + 1; mask < MASK_COUNT_; mask++)
		for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
			if (!is_constant((enum mask)mask) &&
			    mask_check((enum mask)mask, "", kinds[i].type, false, NULL) == 0)
				TRY(add_function(arena, duck, (enum mask)mask, kinds[i].type, salt,
				                 err));
	return 0;
}

/* Each decimal is a type of its own. */
static int add_decimals(struct arena *arena, struct duck *duck, const struct value *schema,
                        bool seen[DECIMALS][DECIMALS], struct err *err)
{
	for (size_t i = 0; i < value_len(schema); i++) {
		const char *type = value_get_str(value_at(schema, i), "type");
		unsigned p = 0, s = 0;
		if (!type || sscanf(type, "decimal(%2u,%2u)", &p, &s) != 2 || p >= DECIMALS ||
		    s >= DECIMALS || seen[p][s])
			continue;
		seen[p][s] = true;
		TRY(add_function(arena, duck, MASK_NONE, type, NULL, err));
	}
	return 0;
}

static int add_anew(struct arena *arena, struct duck *duck, const struct value *tables,
                    struct err *err)
{
	static const char *const types[] = {"boolean", "int32", "int64", "float64", "string",
	                                    "timestamp", "date", "bytes"};
	bool seen[DECIMALS][DECIMALS] = {{false}};
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		TRY(add_function(arena, duck, MASK_NONE, types[i], NULL, err));
	for (size_t i = 0; i < value_len(tables); i++)
		if (value_get(value_at(tables, i), "filter"))
			TRY(add_decimals(arena, duck, value_get(value_at(tables, i), "schema"),
			                 seen, err));
	return 0;
}

static bool has_masks(const struct value *tables)
{
	for (size_t i = 0; i < value_len(tables); i++)
		if (value_get(value_at(tables, i), "masks"))
			return true;
	return false;
}

int veil_prepare(struct arena *arena, struct duck *duck, const struct value *tables,
                 const struct mask_salt *salt, bool plain, struct err *err)
{
	if (has_masks(tables))
		TRY(add_masks(arena, duck, salt, err));
	return veil_hides_rows(tables) && !plain ? add_anew(arena, duck, tables, err) : 0;
}

/* --- the SELECT --- */

struct veil {
	struct arena *arena;
	const struct value *table;
	struct restriction restriction;
	const struct value *columns;
	bool anew;                   /* each is written anew */
};

int veil_misfit(const struct value *table, struct err *err)
{
	return err_set(err, E_PRECONDITION, "dataset %s.%s: what policies leave of it to be read "
	               "does not fit its columns as they are; ask the dataset's owner",
	               value_get_str(table, "domain"), value_get_str(table, "name"));
}

/* As SQL compares names. */
static const struct value *find_known(const struct value *schema, const char *name)
{
	for (size_t i = 0; name && i < value_len(schema); i++) {
		const char *other = value_get_str(value_at(schema, i), "name");
		if (other && strcasecmp(other, name) == 0)
			return value_at(schema, i);
	}
	return NULL;
}

static bool hides(const struct restriction *restriction, const char *name)
{
	for (size_t i = 0; i < value_len(restriction->hidden); i++) {
		const char *other = value_as_str(value_at(restriction->hidden, i));
		if (!other || strcasecmp(other, name) == 0)
			return true;
	}
	return false;
}

/* A value of the type whose fixed stand-in does not hang on it. */
static struct value *any_cell(struct arena *arena, const char *type)
{
	if (strcmp(type, "boolean") == 0)
		return value_bool(arena, true);
	if (strcmp(type, "float64") == 0)
		return value_real(arena, 1);
	if (strcmp(type, "string") == 0)
		return value_str(arena, "");
	if (strcmp(type, "bytes") == 0)
		return value_bin(arena, "", 0);
	return value_int(arena, 1);
}

static void put_cell(struct buf *sql, const char *type, const struct value *cell)
{
	int64_t number = value_as_int(cell, 0);
	if (value_kind(cell) == VALUE_NULL)
		buf_puts(sql, "NULL");
	else if (strcmp(type, "date") == 0)
		buf_printf(sql, "(DATE '1970-01-01' + CAST(%" PRId64 " AS INTEGER))", number);
	else if (strcmp(type, "timestamp") == 0)
		buf_printf(sql, "make_timestamp(CAST(%" PRId64 " AS BIGINT))", number);
	else if (value_kind(cell) == VALUE_BOOL)
		buf_puts(sql, value_as_bool(cell, false) ? "true" : "false");
	else if (value_kind(cell) == VALUE_REAL)
		buf_printf(sql, "%.17g", value_as_real(cell, 0));
	else if (value_kind(cell) == VALUE_INT)
		buf_printf(sql, "%" PRId64, number);
	else
		duck_put_text(sql, value_as_str(cell) ? value_as_str(cell) : "");   /* no bytes */
}

/* The same for every value that is there, as mask_cell says. */
static int put_constant(const struct veil *veil, enum mask mask, const char *name,
                        const char *type, const char *sql_type, struct buf *sql, struct err *err)
{
	struct value *cell = NULL;
	TRY(mask_cell(veil->arena, mask, NULL, type, any_cell(veil->arena, type), &cell, err));
	buf_puts(sql, "CASE WHEN ");
	duck_put_name(sql, name);
	buf_puts(sql, " IS NULL THEN NULL ELSE CAST(");
	put_cell(sql, type, cell);
	buf_printf(sql, " AS %s) END", sql_type);
	return 0;
}

static void put_call(enum mask mask, const char *type, struct buf *sql)
{
	char function[FUNCTION_NAME_MAX];
	function_name(mask, type, function);
	duck_put_name(sql, function);
	buf_putc(sql, '(');
}

static int put_masked(const struct veil *veil, enum mask mask, const char *name, const char *type,
                      const char *sql_type, struct buf *sql, struct err *err)
{
	if (is_constant(mask))
		return put_constant(veil, mask, name, type, sql_type, sql, err);
	if (mask != MASK_NONE)
		put_call(mask, type, sql);
	buf_puts(sql, "TRY_CAST(");      /* which the engine drops: it is of that type */
	duck_put_name(sql, name);
	buf_printf(sql, " AS %s)%s", sql_type, mask != MASK_NONE ? ")" : "");
	return 0;
}

/* known: the column as control knew it. */
static int put_column(const struct veil *veil, const struct value *column,
                      const struct value *known, struct buf *sql, struct err *err)
{
	const char *name = value_get_str(column, "name"), *type = value_get_str(column, "type");
	const char *declared = value_get_str(known, "type");
	enum mask mask = restriction_mask(&veil->restriction, value_get_str(known, "name"));
	if (type && declared && strncmp(type, "decimal", 7) == 0 &&
	    strncmp(declared, "decimal", 7) == 0)        /* of which there are functions */
		type = declared;
	char sql_type[SQL_TYPE_MAX];
	if (!field_type_sql(type, sql_type) ||
	    mask_check(mask, name, type, value_get_bool(known, "required", false), NULL) < 0)
		return veil_misfit(veil->table, err);
	if (veil->anew)
		put_call(MASK_NONE, type, sql);
	TRY(put_masked(veil, mask, name, type, sql_type, sql, err));
	buf_puts(sql, veil->anew ? ") AS " : " AS ");
	duck_put_name(sql, name);
	return 0;
}

static int put_columns(const struct veil *veil, struct buf *sql, struct err *err)
{
	const struct value *schema = value_get(veil->table, "schema");
	int count = 0;
	for (size_t i = 0; i < value_len(veil->columns); i++) {
		const struct value *column = value_at(veil->columns, i);
		const struct value *known = find_known(schema, value_get_str(column, "name"));
		const char *name = value_get_str(known, "name");
		if (!name || hides(&veil->restriction, name))
			continue;
		buf_puts(sql, count++ ? ", " : "");
		TRY(put_column(veil, column, known, sql, err));
	}
	return count ? 0 : veil_misfit(veil->table, err);
}

int veil_put(struct arena *arena, const struct value *table, const char *relation,
             const struct value *columns, bool plain, struct buf *sql, struct err *err)
{
	struct veil veil = {arena, table, unpack(table), columns, false};
	const struct value *filter = veil.restriction.filter;
	veil.anew = filter && !plain;
	buf_puts(sql, "SELECT ");
	TRY(put_columns(&veil, sql, err));
	buf_printf(sql, " FROM (SELECT * FROM (%s)", relation);
	if (!filter) {
		buf_puts(sql, ")");
		return buf_check(sql, err);
	}
	if (rowfilter_check(filter, columns, NULL) < 0)
		return veil_misfit(table, err);
	buf_puts(sql, " WHERE ");
	TRY(rowfilter_sql(filter, sql, err));
	buf_puts(sql, ")");
	return buf_check(sql, err);
}
