/* test_attributes.c - which attributes a principal may have. */
#include "common/defs.h"
#include "policy/attributes.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct arena *arena;
static struct err err;

static void setup(void)
{
	cr_assert_eq(arena_new(MIB, &arena, &err), 0);
}
static void teardown(void)
{
	arena_free(arena);
}
TestSuite(attributes, .init = setup, .fini = teardown);

Test(attributes, have_names_that_a_policy_can_ask_for)
{
	static const char *const good[] = { "region", "_a", "cost_center", "Level3", "action" };
	static const char *const bad[] = { "",    "3d",     "cost-center", "a b",  "tenant",
		                           "has", "strength", "name",      "\xc3\xa4", "in",
		                           "strenght", "tenants" };
	char longest[ATTRIBUTE_NAME_MAX + 2];
	memset(longest, 'a', sizeof longest - 1);
	longest[sizeof longest - 1] = 0;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		cr_expect(attribute_name_fits(good[i]), "%s", good[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_expect(!attribute_name_fits(bad[i]), "%s", bad[i]);
	cr_expect(!attribute_name_fits(longest));
	cr_expect(attribute_name_fits(longest + 1));
}

Test(attributes, are_few_and_short_texts)
{
	char name[16], text[ATTRIBUTE_TEXT_MAX + 2];
	struct value *many = value_map(arena), *one = value_map(arena);
	for (int i = 0; i < ATTRIBUTES_MAX; i++) {
		snprintf(name, sizeof name, "a%d", i);
		value_set_str(many, name, "x");
	}
	cr_expect_eq(attributes_check(NULL, "spec.attributes", &err), 0);
	cr_expect_eq(attributes_check(many, "spec.attributes", &err), 0, "%s", err.text);
	value_set_str(many, "more", "x");
	cr_expect_eq(attributes_check(many, "spec.attributes", &err), E_INVALID);
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = 0;
	value_set_str(one, "region", text + 1);
	cr_expect_eq(attributes_check(one, "spec.attributes", &err), 0, "%s", err.text);
	value_set_str(one, "region", text);
	cr_expect_eq(attributes_check(one, "spec.attributes", &err), E_INVALID);
	cr_expect_not_null(strstr(err.text, "spec.attributes.region"), "%s", err.text);
	value_set_int(one, "region", 3);
	cr_expect_eq(attributes_check(one, "spec.attributes", &err), E_INVALID);
}
