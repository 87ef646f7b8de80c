/* v_query.c - freehold query: one SELECT over datasets, as a readable table or as a file. An answer
 * that was cut off is never taken for a whole one: it ends in a failure, and no file is left. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "common/json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TAIL = 4096, SQL_MAX = 65536, TABLE_ROWS = 1000, TABLE_COLUMNS = 64, SHOWN = 200,
	BEGIN_MS = 3600 * 1000 };
#define TABLE_MAX (256 * MIB)
#define SHOW_EVERY (4 * MIB)

struct taking {
	int fd;                      /* -1: it is kept, to be shown as a table */
	struct buf kept;
	char tail[TAIL + 1];         /* the last bytes: what a cut answer says of itself */
	size_t tail_len;
	uint64_t len, shown;
	int code;                    /* of a failed write */
	bool talks;                  /* how far it is goes to standard error */
};

static void note_tail(struct taking *taking, const char *data, size_t len)
{
	size_t add = len < TAIL ? len : TAIL;
	size_t keep = taking->tail_len + add > TAIL ? TAIL - add : taking->tail_len;
	memmove(taking->tail, taking->tail + taking->tail_len - keep, keep);
	memcpy(taking->tail + keep, data + len - add, add);
	taking->tail_len = keep + add;
	taking->tail[taking->tail_len] = 0;
}

static bool write_all(struct taking *taking, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(taking->fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			taking->code = errno;
			return false;
		}
		data += n;
		len -= (size_t)n;
	}
	return true;
}

static bool on_data(void *context, const char *data, size_t len)
{
	struct taking *taking = context;
	note_tail(taking, data, len);
	taking->len += len;
	if (taking->talks && taking->len - taking->shown >= SHOW_EVERY) {
		taking->shown = taking->len;
		fprintf(stderr, "\r%" PRIu64 " MiB", taking->len / MIB);
	}
	if (taking->fd >= 0)
		return write_all(taking, data, len);
	return buf_put(&taking->kept, data, len) == 0;
}

/* Why the server cut it off, if the answer's last line says so. */
static int tell_cut(struct cli *cli, const struct taking *taking, int code, struct err *err)
{
	struct value *said = NULL;
	const char *line = NULL;
	for (const char *at = taking->tail; (at = strstr(at, "\n{\"error\":")) != NULL; at++)
		line = at + 1;
	if (!line || json_parse(cli->arena, line, strlen(line), &said, NULL) < 0)
		return code;
	const struct value *error = value_get(said, "error");
	const char *name = value_get_str(error, "code"), *detail = value_get_str(error, "detail");
	return err_set(err, name ? err_by_name(name) : code, "after %" PRIu64 " bytes: %s",
	               taking->len, detail ? detail : "the server gave up");
}

static int take(struct cli *cli, const struct call *call, struct taking *taking, struct err *err)
{
	const char *control = cli->url;
	struct value *who = NULL;
	struct call ask = { .method = "GET", .path = "/v1/whoami" };
	TRY(client_call(cli, &ask, &who, err));
	const char *url = cli_option(cli, "serving-url");
	url = url ? url : value_get_str(who, "servingUrl");
	if (!url)
		return err_set(err, E_UNAVAILABLE, "no worker answers queries now; see /readyz");
	cli->url = url;
	int rc = client_pour(cli, call, on_data, taking, err);
	cli->url = control;
	if (taking->shown)
		fprintf(stderr, "\n");
	if (rc == 0 && taking->code)
		return err_errno(err, taking->code, "the result could not be written");
	if (rc == 0)
		return taking->fd >= 0 ? 0 : buf_check(&taking->kept, err);
	return rc == E_UNKNOWN_OUTCOME ? tell_cut(cli, taking, rc, err) : rc;
}

/* ---- what is asked ---- */

static int read_sql(struct cli *cli, const char **ret_sql, struct err *err)
{
	*ret_sql = cli_word(cli, 0);
	if (strcmp(*ret_sql, "-") != 0)
		return 0;
	char *text = arena_alloc(cli->arena, SQL_MAX + 2);
	if (!text)
		return err_set(err, E_NOMEM, "no memory for the SQL");
	size_t len = fread(text, 1, SQL_MAX + 1, stdin);
	if (len > SQL_MAX)
		return err_set(err, E_TOO_LARGE, "the SQL has more than %d bytes", SQL_MAX);
	text[len] = 0;
	*ret_sql = text;
	return 0;
}

static const char *format_of(struct cli *cli)
{
	const char *format = cli_option(cli, "format");
	return format ? format : cli->format == FORMAT_TABLE ? "table" : "json";
}

static int check_format(const char *format, struct err *err)
{
	static const char *const formats[] = { "table", "json", "jsonl", "csv", "parquet" };
	for (size_t i = 0; i < ARRAY_LEN(formats); i++)
		if (strcmp(format, formats[i]) == 0)
			return 0;
	return err_set(err, E_INVALID, "--format: must be table, json, jsonl, csv or parquet, not "
	               "\"%.32s\"", format);
}

static int read_limit(struct cli *cli, bool table, struct value *body, struct err *err)
{
	const char *text = cli_option(cli, "limit");
	char *end = NULL;
	long long limit = text ? strtoll(text, &end, 10) : table ? TABLE_ROWS : 0;
	if (text && (*end || end == text || limit < 1))
		return err_set(err, E_INVALID, "--limit: must be a whole number from 1, not "
		               "\"%.32s\"", text);
	if (limit)
		value_set_int(body, "limit", limit);
	return 0;
}

