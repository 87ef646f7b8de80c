/* test_cedar_partial.c - the filter passes exactly the rows for which the policies, decided with
 * that row, allow. */
#include "common/defs.h"
#include "common/buf.h"
#include "policy/cedar_partial.h"
#include "tests/support/alloc.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 6, TRIALS = 3000, ROWS = 12 };

static const struct {
	const char *name, *type;
	bool required;
} columns[COLUMNS] = {
	{ "region", "string", false }, { "amount", "int64", false }, { "vip", "boolean", false },
	{ "at", "timestamp", false },  { "code", "int32", true },    { "city", "string", true },
};

static struct arena *arena;
static struct err err;

static void setup(void)
{
	cr_assert_eq(arena_new(64 * MIB, &arena, &err), 0);
}
static void teardown(void)
{
	arena_free(arena);
}
TestSuite(cedar_partial, .init = setup, .fini = teardown);

static struct value *schema_of_columns(void)
{
	struct value *schema = value_list(arena);
	for (size_t i = 0; i < COLUMNS; i++) {
		struct value *column = value_map(arena);
		value_set_str(column, "name", columns[i].name);
		value_set_str(column, "type", columns[i].type);
		value_set_bool(column, "required", columns[i].required);
		value_add(schema, column);
	}
	struct value *ratio = value_map(arena);
	value_set_str(ratio, "name", "ratio");
	value_set_str(ratio, "type", "float64");
	value_add(schema, ratio);
	return schema;
}

static struct cedar_uid uid(const char *type, const char *id)
{
	struct cedar_uid made;
	cedar_uid_init(&made, cedar_str(type), cedar_str(id));
	return made;
}

/* --- a row, as a filter and as a policy see it --- */

struct row {
	struct cedar_value cells[COLUMNS];
	bool there[COLUMNS];
};

static const struct value *cell(void *context, const char *column)
{
	const struct row *row = context;
	for (size_t i = 0; i < COLUMNS; i++) {
		const struct cedar_value *value = &row->cells[i];
		if (strcmp(columns[i].name, column) != 0 || !row->there[i])
			continue;
		if (value->kind == CEDAR_BOOL)
			return value_bool(arena, value->b);
		if (value->kind == CEDAR_STRING)
			return value_strn(arena, value->str.text, value->str.len);
		return value_int(arena,
		                 value->kind == CEDAR_DATETIME ? value->i * 1000 : value->i);
	}
	return NULL;
}

static const struct cedar_record *record_of(const struct row *row)
{
	struct cedar_field *fields = arena_alloc(arena, COLUMNS * sizeof *fields);
	const struct cedar_record *record = NULL;
	size_t count = 0;
	for (size_t i = 0; i < COLUMNS; i++)
		if (row->there[i])
			fields[count++] = (struct cedar_field){ cedar_str(columns[i].name),
				                                row->cells[i] };
	cr_assert_eq(cedar_record_new(arena, fields, count, &record, &err), 0);
	return record;
}

/* The table; its attribute owner is known, row is there only when a row is given. */
static struct cedar_entities *entities_with(const struct row *row)
{
	struct cedar_entities *entities = NULL;
	struct cedar_field *fields = arena_alloc(arena, 2 * sizeof *fields);
	struct cedar_entity table = { .uid = uid("Dataset", "orders") };
	struct cedar_entity who = { .uid = uid("User", "ann") };
	fields[0] = (struct cedar_field){ CEDAR_STR("owner"),
		                          { .kind = CEDAR_STRING, .str = CEDAR_STR("sales") } };
	if (row)
		fields[1] = (struct cedar_field){ CEDAR_STR("row"),
			                          { .kind = CEDAR_RECORD,
			                            .record = record_of(row) } };
	cr_assert_eq(cedar_record_new(arena, fields, row ? 2 : 1, &table.attrs, &err), 0);
	struct cedar_field *own = arena_alloc(arena, sizeof *own);
	own[0] = (struct cedar_field){ CEDAR_STR("region"),
		                       { .kind = CEDAR_STRING, .str = CEDAR_STR("EU") } };
	cr_assert_eq(cedar_record_new(arena, own, 1, &who.attrs, &err), 0);
	cr_assert_eq(cedar_entities_new(arena, &entities, &err), 0);
	cr_assert_eq(cedar_entities_add(entities, &table, &err), 0);
	cr_assert_eq(cedar_entities_add(entities, &who, &err), 0);
	cr_assert_eq(cedar_entities_close(entities, &err), 0);
	return entities;
}

static struct cedar_request request(void)
{
	static const struct cedar_record none = { 0, NULL };
	return (struct cedar_request){ uid("User", "ann"), uid("Action", "dataset:read"),
		                       uid("Dataset", "orders"), &none };
}

static struct cedar_set *set_of(const char *text)
{
	struct cedar_set *set = NULL;
	cr_assert_eq(cedar_set_new(16 * MIB, &set, &err), 0);
	cr_assert_eq(cedar_set_add(set, text, strlen(text), "policy", &err), 0, "%s\n%s", err.text,
	             text);
	cr_assert_eq(cedar_set_close(set, &err), 0);
	return set;
}

