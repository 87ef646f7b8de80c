/* test_field.c - fields against their table: what is refused, and in which words. */
#include "common/defs.h"
#include "api/field.h"

#include "common/json.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const struct field column[] = {
	{ FIELD_TEXT, true, "name", "8", NULL, "column name" },
	{ FIELD_TYPE, true, "type", NULL, NULL, "its type" },
	{ FIELD_TEXT, false, NULL, NULL, NULL, NULL }
};
static const struct field table[] = {
	{ FIELD_TEXT, false, "description", NULL, NULL, "text" },
	{ FIELD_NAME, false, "domain", NULL, NULL, "a name" },
	{ FIELD_REF, false, "dataset", "dataset", NULL, "a ref" },
	{ FIELD_INT, false, "rejectLimit", "1000", NULL, "an int" },
	{ FIELD_REAL, false, "ratio", NULL, NULL, "a real" },
	{ FIELD_BOOL, false, "header", NULL, NULL, "a bool" },
	{ FIELD_DURATION, false, "ttl", NULL, NULL, "a duration" },
	{ FIELD_ENUM, false, "format", "csv|jsonl|parquet", NULL, "an enum" },
	{ FIELD_NAMES, false, "names", NULL, NULL, "names" },
	{ FIELD_REFS, true, "inputs", "dataset", NULL, "what is read" },
	{ FIELD_ENUMS, false, "roles", "producer|consumer", NULL, "roles" },
	{ FIELD_OBJECTS, false, "schema", NULL, column, "columns" },
	{ FIELD_SUBJECT, false, "subject", NULL, NULL, "a subject" },
	{ FIELD_SUBJECTS, false, "subjects", NULL, NULL, "subjects" },
	{ FIELD_MAP, false, "labels", NULL, NULL, "labels" },
	{ FIELD_OBJECT, false, "any", NULL, NULL, "anything" },
	{ FIELD_TEXT, false, NULL, NULL, NULL, NULL }
};

static struct arena *arena;

static void begin(void)
{
	struct err err;
	cr_assert_eq(arena_new(8 * MIB, &arena, &err), 0);
}

static void end(void)
{
	arena_free(arena);
}

TestSuite(field, .init = begin, .fini = end);

/* The sentence for `members` beside what is required; "" when they pass. */
static const char *verdict(const char *members)
{
	struct err err = { .text = "" };
	struct value *map = NULL;
	char *text = arena_printf(arena, "{\"inputs\":[\"a\"],%s}", members);
	cr_assert_eq(json_parse(arena, text, strlen(text), &map, &err), 0, "%s", err.text);
	if (fields_check(table, map, "spec", &err) == 0)
		return "";
	cr_assert_eq(err.code, E_INVALID);
	return arena_strdup(arena, err.text);
}

#define REFUSED(members, sentence) cr_expect_str_eq(verdict(members), sentence)
#define ACCEPTED(members) cr_expect_str_eq(verdict(members), "")

Test(field, accepts_each_kind_of_value)
{
	ACCEPTED("\"description\":\"\"");
	ACCEPTED("\"domain\":\"flights\"");
	ACCEPTED("\"dataset\":\"flights\"");
	ACCEPTED("\"dataset\":\"ops.flights\"");
	ACCEPTED("\"rejectLimit\":1000");
	ACCEPTED("\"ratio\":0.5,\"header\":false,\"ttl\":\"1h30m\",\"format\":\"csv\"");
	ACCEPTED("\"names\":[\"a\",\"b\"],\"roles\":[\"consumer\"]");
	ACCEPTED("\"schema\":[{\"name\":\"a\",\"type\":\"int64\"},"
	         "{\"name\":\"b\",\"type\":\"date\"}]");
	ACCEPTED("\"labels\":{\"team\":\"ops\"}");
	ACCEPTED("\"any\":{\"x\":[1,{\"y\":null}]}");
}

Test(field, names_the_unknown_field_and_the_nearest_known_one)
{
	REFUSED("\"schema\":[{\"name\":\"a\",\"type\":\"date\"},{\"name\":\"b\",\"typ\":\"date\"}]",
	        "spec.schema[1].typ: unknown field; did you mean \"type\"?");
	REFUSED("\"rejectlimit\":1", "spec.rejectlimit: unknown field; did you mean "
	        "\"rejectLimit\"?");
	REFUSED("\"TTL\":\"1h\"", "spec.TTL: unknown field; did you mean \"ttl\"?");
	cr_expect(strstr(verdict("\"zzzzzz\":1"), "spec.zzzzzz: unknown field; known here: "
	                 "description, "));
}

