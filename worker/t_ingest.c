/* t_ingest.c - a file into a dataset: every row is either in the dataset or counted and kept aside.
 */
#include "common/defs.h"
#include "worker/connector.h"
#include "worker/duck.h"
#include "worker/ingest.h"
#include "worker/packing.h"
#include "worker/run_impl.h"
#include "worker/shop.h"
#include "api/field.h"
#include "api/hosts.h"

#include <inttypes.h>
#include <string.h>

enum { NAMES_MAX = 200, FIRST_MAX = 5 };

/* --- agent --- */

/* A URL's parameters may be a secret, and its ending says nothing: executors need neither them nor
 * the list of hosts. */
static int hide_secrets(struct run *run, const char *connector, struct err *err)
{
	struct value *work = value_get_mut(run->job, "work");
	struct host_target target;
	char shown[HOST_URL_MAX];
	value_remove(work, "egress");
	if (strcmp(connector, "http") != 0)
		return 0;
	TRY(host_target_parse(value_get_str(work, "path"), &target, err));
	host_target_print(&target, shown);
	value_set_str(work, "path", shown);
	return value_check(work, err);
}

static int ingest_open(struct run *run, struct err *err)
{
	const struct value *work = run->grant->work;
	const char *connector = value_get_str(work, "connector");
	connector_open_fn *open = connector_by_name(connector);
	if (!open)
		return err_set(err, E_INVALID, "connector: this worker has no connector \"%s\"",
		               connector ? connector : "");
	int fd = -1;
	int64_t bytes = 0;
	const struct connector_call call = { run->runner, run->grant->tenant, work,
		                             run->grant->limits.deadline_ms, &run->attempt->stop };
	attempt_progress(run->attempt, "opening", 0, 0, -1);
	TRY(open(&call, &fd, &bytes, err));
	TRY(run_add_fd(run, "source", fd, err));
	TRY(hide_secrets(run, connector, err));
	value_set_int(run->job, "sourceBytes", bytes);
	run->usage.bytes_read = bytes;
	const struct value *schema = run->grant->outputs[0].schema;
	if (schema)
		value_set(run->job, "schema", value_copy(run->arena, schema));
	TRY(run_add_outlet(run, &run->data, "out", "data-0.parquet", err));
	return run_add_outlet(run, &run->rejects, "rejects", "rejects.parquet", err);
}

static int ingest_seal(struct run *run, struct err *err)
{
	const char *mode = value_get_str(run->grant->work, "mode");
	return run_seal_output(run, mode && strcmp(mode, "replace") == 0, err);
}

/* --- executor --- */

const struct value *ingest_column(const struct value *schema, const char *name)
{
	for (size_t i = 0; name && i < value_len(schema); i++) {
		const char *other = value_get_str(value_at(schema, i), "name");
		if (other && strcmp(other, name) == 0)
			return value_at(schema, i);
	}
	return NULL;
}

static void put_names(struct buf *out, const struct value *schema)
{
	for (size_t i = 0; i < value_len(schema) && out->len < NAMES_MAX; i++)
		buf_printf(out, "%s%s", i ? ", " : "", value_get_str(value_at(schema, i), "name"));
}

int ingest_check_names(const struct ingest *ingest, struct err *err)
{
	for (size_t i = 0; i < value_len(ingest->schema); i++) {
		const char *name = value_get_str(value_at(ingest->schema, i), "name");
		if (ingest_column(ingest->found, name))
			continue;
		AUTO_BUF expected, found;
		buf_init(&expected, 1024);
		buf_init(&found, 1024);
		put_names(&expected, ingest->schema);
		put_names(&found, ingest->found);
		TRY(buf_check(&expected, err));
		TRY(buf_check(&found, err));
		return err_set(
			err, E_INPUT, "path \"%s\": has no column \"%s\"; expected %s; found %s",
			ingest->path, name, (const char *)expected.data, (const char *)found.data);
	}
	return 0;
}

