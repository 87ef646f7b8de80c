/* test_mask.c - each action on each type it is for, and that no other is taken. Digests were made
 * with coreutils' sha256sum. */
#include "common/defs.h"
#include "common/crypto.h"
#include "common/date.h"
#include "common/mask.h"

#include <criterion/criterion.h>
#include <string.h>

static struct arena *arena;
static struct err err;
static const struct mask_salt salt = { { 1, 2, 3 } };

static void setup(void)
{
	cr_assert_eq(crypto_start(&err), 0);
	cr_assert_eq(arena_new(MIB, &arena, &err), 0);
}
static void teardown(void)
{
	arena_free(arena);
}
TestSuite(mask, .init = setup, .fini = teardown);

static const char *masked(enum mask mask, const char *text)
{
	AUTO_BUF out;
	buf_init(&out, KIB);
	cr_assert_eq(mask_text(mask, &salt, text, strlen(text), &out, &err), 0);
	return arena_strndup(arena, (const char *)out.data, out.len);
}

static const struct value *cell(enum mask mask, const char *type, struct value *in)
{
	struct value *out = NULL;
	cr_assert_eq(mask_cell(arena, mask, &salt, type, in, &out, &err), 0, "%s", err.text);
	return out;
}

static const char *const types[] = { "boolean", "int32", "int64", "float64", "string", "timestamp",
	                             "date", "bytes", "decimal(10,2)" };

Test(mask, takes_an_action_only_on_the_types_it_is_for)
{
	static const char *const fits[MASK_COUNT_] = {
		[MASK_ALPHANUM] = "....s....",     [MASK_SHOW_FIRST_4] = "....s....",
		[MASK_SHOW_LAST_4] = "....s....",  [MASK_NULL] = "bilfstdyn",
		[MASK_FIXED] = "bilfstdyn",        [MASK_YEAR] = ".....td..",
		[MASK_MONTH] = ".....td..",        [MASK_SHA256] = ".il.s..y.",
		[MASK_SHA256_LOCAL] = ".il.s..y.",
	};
	for (int mask = MASK_NONE + 1; mask < MASK_COUNT_; mask++)
		for (size_t i = 0; i < ARRAY_LEN(types); i++)
			cr_expect_eq(mask_check((enum mask)mask, "c", types[i], false, &err),
			             fits[mask][i] == '.' ? E_INVALID : 0, "%s on %s",
			             mask_name((enum mask)mask), types[i]);
	cr_expect_eq(mask_check(MASK_FIXED, "c", "uuid", false, &err), E_INVALID);
	cr_expect_eq(mask_check(MASK_NULL, "c", "int64", true, &err), E_INVALID);
	cr_expect_eq(mask_check(MASK_COUNT_, "c", "int64", false, &err), E_INVALID);
}

Test(mask, is_found_by_its_name_and_by_no_other)
{
	enum mask mask = MASK_NONE;
	for (int i = MASK_NONE + 1; i < MASK_COUNT_; i++) {
		cr_expect_eq(mask_by_name(mask_name((enum mask)i), &mask, &err), 0);
		cr_expect_eq((int)mask, i);
	}
	cr_expect_eq(mask_by_name("none", &mask, &err), E_INVALID);
	cr_expect_eq(mask_by_name(NULL, &mask, &err), E_INVALID);
}

Test(mask, keeps_the_shape_of_a_text_by_code_points)
{
	cr_expect_str_eq(masked(MASK_ALPHANUM, "Ann B., (030) 12-34 a@b.de"),
	                 "xxxxx.,x(nnn)xnn-nnxx@x.xx");
	cr_expect_str_eq(masked(MASK_ALPHANUM, "\xc3\xa9\xe2\x82\xac" "7"), "xxn");
	cr_expect_str_eq(masked(MASK_SHOW_FIRST_4, "4111-1111"), "4111-nnnn");
	cr_expect_str_eq(masked(MASK_SHOW_FIRST_4, "abc"), "abc");
	cr_expect_str_eq(masked(MASK_SHOW_LAST_4, "4111-1234"), "nnnn-1234");
	cr_expect_str_eq(masked(MASK_SHOW_LAST_4, "\xc3\xa9" "abcd\xc3\xa9"),
	                 "xxbcd\xc3\xa9");
	cr_expect_str_eq(masked(MASK_SHOW_LAST_4, "abcd"), "abcd");
	cr_expect_str_eq(masked(MASK_FIXED, "anything"), "XXXXXXXX");
	cr_expect_str_eq(masked(MASK_ALPHANUM, ""), "");
}

