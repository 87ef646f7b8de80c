/* duck.c - DuckDB behind duck.h.
 * Invariant: after duck_lock no statement can open a file that was not listed, load code or change
 * a setting; what is run before it is ours alone. */
#include "common/defs.h"
#include "worker/duck.h"
#include "common/json.h"
#include "worker/duck_error.h"

#include <duckdb.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SQL_BYTES_MAX = 8 * 1024 * 1024,
	ROW_ARENA_MAX = 64 * 1024 * 1024,
	NAMES_MAX = 64,
	CELL_DEPTH_MAX = 4
};

struct duck_named {
	int fd;
	char *name;
};

struct duck {
	duckdb_database database;
	duckdb_connection connection;
	struct duck_named names[NAMES_MAX];
	size_t name_count;
};

static const char *named(const void *context, int fd)
{
	const struct duck *duck = context;
	for (size_t i = 0; i < duck->name_count; i++)
		if (duck->names[i].fd == fd)
			return duck->names[i].name;
	return NULL;
}

static enum duck_blame blame_of(duckdb_error_type type)
{
	switch (type) {
	case DUCKDB_ERROR_CATALOG:
	case DUCKDB_ERROR_PARSER:
	case DUCKDB_ERROR_PLANNER:
	case DUCKDB_ERROR_SYNTAX:
	case DUCKDB_ERROR_BINDER:
	case DUCKDB_ERROR_NOT_IMPLEMENTED:
	case DUCKDB_ERROR_PARAMETER_NOT_RESOLVED:
	case DUCKDB_ERROR_PARAMETER_NOT_ALLOWED:
	case DUCKDB_ERROR_SETTINGS:
	case DUCKDB_ERROR_MISSING_EXTENSION:
	case DUCKDB_ERROR_AUTOLOAD:
		return BLAME_SQL;
	case DUCKDB_ERROR_PERMISSION:
		return BLAME_ACCESS;
	case DUCKDB_ERROR_OUT_OF_MEMORY:
		return BLAME_MEMORY;
	case DUCKDB_ERROR_IO:
		return BLAME_IO;
	case DUCKDB_ERROR_INTERRUPT:
		return BLAME_INTERRUPT;
	case DUCKDB_ERROR_FATAL:
	case DUCKDB_ERROR_INTERNAL:
	case DUCKDB_ERROR_NULL_POINTER:
		return BLAME_ENGINE;
	default:
		return BLAME_DATA;
	}
}

static int result_failed(struct duck *duck, duckdb_result *result, struct err *err)
{
	int code = duck_error_tell(blame_of(duckdb_result_error_type(result)),
	                           duckdb_result_error(result), named, duck, err);
	duckdb_destroy_result(result);
	return code;
}

/* Statements are prepared apart from running: what fails here is in the author's text. */
static int prepare_failed(struct duck *duck, const char *message, struct err *err)
{
	enum duck_blame blame = BLAME_SQL;
	if (message && strncmp(message, "Permission Error", 16) == 0)
		blame = BLAME_ACCESS;
	else if (message && strncmp(message, "IO Error", 8) == 0)
		blame = BLAME_IO;
	else if (message && (strncmp(message, "Conversion", 10) == 0 ||
	                     strncmp(message, "Invalid Input", 13) == 0 ||
	                     strncmp(message, "Out of Range", 12) == 0))
		blame = BLAME_DATA;
	return duck_error_tell(blame, message, named, duck, err);
}

int duck_exec(struct duck *duck, const char *sql, struct err *err)
{
	duckdb_result result;
	if (duckdb_query(duck->connection, sql, &result) != DuckDBSuccess)
		return result_failed(duck, &result, err);
	duckdb_destroy_result(&result);
	return 0;
}

static int config_set(duckdb_config config, struct err *err)
{
	static const char *const settings[][2] = {
		{"autoinstall_known_extensions", "false"},
		{"autoload_known_extensions", "false"},
		{"allow_community_extensions", "false"},
		{"allow_persistent_secrets", "false"},
		{"threads", "1"},
		{"enable_external_file_cache", "false"},
	};
	for (size_t i = 0; i < ARRAY_LEN(settings); i++)
		if (duckdb_set_config(config, settings[i][0], settings[i][1]) != DuckDBSuccess)
			return err_set(err, E_INTERNAL, "this DuckDB has no setting %s",
			               settings[i][0]);
	return 0;
}

