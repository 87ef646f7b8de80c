/* test_problem.c - problem documents, there and back. */
#include "common/defs.h"
#include "api/problem.h"

#include "common/json.h"

#include <criterion/criterion.h>
#include <string.h>

Test(problem, document_has_the_members_of_rfc_9457)
{
	struct err err;
	AUTO_BUF out;
	buf_init(&out, 4096);
	err_set(&err, E_QUOTA, "cpuSeconds: asked 60, 12 \"left\"");
	cr_expect_eq(problem_print(&err, "01h2x", &out), 429);
	cr_assert_eq(buf_check(&out, NULL), 0);
	cr_expect_str_eq((char *)out.data,
	                 "{\"type\":\"about:blank#QUOTA\",\"title\":\"a quota is exhausted\","
	                 "\"status\":429,\"detail\":\"cpuSeconds: asked 60, 12 \\\"left\\\"\","
	                 "\"code\":\"QUOTA\",\"instance\":\"01h2x\"}");
}

Test(problem, document_without_a_request_has_no_instance)
{
	struct err err;
	AUTO_BUF out;
	buf_init(&out, 4096);
	err_set(&err, E_NOT_FOUND, "no such thing");
	cr_expect_eq(problem_print(&err, NULL, &out), 404);
	cr_assert_eq(buf_check(&out, NULL), 0);
	cr_expect_null(strstr((char *)out.data, "instance"));
}

Test(problem, document_reads_back_as_the_error_for_every_code)
{
	static const int codes[] = {
#define ERROR(code, http, retry, category, title) E_##code,
#include "common/errors.def"
#undef ERROR
	};
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		struct err err, back = { .code = 0 };
		AUTO_BUF out;
		buf_init(&out, 4096);
		err_set(&err, codes[i], "sentence %zu", i);
		int status = problem_print(&err, "r", &out);
		problem_read((char *)out.data, out.len, status, &back);
		cr_expect_eq(back.code, codes[i]);
		cr_expect_str_eq(back.text, err.text);
	}
}

Test(problem, what_is_no_problem_document_is_told_with_its_status)
{
	static const char *const texts[] = {
		"", "<html>", "{}", "[1]", "{\"code\":\"QUOTA\"}", "{\"code\":5,\"detail\":\"x\"}"
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct err err = { .code = 0 };
		problem_read(texts[i], strlen(texts[i]), 502, &err);
		cr_expect_eq(err.code, E_INTERNAL);
		cr_expect(strstr(err.text, "status 502"), "%s", err.text);
	}
}

Test(problem, a_document_too_long_to_be_one_is_not_parsed)
{
	static char text[256 * 1024];
	memset(text, ' ', sizeof text);
	struct err err = { .code = 0 };
	problem_read(text, sizeof text, 500, &err);
	cr_expect_eq(err.code, E_INTERNAL);
}
