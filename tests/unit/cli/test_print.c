/* Tables for people, JSON and YAML for programs, figures for both. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "common/clock.h"
#include "common/json.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <string.h>

static struct cli cli;
static struct arena *arena;
static char out[4096];

static void setup(void)
{
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	cli = (struct cli) { .arena = arena };
	cr_redirect_stdout();
}
static void teardown(void)
{
	arena_free(arena);
}
TestSuite(print, .init = setup, .fini = teardown);

static const char *printed(void)
{
	FILE *file = cr_get_redirected_stdout();
	fflush(stdout);
	size_t len = fread(out, 1, sizeof out - 1, file);
	out[len] = 0;
	return out;
}

Test(print, columns_are_as_wide_as_their_widest_cell_and_numbers_stand_right)
{
	static const char *const titles[] = { "NAME", "ROWS", "STATE", NULL };
	struct table *table = table_new(&cli, titles);
	table_cell(table, "flights");
	table_number(table, 3000000);
	table_cell(table, "ready");
	table_cell(table, "a");
	table_number(table, 7);
	table_cell(table, NULL);
	table_print(table);
	cr_expect_str_eq(printed(), "NAME     ROWS       STATE\n"
	                 "flights  3,000,000  ready\n"
	                 "a                7  -\n");
}

Test(print, a_table_without_rows_is_its_titles)
{
	static const char *const titles[] = { "NAME", "AGE", NULL };
	table_print(table_new(&cli, titles));
	cr_expect_str_eq(printed(), "NAME  AGE\n");
}

Test(print, letters_count_not_bytes)
{
	static const char *const titles[] = { "NAME", "X", NULL };
	struct table *table = table_new(&cli, titles);
	table_cell(table, "Zürich");
	table_cell(table, "1");
	table_cell(table, "Berlin");
	table_cell(table, "2");
	table_print(table);
	cr_expect_str_eq(printed(), "NAME    X\nZürich  1\nBerlin  2\n");
}

Test(print, a_cell_keeps_what_it_was_given)
{
	static const char *const titles[] = { "A", NULL };
	struct table *table = table_new(&cli, titles);
	char text[] = "first";
	table_cell(table, text);
	strcpy(text, "gone");
	table_cell(table, "");
	table_cellf(table, "%d of %d", 1, 2);
	table_print(table);
	cr_expect_str_eq(printed(), "A\nfirst\n-\n1 of 2\n");
}

Test(print, thousands_are_parted_in_numbers_of_either_sign)
{
	static const char *const titles[] = { "N", NULL };
	struct table *table = table_new(&cli, titles);
	static const int64_t numbers[] = { 0, 999, 1000, -1, -123, -1234, -123456, INT64_MIN };
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		table_number(table, numbers[i]);
	table_print(table);
	cr_expect_str_eq(printed(), "N\n"
	                 "                         0\n"
	                 "                       999\n"
	                 "                     1,000\n"
	                 "                        -1\n"
	                 "                      -123\n"
	                 "                    -1,234\n"
	                 "                  -123,456\n"
	                 "-9,223,372,036,854,775,808\n");
}

static const struct value *sample(void)
{
	struct value *map = value_map(arena);
	value_set_str(map, "name", "no");
	value_set_int(map, "rows", 3);
	return map;
}

Test(print, json_reads_back_and_ends_its_line)
{
	struct value *back = NULL;
	cli.format = FORMAT_JSON;
	cr_assert_eq(print_value(&cli, sample(), NULL), 0);
	const char *text = printed();
	cr_assert_eq(json_parse(arena, text, strlen(text), &back, NULL), 0, "%s", text);
	cr_expect(value_equal(back, sample()));
	cr_expect_eq(text[strlen(text) - 1], '\n');
	cr_expect_neq(text[strlen(text) - 2], '\n');
}

Test(print, yaml_keeps_words_from_being_read_as_something_else)
{
	cli.format = FORMAT_YAML;
	cr_assert_eq(print_value(&cli, sample(), NULL), 0);
	const char *text = printed();
	cr_expect_not_null(strstr(text, "rows: 3\n"), "%s", text);
	cr_expect_not_null(strstr(text, "name: "), "%s", text);
	cr_expect_eq(text[strlen(text) - 1], '\n');
	cr_expect_neq(text[strlen(text) - 2], '\n');
}

Test(print, bytes_are_said_in_the_unit_that_fits)
{
	cr_expect_str_eq(human_bytes(&cli, 0), "0 B");
	cr_expect_str_eq(human_bytes(&cli, 1023), "1023 B");
	cr_expect_str_eq(human_bytes(&cli, 1536), "1.5 KiB");
	cr_expect_str_eq(human_bytes(&cli, INT64_C(3) << 30), "3.0 GiB");
	cr_expect_str_eq(human_bytes(&cli, INT64_MAX), "8192.0 PiB");
}

Test(print, money_has_six_digits_and_its_sign)
{
	cr_expect_str_eq(human_micros(&cli, 0), "0.000000");
	cr_expect_str_eq(human_micros(&cli, 1234567), "1.234567");
	cr_expect_str_eq(human_micros(&cli, -1), "-0.000001");
	cr_expect_str_eq(human_micros(&cli, INT64_MAX), "9223372036854.775807");
	cr_expect_str_eq(human_micros(&cli, INT64_MIN), "-9223372036854.775808");
}

/* A time so long ago. */
static const char *ago(int64_t s)
{
	char text[TIME_TEXT_MAX];
	int64_t then = clock_unix_ms(clock_system()) - s * 1000 - 500;
	return human_age(&cli, time_print_ms(then, text));
}

Test(print, ages_are_said_in_one_unit)
{
	cr_expect_str_eq(ago(0), "0s");
	cr_expect_str_eq(ago(60), "60s");
	cr_expect_str_eq(ago(600), "10m");
	cr_expect_str_eq(ago(3600 * 3), "3h");
	cr_expect_str_eq(ago(86400 * 40), "40d");
	cr_expect_str_eq(ago(-3600), "0s", "a clock that is behind shows no negative age");
	cr_expect_str_eq(human_age(&cli, NULL), "-");
	cr_expect_str_eq(human_age(&cli, "yesterday"), "-");
}