static int open_database(struct duck *duck, struct err *err)
{
	duckdb_config config;
	if (duckdb_create_config(&config) != DuckDBSuccess)
		return err_set(err, E_NOMEM, "no memory for the engine");
	int rc = config_set(config, err);
	char *message = NULL;
	if (rc == 0 && duckdb_open_ext(NULL, &duck->database, config, &message) != DuckDBSuccess)
		rc = err_set(err, E_INTERNAL, "the engine does not open: %s",
		             message ? message : "");
	duckdb_free(message);
	duckdb_destroy_config(&config);
	return rc;
}

int duck_new(struct duck **ret_duck, struct err *err)
{
	AUTO(duck) *duck = calloc(1, sizeof *duck);
	if (!duck)
		return err_set(err, E_NOMEM, "no memory for the engine");
	TRY(open_database(duck, err));
	if (duckdb_connect(duck->database, &duck->connection) != DuckDBSuccess)
		return err_set(err, E_INTERNAL, "the engine does not connect");
	/* The schema and the view are for nothing but having been made once: a waiting executor
	 * then has the parser and the catalog in memory when its job comes. */
	TRY(duck_exec(duck,
	              "SET TimeZone = 'UTC'; SET temp_directory = ''; "
	              "SET memory_limit = '1GB'; "
	              "SET enable_progress_bar = true; SET enable_progress_bar_print = false; "
	              "CREATE SCHEMA freehold_warm; CREATE VIEW freehold_warm.v AS SELECT 1 AS a; "
	              "DROP SCHEMA freehold_warm CASCADE",
	              err));
	*ret_duck = MOVE(duck);
	return 0;
}

void duck_free(struct duck *duck)
{
	if (!duck)
		return;
	if (duck->connection)
		duckdb_disconnect(&duck->connection);
	if (duck->database)
		duckdb_close(&duck->database);
	for (size_t i = 0; i < duck->name_count; i++)
		free(duck->names[i].name);
	free(duck);
}

int duck_name(struct duck *duck, int fd, const char *name, struct err *err)
{
	if (duck->name_count == NAMES_MAX)
		return err_set(err, E_TOO_LARGE, "at most %d descriptors have names", NAMES_MAX);
	char *copy = strdup(name);
	if (!copy)
		return err_set(err, E_NOMEM, "no memory for a name");
	duck->names[duck->name_count++] = (struct duck_named){fd, copy};
	return 0;
}

/* The engine's share: its heap is not all of the process. */
static uint64_t engine_bytes(uint64_t process_bytes)
{
	uint64_t share = process_bytes / 5 * 4;
	return share > 32 * MIB ? share : 32 * MIB;
}

/* What can still be set anew. */
static void put_settings(struct buf *sql, const struct duck_limits *limits, const int *fds,
                         size_t fd_count)
{
	buf_printf(sql,
	           "SET threads = %d; SET memory_limit = '%" PRIu64 "B'; SET allowed_paths = [",
	           limits->threads > 0 ? limits->threads : 1, engine_bytes(limits->memory_bytes));
	for (size_t i = 0; i < fd_count; i++) {
		buf_puts(sql, i ? ", " : "");
		duck_put_fd(sql, fds[i]);
	}
	buf_puts(sql, "]; ");
}

static int exec_buf(struct duck *duck, struct buf *sql, struct err *err)
{
	TRY(buf_check(sql, err));
	return duck_exec(duck, (const char *)sql->data, err);
}

int duck_prepare(struct duck *duck, struct err *err)
{
	static const struct duck_limits usual = {.threads = 2, .memory_bytes = 1024 * MIB};
	AUTO_BUF sql;
	buf_init(&sql, SQL_BYTES_MAX);
	put_settings(&sql, &usual, NULL, 0);
	buf_puts(&sql, "SELECT 1");          /* the planner, too */
	return exec_buf(duck, &sql, err);
}

