/* test_cedar_value.c - values, the texts of extension types, and the functions over them. */
#include "common/defs.h"
#include "policy/cedar_function.h"
#include "policy/cedar_ip.h"
#include "policy/cedar_number.h"
#include "policy/cedar_value.h"

#include <criterion/criterion.h>

static struct cedar_value number(int64_t i)
{
	return (struct cedar_value){ .kind = CEDAR_LONG, .i = i };
}

Test(cedar_value, keeps_a_set_sorted_and_without_duplicates)
{
	struct err err;
	const struct cedar_items *set = NULL;
	struct cedar_value values[] = { number(3), number(1), number(3), number(2), number(1) };
	AUTO(arena) *arena = NULL;
	cr_assert_eq(arena_new(MIB, &arena, &err), 0);
	cr_assert_eq(cedar_items_new(arena, values, ARRAY_LEN(values), &set, &err), 0);
	cr_assert_eq(set->count, 3);
	for (size_t i = 0; i < set->count; i++)
		cr_expect_eq(set->items[i].i, (int64_t)i + 1);
	struct cedar_value two = number(2), four = number(4);
	cr_expect(cedar_items_has(set, &two));
	cr_expect(!cedar_items_has(set, &four));
}

Test(cedar_value, refuses_a_record_that_names_a_field_twice)
{
	struct err err;
	const struct cedar_record *record = NULL;
	struct cedar_field twice[] = { { CEDAR_STR("b"), number(1) }, { CEDAR_STR("a"), number(2) },
	                               { CEDAR_STR("b"), number(3) } };
	AUTO(arena) *arena = NULL;
	cr_assert_eq(arena_new(MIB, &arena, &err), 0);
	cr_assert_eq(cedar_record_new(arena, twice, 3, &record, &err), E_INVALID);
	struct cedar_field once[] = { { CEDAR_STR("b"), number(1) }, { CEDAR_STR("a"),
		number(2) } };
	cr_assert_eq(cedar_record_new(arena, once, 2, &record, &err), 0);
	cr_expect_eq(cedar_record_get(record, CEDAR_STR("a"))->i, 2);
	cr_expect_null(cedar_record_get(record, CEDAR_STR("c")));
}

Test(cedar_value, tells_entities_apart_by_type_and_by_id)
{
	struct cedar_uid a, b, c, d;
	cedar_uid_init(&a, CEDAR_STR("User"), CEDAR_STR("x\0y"));
	cedar_uid_init(&b, CEDAR_STR("User"), CEDAR_STR("x\0y"));
	cedar_uid_init(&c, CEDAR_STR("User"), CEDAR_STR("x\0z"));
	cedar_uid_init(&d, CEDAR_STR("Userx"), CEDAR_STR("\0y"));
	cr_expect(cedar_uid_equal(&a, &b));
	cr_expect(!cedar_uid_equal(&a, &c));
	cr_expect(!cedar_uid_equal(&a, &d));
}

struct text_case { const char *text; int64_t value; bool good; };

static void try_texts(bool (*parse)(struct cedar_str text, int64_t *ret),
		      const struct text_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int64_t value = 0;
		bool good = parse(cedar_str(cases[i].text), &value);
		cr_expect_eq(good, cases[i].good, "%s", cases[i].text);
		if (good && cases[i].good)
			cr_expect_eq(value, cases[i].value, "%s: %lld", cases[i].text,
			             (long long)value);
	}
}

Test(cedar_number, reads_decimals_to_four_places_and_within_64_bits)
{
	static const struct text_case cases[] = {
		{ "1.2", 12000, true }, { "-0.0001", -1, true }, { "-0.5", -5000, true },
		{ "00012.3400", 123400, true }, { "922337203685477.5807", INT64_MAX, true },
		{ "-922337203685477.5808", INT64_MIN, true },
		{ "922337203685477.5808", 0, false }, { "-922337203685477.5809", 0, false },
		{ "1", 0, false }, { "1.", 0, false }, { ".1", 0, false }, { "1.23456", 0, false },
		{ "+1.0", 0, false }, { "1.0 ", 0, false }, { "", 0, false }, { "-", 0, false },
		{ "99999999999999999999.0", 0, false }, { "1.-1", 0, false },
	};
	try_texts(cedar_decimal_parse, cases, ARRAY_LEN(cases));
}