Test(field, shows_an_unknown_name_in_print_and_in_part)
{
	REFUSED("\"a\\nb\\u00e9\":1,\"x\":1",
	        "spec.a?b??: unknown field; known here: description, domain, dataset, rejectLimit, "
	        "ratio, header, ttl, format, names, inputs, roles, schema, subject, "
	        "subjects, labels, any");
	char *long_name = arena_alloc(arena, 5000);
	memset(long_name, 'x', 4000);
	const char *text = verdict(arena_printf(arena, "\"%s\":1", long_name));
	cr_expect_lt(strlen(text), 300);
	cr_expect(strstr(text, "unknown field"));
}

Test(field, says_what_type_is_wanted_and_what_came)
{
	REFUSED("\"rejectLimit\":\"12\"", "spec.rejectLimit: must be an integer, not a string");
	REFUSED("\"description\":5", "spec.description: must be a string, not an integer");
	REFUSED("\"header\":\"yes\"", "spec.header: must be true or false, not a string");
	REFUSED("\"schema\":{}", "spec.schema: must be a list, not a map");
	REFUSED("\"schema\":[5]", "spec.schema[0]: must be a map, not an integer");
	REFUSED("\"names\":\"a\"", "spec.names: must be a list, not a string");
	REFUSED("\"names\":[1]", "spec.names[0]: must be a name, not an integer");
	REFUSED("\"labels\":{\"a\":1}", "spec.labels.a: must be a string, not an integer");
	REFUSED("\"ttl\":90", "spec.ttl: must be a duration such as \"24h\", not an integer");
	REFUSED("\"any\":[]", "spec.any: must be a map, not a list");
	cr_expect(strstr(verdict("\"ratio\":null"), "spec.ratio: must be a number, not "));
}

Test(field, holds_texts_and_numbers_to_their_bounds)
{
	REFUSED("\"schema\":[{\"name\":\"123456789\",\"type\":\"date\"}]",
	        "spec.schema[0].name: has 9 bytes, at most 8 are allowed");
	REFUSED("\"schema\":[{\"name\":\"\",\"type\":\"date\"}]",
	        "spec.schema[0].name: must not be empty");
	REFUSED("\"rejectLimit\":-1", "spec.rejectLimit: must not be negative");
	REFUSED("\"rejectLimit\":1001", "spec.rejectLimit: must be at most 1000");
	REFUSED("\"ttl\":\"soon\"", "spec.ttl: must be a duration such as \"90s\", \"15m\", "
	        "\"24h\" or \"1h30m\"");
}

Test(field, lists_the_choices_and_the_nearest_one)
{
	REFUSED("\"format\":\"cvs\"", "spec.format: must be csv, jsonl or parquet; did you mean "
	        "\"csv\"?");
	REFUSED("\"format\":\"xml\"", "spec.format: must be csv, jsonl or parquet");
	REFUSED("\"roles\":[\"consumer\",\"producr\"]",
	        "spec.roles[1]: must be producer or consumer; did you mean \"producer\"?");
	cr_expect(strstr(verdict("\"schema\":[{\"name\":\"a\",\"type\":\"int65\"}]"),
	                 "spec.schema[0].type: must be boolean, int32, int64, "));
}

Test(field, refuses_references_that_are_no_names)
{
	const char *bad[] = { "A", "a.", ".a", "a.b.c", "a b", "", "-a", "a-" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const char *text = verdict(arena_printf(arena, "\"dataset\":\"%s\"", bad[i]));
		cr_expect(strstr(text, "spec.dataset: must name one dataset, as NAME or "
		                 "DOMAIN.NAME"),
		          "\"%s\" gave: %s", bad[i], text);
	}
	cr_expect(strstr(verdict("\"domain\":\"Flights\""), "spec.domain must begin with a letter "
	                 "a-z"));
}

Test(field, refuses_lists_that_name_something_twice)
{
	REFUSED("\"names\":[\"a\",\"b\",\"a\"]", "spec.names[2]: names the same as item 0; leave "
	        "one out");
	REFUSED("\"schema\":[{\"name\":\"a\",\"type\":\"date\"},"
	        "{\"name\":\"A\",\"type\":\"date\"}]",
	        "spec.schema[1]: names the same as item 0 (case does not count); leave one out");
}

