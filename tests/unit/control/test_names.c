/* test_names.c - texts that many hold, each kept once. */
#include "common/defs.h"
#include "control/names.h"

#include <criterion/criterion.h>

Test(names, the_same_text_is_kept_once_until_all_have_put_it)
{
	struct names names;
	char text[] = "flights";
	names_init(&names, 3);
	const char *one = names_get(&names, text);
	text[0] = 'x';
	const char *other = names_get(&names, text);
	text[0] = 'f';
	cr_assert_str_eq(one, "flights");
	cr_assert_str_eq(other, "xlights");
	cr_assert_eq(names_get(&names, text), one);
	names_put(&names, one);
	cr_assert_eq(names.map.len, 2);
	cr_assert_str_eq(one, "flights");
	names_put(&names, one);
	cr_assert_eq(names.map.len, 1);
	names_put(&names, NULL);
	names_release(&names);
}