int duck_lock(struct duck *duck, const struct duck_limits *limits, const int *fds, size_t fd_count,
              struct err *err)
{
	AUTO_BUF sql;
	buf_init(&sql, SQL_BYTES_MAX);
	put_settings(&sql, limits, fds, fd_count);
	buf_puts(&sql, "SET enable_external_access = false; ");
	if (limits->rows_hidden)
		buf_puts(&sql, "SET disabled_optimizers = 'statistics_propagation,"
		               "filter_pullup'; ");
	buf_puts(&sql, "SET lock_configuration = true");
	return exec_buf(duck, &sql, err);
}

/* Functions. */

static const struct { const char *sql; duckdb_type type; } function_types[] = {
	{"INTEGER", DUCKDB_TYPE_INTEGER}, {"BIGINT", DUCKDB_TYPE_BIGINT},
	{"DATE", DUCKDB_TYPE_DATE}, {"TIMESTAMP", DUCKDB_TYPE_TIMESTAMP},
	{"VARCHAR", DUCKDB_TYPE_VARCHAR}, {"BLOB", DUCKDB_TYPE_BLOB},
	{"BOOLEAN", DUCKDB_TYPE_BOOLEAN}, {"DOUBLE", DUCKDB_TYPE_DOUBLE},
};

/* Bytes a value takes in a vector; a text's are its head's. */
static size_t width_of(duckdb_vector vector)
{
	duckdb_logical_type type = duckdb_vector_get_column_type(vector);
	duckdb_type id = duckdb_get_type_id(type);
	if (id == DUCKDB_TYPE_DECIMAL)
		id = duckdb_decimal_internal_type(type);
	duckdb_destroy_logical_type(&type);
	switch (id) {
	case DUCKDB_TYPE_BOOLEAN:
		return 1;
	case DUCKDB_TYPE_SMALLINT:
		return 2;
	case DUCKDB_TYPE_INTEGER:
	case DUCKDB_TYPE_DATE:
		return 4;
	case DUCKDB_TYPE_BIGINT:
	case DUCKDB_TYPE_TIMESTAMP:
	case DUCKDB_TYPE_DOUBLE:
		return 8;
	default:
		return sizeof(duckdb_string_t);
	}
}

static bool is_here(const uint64_t *valid, idx_t row)
{
	return !valid || (valid[row / 64] >> row % 64 & 1);
}

static void call_numbers(const struct duck_function *function, duckdb_vector from,
                         const uint64_t *valid, idx_t rows, duckdb_vector to)
{
	const void *in = duckdb_vector_get_data(from);
	void *out = duckdb_vector_get_data(to);
	bool wide = width_of(from) == 8;
	for (idx_t i = 0; i < rows; i++) {
		if (!is_here(valid, i))
			continue;
		if (wide)
			((int64_t *)out)[i] = function->number(function->context,
			                                       ((const int64_t *)in)[i]);
		else
			((int32_t *)out)[i] = (int32_t)function->number(
				function->context, ((const int32_t *)in)[i]);
	}
}

static int call_bytes(const struct duck_function *function, duckdb_vector from,
                      const uint64_t *valid, idx_t rows, duckdb_vector to, struct err *err)
{
	duckdb_string_t *in = duckdb_vector_get_data(from);
	AUTO_BUF out;
	buf_init(&out, SQL_BYTES_MAX * 16);
	for (idx_t i = 0; i < rows; i++) {
		if (!is_here(valid, i))
			continue;
		buf_clear(&out);
		TRY(function->bytes(function->context, duckdb_string_t_data(&in[i]),
		                    duckdb_string_t_length(in[i]), &out, err));
		duckdb_vector_assign_string_element_len(to, i, (const char *)out.data, out.len);
	}
	return 0;
}

static bool is_text(duckdb_vector vector)
{
	duckdb_logical_type type = duckdb_vector_get_column_type(vector);
	duckdb_type id = duckdb_get_type_id(type);
	duckdb_destroy_logical_type(&type);
	return id == DUCKDB_TYPE_VARCHAR || id == DUCKDB_TYPE_BLOB;
}

