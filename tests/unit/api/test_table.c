/* A dataset's chain of snapshots: appended to, replaced, encoded, and refused when it does not
 * fit. */
#include "common/defs.h"
#include "api/table.h"

#include <criterion/criterion.h>
#include <string.h>

static struct arena *arena_make(void)
{
	struct arena *arena = NULL;
	cr_assert_eq(arena_new(16 * MIB, &arena, NULL), 0);
	return arena;
}

static void add_column(struct arena *arena, struct value *schema, const char *name,
                       const char *type)
{
	struct value *column = value_map(arena);
	value_set_str(column, "name", name);
	value_set_str(column, "type", type);
	value_add(schema, column);
}

static struct value *schema_of(struct arena *arena, const char *a, const char *a_type,
                               const char *b, const char *b_type)
{
	struct value *schema = value_list(arena);
	add_column(arena, schema, a, a_type);
	if (b)
		add_column(arena, schema, b, b_type);
	return schema;
}

static const struct table_file one[] = { { "acme/d/1-1/part-0", 10, 100, 90, NULL } };
static const struct table_file two[] = { { "acme/d/1-2/part-0", 5, 50, 45, NULL } };

static struct snapshot addition(const struct table_file *file, const struct value *schema)
{
	return (struct snapshot) {
		.at_ms = 1000, .task = "01t", .schema = schema, .files = file, .file_count = 1,
	};
}

Test(table, the_first_snapshot_is_number_one_and_an_append_adds_files)
{
	AUTO(arena) *arena = arena_make();
	struct snapshot *first, *second;
	struct snapshot add_one = addition(one, schema_of(arena, "a", "int64", "b", "string"));
	struct snapshot add_two = addition(two, schema_of(arena, "b", "string", "a", "int64"));
	cr_assert_eq(snapshot_next(arena, NULL, false, 0, &add_one, &first, NULL), 0);
	cr_expect_eq(first->id, 1);
	cr_expect_eq(first->parent, 0);
	cr_expect_str_eq(first->operation, "append");
	cr_assert_eq(snapshot_next(arena, first, false, 0, &add_two, &second, NULL), 0);
	cr_expect_eq(second->id, 2);
	cr_expect_eq(second->parent, 1);
	cr_expect_eq(second->file_count, 2);
	cr_expect_eq(second->rows, 15);
	cr_expect_eq(second->bytes, 150);
	cr_expect_eq(second->schema, first->schema, "the dataset's order of columns stays");
}

static int append_with(struct arena *arena, const struct value *schema, struct err *err)
{
	struct snapshot *first, *second;
	struct snapshot add_one = addition(one, schema_of(arena, "a", "int64", "b", "string"));
	struct snapshot add_two = addition(two, schema);
	cr_assert_eq(snapshot_next(arena, NULL, false, 0, &add_one, &first, NULL), 0);
	return snapshot_next(arena, first, false, 0, &add_two, &second, err);
}

Test(table, an_append_with_another_schema_names_the_column)
{
	AUTO(arena) *arena = arena_make();
	struct err err = { 0 };
	cr_expect_eq(append_with(arena, schema_of(arena, "a", "string", "b", "string"), &err),
	             E_INPUT);
	cr_expect_not_null(strstr(err.text, "\"a\" is string, in the dataset it is int64"), "%s",
	                   err.text);
	cr_expect_eq(append_with(arena, schema_of(arena, "a", "int64", "c", "string"), &err),
	             E_INPUT);
	cr_expect_not_null(strstr(err.text, "\"c\" is new"), "%s", err.text);
	cr_expect_eq(append_with(arena, schema_of(arena, "a", "int64", NULL, NULL), &err), E_INPUT);
	cr_expect_not_null(strstr(err.text, "\"b\" of the dataset is missing"), "%s", err.text);
}

