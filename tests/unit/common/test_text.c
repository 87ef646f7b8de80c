/* test_text.c - names, identifiers, encodings. */
#include "common/defs.h"
#include "common/text.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

Test(text, accepts_names_by_the_rule)
{
	struct err err;
	char longest[NAME_MAX_LEN + 2];
	memset(longest, 'a', sizeof longest);
	longest[NAME_MAX_LEN] = 0;
	static const char *const good[] = { "a", "a1", "orders-2", "a_", "a--b" };
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		cr_expect_eq(name_check("name", good[i], &err), 0, "%s", good[i]);
	cr_expect_eq(name_check("name", longest, &err), 0);
	longest[NAME_MAX_LEN] = 'a';
	longest[NAME_MAX_LEN + 1] = 0;
	cr_expect_eq(name_check("name", longest, &err), E_INVALID);
	static const char *const bad[] = { "", "1a", "-a", "a-", "A", "a.b", "a b", "\xc3\xa9",
	                                   "a/b", "_a" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_expect_eq(name_check("name", bad[i], &err), E_INVALID, "%s", bad[i]);
	cr_expect_eq(name_check("metadata.name", NULL, &err), E_INVALID);
	cr_expect_not_null(strstr(err.text, "metadata.name"));
}

Test(text, finds_the_name_that_was_meant)
{
	static const char *const fields[] = { "schedule", "source", "entity" };
	cr_expect_str_eq(name_nearest("shcedule", fields, 3), "schedule");
	cr_expect_str_eq(name_nearest("sorce", fields, 3), "source");
	cr_expect_str_eq(name_nearest("entitys", fields, 3), "entity");
	cr_expect_null(name_nearest("banana", fields, 3));
	cr_expect_null(name_nearest("", fields, 3));
	cr_expect_null(name_nearest("source", NULL, 0));
	char very_long[200];
	memset(very_long, 'x', sizeof very_long);
	very_long[199] = 0;
	cr_expect_null(name_nearest(very_long, fields, 3));
}

Test(text, makes_ulids_that_sort_by_time)
{
	char id[ID_LEN + 1], later[ID_LEN + 1];
	uint8_t ones[10], zeros[10] = { 0 };
	memset(ones, 0xff, sizeof ones);
	id_make(1469918176385, ones, id);
	cr_expect_str_eq(id, "01aryz6s41zzzzzzzzzzzzzzzz");   /* the time of the spec's example */
	id_make(1469918176386, zeros, later);
	cr_expect_lt(strcmp(id, later), 0);
	cr_expect(id_valid(id));
	id_make((int64_t)0xffffffffffff, ones, id);
	cr_expect_str_eq(id, "7zzzzzzzzzzzzzzzzzzzzzzzzz");
	cr_expect_not(id_valid("81aryz6s41zzzzzzzzzzzzzzzz"));
	cr_expect_not(id_valid("01aryz6s41zzzzzzzzzzzzzzz"));
	cr_expect_not(id_valid("01aryz6s41zzzzzzzzzzzzzzzzz"));
	cr_expect_not(id_valid("01ARYZ6s41zzzzzzzzzzzzzzzz"));
	cr_expect_not(id_valid("01aryz6s41zzzzzzzuzzzzzzzz"));
	cr_expect_not(id_valid(NULL));
}

/* RFC 4648, section 10. */
static const struct { const char *plain, *encoded; } vectors[] = {
	{ "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" },
	{ "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" },
};

Test(text, encodes_base64_as_the_rfc_does)
{
	struct err err;
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		AUTO_BUF out;
		AUTO_BUF back;
		buf_init(&out, 100);
		buf_init(&back, 100);
		base64_print(vectors[i].plain, strlen(vectors[i].plain), &out);
		cr_assert_eq(buf_check(&out, &err), 0);
		cr_expect_str_eq((char *)out.data, vectors[i].encoded);
		cr_assert_eq(base64_parse((char *)out.data, out.len, &back, &err), 0);
		cr_assert_eq(buf_check(&back, &err), 0);
		cr_expect_str_eq((char *)back.data, vectors[i].plain);
	}
}

Test(text, encodes_base64url_without_padding)
{
	struct err err;
	uint8_t data[256];
	for (int i = 0; i < 256; i++)
		data[i] = (uint8_t)(255 - i);
	for (size_t len = 0; len <= sizeof data; len++) {
		AUTO_BUF out;
		AUTO_BUF back;
		buf_init(&out, 1000);
		buf_init(&back, len);
		base64url_print(data, len, &out);
		cr_assert_eq(buf_check(&out, &err), 0);
		cr_assert_null(strpbrk((char *)out.data, "+/="));
		cr_assert_eq(base64url_parse((char *)out.data, out.len, &back, &err), 0);
		cr_assert_eq(back.len, len);
		cr_assert(len == 0 || memcmp(back.data, data, len) == 0);
	}
}

Test(text, refuses_base64_that_no_encoder_makes)
{
	struct err err;
	static const char *const bad[] = { "Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==",
	                                   "Zm 9v", "Zm9v\n", "Zm9-", "Zm9_", "=", "Zg=a" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO_BUF out;
		buf_init(&out, 100);
		int rc = base64_parse(bad[i], strlen(bad[i]), &out, &err);
		cr_expect_eq(rc, E_INVALID, "%s", bad[i]);
		cr_expect_eq(out.len, 0);
	}
	static const char *const bad_url[] = { "Zg==", "Z", "Zh", "Zm9+", "Zm9/" };
	for (size_t i = 0; i < ARRAY_LEN(bad_url); i++) {
		AUTO_BUF out;
		buf_init(&out, 100);
		int rc = base64url_parse(bad_url[i], strlen(bad_url[i]), &out, &err);
		cr_expect_eq(rc, E_INVALID, "%s", bad_url[i]);
	}
	AUTO_BUF small;
	buf_init(&small, 2);
	cr_expect_eq(base64_parse("Zm9v", 4, &small, &err), E_TOO_LARGE);
}

Test(text, prints_hex)
{
	char out[9];
	hex_print("\x00\x9f\xff\x10", 4, out);
	cr_expect_str_eq(out, "009fff10");
	hex_print(NULL, 0, out);
	cr_expect_str_eq(out, "");
}

Test(text, knows_utf8_from_what_looks_like_it)
{
	static const char *const good[] = { "", "ascii only, longer than eight", "\xc2\x80",
		"\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf",
		"\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "1234567\xc3\xa9" };
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		cr_expect(utf8_valid(good[i], strlen(good[i])), "good %zu", i);
	static const char *const bad[] = { "\x80", "\xc0\x80", "\xc1\xbf", "\xc3", "\xe0\x9f\xbf",
		"\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80",
		"\xff", "12345678\xe2\x82", "\xe2\x82" "a" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_expect_not(utf8_valid(bad[i], strlen(bad[i])), "bad %zu", i);
}
