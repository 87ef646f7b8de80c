/* sql_rules.c - see sql_rules.h. The tree may be as deep as SQL may be: it is scanned once, with a
 * stack of our own. What an object is, is known at its end. */
#include "common/defs.h"
#include "worker/sql_rules.h"
#include "common/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { DEPTH_MAX = 100000, DEPTH_FIRST = 256, SHOWN_MAX = 64, NAME_ROOM = 64, TABLES_MOST = 1024 };
enum { STATEMENT_DEPTH = 3 };        /* {"statements": [{...}]} */

struct text {
	const char *at;
	size_t len;
};

/* Members of the object or list under way that rules look at. */
enum member { TYPE, CLASS, FUNCTION, TABLE, SCHEMA, CATALOG, KEY, MEMBERS };

struct frame {
	struct text key; /* what its parent calls it; a list's items are called as the list */
	struct text members[MEMBERS];
	bool list;
};

struct scan {
	struct arena *arena;
	struct value *found, *defined; /* names of tables and of CTEs, instead of checks; or NULL */
	size_t statements;             /* counted with them */
	const char *at;
	struct frame *frames;
	size_t depth, room;
	const struct value *tables;
	struct text key; /* of the value that comes */
	bool *plain;     /* whether it is, instead of checks; or NULL */
};

static const char *const member_names[][2] = {
	{"type", NULL}, {"class", NULL}, {"function_name", NULL}, {"table_name", NULL},
	{"schema_name", "schema"}, {"catalog_name", "catalog"}, {"key", NULL},
};

/* Functions that are relations: of these only what makes rows out of its arguments. */
static const char *const relations[] = {
	"range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree",
};

/* Functions of one value that look or act outside of their arguments. */
static const char *const outward[] = {
	"current_setting", "getenv", "nextval", "currval", "json_serialize_plan", "write_log",
	"setseed", "query", "query_table", "stats", "vector_type", "current_query",
	"current_schemas", "in_search_path", "format_type", "get_block_size",
};

/* Of a plain statement: functions, aggregates, windows; and classes of expressions. */
static const char *const plain_functions[] = {
	"+", "-", "*", "/", "//", "%", "~~", "!~~", "~~*", "!~~*", "lower", "upper", "length",
	"year", "month", "day", "count", "count_star", "sum", "avg", "mean", "min", "max", "median",
	"first", "last", "any_value", "arg_min", "arg_max", "stddev", "stddev_samp", "stddev_pop",
	"variance", "var_samp", "var_pop", "row_number", "rank", "dense_rank", "percent_rank",
	"cume_dist", "ntile", "lag", "lead", "first_value", "last_value", "nth_value",
};
static const char *const plain_classes[] = {
	"COLUMN_REF", "CONSTANT", "COMPARISON", "CONJUNCTION", "FUNCTION", "WINDOW", "CAST", "CASE",
	"OPERATOR", "BETWEEN", "SUBQUERY", "STAR",
};

static const char *const own_prefixes[] = {
	"duckdb_", "pg_", "sqlite_", "pragma_", "freehold_", "__internal_",
};
static const char *const own_schemas[] = {"information_schema", "pg_catalog"};

static bool is(struct text text, const char *name)
{
	return strlen(name) == text.len && strncasecmp(text.at, name, text.len) == 0;
}

static bool among(struct text text, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (is(text, names[i]))
			return true;
	return false;
}

static bool is_own(struct text name)
{
	for (size_t i = 0; i < ARRAY_LEN(own_prefixes); i++) {
		size_t len = strlen(own_prefixes[i]);
		if (name.len > len && strncasecmp(name.at, own_prefixes[i], len) == 0)
			return true;
	}
	return false;
}

static int refuse(const char *what, struct text name, const char *why, struct err *err)
{
	int len = (int)(name.len < SHOWN_MAX ? name.len : SHOWN_MAX);
	return err_set(err, E_DENIED, "sql: %s \"%.*s\" %s; SQL reads the datasets that it was "
	               "given only", what, len, name.at, why);
}

static bool is_input(const struct scan *scan, struct text schema, struct text name)
{
	for (size_t i = 0; i < value_len(scan->tables); i++) {
		const struct value *table = value_at(scan->tables, i);
		const char *domain = value_get_str(table, "domain");
		const char *other = value_get_str(table, "name");
		if (domain && other && is(name, other) && (schema.len == 0 || is(schema, domain)))
			return true;
	}
	return false;
}

static bool looks_like_path(struct text name)
{
	for (size_t i = 0; i < name.len; i++)
		if (strchr("/\\.:*?", name.at[i]))
			return true;
	return false;
}

