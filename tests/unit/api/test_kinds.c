/* test_kinds.c - the table of kinds holds together. */
#include "common/defs.h"
#include "api/kinds.h"

#include "common/json.h"
#include "common/text.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

Test(kinds, are_found_by_the_name_in_manifests_in_refs_and_in_paths)
{
	for (int i = 0; i < KIND_COUNT_; i++) {
		cr_expect_eq((int)kind_by_name(kind_info[i].kind), i);
		cr_expect_eq((int)kind_by_name(kind_info[i].name), i);
		cr_expect_eq((int)kind_by_plural(kind_info[i].plural), i);
	}
	cr_expect_eq(kind_by_name("Nothing"), KIND_NONE);
	cr_expect_eq(kind_by_name(NULL), KIND_NONE);
	cr_expect_eq(kind_by_plural("dataset"), KIND_NONE);
	cr_expect_eq(kind_by_plural(NULL), KIND_NONE);
}

Test(kinds, have_names_that_differ_from_all_others)
{
	for (int i = 0; i < KIND_COUNT_; i++) {
		for (int j = 0; j < i; j++) {
			cr_expect_str_neq(kind_info[i].kind, kind_info[j].kind);
			cr_expect_str_neq(kind_info[i].name, kind_info[j].name);
			cr_expect_str_neq(kind_info[i].plural, kind_info[j].plural);
		}
		cr_expect_eq(name_check("kind", kind_info[i].name, NULL), 0);
	}
}

static void expect_sound(const char *kind, const struct field *table)
{
	for (; table->name; table++) {
		cr_expect(table->doc && *table->doc, "%s.%s has no meaning", kind, table->name);
		bool refers = table->kind == FIELD_REF || table->kind == FIELD_REFS;
		cr_expect(!refers || kind_by_name(table->arg) != KIND_NONE,
		          "%s.%s refers to no kind", kind, table->name);
		bool chooses = table->kind == FIELD_ENUM || table->kind == FIELD_ENUMS;
		cr_expect(!chooses || (table->arg && *table->arg), "%s.%s has no choices", kind,
		          table->name);
		bool nests = table->kind == FIELD_OBJECTS || table->kind == FIELD_OBJECT;
		cr_expect(table->sub ? nests : table->kind != FIELD_OBJECTS, "%s.%s", kind,
		          table->name);
		if (table->sub)
			expect_sound(kind, table->sub);
	}
}

Test(kinds, describe_every_field)
{
	for (int i = 0; i < KIND_COUNT_; i++)
		expect_sound(kind_info[i].kind, kind_info[i].fields);
}

/* What is said of a Dataset's spec; "" when nothing is. */
static const char *verdict(struct arena *arena, const char *spec)
{
	struct err err = { .text = "" };
	struct value *map = NULL;
	cr_assert_eq(json_parse(arena, spec, strlen(spec), &map, &err), 0, "%s", err.text);
	return fields_check(kind_info[KIND_DATASET].fields, map, "spec", &err) == 0 ? "" :
		arena_strdup(arena, err.text);
}

static const char *many_tags(struct arena *arena, int count)
{
	const char *list = "";
	for (int i = 0; i < count; i++)
		list = arena_printf(arena, "%s%s\"t%d\"", list, i ? "," : "", i);
	return arena_printf(arena, "{\"columnTags\":[{\"name\":\"ssn\",\"tags\":[%s]}]}", list);
}

Test(kinds, take_tags_of_datasets_and_columns_as_bounded_lists_of_names)
{
	struct arena *arena = NULL;
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	cr_expect_str_eq(verdict(arena, "{\"tags\":[\"secret\"],\"purposes\":[\"billing\"],"
	                         "\"schema\":[{\"name\":\"a\",\"type\":\"string\","
	                         "\"tags\":[\"pii\"]}]}"), "");
	cr_expect(strstr(verdict(arena, "{\"tags\":[\"Secret!\"]}"), "spec.tags[0]"));
	cr_expect(strstr(verdict(arena, "{\"tags\":[\"pii\",\"pii\"]}"),
	                 "names the same as item 0"));
	cr_expect(strstr(verdict(arena, "{\"columnTags\":[{\"name\":\"ssn\"}]}"),
	                 ".tags: is missing"));
	cr_expect_str_eq(verdict(arena, many_tags(arena, 32)), "");
	cr_expect_str_eq(verdict(arena, many_tags(arena, 33)),
	                 "spec.columnTags[0].tags: has 33 items, at most 32 are allowed");
	arena_free(arena);
}