static const char *compression_of(const struct value *work, const char *path)
{
	const char *said = value_get_str(work, "compression");
	const char *dot = strrchr(path, '.');
	if (said)
		return said;
	if (dot && strcmp(dot, ".gz") == 0)
		return "gzip";
	return dot && (strcmp(dot, ".zst") == 0 || strcmp(dot, ".zstd") == 0) ? "zstd" : "none";
}

/* True for a bad row. Written so that it is never NULL. */
static int put_bad(const struct ingest *ingest, const struct ingest_format *format, struct buf *sql,
                   struct err *err)
{
	buf_printf(sql, "(%s", format->whole ? format->whole : "false");
	for (size_t i = 0; i < value_len(ingest->schema); i++) {
		const struct value *column = value_at(ingest->schema, i);
		const char *name = value_get_str(column, "name");
		char type[32];
		if (!name || !field_type_sql(value_get_str(column, "type"), type))
			return err_set(err, E_INVALID,
			               "schema: column %zu has no name or no known type", i + 1);
		if (format->put_wrong) {
			buf_puts(sql, " OR ");
			format->put_wrong(sql, name, type);
		}
		if (value_get_bool(column, "required", false)) {
			buf_puts(sql, " OR ");
			format->put_cell(sql, name, type);
			buf_puts(sql, " IS NULL");
		}
	}
	buf_puts(sql, ")");
	return buf_check(sql, err);
}

static bool can_be_bad(const struct ingest *ingest, const struct ingest_format *format)
{
	if (format->whole || format->put_wrong)
		return true;
	for (size_t i = 0; i < value_len(ingest->schema); i++)
		if (value_get_bool(value_at(ingest->schema, i), "required", false))
			return true;
	return false;
}

/* The rows that go into the dataset. The sequence counts the others as they pass: CASE, unlike AND,
 * is never evaluated in another order. */
static int put_good_rows(const struct ingest *ingest, const struct ingest_format *format,
                         struct buf *sql, struct err *err)
{
	buf_puts(sql, "SELECT ");
	for (size_t i = 0; i < value_len(ingest->schema); i++) {
		const struct value *column = value_at(ingest->schema, i);
		char type[32];
		if (!field_type_sql(value_get_str(column, "type"), type))
			return err_set(err, E_INVALID, "schema: column %zu has no known type",
			               i + 1);
		buf_puts(sql, i ? ", " : "");
		format->put_cell(sql, value_get_str(column, "name"), type);
		buf_puts(sql, " AS ");
		duck_put_name(sql, value_get_str(column, "name"));
	}
	buf_puts(sql, " FROM ");
	TRY(format->put_source(ingest, false, sql, err));
	if (!can_be_bad(ingest, format))
		return buf_check(sql, err);
	buf_puts(sql, " WHERE CASE WHEN ");
	TRY(put_bad(ingest, format, sql, err));
	buf_puts(sql, " THEN nextval('freehold_bad') < 0 ELSE true END");
	return buf_check(sql, err);
}

/* One CASE over the columns: what is said of the first bad one. */
static void put_cases(const struct ingest *ingest, const struct ingest_format *format,
                      bool say_kind, struct buf *sql)
{
	buf_puts(sql, "CASE");
	if (format->whole)
		buf_printf(sql, " WHEN %s THEN %s", format->whole,
		           say_kind ? "'not one JSON object'" : "NULL");
	for (size_t i = 0; i < value_len(ingest->schema); i++) {
		const struct value *column = value_at(ingest->schema, i);
		const char *name = value_get_str(column, "name");
		char type[32] = "";
		(void)field_type_sql(value_get_str(column, "type"), type);
		AUTO_BUF kind;
		buf_init(&kind, 256);
		buf_printf(&kind, "not a value of type %s", value_get_str(column, "type"));
		if (format->put_wrong && buf_check(&kind, NULL) == 0) {
			buf_puts(sql, " WHEN ");
			format->put_wrong(sql, name, type);
			buf_puts(sql, " THEN ");
			duck_put_text(sql, say_kind ? (const char *)kind.data : name);
		}
		if (value_get_bool(column, "required", false)) {
			buf_puts(sql, " WHEN ");
			format->put_cell(sql, name, type);
			buf_puts(sql, " IS NULL THEN ");
			duck_put_text(sql, say_kind ? "no value" : name);
		}
	}
	buf_puts(sql, " END");
}