static struct cedar_rows rows_of(const char *text)
{
	AUTO(cedar_set) *set = set_of(text);
	struct cedar_request asked = request();
	struct cedar_rows rows;
	cr_assert_eq(cedar_set_rows(set, arena, &asked, entities_with(NULL), schema_of_columns(),
	                            &rows, &err),
	             0, "%s", err.text);
	return rows;
}

static const char *sql_of(const char *text)
{
	struct cedar_rows rows = rows_of(text);
	AUTO_BUF sql;
	buf_init(&sql, ROWFILTER_SQL_MAX);
	cr_assert_eq(rowfilter_sql(rows.filter, &sql, &err), 0);
	return arena_strdup(arena, (const char *)sql.data);
}

/* --- one by one --- */

Test(cedar_partial, makes_a_condition_of_what_stays_open)
{
	cr_expect_str_eq(sql_of("permit(principal, action, resource) when "
	                        "{ resource.row.region == principal.region };"),
	                 "(\"region\" IS NOT DISTINCT FROM 'EU')");
}

Test(cedar_partial, decides_at_once_what_does_not_rest_on_the_row)
{
	cr_expect_str_eq(sql_of("permit(principal, action, resource) when "
	                        "{ resource.owner == \"sales\" || resource.row.amount == 1 };"),
	                 "true");
	cr_expect_str_eq(sql_of("permit(principal, action, resource) when "
	                        "{ resource.owner == \"ops\" && resource.row.amount == 1 };"),
	                 "false");
}

Test(cedar_partial, permits_no_row_without_a_permit)
{
	cr_expect_str_eq(sql_of("forbid(principal, action, resource) when "
	                        "{ resource.row.region == \"EU\" };"),
	                 "false");
}

Test(cedar_partial, lets_a_forbid_win_in_the_rows_it_applies_to)
{
	cr_expect_str_eq(sql_of("permit(principal, action, resource);"
	                        "forbid(principal, action, resource) when "
	                        "{ resource.row.region == \"EU\" };"),
	                 "(\"region\" IS DISTINCT FROM 'EU')");
}

Test(cedar_partial, asks_that_there_is_a_value_where_cedar_would_fail_without)
{
	cr_expect_str_eq(sql_of("permit(principal, action, resource) unless "
	                        "{ resource.row.region == \"EU\" };"),
	                 "((\"region\" IS NOT NULL) AND (\"region\" IS DISTINCT FROM 'EU'))");
	cr_expect_str_eq(sql_of("permit(principal, action, resource) unless "
	                        "{ resource.row.code == 7 };"),
	                 "(\"code\" IS DISTINCT FROM CAST('7' AS BIGINT))");
}

Test(cedar_partial, permits_nothing_by_a_permit_that_cannot_be_said)
{
	struct cedar_rows rows = rows_of("permit(principal, action, resource) when "
	                                 "{ resource.row.amount + 1 == 2 };");
	cr_expect(rowfilter_is(rows.filter, false));
	cr_assert_eq(rows.lost_count, 1);
	cr_expect_not_null(strstr(rows.lost[0].reason, "line 1, column 64"), "%s",
	                   rows.lost[0].reason);
}

Test(cedar_partial, forbids_everything_by_a_forbid_that_cannot_be_said)
{
	struct cedar_rows rows = rows_of("permit(principal, action, resource);"
	                                 "forbid(principal, action, resource) when "
	                                 "{ resource.row.ratio == decimal(\"0.5\") };");
	cr_expect(rowfilter_is(rows.filter, false));
	cr_expect_eq(rows.lost_count, 1);
}

Test(cedar_partial, skips_a_policy_that_names_no_column)
{
	cr_expect_str_eq(sql_of("permit(principal, action, resource) when "
	                        "{ resource.row.nothing == 1 };"
	                        "permit(principal, action, resource) when "
	                        "{ !(resource.row has nothing) && resource.row.vip };"),
	                 "(\"vip\" IS NOT DISTINCT FROM true)");
}

Test(cedar_partial, gives_no_row_when_memory_is_missing)
{
	AUTO(cedar_set) *set = set_of("permit(principal, action, resource) when "
	                              "{ resource.row.region == principal.region };");
	struct cedar_request asked = request();
	struct cedar_entities *entities = entities_with(NULL);
	struct value *schema = schema_of_columns();
	struct cedar_rows rows = { .filter = NULL };
	AUTO(arena) *small = NULL;
	cr_assert_eq(arena_new(600, &small, &err), 0);
	cr_expect_eq(cedar_set_rows(set, small, &asked, entities, schema, &rows, &err), E_NOMEM);
	cr_expect_null(rows.filter);
}

/* --- any policies, any rows --- */

static unsigned turn(unsigned *seed, unsigned n)
{
	*seed = *seed * 1103515245u + 12345u;
	return (*seed >> 16) % n;
}

