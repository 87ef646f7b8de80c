/* test_framing.c - header lines and targets that could be read in two ways. */
#include "common/defs.h"
#include "api/framing.h"

#include <criterion/criterion.h>
#include <string.h>

struct line { const char *name, *value; };

static int check(const struct line *lines, bool old, struct err *err)
{
	struct framing framing = { 0 };
	for (; lines->name; lines++)
		framing_add(&framing, lines->name, strlen(lines->name), lines->value,
		            strlen(lines->value));
	return framing_check(&framing, old, err);
}

Test(framing, one_reading_only_is_let_pass)
{
	static const struct line fine[][4] = {
		{ { "Host", "h" }, { "Content-Length", "5" } },
		{ { "host", "" }, { "X-A", "a\tb \xc3\xa9" }, { "x-a", "" } },
		{ { "Host", "h" }, { "transfer-encoding", "Chunked" } },
		{ { NULL, NULL } },
	};
	struct err err;
	for (size_t i = 0; i < ARRAY_LEN(fine); i++)
		cr_expect_eq(check(fine[i], false, &err), 0, "%zu: %s", i, err.text);
}

Test(framing, what_has_two_readings_is_refused_with_the_rule)
{
	static const struct { struct line lines[4]; const char *says; } bad[] = {
		{ { { "Content-Length", "5" }, { "content-length", "5" } }, "one Content-Length" },
		{ { { "Content-Length", "5" }, { "Transfer-Encoding", "chunked" } }, "either" },
		{ { { "Transfer-Encoding", "chunked" }, { "Content-Length", "5" } }, "either" },
		{ { { "Transfer-Encoding", "gzip, chunked" } }, "chunked" },
		{ { { "Transfer-Encoding", "identity" } }, "chunked" },
		{ { { "Transfer-Encoding", "" } }, "chunked" },
		{ { { "Transfer-Encoding", "chunked" }, { "Transfer-Encoding", "chunked" } },
		  "said once" },
		{ { { "Host", "a" }, { "HOST", "a" } }, "one Host" },
		{ { { "Content-Length ", "5" } }, "colon" },
		{ { { " X", "5" } }, "colon" },
		{ { { "", "5" } }, "colon" },
		{ { { "X\x01", "5" } }, "colon" },
		{ { { "X", "a\rb" } }, "control" },
		{ { { "X", "a\x7f" } }, "control" },
	};
	struct err err;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cr_expect_eq(check(bad[i].lines, false, &err), E_INVALID, "%zu", i);
		cr_expect(strstr(err.text, bad[i].says), "%zu: %s", i, err.text);
	}
	static const struct line chunks[] = { { "Transfer-Encoding", "chunked" }, { NULL, NULL } };
	cr_expect_eq(check(chunks, true, &err), E_INVALID);
	cr_expect(strstr(err.text, "HTTP/1.0"), "%s", err.text);
}

Test(framing, a_value_with_a_nul_and_a_hundred_and_first_line_are_refused)
{
	struct framing framing = { 0 };
	struct err err;
	framing_add(&framing, "X", 1, "a\0b", 3);
	cr_expect_eq(framing_check(&framing, false, &err), E_INVALID);
	framing = (struct framing){ 0 };
	for (int i = 0; i < FRAMING_HEADERS_MAX; i++)
		framing_add(&framing, "X", 1, "a", 1);
	cr_expect_eq(framing_check(&framing, false, &err), 0);
	framing_add(&framing, "X", 1, "a", 1);
	cr_expect_eq(framing_check(&framing, false, &err), E_INVALID);
}

Test(framing, a_target_is_a_path_whose_slashes_are_slashes)
{
	static const char *const fine[] = { "/", "/a/b", "/a?x=%2F&y=/", "/a%20b", "/a%2" };
	static const char *const bad[] = { "", "*", "a", "http://h/a", "/a%2Fb", "/a%2f", "/a%5cb",
	                                   "/a#b", "/a?x#y" };
	struct err err;
	for (size_t i = 0; i < ARRAY_LEN(fine); i++)
		cr_expect_eq(framing_target(fine[i], &err), 0, "%s", fine[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_expect_eq(framing_target(bad[i], &err), E_INVALID, "%s", bad[i]);
}