/* A second reading, only when bad rows were seen: which they were. */
static int list_bad(const struct ingest *ingest, const struct ingest_format *format,
                    struct err *err)
{
	AUTO_BUF sql;
	buf_init(&sql, INGEST_SQL_MAX);
	buf_puts(&sql,
	         "INSERT INTO freehold_rejects SELECT line, \"column\", kind, kind, \"row\" FROM "
	         "(SELECT line, ");
	put_cases(ingest, format, false, &sql);
	buf_puts(&sql, " AS \"column\", ");
	put_cases(ingest, format, true, &sql);
	buf_printf(&sql, " AS kind, %s AS \"row\", ", format->text);
	TRY(put_bad(ingest, format, &sql, err));
	buf_puts(&sql, " AS bad FROM ");
	TRY(format->put_source(ingest, true, &sql, err));
	buf_printf(&sql, ") WHERE bad LIMIT %d", INGEST_KEPT_MAX);
	TRY(buf_check(&sql, err));
	return duck_exec(ingest->shop->duck, (const char *)sql.data, err);
}

static int one_number(struct shop *shop, const char *sql, int64_t *ret_number, struct err *err)
{
	const struct value *rows;
	TRY(duck_table(shop->duck, shop->arena, sql, 1, &rows, err));
	*ret_number = value_as_int(value_at(value_at(rows, 0), 0), 0);
	return 0;
}

static int over_limit(const struct ingest *ingest, int64_t bad, int64_t good, struct err *err)
{
	const struct value *rows;
	struct shop *shop = ingest->shop;
	TRY(duck_table(shop->duck, shop->arena,
	               "SELECT line, first(\"column\"), first(kind) FROM "
	               "freehold_rejects GROUP BY line ORDER BY line LIMIT 5",
	               FIRST_MAX, &rows, err));
	AUTO_BUF first;
	buf_init(&first, 4096);
	for (size_t i = 0; i < value_len(rows); i++) {
		const struct value *row = value_at(rows, i);
		const char *column = value_as_str(value_at(row, 1)),
			   *kind = value_as_str(value_at(row, 2));
		buf_printf(&first, "%sline %" PRId64 " (%s%s%s)", i ? ", " : "",
		           value_as_int(value_at(row, 0), 0), column ? column : "",
		           column ? ": " : "", kind ? kind : "bad");
	}
	TRY(buf_check(&first, err));
	return err_set(err, E_INPUT,
	               "path \"%s\": %" PRId64 " of %" PRId64 " rows are bad and rejectLimit "
	               "allows %" PRId64 "; the first: %s",
	               ingest->path, bad, bad + good, ingest->reject_limit,
	               (const char *)first.data);
}

static int keep_aside(const struct ingest *ingest, int64_t bad, struct err *err)
{
	if (bad == 0)
		return 0;
	struct value *written;
	shop_phase(ingest->shop, "keeping rejects");
	TRY(shop_write(ingest->shop,
	               "SELECT line, \"column\", reason, \"row\" FROM freehold_rejects "
	               "ORDER BY line",
	               NULL, "rejects", &written, err));
	return 0;
}