/* A short text lies in its head. */
static void write_anew(duckdb_vector from, const uint64_t *valid, idx_t rows, duckdb_vector to)
{
	memcpy(duckdb_vector_get_data(to), duckdb_vector_get_data(from), rows * width_of(from));
	if (!is_text(from))
		return;
	duckdb_string_t *in = duckdb_vector_get_data(from);
	for (idx_t i = 0; i < rows; i++)
		if (is_here(valid, i) && !duckdb_string_is_inlined(in[i]))
			duckdb_vector_assign_string_element_len(to, i, duckdb_string_t_data(&in[i]),
			                                        duckdb_string_t_length(in[i]));
}

static void call_function(duckdb_function_info info, duckdb_data_chunk chunk, duckdb_vector to)
{
	const struct duck_function *function = duckdb_scalar_function_get_extra_info(info);
	duckdb_vector from = duckdb_data_chunk_get_vector(chunk, 0);
	uint64_t *valid = duckdb_vector_get_validity(from);
	idx_t rows = duckdb_data_chunk_get_size(chunk);
	if (valid) {
		duckdb_vector_ensure_validity_writable(to);
		memcpy(duckdb_vector_get_validity(to), valid, (rows + 63) / 64 * sizeof *valid);
	}
	if (function->number)
		call_numbers(function, from, valid, rows, to);
	else if (!function->bytes)
		write_anew(from, valid, rows, to);
	else if (call_bytes(function, from, valid, rows, to, NULL) < 0)
		duckdb_scalar_function_set_error(info, "no memory for a value");
}

static int add_function(struct duck *duck, const struct duck_function *function,
                        duckdb_logical_type type, struct err *err)
{
	duckdb_scalar_function made = duckdb_create_scalar_function();
	duckdb_scalar_function_set_name(made, function->name);
	duckdb_scalar_function_add_parameter(made, type);
	duckdb_scalar_function_set_return_type(made, type);
	duckdb_scalar_function_set_extra_info(made, (void *)(uintptr_t)function, NULL);
	duckdb_scalar_function_set_function(made, call_function);
	if (!function->number && !function->bytes)
		duckdb_scalar_function_set_volatile(made);
	duckdb_state state = duckdb_register_scalar_function(duck->connection, made);
	duckdb_destroy_scalar_function(&made);
	return state == DuckDBSuccess ? 0 : err_set(err, E_INTERNAL, "the engine does not take "
	                                            "the function %s", function->name);
}

static duckdb_logical_type type_by_name(const char *sql)
{
	unsigned precision, scale;
	if (sscanf(sql, "DECIMAL(%2u,%2u)", &precision, &scale) == 2)
		return duckdb_create_decimal_type((uint8_t)precision, (uint8_t)scale);
	for (size_t i = 0; i < ARRAY_LEN(function_types); i++)
		if (strcmp(function_types[i].sql, sql) == 0)
			return duckdb_create_logical_type(function_types[i].type);
	return NULL;
}

int duck_add_function(struct duck *duck, const struct duck_function *function, struct err *err)
{
	duckdb_logical_type type = type_by_name(function->sql_type);
	if (type) {
		int rc = add_function(duck, function, type, err);
		duckdb_destroy_logical_type(&type);
		return rc;
	}
	return err_set(err, E_INTERNAL, "the function %s takes %s", function->name,
	               function->sql_type);
}

/* Rows. */

static struct value *cell(struct arena *arena, duckdb_vector vector, duckdb_logical_type type,
                          idx_t row, int depth);

static struct value *cell_text(struct arena *arena, void *data, idx_t row, bool text)
{
	duckdb_string_t *string = (duckdb_string_t *)data + row;
	const char *bytes = duckdb_string_t_data(string);
	size_t len = duckdb_string_t_length(*string);
	return text ? value_strn(arena, bytes, len) : value_bin(arena, bytes, len);
}