Test(cedar_number, reads_datetimes_with_their_zone)
{
	static const struct text_case cases[] = {
		{ "1970-01-01", 0, true }, { "1969-12-31", -86400000, true },
		{ "2024-02-29", 1709164800000, true }, { "2023-02-29", 0, false },
		{ "1900-02-29", 0, false }, { "2000-02-29", 951782400000, true },
		{ "1970-01-01T00:00:01Z", 1000, true }, { "1970-01-01T00:00:00.123Z", 123, true },
		{ "1970-01-01T01:00:00+0100", 0, true }, { "1970-01-01T00:00:00.001-0130", 5400001,
		true },
		{ "0000-01-01", -62167219200000, true }, { "9999-12-31T23:59:59.999Z",
		253402300799999, true },
		{ "1970-01-01T00:00:60Z", 0, false }, { "1970-01-01T24:00:00Z", 0, false },
		{ "1970-01-01T00:00:00", 0, false }, { "1970-01-01T00:00:00.12Z", 0, false },
		{ "1970-01-01T00:00:00+2400", 0, false }, { "1970-01-01T00:00:00+0060", 0, false },
		{ "1970-00-01", 0, false }, { "1970-01-32", 0, false }, { "1970-13-01", 0, false },
		{ "1970-1-1", 0, false }, { "1970-01-01Z", 0, false }, { "", 0, false },
	};
	try_texts(cedar_datetime_parse, cases, ARRAY_LEN(cases));
}

Test(cedar_number, reads_durations_in_order_of_their_units)
{
	static const struct text_case cases[] = {
		{ "1d2h3m4s5ms", 93784005, true }, { "5ms", 5, true }, { "5m", 300000, true },
		{ "-1h", -3600000, true }, { "0ms", 0, true }, { "3m5ms", 180005, true },
		{ "9223372036854775807ms", INT64_MAX, true },
		{ "-9223372036854775808ms", INT64_MIN, true },
		{ "9223372036854775808ms", 0, false }, { "106751991168d", 0, false },
		{ "", 0, false }, { "-", 0, false }, { "5", 0, false }, { "5s3m", 0, false },
		{ "1h1h", 0, false }, { "1d ", 0, false }, { "ms", 0, false }, { "1x", 0, false },
	};
	try_texts(cedar_duration_parse, cases, ARRAY_LEN(cases));
}

static bool good_ip(const char *text)
{
	struct cedar_ip ip;
	return cedar_ip_parse(cedar_str(text), &ip);
}

Test(cedar_ip, takes_only_canonical_addresses)
{
	static const char *const good[] = { "1.2.3.4", "0.0.0.0/0", "10.0.0.0/8", "::", "::1/128",
		"ff00::/8", "1:2:3:4:5:6:7:8", "2001:DB8::/32" };
	static const char *const bad[] = { "", "1.2.3", "01.2.3.4", "1.2.3.04", "1.2.3.4/33",
		"1.2.3.4/08", "1.2.3.4/", "/8", "::ffff:1.2.3.4", "::1/129", "1.2.3.4/+8", "g::",
		"1.2.3.4 ", "fe80::1%eth0", "1.2.3.4/8/8" };
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		cr_expect(good_ip(good[i]), "%s", good[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_expect(!good_ip(bad[i]), "%s", bad[i]);
}

static bool in_range(const char *a, const char *b)
{
	struct cedar_ip ip, range;
	cr_assert(cedar_ip_parse(cedar_str(a), &ip) && cedar_ip_parse(cedar_str(b), &range));
	return cedar_ip_in_range(&ip, &range);
}

Test(cedar_ip, compares_ranges_bit_by_bit)
{
	cr_expect(in_range("10.1.2.3", "10.0.0.0/8"));
	cr_expect(in_range("10.0.0.0/8", "10.0.0.0/8"));
	cr_expect(!in_range("10.0.0.0/7", "10.0.0.0/8"));
	cr_expect(in_range("192.168.1.127", "192.168.1.0/25"));
	cr_expect(!in_range("192.168.1.128", "192.168.1.0/25"));
	cr_expect(in_range("1.2.3.4", "0.0.0.0/0"));
	cr_expect(!in_range("1.2.3.4", "::/0"));
	cr_expect(in_range("2001:db8::1", "2001:db8::/32"));
	cr_expect(!in_range("2001:db9::1", "2001:db8::/32"));
}

Test(cedar_function, is_found_by_its_exact_name)
{
	cr_expect_not_null(cedar_function_find(CEDAR_STR("isInRange")));
	cr_expect_null(cedar_function_find(CEDAR_STR("isinrange")));
	cr_expect_null(cedar_function_find(CEDAR_STR("")));
	cr_expect(cedar_function_makes(cedar_function_find(CEDAR_STR("ip"))));
	cr_expect(!cedar_function_makes(cedar_function_find(CEDAR_STR("toDate"))));
}
