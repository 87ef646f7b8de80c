/* test_percent.c - what a URL may hold, decoded. */
#include "common/defs.h"
#include "api/percent.h"

#include <criterion/criterion.h>

Test(percent, what_is_encoded_is_decoded_and_the_rest_left_alone)
{
	AUTO(arena) *arena = NULL;
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	cr_expect_str_eq(percent_decode(arena, "/plain/text+"), "/plain/text+");
	cr_expect_str_eq(percent_decode(arena, "%2fa%20%C3%a9%25"), "/a \xc3\xa9%");
}

Test(percent, what_is_broken_or_no_text_is_refused)
{
	static const char *const broken[] = { "%", "%2", "%2g", "%g2", "%00", "%ff", "\xff",
		                              "a%c3" };
	AUTO(arena) *arena = NULL;
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(broken); i++)
		cr_expect_null(percent_decode(arena, broken[i]), "%s", broken[i]);
}
