/* test_err.c - codes and sentences. */
#include "common/defs.h"
#include "common/err.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

Test(err, fills_code_and_sentence_in_one_statement)
{
	struct err err;
	cr_expect_eq(err_set(&err, E_QUOTA, "asked %d, %d left", 3, 2), E_QUOTA);
	cr_expect_eq(err.code, E_QUOTA);
	cr_expect_str_eq(err.text, "asked 3, 2 left");
	cr_expect_eq(err_set(NULL, E_DENIED, "no"), E_DENIED);
}

Test(err, prefixes_and_keeps_the_code)
{
	struct err err;
	err_set(&err, E_INPUT, "column 3 is no number");
	cr_expect_eq(err_prefix(&err, "file %s", "a.csv"), E_INPUT);
	cr_expect_str_eq(err.text, "file a.csv: column 3 is no number");
	cr_expect_lt(err_prefix(NULL, "x"), 0);
}

Test(err, cuts_what_is_too_long)
{
	struct err err;
	char text[2 * sizeof err.text];
	memset(text, 'a', sizeof text - 1);
	text[sizeof text - 1] = 0;
	err_set(&err, E_INVALID, "%s", text);
	cr_expect_eq(strlen(err.text), sizeof err.text - 1);
	err_prefix(&err, "%s", text);
	cr_expect_eq(strlen(err.text), sizeof err.text - 1);
	err_errno(&err, EIO, "%s", text);
	cr_expect_eq(strlen(err.text), sizeof err.text - 1);
}

Test(err, sorts_errno_into_codes)
{
	struct err err;
	cr_expect_eq(err_errno(&err, ENOSPC, "write"), E_NO_SPACE);
	cr_expect_eq(err_errno(&err, EDQUOT, "write"), E_NO_SPACE);
	cr_expect_eq(err_errno(&err, ENOENT, "open"), E_NOT_FOUND);
	cr_expect_eq(err_errno(&err, ENOMEM, "open"), E_NOMEM);
	cr_expect_eq(err_errno(&err, EIO, "read %s", "x"), E_IO);
	cr_expect_not_null(strstr(err.text, "read x: "));
	cr_expect_eq(err_errno(NULL, EIO, "read"), E_IO);
}

Test(err, has_a_name_a_status_and_a_title_for_every_row)
{
	int count = 0;
	for (int code = E_FIRST_ + 1; code < E_END_; code++, count++) {
		cr_expect_eq(err_by_name(err_name(code)), code);
		cr_expect(err_http(code) >= 400 && err_http(code) < 600);
		cr_expect_str_neq(err_title(code), "unknown error");
		cr_expect_lt(code, 0);
	}
	cr_expect_gt(count, 20);
	cr_expect_str_eq(err_name(-5), "UNKNOWN");
	cr_expect_eq(err_http(-5), 500);
	cr_expect_eq(err_by_name("NO_SUCH"), E_INTERNAL);
	cr_expect_eq(err_by_name(NULL), E_INTERNAL);
	cr_expect(err_retryable(E_UNAVAILABLE));
	cr_expect_not(err_retryable(E_DENIED));
	cr_expect_not(err_retryable(-5));
}

Test(err, require_aborts_on_a_bug, .signal = SIGABRT)
{
	REQUIRE(1 + 1 == 3);
}
