/* test_intents.c - a delete and a write that rest on one thing never both go on. */
#include "common/defs.h"
#include "control/intents.h"

#include <criterion/criterion.h>

struct pair { bool first_deletes, second_deletes; int code; };

Test(intents, let_two_of_one_sort_pass_and_stop_two_of_different_sorts)
{
	static const struct pair pairs[] = {
		{ false, false, 0 }, { true, true, 0 }, { true, false, E_CONFLICT },
		{ false, true, E_CONFLICT },
	};
	static const char *const a[] = { "r/x/1", "r/x/2" }, *const b[] = { "r/x/2" };
	static const char *const other[] = { "r/x/3" };
	struct intents *intents = NULL;
	struct err err = { 0 };
	cr_assert_eq(intents_new(&intents, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		struct intent *one = NULL, *two = NULL, *three = NULL;
		cr_assert_eq(intents_begin(intents, pairs[i].first_deletes, a, 2, &one, &err), 0);
		cr_expect_eq(intents_begin(intents, pairs[i].second_deletes, b, 1, &two, &err),
		             pairs[i].code, "%zu", i);
		cr_expect_eq(
			intents_begin(intents, pairs[i].second_deletes, other, 1, &three, &err), 0);
		intents_end(intents, one);
		intents_end(intents, two);
		intents_end(intents, three);
		cr_expect_eq(intents_begin(intents, pairs[i].second_deletes, b, 1, &two, &err), 0);
		intents_end(intents, two);
	}
	intents_free(intents);
}