Test(mask, digests_values_as_the_specification_says)
{
	cr_expect_str_eq(masked(MASK_SHA256, "abc"),
	                 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	/* of 01 00 00 00: 67ab dd72 ...; of 01 and seven zeroes: 7c9f a136 d441 3fa6 ... */
	cr_expect_eq((uint32_t)mask_int32(MASK_SHA256, &salt, 1), 0x72ddab67u);
	cr_expect_eq((uint64_t)mask_int64(MASK_SHA256, &salt, 1), 0xa63f41d436a19f7cu);
}

Test(mask, digests_otherwise_with_every_salt)
{
	const struct mask_salt other = { { 1, 2, 4 } };
	cr_expect_str_neq(masked(MASK_SHA256_LOCAL, "abc"), masked(MASK_SHA256, "abc"));
	cr_expect_str_eq(masked(MASK_SHA256_LOCAL, "abc"), masked(MASK_SHA256_LOCAL, "abc"));
	cr_expect_neq(mask_int64(MASK_SHA256_LOCAL, &salt, 1),
	              mask_int64(MASK_SHA256_LOCAL, &other, 1));
	cr_expect_neq(mask_int32(MASK_SHA256_LOCAL, &salt, 1),
	              mask_int32(MASK_SHA256_LOCAL, &other, 1));
}

Test(mask, truncates_times_before_and_after_1970)
{
	const int64_t day = INT64_C(86400000000);
	int64_t at = date_to_days(2026, 11, 22) * day + 12345;
	int64_t old = date_to_days(1969, 5, 3) * day;
	cr_expect_eq(mask_timestamp(MASK_MONTH, at), date_to_days(2026, 11, 1) * day);
	cr_expect_eq(mask_timestamp(MASK_YEAR, at), date_to_days(2026, 1, 1) * day);
	cr_expect_eq(mask_timestamp(MASK_MONTH, old - 1), date_to_days(1969, 5, 1) * day);
	cr_expect_eq(mask_date(MASK_YEAR, (int32_t)date_to_days(1969, 5, 3)),
	             date_to_days(1969, 1, 1));
	cr_expect_eq(mask_date(MASK_FIXED, 7), date_to_days(9999, 12, 31));
	cr_expect_eq(mask_timestamp(MASK_FIXED, 7), date_to_days(9999, 12, 31) * day);
	cr_expect_eq(mask_timestamp(MASK_YEAR, INT64_MIN), INT64_MIN);
}

Test(mask, gives_fixed_values_of_the_columns_own_type)
{
	cr_expect(!value_as_bool(cell(MASK_FIXED, "boolean", value_bool(arena, true)), true));
	cr_expect_eq(value_as_int(cell(MASK_FIXED, "int32", value_int(arena, 5)), 0), 999999999);
	cr_expect_eq(value_as_int(cell(MASK_FIXED, "int64", value_int(arena, 5)), 0), 999999999);
	cr_expect_eq(value_as_real(cell(MASK_FIXED, "float64", value_real(arena, 5.5)), 1), 0);
	cr_expect_str_eq(
		value_as_str(cell(MASK_FIXED, "decimal(5,2)", value_str(arena, "5.50"))), "0");
	cr_expect_str_eq(value_as_str(cell(MASK_FIXED, "string", value_str(arena, "a"))),
	                 "XXXXXXXX");
	cr_expect_eq(value_len(cell(MASK_FIXED, "bytes", value_bin(arena, "abc", 3))), 0);
}

Test(mask, leaves_what_is_missing_missing_and_hides_all_that_is_null)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		cr_expect_eq(value_kind(cell(MASK_FIXED, types[i], value_null(arena))), VALUE_NULL);
		cr_expect_eq(value_kind(cell(MASK_NULL, types[i], value_int(arena, 3))),
		             VALUE_NULL);
	}
}