static void put_leaf(struct buf *out, unsigned *seed)
{
	static const char *const leaves[] = {
		"resource.row.region == \"EU\"",
		"principal.region == resource.row.region",
		"resource.row.region != resource.row.city",
		"resource.row.amount == 3",
		"resource.row.amount < 4",
		"2 <= resource.row.amount",
		"resource.row.amount >= 3",
		"resource.row.amount > resource.row.code",
		"resource.row.vip",
		"!resource.row.vip",
		"resource.row has region",
		"resource.row has amount",
		"resource has row",
		"resource.row.at < datetime(\"1970-01-01T00:00:02Z\")",
		"resource.row.at == datetime(\"1970-01-01T00:00:03Z\")",
		"resource.row.code == 2",
		"resource.row.code == \"2\"",
		"resource.row.region like \"E*\"",
		"resource.row.city like \"*a_*b*\"",
		"[\"EU\", \"US\", 3].contains(resource.row.region)",
		"[1, 3].contains(resource.row.amount)",
		"[].contains(resource.row.region)",
		"resource.row.missing == 1",
		"resource.owner == \"sales\"",
		"principal.nothing == 1",
		"resource.row.amount + 1 == 3",
		"(resource.row.vip == true)",
		"(resource.row.amount == 3) == resource.row.vip",
		"true",
		"false",
	};
	buf_puts(out, leaves[turn(seed, ARRAY_LEN(leaves))]);
}

static void put_expr(struct buf *out, unsigned *seed, int depth)
{
	unsigned kind = depth <= 0 ? 9 : turn(seed, 6);
	if (kind > 3) {
		put_leaf(out, seed);
		return;
	}
	buf_puts(out, kind == 2 ? "!(" : kind == 3 ? "(if (" : "((");
	put_expr(out, seed, depth - 1);
	buf_puts(out, kind == 0 ? ") && (" : kind == 1 ? ") || (" : kind == 2 ? ")" : ") then (");
	if (kind == 2)
		return;
	put_expr(out, seed, depth - 1);
	if (kind == 3) {
		buf_puts(out, ") else (");
		put_expr(out, seed, depth - 1);
	}
	buf_puts(out, "))");
}

static const char *any_policies(unsigned *seed)
{
	AUTO_BUF out;
	buf_init(&out, MIB);
	for (unsigned i = 0, count = 1 + turn(seed, 3); i < count; i++) {
		buf_puts(&out, turn(seed, 3) ? "permit" : "forbid");
		buf_puts(&out, "(principal, action, resource) when { ");
		put_expr(&out, seed, 3);
		buf_puts(&out, " };\n");
	}
	cr_assert_eq(buf_check(&out, &err), 0);
	return arena_strdup(arena, (const char *)out.data);
}

static struct row any_row(unsigned *seed)
{
	static const char *const texts[] = { "EU", "US", "E", "", "aa_b", "xa_zb", "a%b" };
	struct row row;
	for (size_t i = 0; i < COLUMNS; i++) {
		struct cedar_value *value = &row.cells[i];
		row.there[i] = columns[i].required || turn(seed, 4);
		*value = (struct cedar_value){ .kind = CEDAR_LONG, .i = turn(seed, 5) };
		if (strcmp(columns[i].type, "string") == 0)
			*value = (struct cedar_value){
				.kind = CEDAR_STRING,
				.str = cedar_str(texts[turn(seed, ARRAY_LEN(texts))])
			};
		else if (strcmp(columns[i].type, "boolean") == 0)
			*value = (struct cedar_value){ .kind = CEDAR_BOOL,
				                       .b = turn(seed, 2) != 0 };
		else if (strcmp(columns[i].type, "timestamp") == 0)
			*value = (struct cedar_value){ .kind = CEDAR_DATETIME,
				                       .i = 1000 * (int64_t)turn(seed, 5) };
	}
	return row;
}

static bool allows(const struct cedar_set *set, const struct row *row)
{
	struct cedar_request asked = request();
	struct cedar_answer answer;
	cr_assert_eq(
		cedar_set_decide(set, arena, &asked, entities_with(row), &answer, &err), 0);
	return answer.allowed;
}

Test(cedar_partial, passes_exactly_the_rows_that_the_policies_allow)
{
	unsigned seed = 7;
	int passed = 0, held = 0, lost = 0;
	for (int i = 0; i < TRIALS; i++) {
		const char *text = any_policies(&seed);
		AUTO(cedar_set) *set = set_of(text);
		struct cedar_rows rows = rows_of(text);
		lost += rows.lost_count > 0;
		for (int j = 0; j < ROWS; j++) {
			struct row row = any_row(&seed);
			bool allowed = allows(set, &row);
			bool passes = rowfilter_test(rows.filter, cell, &row);
			cr_assert(passes == allowed || (rows.lost_count && !passes),
			          "trial %d row %d: %d and not %d\n%s", i, j, passes, allowed,
			          text);
			passed += passes;
			held += !passes;
		}
		arena_reset(arena);
	}
	cr_expect_gt(passed, TRIALS);
	cr_expect_gt(held, TRIALS);
	cr_expect_lt(lost, TRIALS / 2);
}
