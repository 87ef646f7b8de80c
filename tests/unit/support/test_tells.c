/* test_tells.c - that a word in an id is no word, and every other one is. */
#include "common/defs.h"
#include "tests/support/tells.h"

#include <criterion/criterion.h>

Test(tells, hears_a_word_wherever_it_stands)
{
	cr_expect(tells("acme", "acme"));
	cr_expect(tells("the tenant acme", "acme"));
	cr_expect(tells("acmething/00x3aaa607svrc7kd7b9j7yfp2", "acme"));
	cr_expect(tells_in("\x01\xa4" "acme\0", 7, "acme"));
}

Test(tells, takes_no_word_out_of_an_id)
{
	cr_expect_not(tells("/problems/00x3aaa607svacmed7b9j7yfp2", "acme"));
	cr_expect_not(tells("acme0x3aaa607svrc7kd7b9j7y", "acme"), "nor at its begin");
	cr_expect_not(tells("\"00x3aaa607svrc7kd7b9j7acme\"", "acme"), "nor at its end");
	cr_expect(tells("00x3aaa607svacmed7b9j7yfp2/acme", "acme"), "but what comes after it");
	cr_expect_not(tells(NULL, "acme"));
	cr_expect_not(tells("", "acme"));
}