static int check_table(const struct scan *scan, const struct frame *frame, struct err *err)
{
	struct text name = frame->members[TABLE], schema = frame->members[SCHEMA];
	struct text catalog = frame->members[CATALOG];
	if (catalog.len > 0 && !is(catalog, "memory"))
		return refuse("catalog", catalog, "is none of a task's", err);
	if (is_input(scan, schema, name))
		return 0;
	if (among(schema, own_schemas, ARRAY_LEN(own_schemas)))
		return refuse("schema", schema, "is the engine's own", err);
	if (is_own(name))
		return refuse("table", name, "is the engine's own", err);
	if (looks_like_path(name))
		return refuse("table", name, "is a path and no dataset", err);
	return 0;
}

static int check_function(const struct scan *scan, const struct frame *frame, struct err *err)
{
	struct text name = frame->members[FUNCTION];
	const struct frame *parent = scan->depth > 1 ? frame - 1 : NULL;
	bool relation = parent && is(frame->key, "function") &&
	                is(parent->members[TYPE], "TABLE_FUNCTION");
	if (relation && !among(name, relations, ARRAY_LEN(relations)))
		return refuse("table function", name,
		              "cannot read files by disabled access, or looks elsewhere", err);
	if (among(name, outward, ARRAY_LEN(outward)))
		return refuse("function", name, "is disabled", err);
	if (is_own(name) && !is(name, "pg_typeof"))
		return refuse("function", name, "is the engine's own", err);
	return 0;
}

/* In lower case, as the engine compares names. False: none that a dataset may have. */
static bool plain_name(struct text name, char out[NAME_ROOM])
{
	size_t len = name.len < NAME_ROOM ? name.len : 0;
	for (size_t i = 0; i < len; i++)
		out[i] = (char)tolower((unsigned char)name.at[i]);
	out[len] = 0;
	return name_check("", out, NULL) == 0;
}

static bool same_text(const struct value *map, const char *member, const char *text)
{
	const char *other = value_get_str(map, member);
	return other && strcmp(other, text) == 0;
}

static bool has_table(const struct value *tables, const char *domain, const char *name)
{
	for (size_t i = 0; i < value_len(tables); i++)
		if (same_text(value_at(tables, i), "domain", domain) &&
		    same_text(value_at(tables, i), "name", name))
			return true;
	return false;
}

static void collect_table(const struct scan *scan, const struct frame *frame)
{
	char domain[NAME_ROOM], name[NAME_ROOM];
	bool fits = plain_name(frame->members[SCHEMA], domain) || frame->members[SCHEMA].len == 0;
	if (!plain_name(frame->members[TABLE], name) || !fits ||
	    value_len(scan->found) == TABLES_MOST || has_table(scan->found, domain, name))
		return;
	struct value *table = value_map(scan->arena);
	value_set_str(table, "domain", domain);
	value_set_str(table, "name", name);
	value_add(scan->found, table);
}

static void collect(struct scan *scan, const struct frame *frame)
{
	char name[NAME_ROOM];
	scan->statements += scan->depth == STATEMENT_DEPTH && is(frame->key, "statements");
	if (is(frame->members[TYPE], "BASE_TABLE"))
		collect_table(scan, frame);
	else if (is(frame->key, "map") && plain_name(frame->members[KEY], name))
		value_add_str(scan->defined, name);
}

static bool is_plain(const struct frame *frame)
{
	struct text class = frame->members[CLASS], function = frame->members[FUNCTION];
	return (!class.at || among(class, plain_classes, ARRAY_LEN(plain_classes))) &&
	       (!function.at || among(function, plain_functions, ARRAY_LEN(plain_functions)));
}

static int check_object(struct scan *scan, struct err *err)
{
	const struct frame *frame = &scan->frames[scan->depth - 1];
	struct text type = frame->members[TYPE];
	if (scan->plain)
		*scan->plain = *scan->plain && is_plain(frame);
	if (scan->found)
		collect(scan, frame);
	if (scan->plain || scan->found)
		return 0;
	if (is(type, "BASE_TABLE"))
		return check_table(scan, frame, err);
	if (is(type, "SHOW_REF") && frame->members[TABLE].len > 0)
		return refuse("SHOW of", frame->members[TABLE], "is disabled", err);
	if (frame->members[FUNCTION].at)
		return check_function(scan, frame, err);
	return 0;
}

/* --- the scanning --- */

static int no_tree(struct err *err)
{
	return err_set(err, E_INVALID, "sql: it cannot be taken apart to be checked");
}

