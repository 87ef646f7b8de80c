/* Packed values print as JSON that reads back as what was packed. */
#include "common/defs.h"
#include "worker/cell.h"

#include "common/json.h"
#include "common/pack.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct arena *arena_make(void)
{
	struct arena *arena = NULL;
	cr_assert_eq(arena_new(16 * MIB, &arena, NULL), 0);
	return arena;
}

Test(cell, every_scalar_prints_as_it_was_packed)
{
	AUTO(arena) *arena = arena_make();
	AUTO_BUF packed, text;
	buf_init(&packed, MIB);
	buf_init(&text, MIB);
	char large[70000];
	memset(large, 'x', sizeof large - 1);
	large[sizeof large - 1] = 0;
	struct value *list = value_list(arena), *back;
	static const int64_t ints[] = {
		0, 1, 127, 128, 255, 256, 65535, 65536, 4294967295, 4294967296, INT64_MAX, -1, -32,
		-33, -128,
		-129, -32768, -32769, INT32_MIN, (int64_t)INT32_MIN - 1, INT64_MIN
	};
	for (size_t i = 0; i < ARRAY_LEN(ints); i++)
		value_add(list, value_int(arena, ints[i]));
	value_add(list, value_null(arena));
	value_add(list, value_bool(arena, true));
	value_add(list, value_bool(arena, false));
	value_add_str(list, "");
	value_add_str(list, "a \"quoted\" \n line, \xc3\xa9");
	large[200] = 0;
	value_add_str(list, large);
	large[200] = 'x';
	value_add_str(list, large);
	value_add(list, value_real(arena, 12.5));
	cr_assert_eq(pack_write(list, &packed, NULL), 0);
	const uint8_t *at, *end = packed.data + packed.len;
	int64_t count = cell_list(packed.data, packed.len, &at);
	cr_assert_eq(count, (int64_t)value_len(list));
	buf_putc(&text, '[');
	for (int64_t i = 0; i < count; i++) {
		const uint8_t *next = cell_end(at, end);
		cr_assert_not_null(next);
		if (i)
			buf_putc(&text, ',');
		cell_print(at, &text);
		at = next;
	}
	buf_putc(&text, ']');
	cr_expect_eq(at, end);
	struct err err = { 0 };
	cr_assert_eq(json_parse(arena, (char *)text.data, text.len, &back, &err), 0, "%s",
	             err.text);
	cr_expect(value_equal(list, back));
}

static void expect_real(double d, const char *expected)
{
	AUTO_BUF out;
	buf_init(&out, 256);
	cell_print_real(d, &out);
	cr_assert_eq(buf_check(&out, NULL), 0);
	if (expected)
		cr_expect_str_eq((char *)out.data, expected);
	cr_expect_eq(strtod((char *)out.data, NULL), d, "%s is not %.17g", (char *)out.data, d);
}

Test(cell, reals_read_back_exactly_and_are_short)
{
	expect_real(0.1, "0.1");
	expect_real(-2.5, "-2.5");
	expect_real(3, "3.0");
	expect_real(0, "0.0");
	expect_real(15.333333333333334, "15.333333333333334");
	expect_real(1.0 / 3, "0.3333333333333333");
	expect_real(2e-5 / 3, NULL);
	expect_real(9007199254740991.0, "9007199254740991.0");
	expect_real(999999999999999.9, "999999999999999.9");
	expect_real(1e-5, "0.00001");
	expect_real(1e22, NULL);
	expect_real(5e-324, NULL);
	expect_real(1.7976931348623157e308, NULL);
	expect_real(12.345678901234567, NULL);
	srand(7);
	for (int i = 0; i < 20000; i++) {
		uint64_t bits = 0;
		for (int k = 0; k < 5; k++)
			bits = bits << 15 ^ (uint64_t)rand();
		double d;
		memcpy(&d, &bits, sizeof d);
		if (isfinite(d))
			expect_real(d, NULL);
		expect_real((double)(rand() % 100000) / (1 + rand() % 300), NULL);
		expect_real(ldexp(1 + (double)rand() / RAND_MAX / 7, rand() % 69 - 16), NULL);
		expect_real(ldexp(1, rand() % 69 - 16), NULL);
	}
}

Test(cell, what_is_no_number_is_null)
{
	AUTO_BUF out;
	buf_init(&out, 64);
	cell_print_real(NAN, &out);
	cell_print_real(INFINITY, &out);
	cr_assert_eq(buf_check(&out, NULL), 0);
	cr_expect_str_eq((char *)out.data, "nullnull");
}

static void expect_time(int64_t us, const char *expected)
{
	AUTO_BUF out;
	buf_init(&out, 64);
	cell_print_time(us, &out);
	cr_assert_eq(buf_check(&out, NULL), 0);
	cr_expect_str_eq((char *)out.data, expected);
}

Test(cell, times_are_printed_with_the_fraction_they_have)
{
	expect_time(0, "1970-01-01T00:00:00Z");
	expect_time(INT64_C(980982000) * 1000000, "2001-01-31T23:00:00Z");
	expect_time(INT64_C(951782400) * 1000000, "2000-02-29T00:00:00Z");
	expect_time(1500, "1970-01-01T00:00:00.001500Z");
	expect_time(250000, "1970-01-01T00:00:00.250Z");
	expect_time(-1, "1969-12-31T23:59:59.999999Z");
	expect_time(INT64_C(-86400) * 1000000, "1969-12-31T00:00:00Z");
	expect_time(INT64_MAX, "9999-12-31T23:59:59.775807Z");
}

Test(cell, cut_off_values_and_containers_are_not_walked_over)
{
	static const uint8_t bad[][6] = {
		{ 0xcb, 1, 2, 3, 4, 5 }, { 0xa9, 'a', 'b' }, { 0xdb, 0xff, 0xff, 0xff, 0xff, 0 },
		{ 0x91, 1 }, { 0x81, 1, 1 }, { 0xdc, 0, 1, 1 }, { 0xc1 }, { 0xd4, 1, 1 }, { 0xc7, 1,
			1, 1 },
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_expect_null(cell_end(bad[i], bad[i] + sizeof bad[i]), "case %zu", i);
	const uint8_t *at;
	cr_expect_eq(cell_list(bad[0], 6, &at), -1);
	cr_expect_eq(cell_list(bad[5], 2, &at), -1);
	cr_expect_eq(cell_list(bad[5], 0, &at), -1);
}
