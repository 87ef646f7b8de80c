/* test_sql_scope.c - sets of columns, and what names stand for. */
#include "common/defs.h"
#include "worker/sql_scope.h"

#include "common/json.h"

#include <criterion/criterion.h>
#include <string.h>

static struct sql_inputs inputs_of(struct arena *arena, const char *text)
{
	struct sql_inputs inputs;
	struct value *tables = NULL;
	cr_assert_eq(json_parse(arena, text, strlen(text), &tables, NULL), 0);
	cr_assert_eq(sql_inputs_new(arena, tables, &inputs, NULL), 0);
	return inputs;
}

Test(sql_scope, an_input_is_found_in_its_own_domain_first_and_elsewhere_if_it_is_the_only_one)
{
	struct arena *arena = NULL;
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	struct sql_inputs inputs = inputs_of(
		arena, "[{\"domain\":\"a\",\"name\":\"t\"},{\"domain\":\"b\",\"name\":\"t\"},"
		       "{\"domain\":\"b\",\"name\":\"u\"}]");
	cr_expect_eq(sql_inputs_find(&inputs, "a", "", "T"), &inputs.items[0]);
	cr_expect_eq(sql_inputs_find(&inputs, "a", "B", "t"), &inputs.items[1]);
	cr_expect_eq(sql_inputs_find(&inputs, "a", NULL, "u"), &inputs.items[2]);
	cr_expect_null(sql_inputs_find(&inputs, "c", "", "t"));
	cr_expect_null(sql_inputs_find(&inputs, "a", "", "v"));
	arena_free(arena);
}

Test(sql_scope, a_name_that_could_be_several_things_is_all_of_them)
{
	struct arena *arena = NULL;
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	struct sql_inputs inputs = inputs_of(
		arena, "[{\"domain\":\"a\",\"name\":\"t\",\"schema\":[{\"name\":\"x\"},{\"name\":"
		       "\"y\"}]}]");
	struct sql_column columns[] = { { "x", sql_set_new(&inputs), false },
		                        { "t", sql_set_new(&inputs), false } };
	sql_set_bit(columns[0].set, 1);
	sql_set_bit(columns[1].set, 2);
	struct sql_relation relation = { .alias = "t", .columns = columns, .count = 2 };
	struct sql_scope scope = { 0 };
	sql_scope_add(&scope, &relation);
	sql_word *set = sql_set_new(&inputs);
	const char *const names[] = { "T", "X" }, *const none[] = { "z" };
	cr_expect(sql_scope_resolve(&inputs, &scope, names, 2, set));
	cr_expect(sql_set_has(set, 1) && sql_set_has(set, 2));
	cr_expect(sql_set_within(&inputs, columns[0].set, set));
	cr_expect_not(sql_set_within(&inputs, set, columns[0].set));
	cr_expect_not(sql_scope_resolve(&inputs, &scope, none, 1, set));
	arena_free(arena);
}
