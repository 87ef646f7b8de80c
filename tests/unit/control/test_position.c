/* A place in a journal and its key. */
#include "common/defs.h"
#include "control/position.h"

#include <criterion/criterion.h>
#include <string.h>

Test(position, its_key_sorts_as_it_does_and_reads_back)
{
	static const struct position in_order[] = {
		{ 1, 0 }, { 1, 9 }, { 1, 16 }, { 2, 0 }, { 255, 3 }, { INT64_MAX, UINT64_MAX },
	};
	char key[JOURNAL_KEY_MAX], before[JOURNAL_KEY_MAX] = "";
	for (size_t i = 0; i < ARRAY_LEN(in_order); i++) {
		struct position back = { 0 };
		struct err err = { 0 };
		position_key("journal/0/", &in_order[i], key);
		cr_assert_gt(strcmp(key, before), 0);
		cr_assert_eq(position_read("journal/0/", key, &back, &err), 0, "%s", err.text);
		cr_assert_eq(position_compare(&back, &in_order[i]), 0);
		if (i > 0)
			cr_assert_lt(position_compare(&in_order[i - 1], &in_order[i]), 0);
		strcpy(before, key);
	}
}

Test(position, what_is_no_key_of_the_journal_is_refused)
{
	static const char *const bad[] = {
		"journal/0/", "journal/1/0000000000000001-0000000000000000",
		"journal/0/1-0", "journal/0/0000000000000001-000000000000000",
		"journal/0/0000000000000001-0000000000000000x",
		"journal/0/0000000000000000-0000000000000000",
		"journal/0/8000000000000000-0000000000000000",
		"journal/0/000000000000000A-0000000000000000",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct position position = { 7, 7 };
		struct err err = { 0 };
		cr_assert_eq(position_read("journal/0/", bad[i], &position, &err), E_CORRUPT,
		             "%s", bad[i]);
		cr_assert_eq(position.epoch, 7);
	}
}
