/* test_schema.c - field tables as JSON schemas, and the words for their kinds. */
#include "common/defs.h"
#include "api/schema.h"

#include <criterion/criterion.h>

static struct arena *arena;

static void begin(void)
{
	struct err err;
	cr_assert_eq(arena_new(MIB, &arena, &err), 0);
}

static void end(void)
{
	arena_free(arena);
}

TestSuite(schema, .init = begin, .fini = end);

Test(schema, of_a_required_text_has_both_bounds)
{
	const struct field field = { FIELD_TEXT, true, "name", "8", NULL, "who" };
	const struct value *schema = schema_of_field(arena, &field);
	cr_expect_str_eq(value_get_str(schema, "type"), "string");
	cr_expect_eq(value_get_int(schema, "minLength", 0), 1);
	cr_expect_eq(value_get_int(schema, "maxLength", 0), 8);
	cr_expect_str_eq(value_get_str(schema, "description"), "who");
}

Test(schema, of_choices_names_them_all)
{
	const struct field field = { FIELD_ENUMS, false, "roles", "a|bc|d", NULL, "which" };
	const struct value *schema = schema_of_field(arena, &field);
	const struct value *choices = value_get(value_get(schema, "items"), "enum");
	cr_assert_eq(value_len(choices), 3);
	cr_expect_str_eq(value_as_str(value_at(choices, 1)), "bc");
	cr_expect_str_eq(schema_kind_text(arena, &field), "any of a/bc/d");
}

Test(schema, of_a_reference_names_the_kind_it_leads_to)
{
	const struct field field = { FIELD_REF, true, "dataset", "dataset", NULL, "which" };
	const struct value *schema = schema_of_field(arena, &field);
	cr_expect_str_eq(value_get_str(schema, "x-freehold-kind"), "dataset");
	cr_expect_str_eq(schema_kind_text(arena, &field), "name of a dataset");
}

Test(schema, leaves_out_an_empty_list_but_not_a_failed_one)
{
	struct value *map = value_map(arena);
	schema_set_list(map, "required", value_list(arena));
	cr_expect_eq(value_len(map), 0);
	cr_expect_eq(value_check(map, NULL), 0);
	schema_set_list(map, "required", NULL);
	cr_expect_eq(value_check(map, NULL), E_NOMEM);
}