static int make_body(struct cli *cli, const char *format, struct value **ret_body, struct err *err)
{
	bool table = strcmp(format, "table") == 0;
	const char *sql = NULL;
	struct value *body = value_map(cli->arena);
	TRY(read_sql(cli, &sql, err));
	value_set_str(body, "sql", sql);
	value_set_str(body, "format", table ? "json" : format);
	value_set_str(body, "domain", cli->domain);
	TRY(read_limit(cli, table, body, err));
	*ret_body = body;
	return value_check(body, err);
}

/* ---- what is shown ---- */

static const char *cell_text(struct cli *cli, const struct value *cell)
{
	AUTO_BUF text;
	buf_init(&text, 65536);
	if (!cell || value_kind(cell) == VALUE_NULL)
		return NULL;
	if (value_kind(cell) == VALUE_STR)
		buf_printf(&text, "%.*s", SHOWN, value_as_str(cell));
	else
		json_print(cell, &text);
	if (buf_check(&text, NULL) < 0)
		return "...";
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] < ' ')      /* a value moves no cursor */
			text.data[i] = ' ';
	return arena_strndup(cli->arena, (const char *)text.data, text.len);
}

static int print_table(struct cli *cli, const struct taking *taking, struct err *err)
{
	const char *titles[TABLE_COLUMNS + 1] = { NULL };
	struct value *result = NULL;
	TRY(json_parse(cli->arena, (const char *)taking->kept.data, taking->kept.len, &result,
	               err));
	const struct value *columns = value_get(result, "columns");
	const struct value *rows = value_get(result, "rows");
	size_t count = value_len(columns) < TABLE_COLUMNS ? value_len(columns) : TABLE_COLUMNS;
	for (size_t i = 0; i < count; i++)
		titles[i] = value_get_str(value_at(columns, i), "name");
	struct table *table = table_new(cli, titles);
	for (size_t r = 0; r < value_len(rows); r++)
		for (size_t i = 0; i < count; i++)
			table_cell(table, cell_text(cli, value_at(value_at(rows, r), i)));
	table_print(table);
	printf("(%zu row%s%s)\n", value_len(rows), value_len(rows) == 1 ? "" : "s",
	       value_get_bool(result, "more", false)
	               ? "; there are more: --limit N, or --format csv for all" : "");
	if (value_len(columns) > count)
		printf("(%zu columns are not shown: --format json)\n", value_len(columns) - count);
	return 0;
}

/* ---- where it goes ---- */

static int into_file(struct cli *cli, const struct call *call, struct taking *taking,
                     const char *path, struct err *err)
{
	const char *partial = arena_printf(cli->arena, "%s.partial", path);
	if (!partial)
		return err_set(err, E_NOMEM, "no memory for a path");
	taking->fd = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (taking->fd < 0)
		return err_errno(err, errno, "cannot make %s", partial);
	int rc = take(cli, call, taking, err);
	close(taking->fd);
	if (rc == 0 && rename(partial, path) < 0)
		rc = err_errno(err, errno, "cannot make %s", path);
	if (rc < 0)
		unlink(partial);
	else if (cli->terminal)
		printf("%s: %s\n", path, human_bytes(cli, (int64_t)taking->len));
	return rc;
}

static int into_table(struct cli *cli, const struct call *call, struct taking *taking,
                      struct err *err)
{
	taking->fd = -1;
	buf_init(&taking->kept, TABLE_MAX);
	int rc = take(cli, call, taking, err);
	if (rc == 0)
		rc = print_table(cli, taking, err);
	buf_release(&taking->kept);
	return rc;
}

static int query(struct cli *cli, struct err *err)
{
	const char *format = format_of(cli), *file = cli_option(cli, "file");
	const char *purpose = cli_option(cli, "purpose");
	struct taking taking = { .fd = STDOUT_FILENO, .talks = cli->terminal && file };
	struct value *body = NULL;
	TRY(check_format(format, err));
	if (strcmp(format, "table") == 0 && file)
		return err_set(err, E_INVALID, "--file: goes with --format json, jsonl, csv or "
		               "parquet");
	TRY(make_body(cli, format, &body, err));
	const struct call call = {
		.method = "POST", .path = "/query", .body = body, .timeout_ms = BEGIN_MS,
		.header = purpose ? arena_printf(cli->arena, "Freehold-Purpose: %s", purpose)
		                  : NULL,
	};
	if (strcmp(format, "table") == 0)
		return into_table(cli, &call, &taking, err);
	if (file)
		return into_file(cli, &call, &taking, file, err);
	if (strcmp(format, "parquet") == 0 && cli->terminal)
		return err_set(err, E_INVALID, "Parquet is no text: give --file FILE, or a pipe");
	return take(cli, &call, &taking, err);
}

static const struct option_row options[] = {
	{"format", "FORMAT", "table, json, jsonl, csv or parquet; default table"},
	{"file", "FILE", "write it there, whole or not at all (-f)"},
	{"limit", "N", "rows at most; default 1000 for a table, else all"},
	{"purpose", "TEXT", "what it is read for, where that is asked for"},
	{"serving-url", "URL", "instead of the one control names"},
	{NULL, NULL, NULL}};

const struct verb verb_query = {
	.name = "query",
	.words = "SELECT|-",
	.words_min = 1,
	.words_max = 1,
	.summary = "Run one SELECT over datasets, or export what it gives",
	.example = "freehold query \"SELECT origin, avg(delay) FROM flights.raw GROUP BY origin\" "
                   "--format csv --file delays.csv",
	.options = options,
	.run = query,
};