Test(field, bounds_the_length_of_lists)
{
	char *list = arena_alloc(arena, 16 * (FIELD_LIST_MAX + 1));
	size_t n = 0;
	for (int i = 0; i <= FIELD_LIST_MAX; i++)
		n += (size_t)sprintf(list + n, "%s\"n%d\"", i ? "," : "", i);
	REFUSED(arena_printf(arena, "\"names\":[%s]", list),
	        "spec.names: has 1025 items, at most 1024 are allowed");
	*strrchr(list, ',') = 0;
	ACCEPTED(arena_printf(arena, "\"names\":[%s]", list));
}

Test(field, asks_for_what_is_required)
{
	struct err err;
	struct value *map = value_map(arena);
	cr_assert_eq(fields_check(table, map, "spec", &err), E_INVALID);
	cr_expect_str_eq(err.text, "spec.inputs: is missing; it is required (what is read)");
	cr_assert_eq(fields_check(table, NULL, "", &err), E_INVALID);
	cr_expect_str_eq(err.text, "inputs: is missing; it is required (what is read)");
	value_set(map, "inputs", value_list(arena));
	cr_assert_eq(fields_check(table, map, "spec", &err), E_INVALID);
	cr_expect_str_eq(err.text, "spec.inputs: must have at least one item");
	REFUSED("\"schema\":[{\"name\":\"a\"}]",
	        "spec.schema[0].type: is missing; it is required (its type)");
}

Test(field, never_repeats_a_value)
{
	const char *text[] = {
		verdict("\"format\":\"hunter2\""), verdict("\"domain\":\"Hunter2\""),
		verdict("\"dataset\":\"hunter2!\""), verdict("\"ttl\":\"hunter2\""),
		verdict("\"schema\":[{\"name\":\"a\",\"type\":\"hunter2\"}]"),
	};
	for (size_t i = 0; i < ARRAY_LEN(text); i++) {
		cr_expect(*text[i]);
		cr_expect_not(strcasestr(text[i], "hunter2"), "%s", text[i]);
	}
}

Test(field, knows_column_types_and_their_sql)
{
	char sql[32];
	cr_expect_str_eq(field_type_sql("int64", sql), "BIGINT");
	cr_expect_str_eq(field_type_sql("decimal(12,2)", sql), "DECIMAL(12,2)");
	cr_expect_str_eq(field_type_sql("decimal(38,38)", sql), "DECIMAL(38,38)");
	const char *bad[] = {
		"", "INT64", "decimal", "decimal(0,0)", "decimal(39,1)", "decimal(4,5)",
		"decimal(04,2)", "decimal( 4,2)", "decimal(4,2) ", "decimal(-4,2)", "decimal(4,2",
		"decimal(+4,2)", "int64;"
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_expect_not(field_type_valid(bad[i]), "%s", bad[i]);
	cr_expect_not(field_type_valid(NULL));
}

Test(field, writes_a_json_schema_of_a_table)
{
	struct err err;
	struct value *schema = NULL;
	AUTO_BUF out;
	buf_init(&out, 64 * KIB);
	fields_schema(table, &out);
	cr_assert_eq(buf_check(&out, &err), 0);
	cr_assert_eq(json_parse(arena, (char *)out.data, out.len, &schema, &err), 0, "%s",
	             err.text);
	cr_expect_str_eq(value_get_str(schema, "type"), "object");
	cr_expect_eq(value_get_bool(schema, "additionalProperties", true), false);
	cr_expect_str_eq(value_as_str(value_at(value_get(schema, "required"), 0)), "inputs");
	cr_expect_eq(value_len(value_get(schema, "required")), 1);
	const struct value *properties = value_get(schema, "properties");
	cr_expect_eq(value_len(properties), ARRAY_LEN(table) - 1);
	const struct value *items = value_get(value_get(properties, "schema"), "items");
	cr_expect_eq(value_len(value_get(items, "required")), 2);
	const struct value *format = value_get(properties, "format");
	cr_expect_eq(value_len(value_get(format, "enum")), 3);
	cr_expect_eq(value_get_int(value_get(properties, "rejectLimit"), "maximum", 0), 1000);
}

Test(field, a_subject_is_a_principal_or_a_group)
{
	ACCEPTED("\"subject\":\"ann\",\"subjects\":[\"ann\",\"group:crew\"]");
	cr_expect_str_neq(verdict("\"subject\":\"group:\""), "");
	cr_expect_str_neq(verdict("\"subject\":\"Group:crew\""), "");
	cr_expect_str_neq(verdict("\"subjects\":[\"group:crew/x\"]"), "");
	cr_expect_str_neq(verdict("\"subjects\":[\"ann\",\"ann\"]"), "");
	cr_expect_str_neq(verdict("\"subjects\":[7]"), "");
}