Test(table, a_replace_needs_the_snapshot_it_was_built_on)
{
	AUTO(arena) *arena = arena_make();
	struct snapshot *first, *second;
	struct err err = { 0 };
	struct snapshot add_one = addition(one, schema_of(arena, "a", "int64", NULL, NULL));
	struct snapshot add_two = addition(two, schema_of(arena, "z", "date", NULL, NULL));
	cr_assert_eq(snapshot_next(arena, NULL, true, 0, &add_one, &first, NULL), 0);
	cr_expect_eq(snapshot_next(arena, first, true, 0, &add_two, &second, &err), E_CONFLICT);
	cr_assert_eq(snapshot_next(arena, first, true, 1, &add_two, &second, &err), 0, "%s",
	             err.text);
	cr_expect_eq(second->id, 2);
	cr_expect_eq(second->file_count, 1);
	cr_expect_eq(second->rows, 5);
	cr_expect_eq(second->schema, add_two.schema);
}

Test(table, more_files_than_a_table_may_have_are_refused)
{
	AUTO(arena) *arena = arena_make();
	static struct table_file many[TABLE_FILES_MAX];
	struct snapshot *first, *second;
	struct err err = { 0 };
	for (size_t i = 0; i < TABLE_FILES_MAX; i++)
		many[i] = one[0];
	struct snapshot add = addition(many, NULL);
	add.file_count = TABLE_FILES_MAX;
	struct snapshot more = addition(two, NULL);
	cr_assert_eq(snapshot_next(arena, NULL, false, 0, &add, &first, &err), 0, "%s", err.text);
	cr_expect_eq(snapshot_next(arena, first, false, 0, &more, &second, &err), E_TOO_LARGE);
}

Test(table, a_snapshot_comes_back_from_its_bytes)
{
	AUTO(arena) *arena = arena_make();
	AUTO_BUF out;
	buf_init(&out, MIB);
	struct snapshot *first, *got;
	struct err err = { 0 };
	struct snapshot add = addition(one, schema_of(arena, "a", "int64", "b", "string"));
	add.rejected_rows = 2;
	add.rejects_path = "acme/d/1-1/rejects";
	cr_assert_eq(snapshot_next(arena, NULL, false, 0, &add, &first, NULL), 0);
	cr_assert_eq(snapshot_encode(first, &out, &err), 0, "%s", err.text);
	cr_assert_eq(snapshot_decode(arena, out.data, out.len, &got, &err), 0, "%s", err.text);
	cr_expect_eq(got->id, 1);
	cr_expect_eq(got->at_ms, 1000);
	cr_expect_str_eq(got->task, "01t");
	cr_expect_str_eq(got->operation, "append");
	cr_expect(value_equal(got->schema, first->schema));
	cr_expect_str_eq(got->files[0].path, one[0].path);
	cr_expect_eq(got->rows, 10);
	cr_expect_eq(got->rejected_rows, 2);
	cr_expect_str_eq(got->rejects_path, add.rejects_path);
}

Test(table, bytes_whose_totals_are_wrong_or_that_are_cut_are_corrupt)
{
	AUTO(arena) *arena = arena_make();
	AUTO_BUF out;
	buf_init(&out, MIB);
	struct snapshot *first, *got;
	struct snapshot add = addition(one, NULL);
	cr_assert_eq(snapshot_next(arena, NULL, false, 0, &add, &first, NULL), 0);
	first->rows = 11;
	cr_assert_eq(snapshot_encode(first, &out, NULL), 0);
	cr_expect_eq(snapshot_decode(arena, out.data, out.len, &got, NULL), E_CORRUPT);
	for (size_t len = 0; len < out.len; len++)
		cr_expect_eq(snapshot_decode(arena, out.data, len, &got, NULL), E_CORRUPT);
}

Test(table, the_summary_for_people_names_no_paths)
{
	AUTO(arena) *arena = arena_make();
	struct snapshot *first;
	struct snapshot add = addition(one, schema_of(arena, "a", "int64", NULL, NULL));
	cr_assert_eq(snapshot_next(arena, NULL, false, 0, &add, &first, NULL), 0);
	struct value *map = snapshot_summary(arena, first);
	cr_expect_eq(value_get_int(map, "files", 0), 1);
	cr_expect_eq(value_get_int(map, "rows", 0), 10);
	cr_expect_null(value_get(map, "rejectsPath"));
}
