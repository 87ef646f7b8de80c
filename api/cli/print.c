/* print.c - tables for people, JSON and YAML for programs. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "common/clock.h"
#include "common/json.h"
#include "common/yaml.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { COLUMNS_MAX = 16, OUT_MAX = 64 * 1024 * 1024 };

struct cell {
	struct cell *next;
	const char *text;
	bool right;
};

struct table {
	struct arena *arena;
	size_t columns;
	size_t width[COLUMNS_MAX]; /* in characters */
	size_t count;
	struct cell *first;
	struct cell **last;
};

/* Characters, not bytes: continuation bytes of UTF-8 take no room. */
static size_t width_of(const char *text)
{
	size_t width = 0;
	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

static void add(struct table *table, const char *text, bool right)
{
	struct cell *cell = arena_alloc(table->arena, sizeof *cell);
	if (!cell)
		return;
	*cell = (struct cell){.text = text ? text : "-", .right = right};
	size_t column = table->count++ % table->columns;
	size_t width = width_of(cell->text);
	if (width > table->width[column])
		table->width[column] = width;
	*table->last = cell;
	table->last = &cell->next;
}

struct table *table_new(struct cli *cli, const char *const *titles)
{
	struct table *table = arena_alloc(cli->arena, sizeof *table);
	REQUIRE(table);
	table->arena = cli->arena;
	table->last = &table->first;
	while (titles[table->columns] && table->columns < COLUMNS_MAX)
		table->columns++;
	for (size_t i = 0; i < table->columns; i++)
		add(table, titles[i], false);
	return table;
}

void table_cell(struct table *table, const char *text)
{
	add(table, text && *text ? arena_strdup(table->arena, text) : NULL, false);
}

void table_cellf(struct table *table, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	table_cell(table, text);
}

void table_number(struct table *table, int64_t number)
{
	char digits[32];
	char text[48];
	snprintf(digits, sizeof digits, "%" PRId64, number);
	size_t len = strlen(digits);
	size_t at = 0;
	for (size_t i = 0; i < len; i++) {
		bool group = i > 0 && (len - i) % 3 == 0 && digits[i - 1] != '-';
		if (group)
			text[at++] = ',';
		text[at++] = digits[i];
	}
	text[at] = 0;
	add(table, arena_strdup(table->arena, text), true);
}

void table_print(struct table *table)
{
	size_t i = 0;
	for (const struct cell *cell = table->first; cell; cell = cell->next, i++) {
		size_t column = i % table->columns;
		int pad = (int)(table->width[column] - width_of(cell->text));
		bool end = column + 1 == table->columns;
		if (cell->right)
			printf("%*s%s%s", pad, "", cell->text, end ? "" : "  ");
		else if (end)
			printf("%s", cell->text);
		else
			printf("%s%*s  ", cell->text, pad, "");
		if (end)
			putchar('\n');
	}
}

int print_value(struct cli *cli, const struct value *value, struct err *err)
{
	AUTO_BUF out;
	buf_init(&out, OUT_MAX);
	if (cli->format == FORMAT_YAML)
		TRY(yaml_print(value, &out, err));
	else
		json_print_pretty(value, &out);
	TRY(buf_check(&out, err));
	bool newline = out.len > 0 && out.data[out.len - 1] == '\n';
	printf("%s%s", (const char *)out.data, newline ? "" : "\n");
	return 0;
}

const char *human_bytes(struct cli *cli, int64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
	double size = (double)bytes;
	size_t unit = 0;
	while (size >= 1024 && unit + 1 < ARRAY_LEN(units)) {
		size /= 1024;
		unit++;
	}
	return arena_printf(cli->arena, unit ? "%.1f %s" : "%.0f %s", size, units[unit]);
}

const char *human_micros(struct cli *cli, int64_t micros)
{
	uint64_t size = micros < 0 ? -(uint64_t)micros : (uint64_t)micros;
	return arena_printf(cli->arena, "%s%" PRIu64 ".%06" PRIu64, micros < 0 ? "-" : "",
	                    size / 1000000, size % 1000000);
}

const char *human_age(struct cli *cli, const char *rfc3339)
{
	int64_t then = 0;
	if (!rfc3339 || time_parse(rfc3339, &then, NULL) < 0)
		return "-";
	int64_t s = (clock_unix_ms(clock_system()) - then) / 1000;
	if (s < 0)
		s = 0;
	if (s < 120)
		return arena_printf(cli->arena, "%" PRId64 "s", s);
	if (s < 7200)
		return arena_printf(cli->arena, "%" PRId64 "m", s / 60);
	if (s < 172800)
		return arena_printf(cli->arena, "%" PRId64 "h", s / 3600);
	return arena_printf(cli->arena, "%" PRId64 "d", s / 86400);
}
