/* test_sql_walk.c - a walk that does not know what a name stands for says so. */
#include "common/defs.h"
#include "worker/sql_walk.h"

#include <criterion/criterion.h>

static int walk(const char *expression, int lambdas)
{
	struct arena *arena = NULL;
	struct sql_inputs inputs;
	struct sql_node *tree = NULL;
	struct sql_scope scope = { 0 };
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	cr_assert_eq(sql_inputs_new(arena, NULL, &inputs, NULL), 0);
	cr_assert_eq(sql_tree_read(arena, expression, &tree, NULL), 0);
	struct sql_walk walk = { .inputs = &inputs, .lambdas = lambdas };
	int rc = sql_walk_expression(&walk, tree, &scope, NULL, sql_set_new(&inputs), NULL);
	arena_free(arena);
	return rc;
}

Test(sql_walk, a_name_without_a_meaning_is_not_guessed_but_a_lambdas_parameter_is_none)
{
	static const char name[] = "{\"class\":\"COLUMN_REF\",\"column_names\":[\"x\"]}";
	cr_expect_eq(walk(name, 0), E_INVALID);
	cr_expect_eq(walk(name, 1), 0);
	cr_expect_eq(walk("{\"class\":\"CONSTANT\"}", 0), 0);
	cr_expect_eq(walk("{\"node\":{\"from_table\":{}}}", 0), E_INVALID);
}
