/* test_log.c - log lines as a collector reads them. */
#include "common/defs.h"
#include "common/log.h"

#include "common/clock.h"
#include "common/json.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct arena *arena;
static int lines[2];

static void set_up(void)
{
	struct err err;
	cr_assert_eq(arena_new(MIB, &arena, &err), 0);
	cr_assert_eq(pipe(lines), 0);
	cr_assert_geq(dup2(lines[1], STDERR_FILENO), 0);
	log_start("test", LOG_INFO);
}

static void tear_down(void)
{
	close(lines[0]);
	close(lines[1]);
	arena_free(arena);
}

TestSuite(log, .init = set_up, .fini = tear_down);

static struct value *read_line(void)
{
	char text[20000];
	ssize_t len = read(lines[0], text, sizeof text);
	struct value *value = NULL;
	struct err err = { 0 };
	cr_assert_gt(len, 0);
	cr_assert_eq(text[len - 1], '\n');
	cr_assert_null(memchr(text, '\n', (size_t)len - 1));
	cr_assert_eq(json_parse(arena, text, (size_t)len, &value, &err), 0, "%s", err.text);
	return value;
}

Test(log, writes_one_json_object_with_context_and_fields)
{
	struct log_context context = { .tenant = "acme", .task = "t1" };
	log_warn(&context, "task_refused", "code=%s left=%d reason=\"%s\" last=x", "QUOTA", 3,
	         "field \"cpu\" is over its limit");
	const struct value *line = read_line();
	cr_expect_str_eq(value_get_str(line, "level"), "warn");
	cr_expect_str_eq(value_get_str(line, "process"), "test");
	cr_expect_str_eq(value_get_str(line, "event"), "task_refused");
	cr_expect_str_eq(value_get_str(line, "tenant"), "acme");
	cr_expect_str_eq(value_get_str(line, "task"), "t1");
	cr_expect_null(value_get(line, "request"));
	cr_expect_str_eq(value_get_str(line, "code"), "QUOTA");
	cr_expect_str_eq(value_get_str(line, "left"), "3");
	cr_expect_str_eq(value_get_str(line, "reason"), "field \"cpu\" is over its limit");
	cr_expect_str_eq(value_get_str(line, "last"), "x");
	int64_t unix_ms = 0;
	cr_expect_eq(time_parse(value_get_str(line, "time"), &unix_ms, NULL), 0);
}

Test(log, stays_one_line_of_json_whatever_the_values_hold)
{
	char wide[5000];
	memset(wide, '\1', sizeof wide - 1);
	wide[sizeof wide - 1] = 0;
	log_error(NULL, "odd", "a=\"%s\"", "x\ny\xff\"");
	cr_expect_not_null(strstr(value_get_str(read_line(), "a"), "x\ny"));
	log_error(NULL, "wide", "a=\"%s\"", wide);
	cr_expect_str_eq(value_get_str(read_line(), "event"), "wide");
	memset(wide, 'x', sizeof wide - 1);
	struct log_context context = { .tenant = "acme", .request = wide, .task = wide };
	for (size_t len = sizeof wide - 1; len > 4000; len -= 7) {
		wide[len] = 0;
		memset(wide, '\1', len / 2);
		log_error(&context, "wide", "a=\"%s\"", wide);
		cr_assert_str_eq(value_get_str(read_line(), "tenant"), "acme");
	}
	log_error(NULL, "no_fields", "%s", "just words");
	cr_expect_str_eq(value_get_str(read_line(), "text"), "just words");
	log_error(NULL, "empty", "%s", "");
	cr_expect_str_eq(value_get_str(read_line(), "event"), "empty");
}

Test(log, never_lets_a_field_take_the_place_of_ours)
{
	struct log_context context = { .tenant = "acme" };
	log_info(&context, "event_one", "tenant=%s time=%s", "other", "never");
	const struct value *line = read_line();
	cr_expect_str_eq(value_get_str(line, "tenant"), "acme");
	cr_expect_str_eq(value_get_str(line, "field_tenant"), "other");
	cr_expect_str_eq(value_get_str(line, "field_time"), "never");
}

Test(log, leaves_out_what_is_below_the_level)
{
	log_debug(NULL, "hidden", "a=%d", 1);
	log_info(NULL, "shown", "a=%d", 1);
	cr_expect_str_eq(value_get_str(read_line(), "event"), "shown");
}