static struct value *cell_number(struct arena *arena, duckdb_type id, const void *data, idx_t row)
{
	switch (id) {
	case DUCKDB_TYPE_BOOLEAN:
		return value_bool(arena, ((const bool *)data)[row]);
	case DUCKDB_TYPE_INTEGER:
	case DUCKDB_TYPE_DATE:
		return value_int(arena, ((const int32_t *)data)[row]);
	case DUCKDB_TYPE_UINTEGER:
		return value_int(arena, ((const uint32_t *)data)[row]);
	case DUCKDB_TYPE_BIGINT:
	case DUCKDB_TYPE_TIMESTAMP:
	case DUCKDB_TYPE_TIMESTAMP_TZ:
	case DUCKDB_TYPE_UBIGINT:
		return value_int(arena, ((const int64_t *)data)[row]);
	case DUCKDB_TYPE_FLOAT:
		return value_real(arena, (double)((const float *)data)[row]);
	case DUCKDB_TYPE_DOUBLE:
		return value_real(arena, ((const double *)data)[row]);
	default:
		return value_null(arena);
	}
}

static struct value *cell_list(struct arena *arena, duckdb_vector vector, duckdb_logical_type type,
                               idx_t row, int depth)
{
	const duckdb_list_entry *entry = (duckdb_list_entry *)duckdb_vector_get_data(vector) + row;
	duckdb_vector child = duckdb_list_vector_get_child(vector);
	duckdb_logical_type child_type = duckdb_list_type_child_type(type);
	struct value *list = value_list(arena);
	for (idx_t i = 0; i < entry->length; i++)
		value_add(list, cell(arena, child, child_type, entry->offset + i, depth + 1));
	duckdb_destroy_logical_type(&child_type);
	return list;
}

/* A MAP's vector is a list of structs of key and value. */
static struct value *cell_map(struct arena *arena, duckdb_vector vector, duckdb_logical_type type,
                              idx_t row, int depth)
{
	const duckdb_list_entry *entry = (duckdb_list_entry *)duckdb_vector_get_data(vector) + row;
	duckdb_vector pairs = duckdb_list_vector_get_child(vector);
	duckdb_vector keys = duckdb_struct_vector_get_child(pairs, 0);
	duckdb_vector values = duckdb_struct_vector_get_child(pairs, 1);
	duckdb_logical_type key_type = duckdb_map_type_key_type(type);
	duckdb_logical_type value_type = duckdb_map_type_value_type(type);
	struct value *map = value_map(arena);
	for (idx_t i = 0; i < entry->length; i++) {
		const char *key =
			value_as_str(cell(arena, keys, key_type, entry->offset + i, depth + 1));
		value_set(map, key ? key : "",
		          cell(arena, values, value_type, entry->offset + i, depth + 1));
	}
	duckdb_destroy_logical_type(&key_type);
	duckdb_destroy_logical_type(&value_type);
	return map;
}

static struct value *cell(struct arena *arena, duckdb_vector vector, duckdb_logical_type type,
                          idx_t row, int depth)
{
	uint64_t *valid = duckdb_vector_get_validity(vector);
	if (depth > CELL_DEPTH_MAX || (valid && !duckdb_validity_row_is_valid(valid, row)))
		return value_null(arena);
	duckdb_type id = duckdb_get_type_id(type);
	switch (id) {
	case DUCKDB_TYPE_VARCHAR:
		return cell_text(arena, duckdb_vector_get_data(vector), row, true);
	case DUCKDB_TYPE_BLOB:
		return cell_text(arena, duckdb_vector_get_data(vector), row, false);
	case DUCKDB_TYPE_LIST:
		return cell_list(arena, vector, type, row, depth);
	case DUCKDB_TYPE_MAP:
		return cell_map(arena, vector, type, row, depth);
	default:
		return cell_number(arena, id, duckdb_vector_get_data(vector), row);
	}
}

static int visit_chunk(duckdb_data_chunk chunk, struct arena *arena, duck_row_fn *visit,
                       void *context, struct err *err)
{
	idx_t rows = duckdb_data_chunk_get_size(chunk),
	      columns = duckdb_data_chunk_get_column_count(chunk);
	for (idx_t row = 0; row < rows; row++) {
		arena_reset(arena);
		struct value *list = value_list(arena);
		for (idx_t column = 0; column < columns; column++) {
			duckdb_vector vector = duckdb_data_chunk_get_vector(chunk, column);
			duckdb_logical_type type = duckdb_vector_get_column_type(vector);
			value_add(list, cell(arena, vector, type, row, 0));
			duckdb_destroy_logical_type(&type);
		}
		TRY(value_check(list, err));
		TRY(visit(context, list, err));
	}
	return 0;
}