static int open_one(struct scan *scan, bool list, struct err *err)
{
	if (scan->depth == DEPTH_MAX)
		return err_set(err, E_INVALID, "sql: it is nested deeper than %d levels",
		               DEPTH_MAX);
	if (scan->depth == scan->room) {
		size_t room = scan->room ? scan->room * 2 : DEPTH_FIRST;
		struct frame *frames = realloc(scan->frames, room * sizeof *frames);
		if (!frames)
			return err_set(err, E_NOMEM, "no memory to check the SQL");
		scan->frames = frames;
		scan->room = room;
	}
	scan->frames[scan->depth++] = (struct frame){.key = scan->key, .list = list};
	scan->at++;
	return 0;
}

static int close_one(struct scan *scan, struct err *err)
{
	if (scan->depth == 0 || scan->frames[scan->depth - 1].list != (*scan->at == ']'))
		return no_tree(err);
	if (!scan->frames[scan->depth - 1].list)
		TRY(check_object(scan, err));
	scan->depth--;
	scan->at++;
	return 0;
}

/* A string's bytes as they stand: names that hold escapes are none that rules know. */
static int take_string(struct scan *scan, struct text *ret_text, struct err *err)
{
	const char *from = ++scan->at;
	while (*scan->at && *scan->at != '"')
		scan->at += scan->at[0] == '\\' && scan->at[1] ? 2 : 1;
	if (!*scan->at)
		return no_tree(err);
	*ret_text = (struct text){from, (size_t)(scan->at - from)};
	scan->at++;
	return 0;
}

static void note(struct scan *scan, struct text value)
{
	struct frame *frame = &scan->frames[scan->depth - 1];
	for (int i = 0; i < MEMBERS && !frame->list; i++)
		for (int k = 0; k < 2 && member_names[i][k]; k++)
			if (is(scan->key, member_names[i][k]))
				frame->members[i] = value;
}

static int on_string(struct scan *scan, struct err *err)
{
	struct text text = {NULL, 0};
	TRY(take_string(scan, &text, err));
	if (scan->depth == 0)
		return no_tree(err);
	if (*scan->at == ':' && !scan->frames[scan->depth - 1].list) {
		scan->key = text;
		scan->at++;
	} else {
		note(scan, text);
	}
	return 0;
}

static int step(struct scan *scan, struct err *err)
{
	switch (*scan->at) {
	case '{':
	case '[':
		return open_one(scan, *scan->at == '[', err);
	case '}':
	case ']':
		TRY(close_one(scan, err));
		if (scan->depth > 0)    /* the next in a list is called as this one */
			scan->key = scan->frames[scan->depth - 1].key;
		return 0;
	case '"':
		return on_string(scan, err);
	default:
		scan->at++;
		return 0;
	}
}

static int scan_all(struct scan *scan, struct err *err)
{
	int rc = *scan->at == '{' ? 0 : no_tree(err);
	while (rc == 0 && *scan->at)
		rc = step(scan, err);
	if (rc == 0 && scan->depth > 0)
		rc = no_tree(err);
	free(scan->frames);
	return rc;
}

int sql_rules_check(const char *tree, const struct value *tables, struct err *err)
{
	struct scan scan = {.at = tree, .tables = tables};
	return scan_all(&scan, err);
}

bool sql_rules_plain(const char *tree)
{
	bool plain = true;
	struct scan scan = {.at = tree, .plain = &plain};
	return scan_all(&scan, NULL) == 0 && plain;
}

static bool is_defined(const struct value *defined, const struct value *table)
{
	for (size_t i = 0; i < value_len(defined) && same_text(table, "domain", ""); i++)
		if (same_text(table, "name", value_as_str(value_at(defined, i))))
			return true;
	return false;
}

int sql_rules_names(struct arena *arena, const char *tree, struct value **ret_tables,
                    struct err *err)
{
	struct scan scan = {.at = tree, .arena = arena, .found = value_list(arena),
	                    .defined = value_list(arena)};
	TRY(value_check(scan.found, err));
	TRY(value_check(scan.defined, err));
	TRY(scan_all(&scan, err));
	TRY(value_check(scan.found, err));
	TRY(value_check(scan.defined, err));
	if (scan.statements != 1)
		return err_set(err, E_INVALID, "sql must be one SELECT statement, it holds %zu "
		               "statements", scan.statements);
	struct value *tables = value_list(arena);
	for (size_t i = 0; i < value_len(scan.found); i++)
		if (!is_defined(scan.defined, value_at(scan.found, i)))
			value_add(tables, value_copy(arena, value_at(scan.found, i)));
	TRY(value_check(tables, err));
	*ret_tables = tables;
	return 0;
}