static int ingest_rows(struct ingest *ingest, const struct ingest_format *format, struct err *err)
{
	struct shop *shop = ingest->shop;
	AUTO_BUF sql;
	buf_init(&sql, INGEST_SQL_MAX);
	TRY(put_good_rows(ingest, format, &sql, err));
	struct value *written;
	shop_phase(shop, "loading");
	TRY(shop_write(shop, (const char *)sql.data, ingest->schema, "out", &written, err));
	int64_t refused = 0, bad = 0;
	if (format->collect)
		TRY(format->collect(ingest, &refused, err));
	TRY(one_number(shop,
	               "SELECT coalesce(last_value, 0)::BIGINT FROM duckdb_sequences() WHERE "
	               "sequence_name = 'freehold_bad'",
	               &bad, err));
	if (bad > 0)
		TRY(list_bad(ingest, format, err));
	bad += refused;
	if (bad > ingest->reject_limit)
		return over_limit(ingest, bad, value_get_int(written, "rows", 0), err);
	TRY(keep_aside(ingest, bad, err));
	value_set(shop->result, "written", written);
	value_set_int(shop->result, "rejected", bad);
	return value_check(shop->result, err);
}

/* What goes wrong with a statement of ours over a user's file is the file. */
static int blame_file(const struct ingest *ingest, int rc, struct err *err)
{
	const char *format = value_get_str(ingest->work, "format");
	if (rc == E_IO)
		return err_set(err, E_INPUT,
		               "path \"%s\": is damaged or not compressed as %s; check "
		               "compression",
		               ingest->path, ingest->compression);
	if (rc != E_INVALID && (rc != E_INPUT || strncmp(err->text, "path \"", 6) == 0))
		return rc;
	return err_set(err, E_INPUT,
	               "path \"%s\": cannot be read as %s (compression %s); check format, "
	               "compression and delimiter",
	               ingest->path, format, ingest->compression);
}

static int ingest_file(struct ingest *ingest, const struct ingest_format *format, struct err *err)
{
	shop_phase(ingest->shop, "looking");
	if (format != &ingest_parquet) /* which is compressed inside */
		TRY(packing_check(ingest->fd, ingest->bytes, ingest->compression, ingest->path,
		                  err));
	TRY(format->look(ingest, err));
	if (value_len(ingest->schema) == 0)
		return err_set(err, E_INPUT, "path \"%s\": has no columns", ingest->path);
	TRY(duck_exec(
		ingest->shop->duck,
		"CREATE TEMP SEQUENCE freehold_bad; CREATE TEMP TABLE "
		"freehold_rejects(line BIGINT, \"column\" VARCHAR, kind VARCHAR, reason VARCHAR, "
		"\"row\" VARCHAR)",
		err));
	TRY(ingest_rows(ingest, format, err));
	value_set(ingest->shop->result, "schema", value_copy(ingest->shop->arena, ingest->schema));
	return value_check(ingest->shop->result, err);
}

static int ingest_work(struct shop *shop, struct err *err)
{
	const struct value *work = value_get(shop->job, "work");
	const char *format = value_get_str(work, "format"), *path = value_get_str(work, "path");
	const struct ingest_format *by_name = !format                          ? NULL
	                                      : strcmp(format, "csv") == 0     ? &ingest_csv
	                                      : strcmp(format, "jsonl") == 0   ? &ingest_jsonl
	                                      : strcmp(format, "parquet") == 0 ? &ingest_parquet
	                                                                       : NULL;
	struct ingest ingest = {.shop = shop,
	                        .work = work,
	                        .path = path ? path : "",
	                        .compression = compression_of(work, path ? path : ""),
	                        .fd = shop_fd(shop, "source"),
	                        .bytes = value_get_int(shop->job, "sourceBytes", 0),
	                        .schema = value_get(shop->job, "schema"),
	                        .reject_limit = value_get_int(work, "rejectLimit", 0)};
	if (!by_name || ingest.fd < 0)
		return err_set(err, E_INVALID, "format: must be csv, jsonl or parquet");
	ingest.inferred = !ingest.schema;
	TRY(duck_name(shop->duck, ingest.fd, ingest.path, err));
	int rc = ingest_file(&ingest, by_name, err);
	return rc < 0 ? blame_file(&ingest, rc, err) : 0;
}

const struct task_side ingest_side = {ingest_open, ingest_work, NULL, ingest_seal};