static int visit_result(struct duck *duck, duckdb_result *result, duck_row_fn *visit, void *context,
                        struct err *err)
{
	AUTO(arena) *arena = NULL;
	TRY(arena_new(ROW_ARENA_MAX, &arena, err));
	for (;;) {
		duckdb_data_chunk chunk = duckdb_fetch_chunk(*result);
		if (!chunk)
			break;
		int rc = visit_chunk(chunk, arena, visit, context, err);
		duckdb_destroy_data_chunk(&chunk);
		TRY(rc);
	}
	const char *message = duckdb_result_error(result);
	if (message && *message)
		return duck_error_tell(blame_of(duckdb_result_error_type(result)), message, named,
		                       duck, err);
	return 0;
}

static int run_streaming(struct duck *duck, duckdb_prepared_statement statement,
                         duckdb_result *ret_result, struct err *err)
{
	duckdb_pending_result pending = NULL;
	if (duckdb_pending_prepared_streaming(statement, &pending) != DuckDBSuccess) {
		int code = prepare_failed(duck, duckdb_pending_error(pending), err);
		duckdb_destroy_pending(&pending);
		return code;
	}
	duckdb_state state = duckdb_execute_pending(pending, ret_result);
	duckdb_destroy_pending(&pending);
	if (state != DuckDBSuccess)
		return result_failed(duck, ret_result, err);
	return 0;
}

int duck_rows(struct duck *duck, const char *sql, duck_row_fn *visit, void *context,
              struct err *err)
{
	duckdb_prepared_statement statement = NULL;
	if (duckdb_prepare(duck->connection, sql, &statement) != DuckDBSuccess) {
		int code = prepare_failed(duck, duckdb_prepare_error(statement), err);
		duckdb_destroy_prepare(&statement);
		return code;
	}
	duckdb_result result;
	int rc = run_streaming(duck, statement, &result, err);
	if (rc == 0) {
		rc = visit_result(duck, &result, visit, context, err);
		duckdb_destroy_result(&result);
	}
	duckdb_destroy_prepare(&statement);
	return rc;
}

struct collector {
	struct arena *arena;
	struct value *rows;
	size_t rows_max;
};

static int collect(void *context, const struct value *row, struct err *err)
{
	struct collector *collector = context;
	if (value_len(collector->rows) >= collector->rows_max)
		return err_set(err, E_TOO_LARGE, "the statement gives more than %zu rows",
		               collector->rows_max);
	value_add(collector->rows, value_copy(collector->arena, row));
	return value_check(collector->rows, err);
}

int duck_table(struct duck *duck, struct arena *arena, const char *sql, size_t rows_max,
               const struct value **ret_rows, struct err *err)
{
	struct collector collector = {arena, value_list(arena), rows_max};
	TRY(duck_rows(duck, sql, collect, &collector, err));
	TRY(value_check(collector.rows, err));
	*ret_rows = collector.rows;
	return 0;
}

static int check_extracted(struct duck *duck, duckdb_extracted_statements statements, idx_t count,
                           struct err *err)
{
	if (count != 1)
		return err_set(err, E_INVALID,
		               "sql must be one SELECT statement, it holds %" PRIu64 " statements",
		               (uint64_t)count);
	duckdb_prepared_statement statement = NULL;
	duckdb_state state =
		duckdb_prepare_extracted_statement(duck->connection, statements, 0, &statement);
	int rc = 0;
	if (state != DuckDBSuccess)
		rc = prepare_failed(duck, duckdb_prepare_error(statement), err);
	else if (duckdb_prepared_statement_type(statement) != DUCKDB_STATEMENT_TYPE_SELECT)
		rc = err_set(err, E_INVALID,
		             "sql must be one SELECT statement, this is another kind of "
		             "statement; a transformation only reads its inputs");
	else if (duckdb_nparams(statement) != 0)
		rc = err_set(err, E_INVALID,
		             "sql must not hold parameters ($1 or ?), it holds %" PRIu64,
		             (uint64_t)duckdb_nparams(statement));
	duckdb_destroy_prepare(&statement);
	return rc;
}

int duck_check_select(struct duck *duck, const char *sql, struct err *err)
{
	duckdb_extracted_statements statements = NULL;
	idx_t count = duckdb_extract_statements(duck->connection, sql, &statements);
	const char *message = statements ? duckdb_extract_statements_error(statements) : NULL;
	int rc;
	if (count == 0 && message && *message)
		rc = prepare_failed(duck, message, err);
	else
		rc = check_extracted(duck, statements, count, err);
	duckdb_destroy_extracted(&statements);
	return rc;
}

/* The tree, or the engine's object with the error: {error, error_message, position}. */
static int serialize(struct duck *duck, struct arena *arena, const char *sql, const char **ret_text,
                     bool *ret_parsed, struct err *err)
{
	AUTO_BUF ask;
	const struct value *rows;
	buf_init(&ask, SQL_BYTES_MAX);
	buf_puts(&ask, "SELECT json_serialize_sql(");
	duck_put_text(&ask, sql);
	buf_puts(&ask, ")::VARCHAR");
	TRY(buf_check(&ask, err));
	TRY(duck_table(duck, arena, (const char *)ask.data, 1, &rows, err));
	*ret_text = value_as_str(value_at(value_at(rows, 0), 0));
	*ret_parsed = *ret_text && strncmp(*ret_text, "{\"error\":false", 14) == 0;
	return 0;
}

int duck_tree(struct duck *duck, struct arena *arena, const char *sql, const char **ret_tree,
              struct err *err)
{
	const char *text = NULL;
	bool parsed = false;
	TRY(serialize(duck, arena, sql, &text, &parsed, err));
	*ret_tree = parsed ? text : NULL;
	return 0;
}

/* Where a byte of the text is, counted from 1. */
static void place_of(const char *sql, int64_t offset, int *ret_line, int *ret_column)
{
	*ret_line = *ret_column = 1;
	for (int64_t i = 0; i < offset && sql[i]; i++) {
		bool next = sql[i] == '\n';
		*ret_line += next;
		*ret_column = next ? 1 : *ret_column + 1;
	}
}

static int tell_parse(struct duck *duck, struct arena *arena, const char *sql, const char *text,
                      struct err *err)
{
	struct value *told = NULL;
	int line, column;
	if (!text || json_parse(arena, text, strlen(text), &told, NULL) < 0)
		return err_set(err, E_INVALID, "sql must be one SELECT statement");
	const char *kind = value_get_str(told, "error_type");
	const char *message = value_get_str(told, "error_message");
	const char *position = value_get_str(told, "position");
	if (!message || (kind && strcmp(kind, "not implemented") == 0))
		return err_set(err, E_INVALID, "sql must be one SELECT statement");
	(void)prepare_failed(duck, message, err);
	if (!position || !err)
		return E_INVALID;
	place_of(sql, strtoll(position, NULL, 10), &line, &column);
	struct err said = *err;
	return err_set(err, E_INVALID, "sql: line %d, column %d: %s", line, column, said.text);
}

int duck_parse(struct duck *duck, struct arena *arena, const char *sql, const char **ret_tree,
               struct err *err)
{
	const char *text = NULL;
	bool parsed = false;
	TRY(serialize(duck, arena, sql, &text, &parsed, err));
	if (!parsed)
		return tell_parse(duck, arena, sql, text, err);
	*ret_tree = text;
	return 0;
}

int duck_percent(struct duck *duck)
{
	double percent = duckdb_query_progress(duck->connection).percentage;
	return percent < 0 || percent > 100 ? -1 : (int)percent;
}

/* SQL text. */

static void put_quoted(struct buf *sql, char quote, const char *text)
{
	buf_putc(sql, quote);
	for (; *text; text++) {
		if (*text == quote)
			buf_putc(sql, quote);
		buf_putc(sql, *text);
	}
	buf_putc(sql, quote);
}

void duck_put_name(struct buf *sql, const char *name)
{
	put_quoted(sql, '"', name);
}

void duck_put_text(struct buf *sql, const char *text)
{
	put_quoted(sql, '\'', text);
}

void duck_put_fd(struct buf *sql, int fd)
{
	buf_printf(sql, "'/proc/self/fd/%d'", fd);
}
